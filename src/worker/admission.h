/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_ADMISSION_H
#define EL_WORKER_ADMISSION_H

/*
 * What the front refuses before it reaches a batch: requests that no batch takes, and requests beyond the number of
 * batches that may wait. At once, without the worker, which may be busy for a while.
 *
 * How waiting batches are counted. For each queue (a signature, modulo EL_BATCH_QUEUES) the front numbers batches and
 * deals requests into them in the way the worker will: into the last one while it has room, else into a new one. Each
 * request carries its number; the worker tells in shared memory the highest number that it has taken. What lies between
 * is what waits. Where the worker groups otherwise (requests that do not fit together) the count is an estimate, which
 * is right again when the queue is empty.
 *
 * Any event loop; atomics only. The parameters are written by the swap thread, one by one and relaxed: a call that sees
 * old and new ones side by side is admitted or refused by either, which is all the same at that moment. What the worker
 * tells is not believed further than that: nonsense refuses or admits calls to this very worker.
 */

#include "base/status.h"
#include "worker/batching.h"
#include "worker/layout.h"

struct el_call;

struct el_admission {
    _Atomic bool on, split, pad_inputs;
    _Atomic uint64_t max_rows, execution_rows, max_enqueued;
    _Atomic uint64_t queues[EL_BATCH_QUEUES]; /* number of the last batch in the upper half, its rows in the lower */
};

void el_admission_set(struct el_admission *admission, const struct el_batching *batching);

/* Before the call is sent: counts it to an enqueued batch (call->batch), or refuses it with TensorFlow Serving's text. */
struct el_status *el_admission_ask(struct el_call *call) EL_MUST_USE;

/* The next number after the one in state, for rows more rows: what el_admission_ask() does to a queue. For tests. */
struct el_deal {
    uint64_t max_rows, execution_rows, max_enqueued;
    bool split;
};
struct el_status *el_admission_deal(const struct el_deal *deal, uint64_t rows, uint32_t taken, uint64_t before,
                                    uint64_t *after) EL_MUST_USE;

#endif
