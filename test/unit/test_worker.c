/* SPDX-License-Identifier: Apache-2.0 */

/* Workers that behave: loading, calls, answers of every size, stopping, and nothing left behind. */

#include "test_worker_support.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __has_feature
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define SANITIZED 1
#    endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SANITIZED 1
#endif
#ifndef SANITIZED
#    define SANITIZED 0
#endif

static void a_worker_loads_answers_and_goes(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "value=7\n");
    assert_string_equal(el_worker_engine(subject.worker), "test");
    assert_string_equal(el_worker_engine_version(subject.worker), "1.0");
    assert_true(el_worker_pid(subject.worker) > 0);
    assert_int_equal(el_worker_signatures(subject.worker)->count, 4);
    assert_true(subject.load_ms > 0);
    house_expect(&subject, 4, 7);
    house_expect(&subject, 40, 7);
    struct el_worker_memory memory;
    el_worker_memory(subject.worker, &memory);
    assert_true(memory.private_bytes > 0 && memory.resident_bytes > memory.private_bytes);
    const uint64_t resident = el_worker_resident_bytes(subject.worker);
    assert_true(resident > memory.resident_bytes / 2 && resident < memory.resident_bytes * 2);
    house_stop(&subject);
    assert_false(subject.died);
}

static void the_same_inside_this_process(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "value=3\n");
    options.isolation = EL_ISOLATION_NONE;
    house_start(house, &subject, &options);
    house_wait(house, &subject.loaded);
    assert_int_equal(el_worker_pid(subject.worker), 0);
    house_expect(&subject, 4, 3);
    house_stop(&subject);
    assert_false(subject.died);

    house_order(options.path, "open=fail\n");
    house_start(house, &subject, &options);
    house_wait(house, &subject.failed);
    assert_string_equal(subject.text, "told to fail when it opens");
    house_bury(&subject);
    free((void *)(uintptr_t)options.path);
}

static void two_versions_serve_side_by_side(void **state)
{
    struct house *house = *state;
    struct subject one;
    struct subject two;
    house_load(house, &one, "value=1\n");
    house_load(house, &two, "value=2\n");
    for (int i = 0; i < 100; i++) {
        house_expect(&one, (float)i, 1);
        house_expect(&two, (float)i, 2);
    }
    house_stop(&one);
    house_expect(&two, 9, 2);
    house_stop(&two);
}

static void a_large_tensor_goes_both_ways(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "");
    const uint32_t rows = (64u << 20) / 16;
    struct asked asked;
    float *data = malloc((size_t)rows * 16);
    assert_non_null(data);
    for (uint32_t i = 0; i < rows * 4; i++)
        data[i] = (float)(i % 1000);
    const struct el_shape shape = { .rank = 2, .dims = { rows, 4 } };
    for (int round = 0; round < 2; round++) {
        assert_null(house_send(&subject, &asked, "features", EL_FLOAT, &shape, data, (size_t)rows * 16, EL_NEVER_NS));
        house_wait(house, &asked.done);
        assert_int_equal(asked.code, EL_OK);
        const struct el_tensor *outputs;
        assert_int_equal(el_call_outputs(asked.call, &outputs), 1);
        assert_int_equal(outputs[0].size, (size_t)rows * 16);
        for (uint32_t i = 0; i < rows * 4; i++)
            if (((const float *)outputs[0].data)[i] != data[i] * 2)
                fail_msg("element %u differs", i);
        house_end(&asked);
    }
    free(data);
    house_stop(&subject);
}

static void strings_go_both_ways(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "");
    struct {
        uint64_t offsets[4];
        char bytes[8];
    } packed = { { 32, 35, 35, 40 }, "onethree" };
    const struct el_shape shape = { .rank = 1, .dims = { 3 } };
    struct asked asked;
    assert_null(house_send(&subject, &asked, "text", EL_STRING, &shape, &packed, 40, EL_NEVER_NS));
    house_wait(house, &asked.done);
    assert_int_equal(asked.code, EL_OK);
    const struct el_tensor *outputs;
    el_call_outputs(asked.call, &outputs);
    static const char *const expected[] = { "one!", "!", "three!" };
    for (size_t i = 0; i < 3; i++) {
        size_t length;
        const char *text = el_tensor_string(&outputs[0], i, &length);
        assert_int_equal(length, strlen(expected[i]));
        assert_memory_equal(text, expected[i], length);
    }
    house_end(&asked);
    house_stop(&subject);
}

