/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_CONN_H
#define EL_RPC_CONN_H

/*
 * A connection: a socket, what could not be written yet, and the protocol
 * (HTTP/1.1 or HTTP/2) that speaks on it.
 *
 * Thread: its loop's. A protocol embeds struct el_conn as its first member and
 * is called through el_conn_protocol. Nothing is torn down inside a callback:
 * el_conn_close() only marks, and the end of the loop's turn closes, tells the
 * protocol (`closed`, once; it gives back all but its own memory) and later
 * frees the memory. The end of a healthy connection is el_conn_finish(): what
 * was written reaches the client because we wait for the client's own end.
 */

#include "rpc/loop.h"

struct el_conn;

struct el_conn_protocol {
    /* Bytes arrived; they are the protocol's until it returns. */
    void (*received)(struct el_conn *conn, const uint8_t *bytes, size_t size);
    /* The client sends no more. */
    void (*ended)(struct el_conn *conn);
    /* Puts up to room bytes of output to `to`, returns how many; `*more` if there is more. Last step of a turn. */
    size_t (*fill)(struct el_conn *conn, uint8_t *to, size_t room, bool *more);
    /* About once a second, ten times when draining. */
    void (*tick)(struct el_conn *conn, uint64_t now_ms);
    /* The server drains: refuse what is new, finish what runs, then el_conn_finish(). */
    void (*drain)(struct el_conn *conn);
    /* The grace is over: what runs is answered with UNAVAILABLE, then el_conn_finish(). */
    void (*give_up)(struct el_conn *conn);
    /* The socket is gone: cancel what runs. */
    void (*closed)(struct el_conn *conn);
};

enum el_conn_state {
    EL_CONN_OPEN,
    EL_CONN_FINISHING, /* output is flushed, then the socket is shut down */
    EL_CONN_LINGERING, /* shut down; input is thrown away until the client ends too */
    EL_CONN_CLOSING    /* closed at the end of the turn */
};

struct el_conn {
    uv_poll_t poll;
    struct el_loop *loop;
    const struct el_conn_protocol *protocol;
    const struct el_listener *listener;
    struct cds_list_head in_loop;
    struct cds_list_head in_dirty;
    int fd;
    int events; /* what poll waits for */
    enum el_conn_state state;
    bool is_dirty;
    bool reading_paused;
    bool input_ended;
    uint64_t read_ms;  /* when bytes last came (uv clock) */
    uint64_t write_ms; /* when bytes last went, or had nothing to wait for */
    uint64_t linger_ms;
    size_t linger_left;   /* bytes that are thrown away while lingering, before patience ends */
    size_t charged_bytes; /* of the loop's buffered_bytes */
    struct ssl_st *tls;   /* NULL: plain. Owned */
    bool tls_wants_write; /* a read goes on when the socket takes bytes */
    struct el_buf rest;   /* what the socket did not take */
    size_t rest_sent;
};

/*
 * Ends the connection without its socket and session, which the caller has from here on, to serve them by another
 * protocol. Within the protocol's `received` only; conn goes when that has returned.
 */
int el_conn_leave(struct el_conn *conn, struct ssl_st **tls);

/* Starts to serve fd, which it then owns. False: no memory; the caller closes fd and frees conn. */
bool el_conn_open(struct el_conn *conn, struct el_loop *loop, int fd, const struct el_listener *listener,
                  const struct el_conn_protocol *protocol);

/*
 * Gives conn, which was opened for fd while the loop had counted it already, its session (NULL: plain), and the news that the loop
 * drains. conn NULL, for it could not be opened: fd and session are ended, and it counts no more. False then.
 */
bool el_conn_take_over(struct el_conn *conn, struct el_loop *loop, int fd, struct ssl_st *session);

/* Gives the protocol the bytes that were read before it was known, and what the session has of more. */
void el_conn_begin(struct el_conn *conn, const uint8_t *early, size_t size);

/* There is output: write it at the end of this turn. */
void el_conn_dirty(struct el_conn *conn);

/* Ends the connection at the end of this turn, without a further byte. */
void el_conn_close(struct el_conn *conn);

/* Ends the connection when all output is flushed. */
void el_conn_finish(struct el_conn *conn);

/* Stops and resumes reading, for back-pressure. */
void el_conn_pause_reading(struct el_conn *conn, bool pause);

/* Accounts memory that a client makes the server hold. False: the limits do not allow more; nothing is accounted. */
bool el_conn_charge(struct el_conn *conn, size_t bytes);
void el_conn_uncharge(struct el_conn *conn, size_t bytes);

/* The steps of a turn, for loop.c. */
void el_conn_flush(struct el_conn *conn);
void el_conn_tick(struct el_conn *conn, uint64_t now_ms);

/* The two protocols: a connection in its initial state, or NULL without memory (fd is then still the caller's). */
struct el_conn *el_h2_open(struct el_loop *loop, int fd, const struct el_listener *listener);
struct el_conn *el_h1_open(struct el_loop *loop, int fd, const struct el_listener *listener);

#endif
