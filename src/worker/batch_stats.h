/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_BATCH_STATS_H
#define EL_WORKER_BATCH_STATS_H

/*
 * What batching has come to since the server started: the numbers behind TensorFlow Serving's batching_session metrics.
 *
 * Over all models and versions, those that are gone too. Written by the event loops when they take answers, read by any
 * thread; each number is relaxed and exact by itself. Workers tell what is counted, so a hostile one can make the numbers
 * wrong (not larger than its own answers could make them), nothing else.
 *
 * Buckets are TensorFlow's: the limits grow exponentially, bucket i holds what is below limit i and not below the one
 * before it, the last one all the rest.
 */

#include <stdatomic.h>
#include <stdint.h>

#define EL_BATCH_SIZE_LIMITS 14    /* 1, 2, 4... 8192 */
#define EL_BATCH_LATENCY_LIMITS 52 /* 100 times 1.2 to the power of i, microseconds */
#define EL_BATCH_SIZES 256         /* sizes of runs whose padding is counted, the first that occur */

struct el_size_histogram {
    _Atomic uint64_t buckets[EL_BATCH_SIZE_LIMITS + 1];
    _Atomic uint64_t sum;
};

struct el_padding_histogram {
    _Atomic uint32_t execution_batch_size; /* 0: this and all after it are unused */
    struct el_size_histogram padding;
};

struct el_batch_stats {
    _Atomic uint64_t runs;                                 /* :wrapped_run_count */
    struct el_size_histogram input;                        /* :input_batch_size, rows of requests in a run */
    struct el_size_histogram processed;                    /* :processed_batch_size, with padding */
    struct el_padding_histogram paddings[EL_BATCH_SIZES];  /* :padding_size */
    _Atomic uint64_t queuing[EL_BATCH_LATENCY_LIMITS + 1]; /* :queuing_latency */
    _Atomic uint64_t queuing_sum_us;
};

struct el_shm_slot;

/* What an answered call's slot tells; runs of more than max_rows are not believed. */
void el_batch_stats_add(struct el_batch_stats *stats, const struct el_shm_slot *slot, uint64_t max_rows);

#endif
