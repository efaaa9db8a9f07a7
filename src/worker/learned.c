/* SPDX-License-Identifier: Apache-2.0 */

/*
 * How much memory a call is granted for its outputs: what those of its signature took lately for each row of a batch, or
 * what the declared shapes let expect. Too little costs a copy and a message more, too much only address space.
 */

#include "worker/internal.h"

#define STRING_GUESS 32 /* bytes of a string output, before anything is known */

struct el_status *el_arena_full(const struct el_worker *worker, uint64_t size)
{
    return el_status_new(EL_RESOURCE_EXHAUSTED,
                         "%s version %lld: %llu bytes for tensors do not fit into what is free of %llu", worker->model,
                         (long long)worker->options.version, (unsigned long long)size,
                         (unsigned long long)worker->shm.arena_size);
}

/* Rows of a batch: the first dim of the first input; 1 where there is none. */
static uint64_t rows_of(const struct el_call *call)
{
    if (call->input_count == 0 || call->inputs[0].shape.rank < 1 || call->inputs[0].shape.dims[0] < 1)
        return 1;
    return (uint64_t)call->inputs[0].shape.dims[0];
}

/* What an output takes if each unknown dim is 1, the first one the number of rows. */
static uint64_t guess_output(const struct el_tensor_info *info, uint64_t rows)
{
    uint64_t elements = info->shape.rank < 0 ? rows : 1;
    for (int32_t d = 0; d < info->shape.rank; d++) {
        const uint64_t dim = info->shape.dims[d] >= 0 ? (uint64_t)info->shape.dims[d] : d == 0 ? rows : 1;
        if (__builtin_mul_overflow(elements, dim, &elements))
            return 0;
    }
    const size_t each = info->dtype == EL_STRING ? STRING_GUESS + sizeof(uint64_t) : el_dtype_size(info->dtype);
    uint64_t bytes;
    if (__builtin_mul_overflow(elements, (uint64_t)each, &bytes) || bytes > EL_MAX_ARENA_BYTES)
        return 0;
    return (bytes + sizeof(uint64_t) + EL_SHM_ALIGN - 1) / EL_SHM_ALIGN * EL_SHM_ALIGN;
}

struct el_status *el_learned_grant(struct el_call *call)
{
    struct el_worker *worker = call->worker;
    const uint64_t rows = rows_of(call);
    uint64_t guess = 0;
    for (uint32_t i = 0; i < call->output_count; i++)
        guess += guess_output(&call->spec->outputs[call->output_indexes[i]], rows);
    /* A declared shape that no memory could hold is not believed: the worker says what it needs. */
    if (guess == 0 || guess > worker->shm.arena_size)
        guess = EL_SHM_ALIGN;
    if (call->tensors != NULL)
        return el_call_grant(call, guess) ? NULL : el_arena_full(worker, guess);
    uint64_t learned;
    const uint64_t row = atomic_load_explicit(&worker->learned[call->signature].row_bytes, memory_order_relaxed);
    if (!__builtin_mul_overflow(row, rows, &learned) && learned > guess && learned <= worker->shm.arena_size / 4 &&
        el_call_grant(call, learned))
        return NULL;
    return el_call_grant(call, guess) ? NULL : el_arena_full(worker, guess);
}

void el_learned_less(struct el_call *call, uint64_t used)
{
    if (call->tensors != NULL)
        return;
    /* A grant that was learned from larger answers shrinks slowly. */
    struct el_learned *learned = &call->worker->learned[call->signature];
    const uint64_t row = atomic_load_explicit(&learned->row_bytes, memory_order_relaxed);
    if (row != 0 && used < call->granted_size / 2)
        atomic_store_explicit(&learned->row_bytes, row - (row + 7) / 8, memory_order_relaxed);
}

void el_learned_more(struct el_call *call, uint64_t need)
{
    if (call->tensors != NULL)
        return;
    const uint64_t rows = rows_of(call);
    atomic_store_explicit(&call->worker->learned[call->signature].row_bytes, (need + rows - 1) / rows,
                          memory_order_relaxed);
}
