/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From data to a message, as tensorflow::Tensor::AsProtoField and
 * AsProtoTensorContent make it: fields in the order of their numbers, numbers
 * packed, one value per element. Sizes are worked out first because lengths
 * stand before what they measure.
 */
#include "tensor/tensor_proto.h"
#include "tensor/tensor_proto_fields.h"

#include <string.h>

static size_t elements_of(const struct el_tensor *tensor)
{
    size_t elements = 1; /* checked: the product fits */
    for (int32_t i = 0; i < tensor->shape.rank; i++)
        elements *= (size_t)tensor->shape.dims[i];
    return elements;
}

static size_t dim_size(int64_t dim)
{
    return dim == 0 ? 0 : 1 + el_wire_varint_size((uint64_t)dim);
}

static size_t shape_size(const struct el_shape *shape)
{
    size_t size = 0;
    for (int32_t i = 0; i < shape->rank; i++)
        size += 2 + dim_size(shape->dims[i]); /* at most 11 bytes: the length takes one */
    return size;
}

/* Value i as the varint that stands for it: int_val and int64_val extend the sign. */
static uint64_t varint_value(const struct el_tensor *tensor, size_t i)
{
    const uint8_t *data = tensor->data;
    int8_t i8;
    int16_t i16;
    uint16_t u16;
    int32_t i32;
    uint32_t u32;
    uint64_t u64;
    switch (tensor->dtype) {
    case EL_INT8:
    case EL_QINT8:
        memcpy(&i8, data + i, sizeof i8);
        return (uint64_t)(int64_t)i8;
    case EL_INT16:
    case EL_QINT16:
        memcpy(&i16, data + i * sizeof i16, sizeof i16);
        return (uint64_t)(int64_t)i16;
    case EL_UINT16:
    case EL_QUINT16:
    case EL_HALF:
    case EL_BFLOAT16:
        memcpy(&u16, data + i * sizeof u16, sizeof u16);
        return u16;
    case EL_INT32:
    case EL_QINT32:
        memcpy(&i32, data + i * sizeof i32, sizeof i32);
        return (uint64_t)(int64_t)i32;
    case EL_UINT32:
        memcpy(&u32, data + i * sizeof u32, sizeof u32);
        return u32;
    case EL_INT64:
    case EL_UINT64:
        memcpy(&u64, data + i * sizeof u64, sizeof u64);
        return u64;
    case EL_BOOL:
        return data[i] != 0;
    default: /* UINT8, QUINT8 */
        return data[i];
    }
}

/* Bytes of all values, without tag and length. */
static size_t values_size(const struct el_tensor *tensor, enum el_wire_type entry, size_t elements)
{
    size_t size = 0;
    if (entry != EL_WIRE_VARINT)
        return tensor->size;
    if (tensor->dtype == EL_BOOL)
        return elements;
    for (size_t i = 0; i < elements; i++)
        size += el_wire_varint_size(varint_value(tensor, i));
    return size;
}

/* Strings as fields: each with tag and length. As content: lengths, then bytes. The second has no tags. */
static size_t strings_size(const struct el_tensor *tensor, size_t elements, bool content)
{
    size_t size = 0, length;
    for (size_t i = 0; i < elements; i++) {
        el_tensor_string(tensor, i, &length);
        size += (content ? 0 : 1) + el_wire_varint_size(length) + length;
    }
    return size;
}

static size_t delimited(uint32_t field, size_t size)
{
    return el_wire_varint_size((uint64_t)field << 3) + el_wire_varint_size(size) + size;
}

struct plan {
    size_t elements;
    uint32_t field; /* *_val */
    enum el_wire_type entry;
    bool content;
    size_t shape_size, data_size; /* without tag and length, but for fields of strings */
};

