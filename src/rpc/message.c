/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of a request: found in the bytes of a stream, decompressed, given
 * to the handler. A unary method gets its one message when the client has ended
 * its direction; a streaming one gets each when it is complete.
 */
#include "rpc/call.h"
#include "rpc/h2.h"
#include "rpc/texts.h"
#include "rpc/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_MESSAGE_BYTES 4096
#define LEAST_RUNNING 16                             /* of a connection, however many others there are */
#define STREAMED_MESSAGE_BYTES ((size_t)1024 * 1024) /* of a streaming method, also when it was compressed */

static size_t largest(const struct el_grpc_call *call, size_t limit)
{
    return call->method->streams && limit > STREAMED_MESSAGE_BYTES ? STREAMED_MESSAGE_BYTES : limit;
}

static bool check_encoding(struct el_grpc_call *call)
{
    if (call->encoding == EL_ENCODING_IDENTITY) {
        el_call_abort(call, EL_INTERNAL, "compressed request message, but grpc-encoding is not one of gzip, deflate");
    } else if (call->encoding == EL_ENCODING_UNKNOWN) {
        const char *name = el_rpc_text_header(call->headers.data, call->headers.size, "grpc-encoding");
        char text[256];
        snprintf(text, sizeof(text), "Compression algorithm '%.100s' is unknown; expected identity, deflate or gzip",
                 name == NULL ? "" : name);
        el_call_abort(call, EL_UNIMPLEMENTED, text);
    } else {
        return true;
    }
    return false;
}

static bool begin_message(struct el_grpc_call *call)
{
    size_t size = (size_t)call->prefix[1] << 24 | (size_t)call->prefix[2] << 16 | (size_t)call->prefix[3] << 8 |
                  (size_t)call->prefix[4];
    size_t most = largest(call, call->loop->settings->max_grpc_message_bytes);
    char text[128];
    if (call->prefix[0] > 1) {
        el_call_abort(call, EL_INTERNAL, "invalid flags byte in the prefix of the request message");
        return false;
    }
    if (size > most) {
        snprintf(text, sizeof(text), "Received message larger than max (%zu vs. %zu)", size, most);
        el_call_abort(call, EL_RESOURCE_EXHAUSTED, text);
        return false;
    }
    call->compressed = call->prefix[0] == 1;
    if (call->compressed && !check_encoding(call))
        return false;
    call->message_size = size;
    call->message_done = size == 0;
    return true;
}

/* Grows towards the promised size in step with what has really come, so that a promise costs nothing. */
static bool reserve(struct el_grpc_call *call, size_t more)
{
    struct el_buf *message = &call->message;
    size_t need = message->size + more;
    if (need <= message->capacity)
        return true;
    size_t capacity = message->capacity < FIRST_MESSAGE_BYTES ? FIRST_MESSAGE_BYTES : message->capacity * 2;
    if (capacity < need)
        capacity = need;
    if (capacity > call->message_size)
        capacity = call->message_size;
    uint8_t *data = realloc(message->data, capacity);
    if (data == NULL)
        return false;
    message->data = data;
    message->capacity = capacity;
    return true;
}

/* ---- compressed ones ---- */

static size_t inflated_limit(const struct el_grpc_call *call)
{
    const struct el_rpc_settings *settings = call->loop->settings;
    const size_t most = el_zip_limit(call->message.size, settings->max_inflated_bytes);
    return largest(call, most < settings->max_grpc_message_bytes ? most : settings->max_grpc_message_bytes);
}

static void refuse_inflated(struct el_grpc_call *call, enum el_zipped result, size_t most)
{
    char text[128];
    if (result == EL_ZIP_TOO_BIG) {
        snprintf(text, sizeof(text), "the request message decompresses to more than %zu bytes", most);
        el_call_abort(call, EL_RESOURCE_EXHAUSTED, text);
    } else if (result == EL_ZIP_CORRUPT) {
        el_call_abort(call, EL_INTERNAL, "the compressed request message is damaged");
    } else {
        el_call_abort(call, EL_RESOURCE_EXHAUSTED, "too many request bytes are in memory already");
    }
}

/* whole is charged already. */
static void replace_message(struct el_grpc_call *call, const struct el_buf *whole)
{
    el_call_forget_message(call);
    el_buf_free(&call->message);
    call->message = *whole;
}

static bool charge(void *call, size_t bytes)
{
    return el_call_charge(call, bytes);
}

static void uncharge(void *call, size_t bytes)
{
    el_call_uncharge(call, bytes);
}

static void inflated(void *argument, enum el_zipped result, struct el_buf *whole)
{
    struct el_grpc_call *call = argument;
    call->zip = NULL;
    if (result == EL_ZIPPED) {
        replace_message(call, whole);
        el_call_run(call);
    } else {
        refuse_inflated(call, result, inflated_limit(call));
    }
}

static void inflate_and_run(struct el_grpc_call *call)
{
    static const struct el_zip_owner owner = { charge, uncharge, inflated };
    struct el_buf whole;
    enum el_zipped result = el_zip_begin(call->loop, EL_ZIP_INFLATE, call->message.data, call->message.size,
                                         inflated_limit(call), &owner, call, &whole, &call->zip);
    if (result != EL_ZIP_GOES_ON)
        inflated(call, result, &whole);
}

