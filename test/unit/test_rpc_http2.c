/* SPDX-License-Identifier: Apache-2.0 */
#include "../rpc/fixture.h"
#include "rpc/zip.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define REFUSED_STREAM 7
#define ENHANCE_YOUR_CALM 11

static int set_up(void **state)
{
    const struct el_rpc_options limits = { .max_message_bytes = 64 << 20,
                                           .max_connection_bytes = 8 << 20,
                                           .max_header_bytes = 8 << 10,
                                           .max_streams = 100,
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

static struct h2_answer *answer_of(int fd, uint32_t stream)
{
    static struct h2_answer answer;
    h2_receive_answer(fd, stream, &answer);
    return &answer;
}

/* The server still answers on a new connection. */
static void assert_alive(const struct fixture *fixture)
{
    int fd = h2_connect(fixture->grpc_port);
    assert_true(h2_call(fd, 1, "/t.T/Echo", "alive", 5));
    const struct h2_answer *answer = answer_of(fd, 1);
    assert_int_equal(answer->grpc_status, 0);
    assert_int_equal(answer->body_size, 10);
    assert_memory_equal(answer->body + 5, "alive", 5);
    close(fd);
}

static void a_message_may_span_frames_at_any_place(void **state)
{
    struct fixture *fixture = *state;
    uint8_t block[512];
    size_t size = h2_headers(block, sizeof(block), "/t.T/Echo", NO_MORE);
    int fd = h2_connect(fixture->grpc_port);
    assert_true(h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS, 1, block, size));
    static const uint8_t message[] = { 0, 0, 0, 0, 4, 'a', 'b', 'c', 'd' };
    for (size_t i = 0; i < sizeof(message); i++)
        assert_true(h2_send(fd, FRAME_DATA, 0, 1, message + i, 1));
    assert_true(h2_send(fd, FRAME_DATA, FLAG_END_STREAM, 1, "", 0));
    const struct h2_answer *answer = answer_of(fd, 1);
    assert_int_equal(answer->grpc_status, 0);
    assert_memory_equal(answer->body, message, sizeof(message));
    close(fd);
}

static void what_is_no_grpc_is_answered_with_http(void **state)
{
    struct fixture *fixture = *state;
    uint8_t block[512];
    int fd = h2_connect(fixture->grpc_port);
    size_t size = h2_headers(block, sizeof(block), "/t.T/Echo", ":method", "GET", NO_MORE);
    assert_true(h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM, 1, block, size));
    assert_int_equal(answer_of(fd, 1)->http_status, 405);
    close(fd);
    fd = h2_connect(fixture->grpc_port);
    size = h2_headers(block, sizeof(block), "/t.T/Echo", "content-type", "application/grpc-web", NO_MORE);
    assert_true(h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM, 1, block, size));
    assert_int_equal(answer_of(fd, 1)->http_status, 415);
    close(fd);
}

static void whoever_speaks_http_1_is_told_what_this_port_is(void **state)
{
    struct fixture *fixture = *state;
    char answer[512];
    int fd = client_connect(fixture->grpc_port);
    assert_true(client_text(fd, "POST /v1/models/m:predict HTTP/1.1\r\n\r\n"));
    client_receive_all(fd, answer, sizeof(answer));
    assert_non_null(strstr(answer, "HTTP/1.1 400 Bad Request\r\n"));
    assert_non_null(
        strstr(answer, "Content-Length: 37\r\nConnection: close\r\n\r\nThis port speaks gRPC (HTTP/2) only.\n"));
    assert_int_equal(strlen(strstr(answer, "This port")), 37);
    close(fd);
}

