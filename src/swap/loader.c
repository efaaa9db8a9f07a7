/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a load:
 *
 *     STARTING  workers open the version; `auto` starts OpenVINO and TensorFlow side by side, since both are
 *               needed whatever comes out
 *     PROBING   TensorFlow's worker first (its answers are the measure), then OpenVINO's on the same inputs
 *     WARMING   the records that the version brings along, on the engine that was chosen; on TensorFlow if they do not run on OpenVINO
 *     ASKING    only if a pass failed or was not finite: is the serving version any better on these inputs?
 *     GOLDEN    the requests with known answers that the version brings along
 *     REPLAYING what clients asked the serving version lately
 *     MEASURING latency beside the serving version, at normal priority
 *     RENEWING  only if a run changes what later ones see: the worker that was probed is thrown away, and another one
 *               serves, whose first run is a client's
 *
 * A worker that dies at any step but the other engine's ends the load.
 */
#include "swap/loader.h"

#include "base/clock.h"
#include "swap/compatibility.h"
#include "swap/engine_choice.h"
#include "swap/hosted.h"
#include "swap/loader_state.h"
#include "swap/manager.h"
#include "swap/version.h"
#include "swap/view.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TENSORFLOW "tensorflow"
#define OPENVINO "openvino"

static struct el_swap *swap_of(const struct el_load *load)
{
    return load->version->model->swap;
}

static const struct el_update_config *update_of(const struct el_load *load)
{
    return &load->version->model->settings.update;
}

static bool is_in(const struct el_attempt *attempt)
{
    return attempt->hosted != NULL && attempt->failed == NULL;
}

static void on_event(struct el_hosted *hosted, const struct el_worker_event *event, void *owner)
{
    (void)hosted;
    struct el_attempt *attempt = owner;
    attempt->decided = true;
    switch (event->type) {
    case EL_WORKER_LOADED:
        attempt->load_ms = event->load_ms;
        break;
    case EL_WORKER_FAILED:
    case EL_WORKER_DIED:
        if (attempt->failed == NULL)
            attempt->failed = el_status_copy(event->status);
        if (event->type == EL_WORKER_FAILED && el_status_code(event->status) == EL_DEADLINE_EXCEEDED)
            attempt->failed = el_status_prefix(attempt->failed, "loading took too long (load_timeout_ms)");
        break;
    case EL_WORKER_GONE:
        attempt->hosted = NULL;
        if (attempt->failed == NULL)
            attempt->failed = el_status_new(EL_UNAVAILABLE, "its worker ended");
        break;
    }
}

/* Idle priority is for the sake of those who answer: with nobody there, a load is only slower for it. */
static bool anything_serves(const struct el_swap *swap)
{
    struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        if (el_model_serving(model) != NULL)
            return true;
    }
    return false;
}

void el_attempt_start(struct el_load *load, struct el_attempt *attempt, const char *engine)
{
    *attempt = (struct el_attempt){ .load = load, .engine = engine };
    const bool idle = anything_serves(swap_of(load)) && !el_swap_starts(swap_of(load));
    attempt->failed = el_hosted_start(load->version, engine, idle, on_event, attempt, &attempt->hosted);
    attempt->decided = attempt->failed != NULL;
}

static void start_attempt(struct el_load *load, const char *engine)
{
    el_attempt_start(load, &load->attempts[load->attempt_count++], engine);
}

static void start_engines(struct el_load *load)
{
    if (strcmp(load->engine, "auto") != 0) {
        start_attempt(load, load->engine);
    } else {
        start_attempt(load, TENSORFLOW);
        if (load->version->state_op == NULL) /* OpenVINO makes constants of variables */
            start_attempt(load, OPENVINO);
    }
}

