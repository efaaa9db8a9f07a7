/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests by HTTP/2: a stream that is no gRPC call becomes a request like those of HTTP/1, with the same limits, the
 * same answers and a turn among the connection's calls. The body is read into the request; the answer goes out of the
 * handler's buffer as flow control lets it (el_call_read, el_call_copy).
 */
#include "rpc/call.h"
#include "rpc/h2.h"
#include "rpc/http.h"
#include "rpc/texts.h"
#include "rpc/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_UNREAD ((size_t)16 * 1024 * 1024) /* of a streamed answer */
#define MAX_SWALLOWED ((size_t)256 * 1024 * 1024)
#define MAX_HEADERS 32 /* of an answer; handlers add a handful */

static const struct el_http_carrier carrier;

static void reset(struct el_grpc_call *call, uint32_t error)
{
    nghttp2_submit_rst_stream(call->h2->session, NGHTTP2_FLAG_NONE, call->stream_id, error);
    el_conn_dirty(&call->h2->conn);
}

/* ---- the answer ---- */

static nghttp2_nv pair(const char *name, const char *value)
{
    return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name), strlen(value),
                         NGHTTP2_NV_FLAG_NONE };
}

/* length: the body's, or SIZE_MAX where none is told. with_data: DATA follows. nghttp2 makes names small letters. */
static void submit(struct el_grpc_call *call, size_t length, bool with_data)
{
    const struct el_http_request *request = call->http;
    char code[8], digits[24];
    nghttp2_nv headers[MAX_HEADERS];
    size_t count = 0;
    snprintf(code, sizeof(code), "%u", request->code % 1000);
    headers[count++] = pair(":status", code);
    if (request->type != NULL)
        headers[count++] = pair("content-type", request->type);
    headers[count++] = pair("date", el_loop_date(call->loop));
    const char *name, *value;
    for (size_t at = 0; count < MAX_HEADERS - 1 && el_rpc_text_next(&request->reply_headers, &at, &name, &value);)
        headers[count++] = pair(name, value);
    if (length != SIZE_MAX) {
        snprintf(digits, sizeof(digits), "%zu", length);
        headers[count++] = pair("content-length", digits);
    }
    nghttp2_data_provider data = { .source.ptr = call, .read_callback = el_call_read };
    call->response_begun = true;
    call->active_ms = uv_now(&call->loop->open.uv);
    if (nghttp2_submit_response(call->h2->session, call->stream_id, headers, count, with_data ? &data : NULL) != 0)
        reset(call, NGHTTP2_INTERNAL_ERROR);
    el_conn_dirty(&call->h2->conn);
}

/* The handler is done with it; what is left is to send. */
static void settle(struct el_grpc_call *call)
{
    if (call->state == EL_CALL_WAITING)
        cds_list_del(&call->turn);
    call->state = EL_CALL_ANSWERED;
    call->active_ms = uv_now(&call->loop->open.uv);
    el_call_uncount(call);
    el_zip_cancel(call->http->zip);
    call->http->zip = NULL;
    el_http_forget_body(call->http);
}

