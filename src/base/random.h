/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_RANDOM_H
#define EL_BASE_RANDOM_H

/*
 * Numbers for sampling, quick and repeatable: nothing that must not be guessed. xorshift64 (G. Marsaglia, Xorshift RNGs, J. Stat.
 * Softw. 8, 2003).
 */

#include <stdint.h>

/* The next number of the sequence, never 0. The state is the caller's, and not 0: a 0 stays. One thread at a time. */
static inline uint64_t el_random_next(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x;
}

#endif
