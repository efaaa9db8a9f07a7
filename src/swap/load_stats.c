/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/load_stats.h"

#include "base/clock.h"

#define FIRST_EDGE_NS 10000.0
#define GROWTH 1.8

/* Only the swap thread writes. */
static void grow(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

static uint64_t value(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void record(struct el_load_times *times, uint64_t ns, unsigned limits)
{
    unsigned i = 0;
    for (double edge = FIRST_EDGE_NS; i < limits && (double)ns >= edge; i++)
        edge *= GROWTH;
    grow(&times->buckets[i], 1);
    grow(&times->sum_us, ns / EL_NS_PER_US);
}

void el_load_stats_moved(struct el_version *version, enum el_life_state before)
{
    const uint64_t now = el_now_ns(), took_ns = now - version->moved_ns;
    struct el_load_stats *stats = &version->servable->stats.loads;
    struct el_model_counts *counts = &version->model->counts;
    version->moved_ns = now;
    atomic_store_explicit(&stats->state_us[before], took_ns / EL_NS_PER_US, memory_order_relaxed);
    const bool failed = version->state == EL_LIFE_QUARANTINED;
    counts->quarantined += failed;
    switch (before) {
    case EL_LIFE_VERIFYING:
        grow(&stats->failed, failed);
        break;
    case EL_LIFE_LOADING:
        if (version->state == EL_LIFE_DRAINING)
            break; /* not wanted any more */
        grow(failed ? &stats->failed : &stats->good, 1);
        grow(&stats->took_us, took_ns / EL_NS_PER_US);
        if (!failed)
            record(&stats->opened, took_ns, EL_LOAD_STAGE_LIMITS);
        break;
    case EL_LIFE_PROBING:
        counts->probes_failed += failed;
        counts->probes_passed += version->state == EL_LIFE_READY;
        break;
    default:
        break;
    }
    counts->switches += version->state == EL_LIFE_SERVING;
}

void el_load_stats_warmed(struct el_version *version, uint64_t took_ns, enum el_code code)
{
    struct el_load_stats *stats = &version->servable->stats.loads;
    record(code == EL_OK ? &stats->warmed : &stats->warmup_failed, took_ns, EL_LOAD_WARMUP_LIMITS);
    if (code != EL_OK)
        atomic_store_explicit(&stats->warmup_code, code, memory_order_relaxed);
}

static void inherit_times(struct el_load_times *times, const struct el_load_times *before)
{
    for (unsigned i = 0; i <= EL_LOAD_STAGE_LIMITS; i++)
        grow(&times->buckets[i], value(&before->buckets[i]));
    grow(&times->sum_us, value(&before->sum_us));
}

void el_load_stats_inherit(struct el_version *version, const struct el_version *before)
{
    struct el_load_stats *stats = &version->servable->stats.loads;
    const struct el_load_stats *old = &before->servable->stats.loads;
    grow(&stats->good, value(&old->good));
    grow(&stats->failed, value(&old->failed));
    grow(&stats->took_us, value(&old->took_us));
    inherit_times(&stats->opened, &old->opened);
    inherit_times(&stats->warmed, &old->warmed);
    inherit_times(&stats->warmup_failed, &old->warmup_failed);
    atomic_store_explicit(&stats->warmup_code, atomic_load_explicit(&old->warmup_code, memory_order_relaxed),
                          memory_order_relaxed);
}
