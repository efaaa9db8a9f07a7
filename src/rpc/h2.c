/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 of one connection. nghttp2 keeps the protocol; this file connects it
 * to the socket and the calls, and adds what a server on the open network
 * needs: limits on headers, frames without use and time.
 *
 * Hot path (a unary call): received() -> nghttp2 -> el_call_*() -> handler ->
 * nghttp2_submit_response(); at the end of the turn fill() -> nghttp2 -> the
 * loop's write buffer -> one send(2). Allocations are nghttp2's own per stream.
 */
#include "rpc/h2.h"
#include "rpc/call.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_WINDOW (8 * 1024 * 1024)
#define CONN_WINDOW (16 * 1024 * 1024)
#define MAX_RECEIVED_FRAME (1024 * 1024)
#define MAX_SENT_FRAME ((size_t)64 * 1024)
#define SMALL_FRAME ((size_t)17 * 1024) /* room for any frame but DATA in one piece */
#define RESET_BURST 4000
#define RESETS_PER_SECOND 400
#define NOISE_PER_SECOND 10000 /* PINGs, SETTINGS, PRIORITYs, empty frames; minus useful frames */
#define BLOCK_LIMIT_FACTOR 4   /* header blocks of so many times the limit end the connection, not just the call */
#define FRAME_HEADER 9
#define ABUSE_LINGER_BYTES ((size_t)256 * 1024)

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
static const struct el_conn_protocol protocol;

/* ---- what nghttp2 finds ---- */

