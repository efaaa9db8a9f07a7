/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC, unary, over HTTP/2 with prior knowledge, by nghttp2. */
#include "internal.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX 5
#define WINDOW (16 * 1024 * 1024) /* large enough that a 64 MB answer does not wait for each update */
#define WRITE_BYTES (256 * 1024)  /* handed to the socket at once */

static struct el_load_slot *slot_of(nghttp2_session *session, int32_t stream)
{
    return nghttp2_session_get_stream_user_data(session, stream);
}

static bool is_name(const uint8_t *name, size_t size, const char *text)
{
    return size == strlen(text) && memcmp(name, text, size) == 0;
}

static int number_of(const uint8_t *value, size_t size)
{
    int number = 0;
    for (size_t i = 0; i < size && i < 4 && value[i] >= '0' && value[i] <= '9'; i++)
        number = number * 10 + (value[i] - '0');
    return number;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *user)
{
    (void)flags;
    (void)user;
    struct el_load_slot *slot = slot_of(session, frame->hd.stream_id);
    if (slot == NULL)
        return 0;
    if (is_name(name, name_size, ":status"))
        slot->http_status = number_of(value, value_size);
    else if (is_name(name, name_size, "grpc-status"))
        slot->grpc_status = number_of(value, value_size);
    else if (is_name(name, name_size, "grpc-message"))
        snprintf(slot->grpc_message, sizeof slot->grpc_message, "%.*s", (int)value_size, (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data, size_t size, void *user)
{
    (void)flags;
    (void)user;
    struct el_load_slot *slot = slot_of(session, stream);
    if (slot != NULL)
        el_buf_append(&slot->answer, data, size);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct el_load_link *link = user;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        link->draining = true;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream, uint32_t error, void *user)
{
    struct el_load_link *link = user;
    struct el_load_slot *slot = slot_of(session, stream);
    if (slot == NULL)
        return 0;
    char why[64];
    if (error == NGHTTP2_REFUSED_STREAM) {
        slot->retry = true;
        link->load->stats.retried++;
    } else if (error != NGHTTP2_NO_ERROR && slot->grpc_status < 0) {
        snprintf(why, sizeof why, "stream reset: %s", nghttp2_http2_strerror(error));
        el_load_done(slot, why);
    } else if (slot->answer.failed) {
        el_load_done(slot, "out of memory for the answer");
    } else {
        el_load_done(slot, NULL);
    }
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *buf, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)stream;
    (void)user;
    struct el_load_slot *slot = source->ptr;
    const size_t size = slot->body->size;
    size_t n = 0;
    while (slot->sent < PREFIX && n < room) {
        buf[n++] = slot->sent == 0 ? 0 : (uint8_t)(size >> (8 * (PREFIX - 1 - slot->sent)));
        slot->sent++;
    }
    size_t left = size - (slot->sent - PREFIX);
    if (left > room - n)
        left = room - n;
    if (slot->sent >= PREFIX && left > 0) {
        memcpy(buf + n, slot->body->data + slot->sent - PREFIX, left);
        slot->sent += left;
        n += left;
    }
    if (slot->sent == size + PREFIX)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static nghttp2_nv header(const char *name, const char *value)
{
    union {
        const char *text;
        uint8_t *bytes; /* nghttp2 does not write to them */
    } n = {.text = name}, v = {.text = value};
    return (nghttp2_nv){n.bytes, v.bytes, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static bool grpc_send(struct el_load_link *link, struct el_load_slot *slot)
{
    const nghttp2_nv headers[] = {
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", link->load->options.path),
        header(":authority", "localhost"),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    };
    const nghttp2_data_provider body = {.source.ptr = slot, .read_callback = read_body};
    slot->stream = nghttp2_submit_request(link->session, NULL, headers, sizeof headers / sizeof headers[0], &body, slot);
    return slot->stream >= 0;
}

static struct el_status *grpc_open(struct el_load_link *link)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session = NULL;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        return el_status_no_memory();
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    const int error = nghttp2_session_client_new(&session, callbacks, link);
    nghttp2_session_callbacks_del(callbacks);
    if (error != 0)
        return el_status_new(EL_INTERNAL, "no HTTP/2 session: %s", nghttp2_strerror(error));
    link->session = session;
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
                                               {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW);
    return NULL;
}

static void grpc_close(struct el_load_link *link)
{
    nghttp2_session_del(link->session);
    link->session = NULL;
}

static void grpc_flush(struct el_load_link *link)
{
    while (link->session != NULL && link->connected && !link->writes) {
        while (link->out.size < WRITE_BYTES) {
            const uint8_t *bytes;
            const ssize_t size = nghttp2_session_mem_send(link->session, &bytes);
            if (size <= 0)
                break;
            el_buf_append(&link->out, bytes, (size_t)size);
        }
        if (link->out.size == 0)
            return;
        el_load_link_write(link);
    }
}

static bool grpc_received(struct el_load_link *link, const uint8_t *bytes, size_t size)
{
    return nghttp2_session_mem_recv(link->session, bytes, size) == (ssize_t)size;
}

static bool grpc_retries(const struct el_load_slot *slot)
{
    (void)slot;
    return false; /* the server may have run it: what a gRPC client fails with UNAVAILABLE */
}

const struct el_load_wire el_load_grpc = {
    .open = grpc_open,
    .close = grpc_close,
    .send = grpc_send,
    .received = grpc_received,
    .flush = grpc_flush,
    .retries = grpc_retries,
};
