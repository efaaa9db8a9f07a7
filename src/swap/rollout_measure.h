/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_ROLLOUT_MEASURE_H
#define EL_SWAP_ROLLOUT_MEASURE_H

/* What both versions do in a step of a rollout: counters at its start and now, and windows for latency. rollout.c's own; swap thread. */

#include "config/rollout_config.h"
#include "swap/rollout_judge.h"
#include "swap/shadow.h"
#include "swap/state.h"

#define EL_ROLLOUT_LOOK_NS (500 * EL_NS_PER_MS)

/* Counters of one version, and its answers when the window began. */
struct el_rollout_mark {
    struct el_rollout_arm arm;
    uint64_t answers; /* of its latency histogram */
    uint64_t slow;
};

struct el_rollout {
    struct el_rollout_config config; /* as it was when it began */
    int64_t old;                     /* the version to compare with */
    uint32_t step;
    enum el_rollout_wait waits;
    char text[512]; /* for what, for people; "": it is measured */
    int64_t began_us, step_us;
    uint64_t step_ns;
    struct el_rollout_arm start[2]; /* at the start of the step, of the new one and the old one */
    uint64_t slow_ns;               /* UINT64_MAX: no answer is slow */
    struct el_rollout_mark window[2];
    uint64_t window_ns;
    struct el_guard_counts windows;
    struct el_shadow *shadow; /* owned; NULL: not in shadow */
    uint32_t crashes;
    bool promoted; /* the next look leads everybody to it */
};

/* The step begins. */
void el_rollout_measure_begin(struct el_version *version, const struct el_version *old, uint64_t now_ns);

void el_rollout_measure(struct el_version *version, const struct el_version *old, uint32_t steps, double share,
                        uint64_t now_ns, struct el_rollout_seen *seen);

struct el_rollout_limits el_rollout_limits_of(const struct el_version *version);

#endif
