/* SPDX-License-Identifier: Apache-2.0 */
#include "load/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_written(uv_write_t *write, int status);

static void free_conn(uv_handle_t *handle)
{
    struct load_conn *conn = (struct load_conn *)handle;
    struct el_load *load = conn->load;
    nghttp2_session_del(conn->session);
    el_buf_free(&conn->out);
    el_buf_free(&conn->under_way);
    handle->data = load;
    load_handle_closed(handle);
    free(conn);
}

void load_conn_close(struct load_conn *conn, const char *reason)
{
    if (uv_is_closing((uv_handle_t *)&conn->tcp))
        return;
    if (conn->is_dirty) {
        cds_list_del(&conn->in_dirty);
        conn->is_dirty = false;
    }
    cds_list_del(&conn->link);
    load_conn_lost(conn, reason);
    uv_close((uv_handle_t *)&conn->tcp, free_conn);
}

void load_conn_leave(struct load_conn *conn)
{
    if (conn->state == CONN_READY || conn->state == CONN_GREETING)
        conn->state = CONN_LEAVING;
    if (conn->lane->conn == conn)
        conn->lane->conn = NULL;
    load_conn_dirty(conn);
}

void load_conn_dirty(struct load_conn *conn)
{
    if (conn->is_dirty || conn->state == CONN_CLOSED)
        return;
    conn->is_dirty = true;
    cds_list_add_tail(&conn->in_dirty, &conn->load->dirty);
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    const struct load_conn *conn = (const struct load_conn *)handle;
    (void)suggested;
    *buf = uv_buf_init((char *)conn->load->buffer, LOAD_BUFFER_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct load_conn *conn = (struct load_conn *)stream;
    bool grpc = conn->load->options.protocol == EL_LOAD_GRPC;
    if (size > 0) {
        if (grpc)
            load_grpc_received(conn, (const uint8_t *)buf->base, (size_t)size);
        else
            load_http_received(conn, (const uint8_t *)buf->base, (size_t)size);
    } else if (size < 0) {
        if (size == UV_EOF && !grpc)
            load_http_ended(conn);
        load_conn_close(conn, size == UV_EOF ? "the server closed the connection" : uv_strerror((int)size));
    }
}

/* Hands what out holds to libuv. */
static void write_out(struct load_conn *conn)
{
    struct el_buf empty = conn->under_way;
    conn->under_way = conn->out;
    conn->out = empty;
    uv_buf_t buf = uv_buf_init((char *)conn->under_way.data, (unsigned)conn->under_way.size);
    conn->writing = true;
    int error = uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &buf, 1, on_written);
    if (error != 0)
        load_conn_close(conn, uv_strerror(error));
}

static void on_written(uv_write_t *write, int status)
{
    struct load_conn *conn = write->data;
    conn->writing = false;
    el_buf_clear(&conn->under_way);
    if (status == UV_ECANCELED)
        return;
    if (status != 0)
        load_conn_close(conn, uv_strerror(status));
    else
        load_conn_dirty(conn);
}

/* Writes at once what the socket takes; the rest is copied, because the buffer is everybody's. */
static bool write_now(struct load_conn *conn, uint8_t *bytes, size_t size)
{
    uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)size);
    int sent = uv_try_write((uv_stream_t *)&conn->tcp, &buf, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        load_conn_close(conn, uv_strerror(sent));
        return false;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done == size)
        return true;
    el_buf_append(&conn->out, bytes + done, size - done);
    if (conn->out.failed)
        load_conn_close(conn, "out of memory in the load generator");
    else
        write_out(conn);
    return false;
}

void load_conn_flush(struct load_conn *conn)
{
    if (conn->writing || conn->state == CONN_CONNECTING || conn->state == CONN_CLOSED)
        return;
    if (conn->load->options.protocol == EL_LOAD_GRPC) {
        size_t size;
        while ((size = load_grpc_fill(conn, conn->load->buffer, LOAD_BUFFER_BYTES)) > 0) {
            if (!write_now(conn, conn->load->buffer, size))
                return;
            if (size < LOAD_BUFFER_BYTES / 2)
                break;
        }
        bool over = nghttp2_session_want_read(conn->session) == 0 && nghttp2_session_want_write(conn->session) == 0;
        if (over || (conn->state == CONN_LEAVING && cds_list_empty(&conn->requests)))
            load_conn_close(conn, "the server ended the connection");
        return;
    }
    if (conn->out.size > 0)
        write_out(conn);
    else if (conn->state == CONN_LEAVING && cds_list_empty(&conn->requests))
        load_conn_close(conn, "the server ended the connection");
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct load_conn *conn = connect->data;
    if (status == UV_ECANCELED)
        return;
    char text[96];
    snprintf(text, sizeof(text), "connecting: %s", status == 0 ? "" : uv_strerror(status));
    if (status == 0 &&
        (uv_tcp_nodelay(&conn->tcp, 1) != 0 || uv_read_start((uv_stream_t *)&conn->tcp, allocate, on_read) != 0))
        status = UV_ENOTCONN;
    if (status == 0 && conn->load->options.protocol == EL_LOAD_HTTP)
        load_http_begin(conn);
    if (status != 0 || (conn->load->options.protocol == EL_LOAD_GRPC && !load_grpc_begin(conn))) {
        load_conn_close(conn, text);
        return;
    }
    if (conn->load->options.protocol == EL_LOAD_HTTP) {
        load_conn_ready(conn);
    } else {
        conn->state = CONN_GREETING;
        load_conn_dirty(conn);
    }
}

void load_conn_ready(struct load_conn *conn)
{
    conn->state = CONN_READY;
    load_conn_dirty(conn); /* the end of the loop's turn pumps */
}

bool load_conn_open(struct load_lane *lane)
{
    struct el_load *load = lane->load;
    struct load_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL)
        return false;
    if (uv_tcp_init(load->options.loop, &conn->tcp) != 0) {
        free(conn);
        return false;
    }
    load->open_handles++;
    conn->load = load;
    conn->lane = lane;
    conn->write.data = conn;
    conn->connect.data = conn;
    CDS_INIT_LIST_HEAD(&conn->requests);
    cds_list_add_tail(&conn->link, &load->conns);
    lane->conn = conn;
    if (lane->connects++ > 0)
        load->reconnected++;
    int error = uv_tcp_connect(&conn->connect, &conn->tcp, (const struct sockaddr *)&load->address, on_connected);
    if (error != 0)
        load_conn_close(conn, uv_strerror(error));
    return true;
}
