/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/deadline.h"

#include <stdlib.h>

static void place(struct el_deadlines *deadlines, size_t index, struct el_deadline *entry)
{
    deadlines->heap[index] = entry;
    entry->slot = index + 1;
}

static void sift_up(struct el_deadlines *deadlines, size_t index, struct el_deadline *entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (deadlines->heap[parent]->at_ns <= entry->at_ns)
            break;
        place(deadlines, index, deadlines->heap[parent]);
        index = parent;
    }
    place(deadlines, index, entry);
}

static void sift_down(struct el_deadlines *deadlines, size_t index, struct el_deadline *entry)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= deadlines->count)
            break;
        if (child + 1 < deadlines->count && deadlines->heap[child + 1]->at_ns < deadlines->heap[child]->at_ns)
            child++;
        if (entry->at_ns <= deadlines->heap[child]->at_ns)
            break;
        place(deadlines, index, deadlines->heap[child]);
        index = child;
    }
    place(deadlines, index, entry);
}

bool el_deadline_add(struct el_deadlines *deadlines, struct el_deadline *entry)
{
    if (deadlines->count == deadlines->capacity) {
        size_t capacity = deadlines->capacity == 0 ? 64 : deadlines->capacity * 2;
        struct el_deadline **heap = realloc(deadlines->heap, capacity * sizeof(struct el_deadline *));
        if (heap == NULL)
            return false;
        deadlines->heap = heap;
        deadlines->capacity = capacity;
    }
    deadlines->count++;
    sift_up(deadlines, deadlines->count - 1, entry);
    return true;
}

void el_deadline_remove(struct el_deadlines *deadlines, struct el_deadline *entry)
{
    if (entry->slot == 0)
        return;
    size_t index = entry->slot - 1;
    entry->slot = 0;
    struct el_deadline *last = deadlines->heap[--deadlines->count];
    if (last == entry)
        return;
    if (index > 0 && last->at_ns < deadlines->heap[(index - 1) / 2]->at_ns)
        sift_up(deadlines, index, last);
    else
        sift_down(deadlines, index, last);
}

void el_deadlines_free(struct el_deadlines *deadlines)
{
    free(deadlines->heap);
    *deadlines = (struct el_deadlines){ 0 };
}
