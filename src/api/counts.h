/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_COUNTS_H
#define EL_API_COUNTS_H

/*
 * Requests counted as TensorFlow Serving counts them: by the name in the request, by call and entrypoint, with its buckets.
 *
 * Every event loop has counts of its own, which only its thread changes, without a lock or a locked instruction; a scrape, on
 * whatever loop it arrives, adds them up. The lock is for the list alone: taken by the owner when a name comes for the first
 * time, and by a scrape. A name is what a client wrote: after EL_COUNTS_NAMES of them, requests count under "(other)".
 */

#include "base/buf.h"
#include "base/status.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EL_COUNTS_NAMES 1000 /* on one loop: as many as models that a server is made for */
#define EL_COUNTS_BUCKETS 34 /* 10 us, 33 times 1.8 as much, and what is beyond */
#define EL_COUNTS_EXAMPLES 16

/* In the order in which the exporter prints them. */
enum el_count_call {
    EL_COUNT_REST_OTHER, /* API "", entrypoint REST: status, metadata, and what is none of the calls */
    EL_COUNT_GRPC_CLASSIFY,
    EL_COUNT_GRPC_MULTI_INFERENCE,
    EL_COUNT_GRPC_PREDICT,
    EL_COUNT_GRPC_REGRESS,
    EL_COUNT_REST_CLASSIFY,
    EL_COUNT_REST_PREDICT,
    EL_COUNT_REST_REGRESS,
    EL_COUNT_CALLS
};

struct el_count_latency {
    _Atomic uint64_t buckets[EL_COUNTS_BUCKETS];
    _Atomic uint64_t sum_us;
};

struct el_counts_model {
    struct el_counts_model *next; /* in the list of its loop */
    struct el_counts_model *next_in_slot;
    _Atomic uint64_t status[EL_CODES];
    struct el_count_latency request[EL_COUNT_CALLS], runtime[EL_COUNT_CALLS];
    _Atomic uint64_t examples[EL_COUNTS_EXAMPLES];
    _Atomic uint64_t example_total;
    size_t name_size;
    char name[];
};

#define EL_COUNTS_SLOTS 256

struct el_counts {
    pthread_mutex_t lock;                           /* guards models */
    struct el_counts_model *models;                 /* newest first; they stay until el_counts_free() */
    struct el_counts_model *slots[EL_COUNTS_SLOTS]; /* the owner's */
    size_t count;
};

struct el_status *el_counts_init(struct el_counts *counts) EL_MUST_USE;
void el_counts_free(struct el_counts *counts);

/* What a request came to, on the loop's own thread. */
struct el_counted {
    const char *name; /* as in the request */
    size_t name_size;
    enum el_count_call call;
    enum el_code code;
    bool counted;        /* by status, too: everything but MultiInference and SessionRun */
    uint64_t took_ns;    /* request to answer */
    uint64_t runtime_ns; /* 0: not run */
    uint64_t examples;   /* MultiInference; 0: not told */
};
void el_counts_add(struct el_counts *counts, const struct el_counted *counted);

/* ---- a scrape ---- */

struct el_counts_sum; /* of all loops, by name */
struct el_counts_sum *el_counts_sum_new(void);
void el_counts_sum_add(struct el_counts_sum *sum, struct el_counts *counts);
/* Appends the metrics of TensorFlow Serving that come from them, each with its TYPE line. */
void el_counts_print(struct el_counts_sum *sum, struct el_buf *out);
void el_counts_sum_free(struct el_counts_sum *sum);

#endif
