/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/rollout_judge.h"

#include <math.h>
#include <stdio.h>

#define LARGEST_SHARE 0.999

/* What it takes in one step. */
static double enough(const struct el_rollout_seen *seen)
{
    return log((seen->steps > 0 ? seen->steps : 1) / EL_ROLLOUT_ALPHA);
}

static bool is_worse_than(double limit, struct el_guard_counts counts, const struct el_rollout_seen *seen)
{
    return counts.bad > 0 && el_guard_evidence(counts, limit) >= enough(seen);
}

static bool is_worse_than_old(uint64_t new_bad, uint64_t old_bad, const struct el_rollout_seen *seen)
{
    if (seen->share <= 0)
        return true; /* it was asked what the old one answered well */
    const struct el_guard_counts bad = { .all = new_bad + old_bad, .bad = new_bad };
    return is_worse_than(fmin(seen->share, LARGEST_SHARE), bad, seen);
}

static struct el_status *judge_rate(const char *what, const char *setting, double limit, struct el_guard_counts counts,
                                    uint64_t old_bad, const struct el_rollout_seen *seen)
{
    if (limit < 0 || !is_worse_than(limit, counts, seen) || !is_worse_than_old(counts.bad, old_bad, seen))
        return NULL;
    char old[128];
    snprintf(old, sizeof old, "of version %lld in the same time %llu of %llu", (long long)seen->old_version,
             (unsigned long long)old_bad, (unsigned long long)seen->old.answers);
    return el_status_new(EL_FAILED_PRECONDITION,
                         "%llu of its %llu answers %s in %.3g s of its rollout, %s; beyond doubt more than that, and "
                         "than the %.3g %% that are allowed (%s)",
                         (unsigned long long)counts.bad, (unsigned long long)counts.all, what, seen->seconds,
                         seen->share > 0 ? old : "to copies of requests that the old version has answered well",
                         100 * limit, setting);
}

static struct el_status *judge_latency(const struct el_rollout_limits *limits, const struct el_rollout_seen *seen)
{
    if (limits->max_latency_ratio < 0 || !is_worse_than(EL_GUARD_WINDOW_RATE, seen->windows, seen))
        return NULL;
    char p99[96] = "";
    if (seen->share > 0) /* copies are counted by spells only */
        snprintf(p99, sizeof p99, "; p99 of the two: %.3g ms and %.3g ms", (double)seen->p99_ns / 1e6,
                 (double)seen->old_p99_ns / 1e6);
    return el_status_new(
        EL_FAILED_PRECONDITION,
        "too slow: in %llu of %llu spells of its rollout more than %g %% of its answers took longer than "
        "%.3g ms, %.3g times the p99 of version %lld, and those of version %lld did not%s "
        "(guard_max_latency_ratio)",
        (unsigned long long)seen->windows.bad, (unsigned long long)seen->windows.all, 100 * EL_GUARD_WINDOW_SLOW,
        (double)seen->slow_ns / 1e6, limits->max_latency_ratio, (long long)seen->old_version,
        (long long)seen->old_version, p99);
}

static struct el_status *judge_drift(const struct el_rollout_limits *limits, const struct el_rollout_seen *seen)
{
    if (limits->min_agreement >= 0 && is_worse_than(1 - limits->min_agreement, seen->differs, seen))
        return el_status_new(EL_FAILED_PRECONDITION,
                             "%llu of its %llu answers have their highest score elsewhere than version %lld's to the "
                             "same; beyond doubt more than the %.3g %% that are allowed (rollout.min_agreement)",
                             (unsigned long long)seen->differs.bad, (unsigned long long)seen->differs.all,
                             (long long)seen->old_version, 100 * (1 - limits->min_agreement));
    if (limits->max_drift >= 0 && is_worse_than(EL_ROLLOUT_DRIFT_RATE, seen->drifted, seen))
        return el_status_new(EL_FAILED_PRECONDITION,
                             "%llu of its %llu answers differ from version %lld's to the same by more than %.3g on "
                             "average (rollout.max_drift)",
                             (unsigned long long)seen->drifted.bad, (unsigned long long)seen->drifted.all,
                             (long long)seen->old_version, limits->max_drift);
    return NULL;
}

bool el_rollout_window(struct el_guard_counts *windows, struct el_guard_counts new_slow,
                       struct el_guard_counts old_slow)
{
    struct el_guard_counts new_ = { 0 }, old = { 0 };
    if (!el_guard_window(&new_, new_slow.all, new_slow.bad) || !el_guard_window(&old, old_slow.all, old_slow.bad))
        return false;
    windows->all++;
    windows->bad += new_.bad > old.bad;
    return true;
}

struct el_status *el_rollout_judge(const struct el_rollout_limits *limits, const struct el_rollout_seen *seen,
                                   enum el_rollback_reason *reason)
{
    const struct el_guard_counts errors = { .all = seen->new_.answers, .bad = seen->new_.faults };
    const struct el_guard_counts non_finite = { .all = seen->new_.answers, .bad = seen->new_.non_finite };
    *reason = EL_ROLLBACK_ERRORS;
    struct el_status *why = judge_rate("failed", "guard_max_error_rate", limits->max_error_rate, errors,
                                       seen->old.faults, seen);
    if (why == NULL) {
        *reason = EL_ROLLBACK_NON_FINITE;
        why = judge_rate("held NaN or infinity", "guard_max_non_finite_rate", limits->max_non_finite_rate, non_finite,
                         seen->old.non_finite, seen);
    }
    if (why == NULL) {
        *reason = EL_ROLLBACK_LATENCY;
        why = judge_latency(limits, seen);
    }
    if (why == NULL) {
        *reason = EL_ROLLBACK_DRIFT;
        why = judge_drift(limits, seen);
    }
    return why;
}
