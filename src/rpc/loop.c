/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/loop.h"
#include "base/clock.h"
#include "rpc/call.h"
#include "rpc/conn.h"
#include "rpc/listen.h"
#include "rpc/porch.h"
#include "rpc/zip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SWEEP_MS 1000
#define DRAIN_SWEEP_MS 50
#define ACCEPTS_PER_TURN 64
#define REFUSAL_LOG_MS 60000
#define LAST_ACCEPT_MS 100 /* of a drain: for connections that are half-way in */
#define GIVE_UP_MS 500     /* after the grace: for the last refusals to be written */

static void end_if_done(struct el_loop *loop);

/* ---- the turn ---- */

void el_loop_flush(struct el_loop *loop)
{
    while (!cds_list_empty(&loop->dirty)) {
        struct el_conn *conn = el_list_first(&loop->dirty, struct el_conn, in_dirty);
        cds_list_del(&conn->in_dirty);
        el_conn_flush(conn);
    }
    if (loop->phase == EL_LOOP_DRAINING)
        end_if_done(loop);
}

static void on_prepare(uv_prepare_t *prepare)
{
    el_loop_flush(prepare->data);
}

static void on_check(uv_check_t *check)
{
    el_loop_flush(check->data);
}

static void on_idle(uv_idle_t *idle)
{
    struct el_loop *loop = idle->data;
    if (!cds_list_empty(&loop->zips))
        el_zip_turn(loop);
    if (cds_list_empty(&loop->zips))
        uv_idle_stop(idle);
}

void el_loop_keep_turning(struct el_loop *loop)
{
    uv_idle_start(&loop->idle, on_idle);
}

const char *el_loop_date(struct el_loop *loop)
{
    time_t now = time(NULL);
    if (now != loop->date_s) {
        struct tm parts;
        loop->date_s = now;
        gmtime_r(&now, &parts);
        /* Not strftime's %a and %b: they follow the locale, HTTP does not. */
        static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        snprintf(loop->date, sizeof(loop->date), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * parts.tm_wday,
                 parts.tm_mday, months + 3 * parts.tm_mon, (parts.tm_year + 1900) % 10000, parts.tm_hour, parts.tm_min,
                 parts.tm_sec);
    }
    return loop->date;
}

/* ---- deadlines ---- */

static void on_deadline(uv_timer_t *timer)
{
    struct el_loop *loop = timer->data;
    loop->deadline_armed_ms = UINT64_MAX;
    uint64_t now_ns = el_now_ns();
    struct el_deadline *first;
    while ((first = el_deadline_first(&loop->deadlines)) != NULL && first->at_ns <= now_ns) {
        el_deadline_remove(&loop->deadlines, first);
        el_call_expire(first);
    }
    el_loop_arm_deadline(loop);
}

void el_loop_arm_deadline(struct el_loop *loop)
{
    const struct el_deadline *first = el_deadline_first(&loop->deadlines);
    if (first == NULL || loop->phase == EL_LOOP_ENDING)
        return;
    /* Only for an earlier deadline is the timer moved: mostly the first call's is the first to come, and long answered. */
    if (loop->deadline_armed_ms != UINT64_MAX && first->at_ns / EL_NS_PER_MS >= loop->deadline_armed_ms)
        return;
    uint64_t now_ns = el_now_ns();
    uint64_t wait_ms = first->at_ns > now_ns ? (first->at_ns - now_ns + EL_NS_PER_MS - 1) / EL_NS_PER_MS : 0;
    loop->deadline_armed_ms = first->at_ns / EL_NS_PER_MS;
    uv_update_time(&loop->open.uv);
    uv_timer_start(&loop->deadline_timer, on_deadline, wait_ms, 0);
}

/* ---- accepting ---- */

void el_loop_adopt(struct el_loop *loop, int fd, const struct el_listener *listener)
{
    uint32_t open = atomic_fetch_add_explicit(loop->connections, 1, memory_order_relaxed);
    struct el_conn *conn = NULL;
    if (open < loop->settings->max_connections && el_porch_needed(listener)) {
        if (el_porch_enter(loop, fd, listener))
            return;
    } else if (open < loop->settings->max_connections) {
        conn = listener->type == EL_LISTEN_GRPC ? el_h2_open(loop, fd, listener) : el_h1_open(loop, fd, listener);
    }
    if (conn == NULL) {
        atomic_fetch_sub_explicit(loop->connections, 1, memory_order_relaxed);
        close(fd);
        el_count(&loop->counters.refused, 1);
        uint64_t now_ms = uv_now(&loop->open.uv);
        if (loop->refusal_logged_ms == 0 || now_ms - loop->refusal_logged_ms > REFUSAL_LOG_MS) {
            loop->refusal_logged_ms = now_ms;
            el_log(loop->settings->log, EL_LOG_WARNING, "connection_refused", el_int("open", open),
                   el_int("limit", loop->settings->max_connections));
        }
        return;
    }
    el_count(&loop->counters.accepted, 1);
    if (loop->phase == EL_LOOP_DRAINING)
        conn->protocol->drain(conn);
}