static struct el_grpc_call *call_of(nghttp2_session *session, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct el_h2 *h2 = user;
    h2->block_bytes = 0;
    h2->in_headers = true;
    h2->headers_since_ms = uv_now(&h2->conn.loop->open.uv);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct el_grpc_call *call = el_call_new(h2, frame->hd.stream_id);
    if (call == NULL)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    h2->calls_ms = h2->headers_since_ms;
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *user)
{
    struct el_h2 *h2 = user;
    (void)flags;
    size_t limit = h2->conn.loop->settings->max_header_bytes;
    h2->block_bytes += name_size + value_size;
    if (h2->block_bytes / BLOCK_LIMIT_FACTOR > limit) {
        /* A few bytes of HPACK can name megabytes of headers. */
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* trailers of a request mean nothing to gRPC */
    struct el_grpc_call *call = call_of(session, frame->hd.stream_id);
    if (call != NULL)
        el_call_header(call, name, name_size, value, value_size);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes, size_t size,
                   void *user)
{
    (void)flags;
    (void)user;
    struct el_grpc_call *call = call_of(session, stream_id);
    if (call != NULL)
        el_call_data(call, bytes, size);
    return 0;
}

static bool is_useful(const nghttp2_frame_hd *frame)
{
    switch (frame->type) {
    case NGHTTP2_DATA:
        return frame->length > 0 || (frame->flags & NGHTTP2_FLAG_END_STREAM) != 0;
    case NGHTTP2_HEADERS:
    case NGHTTP2_WINDOW_UPDATE:
    case NGHTTP2_RST_STREAM: /* nghttp2 limits their rate */
    case NGHTTP2_GOAWAY:
        return true;
    default:
        return false;
    }
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *frame, void *user)
{
    struct el_h2 *h2 = user;
    (void)session;
    if (frame->type != NGHTTP2_CONTINUATION)
        h2->in_headers = false; /* also after a header block that was not to nghttp2's taste */
    if (is_useful(frame)) {
        h2->noise -= h2->noise > 0 ? 1 : 0;
        return 0;
    }
    return ++h2->noise > NOISE_PER_SECOND ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct el_h2 *h2 = user;
    if (frame->hd.type == NGHTTP2_SETTINGS) {
        h2->settled = true;
    } else if (frame->hd.type == NGHTTP2_PING) {
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
            el_h2_ponged(h2, frame->ping.opaque_data);
    } else if (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) {
        if (frame->hd.type == NGHTTP2_HEADERS)
            h2->in_headers = false;
        struct el_grpc_call *call = call_of(session, frame->hd.stream_id);
        if (call == NULL)
            return 0;
        if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            el_call_headers_done(call);
        if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
            el_call_ended(call);
    }
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error, void *user)
{
    struct el_h2 *h2 = user;
    (void)error;
    struct el_grpc_call *call = call_of(session, stream_id);
    if (call != NULL) {
        nghttp2_session_set_stream_user_data(session, stream_id, NULL);
        el_call_closed(call);
        h2->calls_ms = uv_now(&h2->conn.loop->open.uv);
    }
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct el_h2 *h2 = user;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        el_h2_goaway_sent(h2);
    if (frame->hd.type != NGHTTP2_HEADERS || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    const struct el_grpc_call *call = call_of(session, frame->hd.stream_id);
    if (call != NULL && call->http == NULL &&
        !call->remote_ended) /* answered before its end came: the rest of the request is not wanted */
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
    return 0;
}

/* ---- what nghttp2 sends ---- */

static ssize_t data_length(nghttp2_session *session, uint8_t frame_type, int32_t stream_id, int32_t session_window,
                           int32_t stream_window, uint32_t max_frame, void *user)
{
    (void)session;
    (void)frame_type;
    (void)stream_id;
    (void)user;
    size_t size = MAX_SENT_FRAME;
    if (size > max_frame)
        size = max_frame;
    if (session_window < 0 || stream_window < 0)
        return 0;
    if (size > (size_t)session_window)
        size = (size_t)session_window;
    if (size > (size_t)stream_window)
        size = (size_t)stream_window;
    return (ssize_t)size;
}

static int send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_header, size_t size,
                     nghttp2_data_source *source, void *user)
{
    struct el_h2 *h2 = user;
    (void)session;
    (void)frame; /* never padded: there is no select_padding callback */
    /* nghttp2 goes on to the next frame by itself: for one that is no DATA there must always be room. */
    if (h2->fill_room < FRAME_HEADER + size + SMALL_FRAME) {
        h2->fill_short = true;
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    memcpy(h2->fill_to, frame_header, FRAME_HEADER);
    el_call_copy(source->ptr, h2->fill_to + FRAME_HEADER, size);
    h2->fill_to += FRAME_HEADER + size;
    h2->fill_room -= FRAME_HEADER + size;
    return 0;
}

static void finish_if_done(struct el_h2 *h2)
{
    if (nghttp2_session_want_read(h2->session) == 0 && nghttp2_session_want_write(h2->session) == 0)
        el_conn_finish(&h2->conn);
}

static size_t fill(struct el_conn *conn, uint8_t *to, size_t room, bool *more)
{
    struct el_h2 *h2 = (struct el_h2 *)conn;
    bool greeted = h2->preface_size == sizeof(preface) - 1;
    if (h2->refused || (!greeted && h2->goaway_ms == 0))
        return 0; /* our SETTINGS wait for the client's first bytes: they may be HTTP/1 */
    if (!cds_list_empty(&h2->waiting))
        el_calls_run_waiting(h2);
    h2->fill_to = to;
    h2->fill_room = room;
    h2->fill_short = false;
    for (;;) {
        if (h2->fill_room < SMALL_FRAME) {
            h2->fill_short = true;
            break;
        }
        const uint8_t *bytes;
        ssize_t size = nghttp2_session_mem_send(h2->session, &bytes);
        if (size < 0) {
            el_conn_close(conn);
            return 0;
        }
        if (size == 0)
            break;
        if ((size_t)size > h2->fill_room) { /* no frame but DATA is that large, and DATA comes by send_data() */
            el_conn_close(conn);
            return 0;
        }
        memcpy(h2->fill_to, bytes, (size_t)size);
        h2->fill_to += size;
        h2->fill_room -= (size_t)size;
    }
    *more = h2->fill_short;
    if (!h2->fill_short)
        finish_if_done(h2);
    return room - h2->fill_room;
}

/* ---- the connection's events ---- */

/* Whoever speaks HTTP/1 to this port is told so. False: it was told. */
static bool check_preface(struct el_h2 *h2, const uint8_t *bytes, size_t size)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 37\r\n"
                                 "Connection: close\r\n\r\nThis port speaks gRPC (HTTP/2) only.\n";
    for (size_t i = 0; i < size && h2->preface_size < sizeof(preface) - 1; i++) {
        if (bytes[i] != (uint8_t)preface[h2->preface_size]) {
            el_count(&h2->conn.loop->counters.protocol_errors, 1);
            el_buf_append(&h2->conn.rest, answer, sizeof(answer) - 1);
            h2->refused = true;
            el_conn_finish(&h2->conn);
            return false;
        }
        h2->preface_size++;
    }
    return true;
}

static void received(struct el_conn *conn, const uint8_t *bytes, size_t size)
{
    struct el_h2 *h2 = (struct el_h2 *)conn;
    if (h2->preface_size < sizeof(preface) - 1 && !check_preface(h2, bytes, size))
        return;
    ssize_t taken = nghttp2_session_mem_recv(h2->session, bytes, size);
    if (taken < 0) {
        /* What nghttp2 had to say about it is queued already, unless it is we who have had enough. */
        if (taken == NGHTTP2_ERR_CALLBACK_FAILURE || taken == NGHTTP2_ERR_FLOODED)
            nghttp2_session_terminate_session(h2->session, NGHTTP2_ENHANCE_YOUR_CALM);
        else
            nghttp2_session_terminate_session(h2->session, NGHTTP2_PROTOCOL_ERROR);
        el_count(&conn->loop->counters.protocol_errors, 1);
        conn->linger_left = ABUSE_LINGER_BYTES;
        el_conn_finish(conn);
        return;
    }
    if (nghttp2_session_want_write(h2->session) != 0)
        el_conn_dirty(conn);
    else
        finish_if_done(h2);
}

static void ended(struct el_conn *conn)
{
    el_conn_close(conn); /* no gRPC client closes one direction only: it is gone */
}

static void closed(struct el_conn *conn)
{
    struct el_h2 *h2 = (struct el_h2 *)conn;
    struct el_grpc_call *call, *next;
    el_list_each (call, next, &h2->calls, link)
        el_call_closed(call);
    nghttp2_session_del(h2->session);
    h2->session = NULL;
}

static const struct el_conn_protocol protocol = {
    .received = received,
    .ended = ended,
    .fill = fill,
    .tick = el_h2_tick,
    .drain = el_h2_drain,
    .give_up = el_h2_give_up,
    .closed = closed,
};

/* ---- life ---- */

static int begin_session(struct el_h2 *h2)
{
    const struct el_rpc_settings *settings = h2->conn.loop->settings;
    const nghttp2_settings_entry entries[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings->max_streams },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW },
        { NGHTTP2_SETTINGS_MAX_FRAME_SIZE, MAX_RECEIVED_FRAME },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
          settings->max_header_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)settings->max_header_bytes },
        { NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
    };
    int error = nghttp2_session_server_new2(&h2->session, settings->h2_callbacks, h2, settings->h2_option);
    if (error == 0)
        error = nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, entries, sizeof(entries) / sizeof(entries[0]));
    if (error == 0)
        error = nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, CONN_WINDOW);
    return error;
}

