/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Calls: the hot path of the front. Per call, for tensors of one input and one output: two allocations
 * in the arena, four short locks, no system call unless a runner sleeps.
 */

#include "worker/internal.h"

#include "base/clock.h"
#include "worker/doorbell.h"
#include "worker/names.h"
#include "worker/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct el_status *refused(const struct el_worker *worker)
{
    return el_status_new(EL_UNAVAILABLE, "the worker of %s version %lld takes no calls: it is not loaded or is ending",
                         worker->model, (long long)worker->options.version);
}

/* A slot, on a lane that is open. */
static struct el_status *take_slot(struct el_worker *worker, struct el_lane *lane, struct el_completions *completions,
                                   uint32_t *slot)
{
    pthread_mutex_lock(&worker->lock);
    if (!worker->accepting) {
        pthread_mutex_unlock(&worker->lock);
        return refused(worker);
    }
    if (!lane->open) {
        struct el_status *status = el_lane_open(lane, completions);
        if (status != NULL) {
            pthread_mutex_unlock(&worker->lock);
            return status;
        }
    }
    const bool full = worker->free_count == 0;
    if (!full)
        *slot = worker->free_slots[--worker->free_count];
    pthread_mutex_unlock(&worker->lock);
    if (full)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "%s version %lld: all %u places for requests are taken",
                             worker->model, (long long)worker->options.version, worker->shm.slot_count);
    return NULL;
}

static struct el_status *begin(struct el_worker *worker, struct el_completions *completions, uint32_t signature,
                               struct el_call **call)
{
    struct el_lane *lane = &worker->lanes[completions->index];
    uint32_t slot = 0;
    EL_TRY(take_slot(worker, lane, completions, &slot));
    struct el_call *made = &worker->calls[slot];
    assert(made->state == EL_CALL_FREE);
    made->worker = worker;
    made->lane = lane;
    made->slot = slot;
    made->generation = made->generation == UINT32_MAX ? 1 : made->generation + 1;
    made->signature = signature;
    made->state = EL_CALL_FILLING;
    made->at_worker = false;
    made->ended = false;
    made->cancelled = false;
    made->delivering = false;
    made->died = false;
    made->may_batch = false;
    made->batch = 0;
    made->input_count = 0;
    made->output_count = 0;
    made->input_room = EL_CALL_INLINE;
    made->inputs = made->inline_tensors;
    made->input_indexes = made->inline_indexes;
    made->outputs = made->inline_tensors + EL_CALL_INLINE;
    made->output_indexes = made->inline_indexes + EL_CALL_INLINE;
    made->table = EL_ARENA_FULL;
    made->names = EL_ARENA_FULL;
    made->tensors = NULL;
    made->granted = EL_ARENA_FULL;
    made->granted_before = EL_ARENA_FULL;
    made->granted_size = 0;
    made->status = NULL;
    *call = made;
    return NULL;
}

struct el_status *el_call_begin(struct el_worker *worker, struct el_completions *completions, uint32_t signature,
                                struct el_call **call)
{
    struct el_call *made;
    EL_TRY(begin(worker, completions, signature, &made));
    if (signature >= worker->signatures.count) {
        el_call_release(made);
        return el_status_new(EL_INVALID_ARGUMENT, "signature number %u: the model has %u", signature,
                             worker->signatures.count);
    }
    made->spec = &worker->signatures.list[signature];
    *call = made;
    return NULL;
}

struct el_status *el_call_begin_tensors(struct el_worker *worker, struct el_completions *completions,
                                        const struct el_call_tensors *tensors, struct el_call **call)
{
    EL_TRY(begin(worker, completions, EL_SHM_BY_TENSORS, call));
    (*call)->spec = &tensors->names;
    (*call)->tensors = tensors;
    return NULL;
}

/* Room for one more input. */
static struct el_status *grow_inputs(struct el_call *call)
{
    if (call->input_count < call->input_room)
        return NULL;
    const uint32_t room = call->spec->input_count;
    struct el_tensor *tensors = malloc(room * sizeof *tensors);
    uint32_t *indexes = malloc(room * sizeof *indexes);
    if (tensors == NULL || indexes == NULL) {
        free(tensors);
        free(indexes);
        return el_status_no_memory();
    }
    memcpy(tensors, call->inputs, call->input_count * sizeof *tensors);
    memcpy(indexes, call->input_indexes, call->input_count * sizeof *indexes);
    call->inputs = tensors;
    call->input_indexes = indexes;
    call->input_room = room;
    return NULL;
}

