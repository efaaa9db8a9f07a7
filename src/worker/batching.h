/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_BATCHING_H
#define EL_WORKER_BATCHING_H

/*
 * How the requests to one version are put together into batches: TensorFlow Serving's BatchingParameters as this room
 * needs them.
 *
 * The front keeps them to refuse what no batch will take (admission.h), the worker to form batches (batch.h). They go to
 * the worker when it starts, and again when they are replaced under traffic. A plain value: copied, never shared.
 */

#include <stdbool.h>
#include <stdint.h>

#define EL_ALLOWED_BATCH_SIZES 256

struct el_batching {
    bool on;           /* false: each request is run by itself, and nothing below counts */
    bool split;        /* a request of more rows than execution_rows is run in several batches */
    bool pad_inputs;   /* requests whose inputs differ in other dims than the first are made as large as the largest */
    uint64_t max_rows; /* of one request; at least 1 */
    uint64_t execution_rows; /* of one batch; at least 1, at most max_rows, and the same unless split */
    uint64_t timeout_us;     /* how long a batch that is not full waits for more */
    uint64_t max_enqueued;   /* batches that wait, for each signature; at least 1 */
    uint32_t allowed_count;  /* 0: a batch has as many rows as its requests */
    uint32_t allowed[EL_ALLOWED_BATCH_SIZES]; /* ascending: a batch gets more rows until its size is one of these */
};

/* The rows that a batch of so many is run with. */
static inline uint64_t el_batching_allowed(const struct el_batching *batching, uint64_t rows)
{
    for (uint32_t i = 0; i < batching->allowed_count; i++)
        if (batching->allowed[i] >= rows)
            return batching->allowed[i];
    return rows;
}

#endif
