/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A run for several requests: their inputs are put below each other (one copy), run once, and each gets its rows of the
 * outputs (one copy). A request that is alone in its batch and needs no padding is run without any copy.
 *
 * A batch of several that fails is run again request by request: what is wrong with one request is that one's answer, and
 * none of its neighbours'. That costs those runs once more, and nothing where nothing fails.
 */

#include "base/clock.h"
#include "tensor/tensor.h"
#include "worker/batch.h"
#include "worker/batch_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_BYTES (UINT64_C(4) << 20) /* of the memory for inputs, from one batch to the next */
#define PADDED_BYTES \
    (UINT64_C(1) << 20) /* beyond it padding may make a batch so many times as large as its requests: */
#define PADDED_TIMES 16

struct el_batched {
    const struct el_piece *pieces;
    uint32_t count;
    uint64_t rows;     /* of all pieces */
    uint64_t run_rows; /* with padding */
};

/* ---- what the front counts ---- */

void el_batch_note(struct el_shm_runs *runs, uint64_t rows, uint64_t padding)
{
    uint32_t i = 0;
    while (i < EL_SLOT_RUNS - 1 && runs[i].count > 0 && (runs[i].rows != rows || runs[i].padding != padding))
        i++;
    runs[i].count++;
    runs[i].rows = (uint32_t)rows;
    runs[i].padding = (uint32_t)padding;
}

/* They do not wait any longer: the front may enqueue as many in their place. */
static void tell_taken(struct el_host *host, const struct el_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++)
        el_batch_taken(host, batch->signature, batch->pieces[i].number);
    const uint32_t now_us = (uint32_t)(el_now_ns() / EL_NS_PER_US);
    for (uint32_t i = 0; i < batch->count; i++) {
        struct el_shm_slot *slot = &host->shm.slots[batch->pieces[i].call.slot];
        if (batch->pieces[i].chunk == 0)
            slot->queued_us = now_us - slot->submitted_us;
    }
}

void el_batch_taken(struct el_host *host, uint32_t signature, uint32_t number)
{
    _Atomic uint32_t *taken = &host->shm.header->batches_taken[signature % EL_BATCH_QUEUES];
    uint32_t before = atomic_load_explicit(taken, memory_order_relaxed);
    while ((int32_t)(number - before) > 0 &&
           !atomic_compare_exchange_weak_explicit(taken, &before, number, memory_order_relaxed, memory_order_relaxed))
        continue;
}

static void note_run(struct el_host *host, const struct el_batched *batched)
{
    const struct el_piece *lead = &batched->pieces[0];
    if (lead->part != NULL)
        el_part_led(host, lead, batched->rows, batched->run_rows - batched->rows);
    else
        el_batch_note(host->shm.slots[lead->call.slot].runs, batched->rows, batched->run_rows - batched->rows);
}

/* ---- inputs ---- */

static bool grow(struct el_runner *runner, uint32_t pieces)
{
    if (pieces <= runner->piece_room)
        return true;
    free(runner->rows);
    free(runner->called);
    runner->rows = calloc(pieces, sizeof *runner->rows);
    runner->called = calloc(pieces, sizeof *runner->called);
    runner->piece_room = runner->rows == NULL || runner->called == NULL ? 0 : pieces;
    return runner->piece_room > 0;
}

/* The rows that the pieces have of one input: runner->rows. Returns the bytes of the whole tensors. */
static uint64_t gather(struct el_runner *runner, const struct el_batched *batched, uint32_t index)
{
    const struct el_host *host = runner->host;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < batched->count; i++) {
        const struct el_piece *piece = &batched->pieces[i];
        const struct el_shm_slot *slot = &host->shm.slots[piece->call.slot];
        const struct el_shm_tensor *table = el_run_table(host, slot);
        uint32_t at = 0;
        while (at + 1 < slot->input_count && table[at].index != index)
            at++;
        el_run_input(host, &table[at], &runner->rows[i].tensor);
        runner->rows[i].first = piece->first;
        runner->rows[i].count = piece->rows;
        bytes += table[at].size;
    }
    return bytes;
}

static bool has_room(struct el_runner *runner, uint64_t bytes)
{
    if (bytes <= runner->merged_room)
        return true;
    free(runner->merged);
    const uint64_t room = (bytes + EL_SHM_ALIGN - 1) / EL_SHM_ALIGN * EL_SHM_ALIGN;
    runner->merged = aligned_alloc(EL_SHM_ALIGN, room);
    runner->merged_room = runner->merged == NULL ? 0 : room;
    return runner->merged != NULL;
}

