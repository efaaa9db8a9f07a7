/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/arena.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

struct room {
    uint8_t *base;
    uint64_t size;
    struct el_tensor_arena *arena;
};

static void open_room(struct room *room, uint64_t size)
{
    int fd = memfd_create("arena", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    room->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(room->base, MAP_FAILED);
    close(fd);
    room->size = size;
    assert_null(el_tensor_arena_new(room->base, size, &room->arena));
}

static void close_room(struct room *room)
{
    struct el_tensor_arena_usage usage;
    el_tensor_arena_usage(room->arena, &usage);
    assert_int_equal(usage.taken_bytes, 0);
    el_tensor_arena_destroy(room->arena);
    munmap(room->base, room->size);
}

/* Pages of the room that really exist. */
static uint64_t resident(const struct room *room)
{
    const size_t pages = room->size / 4096;
    unsigned char *there = malloc(pages);
    assert_non_null(there);
    assert_int_equal(mincore(room->base, room->size, there), 0);
    uint64_t count = 0;
    for (size_t i = 0; i < pages; i++)
        count += there[i] & 1;
    free(there);
    return count * 4096;
}

static void every_size_has_its_block(void **unused)
{
    (void)unused;
    struct room room;
    open_room(&room, 16 * MIB);
    for (uint64_t size = 0; size < 200000; size += size < 2000 ? 1 : 997) {
        const uint64_t block = el_tensor_arena_alloc(room.arena, size);
        assert_int_not_equal(block, EL_ARENA_FULL);
        assert_int_equal(block % 64, 0);
        const uint64_t whole = el_tensor_arena_block_size(room.arena, block);
        assert_true(whole >= size);
        assert_true(whole <= (size <= 64      ? 64
                              : size <= 1024  ? size + 63
                              : size <= 16384 ? size + size / 4 + 64
                                              : size + 65535));
        assert_true(block + whole <= room.size);
        el_tensor_arena_free(room.arena, block);
    }
    close_room(&room);
}

static void what_was_freed_last_is_given_first(void **unused)
{
    (void)unused;
    struct room room;
    open_room(&room, 16 * MIB);
    const uint64_t keep = el_tensor_arena_alloc(room.arena, 3136);
    const uint64_t first = el_tensor_arena_alloc(room.arena, 3136);
    el_tensor_arena_free(room.arena, first);
    for (int i = 0; i < 1000; i++) {
        const uint64_t again = el_tensor_arena_alloc(room.arena, 3136);
        assert_int_equal(again, first);
        memset(room.base + again, i, 3136);
        el_tensor_arena_free(room.arena, again);
    }
    assert_true(resident(&room) <= 8192);
    el_tensor_arena_free(room.arena, keep);
    close_room(&room);
}

static void a_full_arena_says_so_and_recovers(void **unused)
{
    (void)unused;
    struct room room;
    open_room(&room, 8 * MIB);
    uint64_t whole = el_tensor_arena_alloc(room.arena, 8 * MIB);
    assert_int_equal(whole, 0);
    assert_int_equal(el_tensor_arena_alloc(room.arena, 1), EL_ARENA_FULL);
    el_tensor_arena_free(room.arena, whole);
    assert_int_equal(el_tensor_arena_alloc(room.arena, 8 * MIB + 1), EL_ARENA_FULL);
    assert_int_equal(el_tensor_arena_alloc(room.arena, UINT64_MAX), EL_ARENA_FULL);
    assert_int_equal(el_tensor_arena_alloc(room.arena, UINT64_MAX - 70000), EL_ARENA_FULL);
    /* Fill it with small ones; free every other; no large one fits; free the rest; it is one again. */
    static uint64_t blocks[8192];
    size_t count = 0;
    while (count < 8192 && (blocks[count] = el_tensor_arena_alloc(room.arena, 1024)) != EL_ARENA_FULL)
        count++;
    assert_int_equal(count, 8192);
    for (size_t i = 0; i < count; i += 2)
        el_tensor_arena_free(room.arena, blocks[i]);
    assert_int_equal(el_tensor_arena_alloc(room.arena, 100000), EL_ARENA_FULL);
    for (size_t i = 1; i < count; i += 2)
        el_tensor_arena_free(room.arena, blocks[i]);
    /* One empty unit of the class may stay reserved. */
    const uint64_t large = el_tensor_arena_alloc(room.arena, 7 * MIB);
    assert_int_not_equal(large, EL_ARENA_FULL);
    el_tensor_arena_free(room.arena, large);
    close_room(&room);
}

static void neighbours_join(void **unused)
{
    (void)unused;
    struct room room;
    open_room(&room, 4 * MIB);
    static const int orders[][4] = { { 0, 1, 2, 3 }, { 3, 2, 1, 0 }, { 0, 2, 1, 3 }, { 1, 3, 0, 2 }, { 2, 0, 3, 1 } };
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        uint64_t blocks[4];
        for (int j = 0; j < 4; j++)
            assert_int_not_equal(blocks[j] = el_tensor_arena_alloc(room.arena, MIB), EL_ARENA_FULL);
        for (int j = 0; j < 4; j++)
            el_tensor_arena_free(room.arena, blocks[orders[i][j]]);
        const uint64_t whole = el_tensor_arena_alloc(room.arena, 4 * MIB);
        assert_int_equal(whole, 0);
        el_tensor_arena_free(room.arena, whole);
    }
    close_room(&room);
}

