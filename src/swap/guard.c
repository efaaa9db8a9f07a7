/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/guard.h"

#include "base/clock.h"
#include "swap/group.h"
#include "swap/guard_judge.h"
#include "swap/manager.h"
#include "swap/remember.h"
#include "swap/retry.h"
#include "swap/rollout.h"
#include "swap/signals.h"
#include "swap/twins.h"
#include "swap/version.h"
#include "swap/view.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW_NS (500 * EL_NS_PER_MS)
#define MEMORY_NS (2 * EL_NS_PER_S)

/* A version's counters at one moment. */
struct mark {
    uint64_t requests, faults, checked, non_finite, confirmed;
};

/* How many answers there were, and slow ones among them; a request whose deadline came counts as one that is as slow as it had become. */
struct pace {
    uint64_t answers, slow;
};

struct el_guard {
    int64_t old; /* the version to compare with */
    uint64_t began_ns;
    int64_t began_us;
    struct mark start;         /* of the version itself, which may have answered before, by its number */
    struct el_guard_seen seen; /* what is held against what */
    uint64_t slow_ns;          /* UINT64_MAX: no answer is slow */
    struct pace window;        /* when it began */
    uint64_t late_before;      /* of the version, when the guard began */
    uint64_t window_ns, next_memory_ns;
    uint32_t crashes;
    bool helpless; /* it was told that there is nothing to go back to */
};

static const struct el_update_config *update_of(const struct el_version *version)
{
    return &version->model->settings.update;
}

static struct el_guard_limits limits_of(const struct el_version *version)
{
    const struct el_update_config *update = update_of(version);
    return (struct el_guard_limits){ .max_error_rate = update->guard_max_error_rate,
                                     .max_non_finite_rate = update->guard_max_non_finite_rate,
                                     .max_latency_ratio = update->guard_max_latency_ratio,
                                     .max_memory_ratio = update->guard_max_memory_ratio };
}

static bool is_on(const struct el_model *model)
{
    const struct el_update_config *update = &model->settings.update;
    return update->guard_ms > 0 && update->keep_warm_ms > 0;
}

