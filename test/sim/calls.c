/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to workers: what they answer and when, by the trait of the worker's content. By the promises of worker.h. */
#include "sim.h"

#include "base/clock.h"
#include "worker/worker.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ROWS 8
#define POISON 666.0f

struct el_call {
    struct el_list in_worker;
    struct el_worker *worker;
    struct el_completions *completions;
    struct el_tensor input, output;
    uint32_t input_index;
    float in[MOST_ROWS], out[MOST_ROWS];
    uint64_t deadline_ns;
    el_call_done *done;
    void *argument;
    struct sim_event *end; /* its answer, or its deadline */
    struct el_status *status;
    bool submitted, told, cancelled, died;
};

struct el_status *el_call_begin(struct el_worker *worker, struct el_completions *completions, uint32_t signature,
                                struct el_call **made)
{
    (void)signature;
    if (worker->state != SIM_LOADED || worker->stopping)
        return el_status_new(EL_UNAVAILABLE, "worker of %s version %lld takes no calls", worker->model,
                             (long long)worker->version);
    sim_rules_call(worker, completions);
    struct el_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        abort();
    call->worker = worker;
    call->completions = completions;
    completions->calls++;
    el_list_add_before(&call->in_worker, &worker->calls);
    *made = call;
    return NULL;
}

struct el_status *el_call_begin_tensors(struct el_worker *worker, struct el_completions *completions,
                                        const struct el_call_tensors *tensors, struct el_call **call)
{
    (void)tensors;
    return el_call_begin(worker, completions, 0, call);
}

struct el_status *el_call_input(struct el_call *call, uint32_t input, enum el_dtype dtype, const struct el_shape *shape,
                                size_t size, void **data)
{
    if (dtype != EL_FLOAT || size > sizeof call->in)
        return el_status_new(EL_INVALID_ARGUMENT, "expected up to %d floats, found %zu bytes", MOST_ROWS, size);
    call->input = (struct el_tensor){ .dtype = dtype, .shape = *shape, .data = call->in, .size = size };
    call->input_index = input;
    *data = call->in;
    return NULL;
}

void el_call_may_batch(struct el_call *call)
{
    (void)call;
}

/* ---- the end of a call ---- */

static void finish(struct el_call *call, struct el_status *status)
{
    sim_cancel(call->end);
    call->end = NULL;
    if (call->told) {
        el_status_free(status);
        return;
    }
    call->told = true;
    call->status = status;
    call->done(call, status, call->argument);
}

static void on_answer(void *argument)
{
    struct el_call *call = argument;
    call->end = NULL;
    finish(call, NULL);
}

static void on_error(void *argument)
{
    struct el_call *call = argument;
    call->end = NULL;
    finish(call, el_status_new(EL_INTERNAL, "the model failed"));
}

static void on_deadline(void *argument)
{
    struct el_call *call = argument;
    call->end = NULL;
    finish(call, el_status_new(EL_DEADLINE_EXCEEDED, "deadline exceeded"));
}

static void on_cancelled(void *argument)
{
    struct el_call *call = argument;
    call->end = NULL;
    finish(call, el_status_new(EL_CANCELLED, "cancelled"));
}

static void on_death(void *argument)
{
    struct el_call *call = argument;
    call->end = NULL;
    call->died = true;
    finish(call, el_status_new(EL_UNAVAILABLE, "worker of %s version %lld died under the call", call->worker->model,
                               (long long)call->worker->version));
}

static void next(struct el_call *call, uint64_t span_ns, void (*run)(void *argument))
{
    sim_cancel(call->end);
    call->end = sim_after(call->completions->thread, span_ns, run, call);
}

void sim_calls_died(struct el_worker *worker)
{
    struct el_call *call;
    el_list_each (call, &worker->calls, in_worker) {
        if (call->submitted && !call->told)
            next(call, sim_below(&sim->random, 2 * SIM_MS), on_death);
    }
}

static void on_hang(void *argument)
{
    struct el_worker *worker = argument;
    worker->hang = NULL;
    sim_worker_die(worker, el_status_new(EL_DEADLINE_EXCEEDED,
                                         "worker of %s version %lld was killed: a run goes on %u ms after its deadline",
                                         worker->model, (long long)worker->version, worker->hang_timeout_ms));
}

static void on_crash(void *argument)
{
    struct el_call *call = argument;
    struct el_worker *worker = call->worker;
    call->end = NULL;
    next(call, SIM_MS, on_death);
    sim_worker_die(worker, el_status_new(EL_UNAVAILABLE, "worker of %s version %lld was killed by signal 6 (Aborted)",
                                         worker->model, (long long)worker->version));
}

/* ---- what it comes to ---- */

static void compute(struct el_call *call, bool nan)
{
    const size_t rows = call->input.size / sizeof(float);
    for (size_t i = 0; i < rows; i++)
        call->out[i] = nan ? NAN : 0.5f * call->in[i] + 2.0f;
    call->output = call->input;
    call->output.data = call->out;
}

