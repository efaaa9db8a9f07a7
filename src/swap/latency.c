/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/latency.h"

#include "base/clock.h"

#include <stdlib.h>

#define FEWEST_RUNS 3
#define ENOUGH_NS (500 * EL_NS_PER_MS)

struct el_latency {
    struct el_latency_options options;
    struct el_probe_inputs inputs[2]; /* of the new version's signature, of the old one's */
    uint64_t took_ns[2][EL_LATENCY_RUNS];
    uint32_t runs[2];
    bool old_turn;
    bool begun, finished;
    struct el_pass_call *call;
    uint64_t enough_ns; /* few runs do from then on: slow models need no 20 */
    uint64_t end_ns;    /* of the whole measurement */
};

static int compare(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;
    return *a < *b ? -1 : *a > *b;
}

static uint64_t median(uint64_t *list, uint32_t count)
{
    qsort(list, count, sizeof *list, compare);
    return list[count / 2];
}

static void finish(struct el_latency *latency, const struct el_status *failed)
{
    struct el_latency_result result = { 0 };
    uint32_t runs = latency->runs[0] < latency->runs[1] ? latency->runs[0] : latency->runs[1];
    if (runs > 0) {
        result.runs = runs;
        result.new_ns = median(latency->took_ns[0], latency->runs[0]);
        result.old_ns = median(latency->took_ns[1], latency->runs[1]);
        result.new_slowest_ns = latency->took_ns[0][latency->runs[0] - 1];
        result.old_slowest_ns = latency->took_ns[1][latency->runs[1] - 1];
        result.fastest_ns = latency->took_ns[0][0]; /* median() has sorted them */
    }
    result.failed = failed;
    latency->finished = true;
    latency->options.done(&result, latency->options.argument);
}

static void next(struct el_latency *latency);

static void on_pass(void *argument, const struct el_status *status, const struct el_tensor *outputs, uint32_t count,
                    bool worker_died, uint64_t took_ns)
{
    (void)outputs;
    (void)count;
    (void)worker_died;
    struct el_latency *latency = argument;
    latency->call = NULL;
    if (status != NULL) {
        finish(latency, latency->old_turn ? NULL : status);
        return;
    }
    int who = latency->old_turn ? 1 : 0;
    latency->took_ns[who][latency->runs[who]++] = took_ns;
    latency->old_turn = !latency->old_turn;
    bool enough = latency->runs[1] == EL_LATENCY_RUNS ||
                  (latency->runs[1] >= FEWEST_RUNS && el_now_ns() >= latency->enough_ns);
    if (!latency->old_turn && enough)
        finish(latency, NULL);
    else
        next(latency);
}

static void next(struct el_latency *latency)
{
    const struct el_latency_options *options = &latency->options;
    bool old = latency->old_turn;
    struct el_worker *worker = old ? atomic_load_explicit(&options->old->worker, memory_order_relaxed)
                                   : options->new_worker;
    if (worker == NULL) {
        finish(latency, NULL);
        return;
    }
    struct el_status *status = el_pass_start(
        options->model->swap, worker, old ? options->old_index : options->new_index,
        old ? options->old_signature : options->new_signature, &latency->inputs[old ? 1 : 0],
        el_after_ns(el_now_ns(), options->timeout_ms * EL_NS_PER_MS), on_pass, latency, &latency->call);
    if (status != NULL) {
        finish(latency, old ? NULL : status);
        el_status_free(status);
    }
}

struct el_status *el_latency_start(const struct el_latency_options *options, struct el_latency **made)
{
    struct el_latency *latency = calloc(1, sizeof *latency);
    if (latency == NULL)
        return el_status_no_memory();
    latency->options = *options;
    latency->enough_ns = el_now_ns() + ENOUGH_NS;
    latency->end_ns = el_after_ns(el_now_ns(), options->timeout_ms * EL_NS_PER_MS);
    struct el_status *status = el_probe_inputs_make(options->new_signature, &options->variant, &latency->inputs[0]);
    if (status == NULL)
        status = el_probe_inputs_make(options->old_signature, &options->variant, &latency->inputs[1]);
    if (status != NULL) {
        el_latency_free(latency);
        return status;
    }
    *made = latency;
    el_model_touch(options->model);
    return NULL;
}

void el_latency_tick(struct el_latency *latency, uint64_t now_ns)
{
    if (latency->finished)
        return;
    if (!latency->begun) {
        latency->begun = true;
        next(latency);
        return;
    }
    if (now_ns < latency->end_ns) {
        el_model_alarm(latency->options.model, latency->end_ns);
        return;
    }
    if (latency->call != NULL)
        el_pass_abandon(latency->call);
    latency->call = NULL;
    finish(latency, NULL);
}

void el_latency_free(struct el_latency *latency)
{
    if (latency == NULL)
        return;
    if (latency->call != NULL)
        el_pass_abandon(latency->call);
    el_probe_inputs_free(&latency->inputs[0]);
    el_probe_inputs_free(&latency->inputs[1]);
    free(latency);
}

static bool is_slow(uint64_t ns, uint64_t old_ns, double ratio)
{
    return (double)ns > (double)old_ns * ratio && ns > old_ns + EL_LATENCY_FLOOR_NS;
}

struct el_status *el_latency_judge(const struct el_latency_result *result, double ratio)
{
    if (ratio < 0 || result->runs == 0 || !is_slow(result->new_ns, result->old_ns, ratio) ||
        !is_slow(result->fastest_ns, result->old_ns, ratio))
        return NULL;
    return el_status_new(
        EL_FAILED_PRECONDITION,
        "too slow: its median answer took %.3g ms (the fastest %.3g ms), the serving version's %.3g ms, "
        "in %u runs of each; %.3g times is allowed (max_latency_ratio)",
        (double)result->new_ns / 1e6, (double)result->fastest_ns / 1e6, (double)result->old_ns / 1e6, result->runs,
        ratio);
}

struct el_status *el_latency_judge_slowest(const struct el_latency_result *result, double ratio)
{
    if (ratio < 0 || result->runs == 0 || !is_slow(result->new_slowest_ns, result->old_slowest_ns, ratio))
        return NULL;
    return el_status_new(
        EL_FAILED_PRECONDITION,
        "too slow: its slowest answer of %u took %.3g ms, the serving version's %.3g ms; %.3g times is "
        "allowed (max_slowest_ratio)",
        result->runs, (double)result->new_slowest_ns / 1e6, (double)result->old_slowest_ns / 1e6, ratio);
}
