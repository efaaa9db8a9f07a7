/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of the fields that matter (saved_model.c and graph.c have the numbers' source). Messages that are known nest as deep as
 * the table, nine levels; those that are passed over are counted by their brackets. So a hostile file cannot make the stack grow.
 */
#include "bundle/saved_model_text.h"

#include "bundle/proto.h"
#include "bundle/text_cursor.h"
#include "tensor/tensor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { TEXT, NUMBER, DTYPE, BOOLEAN, MESSAGE };

struct field {
    const char *name;
    uint32_t number;
    enum kind kind;
    const struct field *inside; /* MESSAGE: its fields, ended by one without a name */
};

static const struct field dim[] = { { "size", 1, NUMBER, NULL }, { NULL, 0, TEXT, NULL } };
static const struct field shape[] = { { "dim", 2, MESSAGE, dim },
                                      { "unknown_rank", 3, BOOLEAN, NULL },
                                      { NULL, 0, TEXT, NULL } };
static const struct field tensor_info[] = { { "name", 1, TEXT, NULL },
                                            { "dtype", 2, DTYPE, NULL },
                                            { "tensor_shape", 3, MESSAGE, shape },
                                            { NULL, 0, TEXT, NULL } };
static const struct field tensor_entry[] = { { "key", 1, TEXT, NULL },
                                             { "value", 2, MESSAGE, tensor_info },
                                             { NULL, 0, TEXT, NULL } };
static const struct field signature[] = { { "inputs", 1, MESSAGE, tensor_entry },
                                          { "outputs", 2, MESSAGE, tensor_entry },
                                          { "method_name", 3, TEXT, NULL },
                                          { NULL, 0, TEXT, NULL } };
static const struct field signature_entry[] = { { "key", 1, TEXT, NULL },
                                                { "value", 2, MESSAGE, signature },
                                                { NULL, 0, TEXT, NULL } };
static const struct field named[] = { { "name", 1, TEXT, NULL }, { NULL, 0, TEXT, NULL } };
static const struct field function_list[] = { { "func", 9, MESSAGE, named }, { NULL, 0, TEXT, NULL } };
static const struct field attribute[] = { { "func", 10, MESSAGE, named },
                                          { "list", 1, MESSAGE, function_list },
                                          { NULL, 0, TEXT, NULL } };
static const struct field attribute_entry[] = { { "value", 2, MESSAGE, attribute }, { NULL, 0, TEXT, NULL } };
static const struct field node[] = { { "name", 1, TEXT, NULL },
                                     { "op", 2, TEXT, NULL },
                                     { "input", 3, TEXT, NULL },
                                     { "attr", 5, MESSAGE, attribute_entry },
                                     { NULL, 0, TEXT, NULL } };
static const struct field function[] = { { "signature", 1, MESSAGE, named },
                                         { "node_def", 3, MESSAGE, node },
                                         { NULL, 0, TEXT, NULL } };
static const struct field library[] = { { "function", 1, MESSAGE, function }, { NULL, 0, TEXT, NULL } };
static const struct field graph[] = { { "node", 1, MESSAGE, node },
                                      { "library", 2, MESSAGE, library },
                                      { NULL, 0, TEXT, NULL } };
static const struct field meta_info[] = { { "tags", 4, TEXT, NULL },
                                          { "tensorflow_version", 5, TEXT, NULL },
                                          { NULL, 0, TEXT, NULL } };
static const struct field saver[] = { { "restore_op_name", 3, TEXT, NULL }, { NULL, 0, TEXT, NULL } };
static const struct field asset[] = { { "filename", 2, TEXT, NULL }, { NULL, 0, TEXT, NULL } };
static const struct field meta_graph[] = {
    { "meta_info_def", 1, MESSAGE, meta_info }, { "graph_def", 2, MESSAGE, graph },
    { "saver_def", 3, MESSAGE, saver },         { "signature_def", 5, MESSAGE, signature_entry },
    { "asset_file_def", 6, MESSAGE, asset },    { NULL, 0, TEXT, NULL }
};
static const struct field saved_model[] = { { "saved_model_schema_version", 1, NUMBER, NULL },
                                            { "meta_graphs", 2, MESSAGE, meta_graph },
                                            { NULL, 0, TEXT, NULL } };

/* ---- what is known ---- */

static struct el_status *take_dtype(struct el_text_cursor *cursor, uint64_t *value)
{
    const char *word;
    const size_t length = el_text_take_word(cursor, &word);
    for (int dtype = EL_FLOAT; length > 3 && dtype <= EL_UINT64; dtype++) {
        const char *name = el_dtype_name((enum el_dtype)dtype);
        if (strlen(name) == length && memcmp(name, word, length) == 0) {
            *value = (uint64_t)dtype;
            return NULL;
        }
    }
    cursor->at = word;
    return el_text_wrong(cursor, "a dtype (DT_FLOAT...)");
}

static struct el_status *take_number(struct el_text_cursor *cursor, uint64_t *value)
{
    const char *word;
    char digits[32];
    char *end;
    const size_t length = el_text_take_word(cursor, &word);
    if (length == 0 || length >= sizeof digits) {
        cursor->at = word;
        return el_text_wrong(cursor, "a whole number");
    }
    memcpy(digits, word, length);
    digits[length] = '\0';
    errno = 0;
    *value = (uint64_t)strtoll(digits, &end, 0);
    if (errno == 0 && *end == '\0')
        return NULL;
    cursor->at = word;
    return el_text_wrong(cursor, "a whole number");
}

static struct el_status *take_boolean(struct el_text_cursor *cursor, uint64_t *value)
{
    const char *word;
    const size_t length = el_text_take_word(cursor, &word);
    *value = length > 0 && (*word == 't' || *word == 'T' || *word == '1');
    return length > 0 ? NULL : el_text_wrong(cursor, "true or false");
}

static struct el_status *take_message(struct el_text_cursor *cursor, const struct field *fields, char closing,
                                      struct el_buf *to);

static struct el_status *take_value(struct el_text_cursor *cursor, const struct field *field, struct el_buf *to)
{
    struct el_buf inner = { 0 };
    struct el_status *status;
    uint64_t value = 0;
    if (field->kind == TEXT) {
        status = el_text_take_strings(cursor, &inner);
    } else if (field->kind == MESSAGE) {
        const char opening = el_text_peek(cursor);
        if (opening != '{' && opening != '<')
            return el_text_wrong(cursor, "a message");
        cursor->at++;
        status = take_message(cursor, field->inside, opening == '{' ? '}' : '>', &inner);
    } else {
        status = field->kind == DTYPE     ? take_dtype(cursor, &value)
                 : field->kind == BOOLEAN ? take_boolean(cursor, &value)
                                          : take_number(cursor, &value);
    }
    if (status == NULL && (field->kind == TEXT || field->kind == MESSAGE))
        el_proto_put_bytes(to, field->number, inner.data, inner.size);
    else if (status == NULL)
        el_proto_put_number(to, field->number, value);
    to->failed = to->failed || inner.failed;
    el_buf_free(&inner);
    return status;
}

/* One value, or a list of them. field: NULL: passed over. */
static struct el_status *take_values(struct el_text_cursor *cursor, const struct field *field, struct el_buf *to)
{
    if (field == NULL)
        return el_text_pass_over(cursor);
    if (!el_text_take(cursor, '['))
        return take_value(cursor, field, to);
    if (el_text_take(cursor, ']'))
        return NULL;
    do
        EL_TRY(take_value(cursor, field, to));
    while (el_text_take(cursor, ','));
    return el_text_take(cursor, ']') ? NULL : el_text_wrong(cursor, "\"]\"");
}

/* The name of a field, or one in brackets (an extension, an Any), which no table has. */
static struct el_status *take_name(struct el_text_cursor *cursor, const struct field *fields,
                                   const struct field **field)
{
    const char *word;
    *field = NULL;
    if (el_text_peek(cursor) == '[')
        return el_text_pass_over(cursor);
    const size_t length = el_text_take_word(cursor, &word);
    if (length == 0)
        return el_text_wrong(cursor, "the name of a field");
    for (const struct field *at = fields; at->name != NULL; at++)
        if (strlen(at->name) == length && memcmp(at->name, word, length) == 0)
            *field = at;
    return NULL;
}

/* The fields up to the closing bracket; 0: up to the end of the file. */
static struct el_status *take_message(struct el_text_cursor *cursor, const struct field *fields, char closing,
                                      struct el_buf *to)
{
    for (;;) {
        const char next = el_text_peek(cursor);
        if (closing != 0 ? el_text_take(cursor, closing) : next == 0)
            return NULL;
        const struct field *field;
        EL_TRY(take_name(cursor, fields, &field));
        const bool colon = el_text_take(cursor, ':');
        const char first = el_text_peek(cursor);
        if (!colon && first != '{' && first != '<')
            return el_text_wrong(cursor, "\":\" or a message");
        EL_TRY(take_values(cursor, field, to));
        if (!el_text_take(cursor, ','))
            el_text_take(cursor, ';');
    }
}

/* ---- the file ---- */

static struct el_status *read_all(int fd, const char *name, struct el_buf *text)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return el_status_errno(errno, "%s: its size cannot be read", name);
    if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size > EL_SAVED_MODEL_TEXT_MAX)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: a regular file of at most %zu bytes is expected", name,
                             EL_SAVED_MODEL_TEXT_MAX);
    const size_t size = (size_t)info.st_size;
    uint8_t *bytes = el_buf_reserve(text, size == 0 ? 1 : size);
    if (bytes == NULL)
        return el_status_no_memory();
    while (text->size < size) {
        const ssize_t n = pread(fd, bytes + text->size, size - text->size, (off_t)text->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return el_status_errno(errno, "%s: cannot be read", name);
        if (n == 0)
            break;
        text->size += (size_t)n;
    }
    return text->size > 0 ? NULL : el_status_new(EL_DATA_LOSS, "%s: is empty", name);
}