static struct plan make_plan(const struct el_tensor *tensor, enum el_tensor_proto_form form)
{
    struct plan plan = { .elements = elements_of(tensor), .shape_size = shape_size(&tensor->shape) };
    plan.content = form == EL_TENSOR_AS_CONTENT;
    plan.field = el_tensor_value_field(tensor->dtype);
    plan.entry = el_tensor_value_type(plan.field);
    if (plan.elements == 0)
        plan.data_size = 0;
    else if (tensor->dtype == EL_STRING)
        plan.data_size = strings_size(tensor, plan.elements, plan.content);
    else if (plan.content)
        plan.data_size = tensor->size;
    else
        plan.data_size = values_size(tensor, plan.entry, plan.elements);
    return plan;
}

size_t el_tensor_proto_size(const struct el_tensor *tensor, enum el_tensor_proto_form form)
{
    struct plan plan = make_plan(tensor, form);
    size_t size = 2 + delimited(TENSOR_SHAPE, plan.shape_size);
    if (plan.elements == 0)
        return size;
    if (tensor->dtype == EL_STRING && !plan.content)
        return size + plan.data_size;
    return size + delimited(plan.content ? (uint32_t)TENSOR_CONTENT : plan.field, plan.data_size);
}

static void write_shape(struct el_buf *buf, const struct el_shape *shape, size_t size)
{
    el_wire_put_length(buf, TENSOR_SHAPE, size);
    for (int32_t i = 0; i < shape->rank; i++) {
        el_wire_put_length(buf, TENSOR_SHAPE_DIM, dim_size(shape->dims[i]));
        if (shape->dims[i] != 0)
            el_wire_put_uint(buf, TENSOR_DIM_SIZE, (uint64_t)shape->dims[i]);
    }
}

static void write_strings(struct el_buf *buf, const struct el_tensor *tensor, const struct plan *plan)
{
    size_t length;
    if (plan->content) {
        el_wire_put_length(buf, TENSOR_CONTENT, plan->data_size);
        for (size_t i = 0; i < plan->elements; i++) {
            el_tensor_string(tensor, i, &length);
            el_wire_put_varint(buf, length);
        }
        for (size_t i = 0; i < plan->elements; i++) {
            const char *text = el_tensor_string(tensor, i, &length);
            el_buf_append(buf, text, length);
        }
        return;
    }
    for (size_t i = 0; i < plan->elements; i++) {
        const char *text = el_tensor_string(tensor, i, &length);
        el_wire_put_bytes(buf, TENSOR_STRING_VAL, text, length);
    }
}

static void write_varints(struct el_buf *buf, const struct el_tensor *tensor, const struct plan *plan)
{
    el_wire_put_length(buf, plan->field, plan->data_size);
    uint8_t *at = el_buf_reserve(buf, plan->data_size);
    if (at == NULL)
        return;
    uint8_t *end = at + plan->data_size;
    for (size_t i = 0; i < plan->elements; i++) {
        uint64_t value = varint_value(tensor, i);
        if ((size_t)(end - at) < el_wire_varint_size(value))
            break; /* data in shared memory may have changed since it was measured: the message stays well framed */
        at = el_wire_put_varint_at(at, value);
    }
    memset(at, 0, (size_t)(end - at));
    buf->size += plan->data_size;
}

void el_tensor_proto_write(struct el_buf *buf, const struct el_tensor *tensor, enum el_tensor_proto_form form)
{
    struct plan plan = make_plan(tensor, form);
    el_wire_put_uint(buf, TENSOR_DTYPE, (uint64_t)tensor->dtype);
    write_shape(buf, &tensor->shape, plan.shape_size);
    if (plan.elements == 0)
        return;
    if (tensor->dtype == EL_STRING)
        write_strings(buf, tensor, &plan);
    else if (plan.content)
        el_wire_put_bytes(buf, TENSOR_CONTENT, tensor->data, tensor->size);
    else if (plan.entry == EL_WIRE_VARINT)
        write_varints(buf, tensor, &plan);
    else
        el_wire_put_bytes(buf, plan.field, tensor->data, tensor->size);
}
