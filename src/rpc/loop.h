/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_LOOP_H
#define EL_RPC_LOOP_H

/*
 * One event loop: its thread, its listening sockets, its connections and what
 * they share (scratch buffers, call pool, deadlines).
 *
 * Everything in it belongs to its thread; the exceptions say so. Order of one
 * turn: poll callbacks read and parse and mark connections dirty; the check
 * phase (prepare phase for what timers did) writes each dirty connection once.
 */

#include "base/list.h"
#include "rpc/deadline.h"
#include "rpc/rpc.h"

#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdatomic.h>

#define EL_READ_BYTES ((size_t)256 * 1024)
#define EL_WRITE_BYTES ((size_t)288 * 1024) /* four large DATA frames and a small one */
#define EL_POOLED_CALLS 256
#define EL_POOLED_BYTES ((size_t)64 * 1024) /* a pooled buffer above this is given back */

enum el_loop_phase {
    EL_LOOP_RUNNING,
    EL_LOOP_DRAINING, /* no new connections; calls are finished */
    EL_LOOP_ENDING    /* the grace is over or nothing is left: handles are being closed */
};

/* What all loops read and nobody writes after start. */
struct el_rpc_settings {
    const struct el_log *log;
    const struct el_grpc_method *methods;
    size_t method_count;
    size_t max_message_bytes;
    size_t max_inflated_bytes;
    size_t max_connection_bytes;
    size_t max_loop_bytes;
    size_t max_header_bytes;
    uint32_t max_connections;
    uint32_t max_streams;
    uint32_t max_running; /* calls of a connection; 0: any number */
    enum el_grpc_compression compression;
    struct el_loop *const *loops; /* all of the server; NULL: there is one */
    uint32_t loop_count;
    uint32_t header_timeout_ms;
    uint32_t idle_timeout_ms;
    struct el_grpc_times grpc_times;
    size_t max_grpc_message_bytes;
    size_t max_reply_bytes;
    nghttp2_option *h2_option;
    nghttp2_session_callbacks *h2_callbacks;
};

/* Written by one loop, read by any thread; relaxed, because a reader wants recent figures only. */
struct el_loop_counters {
    _Atomic uint64_t accepted, open, refused, bytes_in, bytes_out, protocol_errors;
};

static inline void el_count(_Atomic uint64_t *counter, uint64_t more)
{
    /* One writer: a load and a store are enough, and cheaper than a locked add. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

struct el_loop;

/* A listening socket of one loop. */
struct el_acceptor {
    uv_poll_t poll;
    struct el_loop *loop;
    const struct el_listener *listener;
    int fd;      /* -1: closed */
    bool paused; /* out of file descriptors; the sweep tries again */
};

struct el_loop {
    struct el_rpc_loop open; /* the users' view; first, so that one casts to the other */
    const struct el_rpc_settings *settings;
    _Atomic uint32_t *connections; /* of the whole server; an upper limit only, so relaxed */
    struct el_acceptor *acceptors;
    size_t acceptor_count;
    size_t listening; /* of a drain: sockets that are still emptied */
    enum el_loop_phase phase;

    uv_async_t wake;
    uv_timer_t sweep;
    uv_timer_t deadline_timer;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;             /* active while there are zips: the next turn comes at once */
    uint64_t deadline_armed_ms; /* uv clock; UINT64_MAX: not armed */

    struct cds_list_head zips;   /* zip.h */
    struct cds_list_head guests; /* porch.h */
    size_t guest_count;
    struct cds_list_head conns;
    struct cds_list_head dirty;
    size_t conn_count;
    size_t buffered_bytes; /* of requests and answers in memory, for max_loop_bytes */

    _Atomic uint32_t
        busy; /* connections with running calls; written by the loop, read by all, relaxed: it is a measure */
    struct el_deadlines deadlines;
    struct cds_list_head orphans; /* calls that have lost their stream and not yet their handler */
    struct cds_list_head free_calls;
    size_t free_call_count;

    uint8_t *read_buffer;  /* EL_READ_BYTES; holds data during one callback only */
    uint8_t *write_buffer; /* EL_WRITE_BYTES; likewise */

    char date[40]; /* the value of the Date header */
    int64_t date_s;
    uint64_t refusal_logged_ms;
    uint64_t handshake_logged_ms;

    struct el_loop_counters counters;

    void (*on_drain)(struct el_rpc_loop *loop, void *argument);
    void (*on_stop)(struct el_rpc_loop *loop, void *argument);
    void *argument;
    uint64_t drain_started_ms;
    _Atomic uint32_t grace_ms; /* set by any thread before drain_asked; a later drain may change it */
    _Atomic bool drain_asked;  /* set by any thread (release: grace_ms is there), read by the loop (acquire) */
    bool ended;
};

/* Makes the loop and its handles, on the calling thread; the thread that runs it may be another. */
struct el_status *el_loop_init(struct el_loop *loop, uint32_t index, const struct el_rpc_settings *settings,
                               _Atomic uint32_t *connections) EL_MUST_USE;

/* Watches the acceptors' sockets (owned from here on). On the loop's thread, before it runs. */
struct el_status *el_loop_listen(struct el_loop *loop) EL_MUST_USE;

/* Serves until the drain is over and every handle is closed. */
void el_loop_run(struct el_loop *loop);

/* Any thread: asks the loop to drain. */
void el_loop_drain(struct el_loop *loop, uint32_t grace_ms);

/* After el_loop_run (or instead of it): frees. */
void el_loop_free(struct el_loop *loop);

/* Serves the connected socket fd (owned from here on, also on failure) as a client of listener. */
void el_loop_adopt(struct el_loop *loop, int fd, const struct el_listener *listener);

/* Arms the timer for the first deadline. Called after one was added. */
void el_loop_arm_deadline(struct el_loop *loop);

/* There is work for the next turns, too (zips). */
void el_loop_keep_turning(struct el_loop *loop);

/* "Tue, 24 Nov 2026 06:00:00 GMT", formatted once a second. */
const char *el_loop_date(struct el_loop *loop);

/* Writes what the dirty connections have to say; the end of a turn. */
void el_loop_flush(struct el_loop *loop);

#endif
