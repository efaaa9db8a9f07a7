/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/rollout.h"

#include "base/clock.h"
#include "swap/guard.h"
#include "swap/manager.h"
#include "swap/remember.h"
#include "swap/rollout_judge.h"
#include "swap/rollout_measure.h"
#include "swap/version.h"
#include "swap/view.h"
#include "swap/wishes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct el_rollout_config *config_of(const struct el_model *model)
{
    return &model->settings.update.rollout;
}

static uint32_t step_count(const struct el_rollout_config *config)
{
    return config->mode == EL_ROLLOUT_SHADOW ? 1 : config->step_count;
}

/* Of the requests that name no version. */
static uint32_t percent_of(const struct el_rollout *rollout)
{
    return rollout->config.mode == EL_ROLLOUT_SHADOW ? 0 : rollout->config.percents[rollout->step];
}

struct el_version *el_rollout_of(const struct el_model *model)
{
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (version->rollout != NULL)
            return version;
    }
    return NULL;
}

bool el_rollout_watches(const struct el_version *version)
{
    const struct el_version *new_ = el_rollout_of(version->model);
    return new_ != NULL && (new_ == version ||
                            (new_->rollout->config.mode == EL_ROLLOUT_CANARY && new_->rollout->old == version->number));
}

void el_rollout_free(struct el_rollout *rollout)
{
    if (rollout != NULL)
        el_shadow_free(rollout->shadow);
    free(rollout);
}

/* ---- words ---- */

static void name_step(const struct el_rollout *rollout, char *to, size_t size)
{
    if (rollout->config.mode == EL_ROLLOUT_SHADOW)
        snprintf(to, size, "shadow, copies of %u %% of the requests", rollout->config.shadow_percent);
    else
        snprintf(to, size, "step %u of %u, %u %% of the requests", rollout->step + 1, step_count(&rollout->config),
                 percent_of(rollout));
}

static void tell_step(const struct el_version *version)
{
    const struct el_rollout *rollout = version->rollout;
    char step[128];
    name_step(rollout, step, sizeof step);
    el_tell(version->model->swap, EL_LOG_INFO, "rollout_step", version->model, version,
            "%s that name no version, beside version %" PRId64 "; for %.3g s and %u answers of both at least%s", step,
            rollout->old, (double)rollout->config.step_ms / 1000, rollout->config.step_requests,
            rollout->config.manual ? ", and then until `everlit promote`" : "");
}

/* ---- steps ---- */

static void watch_others(const struct el_version *version)
{
    struct el_version *other;
    el_list_each (other, &version->model->versions, in_model) {
        if (other != version && other->state == EL_LIFE_SERVING)
            el_guard_watch(other);
    }
}

static void begin_step(struct el_version *version, uint32_t step, uint64_t now_ns)
{
    struct el_rollout *rollout = version->rollout;
    struct el_model *model = version->model;
    rollout->step = step;
    rollout->waits = EL_ROLLOUT_MEASURES;
    rollout->text[0] = '\0';
    el_rollout_measure_begin(version, el_version_find(model, rollout->old), now_ns);
    model->swap->routed = true;
    el_model_changed(model);
    el_model_touch(model);
    tell_step(version);
}

/* Without memory nothing is copied, and the step finds nothing to measure. */
static void cast_shadow(struct el_version *version)
{
    struct el_rollout *rollout = version->rollout;
    const struct el_version *old = el_version_find(version->model, rollout->old);
    el_shadow_free(rollout->shadow);
    rollout->shadow = NULL;
    if (rollout->config.mode == EL_ROLLOUT_SHADOW)
        rollout->shadow = el_shadow_new(version, old->servable, rollout->config.shadow_percent);
}

/* From the first step on, beside whichever version answers now. */
static void begin_anew(struct el_version *version, uint64_t now_ns)
{
    struct el_rollout *rollout = version->rollout;
    rollout->config = *config_of(version->model);
    rollout->old = el_model_serving(version->model)->number;
    rollout->crashes = 0;
    cast_shadow(version);
    el_guard_watch(version);
    watch_others(version);
    begin_step(version, 0, now_ns);
}

