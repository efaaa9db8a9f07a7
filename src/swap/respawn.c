/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/respawn.h"

#include "base/clock.h"
#include "swap/digest.h"
#include "swap/guard.h"
#include "swap/hosted.h"
#include "swap/local_copy.h"
#include "swap/manager.h"
#include "swap/probe_judge.h"
#include "swap/remember.h"
#include "swap/request.h"
#include "swap/retry.h"
#include "swap/rollout.h"
#include "swap/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_DELAY_NS (100 * EL_NS_PER_MS)
#define LONGEST_DELAY_NS (10 * EL_NS_PER_S)
#define HEALTHY_NS (60 * EL_NS_PER_S) /* a worker that lived so long starts the count again */
#define TRIAL_NS (60 * EL_NS_PER_S)   /* after becoming SERVING */
#define TRIAL_DEATHS 3                /* within the trial, with a WARM version to go back to */
#define HANGS 2                       /* runs that never end, one soon after the other, with another version there */
#define HANG_MEMORY_NS (600 * EL_NS_PER_S) /* what lies further back is forgotten */
#define BRIEF_NS (1 * EL_NS_PER_S)         /* a life that counts as none */
#define BRIEF_LIVES 5                      /* in a row, with another version to load */

struct el_respawn {
    struct el_version *version;
    unsigned tried;           /* replacements since the last healthy life */
    unsigned brief;           /* lives in a row that were none */
    uint64_t hosted_ns;       /* when the last worker took over */
    uint64_t due_ns;          /* when the next replacement starts; EL_NEVER_NS: not waiting */
    struct el_hosted *hosted; /* the replacement under way */
    struct el_probe *probe;
    bool loaded, probed, changed;
    bool adopted, asked; /* other files lie there than when the last worker was loaded; their digest was asked for */
    bool condemned, differs; /* they are quarantined; they have other signatures */
    bool failing;            /* the last replacement did not come to answer */
    bool proved; /* changed files of a version that keeps state were probed, in a worker that is thrown away */
    struct el_status *failed;
};

uint64_t el_respawn_delay_ns(unsigned n)
{
    if (n == 0)
        return 0;
    if (n > 7)
        return LONGEST_DELAY_NS;
    uint64_t delay = FIRST_DELAY_NS << (n - 1);
    return delay < LONGEST_DELAY_NS ? delay : LONGEST_DELAY_NS;
}

void el_respawn_end(struct el_respawn *respawn)
{
    if (respawn == NULL)
        return;
    el_probe_free(respawn->probe);
    el_hosted_kill(respawn->hosted, el_status_new(EL_CANCELLED, "its version needs no worker any more"));
    el_status_free(respawn->failed);
    free(respawn);
}

/* Waits for the next try. */
static void schedule(struct el_respawn *respawn)
{
    respawn->due_ns = el_after_ns(el_now_ns(), el_respawn_delay_ns(respawn->tried));
    el_model_alarm(respawn->version->model, respawn->due_ns);
    el_model_touch(respawn->version->model);
}

static struct el_respawn *respawn_of(struct el_version *version)
{
    if (version->respawn == NULL) {
        version->respawn = calloc(1, sizeof *version->respawn);
        if (version->respawn != NULL) {
            version->respawn->version = version;
            version->respawn->due_ns = EL_NEVER_NS;
            version->respawn->hosted_ns = version->served_ns;
        }
    }
    return version->respawn;
}

/* True if the version was given up. */
static bool give_up(struct el_version *version, struct el_respawn *respawn, const struct el_status *why)
{
    uint64_t now = el_now_ns();
    bool trial = version->trial_deaths >= TRIAL_DEATHS && now - version->served_ns < TRIAL_NS &&
                 el_model_has_warm(version->model);
    bool other = el_model_has_other(version->model, version->number);
    bool brief = respawn->brief >= BRIEF_LIVES && other;
    bool hung = version->hangs >= HANGS && (other || el_model_has_warm(version->model));
    if (!trial && !brief && !hung)
        return false;
    el_model_roll_back(version->model, version,
                       el_status_new(EL_UNAVAILABLE, "its workers keep %s (%u times); the last one: %s",
                                     hung ? "hanging" : "dying",
                                     hung    ? version->hangs
                                     : trial ? version->trial_deaths
                                             : respawn->brief,
                                     el_status_text(why)),
                       hung ? EL_ROLLBACK_HANGS : EL_ROLLBACK_CRASHES,
                       hung || !el_retry_may_help(why, false)); /* who is killed from outside is not to blame */
    return true;
}

