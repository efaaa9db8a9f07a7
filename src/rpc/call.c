/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/call.h"
#include "base/clock.h"
#include "rpc/h2.h"
#include "rpc/texts.h"
#include "rpc/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_OVERHEAD 32 /* a header's, by RFC 9113, 6.5.2 */

/* ---- pool ---- */

static void trim(struct el_buf *buf)
{
    if (buf->capacity > EL_POOLED_BYTES)
        el_buf_free(buf);
    else
        el_buf_clear(buf);
}

static void free_call(struct el_grpc_call *call)
{
    el_buf_free(&call->headers);
    el_buf_free(&call->message);
    el_buf_free(&call->reply);
    el_buf_free(&call->queue);
    el_buf_free(&call->trailer);
    free(call);
}

static void recycle(struct el_grpc_call *call)
{
    struct el_loop *loop = call->loop;
    if (loop->free_call_count == EL_POOLED_CALLS) {
        free_call(call);
        return;
    }
    trim(&call->headers);
    trim(&call->message);
    trim(&call->reply);
    trim(&call->queue);
    trim(&call->trailer);
    loop->free_call_count++;
    cds_list_add(&call->link, &loop->free_calls);
}

struct el_grpc_call *el_call_new(struct el_h2 *h2, int32_t stream_id)
{
    struct el_loop *loop = h2->conn.loop;
    struct el_grpc_call *call;
    if (loop->free_call_count > 0) {
        call = el_list_first(&loop->free_calls, struct el_grpc_call, link);
        cds_list_del(&call->link);
        loop->free_call_count--;
        /* All but the memory of its buffers begins anew. */
        struct el_buf headers = call->headers, message = call->message, reply = call->reply, queue = call->queue,
                      trailer = call->trailer;
        *call = (struct el_grpc_call){
            .headers = headers, .message = message, .reply = reply, .queue = queue, .trailer = trailer
        };
    } else {
        call = calloc(1, sizeof(*call));
        if (call == NULL)
            return NULL;
    }
    call->loop = loop;
    call->h2 = h2;
    call->stream_id = stream_id;
    call->deadline.at_ns = EL_NEVER_NS;
    call->timeout_ns = EL_NEVER_NS;
    call->active_ms = uv_now(&loop->open.uv);
    cds_list_add_tail(&call->link, &h2->calls);
    return call;
}

void el_calls_free(struct el_loop *loop)
{
    struct el_grpc_call *call, *next;
    el_list_each (call, next, &loop->free_calls, link)
        free_call(call);
    el_list_each (call, next, &loop->orphans, link)
        free_call(call);
}

bool el_call_charge(struct el_grpc_call *call, size_t bytes)
{
    if (!el_conn_charge(&call->h2->conn, bytes))
        return false;
    call->charged_bytes += bytes;
    return true;
}

void el_call_uncharge(struct el_grpc_call *call, size_t bytes)
{
    if (call->h2 == NULL)
        return;
    call->charged_bytes -= bytes;
    el_conn_uncharge(&call->h2->conn, bytes);
}

void el_call_forget_message(struct el_grpc_call *call)
{
    el_call_uncharge(call, call->message.size);
    trim(&call->message);
}

/* ---- headers ---- */

static bool is(const uint8_t *text, size_t size, const char *word)
{
    return strlen(word) == size && memcmp(text, word, size) == 0;
}

static const struct el_grpc_method *find_method(const struct el_loop *loop, const uint8_t *path, size_t size)
{
    for (size_t i = 0; i < loop->settings->method_count; i++) {
        const struct el_grpc_method *method = &loop->settings->methods[i];
        if (is(path, size, method->path))
            return method;
    }
    return NULL;
}

static enum el_call_encoding parse_encoding(const uint8_t *value, size_t size)
{
    if (is(value, size, "identity"))
        return EL_ENCODING_IDENTITY;
    if (is(value, size, "gzip"))
        return EL_ENCODING_GZIP;
    if (is(value, size, "deflate"))
        return EL_ENCODING_DEFLATE;
    return EL_ENCODING_UNKNOWN;
}