/* Accepts at most `most`; false if the process or the machine has no file descriptor left. */
static bool accept_some(struct el_acceptor *acceptor, int most)
{
    for (int i = 0; i < most; i++) {
        int fd = accept4(acceptor->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
            el_loop_adopt(acceptor->loop, fd, acceptor->listener);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            return false;
        else if (errno == EAGAIN)
            return true;
        /* Otherwise this one client has gone already (ECONNABORTED and the like): the next one. */
    }
    return true;
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    struct el_acceptor *acceptor = poll->data;
    (void)events;
    if (status == 0 && accept_some(acceptor, ACCEPTS_PER_TURN))
        return;
    /* The clients stay in the backlog, and the loop does not spin over them. */
    acceptor->paused = true;
    uv_poll_stop(&acceptor->poll);
    el_log(acceptor->loop->settings->log, EL_LOG_WARNING, "accept_paused", el_str("reason", strerror(errno)),
           el_int("connections", (int64_t)acceptor->loop->conn_count));
}

struct el_status *el_loop_listen(struct el_loop *loop)
{
    for (size_t i = 0; i < loop->acceptor_count; i++) {
        struct el_acceptor *acceptor = &loop->acceptors[i];
        int error = uv_poll_init(&loop->open.uv, &acceptor->poll, acceptor->fd);
        if (error != 0)
            return el_status_new(EL_INTERNAL, "watching a listening socket: %s", uv_strerror(error));
        acceptor->poll.data = acceptor;
        acceptor->loop = loop;
        error = uv_poll_start(&acceptor->poll, UV_READABLE, on_accept);
        if (error != 0)
            return el_status_new(EL_INTERNAL, "watching a listening socket: %s", uv_strerror(error));
    }
    return NULL;
}

static void close_acceptor(struct el_acceptor *acceptor)
{
    if (acceptor->fd < 0)
        return;
    if (acceptor->poll.data != NULL) {
        /* Whoever is in the backlog has been told that the connection stands. */
        accept_some(acceptor, INT32_MAX);
        uv_close((uv_handle_t *)&acceptor->poll, NULL);
    }
    if (acceptor->listener->unix_path != NULL)
        unlink(acceptor->listener->unix_path); /* while it is surely ours: a successor binds it when we have closed */
    close(acceptor->fd);
    acceptor->fd = -1;
}

/*
 * A client whose connection is established between our last accept and the close would be reset with its first
 * request. So a TCP socket first turns a deaf ear to new ones (el_listen_close_door), is emptied, and closed a little
 * later, when those that were half-way in have come.
 */
static void stop_listening(struct el_loop *loop, bool at_once)
{
    loop->listening = 0;
    for (size_t i = 0; i < loop->acceptor_count; i++) {
        struct el_acceptor *acceptor = &loop->acceptors[i];
        bool tcp = acceptor->fd >= 0 && acceptor->poll.data != NULL && acceptor->listener->unix_path == NULL;
        if (!at_once && tcp && el_listen_close_door(acceptor->fd)) {
            accept_some(acceptor, INT32_MAX);
            loop->listening++;
        } else {
            close_acceptor(acceptor);
        }
    }
}

/* ---- sweep and drain ---- */

static void resume_accepting(struct el_loop *loop)
{
    for (size_t i = 0; i < loop->acceptor_count; i++) {
        struct el_acceptor *acceptor = &loop->acceptors[i];
        if (acceptor->paused && uv_poll_start(&acceptor->poll, UV_READABLE, on_accept) == 0)
            acceptor->paused = false;
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct el_loop *loop = timer->data;
    uint64_t now_ms = uv_now(&loop->open.uv);
    struct el_conn *conn, *next;
    el_list_each (conn, next, &loop->conns, in_loop)
        el_conn_tick(conn, now_ms);
    el_porch_tick(loop, now_ms, false);
    if (loop->phase == EL_LOOP_RUNNING) {
        resume_accepting(loop);
        return;
    }
    uint64_t spent_ms = now_ms - loop->drain_started_ms;
    if (loop->listening > 0 && spent_ms >= LAST_ACCEPT_MS)
        stop_listening(loop, true);
    uint64_t grace_ms = atomic_load_explicit(&loop->grace_ms, memory_order_relaxed);
    if (spent_ms >= grace_ms) {
        bool last = spent_ms >= grace_ms + GIVE_UP_MS;
        el_porch_tick(loop, now_ms, true);
        el_list_each (conn, next, &loop->conns, in_loop) {
            if (last)
                el_conn_close(conn);
            else if (conn->state == EL_CONN_OPEN)
                conn->protocol->give_up(conn);
        }
    }
}

static void on_wake(uv_async_t *wake)
{
    struct el_loop *loop = wake->data;
    if (!atomic_load_explicit(&loop->drain_asked, memory_order_acquire) || loop->phase != EL_LOOP_RUNNING)
        return;
    loop->phase = EL_LOOP_DRAINING;
    uv_update_time(&loop->open.uv);
    stop_listening(loop, atomic_load_explicit(&loop->grace_ms, memory_order_relaxed) == 0);
    loop->drain_started_ms = uv_now(&loop->open.uv);
    if (loop->on_drain != NULL)
        loop->on_drain(&loop->open, loop->argument);
    struct el_conn *conn, *next;
    el_list_each (conn, next, &loop->conns, in_loop) {
        if (conn->state == EL_CONN_OPEN)
            conn->protocol->drain(conn);
    }
    uv_timer_start(&loop->sweep, on_sweep, 0, DRAIN_SWEEP_MS);
}

static void close_handle(void *handle)
{
    uv_close(handle, NULL);
}

static void end_if_done(struct el_loop *loop)
{
    if (loop->conn_count > 0 || loop->guest_count > 0 || loop->listening > 0 || loop->ended)
        return;
    loop->ended = true;
    loop->phase = EL_LOOP_ENDING;
    if (loop->on_stop != NULL)
        loop->on_stop(&loop->open, loop->argument);
    close_handle(&loop->wake);
    close_handle(&loop->sweep);
    close_handle(&loop->deadline_timer);
    close_handle(&loop->prepare);
    close_handle(&loop->check);
    close_handle(&loop->idle);
}

void el_loop_drain(struct el_loop *loop, uint32_t grace_ms)
{
    atomic_store_explicit(&loop->grace_ms, grace_ms, memory_order_relaxed);
    if (!atomic_exchange_explicit(&loop->drain_asked, true, memory_order_acq_rel))
        uv_async_send(&loop->wake);
}

/* ---- life ---- */

struct el_status *el_loop_init(struct el_loop *loop, uint32_t index, const struct el_rpc_settings *settings,
                               _Atomic uint32_t *connections)
{
    loop->settings = settings;
    loop->connections = connections;
    loop->open.index = index;
    loop->deadline_armed_ms = UINT64_MAX;
    CDS_INIT_LIST_HEAD(&loop->zips);
    CDS_INIT_LIST_HEAD(&loop->guests);
    CDS_INIT_LIST_HEAD(&loop->conns);
    CDS_INIT_LIST_HEAD(&loop->dirty);
    CDS_INIT_LIST_HEAD(&loop->orphans);
    CDS_INIT_LIST_HEAD(&loop->free_calls);
    loop->read_buffer = malloc(EL_READ_BYTES);
    loop->write_buffer = malloc(EL_WRITE_BYTES);
    int error = loop->read_buffer == NULL || loop->write_buffer == NULL ? UV_ENOMEM : uv_loop_init(&loop->open.uv);
    if (error == 0) {
        error = uv_async_init(&loop->open.uv, &loop->wake, on_wake);
        if (error != 0)
            uv_loop_close(&loop->open.uv);
    }
    if (error != 0) {
        free(loop->read_buffer);
        free(loop->write_buffer);
        loop->read_buffer = loop->write_buffer = NULL;
        return el_status_new(EL_RESOURCE_EXHAUSTED, "making event loop %u: %s", index, uv_strerror(error));
    }
    uv_timer_init(&loop->open.uv, &loop->sweep);
    uv_timer_init(&loop->open.uv, &loop->deadline_timer);
    uv_prepare_init(&loop->open.uv, &loop->prepare);
    uv_check_init(&loop->open.uv, &loop->check);
    uv_idle_init(&loop->open.uv, &loop->idle);
    loop->wake.data = loop->sweep.data = loop->deadline_timer.data = loop;
    loop->prepare.data = loop->check.data = loop->idle.data = loop;
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_check_start(&loop->check, on_check);
    uv_timer_start(&loop->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    return NULL;
}

void el_loop_run(struct el_loop *loop)
{
    uv_run(&loop->open.uv, UV_RUN_DEFAULT);
}

void el_loop_free(struct el_loop *loop)
{
    if (loop->read_buffer == NULL)
        return;
    if (!loop->ended) { /* it never ran, or its start failed */
        loop->on_stop = NULL;
        loop->on_drain = NULL;
        el_loop_drain(loop, 0);
        uv_run(&loop->open.uv, UV_RUN_DEFAULT);
    }
    if (uv_loop_close(&loop->open.uv) != 0)
        el_log(loop->settings->log, EL_LOG_ERROR, "loop_not_closed", el_int("loop", loop->open.index),
               el_str("reason", "a handle of its users is still open"));
    el_deadlines_free(&loop->deadlines);
    el_calls_free(loop);
    free(loop->acceptors);
    free(loop->read_buffer);
    free(loop->write_buffer);
    loop->read_buffer = NULL;
}