/* A worker that was killed for what goes on beyond its time: a run that hung. */
static void count_hang(struct el_version *version, const struct el_status *why)
{
    if (el_status_code(why) != EL_DEADLINE_EXCEEDED)
        return;
    const uint64_t now = el_now_ns();
    version->hangs = version->hangs > 0 && now - version->hung_ns < HANG_MEMORY_NS ? version->hangs + 1 : 1;
    version->hung_ns = now;
}

static void on_death(struct el_version *version, const struct el_status *why)
{
    struct el_swap *swap = version->model->swap;
    atomic_store_explicit(&version->servable->worker, NULL, memory_order_release);
    version->hosted = NULL;
    el_model_changed(version->model);
    el_model_touch(version->model);
    atomic_fetch_add_explicit(&version->servable->stats.worker_deaths, 1, memory_order_relaxed);
    el_tell(swap, EL_LOG_ERROR, "worker_died", version->model, version, "%s", el_status_text(why));
    if (version->state != EL_LIFE_SERVING) {
        if (version->state == EL_LIFE_WARM)
            el_version_retire(version, "its worker died while it was kept warm");
        else if (version->state == EL_LIFE_READY)
            el_version_quarantine(version, el_status_copy(why));
        return;
    }
    if (el_guard_on_death(version, why) || el_rollout_on_death(version, why))
        return;
    struct el_respawn *respawn = respawn_of(version);
    if (respawn == NULL) {
        el_model_alarm(version->model, el_after_ns(el_now_ns(), FIRST_DELAY_NS)); /* no memory: the tick tries again */
        return;
    }
    uint64_t lived_ns = el_now_ns() - respawn->hosted_ns;
    if (lived_ns >= HEALTHY_NS)
        respawn->tried = 0;
    respawn->brief = lived_ns < BRIEF_NS ? respawn->brief + 1 : 0;
    version->trial_deaths++;
    count_hang(version, why);
    if (!give_up(version, respawn, why)) {
        el_version_set_reason(version, el_status_text(why));
        schedule(respawn);
    }
}

void el_respawn_on_event(struct el_hosted *hosted, const struct el_worker_event *event, void *owner)
{
    struct el_version *version = owner;
    if (event->type == EL_WORKER_LOADED)
        return;
    hosted->owner = NULL; /* whatever comes after its death is nobody's business */
    struct el_status *unknown = NULL;
    if (event->status == NULL)
        unknown = el_status_new(EL_UNAVAILABLE, "its worker ended");
    on_death(version, event->status != NULL ? event->status : unknown);
    el_status_free(unknown);
}

/* ---- a replacement ---- */

static void on_replacement_event(struct el_hosted *hosted, const struct el_worker_event *event, void *owner)
{
    (void)hosted;
    struct el_respawn *respawn = owner;
    if (event->type == EL_WORKER_LOADED) {
        respawn->loaded = true;
        return;
    }
    if (respawn->failed == NULL)
        respawn->failed = event->status != NULL ? el_status_copy(event->status)
                                                : el_status_new(EL_UNAVAILABLE, "its worker ended");
    if (event->type == EL_WORKER_GONE)
        respawn->hosted = NULL;
}

/* True if the files on disk are not those that were probed when this life began. */
static bool files_changed(const struct el_version *version)
{
    const struct el_source_version *seen = el_model_seen(version->model, version->number);
    return seen != NULL && !version->from_copy && seen->fingerprint != version->fingerprint;
}

