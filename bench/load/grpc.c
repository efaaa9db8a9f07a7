/* SPDX-License-Identifier: Apache-2.0 */
#include "load/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW (16 * 1024 * 1024)
#define PREFIX 5
#define FRAME_HEADER 9
#define SMALL_FRAME ((size_t)17 * 1024)

/* Where fill() writes; handed to nghttp2's callbacks through the connection's uv handle data. */
struct fill {
    uint8_t *to;
    size_t room;
};

static struct load_request *request_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

/* ---- answers ---- */

static bool is(const uint8_t *text, size_t size, const char *word)
{
    return strlen(word) == size && memcmp(text, word, size) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *user)
{
    (void)flags;
    (void)user;
    struct load_request *request = request_of(session, frame->hd.stream_id);
    if (request == NULL)
        return 0;
    if (is(name, name_size, "grpc-status")) {
        char text[16] = { 0 };
        memcpy(text, value, value_size < sizeof(text) - 1 ? value_size : sizeof(text) - 1);
        request->code = (int)strtol(text, NULL, 10);
        request->has_code = true;
    } else if (is(name, name_size, "grpc-message")) {
        el_buf_append(&request->text, value, value_size);
    } else if (is(name, name_size, ":status") && !is(value, value_size, "200")) {
        el_buf_printf(&request->text, "HTTP status %.*s", (int)value_size, (const char *)value);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes, size_t size,
                   void *user)
{
    (void)flags;
    (void)user;
    struct load_request *request = request_of(session, stream_id);
    if (request != NULL)
        el_buf_append(&request->answer, bytes, size);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session;
    struct load_conn *conn = user;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        load_conn_leave(conn);
    else if (frame->hd.type == NGHTTP2_SETTINGS && conn->state == CONN_GREETING)
        load_conn_ready(conn);
    return 0;
}

/* Takes the prefix off the answer. NULL, or what is wrong with it. */
static const char *unframe(struct load_request *request)
{
    struct el_buf *answer = &request->answer;
    if (answer->size < PREFIX)
        return "the answer has no whole message";
    size_t size = (size_t)answer->data[1] << 24 | (size_t)answer->data[2] << 16 | (size_t)answer->data[3] << 8 |
                  (size_t)answer->data[4];
    if (answer->data[0] != 0)
        return "the answer is compressed, which was not asked for";
    if (size != answer->size - PREFIX)
        return "the answer's length is not the one in its prefix";
    memmove(answer->data, answer->data + PREFIX, size);
    answer->size = size;
    return NULL;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error, void *user)
{
    struct load_conn *conn = user;
    struct load_request *request = request_of(session, stream_id);
    if (request == NULL)
        return 0;
    nghttp2_session_set_stream_user_data(session, stream_id, NULL);
    conn->begun = true;
    if (error == NGHTTP2_REFUSED_STREAM) {
        load_retry(request);
    } else if (request->has_code) {
        const char *wrong = request->code == 0 ? unframe(request) : NULL;
        if (request->code != 0)
            el_buf_clear(&request->answer);
        load_finish(request, wrong);
    } else {
        char text[96];
        snprintf(text, sizeof(text), "the stream ended without a status: %s", nghttp2_http2_strerror(error));
        load_finish(request, text);
    }
    return 0;
}

/* ---- requests ---- */

static ssize_t read_message(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t room, uint32_t *flags,
                            nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)stream_id;
    (void)to;
    (void)user;
    const struct load_request *request = source->ptr;
    size_t whole = PREFIX + request->lane->load->options.messages[request->message].size;
    size_t left = whole - request->sent, take = left < room ? left : room;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (take == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)take;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_header, size_t size,
                     nghttp2_data_source *source, void *user)
{
    (void)session;
    (void)frame;
    struct load_conn *conn = user;
    struct load_request *request = source->ptr;
    struct fill *fill = conn->tcp.data;
    if (fill->room < FRAME_HEADER + size + SMALL_FRAME) /* nghttp2 goes on to the next frame by itself */
        return NGHTTP2_ERR_WOULDBLOCK;
    memcpy(fill->to, frame_header, FRAME_HEADER);
    uint8_t *to = fill->to + FRAME_HEADER;
    fill->to += FRAME_HEADER + size;
    fill->room -= FRAME_HEADER + size;
    size_t head = request->sent < PREFIX ? PREFIX - request->sent : 0;
    if (head > size)
        head = size;
    memcpy(to, request->prefix + (request->sent < PREFIX ? request->sent : 0), head);
    request->sent += head;
    if (size > head)
        memcpy(to + head, conn->load->options.messages[request->message].bytes + (request->sent - PREFIX), size - head);
    request->sent += size - head;
    return 0;
}

