/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/arena.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * Two levels. The arena is cut into units of 64 KiB. A large block is a run of units; free runs are joined with their
 * neighbours (the first and the last unit of a free run know its length) and hang in bins by the logarithm of their
 * length. A small block, up to 16 KiB, is a part of one unit that holds blocks of one size class only; units with a
 * free block hang in a list of their class.
 *
 * What it does not do: move blocks. An arena that is full of single small blocks in every unit has no room for a
 * large one.
 */

#define UNIT_SHIFT 16
#define UNIT ((uint64_t)1 << UNIT_SHIFT)
#define SMALL_LIMIT 16384
#define CLASSES 32
#define BINS 32
#define KEPT_UNITS 128 /* 8 MiB */
#define FIT_TRIES 32   /* how many runs of the right bin are looked at before a longer one is cut */
#define NONE UINT32_MAX

enum unit_state {
    UNIT_INSIDE, /* not the first unit of a run, nor the last of a free one */
    UNIT_FREE,   /* first or last unit of a free run */
    UNIT_RUN,    /* first unit of a large block */
    UNIT_SMALL,  /* holds small blocks */
};

struct unit {
    uint32_t length;     /* units in the run */
    uint32_t prev, next; /* in a bin, or in the list of a class */
    uint8_t state;
    uint8_t touched; /* its pages may be there although it is free */
    uint8_t class;
    bool listed;     /* SMALL: is in the list of its class */
    uint16_t used;   /* SMALL: blocks given out */
    uint16_t fresh;  /* SMALL: blocks from here on were never given out */
    uint16_t free;   /* SMALL: newest free block, chained through links; NO_BLOCK: none */
    uint16_t *links; /* SMALL: for each block, the next free one */
};
#define NO_BLOCK UINT16_MAX

struct el_tensor_arena {
    pthread_mutex_t lock; /* guards everything below; taken last, nothing else is taken under it */
    uint8_t *base;
    uint32_t unit_count;
    uint32_t kept_units;
    uint64_t taken_bytes;
    uint32_t bins[BINS];
    uint32_t classes[CLASSES]; /* units with a free block */
    struct unit units[];
};

/* Classes: 64 to 1024 in steps of 64, then four to each doubling up to 16 KiB. */
static unsigned class_of(uint64_t size)
{
    if (size <= 1024)
        return size == 0 ? 0 : (unsigned)((size - 1) / 64);
    const unsigned log = 63 - (unsigned)__builtin_clzll(size - 1); /* size lies in (2^log, 2^(log+1)] */
    return 16 + (log - 10) * 4 + (unsigned)((size - 1 - ((uint64_t)1 << log)) >> (log - 2));
}

static uint64_t class_size(unsigned class)
{
    if (class < 16)
        return (class + 1) * 64;
    const unsigned log = 10 + (class - 16) / 4;
    return ((uint64_t)1 << log) + ((uint64_t)((class - 16) % 4 + 1) << (log - 2));
}

static unsigned bin_of(uint32_t length)
{
    return 31 - (unsigned)__builtin_clz(length);
}

struct el_status *el_tensor_arena_new(uint8_t *base, uint64_t size, struct el_tensor_arena **arena)
{
    const uint64_t units = size >> UNIT_SHIFT;
    if (units == 0 || units >= NONE)
        return el_status_new(EL_INVALID_ARGUMENT, "an arena of %llu bytes: expected at least %llu",
                             (unsigned long long)size, (unsigned long long)UNIT);
    /* calloc: the table of a large arena costs real memory only where it is used. */
    struct el_tensor_arena *made = calloc(1, sizeof *made + units * sizeof(struct unit));
    if (made == NULL)
        return el_status_no_memory();
    pthread_mutex_init(&made->lock, NULL);
    made->base = base;
    made->unit_count = (uint32_t)units;
    for (size_t i = 0; i < BINS; i++)
        made->bins[i] = NONE;
    for (size_t i = 0; i < CLASSES; i++)
        made->classes[i] = NONE;
    struct unit *all = made->units;
    all[0] = (struct unit){ .length = made->unit_count, .prev = NONE, .next = NONE, .state = UNIT_FREE };
    all[made->unit_count - 1].length = made->unit_count;
    all[made->unit_count - 1].state = UNIT_FREE;
    made->bins[bin_of(made->unit_count)] = 0;
    *arena = made;
    return NULL;
}