void el_load_begin(struct el_version *version)
{
    struct el_load *load = calloc(1, sizeof *load);
    if (load == NULL) {
        el_version_load_failed(version, el_status_no_memory());
        return;
    }
    load->version = version;
    version->load = load;
    version->model->swap->loads++;
    snprintf(load->engine, sizeof load->engine, "%s", update_of(load)->engine);
    el_quiet_begin(load);
    version->memory_before = el_hosted_resident_bytes(version->model);
    version->memory_peak = 0;
    el_load_note(load);
    el_model_touch(version->model);
}

static void end_attempt(struct el_attempt *attempt)
{
    el_probe_free(attempt->probe);
    if (attempt->hosted != NULL)
        el_hosted_kill(attempt->hosted, el_status_new(EL_CANCELLED, "its version is not loaded any further"));
    el_status_free(attempt->failed);
}

/* While the worker is there; the one that serves goes on to count by itself. */
static void note_peak(struct el_load *load)
{
    for (unsigned i = 0; i < load->attempt_count; i++) {
        const struct el_hosted *hosted = load->attempts[i].hosted;
        const uint64_t peak = hosted != NULL && !hosted->dead ? el_worker_peak_bytes(hosted->worker) : 0;
        if (peak > load->version->memory_peak)
            load->version->memory_peak = peak;
    }
}

void el_load_end(struct el_load *load)
{
    if (load == NULL)
        return;
    struct el_swap *swap = swap_of(load);
    swap->loads--;
    el_load_unnote(load);
    note_peak(load);
    for (unsigned i = 0; i < load->attempt_count; i++)
        end_attempt(&load->attempts[i]);
    end_attempt(&load->fresh);
    el_warmup_free(load->warmup);
    el_warmup_free(load->golden_run);
    el_golden_free(&load->golden);
    el_replay_free(load->replay);
    el_quiet_free(load);
    el_probe_free(load->serving_probe);
    el_latency_free(load->latency);
    el_status_free(load->measure_failed);
    if (load->serving != NULL)
        el_servable_disown(load->serving, &swap->lingering);
    el_buf_free(&load->warning);
    el_model_touch(load->version->model);
    free(load);
}

const struct el_hosted *el_load_hosted(const struct el_load *load)
{
    for (unsigned i = 0; load != NULL && i < load->attempt_count; i++)
        if (load->attempts[i].hosted != NULL)
            return load->attempts[i].hosted;
    return load != NULL ? load->fresh.hosted : NULL;
}

static void set_engine_reason(struct el_version *version, const char *text)
{
    free(version->engine_reason);
    version->engine_reason = strdup(text);
}

/* ---- STARTING ---- */

/* The text begins with the engine's name where the engine itself, not the version, is what is missing. */
static bool is_missing_engine(const struct el_attempt *attempt)
{
    char start[80];
    int size = snprintf(start, sizeof start, "engine %s:", attempt->engine);
    return el_status_code(attempt->failed) == EL_FAILED_PRECONDITION &&
           strncmp(el_status_text(attempt->failed), start, (size_t)size) == 0;
}

/* Why nothing is left to go on with; NULL: something is. */
static struct el_status *loading_failed(const struct el_load *load)
{
    const struct el_attempt *first = &load->attempts[0], *second = &load->attempts[1];
    if (load->attempt_count == 1)
        return el_status_copy(first->failed);
    if (first->failed == NULL || (is_missing_engine(first) && second->failed == NULL))
        return NULL;
    if (!is_missing_engine(first))
        return el_status_copy(first->failed); /* TensorFlow is the measure: what it cannot load is not loaded */
    return el_status_new(el_status_code(second->failed), "%s (and %s)", el_status_text(second->failed),
                         el_status_text(first->failed));
}

