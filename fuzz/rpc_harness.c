/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc_harness.h"

#include "rpc/conn.h"
#include "rpc/h2.h"
#include "rpc/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_WAITING 64
#define MAX_TURNS 10000
#define MAX_PIECES 200 /* then all that is left at once */

/* What handlers have put off; one loop, one thread. */
static struct el_grpc_call *waiting_calls[MAX_WAITING];
static struct el_http_request *waiting_request;
static struct el_rpc_settings settings;
static struct el_loop loop;
static _Atomic uint32_t connections;

static void touch(const uint8_t *bytes, size_t size)
{
    static volatile uint8_t sum;
    for (size_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + bytes[i]);
}

static void now(struct el_grpc_call *call, void *argument)
{
    (void)argument;
    size_t size;
    const uint8_t *message = el_grpc_message(call, &size);
    touch(message, size);
    el_buf_append(el_grpc_reply_buf(call), message, size);
    if (size % 3 == 2) {
        struct el_status *status = el_status_new(EL_ABORTED, "%.*s", (int)size, (const char *)message);
        el_grpc_fail(call, status);
        el_status_free(status);
    } else {
        el_grpc_reply(call);
    }
}

static void forget(struct el_grpc_call *call, void *user)
{
    (void)user;
    for (size_t i = 0; i < MAX_WAITING; i++)
        waiting_calls[i] = waiting_calls[i] == call ? NULL : waiting_calls[i];
}

static void each(struct el_grpc_call *call, void *argument)
{
    (void)argument;
    size_t size;
    const uint8_t *message = el_grpc_message(call, &size);
    touch(message, size);
    el_buf_append(el_grpc_reply_buf(call), message, size);
    el_grpc_send(call);
    if (size % 5 == 4)
        el_grpc_fail(call, NULL);
}

static void later(struct el_grpc_call *call, void *argument)
{
    for (size_t i = 0; i < MAX_WAITING; i++) {
        if (waiting_calls[i] == NULL) {
            waiting_calls[i] = call;
            if (argument != NULL)
                el_grpc_on_cancel(call, forget);
            return;
        }
    }
    now(call, NULL);
}

static void stream(struct el_grpc_call *call, void *argument)
{
    size_t size;
    const uint8_t *message = el_grpc_message(call, &size);
    for (int i = 0; i < 3; i++) {
        el_buf_append(el_grpc_reply_buf(call), message, size);
        el_grpc_send(call);
    }
    later(call, argument);
}

static void request_gone(struct el_http_request *request, void *user)
{
    (void)request;
    (void)user;
    waiting_request = NULL;
}

static void http(struct el_http_request *request, void *argument)
{
    (void)argument;
    size_t size;
    const uint8_t *body = el_http_body(request, &size);
    const char *target = el_http_target(request);
    touch(body, size);
    touch((const uint8_t *)target, strlen(target));
    el_buf_append(el_http_reply_buf(request), body, size);
    if (strncmp(target, "/stream", 7) == 0) {
        el_http_stream(request, 200, "text/plain");
        el_buf_text(el_http_reply_buf(request), "part");
        el_http_stream_send(request);
        el_http_stream_end(request);
    } else if (strncmp(target, "/later", 6) == 0 && waiting_request == NULL) {
        waiting_request = request;
        el_http_on_cancel(request, request_gone);
    } else {
        el_http_reply(request, strncmp(target, "/204", 4) == 0 ? 204 : 200, "text/plain");
    }
}

static void answer_waiting(void)
{
    for (size_t i = 0; i < MAX_WAITING; i++) {
        struct el_grpc_call *call = waiting_calls[i];
        waiting_calls[i] = NULL;
        if (call != NULL)
            now(call, NULL);
    }
    struct el_http_request *request = waiting_request;
    waiting_request = NULL;
    if (request != NULL)
        el_http_reply(request, 200, NULL);
}

