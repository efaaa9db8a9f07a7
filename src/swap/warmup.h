/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_WARMUP_H
#define EL_SWAP_WARMUP_H

/*
 * Warm-up: the records of a version's assets.extra/tf_serving_warmup_requests, run on a worker that no client reaches yet.
 *
 * The rules, limits, codes and texts are TensorFlow Serving's (saved_model_warmup_util.cc): every record is run `iterations`
 * times; one that fails ends the warm-up, and with it the load; after the 1,001st record it fails as well. Beyond them: a
 * SessionRun is run where it can be (bundle/prediction_log.h).
 *
 * Swap thread; asynchronous: done comes once, later, never from inside el_warmup_start(). The file is read in pieces on libuv's
 * pool, so that neither its size nor a slow disk holds up the swap thread.
 */

#include "bundle/prediction_log.h"
#include "swap/state.h"

#define EL_WARMUP_FILE "assets.extra/tf_serving_warmup_requests"
#define EL_WARMUP_MAX_RECORDS 1000

struct el_warmup;

struct el_warmup_options {
    struct el_model *model;
    struct el_worker *worker;               /* outlives the warm-up */
    const struct el_signatures *signatures; /* of the worker; outlive the warm-up */
    const char *path;                       /* of the version's directory */
    uint32_t timeout_ms;                    /* of one run; a worker that takes longer is killed */
    uint32_t iterations;                    /* of each record; 0: 1 */
    uint32_t threads;                       /* runs at the same time, at most; 0: 1 */
    void (*done)(struct el_warmup *warmup, void *argument);
    void *argument;
    /* Golden records: another file, one run at a time, each answer looked at (record: from 1). NULL: warm-up. */
    const char *file;
    void (*answered)(uint32_t record, const struct el_prediction *prediction, const struct el_prediction_run *run,
                     const struct el_tensor *outputs, uint32_t count, void *argument);
};

struct el_status *el_warmup_start(const struct el_warmup_options *options, struct el_warmup **warmup) EL_MUST_USE;

/* Called by el_manager_run(): starts it, and ends runs that are late. */
void el_warmup_tick(struct el_warmup *warmup, uint64_t now_ns);

/* After done. NULL: every record has run. *died: its worker has died or was killed, and will say of what. */
const struct el_status *el_warmup_failed(const struct el_warmup *warmup, bool *died);

struct el_warmup_result {
    bool found;       /* there is such a file */
    uint32_t records; /* read; the last one is the one that failed, if a record did */
    uint64_t took_ns;
};
struct el_warmup_result el_warmup_result(const struct el_warmup *warmup);

/* Before or after done, which does not come any more. NULL is allowed. */
void el_warmup_free(struct el_warmup *warmup);

#endif