static bool tick_starting(struct el_load *load)
{
    /* auto, with the one engine that keeps state missing: better the other one than none. */
    if (load->attempt_count == 1 && strcmp(load->engine, "auto") == 0 && load->attempts[0].decided &&
        load->attempts[0].failed != NULL && is_missing_engine(&load->attempts[0]))
        start_attempt(load, OPENVINO);
    for (unsigned i = 0; i < load->attempt_count; i++)
        if (!load->attempts[i].decided)
            return false;
    struct el_status *failed = loading_failed(load);
    if (failed != NULL) {
        el_version_load_failed(load->version, failed);
        return false;
    }
    double load_ms = 0;
    for (unsigned i = 0; i < load->attempt_count; i++)
        if (is_in(&load->attempts[i]) && load->attempts[i].load_ms > load_ms)
            load_ms = load->attempts[i].load_ms;
    load->version->load_ms = load_ms;
    el_version_move(load->version, EL_LIFE_PASS, NULL, "loaded", "in %.0f ms", load_ms);
    load->step = EL_LOAD_PROBING;
    return true;
}

/* ---- PROBING ---- */

static void on_probed(struct el_probe *probe, void *argument)
{
    struct el_attempt *attempt = argument;
    (void)probe;
    attempt->probed = true;
    el_model_touch(attempt->load->version->model);
}

static void start_probe(struct el_load *load, struct el_attempt *attempt)
{
    const struct el_attempt *first = &load->attempts[0];
    bool follow = attempt != first && first->probe != NULL && is_in(first);
    const struct el_probe_options options = {
        .model = load->version->model,
        .worker = attempt->hosted->worker,
        .signatures = el_worker_signatures(attempt->hosted->worker),
        .timeout_ms = update_of(load)->probe_timeout_ms,
        .kill = true,
        .nothing = load->attempt_count == 1 && el_load_mode(load, EL_CHECK_RUNS) == EL_CHECK_OFF &&
                   el_load_mode(load, EL_CHECK_SANE) == EL_CHECK_OFF,
        .like = follow ? first->probe : NULL,
        .like_signatures = follow ? el_worker_signatures(first->hosted->worker) : NULL,
        .done = on_probed,
        .argument = attempt,
    };
    attempt->failed = el_probe_start(&options, &attempt->probe);
}

struct el_judged el_attempt_judged(const struct el_attempt *attempt)
{
    struct el_judged result = { .signatures = el_worker_signatures(attempt->hosted->worker) };
    result.passes = el_probe_passes(attempt->probe, &result.pass_count);
    result.partial = strcmp(attempt->load->engine, "auto") != 0 && strcmp(attempt->engine, TENSORFLOW) != 0;
    return result;
}

/* The engine that serves, with the reason in the version's engine_reason; NULL: the load has failed with *failed. */
static struct el_attempt *choose(struct el_load *load, struct el_status **failed)
{
    struct el_attempt *first = &load->attempts[0], *second = &load->attempts[1];
    struct el_version *version = load->version;
    char text[1200];
    *failed = NULL;
    if (load->attempt_count == 1 && strcmp(load->engine, "auto") == 0) {
        snprintf(text, sizeof text, "a run changes what later ones see (%s): only " TENSORFLOW " keeps that",
                 version->state_op);
    } else if (load->attempt_count == 1) {
        snprintf(text, sizeof text, "asked for");
    } else if (is_in(first) && is_in(second)) {
        struct el_buf reason = { 0 };
        struct el_judged fast = el_attempt_judged(second), measure = el_attempt_judged(first);
        bool agree = el_engines_agree(OPENVINO, &fast, &measure, update_of(load)->tolerance, &reason);
        snprintf(text, sizeof text, "%.*s", (int)reason.size, reason.data != NULL ? (const char *)reason.data : "");
        el_buf_free(&reason);
        if (agree)
            first = second;
    } else if (is_in(first)) {
        snprintf(text, sizeof text, OPENVINO " cannot: %s", el_status_text(second->failed));
    } else if (is_missing_engine(first) && is_in(second)) {
        snprintf(text, sizeof text, TENSORFLOW " is not there to compare with: %s", el_status_text(first->failed));
        first = second;
    }
    if (!is_in(first)) {
        *failed = el_status_copy(first->failed);
        return NULL;
    }
    set_engine_reason(version, text);
    snprintf(version->engine, sizeof version->engine, "%s", first->engine);
    version->load_ms = first->load_ms;
    return first;
}