/* A message of a stream: it is small. */
static bool inflate_streamed(struct el_grpc_call *call)
{
    struct el_buf whole;
    size_t most = inflated_limit(call);
    enum el_zipped result = el_zip_whole(EL_ZIP_INFLATE, call->message.data, call->message.size, most, &whole);
    if (result == EL_ZIPPED && !el_call_charge(call, whole.size)) {
        el_buf_free(&whole);
        result = EL_ZIP_NO_MEMORY;
    }
    if (result == EL_ZIPPED)
        replace_message(call, &whole);
    else
        refuse_inflated(call, result, most);
    return result == EL_ZIPPED;
}

/* ---- to the handler ---- */

/* What a connection may have running besides what all others have: see el_rpc_options.max_running. */
static bool may_run(const struct el_h2 *h2)
{
    const struct el_rpc_settings *settings = h2->conn.loop->settings;
    if (h2->running < LEAST_RUNNING || settings->max_running == 0)
        return true;
    uint32_t busy = 0;
    for (uint32_t i = 0; i < settings->loop_count; i++)
        busy += atomic_load_explicit(&settings->loops[i]->busy, memory_order_relaxed);
    return h2->running < settings->max_running / (busy == 0 ? 1 : busy);
}

static void count_busy(struct el_loop *loop, uint32_t change)
{
    /* One writer. */
    atomic_store_explicit(&loop->busy, atomic_load_explicit(&loop->busy, memory_order_relaxed) + change,
                          memory_order_relaxed);
}

static void start(struct el_grpc_call *call)
{
    call->counted = true;
    if (call->h2->running++ == 0)
        count_busy(call->loop, 1);
    call->state = EL_CALL_RUNNING;
    if (call->http != NULL)
        el_h2_http_start(call);
    else
        call->method->handler(call, call->method->argument);
}

void el_call_uncount(struct el_grpc_call *call)
{
    if (!call->counted)
        return;
    call->counted = false;
    if (--call->h2->running == 0)
        count_busy(call->loop, UINT32_MAX);
    if (!cds_list_empty(&call->h2->waiting))
        el_conn_dirty(&call->h2->conn); /* the end of the turn runs them */
}

void el_call_run(struct el_grpc_call *call)
{
    struct el_h2 *h2 = call->h2;
    if (cds_list_empty(&h2->waiting) && may_run(h2)) {
        start(call);
        return;
    }
    call->state = EL_CALL_WAITING;
    cds_list_add_tail(&call->turn, &h2->waiting);
}

void el_calls_run_waiting(struct el_h2 *h2)
{
    while (!cds_list_empty(&h2->waiting) && may_run(h2)) {
        struct el_grpc_call *call = el_list_first(&h2->waiting, struct el_grpc_call, turn);
        cds_list_del(&call->turn);
        start(call);
    }
}

static bool takes_bytes(const struct el_grpc_call *call)
{
    return call->state == EL_CALL_RECEIVING || (call->state == EL_CALL_RUNNING && call->method->streams);
}

/* A message of a stream is complete: the handler's, until it returns. */
static void deliver(struct el_grpc_call *call)
{
    if (call->compressed && call->message_size > 0 && !inflate_streamed(call))
        return;
    call->state = EL_CALL_RUNNING;
    call->method->handler(call, call->method->argument);
    el_call_forget_message(call);
    call->prefix_size = 0;
    call->message_done = false;
}

bool el_call_between_messages(const struct el_grpc_call *call)
{
    return call->method != NULL && call->method->streams && call->prefix_size == 0;
}

void el_call_data(struct el_grpc_call *call, const uint8_t *bytes, size_t size)
{
    if (call->http != NULL) {
        el_h2_http_data(call, bytes, size);
        return;
    }
    if (size > 0)
        call->active_ms = uv_now(&call->loop->open.uv);
    while (size > 0 && takes_bytes(call)) {
        if (call->message_done) {
            el_call_abort(call, EL_INTERNAL, "more than one request message");
            return;
        }
        if (call->prefix_size < sizeof(call->prefix)) {
            call->prefix[call->prefix_size++] = *bytes++;
            size--;
            if (call->prefix_size == sizeof(call->prefix) && !begin_message(call))
                return;
            if (call->message_done && call->method->streams)
                deliver(call); /* an empty one */
            continue;
        }
        size_t take = call->message_size - call->message.size;
        if (take > size)
            take = size;
        if (!el_call_charge(call, take)) {
            el_call_abort(call, EL_RESOURCE_EXHAUSTED, "too many request bytes are in memory already");
            return;
        }
        if (!reserve(call, take)) {
            el_call_uncharge(call, take); /* forget_message gives back only what is in the buffer */
            el_call_abort(call, EL_RESOURCE_EXHAUSTED, "out of memory");
            return;
        }
        memcpy(call->message.data + call->message.size, bytes, take);
        call->message.size += take;
        bytes += take;
        size -= take;
        call->message_done = call->message.size == call->message_size;
        if (call->message_done && call->method->streams)
            deliver(call);
    }
}

/* The client has said all: what was asked is answered, and so is the call. */
static void end_stream(struct el_grpc_call *call)
{
    if (call->prefix_size > 0)
        el_call_abort(call, EL_INTERNAL, "the request message is cut short");
    else
        el_call_abort(call, EL_OK, "");
}

void el_call_ended(struct el_grpc_call *call)
{
    call->remote_ended = true;
    if (call->http != NULL) {
        el_h2_http_ended(call);
        return;
    }
    if (!takes_bytes(call))
        return;
    if (call->method->streams) {
        end_stream(call);
        return;
    }
    if (!call->message_done) {
        el_call_abort(call, EL_INTERNAL,
                      call->prefix_size == 0 ? "no request message" : "the request message is cut short");
        return;
    }
    if (call->compressed && call->message_size > 0)
        inflate_and_run(call);
    else
        el_call_run(call);
}
