/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text_file.h"

#include "base/buf.h"
#include "base/file.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

/* Looks before it opens, for TensorFlow Serving's words. What changes in between is found when the file is opened. */
static struct el_status *examine(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return el_status_new(errno == ENOENT || errno == ENOTDIR ? EL_NOT_FOUND : EL_PERMISSION_DENIED, "%s; %s", path,
                             strerror(errno));
    if (S_ISDIR(info.st_mode))
        return el_status_new(EL_NOT_FOUND, "%s; No such device (it is a directory, not a file of text)", path);
    return NULL;
}

/* What the parser says of a place, "<path>:<line>:<column>: <why>", in the frame of TensorFlow Serving and of C++ protobuf. */
static struct el_status *framed(const char *path, const struct el_text_type *type, struct el_status *status)
{
    const size_t size = strlen(path);
    const char *text = el_status_text(status);
    if (el_status_code(status) != EL_INVALID_ARGUMENT || strncmp(text, path, size) != 0 || text[size] != ':')
        return status;
    struct el_status *frame = el_status_new(EL_INVALID_ARGUMENT,
                                            "Invalid protobuf file: '%s': Error parsing text-format %s: %s", path,
                                            type->name, text + size + 1);
    el_status_free(status);
    return frame;
}

struct el_status *el_text_read_file(const char *path, const struct el_text_type *type, struct el_text *document)
{
    *document = (struct el_text){ 0 };
    EL_TRY(examine(path));
    struct el_buf text = { 0 };
    struct el_status *status = el_file_read(path, EL_TEXT_MAX_BYTES, &text);
    if (status == NULL && text.size == 0)
        status = el_status_new(EL_INVALID_ARGUMENT, "%s; Invalid argument (the file is empty)", path);
    if (status == NULL)
        status = framed(path, type, el_text_parse(path, (const char *)text.data, text.size, type, document));
    el_buf_free(&text);
    return status;
}

struct el_status *el_text_error_at(const char *name, const struct el_text_value *value, enum el_code code,
                                   const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct el_status *status = el_status_newv(code, format, args);
    va_end(args);
    if (name == NULL || value == NULL)
        return status;
    return el_status_prefix(status, "%s:%u:%u", name, value->line, value->column);
}