static struct el_status *ask_wide(struct subject *subject, struct asked *asked, int64_t count)
{
    const struct el_shape scalar = { .rank = 0 };
    return house_send(subject, asked, "wide", EL_INT64, &scalar, &count, sizeof count, EL_NEVER_NS);
}

/* Nothing in the request tells how large the answer is: the worker keeps it and says what it needs. */
static void answers_larger_than_foreseen_are_delivered(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "");
    static const int64_t counts[] = { 0, 1, 16, 17, 1000, 100000, 3, 4000000, 5 };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct asked asked;
        assert_null(ask_wide(&subject, &asked, counts[i]));
        house_wait(house, &asked.done);
        if (asked.code != EL_OK)
            fail_msg("%lld: %s", (long long)counts[i], asked.text);
        const struct el_tensor *outputs;
        el_call_outputs(asked.call, &outputs);
        assert_int_equal(outputs[0].size, (size_t)counts[i] * sizeof(float));
        for (int64_t j = 0; j < counts[i]; j++)
            if (((const float *)outputs[0].data)[j] != (float)j)
                fail_msg("element %lld of %lld differs", (long long)j, (long long)counts[i]);
        house_end(&asked);
    }
    house_stop(&subject);
}

static void an_answer_that_fits_nowhere_is_refused(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "");
    options.arena_bytes = 1 << 20;
    house_start(house, &subject, &options);
    free((void *)(uintptr_t)options.path);
    house_wait(house, &subject.loaded);
    struct asked asked;
    assert_null(ask_wide(&subject, &asked, 1000000));
    house_wait(house, &asked.done);
    assert_int_equal(asked.code, EL_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(asked.text, "outputs of 4000000 bytes do not fit"));
    house_end(&asked);
    house_expect(&subject, 1, 1); /* and the next is none the worse for it */
    house_stop(&subject);
}

static void a_full_arena_refuses_at_once(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "");
    options.arena_bytes = 4 << 20;
    house_start(house, &subject, &options);
    free((void *)(uintptr_t)options.path);
    house_wait(house, &subject.loaded);
    struct el_call *calls[8];
    size_t held = 0;
    const struct el_shape shape = { .rank = 2, .dims = { 65536, 4 } };
    struct el_status *status = NULL;
    while (held < 8 && status == NULL) {
        assert_null(
            el_call_begin(subject.worker, house->completions, house_signature(&subject, "features"), &calls[held]));
        void *data;
        status = el_call_input(calls[held++], 0, EL_FLOAT, &shape, 65536 * 16, &data);
    }
    assert_int_equal(el_status_code(status), EL_RESOURCE_EXHAUSTED);
    assert_int_equal(held, 5); /* four of 1 MiB fit */
    el_status_free(status);
    while (held > 0)
        el_call_end(calls[--held]);
    house_expect(&subject, 1, 1);
    house_stop(&subject);
}

static void a_full_queue_refuses_at_once(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "run=slow 30\n");
    options.queue_slots = 3;
    options.concurrency = 2;
    house_start(house, &subject, &options);
    free((void *)(uintptr_t)options.path);
    house_wait(house, &subject.loaded);
    struct asked asked[3];
    for (int i = 0; i < 3; i++)
        house_ask(&subject, &asked[i], 1, (float)i, EL_NEVER_NS);
    struct el_call *call;
    struct el_status *status = el_call_begin(subject.worker, house->completions, 0, &call);
    assert_int_equal(el_status_code(status), EL_RESOURCE_EXHAUSTED);
    assert_string_equal(el_status_text(status), "digits version 2: all 3 places for requests are taken");
    el_status_free(status);
    for (int i = 0; i < 3; i++) {
        house_wait(house, &asked[i].done);
        assert_int_equal(asked[i].code, EL_OK);
        assert_true(asked[i].sum == 6 + (float)i);
        house_end(&asked[i]);
    }
    house_expect(&subject, 1, 1);
    house_stop(&subject);
}

static void on_many_done(struct el_call *call, const struct el_status *status, void *argument)
{
    struct asked *asked = argument;
    assert_null(status);
    const struct el_tensor *outputs;
    assert_int_equal(el_call_outputs(call, &outputs), 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(outputs[i].size, 8);
        assert_true(((const float *)outputs[i].data)[0] == (float)(i + 24));
        assert_true(((const float *)outputs[i].data)[1] == 3);
    }
    asked->done = true;
}

