/* SPDX-License-Identifier: Apache-2.0 */
/* The second half of a load: is the new version at least as good as the one that serves? */
#include "base/clock.h"
#include "swap/loader.h"
#include "swap/loader_state.h"
#include "swap/memory.h"
#include "swap/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct el_swap *swap_of(const struct el_load *load)
{
    return load->version->model->swap;
}

static const struct el_update_config *update_of(const struct el_load *load)
{
    return &load->version->model->settings.update;
}

/* ---- ASKING ---- */

static void on_serving_probed(struct el_probe *probe, void *argument)
{
    (void)probe;
    struct el_load *load = argument;
    load->serving_probed = true;
    el_model_touch(load->version->model);
}

static void ask_serving(struct el_load *load)
{
    const struct el_probe_options options = {
        .model = load->version->model,
        .servable = load->serving,
        .signatures = &load->serving->signatures,
        .timeout_ms = update_of(load)->probe_timeout_ms,
        .like = load->chosen->probe,
        .like_signatures = el_worker_signatures(load->chosen->hosted->worker),
        .done = on_serving_probed,
        .argument = load,
    };
    struct el_status *status = el_probe_start(&options, &load->serving_probe);
    load->serving_probed = status != NULL; /* not asked: judged without it */
    el_status_free(status);
}

bool el_load_ask(struct el_load *load, uint64_t now_ns)
{
    struct el_judged candidate = el_attempt_judged(load->chosen), serving = { 0 };
    const bool askable = load->serving != NULL && !load->serving->keeps_state;
    if (!load->entered && askable && el_probe_suspicious(&candidate))
        ask_serving(load);
    else if (!load->entered)
        load->serving_probed = true;
    load->entered = true;
    if (load->serving_probe != NULL && !load->serving_probed)
        el_probe_tick(load->serving_probe, now_ns);
    if (!load->serving_probed)
        return false;
    if (load->serving != NULL)
        serving.signatures = &load->serving->signatures;
    if (load->serving_probe != NULL && el_probe_broken(load->serving_probe) == NULL)
        serving.passes = el_probe_passes(load->serving_probe, &serving.pass_count);
    struct el_status *failed = el_load_found(load, EL_CHECK_RUNS,
                                             el_probe_judge_runs(&candidate, &serving, &load->warning));
    if (failed == NULL)
        failed = el_load_found(load, EL_CHECK_SANE, el_probe_judge_sane(&candidate, &serving));
    if (failed == NULL)
        failed = el_load_found(load, EL_CHECK_VARIES, el_probe_judge_varies(&candidate, &serving));
    if (failed != NULL) {
        el_version_load_failed(load->version, failed);
        return false;
    }
    load->step = EL_LOAD_GOLDEN;
    load->entered = false;
    return true;
}

/* ---- MEASURING ---- */

static void on_measured(const struct el_latency_result *result, void *argument)
{
    struct el_load *load = argument;
    load->measured = *result;
    load->measure_failed = el_status_prefix(el_status_copy(result->failed), "measuring its latency");
    load->measured_done = true;
    el_model_touch(load->version->model);
}

/* A signature that the new version answered and the serving one has: serving_default first. */
static const struct el_pass *pass_to_measure(const struct el_load *load, uint32_t *old_index)
{
    struct el_judged candidate = el_attempt_judged(load->chosen);
    const struct el_pass *found = NULL;
    for (uint32_t i = 0; i < candidate.pass_count; i++) {
        const struct el_pass *pass = &candidate.passes[i];
        const char *name = candidate.signatures->list[pass->signature].name;
        bool is_default = strcmp(name, "serving_default") == 0;
        uint32_t index;
        if (pass->status != NULL || pass->batch != 1 || (found != NULL && !is_default) ||
            el_signatures_find(&load->serving->signatures, name, strlen(name), &index) == NULL)
            continue;
        found = pass;
        *old_index = index;
    }
    return found;
}

static void measure(struct el_load *load)
{
    uint32_t old_index = 0;
    const bool askable = load->serving != NULL && !load->serving->keeps_state;
    const struct el_pass *pass = askable && el_load_mode(load, EL_CHECK_LATENCY) != EL_CHECK_OFF &&
                                         update_of(load)->max_latency_ratio >= 0
                                     ? pass_to_measure(load, &old_index)
                                     : NULL;
    load->measured_done = pass == NULL;
    if (pass == NULL)
        return;
    const struct el_latency_options options = {
        .model = load->version->model,
        .new_worker = load->chosen->hosted->worker,
        .old = load->serving,
        .new_index = pass->signature,
        .old_index = old_index,
        .new_signature = &load->version->servable->signatures.list[pass->signature],
        .old_signature = &load->serving->signatures.list[old_index],
        .variant = pass->variant,
        .timeout_ms = update_of(load)->probe_timeout_ms,
        .done = on_measured,
        .argument = load,
    };
    struct el_status *status = el_latency_start(&options, &load->latency);
    load->measured_done = status != NULL;
    el_status_free(status);
}

