/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving's batching_session metrics. As there, those of sizes come with the first batch. */
#include "api/internal.h"
#include "api/metric_text.h"

#include "worker/batch_stats.h"

#include <inttypes.h>
#include <stdio.h>

#define BATCHING ":tensorflow:serving:batching_session:"
#define FIRST_LATENCY_US 100
#define LATENCY_GROWTH 1.2

static uint64_t copy(const _Atomic uint64_t *from, size_t count, uint64_t *to)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += to[i] = el_api_count(&from[i]);
    return total;
}

static void put_type(struct el_buf *out, const char *name, const char *type)
{
    el_buf_printf(out, "# TYPE " BATCHING "%s %s\n", name, type);
}

static void put_cells(struct el_buf *out, const char *name, const char *labels, const struct el_size_histogram *sizes)
{
    uint64_t buckets[EL_BATCH_SIZE_LIMITS + 1];
    copy(sizes->buckets, EL_BATCH_SIZE_LIMITS + 1, buckets);
    el_metric_histogram(out, name, labels, buckets, EL_BATCH_SIZE_LIMITS + 1, 1, 2, el_api_count(&sizes->sum));
}

static void put_paddings(struct el_buf *out, const struct el_batch_stats *stats)
{
    put_type(out, "padding_size", "histogram");
    for (size_t i = 0; i < EL_BATCH_SIZES; i++) {
        const uint32_t size = atomic_load_explicit(&stats->paddings[i].execution_batch_size, memory_order_relaxed);
        if (size == 0)
            return;
        char label[64];
        snprintf(label, sizeof label, "execution_batch_size=\"%" PRIu32 "\"", size);
        put_cells(out, BATCHING "padding_size", label, &stats->paddings[i].padding);
    }
}

void el_api_put_batching(struct el_buf *out, const struct el_batch_stats *stats)
{
    const uint64_t runs = el_api_count(&stats->runs);
    if (runs > 0) {
        put_type(out, "input_batch_size", "histogram");
        put_cells(out, BATCHING "input_batch_size", "", &stats->input);
        put_paddings(out, stats);
        put_type(out, "processed_batch_size", "histogram");
        put_cells(out, BATCHING "processed_batch_size", "", &stats->processed);
    }

    put_type(out, "queuing_latency", "histogram");
    uint64_t queuing[EL_BATCH_LATENCY_LIMITS + 1];
    /* The label is always empty there, whatever the pool's name. */
    if (copy(stats->queuing, EL_BATCH_LATENCY_LIMITS + 1, queuing) > 0)
        el_metric_histogram(out, BATCHING "queuing_latency", "thread_pool_name=\"\"", queuing,
                            EL_BATCH_LATENCY_LIMITS + 1, FIRST_LATENCY_US, LATENCY_GROWTH,
                            el_api_count(&stats->queuing_sum_us));
    put_type(out, "wrapped_run_count", "counter");
    if (runs > 0)
        el_buf_printf(out, BATCHING "wrapped_run_count{} %" PRIu64 "\n", runs);
}