/* Unchanged files answer as they did; changed ones must stand the whole probe, but for the comparison with themselves. */
static struct el_status *judge(const struct el_respawn *respawn, const struct el_probe *probe)
{
    struct el_judged judged = { .signatures = &respawn->version->servable->signatures };
    const struct el_judged none = { 0 };
    struct el_buf warning = { 0 };
    judged.partial = strcmp(respawn->version->engine, "tensorflow") != 0;
    judged.passes = el_probe_passes(probe, &judged.pass_count);
    if (el_probe_broken(probe) != NULL)
        return el_status_copy(el_probe_broken(probe));
    if (respawn->changed) {
        const enum el_check_mode *modes = respawn->version->model->settings.update.probe.modes;
        struct el_status *status = NULL;
        if (modes[EL_CHECK_RUNS] == EL_CHECK_REFUSE)
            status = el_probe_judge_runs(&judged, &none, &warning);
        if (status == NULL && modes[EL_CHECK_SANE] == EL_CHECK_REFUSE)
            status = el_probe_judge_sane(&judged, &none);
        el_buf_free(&warning);
        return status;
    }
    /* A model that refuses made-up inputs answered, as one does whose first signature its engine cannot run: that is all that
     * is asked for here. */
    const enum el_code code = judged.pass_count > 0 ? el_status_code(judged.passes[0].status) : EL_OK;
    if (code != EL_OK && code != EL_INVALID_ARGUMENT && code != EL_UNIMPLEMENTED)
        return el_status_copy(judged.passes[0].status);
    return NULL;
}

static void on_probed(struct el_probe *probe, void *argument)
{
    struct el_respawn *respawn = argument;
    respawn->probed = true;
    if (respawn->failed == NULL)
        respawn->failed = judge(respawn, probe);
    el_model_touch(respawn->version->model);
}

static void start(struct el_respawn *respawn)
{
    struct el_version *version = respawn->version;
    respawn->due_ns = EL_NEVER_NS;
    if (respawn->failing)
        el_local_copy_rescue(version);
    respawn->tried++;
    respawn->loaded = respawn->probed = false;
    respawn->failed = el_hosted_start(version, version->engine, false, on_replacement_event, respawn, &respawn->hosted);
}

/*
 * Other files lie there than this life began with. It goes on with them only if their content may answer, and from then on it is this
 * content that is held to be good or bad. False: that is not known yet.
 */
static bool adopt_files(struct el_respawn *respawn, uint64_t now_ns)
{
    struct el_version *version = respawn->version;
    const struct el_source_version *seen = el_model_seen(version->model, version->number);
    if (seen == NULL || seen->state == EL_SOURCE_BAD || version->from_copy)
        return true; /* the load will say so */
    if (files_changed(version) && el_local_copy_rescue(version))
        return true;
    if (seen->state != EL_SOURCE_WHOLE) {
        el_model_alarm(version->model, el_after_ns(now_ns, EL_NS_PER_S));
        return false;
    }
    if (seen->fingerprint != version->fingerprint) {
        version->fingerprint = seen->fingerprint;
        version->bytes = seen->bytes;
        respawn->adopted = true;
        respawn->asked = false;
    }
    if (version->digest[0] != '\0' && version->digest_of == version->fingerprint) {
        respawn->asked = false;
        respawn->failed = respawn->adopted ? el_remember_verdict(version) : NULL;
        respawn->condemned = respawn->failed != NULL;
        return true;
    }
    if (respawn->asked && version->digesting == NULL) {
        respawn->asked = false;
        respawn->failed = el_status_new(EL_UNAVAILABLE, "the files in %s cannot be read", version->path);
        return true;
    }
    respawn->asked = respawn->asked || !el_digest_known(version);
    return false;
}

static void start_probe(struct el_respawn *respawn)
{
    struct el_version *version = respawn->version;
    if (files_changed(version)) {
        respawn->failed = el_status_new(EL_ABORTED, "the files in %s changed while they were loaded", version->path);
        return;
    }
    respawn->changed = respawn->adopted;
    /* The files may have been replaced since: a worker that offers something else does not continue this life. */
    respawn->failed = el_servable_expect(version->servable, el_worker_signatures(respawn->hosted->worker),
                                         version->path);
    if (respawn->failed != NULL) {
        respawn->differs = respawn->adopted;
        return;
    }
    if (version->servable->keeps_state && (!respawn->changed || respawn->proved)) {
        respawn->probed = true; /* a run would leave something behind; that it loads is all that is asked for */
        return;
    }
    const struct el_probe_options options = {
        .model = version->model,
        .worker = respawn->hosted->worker,
        .signatures = &version->servable->signatures,
        .timeout_ms = version->model->settings.update.probe_timeout_ms,
        .kill = true,
        .first_only = !respawn->changed,
        .done = on_probed,
        .argument = respawn,
    };
    respawn->failed = el_probe_start(&options, &respawn->probe);
}

