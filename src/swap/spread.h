/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_SPREAD_H
#define EL_SWAP_SPREAD_H

/*
 * How the scores of one output are spread over many requests: whether they vary at all, and how far two versions' are apart.
 *
 * Apart, by the two-sample Kolmogorov-Smirnov distance: the largest difference between the two distribution functions, 0 (alike) to 1 (no
 * number of one is within the other's range). It needs no bins and no scale, so that it means the same for probabilities, logits and
 * prices; and it sees what a mean difference does not, scores that all have moved to one side, or closer together. (A. N. Kolmogorov 1933,
 * N. V. Smirnov 1939; e.g. Press et al., Numerical Recipes, 14.3.) Of more numbers than EL_SPREAD_KEPT some are kept, by chance.
 *
 * Floating numbers only: of few labels one may come often. Zero-initialise to start; not for several threads at once.
 */

#include "tensor/tensor.h"

#define EL_SPREAD_KEPT 2048
#define EL_SPREAD_ROWS 8 /* of fewer nothing is said */

/* Whether rows (what is at one place of the first dimension; the whole, without dimensions) differ, bit by bit. */
struct el_variety {
    uint64_t rows, hash; /* of the first one */
    bool varies;
};

void el_variety_add(struct el_variety *variety, const struct el_tensor *tensor);

/* Rows of `found` are all the same, those of `expected`, for the same questions, are not. */
bool el_variety_lost(const struct el_variety *found, const struct el_variety *expected);

/* Pairs of numbers. */
struct el_spread {
    float *found, *expected; /* owned */
    uint32_t count;
    uint64_t seen, random;
};

/* Adds the numbers of two answers to the same; of another dtype or shape: nothing. Without memory less is known. */
void el_spread_add(struct el_spread *spread, const struct el_tensor *found, const struct el_tensor *expected);

/* 0 to 1; 0 without numbers. It sorts them: nothing can be added any more. */
double el_spread_distance(struct el_spread *spread);

void el_spread_free(struct el_spread *spread);

#endif