void el_tensor_arena_destroy(struct el_tensor_arena *arena)
{
    if (arena == NULL)
        return;
    for (unsigned class = 0; class < CLASSES; class ++)
        for (uint32_t u = arena->classes[class]; u != NONE; u = arena->units[u].next)
            free(arena->units[u].links);
    pthread_mutex_destroy(&arena->lock);
    free(arena);
}

static void list_push(struct el_tensor_arena *arena, uint32_t *head, uint32_t u)
{
    arena->units[u].prev = NONE;
    arena->units[u].next = *head;
    if (*head != NONE)
        arena->units[*head].prev = u;
    *head = u;
}

static void list_remove(struct el_tensor_arena *arena, uint32_t *head, uint32_t u)
{
    struct unit *unit = &arena->units[u];
    if (unit->prev != NONE)
        arena->units[unit->prev].next = unit->next;
    else
        *head = unit->next;
    if (unit->next != NONE)
        arena->units[unit->next].prev = unit->prev;
}

static void put_free_run(struct el_tensor_arena *arena, uint32_t first, uint32_t length)
{
    struct unit *units = arena->units;
    units[first].state = UNIT_FREE;
    units[first].length = length;
    units[first + length - 1].state = UNIT_FREE;
    units[first + length - 1].length = length;
    list_push(arena, &arena->bins[bin_of(length)], first);
}

static void take_free_run(struct el_tensor_arena *arena, uint32_t first)
{
    const uint32_t length = arena->units[first].length;
    list_remove(arena, &arena->bins[bin_of(length)], first);
    arena->units[first + length - 1].state = UNIT_INSIDE;
    arena->units[first].state = UNIT_INSIDE;
}

static uint32_t find_free_run(const struct el_tensor_arena *arena, uint32_t length)
{
    unsigned bin = bin_of(length);
    unsigned tries = 0;
    for (uint32_t u = arena->bins[bin]; u != NONE && tries < FIT_TRIES; u = arena->units[u].next, tries++)
        if (arena->units[u].length >= length)
            return u;
    for (bin++; bin < BINS; bin++)
        if (arena->bins[bin] != NONE)
            return arena->bins[bin];
    /* Rather slow than refused: whatever of the own bin was not looked at. */
    for (uint32_t u = arena->bins[bin_of(length)]; u != NONE; u = arena->units[u].next)
        if (arena->units[u].length >= length)
            return u;
    return NONE;
}

/* length units in a row, or NONE. */
static uint32_t take_run(struct el_tensor_arena *arena, uint32_t length)
{
    const uint32_t first = find_free_run(arena, length);
    if (first == NONE)
        return NONE;
    const uint32_t whole = arena->units[first].length;
    take_free_run(arena, first);
    if (whole > length)
        put_free_run(arena, first + length, whole - length);
    for (uint32_t u = first; u < first + length; u++) {
        arena->kept_units -= arena->units[u].touched;
        arena->units[u].touched = 0;
    }
    arena->units[first].length = length;
    return first;
}

/* Frees a run; where its pages are too many to keep they go back to the system, without the lock meanwhile. */
static void give_run(struct el_tensor_arena *arena, uint32_t first, uint32_t length)
{
    struct unit *units = arena->units;
    bool keep = arena->kept_units + length <= KEPT_UNITS;
    if (!keep) {
        pthread_mutex_unlock(&arena->lock);
        /* Where the system cannot take them back they are simply kept. */
        keep = madvise(arena->base + ((uint64_t)first << UNIT_SHIFT), (size_t)length << UNIT_SHIFT, MADV_REMOVE) != 0;
        pthread_mutex_lock(&arena->lock);
    }
    if (keep) {
        arena->kept_units += length;
        for (uint32_t u = first; u < first + length; u++)
            units[u].touched = 1;
    }
    units[first].state = UNIT_INSIDE;
    if (first > 0 && units[first - 1].state == UNIT_FREE) {
        const uint32_t before = first - units[first - 1].length;
        length += units[before].length;
        take_free_run(arena, before);
        first = before;
    }
    const uint32_t after = first + length;
    if (after < arena->unit_count && units[after].state == UNIT_FREE) {
        const uint32_t more = units[after].length;
        take_free_run(arena, after);
        length += more;
    }
    put_free_run(arena, first, length);
}

static uint32_t blocks_in_unit(unsigned class)
{
    return (uint32_t)(UNIT / class_size(class));
}

