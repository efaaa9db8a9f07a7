/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensorflow.AttrValue of TensorFlow 2.21, with the tensors, shapes and functions that it may hold, from its descriptor: what a custom
 * graph optimizer of a ConfigProto (session_types.c) takes as parameters.
 */
#include "config/server_types.h"

#include <stddef.h>

#define FIELD(field_name, field_number, k) .name = (field_name), .number = (field_number), .kind = EL_TEXT_##k
#define FIELDS(array) .fields = (array), .field_count = sizeof(array) / sizeof(array)[0]

static const struct el_text_enum data_type[] = { { "DT_INVALID", 0 },
                                                 { "DT_FLOAT", 1 },
                                                 { "DT_DOUBLE", 2 },
                                                 { "DT_INT32", 3 },
                                                 { "DT_UINT8", 4 },
                                                 { "DT_INT16", 5 },
                                                 { "DT_INT8", 6 },
                                                 { "DT_STRING", 7 },
                                                 { "DT_COMPLEX64", 8 },
                                                 { "DT_INT64", 9 },
                                                 { "DT_BOOL", 10 },
                                                 { "DT_QINT8", 11 },
                                                 { "DT_QUINT8", 12 },
                                                 { "DT_QINT32", 13 },
                                                 { "DT_BFLOAT16", 14 },
                                                 { "DT_QINT16", 15 },
                                                 { "DT_QUINT16", 16 },
                                                 { "DT_UINT16", 17 },
                                                 { "DT_COMPLEX128", 18 },
                                                 { "DT_HALF", 19 },
                                                 { "DT_RESOURCE", 20 },
                                                 { "DT_VARIANT", 21 },
                                                 { "DT_UINT32", 22 },
                                                 { "DT_UINT64", 23 },
                                                 { "DT_FLOAT8_E5M2", 24 },
                                                 { "DT_FLOAT8_E4M3FN", 25 },
                                                 { "DT_FLOAT8_E4M3FNUZ", 26 },
                                                 { "DT_FLOAT8_E4M3B11FNUZ", 27 },
                                                 { "DT_FLOAT8_E5M2FNUZ", 28 },
                                                 { "DT_INT4", 29 },
                                                 { "DT_UINT4", 30 },
                                                 { "DT_INT2", 31 },
                                                 { "DT_UINT2", 32 },
                                                 { "DT_FLOAT4_E2M1FN", 33 },
                                                 { "DT_FLOAT_REF", 101 },
                                                 { "DT_DOUBLE_REF", 102 },
                                                 { "DT_INT32_REF", 103 },
                                                 { "DT_UINT8_REF", 104 },
                                                 { "DT_INT16_REF", 105 },
                                                 { "DT_INT8_REF", 106 },
                                                 { "DT_STRING_REF", 107 },
                                                 { "DT_COMPLEX64_REF", 108 },
                                                 { "DT_INT64_REF", 109 },
                                                 { "DT_BOOL_REF", 110 },
                                                 { "DT_QINT8_REF", 111 },
                                                 { "DT_QUINT8_REF", 112 },
                                                 { "DT_QINT32_REF", 113 },
                                                 { "DT_BFLOAT16_REF", 114 },
                                                 { "DT_QINT16_REF", 115 },
                                                 { "DT_QUINT16_REF", 116 },
                                                 { "DT_UINT16_REF", 117 },
                                                 { "DT_COMPLEX128_REF", 118 },
                                                 { "DT_HALF_REF", 119 },
                                                 { "DT_RESOURCE_REF", 120 },
                                                 { "DT_VARIANT_REF", 121 },
                                                 { "DT_UINT32_REF", 122 },
                                                 { "DT_UINT64_REF", 123 },
                                                 { "DT_FLOAT8_E5M2_REF", 124 },
                                                 { "DT_FLOAT8_E4M3FN_REF", 125 },
                                                 { "DT_FLOAT8_E4M3FNUZ_REF", 126 },
                                                 { "DT_FLOAT8_E4M3B11FNUZ_REF", 127 },
                                                 { "DT_FLOAT8_E5M2FNUZ_REF", 128 },
                                                 { "DT_INT4_REF", 129 },
                                                 { "DT_UINT4_REF", 130 },
                                                 { "DT_INT2_REF", 131 },
                                                 { "DT_UINT2_REF", 132 },
                                                 { "DT_FLOAT4_E2M1FN_REF", 133 },
                                                 { NULL, 0 } };
static const struct el_text_type tensor_proto; /* a variant holds tensors, and a tensor variants */

static const struct el_text_field tensor_shape_proto_dim_fields[] = {
    { FIELD("size", 1, INT64) },
    { FIELD("name", 2, STRING) },
};
static const struct el_text_type tensor_shape_proto_dim = { .name = "tensorflow.TensorShapeProto.Dim",
                                                            FIELDS(tensor_shape_proto_dim_fields) };

static const struct el_text_field tensor_shape_proto_fields[] = {
    { FIELD("dim", 2, MESSAGE), .message = &tensor_shape_proto_dim, .repeated = true },
    { FIELD("unknown_rank", 3, BOOL) },
};
static const struct el_text_type tensor_shape_proto = { .name = "tensorflow.TensorShapeProto",
                                                        FIELDS(tensor_shape_proto_fields) };