/* Who serves now is who the new one is compared with. */
static void find_serving(struct el_load *load)
{
    struct el_version *serving = el_model_serving(load->version->model);
    if (serving == NULL || serving == load->version || !serving->servable->has_signatures)
        return;
    load->serving = serving->servable;
    el_servable_own(load->serving);
}

/* The engine is known: the other one's worker may go, and what clients ask today must be understood. */
static struct el_status *settle_engine(struct el_load *load)
{
    struct el_version *version = load->version;
    const struct el_attempt *chosen = load->chosen;
    assert(chosen != NULL); /* or its probe would not have ended well */
    for (unsigned i = 0; i < load->attempt_count; i++) {
        struct el_attempt *other = &load->attempts[i];
        if (other == chosen)
            continue;
        el_hosted_leave(other->hosted, 0);
        other->hosted = NULL;
    }
    EL_TRY(el_servable_learn(version->servable, el_worker_signatures(chosen->hosted->worker)));
    version->servable->keeps_state = version->state_op != NULL;
    el_model_changed(version->model);
    find_serving(load);
    if (load->serving == NULL)
        return NULL;
    return el_load_found(load, EL_CHECK_FITS,
                         el_compatible(&load->serving->signatures, load->serving->version,
                                       &version->servable->signatures, version->number));
}

static bool tick_probing(struct el_load *load, uint64_t now_ns)
{
    while (load->probing < load->attempt_count) {
        struct el_attempt *attempt = &load->attempts[load->probing];
        if (is_in(attempt) && attempt->probe == NULL)
            start_probe(load, attempt);
        if (attempt->probe != NULL && !attempt->probed) {
            el_probe_tick(attempt->probe, now_ns);
            if (!attempt->probed)
                return false;
        }
        /* Its worker died or was killed: the event that says of what is on its way. */
        if (is_in(attempt) && el_probe_broken(attempt->probe) != NULL)
            return false;
        load->probing++;
    }
    struct el_status *failed;
    load->chosen = choose(load, &failed);
    if (load->chosen == NULL) {
        el_version_load_failed(load->version, failed);
        return false;
    }
    load->step = EL_LOAD_WARMING;
    return true;
}

static bool tick_warming(struct el_load *load, uint64_t now_ns)
{
    if (!el_load_warm(load, now_ns))
        return false;
    struct el_status *failed = settle_engine(load);
    if (failed != NULL) {
        el_version_load_failed(load->version, failed);
        return false;
    }
    load->step = EL_LOAD_ASKING;
    return true;
}

void el_load_tick(struct el_version *version, uint64_t now_ns)
{
    bool more = true;
    while (more && version->load != NULL) {
        struct el_load *load = version->load;
        if (load->chosen != NULL && load->chosen->failed != NULL && load->step != EL_LOAD_WARMING &&
            load->step != EL_LOAD_RENEWING) {
            el_version_load_failed(version, el_status_copy(load->chosen->failed));
            return;
        }
        switch (load->step) {
        case EL_LOAD_NOTING:
            more = load->note == NULL;
            if (more) {
                start_engines(load);
                load->step = EL_LOAD_STARTING;
            }
            break;
        case EL_LOAD_STARTING:
            more = tick_starting(load);
            break;
        case EL_LOAD_PROBING:
            more = tick_probing(load, now_ns);
            break;
        case EL_LOAD_WARMING:
            more = tick_warming(load, now_ns);
            break;
        case EL_LOAD_ASKING:
            more = el_load_ask(load, now_ns);
            break;
        case EL_LOAD_GOLDEN:
            more = el_load_check_golden(load, now_ns);
            break;
        case EL_LOAD_REPLAYING:
            more = el_load_replay(load, now_ns);
            break;
        case EL_LOAD_MEASURING:
            more = el_load_measure(load, now_ns);
            break;
        case EL_LOAD_RENEWING:
            more = el_load_renew(load);
            break;
        }
    }
}
