/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cast, as TensorFlow's kernels do it on x86: what a number of the target cannot hold is cut as C does for integers; a real number that
 * no integer of the target holds becomes what the processor's conversion gives. Complex numbers lose their imaginary part.
 */
#include "engine/host_op.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- half and bfloat16 ---- */

float host_bfloat16_to_float(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

float host_half_to_float(uint16_t half)
{
    const int exponent = half >> 10 & 31, fraction = half & 0x3ff;
    const float sign = (half & 0x8000) != 0 ? -1.0f : 1.0f;
    if (exponent == 31)
        return fraction != 0 ? NAN : sign * INFINITY;
    return sign * (exponent == 0 ? ldexpf((float)fraction, -24) : ldexpf((float)(fraction + 1024), exponent - 25));
}

/* To the nearest, halves to even. */
static uint16_t float_to_bfloat16(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    if (isnan(number))
        return (bits >> 31) != 0 ? 0xffc0 : 0x7fc0;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t float_to_half(float number)
{
    const uint16_t sign = signbit(number) ? 0x8000 : 0;
    const float size = fabsf(number);
    if (isnan(number))
        return sign | 0x7e00;
    if (size >= 65520.0f) /* half a step beyond the largest */
        return sign | 0x7c00;
    if (size < 0x1p-14f) /* steps of 2^-24 from 0 on: the number of steps is the bits */
        return sign | (uint16_t)nearbyintf(size * 0x1p24f);
    int exponent;
    const float fraction = frexpf(size, &exponent); /* in [0.5, 1) */
    const unsigned steps = (unsigned)nearbyintf(fraction *
                                                2048.0f); /* 1024 to 2048; the carry goes into the exponent */
    return sign | (uint16_t)(((unsigned)(exponent + 13) << 10) + steps);
}

/* ---- reading ---- */

double host_number(const struct host_value *value, size_t i)
{
    const void *data = value->tensor.data;
    switch (value->tensor.dtype) {
    case EL_FLOAT:
        return (double)((const float *)data)[i];
    case EL_DOUBLE:
        return ((const double *)data)[i];
    case EL_HALF:
        return (double)host_half_to_float(((const uint16_t *)data)[i]);
    case EL_BFLOAT16:
        return (double)host_bfloat16_to_float(((const uint16_t *)data)[i]);
    case EL_COMPLEX64:
        return (double)((const float *)data)[2 * i];
    case EL_COMPLEX128:
        return ((const double *)data)[2 * i];
    case EL_INT8:
    case EL_QINT8:
        return ((const int8_t *)data)[i];
    case EL_UINT8:
    case EL_QUINT8:
        return ((const uint8_t *)data)[i];
    case EL_BOOL:
        return ((const uint8_t *)data)[i] != 0;
    case EL_INT16:
    case EL_QINT16:
        return ((const int16_t *)data)[i];
    case EL_UINT16:
    case EL_QUINT16:
        return ((const uint16_t *)data)[i];
    case EL_INT32:
    case EL_QINT32:
        return ((const int32_t *)data)[i];
    case EL_UINT32:
        return ((const uint32_t *)data)[i];
    case EL_INT64:
        return (double)((const int64_t *)data)[i];
    case EL_UINT64:
        return (double)((const uint64_t *)data)[i];
    default:
        return 0;
    }
}

double host_imaginary(const struct host_value *value, size_t i)
{
    if (value->tensor.dtype == EL_COMPLEX64)
        return (double)((const float *)value->tensor.data)[2 * i + 1];
    return value->tensor.dtype == EL_COMPLEX128 ? ((const double *)value->tensor.data)[2 * i + 1] : 0;
}

static bool is_whole(enum el_dtype type)
{
    return !el_dtype_is_floating(type);
}

/* The bits of a whole number, cut or extended to 64. */
static uint64_t whole(const struct host_value *value, size_t i)
{
    if (value->tensor.dtype == EL_UINT64 || value->tensor.dtype == EL_INT64)
        return ((const uint64_t *)value->tensor.data)[i];
    return (uint64_t)(int64_t)host_number(value, i);
}

/* As cvttsd2si: what fits in no int64 is the least of them. */
static uint64_t truncate(double number)
{
    return number >= -0x1p63 && number < 0x1p63 ? (uint64_t)(int64_t)number : UINT64_C(1) << 63;
}

/* As the processor converts to 32 bits: what does not fit is the least int32. */
static uint64_t truncate_32(double number)
{
    return number > -2147483649.0 && number < 2147483648.0 ? (uint64_t)(int64_t)number : (uint64_t)(int64_t)INT32_MIN;
}

/* To uint64 compilers subtract 2^63 first where that is needed. */
static uint64_t truncate_unsigned(double number)
{
    return number >= 0x1p63 ? truncate(number - 0x1p63) ^ UINT64_C(1) << 63 : truncate(number);
}

/* ---- writing ---- */

static void put_whole(uint64_t bits, enum el_dtype type, void *data, size_t i)
{
    switch (el_dtype_size(type)) {
    case 1:
        ((uint8_t *)data)[i] = (uint8_t)bits;
        return;
    case 2:
        ((uint16_t *)data)[i] = (uint16_t)bits;
        return;
    case 4:
        ((uint32_t *)data)[i] = (uint32_t)bits;
        return;
    default:
        ((uint64_t *)data)[i] = bits;
    }
}

static void put_real(double real, double imagined, enum el_dtype type, void *data, size_t i)
{
    switch (type) {
    case EL_FLOAT:
        ((float *)data)[i] = (float)real;
        return;
    case EL_DOUBLE:
        ((double *)data)[i] = real;
        return;
    case EL_HALF:
        ((uint16_t *)data)[i] = float_to_half((float)real);
        return;
    case EL_BFLOAT16:
        ((uint16_t *)data)[i] = float_to_bfloat16((float)real);
        return;
    case EL_COMPLEX64:
        ((float *)data)[2 * i] = (float)real;
        ((float *)data)[2 * i + 1] = (float)imagined;
        return;
    default:
        ((double *)data)[2 * i] = real;
        ((double *)data)[2 * i + 1] = imagined;
    }
}

static void cast(const struct host_value *from, size_t i, enum el_dtype type, void *data)
{
    const bool was_whole = is_whole(from->tensor.dtype);
    if (type == EL_BOOL)
        ((uint8_t *)data)[i] = was_whole ? whole(from, i) != 0
                                         : host_number(from, i) != 0 || host_imaginary(from, i) != 0;
    else if (!is_whole(type))
        put_real(host_number(from, i), host_imaginary(from, i), type, data, i);
    else if (was_whole)
        put_whole(whole(from, i), type, data, i);
    else if (type == EL_UINT64)
        put_whole(truncate_unsigned(host_number(from, i)), type, data, i);
    else if (type == EL_INT64 || type == EL_UINT32)
        put_whole(truncate(host_number(from, i)), type, data, i);
    else
        put_whole(truncate_32(host_number(from, i)), type, data, i);
}

static struct el_status *make_cast(const struct host_def *def, void **state)
{
    const enum el_dtype from = host_attr_type(def, "SrcT", EL_DTYPE_INVALID);
    const enum el_dtype to = host_attr_type(def, "DstT", EL_DTYPE_INVALID);
    if (el_dtype_size(from) == 0 || el_dtype_size(to) == 0 || host_attr_bool(def, "Truncate", false))
        return el_status_new(EL_UNIMPLEMENTED, "Cast from %s to %s", el_dtype_short_name(from),
                             el_dtype_short_name(to));
    enum el_dtype *type = malloc(sizeof *type);
    if (type == NULL)
        return el_status_no_memory();
    *type = to;
    *state = type;
    return NULL;
}

static struct el_status *run_cast(const struct host_call *call)
{
    const enum el_dtype type = *(const enum el_dtype *)call->state;
    const struct host_value *from = call->inputs[0];
    void *data;
    EL_TRY(host_value_make(type, &from->tensor.shape, &call->outputs[0], &data));
    if (type == from->tensor.dtype && from->tensor.size > 0)
        memcpy(data, from->tensor.data, from->tensor.size);
    for (size_t i = 0; type != from->tensor.dtype && i < from->elements; i++)
        cast(from, i, type, data);
    return NULL;
}

const struct host_op host_cast_ops[] = {
    { .name = "Cast",
      .type_attr = "DstT",
      .shape_of = 1,
      .inputs = 1,
      .first_attr = "SrcT",
      .make = make_cast,
      .run = run_cast },
    { .name = NULL },
};
