/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_NPY_JSON_H
#define EL_CMD_NPY_JSON_H

/* NumPy arrays as the JSON that REST takes. Pure. */

#include "tensor/npy.h"

/* Appends the array as nested JSON lists; NaN and infinities as TensorFlow Serving takes them (NaN, Infinity).
 * INVALID_ARGUMENT, beginning with name, for dtypes other than FLOAT, DOUBLE, INT32, INT64, UINT8, and for no elements. */
struct el_status *el_npy_put_json(const char *name, const struct el_npy *array, struct el_buf *out) EL_MUST_USE;

#endif