static void ready(struct el_load *load, struct el_attempt *attempt)
{
    struct el_version *version = load->version;
    struct el_hosted *hosted = attempt->hosted;
    attempt->hosted = NULL;
    struct el_buf found = { 0 };
    el_load_report(load, &found);
    free(version->probe);
    version->probe = el_buf_take_text(&found);
    const struct el_probe_config *probe = &update_of(load)->probe;
    if (!version->servable->keeps_state && version->servable->reservoir == NULL)
        version->servable->reservoir = el_reservoir_new(probe->replay_records, probe->replay_bytes);
    el_memory_learn(version, hosted->worker);
    version->switch_ms = (double)(el_now_ns() - version->whole_since_ns) / 1e6;
    el_version_host(version, hosted);
    el_version_move(version, EL_LIFE_PASS, NULL, "probed", "%s", version->probe != NULL ? version->probe : "good");
    version->load = NULL;
    el_load_end(load);
}

static struct el_status *weigh(struct el_load *load)
{
    const struct el_worker *old = load->serving == NULL
                                      ? NULL
                                      : atomic_load_explicit(&load->serving->worker, memory_order_relaxed);
    if (old == NULL || load->chosen->hosted == NULL)
        return NULL;
    load->resident_bytes = el_worker_resident_bytes(load->chosen->hosted->worker);
    load->serving_resident_bytes = el_worker_resident_bytes(old);
    return el_memory_judge(load->resident_bytes, load->serving_resident_bytes, update_of(load)->probe.max_memory_ratio);
}

bool el_load_measure(struct el_load *load, uint64_t now_ns)
{
    if (!load->entered) {
        el_worker_promote(load->chosen->hosted->worker); /* at idle priority it would be compared unfairly */
        measure(load);
        load->entered = true;
    }
    if (load->latency != NULL && !load->measured_done)
        el_latency_tick(load->latency, now_ns);
    if (!load->measured_done)
        return false;
    struct el_status *failed = load->measure_failed;
    load->measure_failed = NULL;
    if (failed == NULL)
        failed = el_latency_judge(&load->measured, update_of(load)->max_latency_ratio);
    if (failed == NULL)
        failed = el_latency_judge_slowest(&load->measured, update_of(load)->probe.max_slowest_ratio);
    failed = el_load_found(load, EL_CHECK_LATENCY, failed);
    if (failed == NULL && el_load_mode(load, EL_CHECK_MEMORY) != EL_CHECK_OFF)
        failed = el_load_found(load, EL_CHECK_MEMORY, weigh(load));
    if (failed == NULL && el_load_mode(load, EL_CHECK_QUIET) != EL_CHECK_OFF)
        failed = el_load_found(load, EL_CHECK_QUIET, el_quiet_end(load));
    if (failed != NULL) {
        el_version_quarantine(load->version, failed); /* not for ever: it was measured here and now */
        return false;
    }
    if (load->version->state_op == NULL) {
        ready(load, load->chosen);
        return false;
    }
    load->step = EL_LOAD_RENEWING;
    load->entered = false;
    return true;
}

/* ---- RENEWING ---- */

bool el_load_renew(struct el_load *load)
{
    struct el_attempt *fresh = &load->fresh;
    if (!load->entered) {
        load->entered = true;
        el_worker_stop(load->chosen->hosted->worker, 0);
    }
    if (load->chosen->hosted != NULL)
        return false; /* its memory is given back first */
    if (fresh->load == NULL) {
        el_tell(swap_of(load), EL_LOG_INFO, "loading", load->version->model, load->version,
                "once more: its runs change what later ones see (%s), and the probe has run it",
                load->version->state_op);
        el_attempt_start(load, fresh, load->chosen->engine);
        el_model_changed(load->version->model);
    }
    if (!fresh->decided)
        return false;
    struct el_status *failed = fresh->failed;
    fresh->failed = NULL;
    if (failed == NULL)
        failed = el_servable_expect(load->version->servable, el_worker_signatures(fresh->hosted->worker),
                                    load->version->path);
    if (failed != NULL) {
        el_version_load_failed(load->version, el_status_prefix(failed, "loading it once more, after its probe"));
        return false;
    }
    el_worker_promote(fresh->hosted->worker);
    ready(load, fresh);
    return false;
}
