/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of `:predict`, laid out as RapidJSON's PrettyWriter does it for
 * TensorFlow Serving: four blanks, lists of a row on one line, but the list of
 * all rows and the lists of columns with each element on its own line.
 */
#include "tensor/predict_json.h"

#include <string.h>

struct writer {
    struct el_buf *buf;
    size_t level;     /* open brackets */
    bool single_line; /* lists that are written now stay on one line */
};

static void new_line(struct writer *writer)
{
    size_t size = 1 + 4 * writer->level;
    uint8_t *to = el_buf_reserve(writer->buf, size);
    if (to == NULL)
        return;
    to[0] = '\n';
    memset(to + 1, ' ', size - 1);
    writer->buf->size += size;
}

static void open(struct writer *writer, char bracket)
{
    el_buf_byte(writer->buf, (uint8_t)bracket);
    writer->level++;
}

/* Before an element of a list. */
static void separate(struct writer *writer, bool first)
{
    if (!first)
        el_buf_byte(writer->buf, ',');
    if (!writer->single_line)
        new_line(writer);
    else if (!first)
        el_buf_byte(writer->buf, ' ');
}

static void close_list(struct writer *writer, bool was_empty)
{
    writer->level--;
    if (!was_empty && !writer->single_line)
        new_line(writer);
    el_buf_byte(writer->buf, ']');
}

static void close_object(struct writer *writer)
{
    writer->level--;
    new_line(writer);
    el_buf_byte(writer->buf, '}');
}

static void member(struct writer *writer, const char *name, bool first)
{
    if (!first)
        el_buf_byte(writer->buf, ',');
    new_line(writer);
    el_json_put_string(writer->buf, name, strlen(name));
    el_buf_text(writer->buf, ": ");
}

/* One output on its way out. */
struct output {
    const struct el_tensor *tensor;
    size_t width; /* bytes of one element */
    bool base64;  /* strings as {"b64": ...} */
};

static bool ends_with_bytes(const char *name)
{
    size_t size = strlen(name);
    return size >= 6 && strcmp(name + size - 6, "_bytes") == 0;
}

static struct output output_of(const struct el_named_tensor *named)
{
    enum el_dtype dtype = named->tensor->dtype;
    return (struct output){ named->tensor, el_dtype_size(dtype), dtype == EL_STRING && ends_with_bytes(named->name) };
}

static bool can_be_json(enum el_dtype dtype)
{
    switch (dtype) {
    case EL_FLOAT:
    case EL_DOUBLE:
    case EL_INT32:
    case EL_INT16:
    case EL_INT8:
    case EL_UINT8:
    case EL_STRING:
    case EL_INT64:
    case EL_BOOL:
    case EL_UINT32:
    case EL_UINT64:
        return true;
    default:
        return false;
    }
}

static void put_string(struct writer *writer, const struct output *output, size_t i)
{
    size_t length;
    const char *text = el_tensor_string(output->tensor, i, &length);
    if (!output->base64) {
        el_json_put_string(writer->buf, text, length);
        return;
    }
    open(writer, '{');
    member(writer, "b64", true);
    el_json_put_base64(writer->buf, text, length);
    close_object(writer);
}

/* The integer at `at`, whose dtype can be JSON. */
static char *format_integer(char *to, enum el_dtype dtype, const uint8_t *at)
{
    int8_t i8;
    int16_t i16;
    int32_t i32;
    int64_t i64;
    uint32_t u32;
    uint64_t u64;
    switch (dtype) {
    case EL_INT8:
        memcpy(&i8, at, sizeof i8);
        return el_json_format_int(to, i8);
    case EL_INT16:
        memcpy(&i16, at, sizeof i16);
        return el_json_format_int(to, i16);
    case EL_INT32:
        memcpy(&i32, at, sizeof i32);
        return el_json_format_int(to, i32);
    case EL_INT64:
        memcpy(&i64, at, sizeof i64);
        return el_json_format_int(to, i64);
    case EL_UINT32:
        memcpy(&u32, at, sizeof u32);
        return el_json_format_uint(to, u32);
    case EL_UINT64:
        memcpy(&u64, at, sizeof u64);
        return el_json_format_uint(to, u64);
    default:
        return el_json_format_uint(to, *at);
    }
}

static void put_value(struct writer *writer, const struct output *output, size_t i)
{
    const struct el_tensor *tensor = output->tensor;
    if (tensor->dtype == EL_STRING) {
        put_string(writer, output, i);
        return;
    }
    const uint8_t *at = (const uint8_t *)tensor->data + i * output->width;
    char *to = (char *)el_buf_reserve(writer->buf, EL_JSON_NUMBER_SIZE), *end;
    if (to == NULL)
        return;
    float real;
    double real_double;
    switch (tensor->dtype) {
    case EL_FLOAT:
        memcpy(&real, at, sizeof real);
        end = el_json_format_float(to, real);
        break;
    case EL_DOUBLE:
        memcpy(&real_double, at, sizeof real_double);
        end = el_json_format_double(to, real_double);
        break;
    case EL_BOOL:
        end = to + (*at != 0 ? 4 : 5);
        memcpy(to, *at != 0 ? "true" : "false", (size_t)(end - to));
        break;
    default:
        end = format_integer(to, tensor->dtype, at);
        break;
    }
    writer->buf->size += (size_t)(end - to);
}

