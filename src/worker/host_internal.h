/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_HOST_INTERNAL_H
#define EL_WORKER_HOST_INTERNAL_H

/* What host.c (control, loading) and runner.c (runs) share. */

#include "worker/host.h"
#include "worker/layout.h"
#include "worker/spin.h"
#include "worker/wire.h"

#include <pthread.h>

struct el_batcher;
struct el_runner;
struct el_kept;

struct el_host {
    struct el_host_setup setup;
    const struct everlit_engine *engine;
    struct el_start start;
    struct el_shm shm;
    void *model;
    const struct everlit_signature *signatures; /* the engine's; live until close */
    uint32_t signature_count;
    struct el_runner *runners;     /* runner_count of them; runner.c */
    _Atomic uint32_t runner_count; /* release by the loader, acquire by the control thread: runners are there */
    struct el_kept **kept;         /* for each slot: outputs that wait for memory; owned by who holds the slot */
    struct el_spin spin;           /* how long a runner looks for requests before it sleeps */
    _Atomic uint32_t spinning; /* one runner at a time looks; acquire and release only to be tidy: it guards no data */
    struct el_batcher *batcher;
    _Atomic bool batching; /* relaxed: whether requests that may be are put into batches; a hint, the batcher knows */
    _Atomic bool stopping; /* release by the control thread, acquire by runners: they end */
};

/* Starts the runners, after the model is open. On failure none is left. */
struct el_status *el_runners_start(struct el_host *host) EL_MUST_USE;

/* Lets the runners end and waits for them; frees what they kept. */
void el_runners_stop(struct el_host *host);

/* Asks the engine to end the run of that slot and generation early, if it is under way. */
void el_runners_cancel(struct el_host *host, uint32_t slot, uint32_t generation);

#endif
