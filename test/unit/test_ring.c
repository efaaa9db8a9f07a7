/* SPDX-License-Identifier: Apache-2.0 */

/* Rings and doorbell: nothing is lost, nothing comes twice, and nobody sleeps while there is something to do. */

#include "worker/doorbell.h"
#include "worker/ring.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void memory_is_sealed_and_has_room(void **unused)
{
    (void)unused;
    struct el_shm front;
    struct el_shm worker;
    int fd;
    assert_null(el_shm_create(100, 3, 1 << 20, &front, &fd));
    assert_int_not_equal(ftruncate(fd, 4096), 0); /* a worker cannot cut it off under us */
    assert_int_not_equal(ftruncate(fd, (off_t)front.size + 4096), 0);
    assert_null(el_shm_map(fd, 100, 3, 1 << 20, &worker));
    assert_int_equal(front.ring_size, 128);
    assert_ptr_not_equal(front.base, worker.base);
    front.slots[99].signature = 7;
    assert_int_equal(worker.slots[99].signature, 7);
    assert_true((uint8_t *)(front.slots + 100) <= (uint8_t *)front.requests);
    assert_true((uint8_t *)(el_shm_completions(&front, 2) + 128) <= front.base + front.arena);
    assert_int_equal(front.arena + front.arena_size, front.size);
    struct el_shm other;
    struct el_status *status = el_shm_map(fd, 101, 3, 2 << 20, &other);
    assert_non_null(status);
    el_status_free(status);
    static const struct {
        uint32_t slots, lanes;
        uint64_t arena;
    } impossible[] = { { 0, 1, 1 }, { 1, 0, 1 }, { 1, 1, 0 }, { 40000, 1, 1 }, { 1, 65, 1 }, { 1, 1, UINT64_MAX } };
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        status = el_shm_create(impossible[i].slots, impossible[i].lanes, impossible[i].arena, &other, &fd);
        assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
        el_status_free(status);
    }
    el_shm_unmap(&worker);
    el_shm_unmap(&front);
    close(fd);
}

static void messages_carry_their_parts(void **unused)
{
    (void)unused;
    const uint64_t message = el_ring_message(EL_RING_NEED, 32767, 0xfffffffe);
    assert_int_equal(el_ring_op(message), EL_RING_NEED);
    assert_int_equal(el_ring_slot(message), 32767);
    assert_int_equal(el_ring_generation(message), 0xfffffffe);
}

/* ---- many slots go round and round ---- */

#define SLOTS 8
#define RUNNERS 3
#define FRONTS 2
#define CALLS_EACH 30000

struct wheel {
    struct el_shm shm;
    _Atomic uint64_t request_tail;
    _Atomic int stopping;
    _Atomic uint64_t taken;
    _Atomic uint64_t twice;
    _Atomic uint32_t under_way[SLOTS]; /* generation that a runner may take; 0: none */
};

static int take(struct wheel *wheel, uint64_t *message)
{
    return el_ring_take_shared(wheel->shm.requests, wheel->shm.ring_size, &wheel->shm.header->head, message);
}

static void *runner(void *argument)
{
    struct wheel *wheel = argument;
    uint64_t message;
    while (!atomic_load(&wheel->stopping)) {
        int found = take(wheel, &message);
        if (!found) {
            el_doorbell_enter(wheel->shm.header);
            found = take(wheel, &message);
            if (found)
                el_doorbell_leave(wheel->shm.header);
            else
                el_doorbell_wait(wheel->shm.header, UINT64_MAX);
        }
        if (!found)
            continue;
        const uint32_t slot = el_ring_slot(message);
        const uint32_t generation = el_ring_generation(message);
        if (atomic_exchange(&wheel->under_way[slot], 0) != generation)
            atomic_fetch_add(&wheel->twice, 1);
        atomic_fetch_add(&wheel->taken, 1);
        const uint32_t lane = wheel->shm.slots[slot].lane;
        wheel->shm.slots[slot].code = generation;
        el_ring_put(el_shm_completions(&wheel->shm, lane), wheel->shm.ring_size, &wheel->shm.header->lanes[lane].tail,
                    el_ring_message(EL_RING_DONE, slot, generation));
    }
    return NULL;
}

struct front {
    struct wheel *wheel;
    uint32_t lane;
    uint64_t wrong;
};

