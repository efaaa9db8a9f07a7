/* SPDX-License-Identifier: Apache-2.0 */
#include "../rpc/fixture.h"

#include "rpc/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int set_up(void **state)
{
    const struct el_rpc_options limits = { .max_message_bytes = 4 << 20,
                                           .max_inflated_bytes = 1 << 20,
                                           .max_header_bytes = 8 << 10,
                                           .header_timeout_ms = 1500 };
    struct fixture *fixture = malloc(sizeof(*fixture));
    assert_non_null(fixture);
    fixture_start(fixture, &limits);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    fixture_stop(*state);
    free(*state);
    return 0;
}

static void says(const char *answer, const char *part)
{
    if (strstr(answer, part) == NULL)
        fail_msg("expected \"%s\" in:\n%s", part, answer);
}

/* Sends text on a new connection and returns the one answer, in a static buffer. */
static const char *ask(const struct fixture *fixture, const char *text)
{
    static char answer[1 << 16];
    int fd = client_connect(fixture->http_port);
    client_text(fd, text); /* a refusal may come while we still send */
    client_receive_answer(fd, answer, sizeof(answer));
    close(fd);
    return answer;
}

static void an_answer_has_its_head_and_body(void **state)
{
    const char *answer = ask(*state, "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello");
    says(answer, "HTTP/1.1 200 OK\r\n");
    says(answer, "Content-Type: text/plain\r\n");
    says(answer, "X-Test: yes\r\n");
    says(answer, " GMT\r\n");
    says(answer, "Content-Length: 5\r\n\r\nhello");
    assert_null(strstr(answer, "Connection:"));
}

static void requests_sent_ahead_are_answered_in_order(void **state)
{
    struct fixture *fixture = *state;
    static char answer[4096];
    int fd = client_connect(fixture->http_port);
    struct el_buf all = { 0 };
    for (int i = 0; i < 1000; i++)
        el_buf_printf(&all, "GET /%d HTTP/1.1\r\n\r\n", i);
    assert_true(client_send(fd, all.data, all.size));
    el_buf_free(&all);
    for (int i = 0; i < 1000; i++) {
        char expected[16];
        snprintf(expected, sizeof(expected), "\r\n\r\n/%d", i);
        client_receive_answer(fd, answer, sizeof(answer));
        says(answer, expected);
    }
    close(fd);
}

static void a_request_may_come_byte_by_byte(void **state)
{
    struct fixture *fixture = *state;
    static const char text[] =
        "POST /x HTTP/1.1\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n";
    static char answer[4096];
    int fd = client_connect(fixture->http_port);
    for (size_t i = 0; i < sizeof(text) - 1; i++)
        assert_true(client_send(fd, text + i, 1));
    client_receive_answer(fd, answer, sizeof(answer));
    says(answer, "\r\n\r\nabcdefg");
    close(fd);
}