static struct el_status *check_input(const struct el_call *call, uint32_t input, enum el_dtype dtype,
                                     const struct el_shape *shape, size_t size)
{
    const struct el_signature *signature = call->spec;
    if (call->state != EL_CALL_FILLING || input >= signature->input_count)
        return el_status_new(EL_INVALID_ARGUMENT, "input number %u: signature %s has %u", input, signature->name,
                             signature->input_count);
    for (uint32_t i = 0; i < call->input_count; i++)
        if (call->input_indexes[i] == input)
            return el_status_new(EL_INVALID_ARGUMENT, "input \"%s\" is given twice", signature->inputs[input].name);
    size_t expected;
    if (dtype == EL_STRING) {
        EL_TRY(el_shape_elements(shape, &expected));
        if (expected > SIZE_MAX / 16 || size < (expected + 1) * sizeof(uint64_t))
            return el_status_new(EL_INVALID_ARGUMENT, "input \"%s\": %zu strings do not fit in %zu bytes",
                                 signature->inputs[input].name, expected, size);
        return NULL;
    }
    EL_TRY(el_tensor_bytes(dtype, shape, &expected));
    if (size != expected)
        return el_status_new(EL_INVALID_ARGUMENT, "input \"%s\" has %zu bytes, expected %zu",
                             signature->inputs[input].name, size, expected);
    return NULL;
}

struct el_status *el_call_input(struct el_call *call, uint32_t input, enum el_dtype dtype, const struct el_shape *shape,
                                size_t size, void **data)
{
    EL_TRY(check_input(call, input, dtype, shape, size));
    EL_TRY(grow_inputs(call));
    struct el_worker *worker = call->worker;
    const uint64_t offset = el_tensor_arena_alloc(worker->arena, size);
    if (offset == EL_ARENA_FULL)
        return el_arena_full(worker, size);
    void *memory = worker->shm.base + worker->shm.arena + offset;
    call->inputs[call->input_count] = (struct el_tensor){
        .dtype = dtype, .shape = *shape, .data = memory, .size = size
    };
    call->input_indexes[call->input_count] = input;
    call->input_count++;
    *data = memory;
    return NULL;
}

/* ---- submit ---- */

static struct el_status *set_outputs(struct el_call *call, const uint32_t *outputs, uint32_t count)
{
    const struct el_signature *signature = call->spec;
    if ((count == 0 && call->tensors == NULL) || count > signature->output_count)
        return el_status_new(EL_INVALID_ARGUMENT, "%u outputs are asked for, signature %s has %u", count,
                             signature->name, signature->output_count);
    for (uint32_t i = 0; i < count; i++)
        if (outputs[i] >= signature->output_count || (i > 0 && outputs[i] <= outputs[i - 1]))
            return el_status_new(EL_INVALID_ARGUMENT, "output number %u: expected ascending numbers below %u",
                                 outputs[i], signature->output_count);
    if (count > EL_CALL_INLINE) {
        struct el_tensor *tensors = malloc(count * sizeof *tensors);
        uint32_t *indexes = malloc(count * sizeof *indexes);
        if (tensors == NULL || indexes == NULL) {
            free(tensors);
            free(indexes);
            return el_status_no_memory();
        }
        call->outputs = tensors;
        call->output_indexes = indexes;
    }
    memcpy(call->output_indexes, outputs, count * sizeof *outputs);
    call->output_count = count;
    return NULL;
}

bool el_call_grant(struct el_call *call, uint64_t size)
{
    const uint64_t offset = el_tensor_arena_alloc(call->worker->arena, size);
    if (offset == EL_ARENA_FULL)
        return false;
    call->granted = offset;
    call->granted_size = size;
    return true;
}

