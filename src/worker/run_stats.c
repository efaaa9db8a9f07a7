/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run_stats.h"

#include "base/clock.h"

#define FIRST_TIME_US 1000

/* Only the owner writes: a load and a store. */
static void grow(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

static unsigned bits(uint64_t value)
{
    return value == 0 ? 0 : 64u - (unsigned)__builtin_clzll(value);
}

static void add_bytes(struct el_bytes_histogram *histogram, uint64_t bytes)
{
    const unsigned bucket = (bits(bytes) + 1) / 2; /* 1 to 3: 1, 4 to 15: 2 */
    grow(&histogram->buckets[bucket < EL_RUN_BYTES_LIMITS ? bucket : EL_RUN_BYTES_LIMITS], 1);
    grow(&histogram->sum, bytes);
}

void el_run_stats_add(struct el_run_stats *stats, const struct el_ran *ran)
{
    add_bytes(&stats->inputs, ran->input_bytes);
    if (ran->good)
        add_bytes(&stats->outputs, ran->output_bytes);
    if (ran->runs == 0)
        return;
    grow(&stats->tried, ran->runs);
    if (!ran->good)
        return;
    const uint64_t us = ran->time_ns / EL_NS_PER_US;
    /* Several runs of one answer (a request in parts) are of one size, and share its time. */
    const unsigned bucket = bits(us / ran->runs / FIRST_TIME_US);
    grow(&stats->runs, ran->runs);
    grow(&stats->sum_us, us);
    grow(&stats->times[bucket < EL_RUN_TIME_LIMITS ? bucket : EL_RUN_TIME_LIMITS], ran->runs);
}