static void a_client_that_asks_first_is_told_to_continue(void **state)
{
    struct fixture *fixture = *state;
    static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char told[sizeof(go)] = { 0 };
    static char answer[4096];
    int fd = client_connect(fixture->http_port);
    client_text(fd, "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_true(client_receive(fd, told, sizeof(go) - 1));
    assert_string_equal(told, go);
    client_text(fd, "ok");
    client_receive_answer(fd, answer, sizeof(answer));
    says(answer, "\r\n\r\nok");
    close(fd);
}

static void what_is_wrong_is_said(void **state)
{
    struct fixture *fixture = *state;
    static char long_text[32 << 10];
    static const struct {
        const char *request, *status;
    } cases[] = {
        { "GET /\r\n\r\n", "HTTP/1.1 400" }, /* HTTP/0.9 */
        { "GET / HTTP/2.0\r\n\r\n", "HTTP/1.1 400" },
        { "GET  / HTTP/1.1\r\n\r\n", "HTTP/1.1 400" },
        { "GET / HTTX/1.1\r\n\r\n", "HTTP/1.1 400" },
        { "GARBAGE\r\n\r\n", "HTTP/1.1 400" },
        { "BREW / HTTP/1.1\r\n\r\n", "HTTP/1.1 501" },
        { "TRACE / HTTP/1.1\r\n\r\n", "HTTP/1.1 501" },
        { "GET / HTTP/1.1\r\nbroken\r\n\r\n", "HTTP/1.1 400" },
        { "GET / HTTP/1.1\r\nA\x01: b\r\n\r\n", "HTTP/1.1 400" },
        { "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 400" },
        { "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 400" },
        { "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 400" },
        { "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400" },
        { "POST / HTTP/1.1\r\nContent-Length: 5000000\r\n\r\n", "HTTP/1.1 413 Request Entity Too Large" },
        { "POST / HTTP/1.1\r\nExpect: tea\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 417" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *answer = ask(fixture, cases[i].request);
        says(answer, cases[i].status);
        const bool page = strstr(cases[i].status, " 413") == NULL; /* theirs has no limit of size */
        says(answer, page ? "<HTML><HEAD>\n<TITLE>" : "{\n    \"error\": \"");
        says(answer, "Connection: close\r\n");
    }
    static const char nul[] = "GET / HTTP/1.1\r\nConnection: \0keep-alive\r\n\r\n";
    char answer[512];
    int fd = client_connect(fixture->http_port);
    client_send(fd, nul, sizeof(nul) - 1);
    client_receive_answer(fd, answer, sizeof(answer));
    says(answer, "HTTP/1.1 400");
    close(fd);
    memset(long_text, 'x', sizeof(long_text) - 1);
    memcpy(long_text, "GET / HTTP/1.1\r\nA: ", 19);
    says(ask(fixture, long_text), "HTTP/1.1 431");
    memcpy(long_text, "GET /xxxxxxxxxxxxxx", 19);
    says(ask(fixture, long_text), "HTTP/1.1 414");
    for (size_t i = 0; i + 6 < sizeof(long_text); i += 6)
        memcpy(long_text + i, "A: b\r\n", 6);
    memcpy(long_text, "GET / HTTP/1.1\r\nQ:\r\n    ", 24);
    says(ask(fixture, long_text), "HTTP/1.1 431");
}

static void a_chunked_body_without_end_is_stopped_at_the_limit(void **state)
{
    struct fixture *fixture = *state;
    static char chunk[(64 << 10) + 16], answer[4096];
    memcpy(chunk, "10000\r\n", 7);
    memset(chunk + 7, 'c', 64 << 10);
    memcpy(chunk + 7 + (64 << 10), "\r\n", 2);
    int fd = client_connect(fixture->http_port);
    client_text(fd, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int sent = 0; sent < 80 && client_send(fd, chunk, 7 + (64 << 10) + 2); sent++) {
    }
    client_receive_answer(fd, answer, sizeof(answer));
    says(answer, "HTTP/1.1 413");
    close(fd);
    says(ask(fixture, "GET /alive HTTP/1.1\r\n\r\n"), "/alive");
}

static void who_sends_no_end_of_a_request_is_told_so_in_time(void **state)
{
    says(ask(*state, "GET / HTTP/1.1\r\nA: "), "HTTP/1.1 408");
    says(ask(*state, "POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"), "HTTP/1.1 408");
}

static void compressed_bodies(void **state)
{
    struct fixture *fixture = *state;
    static char answer[1 << 16];
    static const char plain[] = "what is said in few words is said in few words is said";
    struct el_buf packed = { 0 }, request = { 0 };
    assert_int_equal(el_zip_whole(EL_ZIP_GZIP, (const uint8_t *)plain, sizeof(plain) - 1, SIZE_MAX, &packed),
                     EL_ZIPPED);
    el_buf_printf(&request, "POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", packed.size);
    el_buf_append(&request, packed.data, packed.size);
    int fd = client_connect(fixture->http_port);
    client_send(fd, request.data, request.size);
    client_receive_answer(fd, answer, sizeof(answer));
    says(answer, plain);
    /* Cut short: as TensorFlow Serving, an empty body. */
    el_buf_clear(&request);
    el_buf_printf(&request, "POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n",
                  packed.size / 2);
    el_buf_append(&request, packed.data, packed.size / 2);
    client_send(fd, request.data, request.size);
    client_receive_answer(fd, answer, sizeof(answer));
    says(answer, "Content-Length: 0\r\n\r\n");
    close(fd);
    el_buf_free(&packed);
    el_buf_free(&request);
}

static void a_small_bomb_is_not_let_off(void **state)
{
    struct fixture *fixture = *state;
    static char answer[4096];
    struct el_buf packed = { 0 }, request = { 0 };
    uint8_t *zeros = calloc(1, 8 << 20);
    assert_non_null(zeros);
    assert_int_equal(el_zip_whole(EL_ZIP_GZIP, zeros, 8 << 20, SIZE_MAX, &packed), EL_ZIPPED);
    free(zeros);
    el_buf_printf(&request, "POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", packed.size);
    el_buf_append(&request, packed.data, packed.size);
    int fd = client_connect(fixture->http_port);
    client_send(fd, request.data, request.size);
    client_receive_answer(fd, answer, sizeof(answer));
    says(answer, "HTTP/1.1 413");
    says(answer, "decompresses to more");
    close(fd);
    el_buf_free(&packed);
    el_buf_free(&request);
}

static void answers_are_compressed_only_for_who_asks(void **state)
{
    struct fixture *fixture = *state;
    static char answer[(1 << 20) + 4096];
    const char *heads[] = { "GET /big HTTP/1.1\r\n\r\n", "GET /big HTTP/1.1\r\nAccept-Encoding: gzip;q=0\r\n\r\n",
                            "GET /big HTTP/1.1\r\nAccept-Encoding: br, GZIP\r\n\r\n" };
    for (int i = 0; i < 3; i++) {
        int fd = client_connect(fixture->http_port);
        client_text(fd, heads[i]);
        client_receive_answer(fd, answer, sizeof(answer));
        close(fd);
        if (i < 2)
            says(answer, "Content-Length: 1048576\r\n");
        else
            says(answer, "Content-Encoding: gzip\r\n");
    }
}

static void head_is_answered_without_the_body(void **state)
{
    struct fixture *fixture = *state;
    static char answer[4096];
    int fd = client_connect(fixture->http_port);
    client_text(fd, "HEAD /abc HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    client_receive_all(fd, answer, sizeof(answer));
    says(answer, "Content-Length: 4\r\n\r\nHTTP/1.1 200 OK\r\n");
    close(fd);
}

static void http_1_0_is_closed_unless_it_asks_otherwise(void **state)
{
    struct fixture *fixture = *state;
    static char answer[4096];
    int fd = client_connect(fixture->http_port);
    client_text(fd, "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n");
    client_receive_all(fd, answer, sizeof(answer));
    says(answer, "Connection: keep-alive\r\n");
    says(answer, "Connection: close\r\n");
    says(answer, "\r\n\r\n/b");
    close(fd);
}

static void a_client_that_only_listens_is_still_answered(void **state)
{
    struct fixture *fixture = *state;
    static char answer[4096];
    int fd = client_connect(fixture->http_port);
    client_text(fd, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    shutdown(fd, SHUT_WR);
    client_receive_all(fd, answer, sizeof(answer));
    says(answer, "\r\n\r\n/1");
    says(answer, "\r\n\r\n/2");
    close(fd);
}

static void a_stream_whose_reader_left_is_cancelled(void **state)
{
    struct fixture *fixture = *state;
    unsigned before = atomic_load(&fixture->cancelled);
    char head[12];
    int fd = client_connect(fixture->http_port);
    client_text(fd, "GET /flood HTTP/1.1\r\n\r\n");
    assert_true(client_receive(fd, head, sizeof(head)));
    close(fd);
    wait_for_count(&fixture->cancelled, before + 1);
}

static void a_stream_whose_reader_sleeps_is_cancelled(void **state)
{
    struct fixture *fixture = *state;
    unsigned before = atomic_load(&fixture->cancelled);
    int fd = client_connect(fixture->http_port);
    client_text(fd, "GET /flood HTTP/1.1\r\n\r\n");
    wait_for_count(&fixture->cancelled, before + 1);
    close(fd);
}

static void a_unix_socket_is_private_and_goes_with_its_server(void **state)
{
    (void)state;
    char path[] = "/tmp/everlit-test-XXXXXX";
    assert_int_equal(close(mkstemp(path)), 0);
    unlink(path);
    struct fixture *fixture = *state;
    const struct el_listener listener = { .type = EL_LISTEN_GRPC, .unix_path = path, .private_mode = true };
    const struct el_rpc_options options = { .loops = 2, .listeners = &listener, .listener_count = 1 };
    struct el_rpc_server *server, *second;
    assert_null(el_rpc_server_start(&options, &server));
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    struct el_status *status = el_rpc_server_start(&options, &second);
    assert_int_equal(el_status_code(status), EL_ALREADY_EXISTS);
    el_status_free(status);
    assert_int_equal(stat(path, &info), 0);
    el_rpc_server_drain(server, 0);
    el_rpc_server_join(server);
    assert_int_not_equal(stat(path, &info), 0);
    (void)fixture;
}

static void count_drain(struct el_rpc_loop *loop, void *drains)
{
    (void)loop;
    atomic_fetch_add((_Atomic unsigned *)drains, 1);
}

static void requests_on_their_way_when_a_drain_begins_are_answered(void **state)
{
    (void)state;
    struct fixture fixture;
    static char answer[4096];
    _Atomic unsigned drains = 0;
    const struct el_rpc_options options = { .on_loop_drain = count_drain, .argument = &drains };
    fixture_start(&fixture, &options);
    int idle = client_connect(fixture.http_port), late = client_connect(fixture.http_port);
    client_text(idle, "GET /1 HTTP/1.1\r\n\r\n");
    client_text(late, "GET /1 HTTP/1.1\r\n\r\n");
    client_receive_answer(idle, answer, sizeof(answer));
    client_receive_answer(late, answer, sizeof(answer));
    int queued = client_connect(fixture.http_port);
    client_text(queued, "GET /queued HTTP/1.1\r\n\r\n");
    el_rpc_server_drain(fixture.server, 5000);
    wait_for_count(&drains, 1);
    client_text(late, "GET /2 HTTP/1.1\r\n\r\n");
    client_receive_answer(late, answer, sizeof(answer));
    says(answer, "\r\n\r\n/2");
    says(answer, "Connection: close");
    assert_int_equal(client_receive_all(late, answer, sizeof(answer)), 0);
    client_receive_answer(queued, answer, sizeof(answer));
    says(answer, "\r\n\r\n/queued");
    assert_int_equal(client_receive_all(idle, answer, sizeof(answer)), 0);
    el_rpc_server_join(fixture.server);
    close(idle);
    close(late);
    close(queued);
}

static void what_still_runs_at_the_end_of_the_grace_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    static char answer[4096];
    fixture_start(&fixture, NULL);
    int fd = client_connect(fixture.http_port);
    client_text(fd, "GET /never HTTP/1.1\r\n\r\n");
    wait_for_count(&fixture.begun, 1);
    el_rpc_server_drain(fixture.server, 100);
    client_receive_answer(fd, answer, sizeof(answer));
    says(answer, "HTTP/1.1 503");
    el_rpc_server_join(fixture.server);
    assert_int_equal(fixture.cancelled, 1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_its_head_and_body),
        cmocka_unit_test(requests_sent_ahead_are_answered_in_order),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(a_client_that_asks_first_is_told_to_continue),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(a_chunked_body_without_end_is_stopped_at_the_limit),
        cmocka_unit_test(who_sends_no_end_of_a_request_is_told_so_in_time),
        cmocka_unit_test(compressed_bodies),
        cmocka_unit_test(a_small_bomb_is_not_let_off),
        cmocka_unit_test(answers_are_compressed_only_for_who_asks),
        cmocka_unit_test(head_is_answered_without_the_body),
        cmocka_unit_test(http_1_0_is_closed_unless_it_asks_otherwise),
        cmocka_unit_test(a_client_that_only_listens_is_still_answered),
        cmocka_unit_test(a_stream_whose_reader_left_is_cancelled),
        cmocka_unit_test(a_stream_whose_reader_sleeps_is_cancelled),
        cmocka_unit_test(a_unix_socket_is_private_and_goes_with_its_server),
        cmocka_unit_test(requests_on_their_way_when_a_drain_begins_are_answered),
        cmocka_unit_test(what_still_runs_at_the_end_of_the_grace_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
