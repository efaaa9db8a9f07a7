/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor_proto_fields.h"

enum el_wire_type el_tensor_value_type(uint32_t field)
{
    switch (field) {
    case TENSOR_FLOAT_VAL:
    case TENSOR_SCOMPLEX_VAL:
        return EL_WIRE_FIXED32;
    case TENSOR_DOUBLE_VAL:
    case TENSOR_DCOMPLEX_VAL:
        return EL_WIRE_FIXED64;
    case TENSOR_STRING_VAL:
        return EL_WIRE_BYTES;
    case TENSOR_INT_VAL:
    case TENSOR_INT64_VAL:
    case TENSOR_BOOL_VAL:
    case TENSOR_HALF_VAL:
    case TENSOR_UINT32_VAL:
    case TENSOR_UINT64_VAL:
        return EL_WIRE_VARINT;
    default:
        return EL_WIRE_END_GROUP;
    }
}

uint32_t el_tensor_value_field(enum el_dtype dtype)
{
    switch (dtype) {
    case EL_FLOAT:
        return TENSOR_FLOAT_VAL;
    case EL_DOUBLE:
        return TENSOR_DOUBLE_VAL;
    case EL_INT32:
    case EL_INT16:
    case EL_INT8:
    case EL_UINT16:
    case EL_UINT8:
    case EL_QINT8:
    case EL_QUINT8:
    case EL_QINT16:
    case EL_QUINT16:
    case EL_QINT32:
        return TENSOR_INT_VAL;
    case EL_STRING:
        return TENSOR_STRING_VAL;
    case EL_COMPLEX64:
        return TENSOR_SCOMPLEX_VAL;
    case EL_INT64:
        return TENSOR_INT64_VAL;
    case EL_BOOL:
        return TENSOR_BOOL_VAL;
    case EL_COMPLEX128:
        return TENSOR_DCOMPLEX_VAL;
    case EL_HALF:
    case EL_BFLOAT16:
        return TENSOR_HALF_VAL;
    case EL_UINT32:
        return TENSOR_UINT32_VAL;
    case EL_UINT64:
        return TENSOR_UINT64_VAL;
    case EL_DTYPE_INVALID:
    case EL_RESOURCE:
    case EL_VARIANT:
        break;
    }
    return 0;
}
