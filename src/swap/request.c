/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot path: a request from its model spec to a worker and back.
 *
 * One read section covers the look at the view, the pin and el_call_begin();
 * from then on the call keeps the worker alive and the pin the servable. No
 * allocation and no system call beyond what the worker's ring does, except for
 * requests that want more than four outputs.
 *
 * A worker that dies under a request: the call that died still holds the inputs.
 * The request is led anew, to the respawned worker or to another version that
 * reads and writes the same, and the inputs are copied over. Once: a request
 * that kills two workers is answered with UNAVAILABLE. A worker killed from outside is no
 * fault of the request's: it is led anew until its deadline, up to a bound for what only looks
 * like it (a run that sends its process SIGKILL). A version under guard that fails is treated alike (rerun.h).
 */
#include "swap/request.h"

#include "base/clock.h"
#include "swap/rcu.h"
#include "swap/request_look.h"
#include "swap/rerun.h"
#include "swap/rollout_route.h"
#include "swap/shadow.h"
#include "swap/signals.h"

#include <stdlib.h>

#define NO_MORE_TRIES 255 /* cancelled: not replayed */
#define MOST_TRIES 8      /* after workers that were killed from outside */

static bool is_servers_fault(enum el_code code)
{
    switch (code) {
    case EL_UNKNOWN:
    case EL_DEADLINE_EXCEEDED:
    case EL_RESOURCE_EXHAUSTED:
    case EL_ABORTED:
    case EL_UNIMPLEMENTED:
    case EL_INTERNAL:
    case EL_UNAVAILABLE:
    case EL_DATA_LOSS:
        return true;
    default:
        return false;
    }
}

/* Its client's time was up. The transport may have said so already and cancelled it. */
static bool is_late(const struct el_request *request, enum el_code code, uint64_t now_ns)
{
    return code == EL_DEADLINE_EXCEEDED || (code == EL_CANCELLED && now_ns >= request->deadline_ns);
}

static void count_failure(const struct el_request *request, enum el_code code, struct el_version_stats *stats)
{
    const uint64_t now_ns = el_now_ns();
    if (is_servers_fault(code))
        atomic_fetch_add_explicit(&stats->errors, 1, memory_order_relaxed);
    if (is_late(request, code, now_ns))
        el_histogram_record(&stats->late,
                            (now_ns < request->deadline_ns ? now_ns : request->deadline_ns) - request->started_ns);
}

/* Acquire: the queue is made. Without a rollout in shadow there is none, or it takes nothing. */
static void shadow(const struct el_request *request, struct el_servable *servable)
{
    struct el_shadow_queue *queue = atomic_load_explicit(&servable->shadow, memory_order_acquire);
    if (queue == NULL || request->tensors != NULL || !el_request_may_go_elsewhere(request))
        return;
    struct el_swap *swap = request->loop->swap;
    if (!el_shadow_take(queue, el_rollout_draw(request->loop), request->signature_index, request->call,
                        request->outputs, request->output_count, el_now_ns() - request->started_ns))
        return;
    atomic_exchange(&swap->shadow_woken, true);
    uv_async_send(&swap->async);
}

static void count(const struct el_request *request, const struct el_status *status)
{
    struct el_servable *servable = request->servable != NULL ? request->servable : request->replay_from;
    if (servable == NULL) {
        atomic_fetch_add_explicit(&request->loop->swap->refused, 1, memory_order_relaxed);
        return;
    }
    struct el_version_stats *stats = &servable->stats;
    const uint64_t number = atomic_fetch_add_explicit(&stats->requests, 1, memory_order_relaxed);
    if (status == NULL) {
        shadow(request, servable);
        if (request->tensors == NULL)
            el_reservoir_offer(servable->reservoir, number, request->signature_index, request->call, request->outputs,
                               request->output_count);
        el_histogram_record(&stats->latency, el_now_ns() - request->started_ns);
        el_histogram_record(&stats->queued, el_call_queued_ns(request->call));
    } else {
        count_failure(request, el_status_code(status), stats);
    }
}

