/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/guard_judge.h"

#include <math.h>

#define ALTERNATIVES 10
#define LARGEST_P 0.999999

const char *el_rollback_name(enum el_rollback_reason reason)
{
    static const char *const names[EL_ROLLBACK_REASONS] = {
        [EL_ROLLBACK_CRASHES] = "crashes",       [EL_ROLLBACK_HANGS] = "hangs",     [EL_ROLLBACK_ERRORS] = "errors",
        [EL_ROLLBACK_NON_FINITE] = "non_finite", [EL_ROLLBACK_LATENCY] = "latency", [EL_ROLLBACK_MEMORY] = "memory",
        [EL_ROLLBACK_DRIFT] = "drift",
    };
    return reason < EL_ROLLBACK_REASONS ? names[reason] : "unknown";
}

uint64_t el_guard_slow_ns(const struct el_guard_limits *limits, uint64_t old_p99_ns)
{
    if (limits->max_latency_ratio < 0 || old_p99_ns == 0)
        return UINT64_MAX;
    return (uint64_t)((double)old_p99_ns * limits->max_latency_ratio) + EL_GUARD_SLOW_FLOOR_NS;
}

bool el_guard_window(struct el_guard_counts *windows, uint64_t answers, uint64_t slow)
{
    if (answers < EL_GUARD_WINDOW_ANSWERS)
        return false;
    windows->all++;
    windows->bad += (double)slow > EL_GUARD_WINDOW_SLOW * (double)answers;
    return true;
}

double el_guard_evidence(struct el_guard_counts seen, double p0)
{
    double logs[ALTERNATIVES], largest = -HUGE_VAL, sum = 0;
    for (int i = 0; i < ALTERNATIVES; i++) {
        const double odds = p0 / (1 - p0) * exp2(i + 1);
        const double p = odds / (1 + odds);
        logs[i] = (double)seen.bad * log(p / p0) + (double)(seen.all - seen.bad) * log((1 - p) / (1 - p0));
        largest = fmax(largest, logs[i]);
    }
    for (int i = 0; i < ALTERNATIVES; i++)
        sum += exp(logs[i] - largest);
    return largest + log(sum / ALTERNATIVES);
}

/* Kullback-Leibler divergence of two coins; q below p. */
static double divergence(double q, double p)
{
    const double heads = q > 0 ? q * log(q / p) : 0, tails = q < 1 ? (1 - q) * log((1 - q) / (1 - p)) : 0;
    return heads + tails;
}

double el_guard_upper(struct el_guard_counts seen)
{
    if (seen.all == 0 || seen.bad >= seen.all)
        return 1;
    const double n = (double)seen.all, q = (double)seen.bad / n, room = log(1 / EL_GUARD_BETA);
    double low = q, high = 1;
    for (int i = 0; i < 60; i++) {
        const double middle = (low + high) / 2;
        *(n * divergence(q, middle) <= room ? &low : &high) = middle;
    }
    return high;
}

/* What a version that is no worse than the old one may do. An old one that did nothing wrong is held to the limit. */
static double allowed(double limit, struct el_guard_counts old)
{
    const double did = old.bad > 0 ? el_guard_upper(old) : 0;
    return fmin(fmax(limit, did), LARGEST_P);
}

static bool is_worse(struct el_guard_counts seen, double p0)
{
    return seen.bad > 0 && p0 < LARGEST_P && el_guard_evidence(seen, p0) >= log(1 / EL_GUARD_ALPHA);
}

static struct el_status *judge_rate(const char *what, const char *setting, double limit, struct el_guard_counts seen,
                                    struct el_guard_counts old, const struct el_guard_seen *all)
{
    const double p0 = allowed(limit, old);
    if (limit < 0 || !is_worse(seen, p0))
        return NULL;
    return el_status_new(EL_FAILED_PRECONDITION,
                         "%llu of %llu answers %s in the %.3g s that it answers everybody, of version %lld before %llu "
                         "of %llu; beyond doubt more than the %.3g %% that are allowed (%s)",
                         (unsigned long long)seen.bad, (unsigned long long)seen.all, what, all->seconds,
                         (long long)all->old_version, (unsigned long long)old.bad, (unsigned long long)old.all,
                         100 * p0, setting);
}

static struct el_status *judge_latency(const struct el_guard_limits *limits, const struct el_guard_seen *seen)
{
    if (limits->max_latency_ratio < 0 || !is_worse(seen->windows, EL_GUARD_WINDOW_RATE))
        return NULL;
    return el_status_new(
        EL_FAILED_PRECONDITION,
        "too slow: in %llu of %llu spells of half a second more than %g %% of its answers took longer "
        "than %.3g ms, %.3g times the p99 of version %lld (%.3g ms); its own p99 in %.3g s is %.3g ms, "
        "and %llu requests were not answered by their deadline (guard_max_latency_ratio)",
        (unsigned long long)seen->windows.bad, (unsigned long long)seen->windows.all, 100 * EL_GUARD_WINDOW_SLOW,
        (double)el_guard_slow_ns(limits, seen->old_p99_ns) / 1e6, limits->max_latency_ratio,
        (long long)seen->old_version, (double)seen->old_p99_ns / 1e6, seen->seconds, (double)seen->p99_ns / 1e6,
        (unsigned long long)seen->late);
}

static struct el_status *judge_memory(const struct el_guard_limits *limits, const struct el_guard_seen *seen)
{
    const double ratio = limits->max_memory_ratio, now = (double)seen->memory, before = (double)seen->memory_at_start;
    if (ratio < 0 || seen->memory == 0 || seen->memory_at_start == 0 || now <= before * ratio ||
        now <= before + (double)EL_GUARD_GROWTH_FLOOR)
        return NULL;
    return el_status_new(
        EL_RESOURCE_EXHAUSTED,
        "its process grew from %.0f MiB to %.0f MiB in the %.3g s that it answers everybody, with %llu "
        "answers; %.3g times is allowed (guard_max_memory_ratio)",
        before / (1 << 20), now / (1 << 20), seen->seconds, (unsigned long long)seen->errors.all, ratio);
}

struct el_status *el_guard_judge(const struct el_guard_limits *limits, const struct el_guard_seen *seen,
                                 enum el_rollback_reason *reason)
{
    *reason = EL_ROLLBACK_ERRORS;
    struct el_status *why = judge_rate("failed", "guard_max_error_rate", limits->max_error_rate, seen->errors,
                                       seen->old_errors, seen);
    if (why == NULL) {
        /* Of a version that was hardly asked nobody knows what it would have answered, but for what it was asked again. */
        struct el_guard_counts non_finite = seen->non_finite;
        if (seen->old_non_finite.all < EL_GUARD_BASE_ANSWERS)
            non_finite.bad = seen->confirmed;
        *reason = EL_ROLLBACK_NON_FINITE;
        why = judge_rate("held NaN or infinity", "guard_max_non_finite_rate", limits->max_non_finite_rate, non_finite,
                         seen->old_non_finite, seen);
    }
    if (why == NULL) {
        *reason = EL_ROLLBACK_LATENCY;
        why = judge_latency(limits, seen);
    }
    if (why == NULL) {
        *reason = EL_ROLLBACK_MEMORY;
        why = judge_memory(limits, seen);
    }
    return why;
}