/* All that lies below dim, from element *next on. The recursion is as deep as the rank. */
static struct el_status *put_values(struct writer *writer, const struct output *output, int32_t dim, size_t *next)
{
    const struct el_tensor *tensor = output->tensor;
    if (dim == tensor->shape.rank) {
        if (!can_be_json(tensor->dtype))
            return el_status_new(EL_INVALID_ARGUMENT, "Failed to write JSON value for tensor type: %s",
                                 el_dtype_short_name(tensor->dtype));
        put_value(writer, output, (*next)++);
        return NULL;
    }
    int64_t size = tensor->shape.dims[dim];
    open(writer, '[');
    for (int64_t i = 0; i < size; i++) {
        if (writer->buf->failed)
            return el_status_no_memory();
        separate(writer, i == 0);
        EL_TRY(put_values(writer, output, dim + 1, next));
    }
    close_list(writer, size == 0);
    return NULL;
}

/* The size of the first dimension, which all outputs must have. */
static struct el_status *find_rows(const struct el_named_tensor *outputs, uint32_t output_count, int64_t *rows)
{
    *rows = -1;
    for (uint32_t i = 0; i < output_count; i++) {
        const struct el_shape *shape = &outputs[i].tensor->shape;
        if (shape->rank == 0)
            return el_status_new(EL_INVALID_ARGUMENT, "Tensor name: %s has no shape information ", outputs[i].name);
        if (*rows >= 0 && *rows != shape->dims[0])
            return el_status_new(EL_INVALID_ARGUMENT,
                                 "Tensor name: %s has inconsistent batch size: %lld expecting: %lld", outputs[i].name,
                                 (long long)shape->dims[0], (long long)*rows);
        *rows = shape->dims[0];
    }
    return NULL;
}

/* An answer without elements can still have any number of empty lists: [1000000000,0]. */
#define MAX_EMPTY_LISTS (1 << 20)

static struct el_status *limit_empty(const struct el_named_tensor *outputs, uint32_t output_count)
{
    for (uint32_t i = 0; i < output_count; i++) {
        const struct el_shape *shape = &outputs[i].tensor->shape;
        int64_t lists = 1;
        bool is_empty = false;
        for (int32_t dim = 0; dim < shape->rank && !is_empty; dim++) {
            is_empty = shape->dims[dim] == 0;
            if (!is_empty)
                lists *= shape->dims[dim]; /* a checked tensor: what comes before the zero fits */
        }
        if (is_empty && lists > MAX_EMPTY_LISTS)
            return el_status_new(EL_RESOURCE_EXHAUSTED,
                                 "Tensor name: %s has %lld empty lists, more than the limit of %d", outputs[i].name,
                                 (long long)lists, MAX_EMPTY_LISTS);
    }
    return NULL;
}

/* Elements of one row. */
static size_t row_size(const struct el_shape *shape)
{
    size_t size = 1; /* a checked tensor: the product fits */
    for (int32_t i = 1; i < shape->rank; i++)
        size *= (size_t)shape->dims[i];
    return size;
}

static struct el_status *put_row(struct writer *writer, const struct el_named_tensor *outputs, uint32_t output_count,
                                 size_t row)
{
    bool object = output_count > 1;
    if (object) {
        separate(writer, row == 0);
        open(writer, '{');
    }
    writer->single_line = true;
    if (!object)
        separate(writer, row == 0);
    for (uint32_t i = 0; i < output_count; i++) {
        struct output output = output_of(&outputs[i]);
        size_t next = row * row_size(&outputs[i].tensor->shape);
        if (object)
            member(writer, outputs[i].name, i == 0);
        EL_TRY(put_values(writer, &output, 1, &next));
    }
    writer->single_line = false;
    if (object)
        close_object(writer);
    return NULL;
}

static struct el_status *put_rows(struct writer *writer, const struct el_named_tensor *outputs, uint32_t output_count)
{
    int64_t rows;
    EL_TRY(find_rows(outputs, output_count, &rows));
    open(writer, '{');
    member(writer, "predictions", true);
    open(writer, '[');
    for (int64_t i = 0; i < rows; i++) {
        if (writer->buf->failed)
            return el_status_no_memory();
        EL_TRY(put_row(writer, outputs, output_count, (size_t)i));
    }
    close_list(writer, rows == 0);
    close_object(writer);
    return NULL;
}

static struct el_status *put_columns(struct writer *writer, const struct el_named_tensor *outputs,
                                     uint32_t output_count)
{
    bool object = output_count > 1;
    open(writer, '{');
    member(writer, "outputs", true);
    if (object)
        open(writer, '{');
    for (uint32_t i = 0; i < output_count; i++) {
        struct output output = output_of(&outputs[i]);
        size_t next = 0;
        if (object)
            member(writer, outputs[i].name, i == 0);
        EL_TRY(put_values(writer, &output, 0, &next));
    }
    if (object)
        close_object(writer);
    close_object(writer);
    return NULL;
}

struct el_status *el_predict_json_write(struct el_buf *buf, enum el_predict_form form,
                                        const struct el_named_tensor *outputs, uint32_t output_count)
{
    struct writer writer = { .buf = buf };
    if (output_count == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "Cannot convert empty tensor map to JSON");
    EL_TRY(limit_empty(outputs, output_count));
    EL_TRY(form == EL_PREDICT_ROWS ? put_rows(&writer, outputs, output_count)
                                   : put_columns(&writer, outputs, output_count));
    return el_buf_status(buf);
}
