/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BENCH_LOAD_LOAD_H
#define EL_BENCH_LOAD_LOAD_H

/*
 * The load generator: clients that ask all the time, check every answer and
 * forget none. For measurements, tests and the demo.
 *
 * A load is `connections` clients on one libuv loop, each with at most `streams` requests under way, either
 * as fast as answers come (closed loop) or at a fixed rate. It behaves as a good gRPC channel does: a request that
 * the server refused by GOAWAY or REFUSED_STREAM, so that it surely was not run, goes again to a new connection
 * and nobody is told; whatever else goes wrong is a failed request, with its reason.
 *
 * Threads: everything about a load happens on its loop's thread; several loads may share a loop. Ownership:
 * what options point to must live until `done`; an answer is the callback's until it returns. Failure to
 * start is a status; afterwards failures are counted.
 */

#include "base/histogram.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct el_load;

enum el_load_protocol { EL_LOAD_GRPC, EL_LOAD_HTTP };

struct el_load_message {
    const uint8_t *bytes; /* a gRPC message without its prefix, or an HTTP body */
    size_t size;
};

struct el_load_answer {
    size_t message;       /* which of the options' messages was asked */
    int code;             /* grpc-status or HTTP status; -1: there was no answer, text says why */
    const char *text;     /* grpc-message (as sent: percent-encoded), "" for HTTP */
    const uint8_t *bytes; /* the message or body */
    size_t size;
    uint64_t start_ns;   /* monotonic; at a fixed rate, when it was due */
    uint64_t latency_ns; /* to the last byte of the answer */
};

struct el_load_options {
    uv_loop_t *loop;
    enum el_load_protocol protocol;
    const char *host; /* a numeric address */
    uint16_t port;
    const char *path;                       /* "/package.Service/Method", or the HTTP target */
    const char *content_type;               /* of HTTP bodies; NULL: "application/json" */
    const struct el_load_message *messages; /* sent in turn; an HTTP message of size 0 is a GET */
    size_t message_count;
    uint32_t connections; /* 0: 1 */
    uint32_t streams;     /* per connection; 0: 1. HTTP/1.1 has one at a time */
    double rate;          /* requests per second of all connections; 0: closed loop */
    uint64_t count;       /* requests to make; 0: no limit */
    uint32_t duration_ms; /* no request begins later; 0: no limit (then until el_load_stop) */
    uint32_t timeout_ms;  /* of a request: sent as grpc-timeout, and watched here; 0: none */
    size_t log_capacity;  /* requests to remember singly; 0: none */
    /* NULL if the answer is right; else why not, a text that outlives the load. Default: code is 0 (gRPC) or 200 (HTTP). */
    const char *(*check)(void *argument, const struct el_load_answer *answer);
    /* Everything is answered or failed and every handle closed: el_load_free() may follow, here or later. */
    void (*done)(void *argument, struct el_load *load);
    void *argument;
};

/* One request that is over. */
struct el_load_record {
    uint64_t start_ns;
    uint64_t latency_ns;
    uint32_t connection;
    bool ok;
    uint8_t retries;
};

#define EL_LOAD_REASONS 32

struct el_load_reason {
    char text[160];
    uint64_t count;
};

/* How it went so far. */
struct el_load_summary {
    uint64_t started, succeeded, failed;
    uint64_t retried;     /* transparently; part of started */
    uint64_t reconnected; /* connections made after the first ones */
    uint64_t elapsed_ns;  /* first request's start to last answer */
    double rate;          /* answers per second */
    uint64_t p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
    bool exact; /* quantiles are of single requests (all are in the log), not of the histogram */
    const struct el_load_reason *reasons; /* of the load; the most frequent is not necessarily first */
    size_t reason_count;
};

struct el_status *el_load_start(const struct el_load_options *options, struct el_load **load) EL_MUST_USE;

/* No new requests; `done` comes when those under way are over. Calling it twice does nothing more. */
void el_load_stop(struct el_load *load);

/* Closed loop and fixed rate alike: how many requests a second from now on; 0: closed loop. */
void el_load_set_rate(struct el_load *load, double rate);

void el_load_summary(struct el_load *load, struct el_load_summary *summary);

/* The requests that are over, in the order of their ends, as far as log_capacity reaches. */
const struct el_load_record *el_load_records(const struct el_load *load, size_t *count);

/* Latencies of the successful requests, for a live view. */
const struct el_histogram *el_load_latencies(const struct el_load *load);

/* Only after `done`. */
void el_load_free(struct el_load *load);

#endif
