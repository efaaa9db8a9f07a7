/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_CONSTANT_H
#define EL_BASE_CONSTANT_H

/*
 * Memory that is owned by a pointer to a constant: a struct that shows its texts to its readers, and is handed texts that others
 * own, has constants for members; whoever copied them frees the copies with this. (A plain cast is what -Wcast-qual warns of.)
 */

#include <stdint.h>
#include <stdlib.h>

/* NULL is allowed. */
static inline void el_free_constant(const void *owned)
{
    free((void *)(uintptr_t)owned);
}

#endif
