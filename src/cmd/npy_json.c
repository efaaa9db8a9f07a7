/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/npy_json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put_number(double number, int digits, struct el_buf *out)
{
    if (isnan(number))
        el_buf_text(out, "NaN");
    else if (isinf(number))
        el_buf_text(out, number > 0 ? "Infinity" : "-Infinity");
    else
        el_buf_printf(out, "%.*g", digits, number);
}

static void put_element(const struct el_npy *array, size_t index, struct el_buf *out)
{
    const uint8_t *at = array->data + index * el_dtype_size(array->dtype);
    float single;
    double number;
    int32_t narrow;
    int64_t wide;
    switch (array->dtype) {
    case EL_FLOAT:
        memcpy(&single, at, sizeof single);
        put_number((double)single, 9, out);
        return;
    case EL_DOUBLE:
        memcpy(&number, at, sizeof number);
        put_number(number, 17, out);
        return;
    case EL_INT32:
        memcpy(&narrow, at, sizeof narrow);
        el_buf_printf(out, "%" PRId32, narrow);
        return;
    case EL_INT64:
        memcpy(&wide, at, sizeof wide);
        el_buf_printf(out, "%" PRId64, wide);
        return;
    default:
        el_buf_printf(out, "%u", (unsigned)*at);
    }
}

static bool can_be_json(enum el_dtype dtype)
{
    return dtype == EL_FLOAT || dtype == EL_DOUBLE || dtype == EL_INT32 || dtype == EL_INT64 || dtype == EL_UINT8;
}

struct el_status *el_npy_put_json(const char *name, const struct el_npy *array, struct el_buf *out)
{
    if (!can_be_json(array->dtype))
        return el_status_new(
            EL_INVALID_ARGUMENT,
            "%s: the array's dtype is '%s'; expected <f4, <f8, <i4, <i8 or |u1 (in NumPy: array.astype('<f4'))", name,
            el_npy_descr(array->dtype));
    if (array->elements == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: the array has no elements", name);

    const int32_t rank = array->shape.rank;
    size_t inner[EL_MAX_RANK + 1]; /* elements in one item of each depth */
    inner[rank] = 1;
    for (int32_t i = rank; i > 0; i--)
        inner[i - 1] = inner[i] * (size_t)array->shape.dims[i - 1]; /* no overflow: el_shape_elements() */
    for (size_t index = 0; index < array->elements; index++) {
        if (index > 0)
            el_buf_byte(out, ',');
        for (int32_t i = 0; i < rank; i++) {
            if (index % inner[i] == 0)
                el_buf_byte(out, '[');
        }
        put_element(array, index, out);
        for (int32_t i = rank; i > 0; i--) {
            if ((index + 1) % inner[i - 1] == 0)
                el_buf_byte(out, ']');
        }
    }
    return NULL;
}