static void wrong_requests_get_a_status(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *data;
        size_t size;
        const char *header, *value;
        int status;
    } cases[] = {
        { "", 0, "x", "y", EL_INTERNAL },                                  /* no message */
        { "\0\0\0", 3, "x", "y", EL_INTERNAL },                            /* not even a prefix */
        { "\0\0\0\0\5abc", 8, "x", "y", EL_INTERNAL },                     /* cut short */
        { "\2\0\0\0\0", 5, "x", "y", EL_INTERNAL },                        /* no such flag */
        { "\0\0\0\0\1a\0\0\0\0\1b", 12, "x", "y", EL_INTERNAL },           /* two messages */
        { "\1\0\0\0\1a", 6, "x", "y", EL_INTERNAL },                       /* compressed with what? */
        { "\1\0\0\0\1a", 6, "grpc-encoding", "snappy", EL_UNIMPLEMENTED }, /* unknown */
        { "\1\0\0\0\1a", 6, "grpc-encoding", "gzip", EL_INTERNAL },        /* no gzip */
        { "\0\4\0\0\1", 5, "x", "y", EL_RESOURCE_EXHAUSTED },              /* one byte above the limit */
        { "\0\0\0\0\1a", 6, "grpc-timeout", "123456789m", EL_INTERNAL },   /* nine digits */
        { "\0\0\0\0\1a", 6, "grpc-timeout", "0n", EL_DEADLINE_EXCEEDED },  /* late already */
        { "\0\0\0\0\1a", 6, "grpc-timeout", "99999999H", EL_OK },          /* as good as never */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t block[512];
        int fd = h2_connect(fixture->grpc_port);
        const char *path = cases[i].status == EL_DEADLINE_EXCEEDED ? "/t.T/Never" : "/t.T/Echo";
        size_t size = h2_headers(block, sizeof(block), path, cases[i].header, cases[i].value, NO_MORE);
        assert_true(h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS, 1, block, size));
        assert_true(h2_send(fd, FRAME_DATA, FLAG_END_STREAM, 1, cases[i].data, cases[i].size));
        const struct h2_answer *answer = answer_of(fd, 1);
        if (answer->grpc_status != cases[i].status)
            fail_msg("case %zu: status %d (%s), expected %d", i, answer->grpc_status, answer->grpc_message,
                     cases[i].status);
        close(fd);
    }
}

static void answers_are_compressed_as_the_request_was(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        enum el_zip_kind kind;
        size_t size; /* of the message */
        const char *encoding, *accepted;
        uint8_t flag; /* of the answer */
    } cases[] = {
        { EL_ZIP_GZIP, 5000, "gzip", "identity, deflate, gzip", 1 },
        { EL_ZIP_ZLIB, 5000, "deflate", "identity, deflate, gzip", 1 },
        { EL_ZIP_GZIP, 5000, "gzip", "identity, deflate", 0 },
        { EL_ZIP_GZIP, 500, "gzip", "gzip", 0 },     /* too small to be worth it */
        { EL_ZIP_GZIP, 3000000, "gzip", "gzip", 1 }, /* takes several turns, in and out */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t block[512], *plain = malloc(cases[i].size);
        assert_non_null(plain);
        memset(plain, 'z', cases[i].size);
        struct el_buf packed = { 0 }, message = { 0 }, back = { 0 };
        assert_int_equal(el_zip_whole(cases[i].kind, plain, cases[i].size, SIZE_MAX, &packed), EL_ZIPPED);
        el_buf_byte(&message, 1);
        for (int shift = 24; shift >= 0; shift -= 8)
            el_buf_byte(&message, (uint8_t)(packed.size >> shift));
        el_buf_append(&message, packed.data, packed.size);
        int fd = h2_connect(fixture->grpc_port);
        size_t size = h2_headers(block, sizeof(block), "/t.T/Echo", "grpc-encoding", cases[i].encoding,
                                 "grpc-accept-encoding", cases[i].accepted, NO_MORE);
        assert_true(h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS, 1, block, size));
        assert_true(h2_send(fd, FRAME_DATA, FLAG_END_STREAM, 1, message.data, message.size));
        const struct h2_answer *answer = answer_of(fd, 1);
        assert_int_equal(answer->grpc_status, 0);
        assert_int_equal(answer->body[0], cases[i].flag);
        if (cases[i].flag == 1) {
            assert_int_equal(el_zip_whole(EL_ZIP_INFLATE, answer->body + 5, answer->body_size - 5, SIZE_MAX, &back),
                             EL_ZIPPED);
            assert_int_equal(back.size, cases[i].size);
            assert_memory_equal(back.data, plain, cases[i].size);
        }
        close(fd);
        el_buf_free(&packed);
        el_buf_free(&message);
        el_buf_free(&back);
        free(plain);
    }
}

static size_t resident_bytes(void)
{
    char line[256];
    size_t kb = 0;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "VmSize:", 7) == 0)
            kb = strtoul(line + 7, NULL, 10);
    }
    fclose(file);
    return kb * 1024;
}