bool el_rollout_is_due(const struct el_version *version)
{
    const struct el_model *model = version->model;
    const struct el_version *old = el_model_serving(model);
    if (config_of(model)->mode == EL_ROLLOUT_ALL_AT_ONCE || version->state != EL_LIFE_READY || old == NULL ||
        old->number > version->number || el_remember_pins(version))
        return false;
    return model->resumed || !el_swap_starts(model->swap); /* at the start nobody has been answered yet */
}

void el_rollout_begin(struct el_version *version, uint64_t now_ns)
{
    struct el_rollout *rollout = calloc(1, sizeof *rollout);
    if (rollout == NULL) {
        el_tell(version->model->swap, EL_LOG_ERROR, "rollout_promoted", version->model, version,
                "there is no memory for its rollout: it answers everybody at once");
        return;
    }
    version->newly_routed = false; /* nobody is led from one to the other yet */
    rollout->began_us = el_calendar_us();
    version->rollout = rollout; /* and so it is not what el_model_serving() is, although it is SERVING */
    begin_anew(version, now_ns);
}

static void count_end(struct el_model *model, enum el_rollout_end end)
{
    model->counts.rollouts[end]++;
}

static void end(struct el_version *version, enum el_rollout_end how)
{
    el_rollout_free(version->rollout);
    version->rollout = NULL;
    count_end(version->model, how);
    watch_others(version); /* what it still runs goes on to be asked again elsewhere */
    version->model->swap->routed = true;
    el_model_changed(version->model);
    el_model_touch(version->model);
}

static void promote(struct el_version *version, uint64_t now_ns, const char *why)
{
    const double seconds = (double)(el_calendar_us() - version->rollout->began_us) / 1e6;
    end(version, EL_ROLLOUT_PROMOTED);
    version->served_ns = now_ns;
    el_guard_watch(version);
    version->newly_routed = true; /* what it answered in part does not count as having answered */
    el_tell(version->model->swap, EL_LOG_INFO, "rollout_promoted", version->model, version,
            "it answers everybody, after %.3g s of its rollout: %s", seconds, why);
}

/* It stays loaded for as long as the others of the model want that. */
static void give_up(struct el_version *version, uint64_t now_ns, const char *why)
{
    struct el_model *model = version->model;
    end(version, EL_ROLLOUT_ABORTED);
    el_tell(model->swap, EL_LOG_INFO, "rollout_aborted", model, version, "%s", why);
    if (!el_version_move(version, EL_LIFE_UNROUTE, NULL, NULL, " "))
        return;
    version->warm_since_ns = now_ns;
    if (el_wish_find(model, version->number) == NULL) /* a wish decides what becomes of it */
        el_version_retire(version, why);
}

void el_rollout_taken_back(struct el_version *version, const char *why)
{
    if (version->rollout == NULL)
        return;
    end(version, EL_ROLLOUT_TAKEN_BACK);
    el_tell(version->model->swap, EL_LOG_INFO, "rollout_aborted", version->model, version, "measured: %s", why);
}

/* ---- what ends it from outside ---- */

/* All that is wanted is loaded, and it is not among it. */
static bool is_replaced(const struct el_version *version)
{
    const struct el_model *model = version->model;
    if (el_model_aspires(model, version->number))
        return false;
    const struct el_version *serving = el_model_serving(model);
    if (serving != NULL && el_remember_pins(serving))
        return true;
    for (size_t i = 0; i < model->aspired_count; i++) {
        const struct el_version *other = el_version_find(model, model->aspired[i]);
        if (other == NULL || (other->state != EL_LIFE_READY && other->state != EL_LIFE_SERVING &&
                              (other->state != EL_LIFE_WARM || other->hosted == NULL)))
            return false;
    }
    return model->aspired_count > 0;
}

