/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/batch.h"

#include "base/clock.h"
#include "worker/batch_rows.h"

#include <stdlib.h>
#include <string.h>

void el_batcher_init(struct el_batcher *batcher)
{
    memset(batcher, 0, sizeof *batcher);
    pthread_mutex_init(&batcher->lock, NULL);
}

void el_batch_free(struct el_batch *batch)
{
    free(batch->pieces);
    free(batch);
}

void el_batcher_end(struct el_batcher *batcher)
{
    while (batcher->first != NULL) {
        struct el_batch *batch = batcher->first;
        batcher->first = batch->next;
        el_batch_free(batch);
    }
    batcher->last = NULL;
    pthread_mutex_destroy(&batcher->lock);
}

void el_batcher_set(struct el_batcher *batcher, const struct el_batching *batching)
{
    pthread_mutex_lock(&batcher->lock);
    batcher->batching = *batching;
    for (struct el_batch *batch = batcher->first; !batching->on && batch != NULL; batch = batch->next)
        batch->full = true;
    atomic_fetch_add(&batcher->changes, 1);
    pthread_mutex_unlock(&batcher->lock);
}

uint64_t el_batcher_run_rows(struct el_batcher *batcher, uint64_t rows)
{
    pthread_mutex_lock(&batcher->lock);
    const uint64_t allowed = rows == 0 ? 0 : el_batching_allowed(&batcher->batching, rows);
    pthread_mutex_unlock(&batcher->lock);
    return allowed;
}

/* ---- who may share a batch ---- */

static uint64_t rows_of(const struct el_host *host, const struct el_shm_slot *slot)
{
    const struct el_shm_tensor *table = el_run_table(host, slot);
    return slot->input_count == 0 || table[0].rank == 0 ? 0 : (uint64_t)table[0].dims[0];
}

static bool inputs_fit(const struct el_shm_tensor *a, const struct el_shm_tensor *b, bool pad)
{
    if (a->dtype != b->dtype || a->rank != b->rank)
        return false;
    return pad || a->rank < 2 || memcmp(a->dims + 1, b->dims + 1, (size_t)(a->rank - 1) * sizeof *a->dims) == 0;
}

static const struct el_shm_tensor *find_input(const struct el_shm_tensor *table, uint32_t count, uint32_t index)
{
    for (uint32_t i = 0; i < count; i++)
        if (table[i].index == index)
            return &table[i];
    return NULL;
}

static bool calls_fit(const struct el_host *host, const struct el_shm_slot *a, const struct el_shm_slot *b, bool pad)
{
    if (a->signature != b->signature || a->input_count != b->input_count || a->output_count != b->output_count)
        return false;
    const struct el_shm_tensor *x = el_run_table(host, a), *y = el_run_table(host, b);
    for (uint32_t i = 0; i < a->output_count; i++)
        if (x[a->input_count + i].index != y[b->input_count + i].index)
            return false;
    for (uint32_t i = 0; i < a->input_count; i++) {
        const struct el_shm_tensor *other = x[i].index == y[i].index ? &y[i]
                                                                     : find_input(y, b->input_count, x[i].index);
        if (other == NULL || !inputs_fit(&x[i], other, pad))
            return false;
    }
    return true;
}

/* An open batch has at least one row less than it may have, and at least one request. */
static struct el_batch *find_open(struct el_host *host, const struct el_shm_slot *slot)
{
    struct el_batcher *batcher = host->batcher;
    for (struct el_batch *batch = batcher->first; batch != NULL; batch = batch->next) {
        if (batch->rows >= batcher->batching.execution_rows)
            batch->full = true; /* it was begun when more were allowed */
        if (!batch->full &&
            calls_fit(host, &host->shm.slots[batch->pieces[0].call.slot], slot, batcher->batching.pad_inputs))
            return batch;
    }
    return NULL;
}

/* ---- adding ---- */

static bool append(struct el_batch *batch, const struct el_piece *piece)
{
    if (batch->count == batch->room) {
        const uint32_t room = batch->room == 0 ? 8 : batch->room * 2;
        struct el_piece *pieces = realloc(batch->pieces, room * sizeof *pieces);
        if (pieces == NULL)
            return false;
        batch->pieces = pieces;
        batch->room = room;
    }
    batch->pieces[batch->count++] = *piece;
    batch->rows += piece->rows;
    return true;
}

static struct el_batch *begin(struct el_batcher *batcher, uint32_t signature, uint64_t due_ns)
{
    struct el_batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL)
        return NULL;
    batch->signature = signature;
    batch->due_ns = due_ns;
    if (batcher->last != NULL)
        batcher->last->next = batch;
    else
        batcher->first = batch;
    batcher->last = batch;
    atomic_fetch_add(&batcher->waiting, 1);
    return batch;
}

/* When the request was put into the ring: the slot says so in microseconds that wrap around within an hour. */
static uint64_t asked_ns(const struct el_shm_slot *slot, uint64_t now_ns)
{
    const uint32_t age_us = (uint32_t)(now_ns / EL_NS_PER_US) - slot->submitted_us;
    return now_ns - (age_us > INT32_MAX ? 0 : age_us * EL_NS_PER_US);
}

