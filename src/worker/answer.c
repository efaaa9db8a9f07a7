/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Answers: what a worker, possibly a hostile one, wrote about a call.
 *
 * Every word is read once into private memory and checked there: the slot must be in flight on this very lane with
 * this generation, the code must be one, outputs must lie inside the memory that was granted for this call, have the
 * dtype that the signature declares and a size that follows from their shape. Anything else is a lie: the worker is
 * killed, nothing is read from it any more, and its calls end when the process is gone.
 */

#include "worker/internal.h"

#include "base/clock.h"
#include "tensor/wire.h"
#include "worker/doorbell.h"
#include "worker/ring.h"

#include <string.h>

#define PATIENCE 1024

static void unlink_call(struct el_call *call)
{
    struct el_lane *lane = call->lane;
    if (call->previous != NULL)
        call->previous->next = call->next;
    else
        lane->calls = call->next;
    if (call->next != NULL)
        call->next->previous = call->previous;
    lane->at_worker--;
    call->at_worker = false;
    atomic_store_explicit(&call->expected, 0, memory_order_relaxed);
}

void el_call_finish(struct el_call *call, struct el_status *status)
{
    call->state = EL_CALL_DONE;
    call->status = status;
    call->done(call, status, call->argument);
}

/* The worker has let go of the call. status (taken over) is what it says. */
static void settle(struct el_call *call, struct el_status *status)
{
    unlink_call(call);
    if (call->ended) {
        el_status_free(status);
        el_call_release(call);
    } else if (call->state == EL_CALL_WAITING) {
        el_call_finish(call, status);
    } else {
        el_status_free(status); /* done came earlier, with DEADLINE_EXCEEDED or CANCELLED */
    }
}

/* ---- reading ---- */

static struct el_shm_tensor *output_table(const struct el_call *call)
{
    const struct el_shm *shm = &call->worker->shm;
    const uint64_t at = call->table == EL_ARENA_FULL ? el_shm_inline_table(shm, call->slot) : shm->arena + call->table;
    return (struct el_shm_tensor *)(void *)(shm->base + at) + call->input_count;
}

/* One output into private memory. NULL, or how it lies. */
static const char *read_output(const struct el_call *call, uint32_t i, struct el_tensor *tensor)
{
    const struct el_shm *shm = &call->worker->shm;
    struct el_shm_tensor shared;
    el_shm_read(&shared, &output_table(call)[i], sizeof shared);
    const enum el_dtype declared = call->spec->outputs[call->output_indexes[i]].dtype;
    if (declared == EL_DTYPE_INVALID ? !el_dtype_is_data((enum el_dtype)shared.dtype)
                                     : shared.dtype != (int32_t)declared)
        return "an output with a dtype that its signature does not declare";
    if (shared.rank < 0 || shared.rank > EL_MAX_RANK)
        return "an output with an impossible rank";
    const uint64_t granted = shm->arena + call->granted;
    if (shared.offset < granted || shared.offset - granted > call->granted_size ||
        shared.size > call->granted_size - (shared.offset - granted) || shared.offset % EL_SHM_ALIGN != 0)
        return "an output outside the memory that was granted for it";
    tensor->dtype = (enum el_dtype)shared.dtype;
    tensor->shape.rank = shared.rank;
    memcpy(tensor->shape.dims, shared.dims, sizeof tensor->shape.dims);
    tensor->data = shm->base + shared.offset;
    tensor->size = shared.size;
    struct el_status *status = el_tensor_check(tensor);
    el_status_free(status);
    return status == NULL ? NULL : "an output whose size or strings do not follow from its shape";
}

/*
 * The text in the slot, made fit for logs and messages: no control characters but those that TensorFlow lays its
 * texts out with (both escape them), valid UTF-8.
 */