static void set_up(void)
{
    static const struct el_grpc_method methods[] = {
        { .path = "/t/now", .handler = now },
        { .path = "/t/later", .handler = later, .argument = &settings },
        { .path = "/t/held", .handler = later },
        { .path = "/t/stream", .handler = stream, .argument = &settings },
        { .path = "/t/each", .handler = each, .streams = true },
    };
    settings = (struct el_rpc_settings){
        .methods = methods,
        .method_count = sizeof(methods) / sizeof(methods[0]),
        .max_message_bytes = 1 << 20,
        .max_inflated_bytes = 1 << 18,
        .max_connection_bytes = 1 << 21,
        .max_loop_bytes = 1 << 22,
        .max_header_bytes = 4096,
        .max_connections = 10,
        .max_streams = 20,
        .header_timeout_ms = 1000,
        .idle_timeout_ms = 1000,
        .max_grpc_message_bytes = 1 << 20,
        .max_reply_bytes = 1 << 20,
        .max_running = 18,
        .grpc_times = { .idle_ms = 1000,
                        .age_ms = 4000,
                        .age_grace_ms = 500,
                        .keepalive_ms = 100,
                        .keepalive_idle = true },
    };
    if (el_h2_setup(&settings.h2_option, &settings.h2_callbacks) != NULL ||
        el_loop_init(&loop, 0, &settings, &connections) != NULL)
        abort();
}

static void turn(int fd, bool reads)
{
    static uint8_t sink[1 << 16];
    uv_run(&loop.open.uv, UV_RUN_NOWAIT);
    while (reads && recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0) {
    }
}

/* Sends all in pieces; the server may have ended the connection. */
static void speak(int fd, const uint8_t *data, size_t size, size_t piece, bool reads)
{
    for (int pieces = 0; size > 0; pieces++) {
        size_t take = size < piece || pieces == MAX_PIECES ? size : piece;
        ssize_t sent = send(fd, data, take, MSG_NOSIGNAL | MSG_DONTWAIT);
        turn(fd, reads);
        if (sent <= 0 || pieces > MAX_PIECES + 64)
            return;
        data += sent;
        size -= (size_t)sent;
        answer_waiting();
    }
}

static void each_conn(void (*act)(struct el_conn *conn))
{
    struct el_conn *conn, *next;
    el_list_each (conn, next, &loop.conns, in_loop) {
        if (conn->state == EL_CONN_OPEN)
            act(conn);
    }
}

static void pass_time(struct el_conn *conn)
{
    el_conn_tick(conn, uv_now(&loop.open.uv) + 5000);
}

static void drain(struct el_conn *conn)
{
    conn->protocol->drain(conn);
}

void rpc_harness_run(enum el_listener_type type, uint8_t how, const void *head, size_t head_size, const uint8_t *data,
                     size_t size)
{
    static const size_t pieces[] = { 1, 2, 7, 9, 64, 1024, 16384, SIZE_MAX };
    static const struct el_listener listeners[] = {
        { .type = EL_LISTEN_GRPC, .unix_path = "fuzz" },
        { .type = EL_LISTEN_HTTP, .unix_path = "fuzz", .compress = true, .grpc_too = true, .handler = http },
    };
    if (loop.read_buffer == NULL)
        set_up();
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
        abort();
    bool reads = (how & 16) == 0;
    atomic_store(&connections, (uint32_t)loop.conn_count);
    el_loop_adopt(&loop, pair[0], &listeners[type == EL_LISTEN_GRPC ? 0 : 1]);
    speak(pair[1], head, head_size, SIZE_MAX, reads);
    speak(pair[1], data, size, pieces[how & 7], reads);
    if ((how & 32) != 0)
        each_conn(drain);
    if ((how & 8) != 0)
        shutdown(pair[1], SHUT_WR);
    turn(pair[1], reads);
    if ((how & 64) != 0)
        each_conn(pass_time);
    turn(pair[1], reads);
    close(pair[1]);
    int turns = 0;
    for (; loop.conn_count > 0 && turns < MAX_TURNS; turns++) {
        turn(-1, false);
        if (turns == 3)
            answer_waiting();
        if (turns > 3)
            each_conn(el_conn_close); /* a peer that is gone is noticed when it is written to */
    }
    answer_waiting();
    turn(-1, false);
    if (loop.conn_count != 0 || loop.buffered_bytes != 0 || loop.deadlines.count != 0 ||
        !cds_list_empty(&loop.orphans) || !cds_list_empty(&loop.dirty))
        abort();
}

void rpc_harness_http2(enum el_listener_type type, const uint8_t *data, size_t size)
{
    static const char beginning[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0";
    if (size == 0)
        return;
    size_t head = (data[0] & 128) != 0 ? 0 : sizeof(beginning) - 1;
    rpc_harness_run(type, data[0], beginning, head, data + 1, size - 1);
}
