/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads go to a buffer of the loop and straight to the protocol; writes are
 * gathered in a buffer of the loop and go out in one send(2) per turn. Only
 * what the socket refuses is copied to the connection, which then waits for it
 * to become writable and asks the protocol for nothing more meanwhile: a slow
 * reader costs at most one such buffer here.
 */
#include "rpc/conn.h"
#include "rpc/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_PER_TURN 4  /* then the others' turn */
#define WRITES_PER_TURN 4 /* likewise */
#define LINGER_MS 1000    /* for the client's end after ours */
#define LINGER_BYTES ((size_t)256 * 1024 * 1024)
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES 3

static void free_conn(uv_handle_t *handle)
{
    struct el_conn *conn = handle->data;
    el_buf_free(&conn->rest);
    free(conn);
}

int el_conn_leave(struct el_conn *conn, struct ssl_st **tls)
{
    struct el_loop *loop = conn->loop;
    const int fd = conn->fd;
    if (conn->is_dirty)
        cds_list_del(&conn->in_dirty);
    conn->is_dirty = true; /* keeps it out of the dirty list while its calls are cancelled */
    conn->state = EL_CONN_CLOSING;
    conn->protocol->closed(conn);
    el_conn_uncharge(conn, conn->charged_bytes);
    cds_list_del(&conn->in_loop);
    loop->conn_count--;
    atomic_store_explicit(&loop->counters.open, loop->conn_count, memory_order_relaxed);
    uv_close((uv_handle_t *)&conn->poll, free_conn);
    *tls = conn->tls;
    conn->tls = NULL;
    conn->fd = -1;
    return fd;
}

