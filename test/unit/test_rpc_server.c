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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_in_use_is_named_and_nothing_is_left_behind),
        cmocka_unit_test(a_wrong_address_is_named),
        cmocka_unit_test(loops_begin_drain_and_end),
        cmocka_unit_test(a_loop_that_does_not_start_ends_the_others),
        cmocka_unit_test(connections_beyond_the_limit_are_refused),
        cmocka_unit_test(without_file_descriptors_clients_wait_and_are_served_later),
        cmocka_unit_test(idle_connections_are_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