#define TEXT_NV(name_, value_, size_)                                                            \
    {                                                                                            \
        (uint8_t *)(uintptr_t)(name_), (uint8_t *)(uintptr_t)(value_), sizeof(name_) - 1, size_, \
            NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE                         \
    }

bool load_grpc_send(struct load_conn *conn, struct load_request *request)
{
    const struct el_load *load = conn->load;
    const char *path = load->options.path;
    const nghttp2_nv headers[] = {
        TEXT_NV(":method", "POST", 4),
        TEXT_NV(":scheme", "http", 4),
        TEXT_NV(":path", path, strlen(path)),
        TEXT_NV(":authority", load->authority, strlen(load->authority)),
        TEXT_NV("te", "trailers", 8),
        TEXT_NV("content-type", "application/grpc", 16),
        TEXT_NV("user-agent", "everlit-load", 12),
        TEXT_NV("grpc-timeout", load->timeout_text, strlen(load->timeout_text)),
    };
    size_t count = sizeof(headers) / sizeof(headers[0]) - (load->options.timeout_ms == 0 ? 1 : 0);
    size_t size = load->options.messages[request->message].size;
    request->prefix[0] = 0;
    request->prefix[1] = (uint8_t)(size >> 24);
    request->prefix[2] = (uint8_t)(size >> 16);
    request->prefix[3] = (uint8_t)(size >> 8);
    request->prefix[4] = (uint8_t)size;
    nghttp2_data_provider data = { .source.ptr = request, .read_callback = read_message };
    request->stream_id = nghttp2_submit_request(conn->session, NULL, headers, count, &data, request);
    load_conn_dirty(conn);
    return request->stream_id > 0;
}

void load_grpc_cancel(struct load_conn *conn, struct load_request *request)
{
    nghttp2_session_set_stream_user_data(conn->session, request->stream_id, NULL);
    nghttp2_submit_rst_stream(conn->session, NGHTTP2_FLAG_NONE, request->stream_id, NGHTTP2_CANCEL);
    load_conn_dirty(conn);
    load_finish(request, "no answer within the timeout");
}

/* ---- the connection ---- */

int load_grpc_setup(struct el_load *load)
{
    int error = nghttp2_session_callbacks_new(&load->callbacks);
    if (error != 0)
        return error;
    nghttp2_session_callbacks_set_on_header_callback(load->callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(load->callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(load->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(load->callbacks, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(load->callbacks, send_data);
    return 0;
}

bool load_grpc_begin(struct load_conn *conn)
{
    const nghttp2_settings_entry settings[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW },
    };
    return nghttp2_session_client_new(&conn->session, conn->load->callbacks, conn) == 0 &&
           nghttp2_submit_settings(conn->session, NGHTTP2_FLAG_NONE, settings, 2) == 0 &&
           nghttp2_session_set_local_window_size(conn->session, NGHTTP2_FLAG_NONE, 0, WINDOW) == 0;
}

void load_grpc_received(struct load_conn *conn, const uint8_t *bytes, size_t size)
{
    ssize_t taken = nghttp2_session_mem_recv(conn->session, bytes, size);
    if (taken < 0) {
        load_conn_close(conn, nghttp2_strerror((int)taken));
        return;
    }
    load_conn_dirty(conn);
}

size_t load_grpc_fill(struct load_conn *conn, uint8_t *to, size_t room)
{
    struct fill fill = { .to = to, .room = room };
    conn->tcp.data = &fill;
    while (fill.room >= SMALL_FRAME) {
        const uint8_t *bytes;
        ssize_t size = nghttp2_session_mem_send(conn->session, &bytes);
        if (size <= 0)
            break;
        memcpy(fill.to, bytes, (size_t)size);
        fill.to += size;
        fill.room -= (size_t)size;
    }
    conn->tcp.data = NULL;
    return room - fill.room;
}
