/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/version.h"

#include "base/clock.h"
#include "bundle/saved_model.h"
#include "swap/digest.h"
#include "swap/guard.h"
#include "swap/hosted.h"
#include "swap/load_stats.h"
#include "swap/loader.h"
#include "swap/remember.h"
#include "swap/respawn.h"
#include "swap/retry.h"
#include "swap/rollout.h"
#include "swap/trigger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct el_version *el_version_find(const struct el_model *model, int64_t number)
{
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (version->number == number)
            return version;
    }
    return NULL;
}

static void insert(struct el_model *model, struct el_version *version)
{
    struct el_version *other;
    el_list_each (other, &model->versions, in_model) {
        if (other->number < version->number)
            break;
    }
    el_list_add_before(&version->in_model, &other->in_model);
}

/* What the life before of the same number leaves behind; it is freed. */
static void inherit(struct el_version *version, struct el_version *ended)
{
    if (ended->fingerprint == version->fingerprint)
        version->load_tries = ended->load_tries;
    if (ended->digest_of == version->fingerprint) {
        memcpy(version->digest, ended->digest, sizeof version->digest);
        version->digest_of = ended->digest_of;
    }
    el_load_stats_inherit(version, ended);
    el_trigger_begin(version, ended);
    el_version_free(ended);
}

struct el_version *el_version_new(struct el_model *model, const struct el_source_version *seen)
{
    struct el_version *version = calloc(1, sizeof *version);
    struct el_servable *servable = el_servable_new(seen->version);
    char *path = strdup(seen->path);
    if (version == NULL || servable == NULL || path == NULL) {
        free(version);
        free(servable);
        free(path);
        return NULL;
    }
    version->model = model;
    version->servable = servable;
    version->number = seen->version;
    version->path = path;
    version->fingerprint = seen->fingerprint;
    version->whole_since_ns = seen->whole_since_ns;
    version->bytes = seen->bytes;
    struct el_version *ended = el_version_find(model, seen->version);
    if (ended != NULL)
        inherit(version, ended);
    else
        el_trigger_begin(version, NULL);
    version->state = EL_LIFE_NEW;
    version->since_us = el_calendar_us();
    version->moved_ns = el_now_ns();
    version->isolation = strcmp(model->settings.update.isolation, "none") == 0 ? "none" : "process";
    insert(model, version);
    el_model_changed(model);
    el_tell(model->swap, EL_LOG_INFO, "version_seen", model, version, "%s", version->path);
    return version;
}

void el_version_free(struct el_version *version)
{
    struct el_swap *swap = version->model->swap;
    el_list_remove(&version->in_model);
    el_load_end(version->load);
    el_respawn_end(version->respawn);
    el_digest_abandon(version->digesting);
    el_guard_free(version->guard);
    el_rollout_free(version->rollout);
    if (version->hosted != NULL)
        el_hosted_leave(version->hosted, swap->options.drain_grace_ms);
    el_servable_disown(version->servable, &swap->lingering);
    free(version->path);
    free(version->reason);
    free(version->engine_reason);
    free(version->probe);
    free(version->disturbed);
    free(version->said);
    free(version->state_op);
    el_model_changed(version->model);
    free(version);
}

bool el_version_is_over(const struct el_version *version)
{
    return version->state == EL_LIFE_END || version->state == EL_LIFE_QUARANTINED;
}

bool el_version_is_gone(const struct el_version *version)
{
    return version->state == EL_LIFE_END && version->hosted == NULL && !version->deferring;
}

void el_version_set_reason(struct el_version *version, const char *text)
{
    if (strcmp(version->reason != NULL ? version->reason : "", text) == 0)
        return;
    free(version->reason);
    version->reason = text[0] != '\0' ? strdup(text) : NULL;
    el_model_changed(version->model);
}

bool el_version_move(struct el_version *version, enum el_life_event event, struct el_status *why, const char *tell,
                     const char *format, ...)
{
    struct el_swap *swap = version->model->swap;
    enum el_life_state before = version->state;
    if (!el_life_step(&version->state, event)) {
        el_tell(swap, EL_LOG_ERROR, "illegal_move", version->model, version, "%s is not allowed in state %s",
                el_life_event_name(event), el_life_name(before));
        el_status_free(why);
        return false;
    }
    version->since_us = el_calendar_us();
    el_load_stats_moved(version, before);
    /* Of a version that failed, the status goes on to tell why when its files are gone. */
    if (before != EL_LIFE_QUARANTINED || version->state != EL_LIFE_END) {
        version->code = el_status_code(why);
        el_version_set_reason(version, el_status_text(why));
    }
    el_status_free(why);
    el_model_changed(version->model);
    el_model_touch(version->model);
    if (tell != NULL) {
        char text[3072];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        el_tell(swap, version->state == EL_LIFE_QUARANTINED ? EL_LOG_WARNING : EL_LOG_INFO, tell, version->model,
                version, "%s", text);
    }
    return true;
}

