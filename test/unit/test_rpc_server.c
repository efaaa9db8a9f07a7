/* SPDX-License-Identifier: Apache-2.0 */
#include "../rpc/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void a_port_in_use_is_named_and_nothing_is_left_behind(void **state)
{
    (void)state;
    struct fixture first;
    fixture_start(&first, NULL);
    const struct el_listener listeners[] = {
        { .type = EL_LISTEN_GRPC, .address = "0.0.0.0" },
        { .type = EL_LISTEN_GRPC, .address = "127.0.0.1", .port = first.grpc_port },
    };
    const struct el_rpc_options options = { .loops = 3, .listeners = listeners, .listener_count = 2 };
    struct el_rpc_server *second = NULL;
    struct el_status *status = el_rpc_server_start(&options, &second);
    char port[8];
    snprintf(port, sizeof(port), "%u", first.grpc_port);
    assert_int_equal(el_status_code(status), EL_ALREADY_EXISTS);
    assert_non_null(strstr(el_status_text(status), port));
    assert_non_null(strstr(el_status_text(status), "127.0.0.1"));
    assert_null(second);
    el_status_free(status);
    fixture_stop(&first);

    /* And when the first is gone, it is free at once. */
    status = el_rpc_server_start(&options, &second);
    assert_null(status);
    assert_int_equal(el_rpc_server_port(second, 1), first.grpc_port);
    assert_int_equal(el_rpc_server_port(second, 7), 0);
    el_rpc_server_drain(second, 0);
    el_rpc_server_join(second);
}

static void a_wrong_address_is_named(void **state)
{
    (void)state;
    const struct el_listener listener = { .type = EL_LISTEN_GRPC, .address = "no.such.host.invalid" };
    const struct el_rpc_options options = { .loops = 1, .listeners = &listener, .listener_count = 1 };
    struct el_rpc_server *server = NULL;
    struct el_status *status = el_rpc_server_start(&options, &server);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    assert_non_null(strstr(el_status_text(status), "no.such.host.invalid"));
    el_status_free(status);
}

struct lives {
    _Atomic unsigned started, drained, stopped;
    uint32_t failing; /* the loop that does not start */
    uv_timer_t timers[3];
};

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static struct el_status *loop_start(struct el_rpc_loop *loop, void *argument)
{
    struct lives *lives = argument;
    if (loop->index == lives->failing)
        return el_status_new(EL_INTERNAL, "loop %u will not", loop->index);
    atomic_fetch_add(&lives->started, 1);
    uv_timer_init(&loop->uv, &lives->timers[loop->index]);
    uv_timer_start(&lives->timers[loop->index], on_timer, 1, 1);
    return NULL;
}

static void loop_drain(struct el_rpc_loop *loop, void *argument)
{
    struct lives *lives = argument;
    (void)loop;
    atomic_fetch_add(&lives->drained, 1);
}

static void loop_stop(struct el_rpc_loop *loop, void *argument)
{
    struct lives *lives = argument;
    atomic_fetch_add(&lives->stopped, 1);
    uv_close((uv_handle_t *)&lives->timers[loop->index], NULL);
}

static void loops_begin_drain_and_end(void **state)
{
    (void)state;
    struct lives lives = { .failing = UINT32_MAX };
    const struct el_rpc_options options = { .loops = 3,
                                            .on_loop_start = loop_start,
                                            .on_loop_drain = loop_drain,
                                            .on_loop_stop = loop_stop,
                                            .argument = &lives };
    struct el_rpc_server *server;
    assert_null(el_rpc_server_start(&options, &server));
    assert_int_equal(lives.started, 3);
    el_rpc_server_drain(server, 0);
    el_rpc_server_drain(server, 0);
    el_rpc_server_join(server);
    assert_int_equal(lives.drained, 3);
    assert_int_equal(lives.stopped, 3);
}

static void a_loop_that_does_not_start_ends_the_others(void **state)
{
    (void)state;
    struct lives lives = { .failing = 1 };
    const struct el_listener listener = { .type = EL_LISTEN_GRPC, .address = "::" };
    const struct el_rpc_options options = { .loops = 3,
                                            .listeners = &listener,
                                            .listener_count = 1,
                                            .on_loop_start = loop_start,
                                            .on_loop_drain = loop_drain,
                                            .on_loop_stop = loop_stop,
                                            .argument = &lives };
    struct el_rpc_server *server = NULL;
    struct el_status *status = el_rpc_server_start(&options, &server);
    assert_string_equal(el_status_text(status), "loop 1 will not");
    assert_null(server);
    el_status_free(status);
    assert_int_equal(lives.stopped, lives.started);
}