static void large_blocks_give_their_pages_back(void **unused)
{
    (void)unused;
    struct room room;
    open_room(&room, 256 * MIB);
    for (int round = 0; round < 3; round++) {
        const uint64_t block = el_tensor_arena_alloc(room.arena, 64 * MIB);
        memset(room.base + block, 1, 64 * MIB);
        assert_true(resident(&room) >= 64 * MIB);
        el_tensor_arena_free(room.arena, block);
        assert_true(resident(&room) <= 8 * MIB);
    }
    /* Many in the middle: some are kept, to be used again, the rest goes. */
    uint64_t blocks[100];
    for (int i = 0; i < 100; i++) {
        blocks[i] = el_tensor_arena_alloc(room.arena, MIB);
        memset(room.base + blocks[i], 1, MIB);
    }
    for (int i = 0; i < 100; i++)
        el_tensor_arena_free(room.arena, blocks[i]);
    assert_true(resident(&room) <= 8 * MIB);
    struct el_tensor_arena_usage usage;
    el_tensor_arena_usage(room.arena, &usage);
    assert_true(usage.kept_bytes <= 8 * MIB);
    close_room(&room);
}

struct held {
    uint64_t block;
    uint64_t size;
    uint8_t mark;
};

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

struct stirrer {
    struct room *room;
    uint64_t seed;
};

/* Takes and gives back at random; what is held must not be written by anybody else. */
static void *stir(void *argument)
{
    struct stirrer *stirrer = argument;
    struct room *room = stirrer->room;
    struct held held[64] = { { 0 } };
    for (int i = 0; i < 20000; i++) {
        struct held *one = &held[next_random(&stirrer->seed) % 64];
        if (one->size != 0) {
            if (room->base[one->block] != one->mark || room->base[one->block + one->size - 1] != one->mark)
                return (void *)1;
            el_tensor_arena_free(room->arena, one->block);
            one->size = 0;
            continue;
        }
        const uint64_t shift = next_random(&stirrer->seed) % 20;
        one->size = 1 + next_random(&stirrer->seed) % (UINT64_C(1) << shift);
        one->block = el_tensor_arena_alloc(room->arena, one->size);
        one->mark = (uint8_t)next_random(&stirrer->seed);
        if (one->block == EL_ARENA_FULL) {
            one->size = 0;
            continue;
        }
        room->base[one->block] = one->mark;
        room->base[one->block + one->size - 1] = one->mark;
    }
    for (size_t i = 0; i < 64; i++)
        if (held[i].size != 0)
            el_tensor_arena_free(room->arena, held[i].block);
    return NULL;
}

static void threads_never_get_the_same_memory(void **unused)
{
    (void)unused;
    struct room room;
    open_room(&room, 32 * MIB);
    pthread_t threads[4];
    struct stirrer stirrers[4];
    for (size_t i = 0; i < 4; i++) {
        stirrers[i] = (struct stirrer){ &room, 88172645463325252u + i };
        assert_int_equal(pthread_create(&threads[i], NULL, stir, &stirrers[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    /* And afterwards it is whole again, but for the one unit that each class may keep. */
    const uint64_t large = el_tensor_arena_alloc(room.arena, 16 * MIB);
    assert_int_not_equal(large, EL_ARENA_FULL);
    el_tensor_arena_free(room.arena, large);
    close_room(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_has_its_block),           cmocka_unit_test(what_was_freed_last_is_given_first),
        cmocka_unit_test(a_full_arena_says_so_and_recovers),  cmocka_unit_test(neighbours_join),
        cmocka_unit_test(large_blocks_give_their_pages_back), cmocka_unit_test(threads_never_get_the_same_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
