/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_RUN_STATS_H
#define EL_WORKER_RUN_STATS_H

/*
 * Runs of models since the server started, over all workers there were: the numbers behind TensorFlow's graph_run metrics,
 * which it counts inside its process.
 *
 * Each event loop has its own, which only its thread writes, when it takes an answer: without a locked instruction. Any thread
 * reads; relaxed, each number exact by itself. A batch is one run; its inputs and outputs are counted for each of its requests.
 *
 * Buckets are TensorFlow's: bucket i holds what is below limit i and not below the one before it, the last one all the rest.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define EL_RUN_TIME_LIMITS 20  /* 1000 times 2 to the power of i, microseconds */
#define EL_RUN_BYTES_LIMITS 14 /* 4 to the power of i */

struct el_bytes_histogram {
    _Atomic uint64_t buckets[EL_RUN_BYTES_LIMITS + 1];
    _Atomic uint64_t sum;
};

struct el_run_stats {
    _Alignas(64) _Atomic uint64_t tried; /* those that failed, too */
    _Atomic uint64_t runs;
    _Atomic uint64_t sum_us;
    _Atomic uint64_t times[EL_RUN_TIME_LIMITS + 1];
    struct el_bytes_histogram inputs, outputs;
};

struct el_ran {
    uint64_t runs; /* that are told of with this answer; 0: another request's answer tells */
    uint64_t time_ns;
    uint64_t input_bytes, output_bytes; /* the latter only where it is good */
    bool good;
};
void el_run_stats_add(struct el_run_stats *stats, const struct el_ran *ran);

#endif
