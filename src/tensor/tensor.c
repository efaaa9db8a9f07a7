/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *short_name;
    uint8_t size; /* of one element; 0: no data of fixed size */
} dtypes[] = {
    [EL_DTYPE_INVALID] = { "DT_INVALID", "invalid", 0 },
    [EL_FLOAT] = { "DT_FLOAT", "float", 4 },
    [EL_DOUBLE] = { "DT_DOUBLE", "double", 8 },
    [EL_INT32] = { "DT_INT32", "int32", 4 },
    [EL_UINT8] = { "DT_UINT8", "uint8", 1 },
    [EL_INT16] = { "DT_INT16", "int16", 2 },
    [EL_INT8] = { "DT_INT8", "int8", 1 },
    [EL_STRING] = { "DT_STRING", "string", 0 },
    [EL_COMPLEX64] = { "DT_COMPLEX64", "complex64", 8 },
    [EL_INT64] = { "DT_INT64", "int64", 8 },
    [EL_BOOL] = { "DT_BOOL", "bool", 1 },
    [EL_QINT8] = { "DT_QINT8", "qint8", 1 },
    [EL_QUINT8] = { "DT_QUINT8", "quint8", 1 },
    [EL_QINT32] = { "DT_QINT32", "qint32", 4 },
    [EL_BFLOAT16] = { "DT_BFLOAT16", "bfloat16", 2 },
    [EL_QINT16] = { "DT_QINT16", "qint16", 2 },
    [EL_QUINT16] = { "DT_QUINT16", "quint16", 2 },
    [EL_UINT16] = { "DT_UINT16", "uint16", 2 },
    [EL_COMPLEX128] = { "DT_COMPLEX128", "complex128", 16 },
    [EL_HALF] = { "DT_HALF", "half", 2 },
    [EL_RESOURCE] = { "DT_RESOURCE", "resource", 0 },
    [EL_VARIANT] = { "DT_VARIANT", "variant", 0 },
    [EL_UINT32] = { "DT_UINT32", "uint32", 4 },
    [EL_UINT64] = { "DT_UINT64", "uint64", 8 },
};

/* A dtype may come from the wire: any number. */
static size_t known(enum el_dtype dtype)
{
    size_t number = (size_t)dtype;
    return number < sizeof dtypes / sizeof dtypes[0] ? number : EL_DTYPE_INVALID;
}

size_t el_dtype_size(enum el_dtype dtype)
{
    return dtypes[known(dtype)].size;
}

const char *el_dtype_name(enum el_dtype dtype)
{
    return dtypes[known(dtype)].name;
}

const char *el_dtype_short_name(enum el_dtype dtype)
{
    return dtypes[known(dtype)].short_name;
}

bool el_dtype_is_data(enum el_dtype dtype)
{
    return dtype == EL_STRING || el_dtype_size(dtype) != 0;
}

bool el_dtype_is_floating(enum el_dtype dtype)
{
    return dtype == EL_FLOAT || dtype == EL_DOUBLE || dtype == EL_HALF || dtype == EL_BFLOAT16 ||
           dtype == EL_COMPLEX64 || dtype == EL_COMPLEX128;
}

struct el_status *el_shape_elements(const struct el_shape *shape, size_t *elements)
{
    if (shape->rank < 0 || shape->rank > EL_MAX_RANK)
        return el_status_new(EL_INVALID_ARGUMENT, "the rank of a tensor is %" PRId32 ", expected 0 to %d", shape->rank,
                             EL_MAX_RANK);
    int64_t product = 1;
    for (int32_t i = 0; i < shape->rank; i++) {
        int64_t dim = shape->dims[i];
        if (dim < 0)
            return el_status_new(EL_INVALID_ARGUMENT, "dim %" PRId32 " of a tensor is %" PRId64 ", expected 0 or more",
                                 i, dim);
        if (__builtin_mul_overflow(product, dim, &product))
            return el_status_new(EL_INVALID_ARGUMENT, "a tensor has more elements than 63 bits can count");
    }
    *elements = (size_t)product;
    return NULL;
}

bool el_shape_fits(const struct el_shape *declared, const struct el_shape *shape)
{
    if (declared->rank < 0)
        return true;
    if (declared->rank != shape->rank)
        return false;
    for (int32_t i = 0; i < shape->rank && i < EL_MAX_RANK; i++) {
        if (declared->dims[i] >= 0 && declared->dims[i] != shape->dims[i])
            return false;
    }
    return true;
}

char *el_shape_print(const struct el_shape *shape, char *text, size_t size)
{
    if (shape->rank < 0) {
        snprintf(text, size, "<unknown>");
        return text;
    }
    size_t used = 0;
    for (int32_t i = 0; i < shape->rank && i < EL_MAX_RANK; i++) {
        const char *before = i == 0 ? "[" : ",";
        int more = shape->dims[i] < 0 ? snprintf(text + used, size - used, "%s?", before)
                                      : snprintf(text + used, size - used, "%s%" PRId64, before, shape->dims[i]);
        if (more < 0 || (size_t)more >= size - used)
            return text;
        used += (size_t)more;
    }
    snprintf(text + used, size - used, used == 0 ? "[]" : "]");
    return text;
}

struct el_status *el_tensor_bytes(enum el_dtype dtype, const struct el_shape *shape, size_t *bytes)
{
    size_t element = el_dtype_size(dtype);
    if (element == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "a tensor of %s (%d) has no size that follows from its shape",
                             el_dtype_short_name(dtype), (int)dtype);
    size_t elements;
    EL_TRY(el_shape_elements(shape, &elements));
    if (__builtin_mul_overflow(elements, element, bytes))
        return el_status_new(EL_INVALID_ARGUMENT, "a tensor of %zu elements of %s is larger than memory", elements,
                             el_dtype_short_name(dtype));
    return NULL;
}