static struct el_status *read_wire(const struct el_buf *wire, const char *name, struct el_saved_model *model)
{
    const int fd = memfd_create("saved_model", MFD_CLOEXEC);
    if (fd < 0)
        return el_status_errno(errno, "%s: memory to read it", name);
    size_t done = 0;
    while (done < wire->size) {
        const ssize_t n = write(fd, wire->data + done, wire->size - done);
        if (n <= 0 && errno != EINTR) {
            close(fd);
            return el_status_errno(errno, "%s: memory to read it", name);
        }
        done += n > 0 ? (size_t)n : 0;
    }
    struct el_status *status = el_saved_model_read_fd(fd, name, model);
    close(fd);
    return status;
}

struct el_status *el_saved_model_text_read_fd(int fd, const char *name, struct el_saved_model *model)
{
    struct el_buf text = { 0 }, wire = { 0 };
    struct el_status *status = read_all(fd, name, &text);
    if (status == NULL) {
        const char *start = (const char *)text.data;
        struct el_text_cursor cursor = { .name = name, .start = start, .at = start, .end = start + text.size };
        status = take_message(&cursor, saved_model, 0, &wire);
    }
    if (status == NULL)
        status = el_buf_status(&wire);
    if (status == NULL)
        status = read_wire(&wire, name, model);
    el_buf_free(&text);
    el_buf_free(&wire);
    return status;
}