static const struct el_text_field resource_handle_proto_dtype_and_shape_fields[] = {
    { FIELD("dtype", 1, ENUM), .values = data_type },
    { FIELD("shape", 2, MESSAGE), .message = &tensor_shape_proto },
};
static const struct el_text_type resource_handle_proto_dtype_and_shape = {
    .name = "tensorflow.ResourceHandleProto.DtypeAndShape", FIELDS(resource_handle_proto_dtype_and_shape_fields)
};

static const struct el_text_field resource_handle_proto_fields[] = {
    { FIELD("device", 1, STRING) },
    { FIELD("container", 2, STRING) },
    { FIELD("name", 3, STRING) },
    { FIELD("hash_code", 4, UINT64) },
    { FIELD("maybe_type_name", 5, STRING) },
    { FIELD("dtypes_and_shapes", 6, MESSAGE), .message = &resource_handle_proto_dtype_and_shape, .repeated = true },
};
static const struct el_text_type resource_handle_proto = { .name = "tensorflow.ResourceHandleProto",
                                                           FIELDS(resource_handle_proto_fields) };

static const struct el_text_field variant_tensor_data_proto_fields[] = {
    { FIELD("type_name", 1, STRING) },
    { FIELD("metadata", 2, STRING) },
    { FIELD("tensors", 3, MESSAGE), .message = &tensor_proto, .repeated = true },
};
static const struct el_text_type variant_tensor_data_proto = { .name = "tensorflow.VariantTensorDataProto",
                                                               FIELDS(variant_tensor_data_proto_fields) };

static const struct el_text_field tensor_proto_fields[] = {
    { FIELD("dtype", 1, ENUM), .values = data_type },
    { FIELD("tensor_shape", 2, MESSAGE), .message = &tensor_shape_proto },
    { FIELD("version_number", 3, INT32) },
    { FIELD("tensor_content", 4, STRING) },
    { FIELD("half_val", 13, INT32), .repeated = true },
    { FIELD("float_val", 5, FLOAT), .repeated = true },
    { FIELD("double_val", 6, DOUBLE), .repeated = true },
    { FIELD("int_val", 7, INT32), .repeated = true },
    { FIELD("string_val", 8, STRING), .repeated = true },
    { FIELD("scomplex_val", 9, FLOAT), .repeated = true },
    { FIELD("int64_val", 10, INT64), .repeated = true },
    { FIELD("bool_val", 11, BOOL), .repeated = true },
    { FIELD("dcomplex_val", 12, DOUBLE), .repeated = true },
    { FIELD("resource_handle_val", 14, MESSAGE), .message = &resource_handle_proto, .repeated = true },
    { FIELD("variant_val", 15, MESSAGE), .message = &variant_tensor_data_proto, .repeated = true },
    { FIELD("uint32_val", 16, UINT32), .repeated = true },
    { FIELD("uint64_val", 17, UINT64), .repeated = true },
    { FIELD("float8_val", 18, STRING) },
};
static const struct el_text_type tensor_proto = { .name = "tensorflow.TensorProto", FIELDS(tensor_proto_fields) };

static const struct el_text_field name_attr_list_attr_entry_fields[] = {
    { FIELD("key", 1, STRING) },
    { FIELD("value", 2, MESSAGE), .message = &el_type_attr_value },
};
static const struct el_text_type name_attr_list_attr_entry = { .name = "tensorflow.NameAttrList.AttrEntry",
                                                               FIELDS(name_attr_list_attr_entry_fields) };

static const struct el_text_field name_attr_list_fields[] = {
    { FIELD("name", 1, STRING) },
    { FIELD("attr", 2, MESSAGE), .message = &name_attr_list_attr_entry, .repeated = true },
};
static const struct el_text_type name_attr_list = { .name = "tensorflow.NameAttrList", FIELDS(name_attr_list_fields) };

static const struct el_text_field attr_value_list_value_fields[] = {
    { FIELD("s", 2, STRING), .repeated = true },
    { FIELD("i", 3, INT64), .repeated = true },
    { FIELD("f", 4, FLOAT), .repeated = true },
    { FIELD("b", 5, BOOL), .repeated = true },
    { FIELD("type", 6, ENUM), .values = data_type, .repeated = true },
    { FIELD("shape", 7, MESSAGE), .message = &tensor_shape_proto, .repeated = true },
    { FIELD("tensor", 8, MESSAGE), .message = &tensor_proto, .repeated = true },
    { FIELD("func", 9, MESSAGE), .message = &name_attr_list, .repeated = true },
};
static const struct el_text_type attr_value_list_value = { .name = "tensorflow.AttrValue.ListValue",
                                                           FIELDS(attr_value_list_value_fields) };

static const struct el_text_field attr_value_fields[] = {
    { FIELD("s", 2, STRING), .oneof = "value" },
    { FIELD("i", 3, INT64), .oneof = "value" },
    { FIELD("f", 4, FLOAT), .oneof = "value" },
    { FIELD("b", 5, BOOL), .oneof = "value" },
    { FIELD("type", 6, ENUM), .values = data_type, .oneof = "value" },
    { FIELD("shape", 7, MESSAGE), .message = &tensor_shape_proto, .oneof = "value" },
    { FIELD("tensor", 8, MESSAGE), .message = &tensor_proto, .oneof = "value" },
    { FIELD("list", 1, MESSAGE), .message = &attr_value_list_value, .oneof = "value" },
    { FIELD("func", 10, MESSAGE), .message = &name_attr_list, .oneof = "value" },
    { FIELD("placeholder", 9, STRING), .oneof = "value" },
};
const struct el_text_type el_type_attr_value = { .name = "tensorflow.AttrValue", FIELDS(attr_value_fields) };