/* One piece into the open batch, or into a new one. */
static bool add_piece(struct el_batcher *batcher, struct el_batch **open, const struct el_piece *piece,
                      const struct el_shm_slot *slot, uint64_t due_ns)
{
    const bool is_new = *open == NULL;
    struct el_batch *batch = is_new ? begin(batcher, slot->signature, due_ns) : *open;
    if (batch == NULL)
        return false;
    const bool added = append(batch, piece);
    batch->due_ns = due_ns < batch->due_ns ? due_ns : batch->due_ns;
    /* A batch without rows is one that could not be filled; it is run as what it is: nothing. */
    batch->full = !added || piece->rows == 0 || batch->rows >= batcher->batching.execution_rows ||
                  !batcher->batching.on;
    *open = batch->full ? NULL : batch;
    atomic_fetch_add(&batcher->changes, 1);
    return added;
}

static bool add_whole(struct el_batcher *batcher, struct el_batch *open, struct el_piece *piece,
                      const struct el_shm_slot *slot, uint64_t due_ns)
{
    if (open != NULL && (piece->rows == 0 || piece->rows > batcher->batching.execution_rows - open->rows)) {
        open->full = piece->rows > 0;
        open = NULL;
    }
    return add_piece(batcher, &open, piece, slot, due_ns);
}

static bool add_split(struct el_batcher *batcher, struct el_batch *open, struct el_piece *piece,
                      const struct el_shm_slot *slot, uint64_t due_ns)
{
    const uint64_t most = batcher->batching.execution_rows;
    const uint64_t rows = piece->rows;
    const uint64_t head = open == NULL ? 0 : most - open->rows;
    const uint64_t chunks = (head > 0) + (rows - head + most - 1) / most;
    piece->part = chunks > UINT32_MAX ? NULL : el_part_new(rows, (uint32_t)chunks);
    if (piece->part == NULL)
        return false;
    for (piece->chunk = 0; piece->chunk < chunks; piece->chunk++) {
        const uint64_t space = open == NULL ? most : most - open->rows;
        const uint64_t left = rows - piece->first;
        piece->rows = left < space ? left : space;
        piece->number = slot->batch - (uint32_t)(chunks - 1 - piece->chunk);
        if (!add_piece(batcher, &open, piece, slot, due_ns))
            return false;
        piece->first += piece->rows;
    }
    return true;
}

/* Takes back the pieces of a request that could not be added as a whole. */
static void remove_pieces(struct el_batcher *batcher, const struct el_part *part)
{
    for (struct el_batch *batch = batcher->first; batch != NULL && part != NULL; batch = batch->next) {
        while (batch->count > 0 && batch->pieces[batch->count - 1].part == part)
            batch->rows -= batch->pieces[--batch->count].rows;
        batch->full = batch->full || batch->count == 0;
    }
}

void el_batcher_add(struct el_host *host, uint32_t slot, uint32_t generation)
{
    struct el_batcher *batcher = host->batcher;
    const struct el_shm_slot *shared = &host->shm.slots[slot];
    const uint64_t now = el_now_ns();
    struct el_piece piece = { .call = { slot, generation }, .number = shared->batch, .rows = rows_of(host, shared) };

    pthread_mutex_lock(&batcher->lock);
    const struct el_batching *batching = &batcher->batching;
    uint64_t wait_ns;
    if (__builtin_mul_overflow(batching->timeout_us, EL_NS_PER_US, &wait_ns))
        wait_ns = EL_NEVER_NS;
    uint64_t due_ns = el_after_ns(asked_ns(shared, now), wait_ns);
    if (due_ns > shared->deadline_ns)
        due_ns = shared->deadline_ns; /* no use in waiting for company beyond it */
    struct el_batch *open = batching->on ? find_open(host, shared) : NULL;
    const uint64_t space = open == NULL ? batching->execution_rows : batching->execution_rows - open->rows;
    const bool split = batching->on && batching->split && piece.rows > space;
    const bool added = split ? add_split(batcher, open, &piece, shared, due_ns)
                             : add_whole(batcher, open, &piece, shared, due_ns);
    if (!added)
        remove_pieces(batcher, piece.part);
    pthread_mutex_unlock(&batcher->lock);

    if (added)
        return;
    if (piece.part != NULL)
        el_part_free(piece.part);
    el_run_complete_error(host, slot, generation, EL_RESOURCE_EXHAUSTED, "out of memory for a batch");
}

/* ---- taking ---- */

static void unlink_batch(struct el_batcher *batcher, struct el_batch *before, struct el_batch *batch)
{
    if (before == NULL)
        batcher->first = batch->next;
    else
        before->next = batch->next;
    if (batcher->last == batch)
        batcher->last = before;
    batch->next = NULL;
    atomic_fetch_sub(&batcher->waiting, 1);
}

struct el_batch *el_batcher_take(struct el_batcher *batcher, uint64_t *due_ns, bool *more)
{
    *due_ns = EL_NEVER_NS;
    *more = false;
    if (atomic_load(&batcher->waiting) == 0)
        return NULL;
    struct el_batch *taken = NULL, *before = NULL, *next;
    const uint64_t now = el_now_ns();
    pthread_mutex_lock(&batcher->lock);
    for (struct el_batch *batch = batcher->first; batch != NULL; batch = next) {
        next = batch->next;
        const bool ready = batch->full || batch->due_ns <= now;
        if (ready && taken == NULL) {
            unlink_batch(batcher, before, batch);
            taken = batch;
            continue;
        }
        before = batch;
        *more = *more || ready;
        if (batch->due_ns < *due_ns)
            *due_ns = batch->due_ns;
        if (*more && taken != NULL)
            break;
    }
    pthread_mutex_unlock(&batcher->lock);
    return taken;
}