struct el_conn *el_h2_open(struct el_loop *loop, int fd, const struct el_listener *listener)
{
    struct el_h2 *h2 = calloc(1, sizeof(*h2));
    if (h2 == NULL)
        return NULL;
    CDS_INIT_LIST_HEAD(&h2->calls);
    CDS_INIT_LIST_HEAD(&h2->waiting);
    h2->conn.loop = loop;
    h2->opened_ms = h2->calls_ms = uv_now(&loop->open.uv);
    el_h2_choose_age(h2);
    if (begin_session(h2) != 0 || !el_conn_open(&h2->conn, loop, fd, listener, &protocol)) {
        nghttp2_session_del(h2->session);
        free(h2);
        return NULL;
    }
    return &h2->conn;
}

struct el_status *el_h2_setup(nghttp2_option **option, nghttp2_session_callbacks **callbacks)
{
    *option = NULL;
    *callbacks = NULL;
    if (nghttp2_option_new(option) != 0 || nghttp2_session_callbacks_new(callbacks) != 0) {
        nghttp2_option_del(*option);
        *option = NULL;
        return el_status_no_memory();
    }
    nghttp2_option_set_no_closed_streams(*option, 1);
    nghttp2_option_set_stream_reset_rate_limit(*option, RESET_BURST, RESETS_PER_SECOND);
    nghttp2_session_callbacks_set_on_begin_headers_callback(*callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_begin_frame_callback(*callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_header_callback(*callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(*callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(*callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(*callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(*callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_data_source_read_length_callback(*callbacks, data_length);
    nghttp2_session_callbacks_set_send_data_callback(*callbacks, send_data);
    return NULL;
}