static void connections_beyond_the_limit_are_refused(void **state)
{
    (void)state;
    const struct el_rpc_options limits = { .max_connections = 10 };
    struct fixture fixture;
    struct el_rpc_stats stats;
    int clients[10];
    char byte;
    fixture_start(&fixture, &limits);
    for (int i = 0; i < 10; i++)
        clients[i] = client_connect(fixture.http_port);
    wait_for_connections(&fixture, 10);
    int refused = client_connect(fixture.http_port);
    assert_false(client_receive(refused, &byte, 1));
    close(refused);
    close(clients[0]);
    wait_for_connections(&fixture, 9);
    static char answer[1024];
    clients[0] = client_connect(fixture.http_port);
    client_text(clients[0], "GET /room HTTP/1.1\r\n\r\n");
    client_receive_answer(clients[0], answer, sizeof(answer));
    for (int i = 0; i < 10; i++)
        close(clients[i]);
    wait_for_connections(&fixture, 0); /* and their bytes are counted */
    el_rpc_server_stats(fixture.server, &stats);
    assert_int_equal(stats.connections_accepted, 11);
    assert_int_equal(stats.connections_refused, 1);
    assert_int_equal(stats.bytes_in, strlen("GET /room HTTP/1.1\r\n\r\n"));
    assert_true(stats.bytes_out > 50);
    fixture_stop(&fixture);
}

static void without_file_descriptors_clients_wait_and_are_served_later(void **state)
{
    (void)state;
    struct fixture fixture;
    static char answer[1024];
    fixture_start(&fixture, NULL);
    int first = client_connect(fixture.http_port), second = client_connect(fixture.http_port);
    wait_for_connections(&fixture, 2);
    int third = socket(AF_INET, SOCK_STREAM, 0), lowest = dup(third);
    close(lowest);
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = before;
    none.rlim_cur = (rlim_t)lowest; /* no descriptor is free below it */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    client_connect_on(third, fixture.http_port);
    client_text(third, "GET /third HTTP/1.1\r\n\r\n");
    client_text(first, "GET /first HTTP/1.1\r\n\r\n"); /* the others are served meanwhile */
    client_receive_answer(first, answer, sizeof(answer));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    client_receive_answer(third, answer, sizeof(answer));
    assert_non_null(strstr(answer, "/third"));
    close(first);
    close(second);
    close(third);
    fixture_stop(&fixture);
}

static void idle_connections_are_closed(void **state)
{
    (void)state;
    const struct el_rpc_options limits = { .idle_timeout_ms = 100 };
    struct fixture fixture;
    char rest[256];
    uint32_t last;
    fixture_start(&fixture, &limits);
    int http = client_connect(fixture.http_port), grpc = h2_connect(fixture.grpc_port);
    assert_int_equal(client_receive_all(http, rest, sizeof(rest)), 0);
    int goaways = 0;
    while (h2_receive_goaway(grpc, &last) >= 0)
        goaways++;
    assert_int_equal(goaways, 2);
    close(http);
    close(grpc);
    fixture_stop(&fixture);
}

/* /t.T/Never from `first` on, every second number. */
static void call_never(int fd, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_true(h2_call(fd, first + 2 * i, "/t.T/Never", "x", 1));
}

static void assert_answered(int fd, uint32_t stream)
{
    static struct h2_answer answer;
    assert_true(h2_call(fd, stream, "/t.T/Echo", "hello", 5));
    h2_receive_answer(fd, stream, &answer);
    assert_int_equal(answer.grpc_status, 0);
}

/* Everything that was sent before it is taken in when it is answered. */
static void ping(int fd)
{
    static struct frame frame;
    assert_true(h2_send(fd, FRAME_PING, 0, 0, "12345678", 8));
    do {
        assert_true(h2_receive(fd, &frame));
    } while (frame.type != FRAME_PING || (frame.flags & FLAG_ACK) == 0);
}

static void every_connection_has_its_part_of_what_runs(void **state)
{
    (void)state;
    static const uint8_t cancel[4] = { 0, 0, 0, 8 };
    const struct el_rpc_options options = { .max_running = 64 };
    struct fixture fixture;
    fixture_start(&fixture, &options);
    int greedy = h2_connect(fixture.grpc_port), second = h2_connect(fixture.grpc_port),
        modest = h2_connect(fixture.grpc_port);
    call_never(greedy, 1, 100);
    ping(greedy);
    assert_int_equal(atomic_load(&fixture.begun), 64); /* all, while it is alone; 36 wait */
    call_never(second, 1, 100);
    ping(second);
    assert_int_equal(atomic_load(&fixture.begun), 64 + 32);
    assert_answered(modest, 1);
    /* A call that waits is cancelled without having been anywhere; one that runs makes room for the next if its
     * connection has no more than its part, which the greedy one has. */
    assert_true(h2_send(greedy, FRAME_RST_STREAM, 0, 1 + 2 * 99, cancel, sizeof(cancel)));
    assert_true(h2_send(greedy, FRAME_RST_STREAM, 0, 1, cancel, sizeof(cancel)));
    assert_true(h2_send(second, FRAME_RST_STREAM, 0, 1, cancel, sizeof(cancel)));
    ping(greedy);
    ping(second);
    wait_for_count(&fixture.begun, 64 + 32 + 1);
    assert_int_equal(atomic_load(&fixture.cancelled), 2);
    close(second);
    wait_for_connections(&fixture, 2);
    assert_true(h2_send(greedy, FRAME_RST_STREAM, 0, 3, cancel, sizeof(cancel)));
    wait_for_count(&fixture.begun, 64 + 32 + 1 + 2); /* alone again: both places are filled */
    ping(greedy);
    assert_int_equal(atomic_load(&fixture.begun), 64 + 32 + 1 + 2);
    close(greedy);
    wait_for_connections(&fixture, 1);
    assert_answered(modest, 3);
    close(modest);
    fixture_stop(&fixture);
}