/* All inputs below each other: runner->inputs, in runner->merged. NULL, or why not. */
static const char *merge_inputs(struct el_runner *runner, const struct el_batched *batched)
{
    const struct el_shm_slot *lead = &runner->host->shm.slots[batched->pieces[0].call.slot];
    const struct el_shm_tensor *table = el_run_table(runner->host, lead);
    const uint64_t extra = batched->run_rows - batched->rows;
    uint64_t bytes = 0, given = 0;
    for (uint32_t i = 0; i < lead->input_count; i++) {
        given += gather(runner, batched, table[i].index);
        if (!el_rows_plan(runner->rows, batched->count, extra, &runner->inputs[i]))
            return "the batch is larger than memory";
        bytes += (runner->inputs[i].size + EL_SHM_ALIGN - 1) / EL_SHM_ALIGN * EL_SHM_ALIGN;
    }
    if (batched->count > 1 && bytes > PADDED_BYTES && bytes / PADDED_TIMES > given)
        return "the batch would be padded to many times its size";
    if (!has_room(runner, bytes))
        return "out of memory for the inputs of the batch";
    uint8_t *at = runner->merged;
    for (uint32_t i = 0; i < lead->input_count; i++) {
        gather(runner, batched, table[i].index);
        el_rows_merge(runner->rows, batched->count, extra, &runner->inputs[i], at);
        runner->inputs[i].data = at;
        at += (runner->inputs[i].size + EL_SHM_ALIGN - 1) / EL_SHM_ALIGN * EL_SHM_ALIGN;
    }
    return NULL;
}

/* ---- outputs ---- */

/* Memory for one output of all: everlit_run.output. */
static void *give_memory(void *pointer, const struct everlit_tensor *tensor)
{
    struct el_runner *runner = pointer;
    return el_outputs_take(runner->host, NULL, &runner->outputs, tensor);
}

/* A request that is in the batch as a whole gets its rows, from row `at` on. */
static void answer(struct el_runner *runner, const struct el_piece *piece, uint64_t at)
{
    struct el_host *host = runner->host;
    const uint32_t slot = piece->call.slot;
    struct el_outputs *share = &runner->share;
    bool there = el_outputs_begin(host, &host->shm.slots[slot], share);
    for (uint32_t i = 0; there && i < share->count; i++) {
        const struct el_rows rows = { .tensor = el_output_tensor(host, &runner->outputs.list[i]),
                                      .first = at,
                                      .count = piece->rows };
        struct everlit_tensor part;
        void *data = NULL;
        if (el_rows_plan(&rows, 1, 0, &part))
            data = el_outputs_place(host, &host->shm.slots[slot], share, &share->list[i], &part);
        there = data != NULL;
        if (there)
            el_rows_merge(&rows, 1, 0, &part, data);
    }
    if (there) {
        el_run_hand_over(host, slot, piece->call.generation, share);
        return;
    }
    el_outputs_forget(share);
    el_run_complete_error(host, slot, piece->call.generation, EL_RESOURCE_EXHAUSTED, "out of memory for the outputs");
}

static void share_out(struct el_runner *runner, const struct el_batched *batched)
{
    uint64_t at = 0;
    for (uint32_t i = 0; i < batched->count; i++) {
        const struct el_piece *piece = &batched->pieces[i];
        if (piece->part != NULL) {
            el_part_fill(runner->host, piece, &runner->outputs, at);
            el_part_done(runner, piece);
        } else {
            answer(runner, piece, at);
        }
        at += piece->rows;
    }
}

/* ---- running ---- */

/* As long as anybody waits. */
static uint64_t last_deadline(const struct el_host *host, const struct el_batched *batched)
{
    uint64_t deadline_ns = 0;
    for (uint32_t i = 0; i < batched->count; i++) {
        const uint64_t own = host->shm.slots[batched->pieces[i].call.slot].deadline_ns;
        deadline_ns = own > deadline_ns ? own : deadline_ns;
    }
    return deadline_ns;
}