/* Reads memory that another process may write to: the asm keeps the compiler from reading it a second time. */
static uint64_t load_once(const void *at)
{
    uint64_t value;
    assert(at != NULL); /* the callers have checked the size */
    memcpy(&value, at, sizeof value);
    __asm__ volatile("" : "+r"(value));
    return value;
}

static uint64_t load_offset(const struct el_tensor *tensor, size_t i)
{
    return load_once((const uint8_t *)tensor->data + i * sizeof(uint64_t));
}

static struct el_status *check_strings(const struct el_tensor *tensor, size_t elements)
{
    size_t table;
    if (__builtin_add_overflow(elements, (size_t)1, &table) ||
        __builtin_mul_overflow(table, sizeof(uint64_t), &table) || table > tensor->size)
        return el_status_new(EL_INVALID_ARGUMENT, "the offsets of %zu strings do not fit in %zu bytes", elements,
                             tensor->size);
    uint64_t last = load_offset(tensor, 0);
    if (last != table)
        return el_status_new(EL_INVALID_ARGUMENT, "the first of %zu strings starts at %" PRIu64 ", expected %zu",
                             elements, last, table);
    for (size_t i = 1; i <= elements; i++) {
        uint64_t offset = load_offset(tensor, i);
        if (offset < last || offset > tensor->size)
            return el_status_new(EL_INVALID_ARGUMENT,
                                 "string %zu ends at %" PRIu64 ", expected %" PRIu64 " to %zu, the size of the data",
                                 i - 1, offset, last, tensor->size);
        last = offset;
    }
    if (last != tensor->size)
        return el_status_new(EL_INVALID_ARGUMENT, "the last of %zu strings ends at %" PRIu64 ", expected %zu", elements,
                             last, tensor->size);
    return NULL;
}

struct el_status *el_tensor_check(const struct el_tensor *tensor)
{
    if (!el_dtype_is_data(tensor->dtype))
        return el_status_new(EL_INVALID_ARGUMENT, "a tensor has dtype %s (%d), which holds no data",
                             el_dtype_short_name(tensor->dtype), (int)tensor->dtype);
    if (tensor->data == NULL && tensor->size != 0)
        return el_status_new(EL_INVALID_ARGUMENT, "a tensor of %zu bytes has no data", tensor->size);
    if (tensor->dtype == EL_STRING) {
        size_t elements;
        EL_TRY(el_shape_elements(&tensor->shape, &elements));
        return check_strings(tensor, elements);
    }
    size_t bytes;
    EL_TRY(el_tensor_bytes(tensor->dtype, &tensor->shape, &bytes));
    if (bytes != tensor->size) {
        char shape[400];
        return el_status_new(EL_INVALID_ARGUMENT, "a tensor of %s with shape %s has %zu bytes, expected %zu",
                             el_dtype_short_name(tensor->dtype), el_shape_print(&tensor->shape, shape, sizeof shape),
                             tensor->size, bytes);
    }
    return NULL;
}

const char *el_tensor_string(const struct el_tensor *tensor, size_t i, size_t *length)
{
    uint64_t start = load_offset(tensor, i);
    uint64_t end = load_offset(tensor, i + 1);
    if (end > tensor->size)
        end = tensor->size;
    if (start > end)
        start = end;
    *length = (size_t)(end - start);
    return (const char *)tensor->data + start;
}

/*
 * A floating number is NaN or infinite when all bits of its exponent are set. Each function looks at blocks of 64
 * without a branch, so that the compiler makes vector code of it, and only then for the place.
 */
#define FIRST_SET(name, type, exponent)                             \
    static int64_t name(const uint8_t *data, size_t count)          \
    {                                                               \
        for (size_t from = 0; from < count; from += 64) {           \
            size_t to = count - from < 64 ? count : from + 64;      \
            unsigned found = 0;                                     \
            for (size_t i = from; i < to; i++) {                    \
                type bits;                                          \
                memcpy(&bits, data + i * sizeof bits, sizeof bits); \
                found |= (bits & (exponent)) == (exponent);         \
            }                                                       \
            for (size_t i = from; found && i < to; i++) {           \
                type bits;                                          \
                memcpy(&bits, data + i * sizeof bits, sizeof bits); \
                if ((bits & (exponent)) == (exponent))              \
                    return (int64_t)i;                              \
            }                                                       \
        }                                                           \
        return -1;                                                  \
    }

FIRST_SET(first_half, uint16_t, 0x7c00u)
FIRST_SET(first_bfloat16, uint16_t, 0x7f80u)
FIRST_SET(first_float, uint32_t, 0x7f800000u)
FIRST_SET(first_double, uint64_t, 0x7ff0000000000000u)

int64_t el_tensor_first_nonfinite(const struct el_tensor *tensor)
{
    int64_t first;
    switch (tensor->dtype) {
    case EL_HALF:
        return first_half(tensor->data, tensor->size / 2);
    case EL_BFLOAT16:
        return first_bfloat16(tensor->data, tensor->size / 2);
    case EL_FLOAT:
        return first_float(tensor->data, tensor->size / 4);
    case EL_DOUBLE:
        return first_double(tensor->data, tensor->size / 8);
    case EL_COMPLEX64:
        first = first_float(tensor->data, tensor->size / 4);
        return first < 0 ? -1 : first / 2;
    case EL_COMPLEX128:
        first = first_double(tensor->data, tensor->size / 8);
        return first < 0 ? -1 : first / 2;
    default:
        return -1;
    }
}