/* status is borrowed; the request may be gone afterwards. */
static void end_with(struct el_request *request, const struct el_status *status)
{
    count(request, status);
    request->state = EL_REQUEST_DONE;
    request->done(request, status);
}

void el_request_finish(struct el_request *request, struct el_status *status)
{
    end_with(request, status);
    el_status_free(status);
}

/* ---- what becomes of a call ---- */

/* The swap thread hears of it at once. */
static void blame(struct el_request *request, struct el_servable *servable, enum el_signal signal, bool confirmed)
{
    struct el_swap *swap = request->loop->swap;
    el_signal_blame(servable, signal, confirmed, request->shared);
    if (signal == EL_SIGNAL_GOOD || !el_signal_watched(servable, EL_WATCH_ALL))
        return;
    atomic_exchange(&swap->guard_woken, true); /* before libuv looks whether a wake-up is on its way already */
    uv_async_send(&swap->async);
}

/* Nobody else could be asked, or nobody does better. */
static void end_with_first(struct el_request *request, bool to_blame)
{
    const enum el_signal signal = request->signal;
    const struct el_status *status = el_rerun_restore(request);
    if (to_blame && el_signal_is_certain(signal, status))
        blame(request, request->servable, signal, false);
    end_with(request, status);
}

static void end_with_second(struct el_request *request, const struct el_status *status)
{
    blame(request, request->replay_from, request->signal, true);
    atomic_fetch_add_explicit(&request->replay_from->stats.again, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&request->replay_from->stats.replayed, 1, memory_order_relaxed);
    el_rerun_drop(request);
    end_with(request, status);
}

/* That the request cannot be answered; not that there was no time or room for it. */
static bool is_opinion(const struct el_call *call, const struct el_status *status)
{
    const enum el_code code = el_status_code(status);
    return code != EL_DEADLINE_EXCEEDED && code != EL_RESOURCE_EXHAUSTED && code != EL_UNAVAILABLE &&
           (status == NULL || !el_call_worker_died(call));
}

/* The second opinion has come. */
static void compare_answers(struct el_request *request, struct el_call *call, const struct el_status *status)
{
    if (request->tries == NO_MORE_TRIES) { /* cancelled */
        el_rerun_drop(request);
        end_with(request, status);
    } else if (status == NULL && (request->signal == EL_SIGNAL_FAULT || /* any answer is better than an error */
                                  el_signal_of(request->servable, call, status, true) == EL_SIGNAL_GOOD)) {
        end_with_second(request, status);
    } else {
        end_with_first(request, !is_opinion(call, status));
    }
}

static bool may_ask_another(const struct el_request *request)
{
    return request->tries == 0 && el_request_may_go_elsewhere(request) && !request->servable->keeps_state &&
           el_signal_watched(request->servable, EL_WATCH_ALL);
}

/* The worker died under it. */
static bool may_run_again(const struct el_request *request, const struct el_call *call)
{
    return request->tries == 0 || (request->tries < MOST_TRIES && el_call_worker_was_killed(call));
}

static void on_call_done(struct el_call *call, const struct el_status *status, void *argument)
{
    struct el_request *request = argument;
    if (request->shared && request->tries == 0)
        atomic_fetch_add_explicit(&request->servable->stats.rollout.answers, 1, memory_order_relaxed);
    if (el_rerun_is_second_opinion(request)) {
        compare_answers(request, call, status);
        return;
    }
    if (status != NULL && el_call_worker_died(call)) {
        if (!may_run_again(request, call)) {
            end_with(request, status);
            return;
        }
        request->tries++;
        el_rerun_begin(request, EL_SIGNAL_GOOD, NULL);
        atomic_fetch_add_explicit(&request->replay_from->stats.replayed, 1, memory_order_relaxed);
        el_request_run(request);
        return;
    }
    const enum el_signal signal = el_signal_of(request->servable, call, status, false);
    if (signal != EL_SIGNAL_GOOD && may_ask_another(request)) {
        request->tries = 1;
        el_rerun_begin(request, signal, status);
        el_request_run(request);
        return;
    }
    if (el_signal_is_certain(signal, status))
        blame(request, request->servable, signal, false);
    end_with(request, status);
}

