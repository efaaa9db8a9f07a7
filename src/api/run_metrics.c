/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow's metrics of runs, added up over the event loops: workers' runs, whatever their engine. */
#include "api/internal.h"
#include "api/metric_text.h"

#include "worker/run_stats.h"

#include <inttypes.h>

#define CORE ":tensorflow:core:"
#define FIRST_TIME_US 1000
#define TIME_GROWTH 2
#define BYTES_GROWTH 4

struct bytes {
    uint64_t buckets[EL_RUN_BYTES_LIMITS + 1], sum;
};

struct runs {
    uint64_t tried, good, sum_us, times[EL_RUN_TIME_LIMITS + 1];
    struct bytes inputs, outputs;
};

static void add_bytes(struct bytes *to, const struct el_bytes_histogram *from)
{
    for (size_t i = 0; i <= EL_RUN_BYTES_LIMITS; i++)
        to->buckets[i] += el_api_count(&from->buckets[i]);
    to->sum += el_api_count(&from->sum);
}

static void add(struct runs *to, const struct el_run_stats *from)
{
    to->tried += el_api_count(&from->tried);
    to->good += el_api_count(&from->runs);
    to->sum_us += el_api_count(&from->sum_us);
    for (size_t i = 0; i <= EL_RUN_TIME_LIMITS; i++)
        to->times[i] += el_api_count(&from->times[i]);
    add_bytes(&to->inputs, &from->inputs);
    add_bytes(&to->outputs, &from->outputs);
}

static void put_count(struct el_buf *out, const char *name, uint64_t count)
{
    el_buf_printf(out, "# TYPE %s counter\n%s{} %" PRIu64 "\n", name, name, count);
}

static void put_bytes(struct el_buf *out, const char *name, const struct bytes *bytes)
{
    el_buf_printf(out, "# TYPE %s histogram\n", name);
    el_metric_histogram(out, name, "", bytes->buckets, EL_RUN_BYTES_LIMITS + 1, 1, BYTES_GROWTH, bytes->sum);
}

void el_api_put_runs(struct el_buf *out, const struct el_workers *workers)
{
    uint32_t loops;
    const struct el_run_stats *stats = el_workers_run_stats(workers, &loops);
    struct runs all = { 0 };
    for (uint32_t i = 0; i < loops; i++)
        add(&all, &stats[i]);
    put_count(out, CORE "direct_session_runs", all.tried);
    put_bytes(out, CORE "graph_run_input_tensor_bytes", &all.inputs);
    put_bytes(out, CORE "graph_run_output_tensor_bytes", &all.outputs);
    put_count(out, CORE "graph_run_time_usecs", all.sum_us);
    el_buf_text(out, "# TYPE " CORE "graph_run_time_usecs_histogram histogram\n");
    el_metric_histogram(out, CORE "graph_run_time_usecs_histogram", "", all.times, EL_RUN_TIME_LIMITS + 1,
                        FIRST_TIME_US, TIME_GROWTH, all.sum_us);
    put_count(out, CORE "graph_runs", all.good);
}