void el_version_host(struct el_version *version, struct el_hosted *hosted)
{
    version->hosted = hosted;
    hosted->on_event = el_respawn_on_event;
    hosted->owner = version;
    /* Release: a loop that loads the pointer sees the worker ready, and what the servable learned of it. */
    atomic_store_explicit(&version->servable->worker, hosted->worker, memory_order_release);
    el_model_changed(version->model);
    el_model_touch(version->model);
}

static void on_drained(struct el_hosted *hosted, const struct el_worker_event *event, void *owner)
{
    (void)hosted;
    struct el_version *version = owner;
    if (event->type != EL_WORKER_GONE)
        return;
    version->hosted = NULL;
    atomic_store_explicit(&version->servable->worker, NULL, memory_order_relaxed); /* no reader comes here any more */
    el_model_changed(version->model);
    el_model_touch(version->model);
    if (version->state == EL_LIFE_DRAINING)
        el_version_move(version, EL_LIFE_IDLE, NULL, "ended", "its worker is gone");
}

/* No reader sees a view that leads here any more. */
static void stop_worker(void *argument)
{
    struct el_version *version = argument;
    version->deferring = false;
    el_reservoir_stop(
        version->servable->reservoir); /* its figures go on being told for a while; what it was asked is of no use */
    el_model_touch(version->model);
    if (version->hosted != NULL) {
        if (!version->hosted->dead)
            el_worker_stop(version->hosted->worker, version->model->swap->options.drain_grace_ms);
    } else if (version->state == EL_LIFE_DRAINING) {
        el_version_move(version, EL_LIFE_IDLE, NULL, "ended", "it had no worker");
    }
}

void el_version_drain(struct el_version *version)
{
    struct el_swap *swap = version->model->swap;
    el_respawn_end(version->respawn);
    version->respawn = NULL;
    if (version->hosted != NULL) {
        version->hosted->on_event = on_drained;
        version->hosted->owner = version;
    }
    if (version->deferring)
        return;
    version->deferring = true;
    el_model_changed(version->model);
    el_swap_defer(swap, &version->deferred, stop_worker, version);
}

static void end_load(struct el_version *version)
{
    el_load_end(version->load);
    version->load = NULL;
}

/* A client that is told so knows that asking again is of no use. */
static bool lasts(enum el_code code)
{
    return code == EL_FAILED_PRECONDITION || code == EL_INVALID_ARGUMENT || code == EL_OUT_OF_RANGE ||
           code == EL_UNIMPLEMENTED;
}

void el_version_quarantine(struct el_version *version, struct el_status *why)
{
    end_load(version);
    struct el_status *copy = el_status_copy(why);
    const size_t said = el_saved_model_said(el_status_text(copy));
    if (said > 0) {
        free(version->said);
        version->said = strndup(el_status_text(copy), said);
    }
    version->refused = version->state >= EL_LIFE_PROBING && lasts(el_status_code(copy));
    if (el_version_move(version, EL_LIFE_FAIL, why, "quarantined", "%s", el_status_text(copy)))
        el_version_drain(version);
    el_status_free(copy);
}

void el_version_load_failed(struct el_version *version, struct el_status *why)
{
    struct el_swap *swap = version->model->swap;
    const uint32_t most = swap->options.max_load_retries;
    const bool gone = el_retry_files_are_gone(why);
    const bool may_help = el_retry_may_help(why, el_retry_machine_is_busy());
    if (!gone && (version->load_tries >= most || !may_help)) {
        if (!may_help && el_status_code(why) != EL_RESOURCE_EXHAUSTED) /* how much it may take, the config says */
            el_remember_bad(version, why, "everlit");
        el_version_quarantine(version, why);
        return;
    }
    version->load_tries++;
    const uint64_t now_ns = el_now_ns();
    const uint64_t delay_ns = el_retry_delay_ns(version->load_tries, swap->options.load_retry_interval_ms,
                                                (uint32_t)(now_ns >> 10));
    char count[48] = "";
    if (!gone)
        snprintf(count, sizeof count, " (retry %u of %u)", version->load_tries, most);
    struct el_status *told = el_status_new(el_status_code(why), "%s; it is loaded again in %.1f s%s",
                                           el_status_text(why), (double)delay_ns / 1e9, count);
    el_status_free(why);
    el_version_quarantine(version, told);
    version->retry_ns = el_after_ns(now_ns, delay_ns);
    el_model_alarm(version->model, version->retry_ns);
}

void el_version_retire(struct el_version *version, const char *why)
{
    enum el_life_state before = version->state;
    end_load(version);
    if (!el_version_move(version, EL_LIFE_RETIRE, NULL, before == EL_LIFE_QUARANTINED ? "released" : "retired", "%s",
                         why))
        return;
    if (version->state == EL_LIFE_DRAINING)
        el_version_drain(version);
}
