/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_PREDICT_JSON_CHECK_H
#define EL_TENSOR_PREDICT_JSON_CHECK_H

/*
 * The slow way over a value of a `:predict` body, for predict_json_fill.c: taken only where the fast one has
 * noticed that something is wrong. Pure; NULL means that nothing is.
 */

#include "tensor/predict_json.h"

static inline bool el_json_is_number(char c)
{
    return (unsigned char)(c - '0') < 10 || c == '-' || c == 'N' || c == 'I';
}

/* True if an integer dtype takes the number; narrower ones than 32 bits wrap around, as in int_val. */
static inline bool el_json_in_range(enum el_dtype dtype, const struct el_json_number *number)
{
    bool positive = number->kind == EL_JSON_POSITIVE;
    switch (dtype) {
    case EL_INT32:
    case EL_INT16:
    case EL_INT8:
    case EL_UINT8:
        return positive ? number->positive <= INT32_MAX
                        : number->kind == EL_JSON_NEGATIVE && number->negative >= INT32_MIN;
    case EL_INT64:
        return positive ? number->positive <= INT64_MAX : number->kind == EL_JSON_NEGATIVE;
    case EL_UINT32:
        return positive && number->positive <= UINT32_MAX;
    case EL_UINT64:
        return positive;
    default:
        return false;
    }
}

/* Goes over a value whose shape should be `shape`; *count grows by its elements. */
struct el_status *el_json_check_value(const char *value, enum el_dtype dtype, const struct el_shape *shape,
                                      int32_t level, size_t *count) EL_MUST_USE;

/* A row of an input that is not as the first: why. end: of the text. */
struct el_status *el_json_check_row(const struct el_predict_json_input *input, const char *value,
                                    const char *end) EL_MUST_USE;

#endif
