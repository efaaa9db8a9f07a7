/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_H1_H
#define EL_RPC_H1_H

/*
 * An HTTP/1.1 connection and the one request that it is at: requests of a
 * connection are answered one after the other, what a client sends ahead waits
 * in `ahead`, and when too much waits the socket is not read.
 *
 * Thread: the loop's. h1.c has its life, h1_parse.c reads, h1_reply.c answers.
 */

#include "rpc/http.h"

enum el_h1_state {
    EL_H1_READING,   /* a request is coming in, or awaited */
    EL_H1_ZIPPING,   /* its body is decompressed, or later the answer's compressed */
    EL_H1_RUNNING,   /* the handler has it */
    EL_H1_STREAMING, /* the handler has begun a streamed answer */
    EL_H1_REPLYING,  /* the handler is done; its body is still to be written */
    EL_H1_LAST       /* the last answer of this connection is being written */
};

struct el_h1 {
    struct el_conn conn; /* first */
    http_parser parser;
    enum el_h1_state state;
    struct el_http_request *request;
    struct el_buf ahead; /* received, not parsed */
    struct el_buf out;   /* to be written; before request.reply when REPLYING */
    size_t out_sent;
    size_t body_sent; /* of request.reply, when REPLYING */
    size_t header_bytes;
    size_t body_limit;
    uint64_t began_ms;    /* when the request's first byte came, later its last progress */
    uint8_t preface_size; /* bytes that came first and are HTTP/2's so far */
    bool is_h1;           /* the first bytes were not */
    bool begun;           /* a request has begun to arrive */
    bool in_value;        /* the header's name is complete */
    bool headers_done;
    bool complete;   /* the request has arrived */
    bool keep_alive; /* after this answer */
    bool chunked;    /* the streamed answer is in chunks */
    bool draining;
    bool parsing; /* guards against handlers that answer within the parser's loop */
    bool told_continue;
    uint64_t drain_ms;
    unsigned refuse_code; /* set by a parser callback: answer with it */
    const char *refuse_text;
};

/* Parses what waits in ahead and runs handlers, until a request runs or the bytes are used up. */
void el_h1_advance(struct el_h1 *h1);

/* In h1_parse.c. */
extern const http_parser_settings el_h1_parser_settings;

/* In h1_reply.c. */
extern const struct el_http_carrier el_h1_carrier;

/* Ends the connection with an answer, el_http_refusal()'s. */
void el_h1_refuse(struct el_h1 *h1, unsigned code, const char *text);

/* The request is ready. */
void el_h1_call_handler(struct el_h1 *h1);

/* The answer is out of the handler's hands and written; the next request. */
void el_h1_next(struct el_h1 *h1);

#endif
