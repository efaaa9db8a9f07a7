/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/openvino.h"

#include <string.h>

/*
 * OpenVINO's text is a stack of lines, of which those with "Exception from FILE:" and "Check '…' failed at FILE:" say
 * nothing to a user. The others are put in one line; if none is left, all are.
 */
static void shorten(const char *text, struct el_buf *buf, bool keep_all)
{
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        const char *line = text;
        text += length + (text[length] == '\n');
        while (length > 0 && (line[length - 1] == ' ' || line[length - 1] == ':' || line[length - 1] == '\r'))
            length--;
        const bool noise = strncmp(line, "Exception from ", 15) == 0 || strncmp(line, "Check '", 7) == 0;
        if (length == 0 || (noise && !keep_all))
            continue;
        if (buf->size > 0)
            el_buf_text(buf, "; ");
        el_buf_append(buf, line, length);
    }
}

struct el_status *ov_status(ov_status_e result, enum el_code code, const char *what)
{
    if (result == OK)
        return NULL;
    if (result == INFER_CANCELLED)
        return el_status_new(EL_CANCELLED, "%s: was cancelled", what);
    /* From INVALID_C_PARAM on it is the C wrapper that refuses, and the last message is an older one's. */
    const char *said = result > INVALID_C_PARAM ? ov_get_last_err_msg() : NULL;
    struct el_buf buf = { 0 };
    if (said != NULL) {
        shorten(said, &buf, false);
        if (buf.size == 0)
            shorten(said, &buf, true);
    }
    if (said != NULL)
        ov_free(said);
    if (buf.size == 0)
        el_buf_text(&buf, ov_get_error_info(result));
    el_buf_byte(&buf, 0);
    struct el_status *status = el_buf_status(&buf);
    if (status == NULL)
        status = el_status_new(code, "%s: OpenVINO: %s", what, (const char *)buf.data);
    el_buf_free(&buf);
    return status;
}

/* What is not here: strings, which the C API cannot read back; complex and quantized numbers. */
static const struct {
    enum el_dtype dtype;
    ov_element_type_e type;
} types[] = {
    { EL_FLOAT, F32 },  { EL_DOUBLE, F64 }, { EL_HALF, F16 },     { EL_BFLOAT16, BF16 }, { EL_INT8, I8 },
    { EL_INT16, I16 },  { EL_INT32, I32 },  { EL_INT64, I64 },    { EL_UINT8, U8 },      { EL_UINT16, U16 },
    { EL_UINT32, U32 }, { EL_UINT64, U64 }, { EL_BOOL, BOOLEAN },
};

ov_element_type_e ov_type(int32_t dtype)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if ((int32_t)types[i].dtype == dtype)
            return types[i].type;
    return DYNAMIC;
}

enum el_dtype ov_dtype(ov_element_type_e type)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].type == type)
            return types[i].dtype;
    return EL_DTYPE_INVALID;
}
