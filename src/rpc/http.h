/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_HTTP_H
#define EL_RPC_HTTP_H

/*
 * An HTTP request as its handler sees it, whichever version of HTTP it came by: the carrier is the protocol that
 * brought it and takes its answer. h1_reply.c has the carrier of HTTP/1, h2_http.c the one of HTTP/2.
 *
 * Thread: the loop's. Owned by its carrier; but when the connection (or the stream) is lost while a handler without
 * on_cancel still has it, that handler's answer frees it.
 */

#include "rpc/conn.h"

#include <http_parser.h>

struct el_zip;

struct el_http_carrier {
    /* The body is decompressed: run the handler. */
    void (*ready)(struct el_http_request *request);
    /* The handler has answered: code, type and reply. Compresses it if that is wanted, then sends. */
    void (*reply)(struct el_http_request *request);
    /* The reply is as it goes out. */
    void (*send)(struct el_http_request *request);
    /* Answers in the handler's stead. */
    void (*refuse)(struct el_http_request *request, unsigned code, const char *text);
    /* A streamed answer: its headers, a part (the reply), its end. */
    void (*stream)(struct el_http_request *request);
    void (*stream_send)(struct el_http_request *request);
    void (*stream_end)(struct el_http_request *request);
    /* Accounts bytes of the request. */
    bool (*charge)(struct el_http_request *request, size_t bytes);
    void (*uncharge)(struct el_http_request *request, size_t bytes);
};

struct el_http_request {
    const struct el_http_carrier *carrier;
    void *carried;        /* the carrier's: struct el_h1, struct el_grpc_call */
    struct el_conn *conn; /* NULL: the connection, or the stream, is lost */
    struct el_loop *loop;
    struct el_zip *zip; /* the body, or later the answer, is under way; NULL: none */
    unsigned method;    /* enum http_method */
    unsigned code;      /* of the answer */
    const char *type;   /* a constant; NULL: none */
    void *user;
    void (*on_cancel)(struct el_http_request *request, void *user);
    struct el_buf target;
    struct el_buf headers; /* "name\0value\0" each */
    struct el_buf body;
    struct el_buf reply;
    struct el_buf reply_headers; /* likewise */
};

/* Frees what is worth it and keeps the rest for the next request. */
static inline void el_http_trim(struct el_buf *buf)
{
    if (buf->capacity > EL_POOLED_BYTES)
        el_buf_free(buf);
    else
        el_buf_clear(buf);
}

/* The body is not needed any more. */
void el_http_forget_body(struct el_http_request *request);

/* True for the methods that reach handlers; the others are answered with 501. */
bool el_http_is_served(unsigned method);

/* As the HTTP server of TensorFlow Serving names it. */
const char *el_http_reason(unsigned code);

/*
 * What is answered in a handler's stead: TensorFlow Serving's HTML page where its HTTP library has one (400, 417, 501),
 * else a JSON error. Returns the content type.
 */
const char *el_http_refusal(struct el_buf *to, unsigned code, const char *text);

/* NULL, or why the request's headers are refused, with the code; for both carriers. */
const char *el_http_expectation(const struct el_http_request *request, bool *wants_continue, unsigned *code);

/* Decompresses the body. True if the request is not ready: zip is set, and `ready` follows; or it was refused. */
bool el_http_unzip(struct el_http_request *request);

/* Compresses the answer if that is wanted. True if that goes on: zip is set, and `send` follows. */
bool el_http_zip(struct el_http_request *request);

void el_http_request_free(struct el_http_request *request);

#endif
