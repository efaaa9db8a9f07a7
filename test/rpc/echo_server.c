/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server on src/rpc for tests and measurements: what comes in goes out.
 *
 *     echo_server [loops [grpc_port [http_port]]]
 *
 * prints "grpc PORT http PORT" when it listens, and drains on SIGTERM (grace 10 s).
 *
 * gRPC, service echo.Echo: Unary answers at once; Later after 20 ms, Never when cancelled only; Fail with
 * INVALID_ARGUMENT and the message as text; Stream sends the message 10 times; Each answers each message of a stream until
 * one is "stop", and fails with that; Cancelled tells how many calls of Never
 * and Later were cancelled, as decimal text. HTTP: the body of a POST, the target of a GET; /later after 20 ms, /stream
 * in three chunks.
 */
#include "rpc/rpc.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LATER_MS 20

static void unary(struct el_grpc_call *call, void *argument)
{
    size_t size;
    const uint8_t *message = el_grpc_message(call, &size);
    (void)argument;
    el_buf_append(el_grpc_reply_buf(call), message, size);
    el_grpc_reply(call);
}

struct later {
    uv_timer_t timer;
    struct el_grpc_call *call;
    struct el_http_request *request;
};

static void free_later(uv_handle_t *handle)
{
    free(handle->data);
}

static void stop_later(struct later *later)
{
    later->call = NULL;
    uv_close((uv_handle_t *)&later->timer, free_later);
}

static void later_cancelled(struct el_grpc_call *call, void *user)
{
    (void)call;
    atomic_fetch_add((_Atomic unsigned *)el_grpc_loop(call)->user, 1);
    if (user != NULL)
        stop_later(user);
}

static void later_http_cancelled(struct el_http_request *request, void *user)
{
    (void)request;
    stop_later(user);
}

static void reply_http(struct el_http_request *request)
{
    size_t size;
    const uint8_t *body = el_http_body(request, &size);
    el_buf_append(el_http_reply_buf(request), body, size);
    el_http_reply(request, 200, "application/octet-stream");
}

static void later_due(uv_timer_t *timer)
{
    struct later *later = timer->data;
    if (later->call != NULL)
        unary(later->call, NULL);
    else
        reply_http(later->request);
    stop_later(later);
}

static struct later *start_later(struct el_rpc_loop *loop)
{
    struct later *later = calloc(1, sizeof(*later));
    if (later == NULL)
        abort();
    uv_timer_init(&loop->uv, &later->timer);
    later->timer.data = later;
    uv_timer_start(&later->timer, later_due, LATER_MS, 0);
    return later;
}

static void later(struct el_grpc_call *call, void *argument)
{
    (void)argument;
    struct later *later = start_later(el_grpc_loop(call));
    later->call = call;
    el_grpc_set_user(call, later);
    el_grpc_on_cancel(call, later_cancelled);
}

static void never(struct el_grpc_call *call, void *argument)
{
    (void)argument;
    el_grpc_drop_message(call);
    el_grpc_on_cancel(call, later_cancelled);
}

static void fail(struct el_grpc_call *call, void *argument)
{
    (void)argument;
    size_t size;
    const uint8_t *message = el_grpc_message(call, &size);
    struct el_status *status = el_status_new(EL_INVALID_ARGUMENT, "%.*s", (int)size, (const char *)message);
    el_grpc_fail(call, status);
    el_status_free(status);
}

static void stream(struct el_grpc_call *call, void *argument)
{
    (void)argument;
    for (int i = 0; i < 10; i++) {
        size_t size;
        const uint8_t *message = el_grpc_message(call, &size);
        el_buf_append(el_grpc_reply_buf(call), message, size);
        el_grpc_send(call);
    }
    el_grpc_fail(call, NULL);
}

static void each(struct el_grpc_call *call, void *argument)
{
    (void)argument;
    size_t size;
    const uint8_t *message = el_grpc_message(call, &size);
    if (size == 4 && memcmp(message, "stop", 4) == 0) {
        fail(call, NULL);
        return;
    }
    el_buf_append(el_grpc_reply_buf(call), message, size);
    el_grpc_send(call);
}

static void cancelled(struct el_grpc_call *call, void *argument)
{
    (void)argument;
    el_buf_printf(el_grpc_reply_buf(call), "%u", atomic_load((_Atomic unsigned *)el_grpc_loop(call)->user));
    el_grpc_reply(call);
}

static void http(struct el_http_request *request, void *argument)
{
    (void)argument;
    const char *target = el_http_target(request);
    if (strcmp(target, "/later") == 0) {
        struct later *later = start_later(el_http_loop(request));
        later->request = request;
        el_http_set_user(request, later);
        el_http_on_cancel(request, later_http_cancelled);
        return;
    }
    if (strcmp(target, "/stream") == 0) {
        el_http_stream(request, 200, "text/plain");
        for (int i = 0; i < 3; i++) {
            el_buf_printf(el_http_reply_buf(request), "part %d\n", i);
            el_http_stream_send(request);
        }
        el_http_stream_end(request);
        return;
    }
    if (strcmp(el_http_method(request), "POST") == 0) {
        reply_http(request);
        return;
    }
    el_buf_text(el_http_reply_buf(request), target);
    el_http_reply(request, 200, "text/plain");
}

static struct el_status *loop_start(struct el_rpc_loop *loop, void *argument)
{
    loop->user = argument;
    return NULL;
}

int main(int argc, char **argv)
{
    static _Atomic unsigned cancels;
    unsigned loops = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
    const struct el_log log = { .fd = 2, .least = EL_LOG_INFO };
    const struct el_grpc_method methods[] = {
        { .path = "/echo.Echo/Unary", .handler = unary },
        { .path = "/echo.Echo/Later", .handler = later },
        { .path = "/echo.Echo/Never", .handler = never },
        { .path = "/echo.Echo/Fail", .handler = fail },
        { .path = "/echo.Echo/Stream", .handler = stream },
        { .path = "/echo.Echo/Cancelled", .handler = cancelled },
        { .path = "/echo.Echo/Each", .handler = each, .streams = true },
    };
    const struct el_listener listeners[] = {
        { .type = EL_LISTEN_GRPC, .address = "::", .port = (uint16_t)(argc > 2 ? atoi(argv[2]) : 0) },
        { .type = EL_LISTEN_HTTP,
          .address = "::",
          .port = (uint16_t)(argc > 3 ? atoi(argv[3]) : 0),
          .compress = true,
          .handler = http },
    };
    const struct el_rpc_options options = {
        .log = &log,
        .loops = loops,
        .listeners = listeners,
        .listener_count = 2,
        .methods = methods,
        .method_count = sizeof(methods) / sizeof(methods[0]),
        .header_timeout_ms = 3000,
        .on_loop_start = loop_start,
        .argument = &cancels,
    };
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    struct el_rpc_server *server;
    struct el_status *status = el_rpc_server_start(&options, &server);
    if (status != NULL) {
        fprintf(stderr, "echo_server: %s\n", el_status_text(status));
        el_status_free(status);
        return 1;
    }
    printf("grpc %u http %u\n", el_rpc_server_port(server, 0), el_rpc_server_port(server, 1));
    fflush(stdout);
    int signal_number;
    sigwait(&stop, &signal_number);
    el_rpc_server_drain(server, 10000);
    el_rpc_server_join(server);
    return 0;
}
