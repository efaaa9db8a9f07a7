/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_H2_H
#define EL_RPC_H2_H

/*
 * An HTTP/2 connection: an nghttp2 session on a connection, and its calls.
 * Thread: the loop's.
 */

#include "rpc/conn.h"

struct el_h2 {
    struct el_conn conn; /* first */
    nghttp2_session *session;
    struct cds_list_head calls;
    uint64_t opened_ms;
    uint64_t calls_ms;         /* when the last call began or ended */
    uint64_t headers_since_ms; /* while headers are coming */
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

/* What every session shares; freed by their nghttp2 functions. */
struct el_status *el_h2_setup(nghttp2_option **option, nghttp2_session_callbacks **callbacks) EL_MUST_USE;

#endif