static void take_over(struct el_respawn *respawn)
{
    struct el_version *version = respawn->version;
    struct el_hosted *hosted = respawn->hosted;
    respawn->hosted = NULL;
    respawn->proved = respawn->failing = respawn->adopted = false;
    respawn->hosted_ns = el_now_ns();
    el_worker_promote(hosted->worker);
    el_version_host(version, hosted);
    el_version_set_reason(version, "");
    atomic_fetch_add_explicit(&version->servable->stats.restarts, 1, memory_order_relaxed);
    el_tell(version->model->swap, EL_LOG_INFO, "respawned", version->model, version, "try %u, process %lld",
            respawn->tried, (long long)el_worker_pid(hosted->worker));
    el_loops_wake(version->model->swap);
}

/*
 * The files of this life are gone, and those in their place may not answer (they are quarantined) or have other signatures: nothing can
 * bring it back. Where they may answer, a new life begins with them, by the whole way. respawn is gone afterwards.
 */
static void end_life(struct el_respawn *respawn, struct el_status *why)
{
    struct el_version *version = respawn->version;
    struct el_model *model = version->model;
    if (respawn->condemned) {
        el_model_roll_back(model, version, why, EL_ROLLBACK_CRASHES, false);
        return;
    }
    char text[512];
    snprintf(text, sizeof text, "%s; with them it begins anew", el_status_text(why));
    el_status_free(why);
    el_version_move(version, EL_LIFE_UNROUTE, NULL, NULL, " ");
    el_version_retire(version, text);
    model->hold = true; /* for those: what they are is found out at once */
    model->swap->routed = true;
}

static void fail(struct el_respawn *respawn)
{
    struct el_version *version = respawn->version;
    struct el_status *why = respawn->failed;
    respawn->failed = NULL;
    if (respawn->condemned || respawn->differs) {
        el_hosted_kill(respawn->hosted, el_status_new(EL_CANCELLED, "its files are other ones now"));
        respawn->hosted = NULL;
        end_life(respawn, why);
        return;
    }
    el_tell(version->model->swap, EL_LOG_ERROR, "respawn_failed", version->model, version, "try %u: %s", respawn->tried,
            el_status_text(why));
    el_hosted_kill(respawn->hosted, el_status_new(EL_CANCELLED, "it is replaced by another"));
    respawn->hosted = NULL;
    respawn->proved = false;
    respawn->brief++;
    respawn->failing = true;
    el_local_copy_rescue(version); /* it is looked for until the next try */
    if (!give_up(version, respawn, why)) {
        el_version_set_reason(version, el_status_text(why));
        schedule(respawn);
    }
    el_status_free(why);
}

void el_respawn_tick(struct el_version *version, uint64_t now_ns)
{
    struct el_respawn *respawn = version->respawn;
    if (version->state != EL_LIFE_SERVING || version->hosted != NULL)
        return;
    if (respawn == NULL) {
        respawn = respawn_of(version);
        if (respawn == NULL)
            return;
        schedule(respawn);
    }
    if (respawn->hosted == NULL && respawn->failed == NULL) {
        if (now_ns < respawn->due_ns) {
            el_model_alarm(version->model, respawn->due_ns);
            return;
        }
        if (!adopt_files(respawn, now_ns))
            return;
        if (respawn->failed == NULL)
            start(respawn);
        else
            respawn->tried++;
    }
    if (respawn->failed == NULL && respawn->loaded && respawn->probe == NULL)
        start_probe(respawn);
    if (respawn->failed == NULL && respawn->probe != NULL && !respawn->probed)
        el_probe_tick(respawn->probe, now_ns);
    if (respawn->failed == NULL && !respawn->probed)
        return;
    const bool ran = respawn->probe != NULL;
    el_probe_free(respawn->probe);
    respawn->probe = NULL;
    if (respawn->failed == NULL && ran && version->servable->keeps_state) {
        el_hosted_kill(respawn->hosted, el_status_new(EL_CANCELLED, "it was there for the probe"));
        respawn->proved = true;
        start(respawn);
        el_model_touch(version->model);
    } else if (respawn->failed == NULL)
        take_over(respawn);
    else
        fail(respawn);
}