void el_call_header(struct el_grpc_call *call, const uint8_t *name, size_t name_size, const uint8_t *value,
                    size_t value_size)
{
    call->header_bytes += name_size + value_size + HEADER_OVERHEAD;
    const bool on_http = call->h2->conn.listener->type == EL_LISTEN_HTTP;
    if (is(name, name_size, "content-type")) /* whatever the others are like: it says how the call is refused */
        call->is_grpc = el_rpc_text_is_grpc((const char *)value, value_size);
    if (call->header_bytes > call->loop->settings->max_header_bytes) {
        call->headers_too_big = true;
        return;
    }
    if (name_size > 0 && name[0] == ':') {
        if (is(name, name_size, ":path"))
            call->method = find_method(call->loop, value, value_size);
        else if (is(name, name_size, ":method"))
            call->is_post = is(value, value_size, "POST");
        if (!on_http)
            return; /* a request of HTTP needs them as they are */
    } else if (is(name, name_size, "grpc-timeout"))
        call->bad_timeout = !el_rpc_text_timeout((const char *)value, value_size, &call->timeout_ns);
    else if (is(name, name_size, "grpc-encoding"))
        call->encoding = parse_encoding(value, value_size);
    el_buf_append(&call->headers, name, name_size);
    el_buf_byte(&call->headers, 0);
    el_buf_append(&call->headers, value, value_size);
    el_buf_byte(&call->headers, 0);
}

void el_call_headers_done(struct el_grpc_call *call)
{
    char text[128];
    const struct el_listener *listener = call->h2->conn.listener;
    if (listener->type == EL_LISTEN_HTTP && !call->is_grpc) {
        el_h2_http_begin(call);
    } else if (listener->type == EL_LISTEN_HTTP && !listener->grpc_too) {
        el_call_refuse(call, EL_UNIMPLEMENTED, "this port answers HTTP, not gRPC (everlitd: --rest_api_accept_grpc)");
    } else if (call->headers_too_big) {
        snprintf(text, sizeof(text), "received metadata size exceeds limit (%zu vs. %zu)", call->header_bytes,
                 call->loop->settings->max_header_bytes);
        el_call_refuse(call, EL_RESOURCE_EXHAUSTED, text);
    } else if (call->headers.failed) {
        el_call_refuse(call, EL_RESOURCE_EXHAUSTED, "out of memory");
    } else if (!call->is_post) {
        el_call_refuse_http(call, "405");
    } else if (!call->is_grpc) {
        el_call_refuse_http(call, "415");
    } else if (call->method == NULL) {
        el_call_refuse(call, EL_UNIMPLEMENTED, "");
    } else if (call->bad_timeout) {
        el_call_refuse(call, EL_INTERNAL, "grpc-timeout is not 1 to 8 digits and one of H, M, S, m, u, n");
    } else if (call->timeout_ns != EL_NEVER_NS) {
        call->deadline.at_ns = el_after_ns(el_now_ns(), call->timeout_ns);
        if (el_deadline_add(&call->loop->deadlines, &call->deadline))
            el_loop_arm_deadline(call->loop);
        else
            el_call_refuse(call, EL_RESOURCE_EXHAUSTED, "out of memory");
    }
}

/* ---- the end ---- */

/* The handler learns that its answer is not wanted any more; or, if it did not say how, will find out. */
static void tell_handler(struct el_grpc_call *call)
{
    void (*on_cancel)(struct el_grpc_call *, void *) = call->on_cancel;
    call->on_cancel = NULL;
    if (call->http != NULL)
        el_h2_http_cancelled(call);
    else if (on_cancel != NULL)
        on_cancel(call, call->user);
    else
        call->held = !call->method->streams; /* a stream's handler works while it is called only */
}

