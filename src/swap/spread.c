/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/spread.h"

#include "base/random.h"

#include "swap/agreement.h"

#include <math.h>
#include <stdlib.h>

/* FNV-1a: two rows that differ are taken for one in 2^64 by chance. */
static uint64_t hash_of(const unsigned char *bytes, size_t size)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

void el_variety_add(struct el_variety *variety, const struct el_tensor *tensor)
{
    if (!el_dtype_is_floating(tensor->dtype) || tensor->size == 0 || el_tensor_first_nonfinite(tensor) >= 0)
        return; /* rows of NaN are told of as such */
    const size_t rows = tensor->shape.rank > 0 ? (size_t)tensor->shape.dims[0] : 1, size = tensor->size / rows;
    for (size_t i = 0; i < rows && !variety->varies; i++) {
        const uint64_t hash = hash_of((const unsigned char *)tensor->data + i * size, size);
        if (variety->rows++ == 0)
            variety->hash = hash;
        else
            variety->varies = hash != variety->hash;
    }
}

bool el_variety_lost(const struct el_variety *found, const struct el_variety *expected)
{
    return found->rows > 1 && !found->varies && expected->varies;
}

/* Which of many numbers are kept. */
static uint64_t next_random(uint64_t *state)
{
    *state = *state == 0 ? UINT64_C(88172645463325252) : *state;
    return el_random_next(state);
}

static void add_pair(struct el_spread *spread, double found, double expected)
{
    uint64_t at = spread->count;
    if (!isfinite(found) || !isfinite(expected))
        return;
    spread->seen++;
    if (spread->count < EL_SPREAD_KEPT)
        spread->count++;
    else
        at = next_random(&spread->random) % spread->seen;
    if (at >= EL_SPREAD_KEPT)
        return;
    spread->found[at] = (float)found;
    spread->expected[at] = (float)expected;
}

void el_spread_add(struct el_spread *spread, const struct el_tensor *found, const struct el_tensor *expected)
{
    if (!el_dtype_is_floating(found->dtype) || found->dtype != expected->dtype || found->size != expected->size)
        return;
    if (spread->found == NULL) {
        spread->found = malloc(2 * EL_SPREAD_KEPT * sizeof *spread->found);
        if (spread->found == NULL)
            return;
        spread->expected = spread->found + EL_SPREAD_KEPT;
    }
    const size_t count = el_element_count(found);
    for (size_t i = 0; i < count; i++)
        add_pair(spread, el_element_number(found, i), el_element_number(expected, i));
}

static int compare(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y;
}

double el_spread_distance(struct el_spread *spread)
{
    if (spread->count == 0)
        return 0;
    const uint32_t n = spread->count;
    qsort(spread->found, n, sizeof *spread->found, compare);
    qsort(spread->expected, n, sizeof *spread->expected, compare);
    uint32_t i = 0, j = 0, apart = 0;
    while (i < n && j < n) {
        const float at = fminf(spread->found[i], spread->expected[j]);
        while (i < n && spread->found[i] <= at)
            i++;
        while (j < n && spread->expected[j] <= at)
            j++;
        const uint32_t difference = i > j ? i - j : j - i;
        apart = difference > apart ? difference : apart;
    }
    return (double)apart / n;
}

void el_spread_free(struct el_spread *spread)
{
    free(spread->found);
    *spread = (struct el_spread){ 0 };
}
