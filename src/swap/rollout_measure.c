/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/rollout_measure.h"

#include "base/clock.h"

static uint64_t value(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static struct el_rollout_arm arm_of(const struct el_version *version)
{
    const struct el_version_stats *stats = &version->servable->stats;
    return (struct el_rollout_arm){ .answers = value(&stats->rollout.answers),
                                    .faults = value(&stats->rollout.faults),
                                    .non_finite = value(&stats->rollout.non_finite) };
}

/* Counters are read one after the other while they grow. */
static struct el_rollout_arm since(const struct el_version *version, const struct el_rollout_arm *start)
{
    const struct el_rollout_arm now = arm_of(version);
    struct el_rollout_arm arm = { .faults = now.faults - start->faults,
                                  .non_finite = now.non_finite - start->non_finite };
    arm.answers = value(&version->servable->stats.rollout.answers) - start->answers; /* last: bad ones are among them */
    if (arm.answers < arm.faults + arm.non_finite)
        arm.answers = arm.faults + arm.non_finite;
    return arm;
}

struct el_rollout_limits el_rollout_limits_of(const struct el_version *version)
{
    const struct el_update_config *update = &version->model->settings.update;
    return (struct el_rollout_limits){ .max_error_rate = update->guard_max_error_rate,
                                       .max_non_finite_rate = update->guard_max_non_finite_rate,
                                       .max_latency_ratio = update->guard_max_latency_ratio,
                                       .min_agreement = update->rollout.min_agreement,
                                       .max_drift = update->rollout.max_drift };
}

/* ---- latency ---- */

static uint64_t slower_than(const struct el_histogram *histogram, uint64_t ns)
{
    const uint64_t all = value(&histogram->count), fast = el_histogram_at_most(histogram, ns);
    return all > fast ? all - fast : 0;
}

/* Given up sooner than slow_ns says nothing: the client had no more time. */
static void mark_latency(const struct el_version *version, uint64_t slow_ns, struct el_rollout_mark *mark)
{
    const struct el_version_stats *stats = &version->servable->stats;
    const uint64_t late = slower_than(&stats->late, slow_ns);
    mark->answers = value(&stats->latency.count) + late;
    mark->slow = slower_than(&stats->latency, slow_ns) + late;
}

static void begin_window(const struct el_version *version, const struct el_version *old, uint64_t now_ns)
{
    struct el_rollout *rollout = version->rollout;
    mark_latency(version, rollout->slow_ns, &rollout->window[0]);
    mark_latency(old, rollout->slow_ns, &rollout->window[1]);
    rollout->window_ns = now_ns;
}

static struct el_guard_counts in_window(const struct el_version *version, uint64_t slow_ns,
                                        const struct el_rollout_mark *before)
{
    struct el_rollout_mark now;
    mark_latency(version, slow_ns, &now);
    const uint64_t all = now.answers - before->answers;
    const uint64_t slow = now.slow > before->slow ? now.slow - before->slow : 0;
    return (struct el_guard_counts){ .all = all, .bad = slow < all ? slow : all };
}

static void look_at_window(const struct el_version *version, const struct el_version *old, uint64_t now_ns)
{
    struct el_rollout *rollout = version->rollout;
    if (rollout->slow_ns == UINT64_MAX || now_ns - rollout->window_ns < EL_ROLLOUT_LOOK_NS)
        return;
    if (el_rollout_window(&rollout->windows, in_window(version, rollout->slow_ns, &rollout->window[0]),
                          in_window(old, rollout->slow_ns, &rollout->window[1])))
        begin_window(version, old, now_ns);
}

/* ---- the step ---- */

void el_rollout_measure_begin(struct el_version *version, const struct el_version *old, uint64_t now_ns)
{
    struct el_rollout *rollout = version->rollout;
    const struct el_histogram *latency = &old->servable->stats.latency;
    const struct el_guard_limits limits = {
        .max_latency_ratio = version->model->settings.update.guard_max_latency_ratio
    };
    const uint64_t p99_ns = value(&latency->count) >= EL_GUARD_BASE_ANSWERS ? el_histogram_quantile(latency, 0.99) : 0;
    rollout->step_ns = now_ns;
    rollout->step_us = el_calendar_us();
    rollout->start[0] = arm_of(version);
    rollout->start[1] = arm_of(old);
    rollout->slow_ns = el_guard_slow_ns(&limits, p99_ns);
    rollout->windows = (struct el_guard_counts){ 0 };
    if (rollout->shadow != NULL)
        el_shadow_restart(rollout->shadow, rollout->slow_ns, now_ns);
    begin_window(version, old, now_ns);
}

void el_rollout_measure(struct el_version *version, const struct el_version *old, uint32_t steps, double share,
                        uint64_t now_ns, struct el_rollout_seen *seen)
{
    const struct el_rollout *rollout = version->rollout;
    if (rollout->shadow == NULL)
        look_at_window(version, old, now_ns);
    *seen = (struct el_rollout_seen){ .old_version = rollout->old,
                                      .seconds = (double)(now_ns - rollout->step_ns) / 1e9,
                                      .share = share,
                                      .steps = steps,
                                      .new_ = since(version, &rollout->start[0]),
                                      .old = since(old, &rollout->start[1]),
                                      .windows = rollout->windows,
                                      .slow_ns = rollout->slow_ns,
                                      .p99_ns = el_histogram_quantile(&version->servable->stats.latency, 0.99),
                                      .old_p99_ns = el_histogram_quantile(&old->servable->stats.latency, 0.99) };
    if (rollout->shadow == NULL)
        return;
    const struct el_shadow_counts *compared = el_shadow_look(rollout->shadow, now_ns);
    seen->windows = compared->windows;
    seen->differs = compared->differs;
    seen->drifted = compared->drifted;
}
