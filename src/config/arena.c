/* SPDX-License-Identifier: Apache-2.0 */
#include "config/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define BLOCK_BYTES ((size_t)8 * 1024)

struct el_arena_block {
    struct el_arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) char bytes[];
};

static struct el_arena_block *new_block(size_t size)
{
    size_t whole;
    if (__builtin_add_overflow(sizeof(struct el_arena_block), size, &whole))
        return NULL;
    struct el_arena_block *block = calloc(1, whole);
    if (block != NULL)
        block->size = size;
    return block;
}

void *el_arena_alloc(struct el_arena *arena, size_t size)
{
    const size_t alignment = alignof(max_align_t);
    if (size > SIZE_MAX - alignment)
        return NULL;
    size = (size + alignment - 1) / alignment * alignment;
    struct el_arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < size) {
        block = new_block(size > BLOCK_BYTES ? size : BLOCK_BYTES);
        if (block == NULL)
            return NULL;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *found = block->bytes + block->used;
    block->used += size;
    return found;
}

void el_arena_free(struct el_arena *arena)
{
    while (arena->blocks != NULL) {
        struct el_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
}
