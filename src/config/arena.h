/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_ARENA_H
#define EL_CONFIG_ARENA_H

/*
 * Memory for many small things that end together: what one parsed text is made of.
 *
 * Zero-initialise to start; el_arena_free() at the end. One owner, one thread.
 */

#include <stddef.h>

struct el_arena_block;

struct el_arena {
    struct el_arena_block *blocks; /* owned; the newest first */
};

/* size bytes, zeroed and aligned for any type, that live as long as the arena; NULL when memory is short. */
void *el_arena_alloc(struct el_arena *arena, size_t size);

/* Gives all the memory back; arena is as new. */
void el_arena_free(struct el_arena *arena);

#endif