static struct el_status *place_table(struct el_call *call)
{
    const uint32_t count = call->input_count + call->output_count;
    if (count <= EL_SLOT_TENSORS)
        return NULL;
    call->table = el_tensor_arena_alloc(call->worker->arena, count * sizeof(struct el_shm_tensor));
    return call->table == EL_ARENA_FULL ? el_arena_full(call->worker, count * sizeof(struct el_shm_tensor)) : NULL;
}

/* The names of a run that goes past the signatures, into the arena. */
static struct el_status *place_names(struct el_call *call)
{
    if (call->tensors == NULL)
        return NULL;
    const size_t size = el_shm_names_size(call->tensors);
    call->names = el_tensor_arena_alloc(call->worker->arena, size);
    if (call->names == EL_ARENA_FULL)
        return el_arena_full(call->worker, size);
    el_shm_names_write(call->tensors, call->worker->shm.base + call->worker->shm.arena + call->names);
    return NULL;
}

/* Fills the shared slot. */
static void write_slot(struct el_call *call)
{
    const struct el_shm *shm = &call->worker->shm;
    struct el_shm_slot *slot = &shm->slots[call->slot];
    const uint64_t table_at = call->table == EL_ARENA_FULL ? el_shm_inline_table(shm, call->slot)
                                                           : shm->arena + call->table;
    struct el_shm_tensor *table = (struct el_shm_tensor *)(void *)(shm->base + table_at);
    for (uint32_t i = 0; i < call->input_count; i++) {
        const struct el_tensor *input = &call->inputs[i];
        table[i].index = call->input_indexes[i];
        table[i].dtype = (int32_t)input->dtype;
        table[i].rank = input->shape.rank;
        memcpy(table[i].dims, input->shape.dims, (size_t)input->shape.rank * sizeof *input->shape.dims);
        table[i].offset = (uint64_t)((const uint8_t *)input->data - shm->base);
        table[i].size = input->size;
    }
    for (uint32_t i = 0; i < call->output_count; i++)
        table[call->input_count + i].index = call->output_indexes[i];
    slot->deadline_ns = call->deadline_ns;
    slot->think_ns = call->submitted_ns - call->lane->answered_ns;
    slot->table = table_at;
    slot->output_offset = shm->arena + call->granted;
    slot->output_size = call->granted_size;
    slot->names = call->names == EL_ARENA_FULL ? 0 : shm->arena + call->names;
    slot->signature = call->signature;
    slot->input_count = call->input_count;
    slot->output_count = call->output_count;
    slot->lane = call->lane->index;
    slot->batch = call->batch;
    if (call->batch != 0) {
        slot->submitted_us = (uint32_t)(call->submitted_ns / EL_NS_PER_US);
        memset(slot->runs, 0, sizeof slot->runs);
    }
    atomic_store_explicit(&slot->cancelled, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->started, 0, memory_order_relaxed);
}

static struct el_status *prepare(struct el_call *call, const uint32_t *outputs, uint32_t output_count)
{
    if (call->lane->dead) {
        call->died = true;
        return el_status_copy(call->worker->last_words);
    }
    EL_TRY(set_outputs(call, outputs, output_count));
    EL_TRY(place_table(call));
    EL_TRY(place_names(call));
    EL_TRY(el_learned_grant(call));
    return call->may_batch ? el_admission_ask(call) : NULL;
}

void el_call_may_batch(struct el_call *call)
{
    call->may_batch = true;
}

struct el_status *el_call_submit(struct el_call *call, const uint32_t *outputs, uint32_t output_count,
                                 uint64_t deadline_ns, el_call_done *done, void *argument)
{
    assert(call->state == EL_CALL_FILLING);
    struct el_status *status = prepare(call, outputs, output_count);
    if (status != NULL) {
        call->state = EL_CALL_DONE;
        return status;
    }
    struct el_worker *worker = call->worker;
    struct el_lane *lane = call->lane;
    call->deadline_ns = deadline_ns;
    call->submitted_ns = el_now_ns();
    call->queued_ns = 0;
    call->done = done;
    call->argument = argument;
    call->state = EL_CALL_WAITING;
    call->at_worker = true;
    write_slot(call);
    atomic_store_explicit(&call->expected, (uint64_t)(lane->index + 1) << 32 | call->generation, memory_order_relaxed);
    call->previous = NULL;
    call->next = lane->calls;
    if (lane->calls != NULL)
        lane->calls->previous = call;
    lane->calls = call;
    lane->at_worker++;
    const uint64_t span = el_spin_time(&lane->spin);
    lane->look_until = span == 0 ? 0 : call->submitted_ns + span;
    el_completions_sent(lane);
    el_completions_deadline(lane->completions, deadline_ns != EL_NEVER_NS ? deadline_ns : el_call_hung_ns(call));
    el_ring_put(worker->shm.requests, worker->shm.ring_size, &worker->request_tail,
                el_ring_message(EL_RING_RUN, call->slot, call->generation));
    el_doorbell_ring(worker->shm.header);
    return NULL;
}