static void many_tensors_in_one_call(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "signatures=huge\n");
    assert_int_equal(el_worker_signatures(subject.worker)->count, 30);
    struct asked asked = { .house = house };
    assert_null(el_call_begin(subject.worker, house->completions, 20, &asked.call));
    const struct el_shape shape = { .rank = 1, .dims = { 2 } };
    for (uint32_t i = 0; i < 1024; i++) {
        void *data;
        assert_null(el_call_input(asked.call, i, EL_FLOAT, &shape, 8, &data));
        memcpy(data, (const float[]){ 1, 2 }, 8);
    }
    void *none;
    struct el_status *twice = el_call_input(asked.call, 7, EL_FLOAT, &shape, 8, &none);
    assert_int_equal(el_status_code(twice), EL_INVALID_ARGUMENT);
    el_status_free(twice);
    const struct el_tensor *inputs;
    const uint32_t *indexes;
    assert_int_equal(el_call_inputs(asked.call, &inputs, &indexes), 1024);
    assert_int_equal(indexes[1023], 1023);
    uint32_t outputs[1000];
    for (uint32_t i = 0; i < 1000; i++)
        outputs[i] = i + 24;
    assert_null(el_call_submit(asked.call, outputs, 1000, EL_NEVER_NS, on_many_done, &asked));
    house_wait(house, &asked.done);
    house_end(&asked);

    /* A call that is given up before it was sent; and one that asks for what is not there. */
    assert_null(el_call_begin(subject.worker, house->completions, 3, &asked.call));
    assert_null(el_call_input(asked.call, 0, EL_FLOAT, &shape, 8, &none));
    house_end(&asked);
    assert_null(el_call_begin(subject.worker, house->completions, 3, &asked.call));
    struct el_status *status = el_call_submit(asked.call, (const uint32_t[]){ 5, 5 }, 2, EL_NEVER_NS, on_many_done,
                                              &asked);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    el_status_free(status);
    house_end(&asked);
    house_stop(&subject);
}

static void calls_in_any_number_are_all_answered(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "");
    options.concurrency = 3;
    house_start(house, &subject, &options);
    free((void *)(uintptr_t)options.path);
    house_wait(house, &subject.loaded);
    static struct asked asked[500];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 500; i++)
            house_ask(&subject, &asked[i], 1 + (uint32_t)i % 50, (float)i, EL_NEVER_NS);
        for (int i = 0; i < 500; i++) {
            house_wait(house, &asked[i].done);
            assert_int_equal(asked[i].code, EL_OK);
            assert_int_equal(asked[i].done_count, 1);
            assert_true(asked[i].sum == 6 + (float)i);
            house_end(&asked[i]);
        }
    }
    house_stop(&subject);
}

static void stopping_waits_for_the_calls(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "run=slow 50\n");
    struct asked asked;
    house_ask(&subject, &asked, 1, 4, EL_NEVER_NS);
    el_worker_stop(subject.worker, 10000);
    struct el_call *call;
    struct el_status *status = el_call_begin(subject.worker, house->completions, 0, &call);
    assert_int_equal(el_status_code(status), EL_UNAVAILABLE);
    el_status_free(status);
    house_wait(house, &asked.done);
    assert_int_equal(asked.code, EL_OK);
    assert_true(asked.sum == 10);
    assert_false(subject.gone);
    house_turn(house, 20);
    assert_false(subject.gone); /* the outputs are still being read */
    assert_true(asked.sum == 10);
    house_end(&asked);
    house_bury(&subject);
    assert_false(subject.died);
}

static void stopping_has_an_end(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "run=hang\n");
    struct asked asked;
    house_ask(&subject, &asked, 1, 4, EL_NEVER_NS);
    el_worker_stop(subject.worker, 50);
    house_wait(house, &asked.done);
    assert_int_equal(asked.code, EL_UNAVAILABLE);
    assert_true(asked.died);
    house_end(&asked);
    house_bury(&subject);
    assert_false(subject.died);
}

static void stopping_while_it_loads(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "open=hang\n");
    house_start(house, &subject, &options);
    house_turn(house, 50);
    const uint64_t start = el_now_ns();
    el_worker_stop(subject.worker, 60000);
    house_bury(&subject);
    assert_true(el_now_ns() - start < 5 * EL_NS_PER_S);
    assert_int_equal(subject.events, 1);

    house_start(house, &subject, &options); /* and before the zygote has answered */
    el_worker_stop(subject.worker, 60000);
    house_bury(&subject);
    assert_int_equal(subject.events, 1);
    free((void *)(uintptr_t)options.path);
}

