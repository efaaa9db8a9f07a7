/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of a request: found in the bytes of a stream, decompressed, given
 * to the handler. A unary method gets its one message when the client has ended
 * its direction; a streaming one gets each when it is complete.
 */
#include "rpc/call.h"
#include "rpc/h2.h"
#include "rpc/inflate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_MESSAGE_BYTES 4096
#define STREAMED_MESSAGE_BYTES ((size_t)1024 * 1024) /* of a streaming method, also when it was compressed */

static size_t largest(const struct el_grpc_call *call, size_t limit)
{
    return call->method->streams && limit > STREAMED_MESSAGE_BYTES ? STREAMED_MESSAGE_BYTES : limit;
}

static bool begin_message(struct el_grpc_call *call)
{
    size_t size = (size_t)call->prefix[1] << 24 | (size_t)call->prefix[2] << 16 | (size_t)call->prefix[3] << 8 |
                  (size_t)call->prefix[4];
    size_t most = largest(call, call->loop->settings->max_message_bytes);
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
    if (call->compressed && call->encoding != EL_ENCODING_ZLIB) {
        snprintf(text, sizeof(text), "compressed request message, but grpc-encoding is not one of gzip, deflate");
        el_call_abort(call, call->encoding == EL_ENCODING_UNKNOWN ? EL_UNIMPLEMENTED : EL_INTERNAL, text);
        return false;
    }
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

static bool decompress(struct el_grpc_call *call)
{
    size_t most = largest(call, call->loop->settings->max_inflated_bytes);
    struct el_buf whole = { 0 };
    char text[128];
    enum el_inflated result = el_inflate(call->message.data, call->message.size, most, &whole);
    if (result == EL_INFLATED && !el_call_charge(call, whole.size))
        result = EL_INFLATE_NO_MEMORY;
    if (result != EL_INFLATED) {
        el_buf_free(&whole);
        if (result == EL_INFLATE_TOO_BIG) {
            snprintf(text, sizeof(text), "the request message decompresses to more than %zu bytes", most);
            el_call_abort(call, EL_RESOURCE_EXHAUSTED, text);
        } else if (result == EL_INFLATE_CORRUPT) {
            el_call_abort(call, EL_INTERNAL, "the compressed request message is damaged");
        } else {
            el_call_abort(call, EL_RESOURCE_EXHAUSTED, "out of memory");
        }
        return false;
    }
    el_call_forget_message(call);
    el_buf_free(&call->message);
    call->message = whole;
    return true;
}

static bool takes_bytes(const struct el_grpc_call *call)
{
    return call->state == EL_CALL_RECEIVING || (call->state == EL_CALL_RUNNING && call->method->streams);
}

/* A message of a stream is complete: the handler's, until it returns. */
static void deliver(struct el_grpc_call *call)
{
    if (call->compressed && call->message_size > 0 && !decompress(call))
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
    if (call->compressed && call->message_size > 0 && !decompress(call))
        return;
    call->state = EL_CALL_RUNNING;
    call->method->handler(call, call->method->argument);
}
