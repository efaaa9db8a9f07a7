/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/admission.h"

#include "worker/internal.h"

void el_admission_set(struct el_admission *admission, const struct el_batching *batching)
{
    atomic_store_explicit(&admission->split, batching->split, memory_order_relaxed);
    atomic_store_explicit(&admission->pad_inputs, batching->pad_inputs, memory_order_relaxed);
    atomic_store_explicit(&admission->max_rows, batching->max_rows, memory_order_relaxed);
    atomic_store_explicit(&admission->execution_rows, batching->execution_rows, memory_order_relaxed);
    atomic_store_explicit(&admission->max_enqueued, batching->max_enqueued, memory_order_relaxed);
    /* Release, with the acquire below: who sees it on sees parameters. */
    atomic_store_explicit(&admission->on, batching->on, memory_order_release);
}

/* The rows of a request. Status: it has none that could be batched. */
static struct el_status *count_rows(const struct el_call *call, uint64_t *rows)
{
    if (call->input_count == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "Batching Run() must have at least one input tensor");
    for (uint32_t i = 0; i < call->input_count; i++) {
        const struct el_shape *shape = &call->inputs[i].shape;
        if (shape->rank < 1)
            return el_status_new(EL_INVALID_ARGUMENT, "Batching Run() input tensors must have at least one dimension");
        if (i == 0)
            *rows = (uint64_t)shape->dims[0];
        else if ((uint64_t)shape->dims[0] != *rows)
            return el_status_new(EL_INVALID_ARGUMENT,
                                 "Batching Run() input tensors must have equal 0th-dimension size");
    }
    return NULL;
}

static struct el_status *check_padding(const struct el_call *call)
{
    for (uint32_t i = 0; i < call->input_count; i++)
        if (call->inputs[i].shape.rank > 6)
            return el_status_new(EL_INVALID_ARGUMENT, "Only tensors with rank from 1 to 6 can be padded.");
    return NULL;
}

/* Without splitting: a request is in one batch as a whole. */
static struct el_status *deal_whole(const struct el_deal *deal, uint64_t rows, uint64_t waiting, uint32_t *number,
                                    uint64_t *open)
{
    if (waiting > 0 && *open + rows <= deal->execution_rows) {
        *open += rows;
        return NULL;
    }
    if (waiting >= deal->max_enqueued)
        return el_status_new(
            EL_UNAVAILABLE,
            "The batch scheduling queue to which this task was submitted is full; currently %llu batches "
            "enqueued and max_enqueued_batches is %llu",
            (unsigned long long)waiting, (unsigned long long)deal->max_enqueued);
    *number += 1;
    *open = rows;
    return NULL;
}

static struct el_status *deal_parts(const struct el_deal *deal, uint64_t rows, uint64_t waiting, uint32_t *number,
                                    uint64_t *open)
{
    const uint64_t most = deal->execution_rows;
    const uint64_t head = waiting > 0 && *open < most ? most - *open : 0;
    uint64_t capacity = 0;
    if (waiting < deal->max_enqueued && __builtin_mul_overflow(deal->max_enqueued - waiting, most, &capacity))
        capacity = UINT64_MAX - head;
    capacity += head;
    if (rows > capacity)
        return el_status_new(
            EL_UNAVAILABLE,
            "The batch scheduling queue to which this task was submitted is full; task size is %llu but "
            "scheduling capacity is only %llu (num_enqueued_batches=%llu, max_enqueued_batches=%llu, "
            "open_batch_size=%llu, max_execution_batch_size=%llu)",
            (unsigned long long)rows, (unsigned long long)capacity, (unsigned long long)waiting,
            (unsigned long long)deal->max_enqueued, (unsigned long long)(waiting > 0 ? *open : 0),
            (unsigned long long)most);
    if (rows <= head) {
        *open += rows;
        return NULL;
    }
    const uint64_t rest = rows - head;
    const uint64_t batches = rest == 0 ? 1 : (rest + most - 1) / most;
    *number += (uint32_t)batches;
    *open = rest - (batches - 1) * most;
    return NULL;
}

struct el_status *el_admission_deal(const struct el_deal *deal, uint64_t rows, uint32_t taken, uint64_t before,
                                    uint64_t *after)
{
    uint32_t number = (uint32_t)(before >> 32);
    uint64_t open = (uint32_t)before;
    const int32_t difference = (int32_t)(number - taken);
    const uint64_t waiting = difference > 0 ? (uint64_t)difference : 0;
    if (waiting == 0) {
        number = taken;
        open = 0;
    }
    if (deal->split)
        EL_TRY(deal_parts(deal, rows, waiting, &number, &open));
    else
        EL_TRY(deal_whole(deal, rows, waiting, &number, &open));
    if (number == 0) /* it means: by itself */
        number = 1;
    *after = (uint64_t)number << 32 | (uint32_t)(open > UINT32_MAX ? UINT32_MAX : open);
    return NULL;
}

struct el_status *el_admission_ask(struct el_call *call)
{
    struct el_worker *worker = call->worker;
    struct el_admission *admission = &worker->admission;
    if (!atomic_load_explicit(&admission->on, memory_order_acquire) || call->signature == EL_SHM_BY_TENSORS)
        return NULL;
    uint64_t rows;
    EL_TRY(count_rows(call, &rows));
    struct el_deal deal = {
        .max_rows = atomic_load_explicit(&admission->max_rows, memory_order_relaxed),
        .execution_rows = atomic_load_explicit(&admission->execution_rows, memory_order_relaxed),
        .max_enqueued = atomic_load_explicit(&admission->max_enqueued, memory_order_relaxed),
        .split = atomic_load_explicit(&admission->split, memory_order_relaxed),
    };
    if (rows > deal.max_rows)
        return el_status_new(EL_INVALID_ARGUMENT, "Task size %llu is larger than maximum input batch size %llu",
                             (unsigned long long)rows, (unsigned long long)deal.max_rows);
    if (deal.execution_rows == 0) /* they are being written: batching goes on or off in this instant */
        return NULL;
    if (atomic_load_explicit(&admission->pad_inputs, memory_order_relaxed))
        EL_TRY(check_padding(call));
    const uint32_t queue = call->signature % EL_BATCH_QUEUES;
    _Atomic uint64_t *state = &admission->queues[queue];
    uint64_t before = atomic_load_explicit(state, memory_order_relaxed), after;
    do {
        const uint32_t taken = atomic_load_explicit(&worker->shm.header->batches_taken[queue], memory_order_relaxed);
        EL_TRY(el_admission_deal(&deal, rows, taken, before, &after));
    } while (!atomic_compare_exchange_weak_explicit(state, &before, after, memory_order_relaxed, memory_order_relaxed));
    call->batch = (uint32_t)(after >> 32);
    return NULL;
}