static unsigned idle_threads(pid_t pid)
{
    char command[128];
    snprintf(command, sizeof command, "ls /proc/%d/task", (int)pid);
    FILE *list = popen(command, "r");
    assert_non_null(list);
    unsigned idle = 0;
    int thread;
    while (fscanf(list, "%d", &thread) == 1)
        idle += sched_getscheduler(thread) == SCHED_IDLE;
    pclose(list);
    return idle;
}

static void promotion_lifts_every_thread(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "threads=5\n");
    options.idle_priority = true;
    house_start(house, &subject, &options);
    house_wait(house, &subject.loaded);
    const pid_t pid = el_worker_pid(subject.worker);
    if (idle_threads(pid) == 0) {
        /* The system does not let us leave SCHED_IDLE again, so it was not entered. */
        assert_int_not_equal(geteuid(), 0);
    } else {
        assert_true(idle_threads(pid) >= 6); /* five of the engine, and a runner */
    }
    house_expect(&subject, 4, 1); /* probes run at idle priority */
    el_worker_promote(subject.worker);
    assert_int_equal(idle_threads(pid), 0);
    house_expect(&subject, 4, 1);
    house_stop(&subject);

    options.isolation = EL_ISOLATION_NONE;
    house_start(house, &subject, &options);
    house_wait(house, &subject.loaded);
    el_worker_promote(subject.worker);
    assert_int_equal(idle_threads(getpid()), 0);
    house_stop(&subject);
    free((void *)(uintptr_t)options.path);
}

static void an_idle_house_does_nothing(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "");
    for (int i = 0; i < 100; i++)
        house_expect(&subject, 1, 1);
    house_turn(house, 100); /* until the runner sleeps */
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)el_worker_pid(subject.worker));
    unsigned long used[2][2];
    struct timespec mine[2];
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(path, "re");
        assert_non_null(file);
        assert_int_equal(
            fscanf(file, "%*d %*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &used[i][0], &used[i][1]),
            2);
        fclose(file);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mine[i]);
        if (i == 0)
            house_turn(house, 500);
    }
    assert_int_equal(used[0][0] + used[0][1], used[1][0] + used[1][1]);
    const int64_t ns = (mine[1].tv_sec - mine[0].tv_sec) * 1000000000 + mine[1].tv_nsec - mine[0].tv_nsec;
    assert_true(ns < 5000000);
    house_stop(&subject);
}

static void a_hundred_workers_leave_nothing_behind(void **state)
{
    struct house *house = *state;
    unsigned long fds = 0;
    uint64_t resident = 0;
    const int count = SANITIZED ? 30 : 100; /* a sanitizer makes each start slow */
    for (int i = 0; i < count; i++) {
        struct subject subject;
        house_load(house, &subject, "");
        house_expect(&subject, (float)i, 1);
        if (i % 3 == 0) {
            assert_int_equal(kill(el_worker_pid(subject.worker), SIGKILL), 0);
            house_wait(house, &subject.died);
            house_bury(&subject);
        } else {
            house_stop(&subject);
        }
        if (i == 20) {
            fds = house_count_fds();
            resident = house_resident();
        }
    }
    assert_int_equal(house_count_fds(), fds);
    /* A sanitizer keeps freed memory for a while, to find who still uses it. */
    if (!SANITIZED)
        assert_true(house_resident() < resident + (1u << 20));
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, house_setup, house_teardown)
    const struct CMUnitTest tests[] = {
        STORY(a_worker_loads_answers_and_goes),
        STORY(the_same_inside_this_process),
        STORY(two_versions_serve_side_by_side),
        STORY(a_large_tensor_goes_both_ways),
        STORY(strings_go_both_ways),
        STORY(answers_larger_than_foreseen_are_delivered),
        STORY(an_answer_that_fits_nowhere_is_refused),
        STORY(a_full_arena_refuses_at_once),
        STORY(a_full_queue_refuses_at_once),
        STORY(many_tensors_in_one_call),
        STORY(calls_in_any_number_are_all_answered),
        STORY(stopping_waits_for_the_calls),
        STORY(stopping_has_an_end),
        STORY(stopping_while_it_loads),
        STORY(promotion_lifts_every_thread),
        STORY(an_idle_house_does_nothing),
        STORY(a_hundred_workers_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
