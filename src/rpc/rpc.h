/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_RPC_H
#define EL_RPC_RPC_H

/*
 * The room's door: transport. Event-loop threads, HTTP/1.1, HTTP/2 with gRPC
 * framing. It knows nothing of models.
 *
 * Threads. el_rpc_server_start() makes `loops` threads, each with its own libuv
 * loop and, by SO_REUSEPORT, its own listening sockets. A connection, its calls and
 * requests and every callback about them stay on the thread that accepted it.
 * A handler may answer at once or later, but on that thread.
 *
 * Ownership. A call or request is valid from the handler's start until it was answered
 * (reply, fail, finish) or `on_cancel` was called, whichever is first; after
 * either the handler must not touch it. If the client goes away first, on_cancel
 * comes (once) and no answer is possible any more. A handler that set no on_cancel
 * answers in any case, and the answer to a client that is gone goes nowhere.
 *
 * Limits are options; what exceeds one gets a clear answer (gRPC RESOURCE_EXHAUSTED,
 * HTTP 413/431/429/408) and never costs more memory than the limit.
 */

#include "base/buf.h"
#include "base/log.h"
#include "base/status.h"

#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct el_rpc_server;
struct el_grpc_call;
struct el_http_request;

/* One event-loop thread, as its users see it. */
struct el_rpc_loop {
    uv_loop_t uv;
    uint32_t index; /* 0 to loops - 1 */
    void *user;     /* set by on_loop_start, for handlers */
};

/* ---- gRPC ---- */

typedef void el_grpc_handler(struct el_grpc_call *call, void *argument);

/*
 * A method. The handler is called with the one request message complete; replies may be one (unary) or many. With
 * `streams` the client may send any number of messages, and the handler is called for each, which is there until it
 * returns (at most 1 MiB): it sends what it has to say, and the transport ends the call with OK when the client has
 * said all. Such a handler may end the call earlier; if it works on after it has returned, it sets on_cancel, which then
 * also tells that the client has said all.
 */
struct el_grpc_method {
    const char *path; /* "/tensorflow.serving.PredictionService/Predict" */
    el_grpc_handler *handler;
    void *argument;
    bool streams;
};

struct el_rpc_loop *el_grpc_loop(struct el_grpc_call *call);

/* The request message, decompressed, until the call is answered or el_grpc_drop_message(). */
const uint8_t *el_grpc_message(const struct el_grpc_call *call, size_t *size);

/* Gives the memory of the request message back early: it was decoded. */
void el_grpc_drop_message(struct el_grpc_call *call);

/* From grpc-timeout, on the monotonic clock; EL_NEVER_NS without one. */
uint64_t el_grpc_deadline_ns(const struct el_grpc_call *call);

/* The value of a request header (lower-case name), or NULL. */
const char *el_grpc_metadata(const struct el_grpc_call *call, const char *name);

/* Metadata of the answer, before it: name is a constant in lower case, value is copied (its first 31 bytes). One per call; the last counts. */
void el_grpc_add_metadata(struct el_grpc_call *call, const char *name, const char *value);

/* What the handler keeps with the call. */
void el_grpc_set_user(struct el_grpc_call *call, void *user);
void *el_grpc_user(const struct el_grpc_call *call);

/* Called on this thread if the client cancels, vanishes, or the deadline passes before the answer. For a deadline the
 * transport has answered DEADLINE_EXCEEDED itself. */
void el_grpc_on_cancel(struct el_grpc_call *call, void (*on_cancel)(struct el_grpc_call *call, void *user));

/* Where the reply's message is written: an empty buffer (room for the frame's prefix is kept elsewhere); append and call el_grpc_reply. */
struct el_buf *el_grpc_reply_buf(struct el_grpc_call *call);

/* Unary success: sends the buffer of el_grpc_reply_buf() and OK. Ends the call. */
void el_grpc_reply(struct el_grpc_call *call);

/*
 * Server streaming: sends the buffer as one message and empties it; the call goes on. A client that reads so slowly
 * that 16 MiB wait for it loses the call (RESOURCE_EXHAUSTED, on_cancel, soon after this has returned).
 */
void el_grpc_send(struct el_grpc_call *call);

/* Ends the call with status (borrowed; NULL: OK). Messages longer than 1024 bytes are cut as TensorFlow Serving does. */
void el_grpc_fail(struct el_grpc_call *call, const struct el_status *status);

/* ---- HTTP/1.1 and HTTP/2 ---- */

typedef void el_http_handler(struct el_http_request *request, void *argument);

struct el_rpc_loop *el_http_loop(struct el_http_request *request);
const char *el_http_method(const struct el_http_request *request); /* "GET" */
const char *el_http_target(const struct el_http_request *request); /* path and query as sent, e.g. "/v1/models/m?x=1" */
const char *el_http_header(const struct el_http_request *request,
                           const char *name);                                     /* case-insensitive; NULL: absent */
const uint8_t *el_http_body(const struct el_http_request *request, size_t *size); /* de-chunked, decompressed */
void el_http_set_user(struct el_http_request *request, void *user);
void *el_http_user(const struct el_http_request *request);
void el_http_on_cancel(struct el_http_request *request, void (*on_cancel)(struct el_http_request *request, void *user));

/* Who is at the other end. */
struct el_http_peer {
    bool is_local; /* a Unix socket: uid is its user, as the kernel says (SO_PEERCRED) */
    uid_t uid;
    char address[64]; /* of a TCP connection, without the port; "" */
};

/* False: the connection is lost. */
bool el_http_peer(const struct el_http_request *request, struct el_http_peer *peer);

/* Adds a header to the answer; both are copied. */
void el_http_add_header(struct el_http_request *request, const char *name, const char *value);