/* EL_OK: all have been answered. Otherwise none has, and text says why. */
static enum el_code run_merged(struct el_runner *runner, const struct el_batched *batched, struct everlit_error *error)
{
    struct el_host *host = runner->host;
    const struct el_shm_slot *lead = &host->shm.slots[batched->pieces[0].call.slot];
    const char *wrong = grow(runner, batched->count) && el_run_prepare(runner, lead) ? merge_inputs(runner, batched)
                                                                                     : "out of memory for a batch";
    if (wrong != NULL) {
        snprintf(error->text, sizeof error->text, "%s", wrong);
        return EL_RESOURCE_EXHAUSTED;
    }
    const uint64_t deadline_ns = last_deadline(host, batched);
    for (uint32_t i = 0; i < batched->count; i++) {
        struct el_shm_slot *slot = &host->shm.slots[batched->pieces[i].call.slot];
        runner->called[i] = batched->pieces[i].call;
        /* The run may go on beyond this one's deadline for the sake of others: it does not hang. */
        if (slot->deadline_ns < deadline_ns)
            atomic_store_explicit(&slot->started, 0, memory_order_relaxed);
    }
    const struct everlit_run run = {
        .struct_size = sizeof run,
        .signature = lead->signature,
        .inputs = runner->inputs,
        .input_count = lead->input_count,
        .outputs = runner->wanted,
        .output_count = runner->outputs.count,
        .deadline_ns = deadline_ns,
        .host = runner,
        .output = give_memory,
    };
    note_run(host, batched);
    enum el_code code = el_run_engine(runner, &run, runner->called, batched->count, error);
    if (runner->outputs.broken != NULL) {
        code = EL_INTERNAL;
        snprintf(error->text, sizeof error->text, "%s", runner->outputs.broken);
    }
    if (code == EL_OK)
        code = el_run_check_outputs(host, lead->signature, &runner->outputs, &batched->run_rows, error);
    if (code == EL_OK)
        share_out(runner, batched);
    el_outputs_forget(&runner->outputs);
    if (runner->merged_room > KEEP_BYTES) {
        free(runner->merged);
        runner->merged = NULL;
        runner->merged_room = 0;
    }
    return code;
}

static void fail(struct el_runner *runner, const struct el_piece *piece, enum el_code code, const char *text)
{
    if (piece->part == NULL) {
        el_run_complete_error(runner->host, piece->call.slot, piece->call.generation, code, text);
        return;
    }
    el_part_fail(runner->host, piece, code, text);
    el_part_done(runner, piece);
}

static bool is_unwanted(struct el_runner *runner, const struct el_piece *piece)
{
    if (piece->part == NULL)
        return el_run_unwanted(runner->host, piece->call.slot, piece->call.generation);
    if (!el_part_unwanted(runner->host, piece))
        return false;
    el_part_done(runner, piece);
    return true;
}

static void run_alone(struct el_runner *runner, const struct el_piece *piece)
{
    struct el_batched batched = { .pieces = piece, .count = 1, .rows = piece->rows };
    batched.run_rows = el_batcher_run_rows(runner->host->batcher, piece->rows);
    if (piece->part == NULL && batched.run_rows == piece->rows) {
        note_run(runner->host, &batched);
        el_run_call(runner, piece->call.slot, piece->call.generation, &piece->rows);
        return;
    }
    struct everlit_error error;
    const enum el_code code = run_merged(runner, &batched, &error);
    if (code != EL_OK)
        fail(runner, piece, code, error.text);
}

/* True if the requests of the batch may fare better one by one. */
static bool is_worth_another_try(const struct el_runner *runner, enum el_code code)
{
    /* An output whose first dim is not the batch is the model's doing: TensorFlow Serving's answer to all of them, and ours. */
    const bool cannot_be_batched = code == EL_FAILED_PRECONDITION && runner->outputs.unsplittable;
    return code != EL_CANCELLED && code != EL_DEADLINE_EXCEEDED && !cannot_be_batched;
}

static void run_together(struct el_runner *runner, const struct el_batched *batched)
{
    struct everlit_error error;
    const enum el_code code = run_merged(runner, batched, &error);
    if (code == EL_OK)
        return;
    const bool again = is_worth_another_try(runner, code);
    for (uint32_t i = 0; i < batched->count; i++) {
        if (!again)
            fail(runner, &batched->pieces[i], code, error.text);
        else if (!is_unwanted(runner, &batched->pieces[i]))
            run_alone(runner, &batched->pieces[i]);
    }
}

void el_batch_run(struct el_runner *runner, struct el_batch *batch)
{
    tell_taken(runner->host, batch);
    struct el_batched batched = { .pieces = batch->pieces };
    for (uint32_t i = 0; i < batch->count; i++) {
        if (is_unwanted(runner, &batch->pieces[i]))
            continue;
        batch->pieces[batched.count] = batch->pieces[i];
        batched.rows += batch->pieces[batched.count++].rows;
    }
    if (batched.count == 1) {
        run_alone(runner, &batch->pieces[0]);
    } else if (batched.count > 1) {
        batched.run_rows = el_batcher_run_rows(runner->host->batcher, batched.rows);
        run_together(runner, &batched);
    }
    el_batch_free(batch);
}
