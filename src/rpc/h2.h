/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_H2_H
#define EL_RPC_H2_H

/*
 * An HTTP/2 connection: an nghttp2 session on a connection, and its calls.
 * Thread: the loop's. h2.c speaks, h2_life.c has the course of time.
 */

#include "rpc/conn.h"

struct el_h2 {
    struct el_conn conn; /* first */
    nghttp2_session *session;
    struct cds_list_head calls;
    struct cds_list_head waiting; /* of these: complete, and not with a handler yet */
    uint32_t running;             /* with a handler, of methods that do not stream */
    uint64_t opened_ms;
    uint64_t calls_ms;         /* when the last call began or ended */
    uint64_t headers_since_ms; /* while headers are coming */
    uint64_t age_ms;           /* when it is to end, after opened_ms; 0: never */
    uint64_t asked_alive_ms;   /* when a PING went out to hear whether the client is there; 0: none is on its way */
    uint64_t goaway_ms;        /* when the first GOAWAY of a drain went out; 0: no drain */
    size_t block_bytes;        /* of the header block that is coming */
    uint32_t noise;            /* frames without use in this second */
    uint8_t preface_size;      /* bytes of the preface compared so far */
    bool settled;              /* the client's SETTINGS came */
    bool in_headers;
    bool refused; /* HTTP/1 was spoken: the answer is in conn.rest */
    bool final_goaway;
    uint8_t *fill_to; /* during el_conn_protocol.fill */
    size_t fill_room;
    bool fill_short;
};

/* In h2_life.c: what el_conn_protocol has for a course of time, and what it needs to hear. */
void el_h2_tick(struct el_conn *conn, uint64_t now_ms);
void el_h2_drain(struct el_conn *conn);
void el_h2_give_up(struct el_conn *conn);
void el_h2_choose_age(struct el_h2 *h2);
void el_h2_goaway_sent(struct el_h2 *h2);
void el_h2_ponged(struct el_h2 *h2, const uint8_t *opaque); /* eight bytes */

/* What every session shares; freed by their nghttp2 functions. */
struct el_status *el_h2_setup(nghttp2_option **option, nghttp2_session_callbacks **callbacks) EL_MUST_USE;

#endif
