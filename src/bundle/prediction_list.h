/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_PREDICTION_LIST_H
#define EL_BUNDLE_PREDICTION_LIST_H

/* The lists of a struct el_prediction: structs side by side in a buffer, which are copied because it aligns nothing. */

#include "base/buf.h"

#include <string.h>

/* How many; size: of one. */
static inline size_t el_prediction_count(const struct el_buf *list, size_t size)
{
    return list->size / size;
}

static inline void el_prediction_at(const struct el_buf *list, size_t i, void *to, size_t size)
{
    memcpy(to, list->data + i * size, size);
}

#endif
