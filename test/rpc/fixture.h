/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TEST_RPC_FIXTURE_H
#define EL_TEST_RPC_FIXTURE_H

/*
 * For the transport's tests: a server in this process and clients that are plain sockets, so that they can misbehave.
 * Every wait has a limit that only a failing test meets.
 */

#include "rpc/rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT_MS 20000

struct fixture {
    struct el_rpc_server *server;
    uint16_t grpc_port, http_port, both_port;
    _Atomic unsigned begun, cancelled; /* calls and requests of the handlers that do not answer by themselves */
    struct el_grpc_call *_Atomic held; /* of /t.T/Held */
};

/*
 * Starts a server with one loop on free ports. base: limits to use, or NULL; its listeners and methods are ours:
 * gRPC /t.T/Echo, /t.T/Never (until cancelled), /t.T/Held (never, and sets no on_cancel), /t.T/Release
 * (answers that one, and then the caller with its message), /t.T/Flood (streams for ever); HTTP "/never" (until cancelled), "/flood" (likewise), "/big" (1 MiB of 'b'),
 * all else echoes the body of a POST and the target of the others. both_port speaks either.
 */
void fixture_start(struct fixture *fixture, const struct el_rpc_options *base);

/* Drains, waits, frees. */
void fixture_stop(struct fixture *fixture);

/* Waits until *counter is at least value. */
void wait_for_count(const _Atomic unsigned *counter, unsigned value);

/* Waits until that many connections are open. */
void wait_for_connections(const struct fixture *fixture, uint64_t count);

/* A connected socket; receives give up after LIMIT_MS. */
int client_connect(uint16_t port);
void client_connect_on(int fd, uint16_t port);

/* Sends all; false if the server has closed the connection. */
bool client_send(int fd, const void *bytes, size_t size);
bool client_text(int fd, const char *text);

/* Receives exactly size bytes; false at the end of the connection. */
bool client_receive(int fd, void *to, size_t size);

/* Receives until the server ends the connection; the bytes as a terminated text in a buffer of room bytes. */
size_t client_receive_all(int fd, char *to, size_t room);

/* Receives one HTTP/1.1 answer with a Content-Length, head and body, as a terminated text. */
void client_receive_answer(int fd, char *to, size_t room);

/* ---- HTTP/2, frame by frame ---- */

enum {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_PRIORITY,
    FRAME_RST_STREAM,
    FRAME_SETTINGS,
    FRAME_PUSH,
    FRAME_PING,
    FRAME_GOAWAY,
    FRAME_WINDOW_UPDATE,
    FRAME_CONTINUATION
};
enum { FLAG_END_STREAM = 1, FLAG_ACK = 1, FLAG_END_HEADERS = 4 };

struct frame {
    uint8_t type, flags;
    uint32_t stream;
    uint32_t size;
    uint8_t payload[1 << 16];
};

/* Connects, sends the preface and empty SETTINGS. */
int h2_connect(uint16_t port);
bool h2_send(int fd, uint8_t type, uint8_t flags, uint32_t stream, const void *payload, size_t size);

/* The header block of a gRPC request, and more headers ("name", "value", ..., NULL); returns its size. */
#define NO_MORE ((const char *)NULL) /* ends the list: a plain NULL may be an int to a variadic function */
size_t h2_headers(uint8_t *to, size_t room, const char *path, ...);
bool h2_receive(int fd, struct frame *frame);

/* Sends a call with this message (framed here) and END_STREAM. */
bool h2_call(int fd, uint32_t stream, const char *path, const void *message, size_t size);

struct h2_answer {
    int http_status;
    int grpc_status; /* -1: none */
    char grpc_message[2048];
    uint8_t body[1 << 16];
    size_t body_size;
    uint32_t reset;  /* error code of RST_STREAM plus one; 0: none */
    uint32_t goaway; /* error code of GOAWAY plus one; 0: none */
    bool ended;      /* END_STREAM */
};

/* Reads frames until the stream ends or is reset or the connection ends; answers SETTINGS and PINGs. */
void h2_receive_answer(int fd, uint32_t stream, struct h2_answer *answer);

/* Reads frames until GOAWAY or the end of the connection; the error code, or -1 at the end. */
int64_t h2_receive_goaway(int fd, uint32_t *last_stream);

#endif