/* Where the answer's body is written. */
struct el_buf *el_http_reply_buf(struct el_http_request *request);

/* Sends status code, headers and the body in the buffer. content_type: a constant; NULL: none. Ends the request. */
void el_http_reply(struct el_http_request *request, unsigned code, const char *content_type);

/* Streaming (events --follow): headers now, chunks later, an end. After el_http_stream() use the next two only. */
void el_http_stream(struct el_http_request *request, unsigned code, const char *content_type);
void el_http_stream_send(struct el_http_request *request); /* the buffer as one chunk; empties it */
void el_http_stream_end(struct el_http_request *request);

/* ---- the server ---- */

/* EL_LISTEN_HTTP: both versions of HTTP; the first bytes of a connection say which. */
enum el_listener_type { EL_LISTEN_GRPC, EL_LISTEN_HTTP };

struct el_listener {
    enum el_listener_type type;
    const char *address;   /* "0.0.0.0", "::" (dual stack, falls back to IPv4), or NULL with path */
    uint16_t port;         /* 0: any free port (see el_rpc_server_port) */
    const char *unix_path; /* instead of address and port: a Unix socket (loop 0 only), mode 0600 if private */
    bool private_mode;
    struct el_tls *tls; /* tls.h; NULL: plain. Outlives the server */
    bool grpc_too;      /* HTTP listeners: gRPC calls (by their content type, over HTTP/2) are answered, too */
    bool
        compress; /* HTTP listeners: gzip answers of more than 1 kB for who accepts it (TensorFlow Serving never does) */
    el_http_handler *handler; /* HTTP listeners */
    void *argument;
};

/* How answers go out to clients that accept it; small ones never are compressed. */
enum el_grpc_compression {
    EL_GRPC_AS_ASKED, /* as the request came */
    EL_GRPC_DEFLATE,
    EL_GRPC_GZIP
};

/* Of HTTP/2 connections, looked at once a second. */
struct el_grpc_times {
    uint64_t idle_ms;      /* without calls, then it ends; 0: el_rpc_options.idle_timeout_ms */
    uint64_t age_ms;       /* then it takes no new calls, and ends with the last; 0: any. A tenth more or less */
    uint64_t age_grace_ms; /* for those calls; 0: any */
    uint64_t keepalive_ms; /* a client that is silent for so long is asked whether it is there; 0: never */
    uint64_t keepalive_timeout_ms; /* and has so long to answer; 0: 20,000 */
    bool keepalive_idle;           /* also without calls */
};

struct el_rpc_options {
    const struct el_log *log;
    uint32_t loops;
    const struct el_listener *listeners;
    size_t listener_count;
    const struct el_grpc_method *methods;
    size_t method_count;
    size_t max_message_bytes;      /* a request message or body; 0: 2 GiB - 1 */
    size_t max_grpc_message_bytes; /* a gRPC request message; 0: max_message_bytes, and never above it */
    size_t max_reply_bytes;        /* a gRPC answer; 0: as large as one can be */
    struct el_grpc_times grpc_times;
    size_t max_inflated_bytes;   /* what a compressed one may become; 0: 256 MiB, never above max_message_bytes */
    size_t max_connection_bytes; /* all messages of a connection that are in memory; 0: max_message_bytes */
    size_t max_loop_bytes;       /* the same, for all connections of an event loop; 0: 4 GiB */
    size_t max_header_bytes;     /* 0: 64 KiB */
    uint32_t max_connections;    /* per server; 0: 10,000 */
    uint32_t max_streams;        /* per HTTP/2 connection; 0: 1,000 */
    /*
     * Calls that handlers have at the same time, of one connection, when it is the only one with calls; two such
     * connections may have half as many each, and so on down to 16. The others wait their turn. Methods that stream do
     * not count. 0: no limit.
     */
    uint32_t max_running;
    enum el_grpc_compression compression;
    uint32_t
        header_timeout_ms;    /* a client that does not finish its headers, preface or body chunk in time; 0: 30,000 */
    uint32_t idle_timeout_ms; /* a connection without requests; 0: 3,600,000 */
    /*
     * On each loop's thread: before it accepts (a failure fails the start); when a drain begins (end streams that
     * would go on for ever); and after its last connection is gone: close your handles on it, the loop runs until
     * they are closed. Each may be NULL.
     */
    struct el_status *(*on_loop_start)(struct el_rpc_loop *loop, void *argument);
    void (*on_loop_drain)(struct el_rpc_loop *loop, void *argument);
    void (*on_loop_stop)(struct el_rpc_loop *loop, void *argument);
    void *argument;
};

/* Binds everything, then starts the threads. A port in use is a status that names it; nothing is left behind then. options are copied, handlers stay. */
struct el_status *el_rpc_server_start(const struct el_rpc_options *options, struct el_rpc_server **server) EL_MUST_USE;

/* The port that listener number `listener` is bound to. */
uint16_t el_rpc_server_port(const struct el_rpc_server *server, size_t listener);

/* Counters for /metrics; any thread. */
struct el_rpc_stats {
    uint64_t connections_accepted, connections_open, connections_refused, bytes_in, bytes_out, protocol_errors;
};
void el_rpc_server_stats(const struct el_rpc_server *server, struct el_rpc_stats *stats);

/*
 * Graceful end: stops listening, GOAWAY / Connection: close, waits for the running calls, at most grace_ms; then they
 * are cancelled and answered UNAVAILABLE / 503. Returns at once; any thread. Called again, it changes grace_ms.
 */
void el_rpc_server_drain(struct el_rpc_server *server, uint32_t grace_ms);

/* Waits for the threads to end (after drain) and frees. */
void el_rpc_server_join(struct el_rpc_server *server);

#endif