/* One event loop with half of the slots. */
static void *front(void *argument)
{
    struct front *self = argument;
    struct wheel *wheel = self->wheel;
    uint32_t generations[SLOTS] = { 0 };
    uint64_t head = 0;
    unsigned free_slots = SLOTS / FRONTS;
    uint32_t next[SLOTS];
    for (uint32_t i = 0; i < free_slots; i++)
        next[i] = self->lane * (SLOTS / FRONTS) + i;
    for (unsigned sent = 0, answered = 0; answered < CALLS_EACH;) {
        while (free_slots > 0 && sent < CALLS_EACH) {
            const uint32_t slot = next[--free_slots];
            const uint32_t generation = ++generations[slot];
            wheel->shm.slots[slot].lane = self->lane;
            atomic_store(&wheel->under_way[slot], generation);
            el_ring_put(wheel->shm.requests, wheel->shm.ring_size, &wheel->request_tail,
                        el_ring_message(EL_RING_RUN, slot, generation));
            el_doorbell_ring(wheel->shm.header);
            sent++;
        }
        uint64_t message;
        if (!el_ring_take(el_shm_completions(&wheel->shm, self->lane), wheel->shm.ring_size, &head, &message)) {
            sched_yield();
            continue;
        }
        const uint32_t slot = el_ring_slot(message);
        if (el_ring_generation(message) != generations[slot] || wheel->shm.slots[slot].code != generations[slot])
            self->wrong++;
        next[free_slots++] = slot;
        answered++;
    }
    return NULL;
}

static void nothing_is_lost_and_nothing_comes_twice(void **unused)
{
    (void)unused;
    static struct wheel wheel;
    int fd;
    memset(&wheel, 0, sizeof wheel);
    assert_null(el_shm_create(SLOTS, FRONTS, 4096, &wheel.shm, &fd));
    pthread_t runners[RUNNERS];
    pthread_t fronts[FRONTS];
    struct front selves[FRONTS];
    for (size_t i = 0; i < RUNNERS; i++)
        assert_int_equal(pthread_create(&runners[i], NULL, runner, &wheel), 0);
    for (uint32_t i = 0; i < FRONTS; i++) {
        selves[i] = (struct front){ .wheel = &wheel, .lane = i };
        assert_int_equal(pthread_create(&fronts[i], NULL, front, &selves[i]), 0);
    }
    for (size_t i = 0; i < FRONTS; i++) {
        pthread_join(fronts[i], NULL); /* a call that is lost, or a runner that sleeps too long, hangs here */
        assert_int_equal(selves[i].wrong, 0);
    }
    atomic_store(&wheel.stopping, 1);
    el_doorbell_wake(wheel.shm.header, RUNNERS, INT_MAX);
    for (size_t i = 0; i < RUNNERS; i++)
        pthread_join(runners[i], NULL);
    assert_int_equal(wheel.taken, (uint64_t)FRONTS * CALLS_EACH);
    assert_int_equal(wheel.twice, 0);
    assert_int_equal(wheel.shm.header->sleepers, 0);
    el_shm_unmap(&wheel.shm);
    close(fd);
}

static void nonsense_in_the_ring_ends_nothing(void **unused)
{
    (void)unused;
    struct el_shm shm;
    int fd;
    assert_null(el_shm_create(SLOTS, 1, 4096, &shm, &fd));
    /* Whatever a worker writes, taking looks at one cell and returns. */
    struct el_shm_cell *cells = el_shm_completions(&shm, 0);
    uint64_t head = 0;
    uint64_t message;
    for (uint64_t i = 0; i < 100000; i++) {
        const uint64_t turns[] = { 0, 1, head, head + 1, head + 2, UINT64_MAX, i * UINT64_C(0x9e3779b97f4a7c15) };
        for (uint32_t c = 0; c < shm.ring_size; c++)
            atomic_store(&cells[c].turn, turns[i % 7]);
        const uint64_t before = head;
        const bool found = el_ring_take(cells, shm.ring_size, &head, &message);
        assert_int_equal(head, before + found);
    }
    head = UINT64_MAX; /* positions wrap */
    atomic_store(&cells[head & (shm.ring_size - 1)].turn, 0);
    assert_true(el_ring_take(cells, shm.ring_size, &head, &message));
    assert_int_equal(head, 0);
    /* And ringing the bell makes one system call at most, whatever stands there. */
    static const uint32_t words[][2] = {
        { 0, UINT32_MAX }, { UINT32_MAX, 0 }, { UINT32_MAX, UINT32_MAX }, { 5, 3 }, { 3, 5 }
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        atomic_store(&shm.header->tokens, words[i][0]);
        atomic_store(&shm.header->sleepers, words[i][1]);
        el_doorbell_ring(shm.header);
    }
    el_shm_unmap(&shm);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_sealed_and_has_room),
        cmocka_unit_test(messages_carry_their_parts),
        cmocka_unit_test(nothing_is_lost_and_nothing_comes_twice),
        cmocka_unit_test(nonsense_in_the_ring_ends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
