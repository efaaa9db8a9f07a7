/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_GUARD_JUDGE_H
#define EL_SWAP_GUARD_JUDGE_H

/*
 * The guard's verdict: is a version that answers everybody worse than the one that answered before?
 *
 * Pure; any thread, no clock, so that a simulation can drive it. The problem: the verdict is asked for after each bad answer, and a
 * bare threshold that is asked for so often is crossed by chance sooner or later. So it is a sequential test, of which the
 * probability that it *ever* condemns a good version is bounded, however often one looks and whenever one stops:
 *
 *  - H0, the version is good: an answer is bad with a probability of at most p0.
 *  - Evidence after n answers, k of them bad, is the mean of the likelihood ratios (p/p0)^k ((1-p)/(1-p0))^(n-k) over
 *    ten alternatives p, whose odds are 2, 4, ... 1024 times those of p0. Under H0 that mean is a supermartingale that begins
 *    with 1, so P(it ever reaches 1/alpha) <= alpha (J. Ville, Étude critique de la notion de collectif, 1939; as a test A. Wald,
 *    Sequential Analysis, 1947; with mixtures H. Robbins, Ann. Math. Stat. 41, 1970). No answer, no evidence.
 *  - p0 is the limit of the config; or what the old version did itself, where that is more: the upper end of a confidence interval
 *    for its rate, all p with n KL(k/n || p) <= ln(1/beta) (H. Chernoff, Ann. Math. Stat. 23, 1952).
 *
 * Answers that are slow come in bursts and are not independent; there one trial is a window of half a second.
 */

#include "base/status.h"
#include "swap/swap.h"

#define EL_GUARD_ALPHA 2e-4        /* false alarms of one of the three tests, per guard */
#define EL_GUARD_BETA 1e-4         /* that the old version's rate lies above the interval */
#define EL_GUARD_FALSE_ALARMS 1e-3 /* what all of it adds up to, rounded up: 3 ALPHA + 2 BETA */
#define EL_GUARD_BASE_ANSWERS 100  /* of the old version, before its p99 and its non-finite answers are compared with */
#define EL_GUARD_WINDOW_ANSWERS 20 /* at least, in a window */
#define EL_GUARD_WINDOW_SLOW 0.1   /* share of slow answers that makes a window slow, */
#define EL_GUARD_WINDOW_RATE 0.1   /* and of windows of a good version that are slow, at most */
#define EL_GUARD_SLOW_FLOOR_NS (2 * UINT64_C(1000000)) /* slower by less than this is not slow */
#define EL_GUARD_GROWTH_FLOOR (UINT64_C(256) << 20)    /* growth by less than this is none */

struct el_guard_counts {
    uint64_t all, bad;
};

/* Limits of the config; negative: not looked at. */
struct el_guard_limits {
    double max_error_rate, max_non_finite_rate, max_latency_ratio, max_memory_ratio;
};

/* The version under guard, since it answers everybody; and the old one, until then. */
struct el_guard_seen {
    double seconds;
    int64_t old_version;
    struct el_guard_counts errors, old_errors;
    struct el_guard_counts non_finite, old_non_finite; /* of the answers that were looked into */
    uint64_t confirmed; /* of non_finite.bad: the old version was asked the same, and its answer was finite */
    struct el_guard_counts windows; /* bad: slow */
    uint64_t p99_ns, old_p99_ns;    /* 0: not known */
    uint64_t late;                  /* requests whose deadline came when they had waited for so long that it is slow */
    uint64_t memory, memory_at_start; /* anonymous memory of its process; 0: not known */
};

/* What an answer may take before it counts as slow; UINT64_MAX: nothing to compare with. */
uint64_t el_guard_slow_ns(const struct el_guard_limits *limits, uint64_t old_p99_ns);

/* A window has ended with so many answers, so many of them slow. False: too few, it goes on. */
bool el_guard_window(struct el_guard_counts *windows, uint64_t answers, uint64_t slow);

/* The natural logarithm of the evidence. */
double el_guard_evidence(struct el_guard_counts seen, double p0);

/* The upper end of the interval for the rate behind these counts; 1 where there are none. */
double el_guard_upper(struct el_guard_counts seen);

/* NULL: nothing against it. Otherwise why it must go, with the numbers, and *reason. */
struct el_status *el_guard_judge(const struct el_guard_limits *limits, const struct el_guard_seen *seen,
                                 enum el_rollback_reason *reason) EL_MUST_USE;

#endif