static const char *why_replaced(const struct el_version *version)
{
    const struct el_model *model = version->model;
    int64_t pinned;
    if (el_remember_pin(model, &pinned) && pinned != version->number)
        return "the model is pinned to another version";
    if (el_model_seen(model, version->number) == NULL)
        return "its directory is gone";
    if (model->aspired[0] > version->number)
        return "a newer version is ready";
    return "it is not wanted any more";
}

bool el_rollout_look(struct el_model *model, uint64_t now_ns)
{
    struct el_version *version = el_rollout_of(model);
    if (version == NULL)
        return false;
    const struct el_version *old = el_model_serving(model);
    if (old == NULL && el_model_has_warm(model))
        return false; /* that one answers from now on, and the next look begins anew */
    if (version->rollout->promoted)
        promote(version, now_ns, "it was good at every step");
    else if (el_remember_pins(version))
        promote(version, now_ns, "the model is pinned to it");
    else if (old == NULL)
        promote(version, now_ns, "no other version answers any more");
    else if (is_replaced(version))
        give_up(version, now_ns, why_replaced(version));
    else if (config_of(model)->mode == EL_ROLLOUT_ALL_AT_ONCE)
        promote(version, now_ns, "by the new config there is no rollout");
    else if (old->number != version->rollout->old || !el_rollout_same(config_of(model), &version->rollout->config)) {
        begin_anew(version, now_ns);
        return false;
    } else
        return false;
    return true;
}

/* ---- measuring ---- */

static bool take_back(struct el_version *version, struct el_status *why, enum el_rollback_reason reason)
{
    if (el_model_serving(version->model) == NULL) { /* el_rollout_look() goes on from there */
        el_status_free(why);
        return false;
    }
    el_model_roll_back(version->model, version, why, reason, true);
    return true;
}

static void wait_for(struct el_version *version, enum el_rollout_wait waits, const char *event, const char *text)
{
    struct el_rollout *rollout = version->rollout;
    if (rollout->waits == waits)
        return;
    rollout->waits = waits;
    snprintf(rollout->text, sizeof rollout->text, "%s", text);
    el_tell(version->model->swap, EL_LOG_WARNING, event, version->model, version, "%s", text);
    el_model_changed(version->model);
}

static void next_step(struct el_version *version, uint64_t now_ns)
{
    struct el_rollout *rollout = version->rollout;
    if (rollout->step + 1 < step_count(&rollout->config)) {
        begin_step(version, rollout->step + 1, now_ns);
        return;
    }
    rollout->promoted = true;
    rollout->waits = EL_ROLLOUT_MEASURES;
    el_model_touch(version->model);
}

static void proceed(struct el_version *version, const struct el_rollout_seen *seen, uint64_t now_ns)
{
    struct el_rollout *rollout = version->rollout;
    const struct el_rollout_config *config = &rollout->config;
    const uint64_t took_ms = (now_ns - rollout->step_ns) / EL_NS_PER_MS;
    const uint64_t fewer = seen->new_.answers < seen->old.answers || seen->share <= 0 ? seen->new_.answers
                                                                                      : seen->old.answers;
    char text[sizeof rollout->text], step[128];
    name_step(rollout, step, sizeof step);
    if (took_ms >= config->step_ms && fewer >= config->step_requests && config->manual) {
        snprintf(text, sizeof text, "%s: good so far, it waits for `everlit promote %s` (or abort)", step,
                 version->model->settings.name);
        wait_for(version, EL_ROLLOUT_WAITS_FOR_WORD, "rollout_paused", text);
    } else if (took_ms >= config->step_ms && fewer >= config->step_requests) {
        next_step(version, now_ns);
    } else if (took_ms >= config->patience_ms && took_ms >= config->step_ms) {
        snprintf(text, sizeof text,
                 "%s: too little traffic to measure it, %" PRIu64 " and %" PRIu64 " (version %" PRId64
                 ") of %u answers in %.3g s; it goes on when there is more, or with `everlit promote %s`",
                 step, seen->new_.answers, seen->old.answers, rollout->old, config->step_requests, seen->seconds,
                 version->model->settings.name);
        wait_for(version, EL_ROLLOUT_PAUSED, "rollout_paused", text);
    }
}