static struct el_status *read_error(const struct el_call *call, enum el_code code)
{
    _Alignas(8) char text[EL_SLOT_ERROR_SIZE];
    _Static_assert(sizeof text % 8 == 0, "read by words");
    el_shm_read(text, call->worker->shm.slots[call->slot].error, sizeof text);
    const size_t length = strnlen(text, sizeof text);
    const bool utf8 = el_utf8_valid(text, length);
    for (size_t i = 0; i < length; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if ((byte < ' ' && byte != '\n' && byte != '\t') || byte == 0x7f)
            text[i] = ' ';
        else if (byte > 0x7f && !utf8)
            text[i] = '?';
    }
    return el_status_new(code, "%.*s", (int)length, text);
}

/* ---- answers ---- */

/*
 * What the worker tells of the run: not believed further than that it lies between submission and now. used: bytes of
 * outputs.
 */
static void note_run(struct el_call *call, bool good, uint64_t used)
{
    const struct el_shm_slot *slot = &call->worker->shm.slots[call->slot];
    const uint64_t started = atomic_load_explicit(&slot->started_ns, memory_order_relaxed);
    const uint64_t completed = EL_READ_ONCE(slot->completed_ns);
    call->queued_ns = 0;
    if (started < call->submitted_ns || completed < started || completed > call->lane->answered_ns)
        return; /* it was not run */
    struct el_ran ran = { .runs = 1, .time_ns = completed - started, .output_bytes = used, .good = good };
    call->queued_ns = started - call->submitted_ns;
    if (call->batch != 0) {
        const uint64_t most = atomic_load_explicit(&call->worker->admission.max_rows, memory_order_relaxed);
        ran.runs = 0;
        for (unsigned i = 0; i < EL_SLOT_RUNS; i++) {
            const uint64_t count = EL_READ_ONCE(slot->runs[i].count);
            ran.runs += count > most ? 0 : count;
        }
    }
    for (uint32_t i = 0; i < call->input_count; i++)
        ran.input_bytes += call->inputs[i].size;
    el_run_stats_add(&call->worker->workers->run_stats[call->lane->index], &ran);
}

static const char *on_done(struct el_call *call)
{
    const struct el_shm_slot *slot = &call->worker->shm.slots[call->slot];
    const uint32_t code = EL_READ_ONCE(slot->code);
    if (code >= EL_CODES)
        return "a status code that is none";
    struct el_status *status = NULL;
    uint64_t used = 0;
    if (code == 0 && !call->ended) { /* else nobody reads them, and what they were asked by may be gone */
        for (uint32_t i = 0; i < call->output_count; i++) {
            const char *lie = read_output(call, i, &call->outputs[i]);
            if (lie != NULL)
                return lie;
            used += call->outputs[i].size;
        }
        el_learned_less(call, used);
    } else if (code != 0) {
        status = read_error(call, (enum el_code)code);
    }
    note_run(call, code == 0, used);
    if (call->granted_before != EL_ARENA_FULL) {
        el_tensor_arena_free(call->worker->arena, call->granted_before);
        call->granted_before = EL_ARENA_FULL;
    }
    settle(call, status);
    return NULL;
}

static void send_again(struct el_call *call, enum el_ring_op op)
{
    struct el_worker *worker = call->worker;
    struct el_shm_slot *slot = &worker->shm.slots[call->slot];
    if (op == EL_RING_DELIVER) {
        slot->output_offset = worker->shm.arena + call->granted;
        slot->output_size = call->granted_size;
    }
    el_ring_put(worker->shm.requests, worker->shm.ring_size, &worker->request_tail,
                el_ring_message(op, call->slot, call->generation));
    el_doorbell_ring(worker->shm.header);
}