/* ---- after submit ---- */

uint32_t el_call_inputs(const struct el_call *call, const struct el_tensor **tensors, const uint32_t **indexes)
{
    *tensors = call->inputs;
    *indexes = call->input_indexes;
    return call->input_count;
}

uint32_t el_call_outputs(const struct el_call *call, const struct el_tensor **tensors)
{
    *tensors = call->outputs;
    return call->output_count;
}

bool el_call_worker_died(const struct el_call *call)
{
    return call->died;
}

bool el_call_worker_was_killed(const struct el_call *call)
{
    return call->died && call->worker->killed_outside;
}

uint64_t el_call_queued_ns(const struct el_call *call)
{
    return call->queued_ns;
}

void el_call_cancel(struct el_call *call)
{
    if (call->state != EL_CALL_WAITING || call->cancelled)
        return;
    struct el_worker *worker = call->worker;
    call->cancelled = true;
    atomic_store_explicit(&worker->shm.slots[call->slot].cancelled, call->generation, memory_order_relaxed);
    if (worker->can_cancel) {
        struct el_buf packet = { 0 };
        el_packet_u32(&packet, EL_MESSAGE_CANCEL);
        el_packet_u32(&packet, call->slot);
        el_packet_u32(&packet, call->generation);
        pthread_mutex_lock(&worker->lock);
        /* A worker that does not read is not cancelled: the caller is answered all the same. */
        if (worker->control >= 0)
            el_status_free(el_send(worker->control, &packet, NULL, 0));
        pthread_mutex_unlock(&worker->lock);
        el_buf_free(&packet);
    }
    /* The timer, which never runs inside this function, answers the caller. */
    el_completions_deadline(call->lane->completions, 0);
}

static void free_block(struct el_call *call, uint64_t *block)
{
    if (*block != EL_ARENA_FULL)
        el_tensor_arena_free(call->worker->arena, *block);
    *block = EL_ARENA_FULL;
}

void el_call_release(struct el_call *call)
{
    struct el_worker *worker = call->worker;
    const uint8_t *arena = worker->shm.base + worker->shm.arena;
    for (uint32_t i = 0; i < call->input_count; i++)
        el_tensor_arena_free(worker->arena, (uint64_t)((const uint8_t *)call->inputs[i].data - arena));
    free_block(call, &call->table);
    free_block(call, &call->names);
    free_block(call, &call->granted);
    free_block(call, &call->granted_before);
    if (call->inputs != call->inline_tensors) {
        free(call->inputs);
        free(call->input_indexes);
    }
    if (call->outputs != call->inline_tensors + EL_CALL_INLINE) {
        free(call->outputs);
        free(call->output_indexes);
    }
    el_status_free(call->status);
    call->status = NULL;
    call->input_count = 0;
    call->state = EL_CALL_FREE;
    pthread_mutex_lock(&worker->lock);
    worker->free_slots[worker->free_count++] = call->slot;
    const bool tell = worker->free_count == worker->shm.slot_count && !worker->accepting;
    if (tell) /* under the lock: the worker may be freed as soon as the swap thread sees all slots free */
        el_worker_notify(worker);
    pthread_mutex_unlock(&worker->lock);
}

void el_call_end(struct el_call *call)
{
    assert(call->state == EL_CALL_FILLING || call->state == EL_CALL_DONE);
    if (call->at_worker)
        call->ended = true; /* slot and memory stay taken until the worker lets go of them */
    else
        el_call_release(call);
}
