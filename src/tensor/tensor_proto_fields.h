/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_TENSOR_PROTO_FIELDS_H
#define EL_TENSOR_TENSOR_PROTO_FIELDS_H

/*
 * The fields of tensorflow.TensorProto and TensorShapeProto, for the files that
 * read and write them. Pure.
 */

#include "tensor/tensor.h"
#include "tensor/wire.h"

enum el_tensor_proto_field {
    TENSOR_DTYPE = 1,
    TENSOR_SHAPE = 2,
    TENSOR_CONTENT = 4,
    TENSOR_FLOAT_VAL = 5,
    TENSOR_DOUBLE_VAL = 6,
    TENSOR_INT_VAL = 7,
    TENSOR_STRING_VAL = 8,
    TENSOR_SCOMPLEX_VAL = 9,
    TENSOR_INT64_VAL = 10,
    TENSOR_BOOL_VAL = 11,
    TENSOR_DCOMPLEX_VAL = 12,
    TENSOR_HALF_VAL = 13,
    TENSOR_UINT32_VAL = 16,
    TENSOR_UINT64_VAL = 17,
    TENSOR_SHAPE_DIM = 2,
    TENSOR_DIM_SIZE = 1,
    TENSOR_DIM_NAME = 2,
};

/* The wire type of one entry of a *_val field; END_GROUP for fields that are none. */
enum el_wire_type el_tensor_value_type(uint32_t field);

/* The *_val field that holds values of dtype; 0 for dtypes that are not data. */
uint32_t el_tensor_value_field(enum el_dtype dtype);

#endif