static void connections_grow_old_and_silent_clients_are_let_go(void **state)
{
    (void)state;
    const struct el_rpc_options options = { .grpc_times = { .age_ms = 1500,
                                                            .age_grace_ms = 1,
                                                            .keepalive_ms = 1,
                                                            .keepalive_timeout_ms = 1,
                                                            .keepalive_idle = true } };
    struct fixture fixture;
    static struct h2_answer answer;
    static char rest[4096];
    fixture_start(&fixture, &options);
    int silent = h2_connect(fixture.grpc_port); /* it never answers a PING */
    int lively = h2_connect(fixture.grpc_port);
    assert_true(h2_call(lively, 1, "/t.T/Never", "x", 1));
    h2_receive_answer(lively, 1, &answer); /* answers PINGs while it waits */
    assert_int_equal(answer.grpc_status, EL_UNAVAILABLE);
    assert_int_equal(answer.goaway, 1); /* NO_ERROR */
    while (client_receive_all(silent, rest, sizeof(rest)) == sizeof(rest) - 1) {
    }
    close(lively);
    wait_for_connections(&fixture, 0);
    close(silent);
    fixture_stop(&fixture);
}

static void one_port_may_speak_http_1_and_2(void **state)
{
    (void)state;
    const struct el_rpc_options options = { .header_timeout_ms = 1000 };
    struct fixture fixture;
    static char text[4096];
    fixture_start(&fixture, &options);
    int silent = client_connect(fixture.both_port);
    int undecided = client_connect(fixture.both_port);
    assert_true(client_text(undecided, "PR"));
    int gone = client_connect(fixture.both_port);
    assert_true(client_text(gone, "P"));
    close(gone);
    int grpc = h2_connect(fixture.both_port);
    assert_answered(grpc, 1);
    int slow = client_connect(fixture.both_port);
    for (const char *at = "PRXY / HTTP/1.1\r\n\r\n"; *at != 0; at++) /* like HTTP/2 for two letters */
        assert_true(client_send(slow, at, 1));
    client_receive_answer(slow, text, sizeof(text));
    assert_non_null(strstr(text, "HTTP/1.1 501"));
    int rest = client_connect(fixture.both_port);
    assert_true(client_text(rest, "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody"));
    client_receive_answer(rest, text, sizeof(text));
    assert_non_null(strstr(text, "\r\n\r\nbody"));
    /* Who begins and never says what it speaks is shown out; who says nothing yet may stay. */
    assert_true(client_receive_all(undecided, text, sizeof(text)) > 0);
    assert_non_null(strstr(text, "HTTP/1.1 408"));
    assert_true(client_text(silent, "GET /silent HTTP/1.1\r\n\r\n"));
    client_receive_answer(silent, text, sizeof(text));
    assert_non_null(strstr(text, "/silent"));
    close(silent);
    close(undecided);
    close(slow);
    int late = client_connect(fixture.both_port); /* and does not hold up the end */
    wait_for_connections(&fixture, 3);
    fixture_stop(&fixture);
    close(late);
    close(grpc);
    close(rest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_in_use_is_named_and_nothing_is_left_behind),
        cmocka_unit_test(a_wrong_address_is_named),
        cmocka_unit_test(one_port_may_speak_http_1_and_2),
        cmocka_unit_test(connections_grow_old_and_silent_clients_are_let_go),
        cmocka_unit_test(every_connection_has_its_part_of_what_runs),
        cmocka_unit_test(loops_begin_drain_and_end),
        cmocka_unit_test(a_loop_that_does_not_start_ends_the_others),
        cmocka_unit_test(connections_beyond_the_limit_are_refused),
        cmocka_unit_test(without_file_descriptors_clients_wait_and_are_served_later),
        cmocka_unit_test(idle_connections_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