static const char *on_need(struct el_call *call)
{
    struct el_worker *worker = call->worker;
    const uint64_t need = EL_READ_ONCE(worker->shm.slots[call->slot].need);
    if (call->delivering || need <= call->granted_size)
        return "a need for memory that makes no sense";
    call->delivering = true;
    call->granted_before = call->granted;
    call->granted = EL_ARENA_FULL;
    const bool wanted = call->state == EL_CALL_WAITING;
    if (wanted && el_call_grant(call, need)) {
        el_learned_more(call, need);
        send_again(call, EL_RING_DELIVER);
        return NULL;
    }
    /* Nobody waits for it any more, or there is no memory: the worker forgets it. */
    call->granted = call->granted_before;
    call->granted_before = EL_ARENA_FULL;
    send_again(call, EL_RING_DROP);
    if (wanted)
        el_call_finish(call,
                       el_status_new(EL_RESOURCE_EXHAUSTED,
                                     "%s version %lld: outputs of %llu bytes do not fit into what is free of %llu",
                                     worker->model, (long long)worker->options.version, (unsigned long long)need,
                                     (unsigned long long)worker->shm.arena_size));
    return NULL;
}

static void learn_time(struct el_call *call)
{
    struct el_lane *lane = call->lane;
    const uint64_t now = el_now_ns();
    const uint64_t most = now - call->submitted_ns;
    const uint64_t completed = EL_READ_ONCE(call->worker->shm.slots[call->slot].completed_ns);
    const uint64_t took = completed - call->submitted_ns; /* nonsense becomes large and is cut */
    lane->answered_ns = now;
    if (lane->look_until != 0)
        el_spin_result(&lane->spin, true);
    lane->look_until = 0;
    el_spin_learn(&lane->spin, took < most ? took : most);
}

/* NULL, or how the message lies. */
static const char *on_message(struct el_lane *lane, uint64_t message)
{
    struct el_worker *worker = lane->worker;
    const uint32_t slot = el_ring_slot(message);
    if (slot >= worker->shm.slot_count)
        return "an answer for a slot that is not there";
    struct el_call *call = &worker->calls[slot];
    if (atomic_load_explicit(&call->expected, memory_order_relaxed) !=
        ((uint64_t)(lane->index + 1) << 32 | el_ring_generation(message)))
        return "an answer to a call that was not made";
    learn_time(call);
    if (call->batch != 0 && el_ring_op(message) == EL_RING_DONE)
        el_batch_stats_add(&worker->workers->batch_stats, &worker->shm.slots[slot],
                           atomic_load_explicit(&worker->admission.max_rows, memory_order_relaxed));
    if (lane->patience < PATIENCE)
        lane->patience++;
    switch (el_ring_op(message)) {
    case EL_RING_DONE:
        return on_done(call);
    case EL_RING_NEED:
        return on_need(call);
    default:
        return "a message of no known kind";
    }
}

uint32_t el_lane_drain(struct el_lane *lane)
{
    struct el_worker *worker = lane->worker;
    struct el_shm_cell *cells = el_shm_completions(&worker->shm, lane->index);
    uint32_t count = 0;
    uint64_t message;
    while (!lane->lied && count < worker->shm.ring_size &&
           el_ring_take(cells, worker->shm.ring_size, &lane->head, &message)) {
        count++;
        const char *lie = on_message(lane, message);
        if (lie == NULL)
            continue;
        lane->lied = true;
        el_worker_kill(worker, el_status_new(EL_INTERNAL, "it wrote %s", lie));
    }
    if (lane->at_worker == 0) {
        el_completions_idle(lane);
    } else if (count > 0) {
        const uint64_t span = el_spin_time(&lane->spin);
        lane->look_until = span == 0 ? 0 : lane->answered_ns + span;
    }
    return count;
}

void el_lane_bury(struct el_lane *lane)
{
    lane->dead = true;
    el_lane_drain(lane);
    while (lane->calls != NULL) {
        struct el_call *call = lane->calls;
        if (call->state == EL_CALL_WAITING)
            call->died = true;
        settle(call, el_status_copy(lane->worker->last_words));
    }
    el_completions_idle(lane);
}