void el_rollout_tick(struct el_version *version, uint64_t now_ns)
{
    struct el_rollout *rollout = version->rollout;
    const struct el_model *model = version->model;
    if (rollout == NULL)
        return;
    const struct el_version *old = el_version_find(model, rollout->old);
    if (model->removed || version->state != EL_LIFE_SERVING || old == NULL || old->state != EL_LIFE_SERVING)
        return; /* el_rollout_look() knows what follows */
    struct el_rollout_seen seen;
    el_rollout_measure(version, old, step_count(&rollout->config), percent_of(rollout) / 100.0, now_ns, &seen);
    const struct el_rollout_limits limits = el_rollout_limits_of(version);
    enum el_rollback_reason reason;
    struct el_status *why = el_rollout_judge(&limits, &seen, &reason);
    if (why != NULL && take_back(version, why, reason))
        return;
    if (!rollout->promoted)
        proceed(version, &seen, now_ns);
    el_model_alarm(version->model, now_ns + EL_ROLLOUT_LOOK_NS);
}

bool el_rollout_on_death(struct el_version *version, const struct el_status *why)
{
    struct el_rollout *rollout = version->rollout;
    const struct el_model *model = version->model;
    const struct el_version *old = el_model_serving(model);
    if (rollout == NULL || el_guard_is_innocent(version, old, why))
        return false;
    const uint32_t allowed = model->settings.update.guard_max_crashes;
    if (++rollout->crashes <= allowed)
        return false;
    const bool hung = el_status_code(why) == EL_DEADLINE_EXCEEDED;
    char step[128];
    name_step(rollout, step, sizeof step);
    return take_back(
        version,
        el_status_new(EL_FAILED_PRECONDITION,
                      "its process %s in its rollout (%s; %u times; %u are allowed, guard_max_crashes): %s",
                      hung ? "hung" : "crashed", step, rollout->crashes, allowed, el_status_text(why)),
        hung ? EL_ROLLBACK_HANGS : EL_ROLLBACK_CRASHES);
}

void el_rollout_wake(struct el_swap *swap)
{
    if (!atomic_exchange_explicit(&swap->shadow_woken, false, memory_order_relaxed))
        return;
    const struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        const struct el_version *version = el_rollout_of(model);
        if (version != NULL && version->rollout->shadow != NULL)
            el_shadow_pump(version->rollout->shadow);
    }
}

/* ---- by hand ---- */

void el_rollout_promote(struct el_version *version, bool to_the_end)
{
    if (to_the_end)
        version->rollout->promoted = true;
    else
        next_step(version, el_now_ns());
    el_model_touch(version->model);
}

/* ---- shown ---- */

struct el_rollout_view el_rollout_show(const struct el_model *model)
{
    const struct el_version *version = model->removed ? NULL : el_rollout_of(model);
    const struct el_version *old = version != NULL ? el_version_find(model, version->rollout->old) : NULL;
    if (old == NULL)
        return (struct el_rollout_view){ .version = -1, .old = -1, .text = "", .header = "" };
    const struct el_rollout *rollout = version->rollout;
    const struct el_rollout_config *config = &rollout->config;
    const uint32_t percent = percent_of(rollout);
    return (struct el_rollout_view){
        .version = version->number,
        .old = rollout->old,
        .mode = config->mode,
        .step = rollout->step + 1,
        .steps = step_count(config),
        .percent = config->mode == EL_ROLLOUT_SHADOW ? config->shadow_percent : percent,
        .manual = config->manual != 0,
        .waits = rollout->waits,
        .text = rollout->text,
        .began_us = rollout->began_us,
        .step_us = rollout->step_us,
        .step_ms = config->step_ms,
        .step_requests = config->step_requests,
        .before = { rollout->start[0].answers, rollout->start[1].answers },
        .stats = { &version->servable->stats, &old->servable->stats },
        .share = (uint32_t)(((uint64_t)percent << 32) / 100),
        .sticky = config->sticky,
        .header = config->header,
    };
}