static void tear_down(struct el_conn *conn)
{
    struct ssl_st *tls;
    const int fd = el_conn_leave(conn, &tls);
    atomic_fetch_sub_explicit(conn->loop->connections, 1, memory_order_relaxed);
    el_tls_session_free(tls);
    close(fd);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void update_poll(struct el_conn *conn, bool blocked)
{
    int events = blocked || conn->tls_wants_write ? UV_WRITABLE : 0;
    if (!conn->reading_paused && !conn->input_ended)
        events |= UV_READABLE;
    if (events == conn->events)
        return;
    conn->events = events;
    int error = events == 0 ? uv_poll_stop(&conn->poll) : uv_poll_start(&conn->poll, events, on_poll);
    if (error != 0)
        el_conn_close(conn);
}

/* Sends as much as the socket takes. Returns the bytes taken; on an error the connection is marked for closing. */
static size_t send_some(struct el_conn *conn, const uint8_t *bytes, size_t size)
{
    size_t sent = 0;
    while (sent < size) {
        ssize_t taken = conn->tls == NULL ? send(conn->fd, bytes + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT)
                                          : el_tls_write(conn->tls, bytes + sent, size - sent);
        if (taken < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                el_conn_close(conn);
            break;
        }
        sent += (size_t)taken;
        if (sent < size)
            break; /* a short write: the next would be refused */
    }
    if (sent > 0) {
        conn->write_ms = uv_now(&conn->loop->open.uv);
        el_count(&conn->loop->counters.bytes_out, sent);
    }
    return sent;
}

static bool send_rest(struct el_conn *conn)
{
    conn->rest_sent += send_some(conn, conn->rest.data + conn->rest_sent, conn->rest.size - conn->rest_sent);
    if (conn->rest_sent < conn->rest.size)
        return false;
    el_buf_clear(&conn->rest);
    conn->rest_sent = 0;
    if (conn->rest.capacity > EL_POOLED_BYTES)
        el_buf_free(&conn->rest);
    return true;
}

static void keep_rest(struct el_conn *conn, const uint8_t *bytes, size_t size)
{
    if (conn->rest.size == conn->rest_sent)
        conn->write_ms = uv_now(&conn->loop->open.uv);
    el_buf_append(&conn->rest, bytes, size);
    if (conn->rest.failed)
        el_conn_close(conn);
}

/* Returns true if output is left that waits for the socket. */
static bool write_turn(struct el_conn *conn)
{
    uint8_t *buffer = conn->loop->write_buffer;
    for (int round = 0;; round++) {
        if (conn->rest.size > 0 && !send_rest(conn))
            return true;
        if (conn->state > EL_CONN_FINISHING)
            return false;
        if (round == WRITES_PER_TURN)
            return true;
        bool more = false;
        size_t size = conn->protocol->fill(conn, buffer, EL_WRITE_BYTES, &more);
        if (conn->state == EL_CONN_CLOSING)
            return false;
        size_t sent = size > 0 ? send_some(conn, buffer, size) : 0;
        if (sent < size) {
            keep_rest(conn, buffer + sent, size - sent);
            return true;
        }
        if (!more)
            return false;
    }
}

void el_conn_flush(struct el_conn *conn)
{
    conn->is_dirty = false;
    bool blocked = conn->state == EL_CONN_CLOSING ? false : write_turn(conn);
    if (conn->state == EL_CONN_FINISHING && !blocked) {
        if (conn->tls != NULL)
            el_tls_close(conn->tls);
        shutdown(conn->fd, SHUT_WR);
        conn->state = EL_CONN_LINGERING;
        conn->linger_ms = uv_now(&conn->loop->open.uv) + LINGER_MS;
        conn->reading_paused = false;
        if (conn->input_ended)
            conn->state = EL_CONN_CLOSING;
    }
    if (conn->state != EL_CONN_CLOSING)
        update_poll(conn, blocked);
    if (conn->state == EL_CONN_CLOSING)
        tear_down(conn);
}

static void read_turn(struct el_conn *conn)
{
    struct el_loop *loop = conn->loop;
    for (int i = 0; i < READS_PER_TURN && conn->state != EL_CONN_CLOSING && !conn->reading_paused; i++) {
        ssize_t got = conn->tls == NULL
                          ? recv(conn->fd, loop->read_buffer, EL_READ_BYTES, MSG_DONTWAIT)
                          : el_tls_read(conn->tls, loop->read_buffer, EL_READ_BYTES, &conn->tls_wants_write);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                el_conn_close(conn);
            else if (conn->tls_wants_write)
                el_conn_dirty(conn); /* the end of the turn tells the poll handle */
            return;
        }
        conn->read_ms = uv_now(&loop->open.uv);
        if (got == 0) {
            conn->input_ended = true;
            if (conn->state == EL_CONN_LINGERING)
                el_conn_close(conn);
            else if (conn->state == EL_CONN_OPEN)
                conn->protocol->ended(conn);
            el_conn_dirty(conn);
            return;
        }
        el_count(&loop->counters.bytes_in, (uint64_t)got);
        if (conn->state == EL_CONN_OPEN)
            conn->protocol->received(conn, loop->read_buffer, (size_t)got);
        else if ((size_t)got >= conn->linger_left)
            el_conn_close(conn);
        else
            conn->linger_left -= (size_t)got;
        if ((size_t)got < EL_READ_BYTES)
            return;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct el_conn *conn = poll->data;
    if (status < 0) {
        el_conn_close(conn);
        return;
    }
    if ((events & UV_WRITABLE) != 0)
        el_conn_dirty(conn);
    if (conn->tls_wants_write) {
        conn->tls_wants_write = false;
        events |= UV_READABLE;
    }
    if ((events & UV_READABLE) != 0)
        read_turn(conn);
}

bool el_conn_take_over(struct el_conn *conn, struct el_loop *loop, int fd, struct ssl_st *session)
{
    if (conn == NULL) {
        el_tls_session_free(session);
        close(fd);
        atomic_fetch_sub_explicit(loop->connections, 1, memory_order_relaxed);
        return false;
    }
    conn->tls = session;
    if (loop->phase == EL_LOOP_DRAINING)
        conn->protocol->drain(conn);
    return true;
}

void el_conn_begin(struct el_conn *conn, const uint8_t *early, size_t size)
{
    if (size > 0 && conn->state == EL_CONN_OPEN)
        conn->protocol->received(conn, early, size);
    if (conn->tls != NULL && el_tls_pending(conn->tls) > 0) /* the socket will not tell of it */
        read_turn(conn);
}

/* Best effort: a socket without these options still serves. */
static void tune(int fd)
{
    int on = 1, idle = KEEPALIVE_IDLE_S, interval = KEEPALIVE_INTERVAL_S, probes = KEEPALIVE_PROBES;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

bool el_conn_open(struct el_conn *conn, struct el_loop *loop, int fd, const struct el_listener *listener,
                  const struct el_conn_protocol *protocol)
{
    conn->loop = loop;
    conn->fd = fd;
    conn->listener = listener;
    conn->protocol = protocol;
    conn->linger_left = LINGER_BYTES;
    conn->read_ms = uv_now(&loop->open.uv);
    conn->write_ms = conn->read_ms;
    if (uv_poll_init(&loop->open.uv, &conn->poll, fd) != 0)
        return false;
    conn->poll.data = conn;
    if (listener->unix_path == NULL)
        tune(fd);
    cds_list_add_tail(&conn->in_loop, &loop->conns);
    loop->conn_count++;
    atomic_store_explicit(&loop->counters.open, loop->conn_count, memory_order_relaxed);
    update_poll(conn, false);
    return true;
}

void el_conn_dirty(struct el_conn *conn)
{
    if (conn->is_dirty)
        return;
    conn->is_dirty = true;
    cds_list_add_tail(&conn->in_dirty, &conn->loop->dirty);
}

void el_conn_close(struct el_conn *conn)
{
    conn->state = EL_CONN_CLOSING;
    el_conn_dirty(conn);
}

void el_conn_finish(struct el_conn *conn)
{
    if (conn->state == EL_CONN_OPEN)
        conn->state = EL_CONN_FINISHING;
    el_conn_dirty(conn);
}

void el_conn_pause_reading(struct el_conn *conn, bool pause)
{
    if (conn->reading_paused == pause)
        return;
    conn->reading_paused = pause;
    el_conn_dirty(conn); /* the end of the turn tells the poll handle */
}

bool el_conn_charge(struct el_conn *conn, size_t bytes)
{
    struct el_loop *loop = conn->loop;
    size_t conn_left = loop->settings->max_connection_bytes - conn->charged_bytes;
    size_t loop_left = loop->settings->max_loop_bytes - loop->buffered_bytes;
    if (bytes > conn_left || bytes > loop_left)
        return false;
    conn->charged_bytes += bytes;
    loop->buffered_bytes += bytes;
    return true;
}

void el_conn_uncharge(struct el_conn *conn, size_t bytes)
{
    conn->charged_bytes -= bytes;
    conn->loop->buffered_bytes -= bytes;
}

void el_conn_tick(struct el_conn *conn, uint64_t now_ms)
{
    bool waits_for_socket = conn->rest.size > conn->rest_sent;
    if (conn->state == EL_CONN_LINGERING) {
        if (now_ms >= conn->linger_ms)
            el_conn_close(conn);
    } else if (waits_for_socket && now_ms - conn->write_ms > conn->loop->settings->header_timeout_ms) {
        el_conn_close(conn); /* it asked and does not read */
    } else if (conn->state == EL_CONN_OPEN) {
        conn->protocol->tick(conn, now_ms);
    }
}
