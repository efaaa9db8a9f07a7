/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bucket of a duration: durations below 16 µs have buckets of 1 µs; above, the
 * position of the highest bit chooses the octave and the four bits below it
 * the sixteenth of it.
 */
#include "base/histogram.h"

static unsigned bucket_of(uint64_t ns)
{
    uint64_t us = ns / 1000;
    if (us < 16)
        return (unsigned)us;
    unsigned octave = 63u - (unsigned)__builtin_clzll(us); /* at least 4 */
    unsigned bucket = (octave - 3) * 16 + (unsigned)((us >> (octave - 4)) & 15);
    return bucket < EL_HISTOGRAM_BUCKETS ? bucket : EL_HISTOGRAM_BUCKETS - 1;
}

static uint64_t upper_edge_ns(unsigned bucket)
{
    if (bucket < 16)
        return ((uint64_t)bucket + 1) * 1000;
    unsigned octave = bucket / 16 + 3;
    return (((uint64_t)(bucket % 16) + 17) << (octave - 4)) * 1000;
}

void el_histogram_record(struct el_histogram *histogram, uint64_t ns)
{
    atomic_fetch_add_explicit(&histogram->buckets[bucket_of(ns)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_ns, ns, memory_order_relaxed);
    uint64_t max = atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
    while (ns > max && !atomic_compare_exchange_weak_explicit(&histogram->max_ns, &max, ns, memory_order_relaxed,
                                                              memory_order_relaxed))
        continue;
}

uint64_t el_histogram_quantile(const struct el_histogram *histogram, double quantile)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < EL_HISTOGRAM_BUCKETS; i++)
        total += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
    if (total == 0)
        return 0;
    uint64_t rank = (uint64_t)(quantile * (double)total);
    if (rank >= total)
        rank = total - 1;
    uint64_t seen = 0;
    for (unsigned i = 0; i < EL_HISTOGRAM_BUCKETS; i++) {
        seen += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        if (seen > rank)
            return upper_edge_ns(i);
    }
    return atomic_load_explicit(&histogram->max_ns, memory_order_relaxed);
}

uint64_t el_histogram_at_most(const struct el_histogram *histogram, uint64_t ns)
{
    uint64_t seen = 0;
    for (unsigned i = 0; i < EL_HISTOGRAM_BUCKETS && upper_edge_ns(i) <= ns; i++)
        seen += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
    return seen;
}
