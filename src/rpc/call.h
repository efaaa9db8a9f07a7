/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_CALL_H
#define EL_RPC_CALL_H

/*
 * A gRPC call: one HTTP/2 stream, from its first header to its trailers.
 *
 * Thread: the loop's. h2.c feeds it what nghttp2 found; call.c reads the
 * headers and knows when it ends, message.c assembles what it asks, reply.c sends. It belongs to its stream and
 * goes to the loop's pool when the stream is closed, except when the
 * handler still holds it (it answers later and set no on_cancel): then it waits
 * among the loop's orphans for that answer, which goes nowhere.
 *
 * A stream on an HTTP listener that is no gRPC call carries an HTTP request: `http` is set from the end of its headers, and
 * h2_http.c does what is different.
 */

#include "rpc/conn.h"

#define EL_UNREAD_TIMEOUTS 2 /* header timeouts without progress until an unread answer is dropped */
#define EL_TOO_SLOW "the client reads more slowly than messages come up"

struct el_h2;
struct el_zip;
struct el_http_request;

enum el_call_state {
    EL_CALL_RECEIVING, /* the request is coming in */
    EL_CALL_WAITING,   /* it is complete; its connection has as many running as it may */
    EL_CALL_RUNNING,   /* the handler has it */
    EL_CALL_ANSWERED   /* the status is known; what is left is to send it */
};

enum el_call_encoding { EL_ENCODING_IDENTITY, EL_ENCODING_DEFLATE, EL_ENCODING_GZIP, EL_ENCODING_UNKNOWN };

struct el_grpc_call {
    struct cds_list_head link; /* in the connection's calls, the loop's orphans or pool */
    struct cds_list_head turn; /* in the connection's waiting calls, when EL_CALL_WAITING */
    struct el_loop *loop;
    struct el_h2 *h2;             /* NULL: an orphan */
    struct el_http_request *http; /* NULL: a gRPC call */
    struct el_zip *zip;           /* the message, or later the answer, is under way; NULL: none */
    int32_t stream_id;
    enum el_call_state state;
    const struct el_grpc_method *method; /* NULL: unknown */
    void *user;
    void (*on_cancel)(struct el_grpc_call *call, void *user);
    struct el_deadline deadline;
    size_t charged_bytes; /* of the connection's */
    uint64_t active_ms;   /* last progress of request or answer (uv clock) */

    bool counted;      /* among the connection's running */
    bool held;         /* cancelled, but the handler does not know: it will still answer */
    bool remote_ended; /* END_STREAM came */
    bool too_slow;     /* streaming: the client did not read; the deadline ends it */

    /* The request. */
    bool is_post;
    bool is_grpc;
    bool bad_timeout;
    bool headers_too_big;
    bool compressed;
    bool message_done;
    enum el_call_encoding encoding;
    uint64_t timeout_ns;
    size_t header_bytes;   /* as HTTP/2 counts them: with 32 a header */
    struct el_buf headers; /* "name\0value\0" each */
    uint8_t prefix[5];
    uint8_t prefix_size;
    size_t message_size; /* from the prefix; of an HTTP request: bytes that came after its answer */
    struct el_buf message;

    /* The answer. */
    bool response_begun;       /* the headers are submitted, data follows */
    bool finished;             /* no more data follows: trailers after it */
    const char *metadata_name; /* of the answer, beside what gRPC has; NULL: none */
    char metadata_value[32];
    uint8_t code;
    enum el_call_encoding reply_encoding; /* of a unary answer */
    uint8_t out_head[5];                  /* prefix of a unary answer */
    uint8_t out_head_size;                /* 5, or 0 when streaming */
    size_t out_sent;                      /* of head and body */
    struct el_buf *out;                   /* reply or queue */
    size_t queued_bytes;                  /* what queue is charged with */
    struct el_buf reply;                  /* the message that the handler writes */
    struct el_buf queue;                  /* streaming: messages with their prefixes */
    struct el_buf trailer;                /* the encoded status message */
};

/* A call for a new stream, in the list of calls; NULL without memory. */
struct el_grpc_call *el_call_new(struct el_h2 *h2, int32_t stream_id);

/* The request as it arrives. */
void el_call_header(struct el_grpc_call *call, const uint8_t *name, size_t name_size, const uint8_t *value,
                    size_t value_size);
void el_call_headers_done(struct el_grpc_call *call);
void el_call_data(struct el_grpc_call *call, const uint8_t *bytes, size_t size);
void el_call_ended(struct el_grpc_call *call);

/* True for a stream that waits for its client's next message. */
bool el_call_between_messages(const struct el_grpc_call *call);

/* The request is complete: its handler gets it, at once or when it is its turn. */
void el_call_run(struct el_grpc_call *call);

/* Gives handlers the calls that wait, as far as the connection may have them running. */
void el_calls_run_waiting(struct el_h2 *h2);

/* The handler is done with it, or is not to answer any more. */
void el_call_uncount(struct el_grpc_call *call);

/* The stream is closed: cancels what runs and gives the call back. */
void el_call_closed(struct el_grpc_call *call);

/* Its deadline came. */
void el_call_expire(struct el_deadline *deadline);

/* Answers in the handler's stead and tells the handler. */
void el_call_abort(struct el_grpc_call *call, enum el_code code, const char *message);

/* Called as time goes by: a request that does not arrive, an answer that is not read. */
void el_call_tick(struct el_grpc_call *call, uint64_t now_ms);

/* Answers a call that no handler has. */
void el_call_refuse(struct el_grpc_call *call, enum el_code code, const char *message);

/* Answers with a bare HTTP status: what asked is no gRPC. */
void el_call_refuse_http(struct el_grpc_call *call, const char *status);

/* nghttp2 has room for up to `room` bytes of the answer; and wants the size bytes it was promised. */
ssize_t el_call_read(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t room, uint32_t *flags,
                     nghttp2_data_source *source, void *user);
void el_call_copy(struct el_grpc_call *call, uint8_t *to, size_t size);

/* The handler is done with the request's bytes, or nobody needs them. */
void el_call_forget_message(struct el_grpc_call *call);

/* The answer of a held call: nobody waits for it. */
void el_grpc_call_release(struct el_grpc_call *call);

/* In h2_http.c: the same steps of a stream that carries an HTTP request. */
void el_h2_http_begin(struct el_grpc_call *call);
void el_h2_http_data(struct el_grpc_call *call, const uint8_t *bytes, size_t size);
void el_h2_http_ended(struct el_grpc_call *call);
void el_h2_http_start(struct el_grpc_call *call);
void el_h2_http_abort(struct el_grpc_call *call);
void el_h2_http_cancelled(struct el_grpc_call *call);
void el_h2_http_closed(struct el_grpc_call *call);
void el_h2_http_tick(struct el_grpc_call *call, uint64_t still_ms);

bool el_call_charge(struct el_grpc_call *call, size_t bytes);
void el_call_uncharge(struct el_grpc_call *call, size_t bytes);

/* Frees the pool and the orphans. */
void el_calls_free(struct el_loop *loop);

#endif
