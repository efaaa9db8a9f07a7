/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Requests that are split over several batches. Each part leaves its rows of the outputs here, in private memory; whoever
 * finishes the last one puts them together and answers. The parts may be run by several runners at once: what counts is
 * guarded by the batcher's lock, and each part's rows belong to the runner of that part until it says that it is done.
 */

#include "base/clock.h"
#include "tensor/tensor.h"
#include "worker/batch.h"
#include "worker/batch_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct chunk {
    struct everlit_tensor *outputs; /* output_count of them; data is owned. NULL: not there (yet) */
    uint32_t output_count;
};

struct el_part {
    uint64_t rows;
    uint32_t left; /* parts that are not over */
    enum el_code code;
    char text[EL_SLOT_ERROR_SIZE];
    struct el_shm_runs runs[EL_SLOT_RUNS];
    uint32_t chunk_count;
    struct chunk chunks[];
};

struct el_part *el_part_new(uint64_t rows, uint32_t chunks)
{
    struct el_part *part = calloc(1, sizeof *part + chunks * sizeof part->chunks[0]);
    if (part == NULL)
        return NULL;
    part->rows = rows;
    part->left = chunks;
    part->chunk_count = chunks;
    return part;
}

static void chunk_free(struct chunk *chunk)
{
    union {
        const void *borrowed;
        void *owned;
    } data;
    for (uint32_t i = 0; chunk->outputs != NULL && i < chunk->output_count; i++) {
        data.borrowed = chunk->outputs[i].data;
        free(data.owned);
    }
    free(chunk->outputs);
    chunk->outputs = NULL;
}

void el_part_free(struct el_part *part)
{
    for (uint32_t i = 0; i < part->chunk_count; i++)
        chunk_free(&part->chunks[i]);
    free(part);
}

void el_part_fail(struct el_host *host, const struct el_piece *piece, enum el_code code, const char *text)
{
    struct el_part *part = piece->part;
    pthread_mutex_lock(&host->batcher->lock);
    if (part->code == EL_OK) {
        part->code = code;
        snprintf(part->text, sizeof part->text, "%.*s", (int)sizeof part->text - 1, text);
    }
    pthread_mutex_unlock(&host->batcher->lock);
}

bool el_part_unwanted(struct el_host *host, const struct el_piece *piece)
{
    struct el_shm_slot *slot = &host->shm.slots[piece->call.slot];
    if (atomic_load_explicit(&slot->cancelled, memory_order_relaxed) == piece->call.generation)
        el_part_fail(host, piece, EL_CANCELLED, "the call was cancelled before it ran");
    else if (slot->deadline_ns != EL_NEVER_NS && el_now_ns() >= slot->deadline_ns)
        el_part_fail(host, piece, EL_DEADLINE_EXCEEDED, "the deadline passed while the call waited for its turn");
    pthread_mutex_lock(&host->batcher->lock);
    const bool failed = piece->part->code != EL_OK;
    pthread_mutex_unlock(&host->batcher->lock);
    if (!failed) {
        atomic_store_explicit(&slot->started_ns, el_now_ns(), memory_order_relaxed);
        atomic_store_explicit(&slot->started, piece->call.generation, memory_order_release);
    }
    return failed;
}

void el_part_led(struct el_host *host, const struct el_piece *piece, uint64_t rows, uint64_t padding)
{
    pthread_mutex_lock(&host->batcher->lock);
    el_batch_note(piece->part->runs, rows, padding);
    pthread_mutex_unlock(&host->batcher->lock);
}

void el_part_fill(struct el_host *host, const struct el_piece *piece, const struct el_outputs *outputs, uint64_t at)
{
    struct chunk *chunk = &piece->part->chunks[piece->chunk];
    chunk->outputs = calloc(outputs->count, sizeof *chunk->outputs);
    bool there = chunk->outputs != NULL;
    for (uint32_t i = 0; there && i < outputs->count; i++) {
        struct el_rows rows = { .tensor = el_output_tensor(host, &outputs->list[i]),
                                .first = at,
                                .count = piece->rows };
        struct everlit_tensor share;
        void *data = NULL;
        chunk->output_count = i + 1;
        there = el_rows_plan(&rows, 1, 0, &share) && (data = malloc(share.size + 1)) != NULL;
        if (!there)
            break;
        el_rows_merge(&rows, 1, 0, &share, data);
        share.data = data;
        chunk->outputs[i] = share;
    }
    if (!there)
        el_part_fail(host, piece, EL_RESOURCE_EXHAUSTED, "out of memory for the outputs");
}

/* One output from all parts. EL_OK, or what is wrong in *wrong. */
static enum el_code join(struct el_runner *runner, uint32_t slot, const struct el_part *part, uint32_t output,
                         struct el_rows *rows, const char **wrong)
{
    for (uint32_t i = 0; i < part->chunk_count; i++) {
        const struct everlit_tensor *tensor = &part->chunks[i].outputs[output];
        rows[i] = (struct el_rows){ .tensor = *tensor, .count = (uint64_t)tensor->dims[0] };
        *wrong =
            "Tensor concat operation failed: the parts of a request that was split have outputs of different shapes";
        if (!el_rows_alike(&rows[0].tensor, tensor))
            return EL_INTERNAL;
    }
    struct everlit_tensor whole;
    *wrong = "out of memory for the outputs";
    if (!el_rows_plan(rows, part->chunk_count, 0, &whole))
        return EL_RESOURCE_EXHAUSTED;
    void *data = el_outputs_place(runner->host, &runner->host->shm.slots[slot], &runner->share,
                                  &runner->share.list[output], &whole);
    if (data == NULL)
        return EL_RESOURCE_EXHAUSTED;
    el_rows_merge(rows, part->chunk_count, 0, &whole, data);
    return EL_OK;
}

static void answer(struct el_runner *runner, const struct el_piece *piece)
{
    struct el_host *host = runner->host;
    struct el_part *part = piece->part;
    const uint32_t slot = piece->call.slot;
    memcpy(host->shm.slots[slot].runs, part->runs, sizeof part->runs);
    const char *wrong = part->text;
    struct el_rows *rows = part->code == EL_OK ? calloc(part->chunk_count, sizeof *rows) : NULL;
    if (part->code == EL_OK && (rows == NULL || !el_outputs_begin(host, &host->shm.slots[slot], &runner->share))) {
        part->code = EL_RESOURCE_EXHAUSTED;
        wrong = "out of memory for the outputs";
        runner->share.count = 0;
    }
    for (uint32_t i = 0; part->code == EL_OK && i < runner->share.count; i++)
        part->code = join(runner, slot, part, i, rows, &wrong);
    if (part->code == EL_OK) {
        el_run_hand_over(host, slot, piece->call.generation, &runner->share);
    } else {
        if (rows != NULL)
            el_outputs_forget(&runner->share);
        el_run_complete_error(host, slot, piece->call.generation, part->code, wrong);
    }
    free(rows);
    el_part_free(part);
}

void el_part_done(struct el_runner *runner, const struct el_piece *piece)
{
    pthread_mutex_lock(&runner->host->batcher->lock);
    const bool last = --piece->part->left == 0;
    pthread_mutex_unlock(&runner->host->batcher->lock);
    if (last)
        answer(runner, piece);
}