static void a_promise_of_64_megabytes_costs_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint8_t block[512];
    size_t size = h2_headers(block, sizeof(block), "/t.T/Echo", NO_MORE), before = resident_bytes();
    int fd = h2_connect(fixture->grpc_port);
    for (uint32_t stream = 1; stream < 199; stream += 2) {
        assert_true(h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS, stream, block, size));
        assert_true(h2_send(fd, FRAME_DATA, 0, stream, "\0\4\0\0\0a", 6));
    }
    assert_true(h2_call(fd, 199, "/t.T/Echo", "x", 1));
    assert_int_equal(answer_of(fd, 199)->grpc_status, 0); /* all before it has been read now */
    assert_true(resident_bytes() < before + (32 << 20));
    close(fd);
}

static void unanswered_requests_of_a_connection_have_a_memory_limit(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t data[16384] = { 0, 0, 0, 0x3f, 0xfb };
    uint8_t block[512];
    size_t size = h2_headers(block, sizeof(block), "/t.T/Never", NO_MORE);
    int fd = h2_connect(fixture->grpc_port);
    uint32_t stream = 1;
    /* 8 MiB may be in memory, 99 times 128 KiB do not fit. */
    for (; stream < 199; stream += 2) {
        assert_true(h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS, stream, block, size));
        data[2] = 2;
        data[3] = 0;
        data[4] = 0;
        assert_true(h2_send(fd, FRAME_DATA, 0, stream, data, 5));
        data[2] = 0;
        for (int i = 0; i < 8; i++)
            assert_true(h2_send(fd, FRAME_DATA, i == 7 ? FLAG_END_STREAM : 0, stream, data, 16384));
    }
    const struct h2_answer *answer = answer_of(fd, 197);
    assert_int_equal(answer->grpc_status, EL_RESOURCE_EXHAUSTED);
    close(fd);
    assert_alive(fixture);
}

/* A client learns the limit from our SETTINGS; what it sent before it read them is refused, not punished. */
static void too_many_streams_are_refused_so_that_clients_try_again(void **state)
{
    struct fixture *fixture = *state;
    int fd = client_connect(fixture->grpc_port);
    assert_true(client_text(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    assert_true(h2_send(fd, FRAME_SETTINGS, 0, 0, "", 0));
    for (uint32_t stream = 1; stream <= 201; stream += 2)
        assert_true(h2_call(fd, stream, "/t.T/Never", "x", 1));
    assert_int_equal(answer_of(fd, 201)->reset, REFUSED_STREAM + 1);
    close(fd);
}

static void large_headers_are_refused_and_the_connection_lives(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t block[16384];
    size_t size = h2_headers(block, sizeof(block), "/t.T/Echo", NO_MORE);
    while (size < 9000) {
        static const uint8_t header[] = { 0, 1, 'a', 100 };
        memcpy(block + size, header, sizeof(header));
        memset(block + size + sizeof(header), 'v', 100);
        size += sizeof(header) + 100;
    }
    int fd = h2_connect(fixture->grpc_port);
    assert_true(h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM, 1, block, size));
    const struct h2_answer *answer = answer_of(fd, 1);
    assert_int_equal(answer->grpc_status, EL_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(answer->grpc_message, "metadata size exceeds limit"));
    assert_true(h2_call(fd, 3, "/t.T/Echo", "x", 1));
    assert_int_equal(answer_of(fd, 3)->body_size, 6);
    close(fd);
}

/* Reads to the end of the connection; the error code of GOAWAY. */
static int64_t goaway_of(int fd)
{
    uint32_t last;
    int64_t code = h2_receive_goaway(fd, &last);
    char rest[256];
    while (client_receive_all(fd, rest, sizeof(rest)) == sizeof(rest) - 1) {
    }
    close(fd);
    return code;
}

static void a_few_bytes_that_name_megabytes_of_headers_end_the_connection(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t block[16384];
    size_t size = h2_headers(block, sizeof(block), "/t.T/Echo", NO_MORE);
    /* One header of 3,000 bytes goes to the table; then it is named again and again, a byte each time. */
    static const uint8_t header[] = { 0x40, 1, 'a', 127, 0xb9, 0x16 };
    memcpy(block + size, header, sizeof(header));
    memset(block + size + sizeof(header), 'v', 3000);
    size += sizeof(header) + 3000;
    memset(block + size, 0x80 | 62, 5000);
    size += 5000;
    int fd = h2_connect(fixture->grpc_port);
    assert_true(h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS | FLAG_END_STREAM, 1, block, size));
    assert_int_equal(goaway_of(fd), ENHANCE_YOUR_CALM);
    assert_alive(fixture);
}

