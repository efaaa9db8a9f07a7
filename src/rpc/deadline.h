/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_DEADLINE_H
#define EL_RPC_DEADLINE_H

/*
 * The deadlines of a loop's calls: a binary heap, the earliest on top.
 *
 * Thread: the loop's. The heap owns its array, the calls own their entries: an
 * entry knows its slot, so that an answered call leaves in O(log n) without a
 * search. Adding fails only for want of memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_deadline {
    uint64_t at_ns; /* monotonic */
    size_t slot;    /* index in the heap plus one; 0: not in it */
};

struct el_deadlines {
    struct el_deadline **heap;
    size_t count;
    size_t capacity;
};

/* False: no memory, the entry is not in the heap. */
bool el_deadline_add(struct el_deadlines *deadlines, struct el_deadline *entry);

/* Takes the entry out if it is in. */
void el_deadline_remove(struct el_deadlines *deadlines, struct el_deadline *entry);

/* The earliest entry, or NULL. */
static inline struct el_deadline *el_deadline_first(const struct el_deadlines *deadlines)
{
    return deadlines->count > 0 ? deadlines->heap[0] : NULL;
}

void el_deadlines_free(struct el_deadlines *deadlines);

#endif
