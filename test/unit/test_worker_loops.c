/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Several event loops on threads of their own call the same workers while the swap thread kills, stops and replaces
 * them: as a server does. Each call is answered once, rightly or with a reason that lets it be tried elsewhere.
 */

#include "test_worker_support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOPS 3
#define WIDTH 8 /* calls in flight on each loop */

struct crowd;

struct flight {
    struct member *member;
    float number;
    bool busy; /* its call is under way */
};

/* One event loop and its thread. */
struct member {
    struct crowd *crowd;
    uint32_t index;
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t nudge;
    struct el_completions *completions;
    struct flight flights[WIDTH];
    unsigned in_flight;
    bool closing, closed;
    uint64_t right, died, refused, wrong;
};

struct crowd {
    struct house *house;
    struct member members[LOOPS];
    _Atomic(struct el_worker *) target; /* NULL: nobody */
    _Atomic unsigned users;             /* loops that are just beginning a call */
    _Atomic bool stop;
    _Atomic uint64_t answers;
};

static void begin(struct flight *flight);

static void on_done(struct el_call *call, const struct el_status *status, void *argument)
{
    struct flight *flight = argument;
    struct member *member = flight->member;
    flight->busy = false;
    if (status == NULL) {
        const struct el_tensor *outputs;
        el_call_outputs(call, &outputs);
        const bool right = outputs[0].size == 8 && ((const float *)outputs[0].data)[0] == 6 + flight->number;
        member->right += right;
        member->wrong += !right;
    } else if (el_call_worker_died(call)) {
        const struct el_tensor *inputs;
        const uint32_t *indexes;
        member->died++;
        if (el_call_inputs(call, &inputs, &indexes) != 1 || ((const float *)inputs[0].data)[3] != flight->number)
            member->wrong++;
    } else {
        member->wrong++;
    }
    el_call_end(call);
    member->in_flight--;
    atomic_fetch_add(&member->crowd->answers, 1);
    begin(flight);
}

static void begin(struct flight *flight)
{
    struct member *member = flight->member;
    struct crowd *crowd = member->crowd;
    if (atomic_load(&crowd->stop))
        return;
    /* The reader's side of what the swapper does with RCU: while users counts us, the worker is not freed. */
    atomic_fetch_add(&crowd->users, 1);
    struct el_worker *worker = atomic_load(&crowd->target);
    struct el_call *call = NULL;
    struct el_status *status = worker == NULL ? el_status_new(EL_UNAVAILABLE, "nobody")
                                              : el_call_begin(worker, member->completions, 1, &call);
    if (status == NULL) {
        flight->number = (float)(member->right % 1000);
        const float data[] = { 1, 2, 3, flight->number };
        const struct el_shape shape = { .rank = 2, .dims = { 1, 4 } };
        void *memory;
        status = el_call_input(call, 0, EL_FLOAT, &shape, sizeof data, &memory);
        if (status == NULL) {
            memcpy(memory, data, sizeof data);
            member->in_flight++;
            flight->busy = true;
            status = el_call_submit(call, (const uint32_t[]){ 0 }, 1, el_now_ns() + 60 * EL_NS_PER_S, on_done, flight);
            if (status != NULL) {
                member->in_flight--;
                flight->busy = false;
            }
        }
        if (status != NULL)
            el_call_end(call);
    }
    atomic_fetch_sub(&crowd->users, 1);
    if (status == NULL)
        return;
    member->refused++;
    if (el_status_code(status) != EL_UNAVAILABLE)
        member->wrong++;
    el_status_free(status);
    uv_async_send(&member->nudge); /* try again in the next turn */
}

static void on_closed(void *argument)
{
    ((struct member *)argument)->closed = true;
}

static void on_nudge(uv_async_t *nudge)
{
    struct member *member = nudge->data;
    if (atomic_load(&member->crowd->stop)) {
        if (member->in_flight == 0 && !member->closing) {
            member->closing = true;
            el_completions_close(member->completions, on_closed, member);
            uv_close((uv_handle_t *)nudge, NULL);
        }
        return;
    }
    for (unsigned i = 0; i < WIDTH; i++)
        if (!member->flights[i].busy)
            begin(&member->flights[i]);
}

