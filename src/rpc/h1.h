/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_H1_H
#define EL_RPC_H1_H

/*
 * An HTTP/1.1 connection and the one request that it is at: requests of a
 * connection are answered one after the other, what a client sends ahead waits
 * in `ahead`, and when too much waits the socket is not read.
 *
 * Thread: the loop's. h1.c has its life, h1_parse.c reads, h1_zip.c (de)compresses, h1_reply.c answers.
 */

#include "rpc/conn.h"

#include <http_parser.h>

struct el_zip;

enum el_h1_state {
    EL_H1_READING,   /* a request is coming in, or awaited */
    EL_H1_ZIPPING,   /* its body is decompressed, or later the answer's compressed */
    EL_H1_RUNNING,   /* the handler has it */
    EL_H1_STREAMING, /* the handler has begun a streamed answer */
    EL_H1_REPLYING,  /* the handler is done; its body is still to be written */
    EL_H1_LAST       /* the last answer of this connection is being written */
};

/*
 * Owned by its connection and used for one request after the other; but when the connection is lost while a handler
 * without on_cancel still has it, that handler's answer frees it.
 */
struct el_http_request {
    struct el_h1 *h1; /* NULL: the connection is lost */
    struct el_loop *loop;
    unsigned method; /* enum http_method */
    void *user;
    void (*on_cancel)(struct el_http_request *request, void *user);
    struct el_buf target;
    struct el_buf headers; /* "name\0value\0" each */
    struct el_buf body;
    struct el_buf reply;
    struct el_buf reply_headers; /* "Name: value\r\n" each */
};

struct el_h1 {
    struct el_conn conn; /* first */
    http_parser parser;
    enum el_h1_state state;
    struct el_http_request *request;
    struct el_buf ahead; /* received, not parsed */
    struct el_buf out;   /* to be written; before request.reply when REPLYING */
    size_t out_sent;
    size_t body_sent;       /* of request.reply, when REPLYING */
    struct el_zip *zip;     /* when ZIPPING */
    unsigned reply_code;    /* of the answer that is complete */
    const char *reply_type; /* a constant; NULL: none */
    size_t header_bytes;
    size_t body_limit;
    uint64_t began_ms; /* when the request's first byte came, later its last progress */
    bool begun;        /* a request has begun to arrive */
    bool in_value;     /* the header's name is complete */
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

void el_http_request_free(struct el_http_request *request);

/* In h1_parse.c. */
extern const http_parser_settings el_h1_parser_settings;

/* Decompresses the request's body. True if that goes on, or the request is refused: then it is none of the caller's. */
bool el_h1_unzip(struct el_h1 *h1);

/* The request is ready. */
void el_h1_call_handler(struct el_h1 *h1);

/* Compresses the answer's body if that is wanted. True if that goes on; then el_h1_send_reply() follows. */
bool el_h1_zip(struct el_h1 *h1);

/* Sends reply_code, reply_type and the body in the request's buffer. */
void el_h1_send_reply(struct el_h1 *h1);

/* The body is not needed any more. */
void el_h1_forget_body(struct el_h1 *h1);

/*
 * Ends the connection with an answer: with TensorFlow Serving's HTML page where its HTTP library has one (400, 417, 501), else with
 * a JSON error.
 */
void el_h1_refuse(struct el_h1 *h1, unsigned code, const char *text);

/* The answer is out of the handler's hands and written; the next request. */
void el_h1_next(struct el_h1 *h1);

#endif
