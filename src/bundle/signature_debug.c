/* SPDX-License-Identifier: Apache-2.0 */
/* A signature in text format, as TensorFlow Serving shows one in its messages. */
#include "bundle/infer_rules.h"

#include <inttypes.h>

/* A string as text format quotes it: C escapes, octal for what is not printable ASCII. */
static void put_quoted(struct el_buf *buf, const char *text)
{
    el_buf_byte(buf, '"');
    for (const char *at = text; *at != 0; at++) {
        const unsigned char c = (unsigned char)*at;
        switch (c) {
        case '\n':
            el_buf_text(buf, "\\n");
            break;
        case '\r':
            el_buf_text(buf, "\\r");
            break;
        case '\t':
            el_buf_text(buf, "\\t");
            break;
        case '"':
        case '\'':
        case '\\':
            el_buf_printf(buf, "\\%c", c);
            break;
        default:
            if (c < 0x20 || c >= 0x7f)
                el_buf_printf(buf, "\\%03o", c);
            else
                el_buf_byte(buf, c);
        }
    }
    el_buf_byte(buf, '"');
}

static void put_shape(struct el_buf *buf, const struct el_shape *shape)
{
    el_buf_text(buf, "    tensor_shape {\n");
    for (int32_t i = 0; i < shape->rank; i++) {
        el_buf_text(buf, "      dim {\n");
        if (shape->dims[i] != 0)
            el_buf_printf(buf, "        size: %" PRId64 "\n", shape->dims[i]);
        el_buf_text(buf, "      }\n");
    }
    if (shape->rank < 0)
        el_buf_text(buf, "      unknown_rank: true\n");
    el_buf_text(buf, "    }\n");
}

static void put_tensors(struct el_buf *buf, const char *field, const struct el_tensor_info *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct el_tensor_info *info = &list[i];
        el_buf_printf(buf, "%s {\n  key: ", field);
        put_quoted(buf, info->name);
        el_buf_text(buf, "\n  value {\n");
        if (*info->tensor_name != 0) {
            el_buf_text(buf, "    name: ");
            put_quoted(buf, info->tensor_name);
            el_buf_byte(buf, '\n');
        }
        if (info->dtype != EL_DTYPE_INVALID)
            el_buf_printf(buf, "    dtype: %s\n", el_dtype_name(info->dtype));
        put_shape(buf, &info->shape);
        el_buf_text(buf, "  }\n}\n");
    }
}

void el_signature_debug(struct el_buf *buf, const struct el_signature *signature)
{
    put_tensors(buf, "inputs", signature->inputs, signature->input_count);
    put_tensors(buf, "outputs", signature->outputs, signature->output_count);
    if (*signature->method_name != 0) {
        el_buf_text(buf, "method_name: ");
        put_quoted(buf, signature->method_name);
        el_buf_byte(buf, '\n');
    }
}
