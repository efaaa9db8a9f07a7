/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_NPY_H
#define EL_CMD_NPY_H

/*
 * NumPy's .npy files: one array, as numpy.save() writes it (format versions 1.0 to 3.0).
 *
 * Read: little-endian '<f4' '<f8' '<i4' '<i8' and '|u1', in C order, with at least one element. The bytes are untrusted.
 * Pure; an array is a view of the file's bytes.
 */

#include "base/buf.h"
#include "base/status.h"
#include "tensor/tensor.h"

#include <stddef.h>
#include <stdint.h>

struct el_npy {
    enum el_dtype dtype; /* FLOAT, DOUBLE, INT32, INT64 or UINT8 */
    struct el_shape shape;
    const uint8_t *data; /* not aligned */
    size_t elements;     /* at least 1 */
};

/* name is the file's, for errors. */
struct el_status *el_npy_read(const char *name, const uint8_t *bytes, size_t size, struct el_npy *array) EL_MUST_USE;

/* Appends the array as nested JSON lists; NaN and infinities as TensorFlow Serving takes them (NaN, Infinity). */
void el_npy_put_json(const struct el_npy *array, struct el_buf *out);

#endif