/* ---- running ---- */

static struct el_status *decode(struct el_request *request)
{
    if (request->replay_call != NULL) {
        struct el_status *status = el_rerun_copy(request);
        if (!el_rerun_is_second_opinion(request))
            el_rerun_drop(request);
        return status;
    }
    if (request->signature->output_count > sizeof request->few_outputs / sizeof request->few_outputs[0]) {
        request->outputs = malloc(request->signature->output_count * sizeof *request->outputs);
        if (request->outputs == NULL)
            return el_status_no_memory();
    }
    return request->fill(request, request->call, request->signature, request->outputs, &request->output_count);
}

void el_request_run(struct el_request *request)
{
    struct el_look look = { 0 };
    el_rcu_read_lock();
    el_request_look(request, &look);
    el_rcu_read_unlock(&request->loop->swap->rcu_mark);

    if (look.call == NULL && el_rerun_is_second_opinion(request)) {
        el_status_free(look.status);
        end_with_first(request, true);
        return;
    }
    if (look.lobby != NULL) {
        uint64_t give_up_ns = request->deadline_ns != EL_NEVER_NS ? request->deadline_ns
                                                                  : el_after_ns(request->started_ns, look.wait_ns);
        el_request_wait(request, look.lobby, give_up_ns);
        return;
    }
    if (look.status != NULL) {
        el_request_finish(request, look.status);
        return;
    }
    request->call = look.call;
    request->state = EL_REQUEST_RUNNING;
    el_call_may_batch(request->call);
    struct el_status *status = decode(request);
    if (status == NULL)
        status = el_call_submit(request->call, request->outputs, request->output_count, request->deadline_ns,
                                on_call_done, request);
    if (status == NULL)
        return;
    if (el_rerun_is_second_opinion(request)) {
        el_status_free(status);
        end_with_first(request, true);
        return;
    }
    el_request_finish(request, status);
}

void el_request_start(struct el_request *request)
{
    request->served_version = -1;
    request->generation = 0;
    request->signature = NULL;
    request->call = NULL;
    request->logged = false;
    request->servable = request->replay_from = NULL;
    request->replay_call = NULL;
    request->replay_signature = NULL;
    request->replay_status = NULL;
    request->signal = EL_SIGNAL_GOOD;
    request->lobby = NULL;
    request->next = request->previous = NULL;
    request->outputs = request->few_outputs;
    request->output_count = 0;
    request->started_ns = el_now_ns();
    request->tries = 0;
    request->ticket = 0;
    request->shared = false;
    request->state = EL_REQUEST_IDLE;
    el_request_run(request);
}

void el_request_cancel(struct el_request *request)
{
    switch (request->state) {
    case EL_REQUEST_WAITING:
    case EL_REQUEST_RETRYING:
        el_request_leave(request);
        el_request_finish(request, el_status_new(EL_CANCELLED, "cancelled while waiting for a worker"));
        break;
    case EL_REQUEST_RUNNING:
        request->tries = NO_MORE_TRIES;
        el_call_cancel(request->call);
        break;
    default:
        break;
    }
}

void el_request_end(struct el_request *request)
{
    el_rerun_drop(request);
    if (request->call != NULL)
        el_call_end(request->call);
    request->call = NULL;
    el_rerun_unpin(request, &request->servable);
    if (request->outputs != request->few_outputs)
        free(request->outputs);
    request->outputs = request->few_outputs;
}
