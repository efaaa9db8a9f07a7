/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_BATCH_H
#define EL_WORKER_BATCH_H

/*
 * Batches: which requests are run together.
 *
 *     request ring ──► el_batcher_add ──► open and full batches ──► el_batcher_take ──► el_batch_run
 *
 * The request ring is where requests wait while all runners run. A runner that is free moves everything from the ring
 * into batches and takes one that may be run: a full one, or one that has waited for the timeout. With a timeout of 0
 * (the default) nobody ever waits for company: a batch is what came while the runners were busy, and a request that
 * comes to an idle worker runs at once, by itself, without being copied.
 *
 * Requests share a batch if they ask the same signature for the same outputs, and their inputs have the same dtypes,
 * the same ranks and, unless padding is on, the same dims after the first. A worker hosts one version, so no batch can
 * mix versions. A request that does not fit into the open batch closes it, unless splitting is on: then its rows fill
 * up that batch and go on in the next ones, and it is answered when all of its parts are.
 *
 * Threads: runners, and the control thread (el_batcher_set). One lock, for the time of a few list operations. Batches
 * belong to the batcher until they are taken, then to the runner that took them.
 */

#include "worker/batching.h"
#include "worker/run.h"

struct el_part; /* what the parts of one request have come to so far; batch_part.c */

/* Rows of one request in a batch. */
struct el_piece {
    struct el_member call;
    struct el_part *part; /* NULL: the request is in this batch as a whole */
    uint32_t chunk;       /* which of its parts this is */
    uint32_t number;      /* of the enqueued batch that the front counts it to */
    uint64_t first, rows;
};

struct el_batch {
    struct el_batch *next;
    uint32_t signature;
    uint64_t rows;
    uint64_t due_ns; /* when it may be run though it is not full */
    bool full;       /* takes no more */
    uint32_t count, room;
    struct el_piece *pieces;
};

struct el_batcher {
    pthread_mutex_t lock; /* guards all of this, and each part's fields; taken with nothing else held */
    struct el_batching batching;
    struct el_batch *first, *last; /* in the order in which they were begun */
    /* How many. Sequentially consistent, like the ring's turns: a runner that is about to sleep announces it and looks here,
     * who leaves a batch behind raises this first and then looks for sleepers; see ring.h. */
    _Atomic uint32_t waiting;
    _Atomic uint32_t changes; /* grows with each batch that is begun or filled; ordered in the same way */
};

void el_batcher_init(struct el_batcher *batcher);
void el_batcher_end(struct el_batcher *batcher);

/* New parameters, for what comes from now on; with batching off what waits is run at once. Any thread. */
void el_batcher_set(struct el_batcher *batcher, const struct el_batching *batching);

/* Puts a request that came through the ring into batches. One for which there is no memory is answered. */
void el_batcher_add(struct el_host *host, uint32_t slot, uint32_t generation);

/*
 * The oldest batch that may be run now, or NULL; the caller's. *due_ns: when the next one may (EL_NEVER_NS: none waits);
 * *more: another one may be run already.
 */
struct el_batch *el_batcher_take(struct el_batcher *batcher, uint64_t *due_ns, bool *more);
void el_batch_free(struct el_batch *batch);

/* The rows that a batch of so many is run with. */
uint64_t el_batcher_run_rows(struct el_batcher *batcher, uint64_t rows);

/* ---- running; batch_run.c ---- */

/* Runs a batch and answers its requests. The batch is freed. */
void el_batch_run(struct el_runner *runner, struct el_batch *batch);

/* A request that the front counts to enqueued batch `number` does not wait any longer. */
void el_batch_taken(struct el_host *host, uint32_t signature, uint32_t number);

/* Counts a run over so many rows and so many of padding. */
void el_batch_note(struct el_shm_runs *runs, uint64_t rows, uint64_t padding);

/* ---- parts: requests that are split over several batches; batch_part.c ---- */

/* For a request whose rows come in so many parts. NULL: no memory. */
struct el_part *el_part_new(uint64_t rows, uint32_t chunks);

/* True if it is not worth running: another part of it failed, or nobody waits for it (then it is marked so). */
bool el_part_unwanted(struct el_host *host, const struct el_piece *piece);

/* The rows of this part of each output: copied from outputs, which hold the whole batch's; the part's lie from row at on. */
void el_part_fill(struct el_host *host, const struct el_piece *piece, const struct el_outputs *outputs, uint64_t at);

/* This part has failed. */
void el_part_fail(struct el_host *host, const struct el_piece *piece, enum el_code code, const char *text);

/* Notes a run that this part led; see el_shm_runs. */
void el_part_led(struct el_host *host, const struct el_piece *piece, uint64_t rows, uint64_t padding);

/* A part is over; the last one answers the request and frees what belongs to it. */
void el_part_done(struct el_runner *runner, const struct el_piece *piece);

void el_part_free(struct el_part *part);

#endif
