/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transport and the load generator against each other: many calls and requests at once, and a drain in the middle
 * of them that loses none.
 */
#include "../rpc/fixture.h"

#include "load/load.h"

#include <stdio.h>
#include <stdlib.h>

struct run {
    uv_loop_t loop;
    uv_timer_t timer;
    struct fixture fixture;
    struct el_load *loads[2];
    unsigned left;
    uint64_t drain_after;
    bool drained;
    uint8_t messages[16][4096];
    struct el_load_message message[16];
};

/* The answer is what was sent. */
static const char *is_echo(void *argument, const struct el_load_answer *answer)
{
    const struct run *run = argument;
    if (answer->code < 0)
        return answer->text;
    if (answer->code != 0 && answer->code != 200)
        return "status";
    const struct el_load_message *sent = &run->message[answer->message];
    return answer->size == sent->size && memcmp(answer->bytes, sent->bytes, sent->size) == 0 ? NULL : "other bytes";
}

static void load_done(void *argument, struct el_load *load)
{
    struct run *run = argument;
    (void)load;
    if (--run->left == 0 && !uv_is_closing((uv_handle_t *)&run->timer))
        uv_close((uv_handle_t *)&run->timer, NULL);
}

static uint64_t succeeded(const struct run *run)
{
    struct el_load_summary grpc, http;
    el_load_summary(run->loads[0], &grpc);
    el_load_summary(run->loads[1], &http);
    return grpc.succeeded < http.succeeded ? grpc.succeeded : http.succeeded;
}

static bool has_failed(const struct run *run)
{
    struct el_load_summary grpc, http;
    el_load_summary(run->loads[0], &grpc);
    el_load_summary(run->loads[1], &http);
    return grpc.failed > 0 && http.failed > 0;
}

static void watch(uv_timer_t *timer)
{
    struct run *run = timer->data;
    if (!run->drained && succeeded(run) >= run->drain_after) {
        run->drained = true;
        el_rpc_server_drain(run->fixture.server, LIMIT_MS);
    }
    /* Both have found out that nobody listens any more: all that was asked before is over. */
    if (run->drained && has_failed(run)) {
        el_load_stop(run->loads[0]);
        el_load_stop(run->loads[1]);
    }
}

static void start(struct run *run, uint64_t count, uint32_t streams, double rate)
{
    const struct el_rpc_options options = { .loops = 2 };
    fixture_start(&run->fixture, &options);
    for (size_t i = 0; i < 16; i++) {
        for (size_t j = 0; j < sizeof(run->messages[i]); j++)
            run->messages[i][j] = (uint8_t)(i * 31 + j);
        run->message[i] = (struct el_load_message){ run->messages[i], 1 + 270 * i };
    }
    uv_loop_init(&run->loop);
    uv_timer_init(&run->loop, &run->timer);
    run->timer.data = run;
    struct el_load_options load = { .loop = &run->loop,
                                    .host = "127.0.0.1",
                                    .messages = run->message,
                                    .message_count = 16,
                                    .connections = 16,
                                    .streams = streams,
                                    .count = count,
                                    .rate = rate,
                                    .log_capacity = 100000,
                                    .check = is_echo,
                                    .done = load_done,
                                    .argument = run };
    load.protocol = EL_LOAD_GRPC;
    load.port = run->fixture.grpc_port;
    load.path = "/t.T/Echo";
    assert_null(el_load_start(&load, &run->loads[0]));
    load.protocol = EL_LOAD_HTTP;
    load.port = run->fixture.http_port;
    load.path = "/";
    assert_null(el_load_start(&load, &run->loads[1]));
    run->left = 2;
}

static void finish(struct run *run)
{
    for (int i = 0; i < 2; i++)
        el_load_free(run->loads[i]);
    assert_int_equal(uv_loop_close(&run->loop), 0);
    el_rpc_server_drain(run->fixture.server, 0);
    el_rpc_server_join(run->fixture.server);
    free(run);
}

static struct run *new_run(void)
{
    struct run *run = calloc(1, sizeof(*run));
    assert_non_null(run);
    return run;
}

static void every_answer_is_the_right_one(void **state)
{
    (void)state;
    struct run *run = new_run();
    start(run, 10000, 20, 0);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 2; i++) {
        struct el_load_summary summary;
        el_load_summary(run->loads[i], &summary);
        assert_int_equal(summary.succeeded, 10000);
        assert_int_equal(summary.failed, 0);
        assert_true(summary.exact);
        assert_true(summary.p50_ns > 0 && summary.p50_ns <= summary.p99_ns && summary.p99_ns <= summary.max_ns);
    }
    finish(run);
}

static void a_fixed_rate_is_kept(void **state)
{
    (void)state;
    struct run *run = new_run();
    start(run, 500, 4, 1000);
    uv_run(&run->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < 2; i++) {
        struct el_load_summary summary;
        size_t count;
        el_load_summary(run->loads[i], &summary);
        const struct el_load_record *records = el_load_records(run->loads[i], &count);
        uint64_t first = UINT64_MAX, last = 0;
        for (size_t j = 0; j < count; j++) {
            first = records[j].start_ns < first ? records[j].start_ns : first;
            last = records[j].start_ns > last ? records[j].start_ns : last;
        }
        assert_int_equal(summary.succeeded, 500);
        /* 500 starts are 499 ms apart: when they were due, however late the machine made them. */
        assert_in_range(last - first, 498999000, 499001000);
    }
    finish(run);
}

static void a_drain_under_load_loses_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        struct run *run = new_run();
        run->drain_after = 500;
        start(run, 0, 10, 0);
        uv_timer_start(&run->timer, watch, 1, 1);
        uv_run(&run->loop, UV_RUN_DEFAULT);
        for (int i = 0; i < 2; i++) {
            struct el_load_summary summary;
            el_load_summary(run->loads[i], &summary);
            for (size_t j = 0; j < summary.reason_count; j++) {
                if (strcmp(summary.reasons[j].text, "connecting: connection refused") != 0)
                    fail_msg("round %d, load %d: %d times: %s", round, i, (int)summary.reasons[j].count,
                             summary.reasons[j].text);
            }
        }
        finish(run);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer_is_the_right_one),
        cmocka_unit_test(a_fixed_rate_is_kept),
        cmocka_unit_test(a_drain_under_load_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
