/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_AGREEMENT_H
#define EL_SWAP_AGREEMENT_H

/*
 * How far two answers agree: sums over many of them, for one output. Pure; any thread.
 *
 * Zero-initialise to start.
 */

#include "tensor/tensor.h"

struct el_agreement {
    uint64_t answers;
    uint64_t other; /* of them: of another dtype or shape, of which nothing else is counted */
    uint64_t rows,
        same; /* rows of scores, and those with the highest in the same place; texts and whole numbers count each */
    uint64_t values;     /* floating numbers */
    double sum, largest; /* of their absolute differences */
    double
        expected_squares; /* sum of the squares of the expected ones, and of the differences: for the relative error */
    double squares;
};

/* Differences up to absolute + relative * |expected| do not count as one for el_agreement_add()'s answer. */
struct el_tolerance {
    double absolute, relative;
};

#define EL_AGREES (-1)
#define EL_AGREES_NOT_IN_KIND (-2) /* another dtype or shape */

/* Adds an answer. The index of the first element out of tolerance, or one of the above. NaN equals NaN. Both tensors are checked. */
int64_t el_agreement_add(struct el_agreement *sum, const struct el_tensor *found, const struct el_tensor *expected,
                         const struct el_tolerance *tolerance);

/* Share of rows that agree, 1 where there are none; mean absolute difference, 0 without values. */
double el_agreement_share(const struct el_agreement *sum);
double el_agreement_mean(const struct el_agreement *sum);

/* Element i, for people: `0.5`, `"text"`; returns text. */
char *el_element_print(const struct el_tensor *tensor, size_t i, char *text, size_t size);

/* Element i of a floating tensor; of a complex one, element i of its real and imaginary parts in turn. */
double el_element_number(const struct el_tensor *tensor, size_t i);
size_t el_element_count(const struct el_tensor *tensor);

#endif