static void a_flood_of_continuations_ends_the_connection(void **state)
{
    struct fixture *fixture = *state;
    uint8_t block[512];
    size_t size = h2_headers(block, sizeof(block), "/t.T/Echo", NO_MORE);
    int fd = h2_connect(fixture->grpc_port);
    assert_true(h2_send(fd, FRAME_HEADERS, 0, 1, block, size));
    static const uint8_t header[] = { 0, 1, 'a', 1, 'b' };
    int sent = 0;
    while (sent < 1000000 && h2_send(fd, FRAME_CONTINUATION, 0, 1, header, sizeof(header)))
        sent++;
    assert_in_range(sent, 1, 999999);
    close(fd);
    assert_alive(fixture);
}

static void rapid_reset_ends_the_connection(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t cancel[4] = { 0, 0, 0, 8 };
    unsigned begun = atomic_load(&fixture->begun);
    int fd = h2_connect(fixture->grpc_port);
    uint32_t stream = 1;
    while (stream < 2000000 && h2_call(fd, stream, "/t.T/Never", "x", 1) &&
           h2_send(fd, FRAME_RST_STREAM, 0, stream, cancel, sizeof(cancel)))
        stream += 2;
    assert_in_range(stream, 2000, 1999999);
    close(fd);
    wait_for_connections(fixture, 0);
    assert_in_range(atomic_load(&fixture->begun) - begun, 1000, 20000);
    assert_alive(fixture);
}

static void floods_of_frames_without_use_end_the_connection(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t eight[8] = { 0 };
    static const struct {
        uint8_t type, flags;
        uint32_t stream;
        size_t size;
    } floods[] = {
        { FRAME_PING, 0, 0, 8 },     { FRAME_PING, FLAG_ACK, 0, 8 }, { FRAME_SETTINGS, 0, 0, 0 },
        { FRAME_PRIORITY, 0, 1, 5 }, { FRAME_DATA, 0, 1, 0 },
    };
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        uint8_t block[512];
        size_t size = h2_headers(block, sizeof(block), "/t.T/Echo", NO_MORE);
        int fd = h2_connect(fixture->grpc_port);
        assert_true(h2_send(fd, FRAME_HEADERS, FLAG_END_HEADERS, 1, block, size));
        long sent = 0;
        while (sent < 3000000 && h2_send(fd, floods[i].type, floods[i].flags, floods[i].stream, eight, floods[i].size))
            sent++;
        if (sent == 3000000)
            fail_msg("flood %zu: 3,000,000 frames were taken", i);
        close(fd);
    }
    assert_alive(fixture);
}

static void slow_clients_are_let_go(void **state)
{
    struct fixture *fixture = *state;
    uint8_t block[512];
    size_t size = h2_headers(block, sizeof(block), "/t.T/Echo", NO_MORE);
    char rest[512];
    int silent = client_connect(fixture->grpc_port); /* connected, and nothing */
    int half = h2_connect(fixture->grpc_port);       /* headers without end */
    assert_true(h2_send(half, FRAME_HEADERS, 0, 1, block, size));
    int bodiless = h2_connect(fixture->grpc_port); /* a message without end */
    assert_true(h2_send(bodiless, FRAME_HEADERS, FLAG_END_HEADERS, 1, block, size));
    assert_true(h2_send(bodiless, FRAME_DATA, 0, 1, "\0\0\0\0\5ab", 7));
    assert_int_equal(answer_of(bodiless, 1)->grpc_status, EL_DEADLINE_EXCEEDED);
    client_receive_all(silent, rest, sizeof(rest));
    while (client_receive_all(half, rest, sizeof(rest)) == sizeof(rest) - 1) {
    }
    close(silent);
    close(half);
    close(bodiless);
}

static void who_asks_and_does_not_read_is_let_go(void **state)
{
    struct fixture *fixture = *state;
    unsigned before = atomic_load(&fixture->cancelled);
    int fd = h2_connect(fixture->grpc_port);
    assert_true(h2_call(fd, 1, "/t.T/Flood", "x", 1));
    wait_for_count(&fixture->cancelled, before + 1);
    close(fd);
    assert_alive(fixture);
}

static void a_vanished_client_cancels_its_calls(void **state)
{
    struct fixture *fixture = *state;
    unsigned begun = atomic_load(&fixture->begun), cancelled = atomic_load(&fixture->cancelled);
    int fd = h2_connect(fixture->grpc_port);
    for (uint32_t stream = 1; stream < 21; stream += 2)
        assert_true(h2_call(fd, stream, "/t.T/Never", "x", 1));
    wait_for_count(&fixture->begun, begun + 10);
    close(fd);
    wait_for_count(&fixture->cancelled, cancelled + 10);
}

