/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page of --monitoring_config_file: figures that everlitd shares with TensorFlow Serving, under its names, labels and
 * buckets and in its exporter's form (a colon for each slash of a name, no HELP, sorted), so that a dashboard made for it goes
 * on working.
 *
 * What a version has answered and how long its runs took is known; of a request that no version answered there is a count
 * without a model (everlit_refused_requests_total on /metrics), which has no place here.
 */
#include "api/internal.h"

#include <inttypes.h>
#include <string.h>

#define SERVING ":tensorflow:serving:"
#define BUCKETS 33       /* TensorFlow Serving's, of latencies: 10 us, and 1.8 times as much each */
#define FIRST_BUCKET 10.0
#define BUCKET_GROWTH 1.8

static void put_label(struct el_buf *out, const char *name, const char *value)
{
    el_buf_printf(out, "%s=\"", name);
    for (; *value != 0; value++) {
        if (*value == '\\' || *value == '"')
            el_buf_byte(out, '\\');
        if (*value == '\n')
            el_buf_text(out, "\\n");
        else
            el_buf_byte(out, (uint8_t)*value);
    }
    el_buf_byte(out, '"');
}

/* Runs of all the model's versions that took at most ns. */
static uint64_t at_most(const struct el_model_view *model, uint64_t ns)
{
    uint64_t count = 0;
    for (size_t i = 0; i < model->version_count; i++)
        if (model->versions[i].stats != NULL)
            count += el_histogram_at_most(&model->versions[i].stats->latency, ns);
    return count;
}

static void put_request_count(struct el_buf *out, const struct el_view *view)
{
    el_buf_text(out, "# TYPE " SERVING "request_count counter\n");
    for (size_t m = 0; m < view->model_count; m++) {
        const uint64_t answered = at_most(&view->models[m], UINT64_MAX);
        if (answered == 0)
            continue;
        el_buf_text(out, SERVING "request_count{");
        put_label(out, "model_name", view->models[m].name);
        el_buf_printf(out, ",status=\"OK\"} %" PRIu64 "\n", answered);
    }
}

static void put_runtime(struct el_buf *out, const char *suffix, const struct el_model_view *model)
{
    el_buf_printf(out, SERVING "runtime_latency%s{", suffix);
    put_label(out, "model_name", model->name);
    el_buf_text(out, ",API=\"Predict\",runtime=\"TF1\"");
}

static void put_runtime_latency(struct el_buf *out, const struct el_view *view)
{
    el_buf_text(out, "# TYPE " SERVING "runtime_latency histogram\n");
    for (size_t m = 0; m < view->model_count; m++) {
        const struct el_model_view *model = &view->models[m];
        const uint64_t count = at_most(model, UINT64_MAX);
        if (count == 0)
            continue;
        double edge_us = FIRST_BUCKET;
        for (int i = 0; i < BUCKETS; i++, edge_us *= BUCKET_GROWTH) {
            put_runtime(out, "_bucket", model);
            el_buf_printf(out, ",le=\"%g\"} %" PRIu64 "\n", edge_us, at_most(model, (uint64_t)(edge_us * 1e3)));
        }
        put_runtime(out, "_bucket", model);
        el_buf_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", count);
        uint64_t sum_ns = 0;
        for (size_t i = 0; i < model->version_count; i++)
            if (model->versions[i].stats != NULL)
                sum_ns += el_api_count(&model->versions[i].stats->latency.sum_ns);
        put_runtime(out, "_sum", model);
        el_buf_printf(out, "} %g\n", (double)sum_ns / 1e3);
        put_runtime(out, "_count", model);
        el_buf_printf(out, "} %" PRIu64 "\n", count);
    }
}

bool el_api_monitoring(struct el_http_request *request, struct el_api *api, const char *path, const char *end)
{
    const char *wanted = api->options.monitoring_path;
    if (wanted == NULL || (size_t)(end - path) != strlen(wanted) || memcmp(path, wanted, (size_t)(end - path)) != 0)
        return false;
    struct el_buf *out = el_http_reply_buf(request);
    const struct el_view *view = el_view_get(api->options.swap);
    put_request_count(out, view);
    put_runtime_latency(out, view);
    el_view_put(api->options.swap, view);
    el_http_reply(request, 200, "text/plain");
    return true;
}