static uint32_t new_small_unit(struct el_tensor_arena *arena, unsigned class)
{
    uint16_t *links = malloc(blocks_in_unit(class) * sizeof *links);
    if (links == NULL)
        return NONE;
    const uint32_t u = take_run(arena, 1);
    if (u == NONE) {
        free(links);
        return NONE;
    }
    struct unit *unit = &arena->units[u];
    unit->state = UNIT_SMALL;
    unit->class = (uint8_t) class;
    unit->used = 0;
    unit->fresh = 0;
    unit->free = NO_BLOCK;
    unit->links = links;
    unit->listed = true;
    list_push(arena, &arena->classes[class], u);
    return u;
}

static uint64_t alloc_small(struct el_tensor_arena *arena, uint64_t size)
{
    const unsigned class = class_of(size);
    uint32_t u = arena->classes[class];
    if (u == NONE)
        u = new_small_unit(arena, class);
    if (u == NONE)
        return EL_ARENA_FULL;
    struct unit *unit = &arena->units[u];
    uint16_t block = unit->free;
    if (block != NO_BLOCK)
        unit->free = unit->links[block];
    else
        block = unit->fresh++;
    unit->used++;
    if (unit->free == NO_BLOCK && unit->fresh == blocks_in_unit(class)) {
        list_remove(arena, &arena->classes[class], u);
        unit->listed = false;
    }
    arena->taken_bytes += class_size(class);
    return ((uint64_t)u << UNIT_SHIFT) + block * class_size(class);
}

static void free_small(struct el_tensor_arena *arena, uint32_t u, uint64_t offset)
{
    struct unit *unit = &arena->units[u];
    const unsigned class = unit->class;
    const uint64_t inside = offset & (UNIT - 1);
    const uint16_t block = (uint16_t)(inside / class_size(class));
    assert(inside % class_size(class) == 0 && unit->used > 0);
    unit->links[block] = unit->free;
    unit->free = block;
    unit->used--;
    arena->taken_bytes -= class_size(class);
    if (!unit->listed) {
        list_push(arena, &arena->classes[class], u);
        unit->listed = true;
    }
    /* The last unit of a class stays, so that one call at a time does not make and end a unit each time. */
    if (unit->used == 0 && (unit->prev != NONE || unit->next != NONE)) {
        list_remove(arena, &arena->classes[class], u);
        free(unit->links);
        unit->links = NULL;
        give_run(arena, u, 1);
    }
}

uint64_t el_tensor_arena_alloc(struct el_tensor_arena *arena, uint64_t size)
{
    if (size > (uint64_t)arena->unit_count << UNIT_SHIFT)
        return EL_ARENA_FULL;
    uint64_t offset = EL_ARENA_FULL;
    pthread_mutex_lock(&arena->lock);
    if (size <= SMALL_LIMIT) {
        offset = alloc_small(arena, size);
    } else {
        const uint32_t length = (uint32_t)((size + UNIT - 1) >> UNIT_SHIFT);
        const uint32_t first = take_run(arena, length);
        if (first != NONE) {
            arena->units[first].state = UNIT_RUN;
            arena->taken_bytes += (uint64_t)length << UNIT_SHIFT;
            offset = (uint64_t)first << UNIT_SHIFT;
        }
    }
    pthread_mutex_unlock(&arena->lock);
    return offset;
}

void el_tensor_arena_free(struct el_tensor_arena *arena, uint64_t offset)
{
    const uint32_t u = (uint32_t)(offset >> UNIT_SHIFT);
    pthread_mutex_lock(&arena->lock);
    struct unit *unit = &arena->units[u];
    if (unit->state == UNIT_SMALL) {
        free_small(arena, u, offset);
    } else {
        assert(unit->state == UNIT_RUN && (offset & (UNIT - 1)) == 0);
        arena->taken_bytes -= (uint64_t)unit->length << UNIT_SHIFT;
        give_run(arena, u, unit->length);
    }
    pthread_mutex_unlock(&arena->lock);
}

uint64_t el_tensor_arena_block_size(struct el_tensor_arena *arena, uint64_t offset)
{
    pthread_mutex_lock(&arena->lock);
    const struct unit *unit = &arena->units[offset >> UNIT_SHIFT];
    const uint64_t size = unit->state == UNIT_SMALL ? class_size(unit->class) : (uint64_t)unit->length << UNIT_SHIFT;
    pthread_mutex_unlock(&arena->lock);
    return size;
}

void el_tensor_arena_usage(struct el_tensor_arena *arena, struct el_tensor_arena_usage *usage)
{
    pthread_mutex_lock(&arena->lock);
    usage->taken_bytes = arena->taken_bytes;
    usage->kept_bytes = (uint64_t)arena->kept_units << UNIT_SHIFT;
    pthread_mutex_unlock(&arena->lock);
}
