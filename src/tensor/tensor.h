/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_TENSOR_H
#define EL_TENSOR_TENSOR_H

/*
 * What a tensor is, to every part of Everlit: a dtype, a shape and a run of
 * bytes. Dtypes have TensorFlow's numbers (tensorflow/core/framework/types.proto).
 *
 * A tensor is a view: it owns neither its dims (they are inside) nor its data.
 * Numeric data is row-major, little-endian, as in TensorFlow.
 *
 * String data ("packed strings"): for n elements, n + 1 offsets (uint64_t,
 * from the start of the data), then the bytes; element i is
 * data[offset[i] .. offset[i + 1]). offset[0] is (n + 1) * 8, the last offset
 * is the size of the data. It moves between processes as it is.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EL_MAX_RANK 16

enum el_dtype {
    EL_DTYPE_INVALID = 0,
    EL_FLOAT = 1,
    EL_DOUBLE = 2,
    EL_INT32 = 3,
    EL_UINT8 = 4,
    EL_INT16 = 5,
    EL_INT8 = 6,
    EL_STRING = 7,
    EL_COMPLEX64 = 8,
    EL_INT64 = 9,
    EL_BOOL = 10,
    EL_QINT8 = 11,
    EL_QUINT8 = 12,
    EL_QINT32 = 13,
    EL_BFLOAT16 = 14,
    EL_QINT16 = 15,
    EL_QUINT16 = 16,
    EL_UINT16 = 17,
    EL_COMPLEX128 = 18,
    EL_HALF = 19,
    EL_RESOURCE = 20,
    EL_VARIANT = 21,
    EL_UINT32 = 22,
    EL_UINT64 = 23,
};

struct el_shape {
    int32_t rank;              /* -1: not even the rank is known (signatures only) */
    int64_t dims[EL_MAX_RANK]; /* -1: any size (signatures only) */
};

struct el_tensor {
    enum el_dtype dtype;
    struct el_shape shape;
    const void *data; /* not owned */
    size_t size;      /* bytes of data */
};

/* Bytes of one element: 0 for strings, and for what is no dtype of ours (RESOURCE, VARIANT, _REF...). */
size_t el_dtype_size(enum el_dtype dtype);

/* "DT_FLOAT", the name in TensorInfo; "DT_INVALID" for what is none. */
const char *el_dtype_name(enum el_dtype dtype);

/* "float", the name in TensorFlow's messages; "invalid" for what is none. */
const char *el_dtype_short_name(enum el_dtype dtype);

/* True for the dtypes that tensors here can have: those with a size, and STRING. */
bool el_dtype_is_data(enum el_dtype dtype);

/* True for FLOAT, DOUBLE, HALF, BFLOAT16 and the complex ones, the dtypes that know NaN and infinity. */
bool el_dtype_is_floating(enum el_dtype dtype);

/* Number of elements of a fully known shape; INVALID_ARGUMENT when a dim is negative or the product does not fit. */
struct el_status *el_shape_elements(const struct el_shape *shape, size_t *elements) EL_MUST_USE;

/* True if a tensor of shape fits where declared (with unknown rank and dims) stands. */
bool el_shape_fits(const struct el_shape *declared, const struct el_shape *shape);

/* Prints "[?,784]", "[]" (a scalar) or "<unknown>" and returns text; a size of 400 is enough for every shape. */
char *el_shape_print(const struct el_shape *shape, char *text, size_t size);

/* Bytes of the data of a numeric tensor. INVALID_ARGUMENT for strings, non-data dtypes and shapes that do not fit. */
struct el_status *el_tensor_bytes(enum el_dtype dtype, const struct el_shape *shape, size_t *bytes) EL_MUST_USE;

/*
 * Checks a tensor that another process or the network handed over: dtype is data, shape is known and its
 * product fits, size is exactly right, packed strings' offsets ascend and stay inside. The data of a numeric tensor is not read.
 */
struct el_status *el_tensor_check(const struct el_tensor *tensor) EL_MUST_USE;

/* Element i of packed strings that were checked: start and length. Reads the offsets once each, clamped to size,
 * so that data which another process still changes cannot lead outside. */
const char *el_tensor_string(const struct el_tensor *tensor, size_t i, size_t *length);

/* The first non-finite element of a floating tensor: its index, or -1 when all are finite (or dtype is not floating). */
int64_t el_tensor_first_nonfinite(const struct el_tensor *tensor);

#endif