static void *member_main(void *argument)
{
    struct member *member = argument;
    while (!member->closed) {
        uv_run(&member->loop, UV_RUN_ONCE);
        if (atomic_load(&member->crowd->stop) && member->in_flight == 0 && !member->closing)
            on_nudge(&member->nudge);
    }
    uv_run(&member->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void join_in(struct crowd *crowd, uint32_t index)
{
    struct member *member = &crowd->members[index];
    member->crowd = crowd;
    member->index = index;
    assert_int_equal(uv_loop_init(&member->loop), 0);
    assert_int_equal(uv_async_init(&member->loop, &member->nudge, on_nudge), 0);
    member->nudge.data = member;
    /* Made here, before the thread runs: it is the loop's thread that counts, and nobody else uses it yet. */
    assert_null(el_completions_new(crowd->house->workers, index, &member->loop, &member->completions));
    for (unsigned i = 0; i < WIDTH; i++)
        member->flights[i] = (struct flight){ .member = member };
    assert_int_equal(pthread_create(&member->thread, NULL, member_main, member), 0);
    uv_async_send(&member->nudge);
}

/* Turns the swap loop until the crowd has got so many more answers. */
static void wait_for_answers(struct crowd *crowd, uint64_t more)
{
    const uint64_t until = atomic_load(&crowd->answers) + more;
    const uint64_t end = el_now_ns() + 60 * EL_NS_PER_S;
    while (atomic_load(&crowd->answers) < until) {
        if (el_now_ns() > end)
            fail_msg("no answers for 60 s");
        house_turn(crowd->house, 1);
    }
}

static void publish(struct crowd *crowd, struct subject *subject)
{
    atomic_store(&crowd->target, subject == NULL ? NULL : subject->worker);
    for (size_t i = 0; i < LOOPS; i++)
        uv_async_send(&crowd->members[i].nudge);
    /* Whoever still begins a call on the old one is waited for, as RCU's grace period does. */
    while (atomic_load(&crowd->users) != 0)
        continue;
}

static void crowd_story(void **state, enum el_isolation isolation)
{
    struct house *house = *state;
    static struct crowd crowd;
    memset(&crowd, 0, sizeof crowd);
    crowd.house = house;
    for (uint32_t i = 0; i < LOOPS; i++)
        join_in(&crowd, i);
    struct subject subjects[2];
    struct el_worker_options options = house_options(house, "");
    options.isolation = isolation;
    options.concurrency = 2;
    options.queue_slots = LOOPS * WIDTH;
    const int rounds = 12;
    for (int round = 0; round < rounds; round++) {
        struct subject *now = &subjects[round % 2];
        struct subject *before = round == 0 ? NULL : &subjects[(round + 1) % 2];
        house_start(house, now, &options);
        house_wait(house, &now->loaded);
        publish(&crowd, now);
        wait_for_answers(&crowd, 300);
        if (before == NULL)
            continue;
        if (round % 2 == 0)
            el_worker_kill(before->worker, el_status_new(EL_ABORTED, "replaced"));
        else
            el_worker_stop(before->worker, 10000);
        house_bury(before);
        /* And the one in use dies under the crowd. */
        if (round % 3 == 2 && isolation == EL_ISOLATION_PROCESS) {
            kill(el_worker_pid(now->worker), SIGKILL);
            house_wait(house, &now->died);
            publish(&crowd, NULL);
            house_bury(now);
            house_start(house, now, &options);
            house_wait(house, &now->loaded);
            publish(&crowd, now);
            wait_for_answers(&crowd, 300);
        }
    }
    atomic_store(&crowd.stop, true);
    for (size_t i = 0; i < LOOPS; i++)
        uv_async_send(&crowd.members[i].nudge);
    house_stop(&subjects[(rounds - 1) % 2]);
    for (size_t i = 0; i < LOOPS; i++) {
        struct member *member = &crowd.members[i];
        pthread_join(member->thread, NULL);
        assert_int_equal(uv_loop_close(&member->loop), 0);
        assert_int_equal(member->wrong, 0);
        assert_true(member->right > 0);
    }
    free((void *)(uintptr_t)options.path);
}

static void loops_call_workers_that_come_and_go(void **state)
{
    crowd_story(state, EL_ISOLATION_PROCESS);
}

static void the_same_without_processes(void **state)
{
    crowd_story(state, EL_ISOLATION_NONE);
}

static int crowd_setup(void **state)
{
    struct house *house = malloc(sizeof *house);
    assert_non_null(house);
    house_open_loops(house, NULL, LOOPS + 1);
    *state = house;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loops_call_workers_that_come_and_go, crowd_setup, house_teardown),
        cmocka_unit_test_setup_teardown(the_same_without_processes, crowd_setup, house_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
