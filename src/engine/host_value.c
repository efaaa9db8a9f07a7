/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_value.h"

#include "tensor/tensor_proto.h"

#include <stdlib.h>
#include <string.h>

#define ALIGNMENT ((size_t)64)

struct host_value host_value_view(const struct el_tensor *tensor)
{
    struct host_value value = { .tensor = *tensor };
    if (el_shape_elements(&tensor->shape, &value.elements) != NULL)
        abort(); /* it was not checked */
    return value;
}

static struct el_status *allocate(size_t size, void **memory)
{
    if (size > HOST_MAX_BYTES)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "a tensor of %zu bytes is asked for, at most %zu are possible",
                             size, HOST_MAX_BYTES);
    *memory = aligned_alloc(ALIGNMENT, (size + ALIGNMENT) / ALIGNMENT * ALIGNMENT);
    return *memory == NULL ? el_status_no_memory() : NULL;
}

struct el_status *host_value_make(enum el_dtype dtype, const struct el_shape *shape, struct host_value *value,
                                  void **data)
{
    struct host_value made = { .tensor = { .dtype = dtype, .shape = *shape } };
    EL_TRY(el_tensor_bytes(dtype, shape, &made.tensor.size));
    EL_TRY(el_shape_elements(shape, &made.elements));
    EL_TRY(allocate(made.tensor.size, &made.owned));
    made.tensor.data = made.owned;
    *data = made.owned;
    *value = made;
    return NULL;
}

void host_value_move(struct host_value *from, const struct el_shape *shape, struct host_value *to)
{
    *to = *from;
    to->tensor.shape = *shape;
    from->owned = NULL;
}

void host_value_free(struct host_value *value)
{
    free(value->owned);
    *value = (struct host_value){ 0 };
}

int64_t host_value_integer(const struct host_value *value, size_t i)
{
    return value->tensor.dtype == EL_INT64 ? ((const int64_t *)value->tensor.data)[i]
                                           : ((const int32_t *)value->tensor.data)[i];
}

const char *host_value_string(const struct host_value *value, size_t i, size_t *size)
{
    return el_tensor_string(&value->tensor, i, size);
}

static struct el_status *pick_strings(const struct host_value *from, const size_t *picks, const struct el_shape *shape,
                                      size_t count, struct host_value *to)
{
    struct host_strings strings;
    struct el_status *status = host_strings_begin(&strings, shape);
    for (size_t i = 0; status == NULL && i < count; i++) {
        size_t size;
        const char *text = host_value_string(from, picks[i], &size);
        host_strings_add(&strings, text, size);
    }
    if (status == NULL)
        status = host_strings_end(&strings, shape, to);
    host_strings_free(&strings);
    return status;
}

struct el_status *host_value_pick(const struct host_value *from, const size_t *picks, const struct el_shape *shape,
                                  struct host_value *to)
{
    size_t count;
    void *data;
    EL_TRY(el_shape_elements(shape, &count));
    if (from->tensor.dtype == EL_STRING)
        return pick_strings(from, picks, shape, count, to);
    EL_TRY(host_value_make(from->tensor.dtype, shape, to, &data));
    const size_t size = el_dtype_size(from->tensor.dtype);
    const uint8_t *source = from->tensor.data;
    for (size_t i = 0; i < count; i++)
        memcpy((uint8_t *)data + i * size, source + picks[i] * size, size);
    return NULL;
}

/* ---- strings ---- */

struct el_status *host_strings_begin(struct host_strings *strings, const struct el_shape *shape)
{
    *strings = (struct host_strings){ 0 };
    EL_TRY(el_shape_elements(shape, &strings->count));
    if (strings->count > HOST_MAX_BYTES / sizeof(uint64_t))
        return el_status_new(EL_RESOURCE_EXHAUSTED, "%zu strings are asked for, at most %zu are possible",
                             strings->count, HOST_MAX_BYTES / sizeof(uint64_t));
    strings->ends = malloc((strings->count + 1) * sizeof *strings->ends);
    return strings->ends == NULL ? el_status_no_memory() : NULL;
}

void host_strings_add(struct host_strings *strings, const void *bytes, size_t size)
{
    if (strings->made == strings->count || strings->bytes.failed)
        return;
    if (strings->bytes.size > HOST_MAX_BYTES || size > HOST_MAX_BYTES - strings->bytes.size) {
        strings->bytes.failed = true;
        return;
    }
    if (size > 0)
        el_buf_append(&strings->bytes, bytes, size);
    strings->ends[strings->made++] = strings->bytes.size;
}

struct el_status *host_strings_end(struct host_strings *strings, const struct el_shape *shape, struct host_value *value)
{
    EL_TRY(el_buf_status(&strings->bytes));
    const size_t head = (strings->count + 1) * sizeof(uint64_t);
    struct host_value made = { .tensor = { .dtype = EL_STRING, .shape = *shape }, .elements = strings->count };
    made.tensor.size = head + strings->bytes.size;
    EL_TRY(allocate(made.tensor.size, &made.owned));
    uint64_t *offsets = made.owned;
    offsets[0] = head;
    for (size_t i = 0; i < strings->count; i++)
        offsets[i + 1] = head + (i < strings->made ? strings->ends[i] : strings->bytes.size);
    if (strings->bytes.size > 0)
        memcpy((uint8_t *)made.owned + head, strings->bytes.data, strings->bytes.size);
    made.tensor.data = made.owned;
    *value = made;
    return NULL;
}

void host_strings_free(struct host_strings *strings)
{
    free(strings->ends);
    el_buf_free(&strings->bytes);
}

struct el_status *host_value_gathered(enum el_dtype dtype, const struct el_shape *shape, const struct el_buf *content,
                                      const struct el_buf *text, struct host_value *value)
{
    void *data;
    EL_TRY(el_buf_status(content));
    if (dtype != EL_STRING) {
        EL_TRY(host_value_make(dtype, shape, value, &data));
        if (value->tensor.size > 0)
            memcpy(data, content->data, value->tensor.size);
        return NULL;
    }
    EL_TRY(el_buf_status(text));
    struct host_strings strings;
    struct el_status *status = host_strings_begin(&strings, shape);
    size_t at = 0;
    for (size_t i = 0; status == NULL && i < strings.count; i++) {
        size_t size;
        memcpy(&size, content->data + i * sizeof size, sizeof size);
        host_strings_add(&strings, size == 0 ? NULL : text->data + at, size);
        at += size;
    }
    if (status == NULL)
        status = host_strings_end(&strings, shape, value);
    host_strings_free(&strings);
    return status;
}

/* ---- from a message ---- */

struct el_status *host_value_from_proto(const void *bytes, size_t size, const char *what, struct host_value *value)
{
    struct el_tensor_proto proto;
    if (!el_tensor_proto_scan(bytes, size, &proto))
        return el_status_new(EL_INVALID_ARGUMENT, "%s: its value is no TensorProto", what);
    EL_TRY(el_tensor_proto_head(&proto, what, strlen(what), HOST_MAX_BYTES));
    struct host_value made = { .tensor = { .dtype = proto.dtype, .shape = proto.shape, .size = proto.size },
                               .elements = proto.elements };
    EL_TRY(allocate(proto.size, &made.owned));
    el_tensor_proto_decode(&proto, made.owned);
    made.tensor.data = made.owned;
    *value = made;
    return NULL;
}
