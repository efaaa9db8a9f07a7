/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_NPY_H
#define EL_TENSOR_NPY_H

/*
 * NumPy's .npy files: one array, as numpy.save() writes it (format versions 1.0 to 3.0).
 *
 * Called by REST on the event loops and by the operator's command. Pure; an array that was read is a view of the
 * file's bytes, which are untrusted. Numbers and booleans that are little-endian and in C order; no strings, no fields.
 */

#include "base/buf.h"
#include "base/status.h"
#include "tensor/tensor.h"

#include <stddef.h>
#include <stdint.h>

struct el_npy {
    enum el_dtype dtype;
    struct el_shape shape;
    const uint8_t *data; /* not aligned; all there is of it in the file */
    size_t elements;
};

/* True if it begins as such a file does; no JSON text does. */
bool el_npy_is(const uint8_t *bytes, size_t size);

/* NumPy's name of a dtype ("<f4"); NULL if it has none. */
const char *el_npy_descr(enum el_dtype dtype);

/* INVALID_ARGUMENT, beginning with name: the file's. */
struct el_status *el_npy_read(const char *name, const uint8_t *bytes, size_t size, struct el_npy *array) EL_MUST_USE;

/* Appends a checked tensor as a file of version 1.0. INVALID_ARGUMENT for a dtype that NumPy does not have; name is for that. */
struct el_status *el_npy_write(struct el_buf *buf, const char *name, const struct el_tensor *tensor) EL_MUST_USE;

#endif
