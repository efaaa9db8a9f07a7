/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BENCH_LOAD_INTERNAL_H
#define EL_BENCH_LOAD_INTERNAL_H

/*
 * Inside the load generator. load.c decides what is asked when and counts;
 * conn.c is a client's socket; grpc.c and http.c speak on it.
 *
 * A lane is one client: it has one connection for new requests, and may have
 * older ones (after a GOAWAY) that only finish what they have begun.
 */

#include "base/buf.h"
#include "base/list.h"
#include "load/load.h"

#include <http_parser.h>
#include <nghttp2/nghttp2.h>

#define LOAD_BUFFER_BYTES ((size_t)256 * 1024)

struct load_conn;
struct load_lane;

/* A request from its start to its end; belongs to a lane, used again and again. */
struct load_request {
    struct cds_list_head link; /* in the lane's free ones, the load's to be retried, or the connection's */
    struct load_lane *lane;
    struct load_conn *conn;
    size_t message;
    uint64_t start_ns;
    uint8_t retries;
    bool answered; /* it was finished already; the stream only ends */
    int32_t stream_id;
    uint8_t prefix[5];
    size_t sent;
    int code;
    bool has_code;
    struct el_buf text;
    struct el_buf answer;
};

enum conn_state {
    CONN_CONNECTING,
    CONN_GREETING, /* gRPC: connected, but the server has not said a word (its SETTINGS) */
    CONN_READY,
    CONN_LEAVING, /* finishes what it has begun, takes nothing new */
    CONN_CLOSED
};

struct load_conn {
    uv_tcp_t tcp; /* first */
    uv_connect_t connect;
    uv_write_t write;
    struct el_load *load;
    struct load_lane *lane;
    struct cds_list_head link; /* in the load's connections */
    struct cds_list_head in_dirty;
    struct cds_list_head requests; /* under way */
    enum conn_state state;
    bool is_dirty;
    bool writing;      /* under_way is with libuv */
    bool begun;        /* some answer came on it */
    struct el_buf out; /* to be written */
    struct el_buf
        under_way; /* being written: an answer, and the next request, may come before libuv says that it is done */
    nghttp2_session *session; /* gRPC */
    http_parser parser;       /* HTTP */
    bool keep_alive;
};

struct load_lane {
    struct el_load *load;
    uint32_t index;
    struct load_conn *conn;    /* for new requests; NULL: none, or waiting to connect again */
    struct cds_list_head idle; /* requests that are free */
    struct load_request *requests;
    uint32_t busy;
    uint32_t connects;
    uint64_t connect_after_ms; /* uv clock; after a refusal */
    uint32_t wait_ms;
};

struct el_load {
    struct el_load_options options;
    char host[64];
    char port_text[8];
    char authority[80];
    char timeout_text[16];
    struct sockaddr_storage address;
    struct load_lane *lanes;
    uint32_t lane_count;
    uint32_t next_lane;
    struct cds_list_head conns;
    struct cds_list_head dirty;
    struct cds_list_head again; /* requests that the server refused: first in line */
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_poll_t due; /* at a fixed rate: timer_fd, armed for the next request; uv's own timers know milliseconds only */
    int timer_fd;
    unsigned open_handles;
    bool stopping;
    bool ended;
    uint64_t begin_ns;
    uint64_t rate_since_ns; /* the schedule of the fixed rate starts here */
    uint64_t rate_issued;   /* and this many of it have begun */
    uint64_t armed_ns;      /* what timer_fd is set to */
    uint64_t next_message;
    uint64_t started, succeeded, failed, retried, reconnected, under_way;
    uint64_t last_end_ns;
    struct el_histogram latencies;
    struct el_load_record *records;
    size_t record_count;
    struct el_load_reason reasons[EL_LOAD_REASONS];
    size_t reason_count;
    nghttp2_session_callbacks *callbacks;
    uint8_t *buffer; /* LOAD_BUFFER_BYTES; for reading and writing, one callback at a time */
};

/* ---- load.c ---- */

/* The request is over. reason NULL: an answer came, check it. */
void load_finish(struct load_request *request, const char *reason);

/* The server surely did not run it. */
void load_retry(struct load_request *request);

/* A connection is ready, gone, or has room: see what can be sent. */
void load_pump(struct el_load *load);

/* A connection is lost: its requests fail with reason, or go again where may_retry says that none was run. */
void load_conn_lost(struct load_conn *conn, const char *reason);

void load_handle_closed(uv_handle_t *handle);

/* ---- conn.c ---- */

bool load_conn_open(struct load_lane *lane);
void load_conn_ready(struct load_conn *conn);
void load_conn_dirty(struct load_conn *conn);
void load_conn_close(struct load_conn *conn, const char *reason);
void load_conn_flush(struct load_conn *conn);
void load_conn_leave(struct load_conn *conn); /* takes nothing new; closed when nothing is under way */

/* ---- grpc.c, http.c ---- */

int load_grpc_setup(struct el_load *load);
bool load_grpc_begin(struct load_conn *conn);
bool load_grpc_send(struct load_conn *conn, struct load_request *request);
void load_grpc_received(struct load_conn *conn, const uint8_t *bytes, size_t size);
size_t load_grpc_fill(struct load_conn *conn, uint8_t *to, size_t room);
void load_grpc_cancel(struct load_conn *conn, struct load_request *request);

void load_http_begin(struct load_conn *conn);
bool load_http_send(struct load_conn *conn, struct load_request *request);
void load_http_received(struct load_conn *conn, const uint8_t *bytes, size_t size);
void load_http_ended(struct load_conn *conn);

#endif