/* Whether the trait shows in this run: it is one of those that do. */
static bool shows(const struct el_worker *worker)
{
    return sim_below(&sim->random, 100) < worker->content->percent;
}

static enum sim_trait trait_of(const struct el_call *call)
{
    static const enum sim_trait shown_as[SIM_TRAITS] = {
        [SIM_LATE_FAILS] = SIM_RUN_FAILS, [SIM_LATE_NAN] = SIM_RUN_NAN,   [SIM_LATE_CRASHES] = SIM_RUN_CRASHES,
        [SIM_LATE_HANGS] = SIM_RUN_HANGS, [SIM_LATE_SLOW] = SIM_RUN_SLOW,
    };
    const struct el_worker *worker = call->worker;
    const enum sim_trait trait = worker->content->trait;
    if (trait == SIM_POISON)
        return call->in[0] == POISON ? SIM_RUN_CRASHES : SIM_GOOD;
    if (shown_as[trait] == SIM_GOOD)
        return trait;
    return worker->runs > worker->content->after && shows(worker) ? shown_as[trait] : SIM_GOOD;
}

static void run(struct el_call *call)
{
    struct el_worker *worker = call->worker;
    uint64_t span_ns = worker->content->run_ns / 2 + sim_below(&sim->random, worker->content->run_ns);
    void (*end)(void *argument) = on_answer;
    const uint64_t now_ns = el_now_ns();
    worker->runs++;
    const enum sim_trait trait = trait_of(call);
    if (trait != SIM_GOOD)
        sim_excuse(worker->model);
    switch (trait) {
    case SIM_RUN_FAILS:
        end = on_error;
        break;
    case SIM_RUN_CRASHES:
        end = on_crash;
        break;
    case SIM_RUN_HANGS:
        span_ns = EL_NEVER_NS;
        break;
    case SIM_RUN_SLOW:
        span_ns = span_ns * 20 + 50 * SIM_MS;
        break;
    case SIM_LEAKS:
        worker->leaked += SIM_MIB;
        break;
    default:
        break;
    }
    compute(call, trait == SIM_RUN_NAN);
    const uint64_t limit_ns = call->deadline_ns != EL_NEVER_NS ? call->deadline_ns
                                                               : now_ns + worker->max_run_ms * SIM_MS;
    /* It goes on when nobody waits for the call any more: it is the worker's. */
    if (span_ns == EL_NEVER_NS && worker->hang_timeout_ms > 0 && worker->hang == NULL)
        worker->hang = sim_after(call->completions->thread,
                                 (limit_ns > now_ns ? limit_ns - now_ns : 0) + worker->hang_timeout_ms * SIM_MS,
                                 on_hang, worker);
    if (span_ns != EL_NEVER_NS && el_after_ns(now_ns, span_ns) <= call->deadline_ns)
        next(call, span_ns, end);
    else if (call->deadline_ns != EL_NEVER_NS)
        next(call, call->deadline_ns > now_ns ? call->deadline_ns - now_ns : 0, on_deadline);
}

struct el_status *el_call_submit(struct el_call *call, const uint32_t *outputs, uint32_t output_count,
                                 uint64_t deadline_ns, el_call_done *done, void *argument)
{
    (void)outputs;
    (void)output_count;
    call->done = done;
    call->argument = argument;
    call->deadline_ns = deadline_ns;
    call->submitted = true;
    if (call->worker->state != SIM_LOADED)
        next(call, sim_below(&sim->random, SIM_MS), on_death);
    else
        run(call);
    return NULL;
}

uint32_t el_call_inputs(const struct el_call *call, const struct el_tensor **tensors, const uint32_t **indexes)
{
    *tensors = &call->input;
    *indexes = &call->input_index;
    return call->input.size > 0 ? 1 : 0;
}

uint32_t el_call_outputs(const struct el_call *call, const struct el_tensor **tensors)
{
    *tensors = &call->output;
    return 1;
}

uint64_t el_call_queued_ns(const struct el_call *call)
{
    (void)call;
    return 1000;
}

bool el_call_worker_died(const struct el_call *call)
{
    return call->died;
}

bool el_call_worker_was_killed(const struct el_call *call)
{
    return call->died && call->worker->why != NULL && strstr(el_status_text(call->worker->why), "by signal 9 ") != NULL;
}

void el_call_cancel(struct el_call *call)
{
    if (call->submitted && !call->told)
        next(call, sim_below(&sim->random, 300000), on_cancelled);
}

void el_call_end(struct el_call *call)
{
    struct el_worker *worker = call->worker;
    sim_cancel(call->end);
    call->completions->calls--;
    el_list_remove(&call->in_worker);
    el_status_free(call->status);
    free(call);
    sim_worker_settle(worker);
}