static void refuse(struct el_http_request *request, unsigned code, const char *text)
{
    struct el_grpc_call *call = request->carried;
    settle(call);
    el_buf_clear(&request->reply_headers);
    request->code = code;
    request->type = el_http_refusal(&request->reply, code, text);
    if (request->reply.failed || !el_call_charge(call, request->reply.size)) {
        reset(call, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    call->out = &request->reply;
    call->finished = true;
    submit(call, request->reply.size, request->method != HTTP_HEAD);
}

static void send_reply(struct el_http_request *request)
{
    struct el_grpc_call *call = request->carried;
    const bool bodiless = request->code == 204 || request->code == 304;
    const bool with_body = !bodiless && request->method != HTTP_HEAD && request->reply.size > 0;
    if (with_body && !el_call_charge(call, request->reply.size)) {
        refuse(request, 503, "Too many bytes of answers are in memory already");
        return;
    }
    call->out = &request->reply;
    call->finished = true;
    submit(call, bodiless ? SIZE_MAX : request->reply.size, with_body);
}

static void reply(struct el_http_request *request)
{
    settle(request->carried);
    if (!el_http_zip(request))
        send_reply(request);
}

/* A stream may go on for ever: it takes no other's turn. */
static void stream(struct el_http_request *request)
{
    struct el_grpc_call *call = request->carried;
    el_call_uncount(call);
    el_http_forget_body(request);
    call->out = &call->queue;
    submit(call, SIZE_MAX, request->method != HTTP_HEAD);
}

static void stream_send(struct el_http_request *request)
{
    struct el_grpc_call *call = request->carried;
    if (call->too_slow)
        return;
    const size_t size = request->reply.size;
    bool fits = !request->reply.failed && call->queue.size - call->out_sent <= MAX_UNREAD && el_call_charge(call, size);
    if (fits) {
        call->queued_bytes += size;
        el_buf_append(&call->queue, request->reply.data, size);
        fits = !call->queue.failed;
    }
    if (!fits) { /* the client reads more slowly than parts come up */
        call->too_slow = true;
        reset(call, NGHTTP2_CANCEL);
        return;
    }
    nghttp2_session_resume_data(call->h2->session, call->stream_id);
    el_conn_dirty(&call->h2->conn);
}

static void stream_end(struct el_http_request *request)
{
    struct el_grpc_call *call = request->carried;
    call->state = EL_CALL_ANSWERED;
    call->active_ms = uv_now(&call->loop->open.uv);
    call->finished = true;
    nghttp2_session_resume_data(call->h2->session, call->stream_id);
    el_conn_dirty(&call->h2->conn);
}

/* ---- the request ---- */

static void ready(struct el_http_request *request)
{
    el_call_run(request->carried);
}

static bool charge(struct el_http_request *request, size_t bytes)
{
    return el_call_charge(request->carried, bytes);
}

static void uncharge(struct el_http_request *request, size_t bytes)
{
    el_call_uncharge(request->carried, bytes);
}

static const struct el_http_carrier carrier = {
    .ready = ready,
    .reply = reply,
    .send = send_reply,
    .refuse = refuse,
    .stream = stream,
    .stream_send = stream_send,
    .stream_end = stream_end,
    .charge = charge,
    .uncharge = uncharge,
};

/* http_parser's number of a method; one that is not served for a text that names none. */
static unsigned method_of(const char *text)
{
    static const enum http_method served[] = { HTTP_GET,    HTTP_POST,    HTTP_HEAD, HTTP_PUT,
                                               HTTP_DELETE, HTTP_OPTIONS, HTTP_PATCH };
    for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++) {
        if (text != NULL && strcmp(text, http_method_str(served[i])) == 0)
            return served[i];
    }
    return HTTP_TRACE;
}

static void tell_to_continue(struct el_grpc_call *call)
{
    const nghttp2_nv header = pair(":status", "100");
    if (nghttp2_submit_headers(call->h2->session, NGHTTP2_FLAG_NONE, call->stream_id, NULL, &header, 1, NULL) == 0)
        el_conn_dirty(&call->h2->conn);
}

void el_h2_http_begin(struct el_grpc_call *call)
{
    struct el_http_request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        call->state = EL_CALL_ANSWERED; /* no handler will have it */
        reset(call, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    call->http = request;
    call->method = NULL; /* gRPC's, even where the path is one's */
    request->carrier = &carrier;
    request->carried = call;
    request->conn = &call->h2->conn;
    request->loop = call->loop;
    request->headers = call->headers;
    call->headers = (struct el_buf){ 0 };
    request->method = method_of(el_http_header(request, ":method"));
    const char *path = el_http_header(request, ":path"), *length = el_http_header(request, "content-length");
    el_buf_append(&request->target, path == NULL ? "" : path, path == NULL ? 1 : strlen(path) + 1);
    bool wants_continue;
    unsigned code;
    const char *problem = el_http_expectation(request, &wants_continue, &code);
    if (call->headers_too_big)
        refuse(request, 431, "The request's headers are larger than this server accepts");
    else if (request->headers.failed || request->target.failed)
        refuse(request, 503, "Out of memory");
    else if (problem != NULL)
        refuse(request, code, problem);
    else if (length != NULL && strtoull(length, NULL, 10) > call->loop->settings->max_message_bytes)
        refuse(request, 413, "The request's body is larger than this server accepts");
    else if (wants_continue)
        tell_to_continue(call);
}

/*
 * What comes after an early answer is thrown away, as by HTTP/1. To reset the stream at once would be shorter, but there
 * are clients (curl) that then lose the answer.
 */
static void swallow(struct el_grpc_call *call, size_t size)
{
    call->message_size += size;
    if (call->message_size > MAX_SWALLOWED)
        reset(call, NGHTTP2_NO_ERROR);
}

/* Grows in step with what has come. */
void el_h2_http_data(struct el_grpc_call *call, const uint8_t *bytes, size_t size)
{
    struct el_http_request *request = call->http;
    if (call->state == EL_CALL_ANSWERED)
        swallow(call, size);
    if (call->state != EL_CALL_RECEIVING || size == 0)
        return;
    call->active_ms = uv_now(&call->loop->open.uv);
    if (size > call->loop->settings->max_message_bytes - request->body.size) {
        refuse(request, 413, "The request's body is larger than this server accepts");
        return;
    }
    if (!el_call_charge(call, size)) {
        refuse(request, 503, "Too many request bytes are in memory already");
        return;
    }
    el_buf_append(&request->body, bytes, size);
    if (request->body.failed) {
        el_call_uncharge(call, size);
        refuse(request, 503, "Out of memory");
    }
}

void el_h2_http_ended(struct el_grpc_call *call)
{
    if (call->state == EL_CALL_RECEIVING && !el_http_unzip(call->http))
        el_call_run(call);
}

void el_h2_http_start(struct el_grpc_call *call)
{
    const struct el_listener *listener = call->h2->conn.listener;
    listener->handler(call->http, listener->argument);
}

/* ---- the end ---- */

/* The grace of a drain is over. A handler that cannot be told goes on with a request that nobody waits for. */
void el_h2_http_abort(struct el_grpc_call *call)
{
    struct el_http_request *request = call->http;
    if (call->state == EL_CALL_ANSWERED)
        return;
    const bool running = call->state == EL_CALL_RUNNING;
    if (running && (request->on_cancel == NULL || call->response_begun)) {
        reset(call, NGHTTP2_CANCEL);
        return;
    }
    if (running) {
        void (*on_cancel)(struct el_http_request *, void *) = request->on_cancel;
        request->on_cancel = NULL;
        on_cancel(request, request->user);
    }
    refuse(request, 503, "The server is shutting down");
}

void el_h2_http_cancelled(struct el_grpc_call *call)
{
    struct el_http_request *request = call->http;
    void (*on_cancel)(struct el_http_request *, void *) = request->on_cancel;
    if (on_cancel != NULL) {
        request->on_cancel = NULL;
        on_cancel(request, request->user);
        return;
    }
    request->conn = NULL; /* the handler will answer, and not know better */
    call->http = NULL;
}

void el_h2_http_closed(struct el_grpc_call *call)
{
    el_http_request_free(call->http);
    call->http = NULL;
    call->out = NULL;
}

void el_h2_http_tick(struct el_grpc_call *call, uint64_t still_ms)
{
    struct el_http_request *request = call->http;
    const uint64_t limit_ms = call->loop->settings->header_timeout_ms;
    if (request->zip != NULL)
        return;
    if (call->state == EL_CALL_RECEIVING && still_ms > limit_ms)
        refuse(request, 408, "The request did not arrive in time");
    else if (call->state == EL_CALL_ANSWERED && still_ms > limit_ms * EL_UNREAD_TIMEOUTS)
        reset(call, NGHTTP2_CANCEL);
}
