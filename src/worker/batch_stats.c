/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/batch_stats.h"

#include "worker/layout.h"

#include <stdbool.h>

static void add(_Atomic uint64_t *number, uint64_t more)
{
    atomic_fetch_add_explicit(number, more, memory_order_relaxed);
}

static void add_size(struct el_size_histogram *histogram, uint64_t size, uint64_t count)
{
    unsigned bucket = 0;
    while (bucket < EL_BATCH_SIZE_LIMITS && size >= UINT64_C(1) << bucket)
        bucket++;
    add(&histogram->buckets[bucket], count);
    add(&histogram->sum, size * count);
}

static void add_padding(struct el_batch_stats *stats, uint32_t size, uint64_t padding, uint64_t count)
{
    for (unsigned i = 0; i < EL_BATCH_SIZES; i++) {
        struct el_padding_histogram *own = &stats->paddings[i];
        uint32_t there = atomic_load_explicit(&own->execution_batch_size, memory_order_relaxed);
        if (there == 0 && atomic_compare_exchange_strong_explicit(&own->execution_batch_size, &there, size,
                                                                  memory_order_relaxed, memory_order_relaxed))
            there = size;
        if (there != size)
            continue;
        add_size(&own->padding, padding, count);
        return;
    }
}

void el_batch_stats_add(struct el_batch_stats *stats, const struct el_shm_slot *slot, uint64_t max_rows)
{
    const uint32_t queued_us = EL_READ_ONCE(slot->queued_us);
    unsigned bucket = 0;
    double limit = 100;
    for (; bucket < EL_BATCH_LATENCY_LIMITS && queued_us >= limit; bucket++)
        limit *= 1.2;
    add(&stats->queuing[bucket], 1);
    add(&stats->queuing_sum_us, queued_us);
    for (unsigned i = 0; i < EL_SLOT_RUNS; i++) {
        const uint64_t count = EL_READ_ONCE(slot->runs[i].count);
        const uint64_t rows = EL_READ_ONCE(slot->runs[i].rows);
        const uint64_t padding = EL_READ_ONCE(slot->runs[i].padding);
        if (count == 0 || count > max_rows || rows + padding > max_rows)
            continue;
        add(&stats->runs, count);
        add_size(&stats->input, rows, count);
        add_size(&stats->processed, rows + padding, count);
        if (rows + padding > 0)
            add_padding(stats, (uint32_t)(rows + padding), padding, count);
    }
}
