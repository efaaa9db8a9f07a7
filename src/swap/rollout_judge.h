/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_ROLLOUT_JUDGE_H
#define EL_SWAP_ROLLOUT_JUDGE_H

/*
 * A rollout's verdict on one step: is the new version worse than the old one, which answers beside it?
 *
 * Pure; any thread, no clock, so that a simulation can drive it. The evidence is guard_judge.h's, a sequential test that keeps its
 * false-alarm rate however often it is looked at. Here it is asked two questions, and a version is condemned when both are answered
 * beyond doubt:
 *
 *  - Does it do worse than the limit of the config? Bad answers of all of its own, against the limit.
 *  - Does it do worse than the old one in the same time? Requests are shared out by chance, the new version's share being s. If it is
 *    no worse, each bad answer, whoever gave it, is one of its own with a probability of s at most. So: bad answers of its own of all
 *    bad answers, against s. Whatever makes answers bad for a while - a network, a client, another process - does so to both, and
 *    is no evidence. For latency a trial is a window (see guard_judge.h), and it is bad where the new version is slow and the old one is not.
 *
 * In shadow both answer the same requests, those that the old one has answered well; only the first question is left.
 *
 * Each step is judged by itself, and shares EL_ROLLOUT_ALPHA with the others. A test that condemns at alpha / steps in each step
 * condemns a good version in a whole rollout with a probability of alpha at most.
 */

#include "swap/guard_judge.h"

#define EL_ROLLOUT_ALPHA 2e-4        /* false alarms of one of the four tests, per rollout */
#define EL_ROLLOUT_FALSE_ALARMS 1e-3 /* of all of them, rounded up */
#define EL_ROLLOUT_DRIFT_RATE 0.1    /* of answers that may differ by more than max_drift */

/* What one version did in a step, of the requests that were shared out. Bad answers: guard.h says which they are. */
struct el_rollout_arm {
    uint64_t answers, faults, non_finite;
};

struct el_rollout_limits {
    double max_error_rate, max_non_finite_rate, max_latency_ratio; /* negative: not looked at, as the next */
    double min_agreement, max_drift;
};

struct el_rollout_seen {
    int64_t old_version;
    double seconds;
    double share;   /* of the requests that go to the new version, above 0; 0: in shadow */
    uint32_t steps; /* of the rollout */
    struct el_rollout_arm new_, old;
    struct el_guard_counts windows;          /* of both; bad: the new one was slow and the old one was not */
    uint64_t slow_ns, p99_ns, old_p99_ns;    /* slow: beyond that; 0: not known */
    struct el_guard_counts differs, drifted; /* answers of both to the same; bad: another top-1; beyond max_drift */
};

/* A window has ended. False: one of the two has answered too little, it goes on. */
bool el_rollout_window(struct el_guard_counts *windows, struct el_guard_counts new_slow,
                       struct el_guard_counts old_slow);

/* NULL: nothing against it. Otherwise why it must go, with the numbers, and *reason. */
struct el_status *el_rollout_judge(const struct el_rollout_limits *limits, const struct el_rollout_seen *seen,
                                   enum el_rollback_reason *reason) EL_MUST_USE;

#endif