static void a_handler_without_on_cancel_may_answer_a_client_that_is_gone(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    int fd = h2_connect(fixture.grpc_port);
    assert_true(h2_call(fd, 1, "/t.T/Held", "kept", 4));
    wait_for_count(&fixture.begun, 1);
    close(fd);
    wait_for_connections(&fixture, 0);
    fd = h2_connect(fixture.grpc_port);
    assert_true(h2_call(fd, 1, "/t.T/Release", "", 0));
    const struct h2_answer *answer = answer_of(fd, 1);
    assert_int_equal(answer->grpc_status, 0);
    assert_int_equal(answer->body_size, 9);
    assert_memory_equal(answer->body + 5, "kept", 4);
    close(fd);
    fixture_stop(&fixture);
}

static void a_drain_goes_in_two_steps(void **state)
{
    (void)state;
    struct fixture fixture;
    static struct frame frame;
    uint32_t last;
    fixture_start(&fixture, NULL);
    int fd = h2_connect(fixture.grpc_port);
    assert_true(h2_call(fd, 1, "/t.T/Never", "x", 1));
    wait_for_count(&fixture.begun, 1);
    el_rpc_server_drain(fixture.server, 1000);
    assert_int_equal(h2_receive_goaway(fd, &last), 0);
    assert_int_equal(last, 0x7fffffff); /* whatever is on its way is still welcome */
    assert_true(h2_call(fd, 3, "/t.T/Never", "x", 1));
    do {
        assert_true(h2_receive(fd, &frame));
    } while (frame.type != FRAME_PING);
    assert_true(h2_send(fd, FRAME_PING, FLAG_ACK, 0, frame.payload, 8));
    assert_int_equal(h2_receive_goaway(fd, &last), 0);
    assert_int_equal(last, 3);
    /* At the end of the grace what still runs is refused, as something that may be tried elsewhere. */
    assert_int_equal(answer_of(fd, 3)->grpc_status, EL_UNAVAILABLE);
    el_rpc_server_join(fixture.server);
    assert_int_equal(fixture.cancelled, 2);
    close(fd);
}

static void a_drain_ends_idle_connections_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_start(&fixture, NULL);
    int fd = h2_connect(fixture.grpc_port);
    assert_true(h2_call(fd, 1, "/t.T/Echo", "x", 1));
    assert_int_equal(answer_of(fd, 1)->grpc_status, 0);
    uint64_t begin_ns = el_now_ns();
    el_rpc_server_drain(fixture.server, 60000);
    uint32_t last;
    while (h2_receive_goaway(fd, &last) >= 0) {
    }
    close(fd);
    el_rpc_server_join(fixture.server);
    assert_true(el_now_ns() - begin_ns < 10 * EL_NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_may_span_frames_at_any_place),
        cmocka_unit_test(what_is_no_grpc_is_answered_with_http),
        cmocka_unit_test(whoever_speaks_http_1_is_told_what_this_port_is),
        cmocka_unit_test(wrong_requests_get_a_status),
        cmocka_unit_test(answers_are_compressed_as_the_request_was),
        cmocka_unit_test(a_promise_of_64_megabytes_costs_nothing),
        cmocka_unit_test(unanswered_requests_of_a_connection_have_a_memory_limit),
        cmocka_unit_test(too_many_streams_are_refused_so_that_clients_try_again),
        cmocka_unit_test(large_headers_are_refused_and_the_connection_lives),
        cmocka_unit_test(a_few_bytes_that_name_megabytes_of_headers_end_the_connection),
        cmocka_unit_test(a_flood_of_continuations_ends_the_connection),
        cmocka_unit_test(rapid_reset_ends_the_connection),
        cmocka_unit_test(floods_of_frames_without_use_end_the_connection),
        cmocka_unit_test(slow_clients_are_let_go),
        cmocka_unit_test(who_asks_and_does_not_read_is_let_go),
        cmocka_unit_test(a_vanished_client_cancels_its_calls),
        cmocka_unit_test(a_handler_without_on_cancel_may_answer_a_client_that_is_gone),
        cmocka_unit_test(a_drain_goes_in_two_steps),
        cmocka_unit_test(a_drain_ends_idle_connections_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
