/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_LATENCY_H
#define EL_SWAP_LATENCY_H

/*
 * How fast a new version answers beside the one that serves: both are asked the
 * same in turn, so that a busy machine slows both.
 *
 * Swap thread; asynchronous: done comes once, later, unless ended before.
 */

#include "swap/probe.h"

#define EL_LATENCY_RUNS 20
#define EL_LATENCY_FLOOR_NS (2 * EL_NS_PER_MS) /* a version is never refused for being slower by less than this */

struct el_latency;

struct el_latency_result {
    uint32_t runs;           /* of each; 0: nothing could be compared */
    uint64_t new_ns, old_ns; /* p50 */
    uint64_t new_slowest_ns, old_slowest_ns;
    uint64_t fastest_ns;            /* of the new version */
    const struct el_status *failed; /* the new version failed at this; borrowed */
};

struct el_latency_options {
    struct el_model *model;
    struct el_worker *new_worker;
    struct el_servable *old; /* outlives the measurement; its worker may come and go */
    uint32_t new_index, old_index;
    const struct el_signature *new_signature; /* outlives the measurement */
    const struct el_signature *old_signature;
    struct el_probe_variant variant;
    uint32_t timeout_ms; /* one pass; the whole measurement ends early after that long, too */
    void (*done)(const struct el_latency_result *result, void *argument);
    void *argument;
};

struct el_status *el_latency_start(const struct el_latency_options *options, struct el_latency **latency) EL_MUST_USE;

/* Ends it, before or after done. NULL is allowed. */
void el_latency_free(struct el_latency *latency);

/* Called by el_manager_run(): a pass that does not end ends the measurement with what there is. */
void el_latency_tick(struct el_latency *latency, uint64_t now_ns);

/*
 * NULL, or why the new version is too slow for ratio (negative: never). Pure. Not only its median must be beyond the limit but its
 * fastest answer, too: on a busy machine the median of a worker that just started measures how long it waits for
 * a processor, and a good version refused for that would stay refused until its files change.
 */
struct el_status *el_latency_judge(const struct el_latency_result *result, double ratio) EL_MUST_USE;

/* The same for the slowest of the answers, which stands for the p99 of so few. */
struct el_status *el_latency_judge_slowest(const struct el_latency_result *result, double ratio) EL_MUST_USE;

#endif