static uint64_t value(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct mark mark_of(const struct el_version *version)
{
    const struct el_version_stats *stats = &version->servable->stats;
    return (struct mark){ .requests = value(&stats->requests) + value(&stats->again),
                          .faults = value(&stats->faults),
                          .checked = value(&stats->checked),
                          .non_finite = value(&stats->non_finite),
                          .confirmed = value(&stats->confirmed) };
}

/* Counters are read one after the other while they grow. */
static struct el_guard_counts counts(uint64_t all, uint64_t bad)
{
    return (struct el_guard_counts){ .all = all > bad ? all : bad, .bad = bad };
}

/* Another version that can answer at once. Not the same bytes under another number: they would do the same. */
static const struct el_version *way_back(const struct el_version *version)
{
    const struct el_version *other;
    el_list_each (other, &version->model->versions, in_model) {
        if (other != version && other->hosted != NULL && !el_are_twins(version, other) &&
            (other->state == EL_LIFE_WARM || other->state == EL_LIFE_SERVING))
            return other;
    }
    return NULL;
}

void el_guard_watch(struct el_version *version)
{
    enum el_watch watch = EL_WATCH_NOT;
    if (version->guard != NULL || el_rollout_watches(version))
        watch = EL_WATCH_ALL;
    else if (version->state == EL_LIFE_SERVING && is_on(version->model))
        watch = EL_WATCH_SOME;
    atomic_store_explicit(&version->servable->watch, (uint8_t)watch, memory_order_relaxed);
}

void el_guard_free(struct el_guard *guard)
{
    free(guard);
}

static void end(struct el_version *version)
{
    el_guard_free(version->guard);
    version->guard = NULL;
    el_guard_watch(version);
    el_model_changed(version->model);
    el_model_touch(version->model); /* what was kept warm for it may go */
}

/* ---- what is measured ---- */

static uint64_t slower_than(const struct el_histogram *histogram, uint64_t ns)
{
    const uint64_t all = value(&histogram->count), fast = el_histogram_at_most(histogram, ns);
    return all > fast ? all - fast : 0;
}

/* Given up sooner than that says nothing: the client had no more time. */
static struct pace pace_of(const struct el_version *version, uint64_t slow_ns)
{
    const struct el_version_stats *stats = &version->servable->stats;
    const uint64_t answers = value(&stats->latency.count), late = slower_than(&stats->late, slow_ns);
    return (struct pace){ .answers = answers + late, .slow = slower_than(&stats->latency, slow_ns) + late };
}

static void begin_window(const struct el_version *version, struct el_guard *guard, uint64_t now_ns)
{
    guard->window = pace_of(version, guard->slow_ns);
    guard->window_ns = now_ns;
}

static void look_at_window(const struct el_version *version, struct el_guard *guard, uint64_t now_ns)
{
    const struct el_version_stats *stats = &version->servable->stats;
    if (guard->slow_ns == UINT64_MAX || now_ns - guard->window_ns < WINDOW_NS)
        return;
    const struct pace now = pace_of(version, guard->slow_ns);
    const uint64_t more = now.slow > guard->window.slow ? now.slow - guard->window.slow : 0;
    guard->seen.p99_ns = el_histogram_quantile(&stats->latency, 0.99);
    guard->seen.late = slower_than(&stats->late, guard->slow_ns) - guard->late_before;
    if (el_guard_window(&guard->seen.windows, now.answers - guard->window.answers, more))
        begin_window(version, guard, now_ns);
}

static void look_at_memory(const struct el_version *version, struct el_guard *guard, uint64_t now_ns)
{
    if (version->hosted == NULL || now_ns < guard->next_memory_ns)
        return;
    guard->next_memory_ns = now_ns + MEMORY_NS;
    guard->seen.memory = el_worker_taken_bytes(version->hosted->worker);
    if (guard->seen.memory_at_start == 0)
        guard->seen.memory_at_start = guard->seen.memory;
}

static void measure(const struct el_version *version, struct el_guard *guard, uint64_t now_ns)
{
    const struct mark now = mark_of(version), *start = &guard->start;
    struct el_guard_seen *seen = &guard->seen;
    seen->seconds = (double)(now_ns - guard->began_ns) / 1e9;
    seen->errors = counts(now.requests - start->requests, now.faults - start->faults);
    seen->non_finite = counts(now.checked - start->checked, now.non_finite - start->non_finite);
    seen->confirmed = now.confirmed - start->confirmed;
    look_at_window(version, guard, now_ns);
    look_at_memory(version, guard, now_ns);
}

/* ---- its life ---- */

/* What answered before; where that was taken back itself, what would be gone back to. */
static const struct el_version *to_compare_with(const struct el_version *version)
{
    const struct el_version *before = el_version_find(version->model, version->model->told_serving);
    const bool answers = before != NULL && before != version && before->hosted != NULL &&
                         (before->state == EL_LIFE_WARM || before->state == EL_LIFE_SERVING);
    return answers ? before : way_back(version);
}

void el_guard_begin(struct el_version *version, uint64_t now_ns)
{
    struct el_model *model = version->model;
    const struct el_version *old = to_compare_with(version);
    if (!is_on(model) || version->guard != NULL || old == NULL || way_back(version) == NULL ||
        el_remember_pins(version))
        return;
    struct el_guard *guard = calloc(1, sizeof *guard);
    if (guard == NULL)
        return;
    const struct mark before = mark_of(old);
    const struct el_guard_limits limits = limits_of(version);
    const struct el_histogram *latency = &old->servable->stats.latency;
    *guard = (struct el_guard){ .old = old->number, .began_ns = now_ns, .began_us = el_calendar_us() };
    guard->start = mark_of(version);
    guard->seen.old_version = old->number;
    guard->seen.old_errors = counts(before.requests, before.faults);
    guard->seen.old_non_finite = counts(before.checked, before.non_finite);
    if (value(&latency->count) >= EL_GUARD_BASE_ANSWERS)
        guard->seen.old_p99_ns = el_histogram_quantile(latency, 0.99);
    guard->slow_ns = el_guard_slow_ns(&limits, guard->seen.old_p99_ns);
    guard->late_before = slower_than(&version->servable->stats.late, guard->slow_ns);
    begin_window(version, guard, now_ns);
    version->guard = guard;
    version->on_trial = true;
    el_guard_watch(version);
    el_model_changed(model);
    el_model_alarm(model, now_ns + WINDOW_NS);
}

static void stand(struct el_version *version)
{
    const struct el_guard_seen *seen = &version->guard->seen;
    if (seen->errors.all == 0)
        el_tell(version->model->swap, EL_LOG_INFO, "guarded", version->model, version,
                "nobody asked it anything in %.3g s, so there is nothing against it", seen->seconds);
    else
        el_tell(version->model->swap, EL_LOG_INFO, "guarded", version->model, version,
                "good: of %llu answers in %.3g s %llu failed and %llu were not finite; of version %lld before %llu of "
                "%llu failed",
                (unsigned long long)seen->errors.all, seen->seconds, (unsigned long long)seen->errors.bad,
                (unsigned long long)seen->non_finite.bad, (long long)seen->old_version,
                (unsigned long long)seen->old_errors.bad, (unsigned long long)seen->old_errors.all);
    version->on_trial = false;
    end(version);
    el_group_remember_good(version);
}

/* True if it was taken back. why is taken over. */
static bool take_back(struct el_version *version, struct el_status *why, enum el_rollback_reason reason,
                      bool of_content)
{
    struct el_guard *guard = version->guard;
    if (way_back(version) == NULL) {
        if (!guard->helpless)
            el_tell(version->model->swap, EL_LOG_ERROR, "guard_helpless", version->model, version,
                    "no other version is there to go back to: %s", el_status_text(why));
        guard->helpless = true;
        el_status_free(why);
        return false;
    }
    el_guard_free(guard);
    version->guard = NULL; /* but it is watched as before: what it still runs is asked again elsewhere, too */
    el_model_roll_back(version->model, version, why, reason, of_content);
    return true;
}

void el_guard_tick(struct el_version *version, uint64_t now_ns)
{
    struct el_guard *guard = version->guard;
    struct el_model *model = version->model;
    if (guard == NULL)
        return;
    if (version->state != EL_LIFE_SERVING || !is_on(model) || model->removed || el_remember_pins(version)) {
        end(version); /* another one answers, or nobody wants to know; it is no more the last good one for that */
        return;
    }
    measure(version, guard, now_ns);
    const struct el_guard_limits limits = limits_of(version);
    enum el_rollback_reason reason;
    struct el_status *why = el_guard_judge(&limits, &guard->seen, &reason);
    const bool of_content = reason == EL_ROLLBACK_ERRORS || reason == EL_ROLLBACK_NON_FINITE;
    if (why != NULL && take_back(version, why, reason, of_content))
        return;
    const uint64_t end_ns = el_after_ns(guard->began_ns, update_of(version)->guard_ms * EL_NS_PER_MS);
    if (now_ns >= end_ns && why == NULL)
        stand(version);
    else if (now_ns >= end_ns)
        end(version); /* bad, but the best that there is */
    else
        el_model_alarm(model, end_ns < now_ns + WINDOW_NS ? end_ns : now_ns + WINDOW_NS);
}

bool el_guard_is_innocent(const struct el_version *version, const struct el_version *back, const struct el_status *why)
{
    if (el_remember_pins(version) || el_retry_may_help(why, false)) /* killed from outside: it is not to blame */
        return true;
    /* The same request may end that one, too, and it could not be started again. */
    return back != NULL && el_model_seen(version->model, back->number) == NULL;
}

bool el_guard_on_death(struct el_version *version, const struct el_status *why)
{
    struct el_guard *guard = version->guard;
    if (guard == NULL || el_guard_is_innocent(version, way_back(version), why))
        return false;
    measure(version, guard, el_now_ns());
    if (++guard->crashes <= update_of(version)->guard_max_crashes)
        return false;
    const bool hung = el_status_code(why) == EL_DEADLINE_EXCEEDED;
    return take_back(version,
                     el_status_new(EL_FAILED_PRECONDITION,
                                   "its process %s, after %llu answers in the %.3g s that it answers everybody (%u "
                                   "times; %u are allowed, guard_max_crashes): %s",
                                   hung ? "hung" : "crashed", (unsigned long long)guard->seen.errors.all,
                                   guard->seen.seconds, guard->crashes, update_of(version)->guard_max_crashes,
                                   el_status_text(why)),
                     hung ? EL_ROLLBACK_HANGS : EL_ROLLBACK_CRASHES, true);
}

bool el_guard_keeps(const struct el_version *version)
{
    const struct el_version *other;
    el_list_each (other, &version->model->versions, in_model) {
        if (other->guard != NULL && other->guard->old == version->number)
            return true;
    }
    return false;
}

int64_t el_guard_until_us(const struct el_version *version)
{
    const struct el_guard *guard = version->guard;
    return guard != NULL ? guard->began_us + (int64_t)update_of(version)->guard_ms * 1000 : 0;
}

void el_guard_wake(struct el_swap *swap)
{
    if (!atomic_exchange_explicit(&swap->guard_woken, false, memory_order_relaxed))
        return;
    struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        const struct el_version *version;
        el_list_each (version, &model->versions, in_model) {
            if (version->guard != NULL || version->rollout != NULL)
                el_model_touch(model);
        }
    }
}