void el_call_abort(struct el_grpc_call *call, enum el_code code, const char *message)
{
    if (call->http != NULL) {
        el_h2_http_abort(call);
        return;
    }
    if (call->state == EL_CALL_ANSWERED)
        return;
    bool had_handler = call->state == EL_CALL_RUNNING;
    call->held = had_handler; /* the request's bytes stay until the handler knows */
    el_call_refuse(call, code, message);
    call->held = false;
    if (had_handler)
        tell_handler(call);
    if (!call->held)
        el_call_forget_message(call);
}

void el_call_expire(struct el_deadline *deadline)
{
    struct el_grpc_call *call = el_list_entry(deadline, struct el_grpc_call, deadline);
    if (call->too_slow)
        el_call_abort(call, EL_RESOURCE_EXHAUSTED, EL_TOO_SLOW);
    else
        el_call_abort(call, EL_DEADLINE_EXCEEDED, "Deadline Exceeded");
}

void el_call_closed(struct el_grpc_call *call)
{
    el_deadline_remove(&call->loop->deadlines, &call->deadline);
    cds_list_del(&call->link);
    CDS_INIT_LIST_HEAD(&call->link);
    el_zip_cancel(call->zip);
    call->zip = NULL;
    el_call_uncount(call);
    if (call->state == EL_CALL_WAITING)
        cds_list_del(&call->turn);
    if (call->state == EL_CALL_RUNNING) {
        call->state = EL_CALL_ANSWERED;
        tell_handler(call);
    }
    if (call->http != NULL)
        el_h2_http_closed(call);
    el_call_uncharge(call, call->charged_bytes);
    call->h2 = NULL;
    if (call->held)
        cds_list_add(&call->link, &call->loop->orphans);
    else
        recycle(call);
}

void el_grpc_call_release(struct el_grpc_call *call)
{
    if (!call->held)
        return;
    call->held = false;
    if (call->h2 == NULL) {
        cds_list_del(&call->link);
        recycle(call);
    } else {
        el_call_forget_message(call);
    }
}

void el_call_tick(struct el_grpc_call *call, uint64_t now_ms)
{
    uint64_t still_ms = now_ms - call->active_ms, limit_ms = call->loop->settings->header_timeout_ms;
    if (call->http != NULL) {
        el_h2_http_tick(call, still_ms);
        return;
    }
    if (call->zip != NULL)
        return;
    if (call->state == EL_CALL_RECEIVING && still_ms > limit_ms && !el_call_between_messages(call))
        el_call_refuse(call, EL_DEADLINE_EXCEEDED, "the request message did not arrive in time");
    else if (call->state == EL_CALL_ANSWERED && still_ms > limit_ms * EL_UNREAD_TIMEOUTS)
        nghttp2_submit_rst_stream(call->h2->session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
}

/* ---- the handler's view of the request ---- */

struct el_rpc_loop *el_grpc_loop(struct el_grpc_call *call)
{
    return &call->loop->open;
}

const uint8_t *el_grpc_message(const struct el_grpc_call *call, size_t *size)
{
    *size = call->message.size;
    return call->message.data;
}

void el_grpc_drop_message(struct el_grpc_call *call)
{
    el_call_forget_message(call);
}

uint64_t el_grpc_deadline_ns(const struct el_grpc_call *call)
{
    return call->deadline.at_ns;
}

const char *el_grpc_metadata(const struct el_grpc_call *call, const char *name)
{
    return el_rpc_text_header(call->headers.data, call->headers.size, name);
}

void el_grpc_set_user(struct el_grpc_call *call, void *user)
{
    call->user = user;
}

void *el_grpc_user(const struct el_grpc_call *call)
{
    return call->user;
}

void el_grpc_on_cancel(struct el_grpc_call *call, void (*on_cancel)(struct el_grpc_call *call, void *user))
{
    call->on_cancel = on_cancel;
}
