/* SPDX-License-Identifier: Apache-2.0 */
/* Field by field, in the order of tensor.proto's text, as they were sent: a value that stands for many is one. */
#include "api/tensor_json.h"

#include "tensor/json.h"
#include "tensor/tensor_proto.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum kind { FLOAT, DOUBLE, INT32, INT64, UINT32, UINT64, BOOL, BYTES, OPAQUE };

static const struct list {
    const char *name;
    uint32_t number;
    enum kind kind;
} lists[] = {
    { "half_val", 13, INT32 },      { "float_val", 5, FLOAT },
    { "double_val", 6, DOUBLE },    { "int_val", 7, INT32 },
    { "string_val", 8, BYTES },     { "scomplex_val", 9, FLOAT },
    { "int64_val", 10, INT64 },     { "bool_val", 11, BOOL },
    { "dcomplex_val", 12, DOUBLE }, { "resource_handle_val", 14, OPAQUE },
    { "variant_val", 15, OPAQUE },  { "uint32_val", 16, UINT32 },
    { "uint64_val", 17, UINT64 },
};

static json_t *base64(const char *bytes, size_t size)
{
    struct el_buf text = { 0 };
    el_json_put_base64(&text, bytes, size);
    json_t *json = text.failed || text.size < 2 ? NULL : json_stringn((const char *)text.data + 1, text.size - 2);
    el_buf_free(&text);
    return json;
}

static json_t *real(double value)
{
    if (isnan(value))
        return json_string("NaN");
    if (isinf(value))
        return json_string(value > 0 ? "Infinity" : "-Infinity");
    return json_real(value);
}

/* Numbers of 64 bits are strings in JSON. */
static json_t *wide(int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, value);
    return json_string(text);
}

static json_t *wide_unsigned(uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    return json_string(text);
}

static json_t *varint(enum kind kind, uint64_t value)
{
    switch (kind) {
    case INT64:
        return wide((int64_t)value);
    case UINT64:
        return wide_unsigned(value);
    case BOOL:
        return json_boolean(value != 0);
    case UINT32:
        return json_integer((uint32_t)value);
    default:
        return json_integer((int32_t)value);
    }
}

/* One number, packed or not. */
static bool put_number(struct el_wire *wire, enum kind kind, json_t *array)
{
    if (kind == FLOAT || kind == DOUBLE) {
        const size_t size = kind == FLOAT ? sizeof(float) : sizeof(double);
        if ((size_t)(wire->end - wire->at) < size)
            return false;
        float single;
        double value;
        if (kind == FLOAT) {
            memcpy(&single, wire->at, size);
            value = (double)single;
        } else {
            memcpy(&value, wire->at, size);
        }
        wire->at += size;
        return json_array_append_new(array, real(value)) == 0;
    }
    uint64_t value;
    return el_wire_varint(wire, &value) && json_array_append_new(array, varint(kind, value)) == 0;
}

static bool put_value(struct el_wire *wire, uint32_t field, enum el_wire_type type, enum kind kind, json_t *array)
{
    struct el_wire inside;
    if (kind == OPAQUE)
        return el_wire_skip(wire, field, type);
    if (type != EL_WIRE_BYTES)
        return kind != BYTES && put_number(wire, kind, array);
    if (!el_wire_bytes(wire, &inside))
        return false;
    if (kind == BYTES)
        return json_array_append_new(array, base64((const char *)inside.at, (size_t)(inside.end - inside.at))) == 0;
    while (!el_wire_done(&inside))
        if (!put_number(&inside, kind, array))
            return false;
    return true;
}

static bool put_list(struct el_wire wire, const struct list *list, json_t *tensor)
{
    json_t *array = json_array();
    if (json_object_set_new(tensor, list->name, array) != 0)
        return false;
    while (!el_wire_done(&wire)) {
        uint32_t field;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &field, &type) ||
            !(field == list->number ? put_value(&wire, field, type, list->kind, array)
                                    : el_wire_skip(&wire, field, type)))
            return false;
    }
    return true;
}

static json_t *shape_json(const struct el_shape *shape)
{
    json_t *dims = json_array();
    for (int32_t i = 0; i < shape->rank; i++)
        json_array_append_new(dims, json_pack("{s:o, s:s}", "size", wide(shape->dims[i]), "name", ""));
    return json_pack("{s:o, s:b}", "dim", dims, "unknown_rank", 0);
}

json_t *el_tensor_proto_json(const uint8_t *bytes, size_t size)
{
    struct el_tensor_proto proto;
    if (!el_tensor_proto_scan(bytes, size, &proto))
        return NULL;
    json_t *tensor = json_pack("{s:s, s:o, s:i, s:o}", "dtype", el_dtype_name(proto.dtype), "tensor_shape",
                               shape_json(&proto.shape), "version_number", 0, "tensor_content",
                               base64((const char *)proto.content.at, (size_t)(proto.content.end - proto.content.at)));
    for (size_t i = 0; tensor != NULL && i < sizeof lists / sizeof lists[0]; i++) {
        if (!put_list(el_wire_of(bytes, size), &lists[i], tensor)) {
            json_decref(tensor);
            return NULL;
        }
    }
    if (tensor != NULL)
        json_object_set_new(tensor, "float8_val", json_string(""));
    return tensor;
}
