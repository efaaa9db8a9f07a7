/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page of --monitoring_config_file: figures that everlitd shares with TensorFlow Serving, under its names, labels and
 * buckets and in its exporter's form (a colon for each slash of a name, no HELP, sorted), so that a dashboard made for it goes
 * on working. Behind them the figures of /metrics, whose names begin with everlit_.
 */
#include "api/internal.h"
#include "api/metric_text.h"
#include "api/request_log.h"

#include <inttypes.h>
#include <string.h>

#define LOADS ":tensorflow:cc:saved_model:"
#define WARMUPS ":tensorflow:serving:model_warmup_latency"
#define FIRST_EDGE_US 10
#define EDGE_GROWTH 1.8

/* model_path of a version: its directory. */
static void put_path(struct el_buf *out, const struct el_model_view *model, const struct el_version_view *version)
{
    struct el_buf path = { 0 };
    el_buf_printf(&path, "%s/%" PRId64, model->base_path, version->version);
    el_metric_label(out, "model_path", (const char *)path.data, path.size);
    out->failed = out->failed || path.failed;
    el_buf_free(&path);
}

static void put_count(struct el_buf *out, const char *name, const struct el_model_view *model,
                      const struct el_version_view *version, const char *status, uint64_t count)
{
    if (count == 0)
        return;
    el_buf_printf(out, "%s{", name);
    put_path(out, model, version);
    if (status != NULL)
        el_buf_printf(out, ",status=\"%s\"", status);
    el_buf_printf(out, "} %" PRIu64 "\n", count);
}

/* A version that has ended shows counters only: with many swaps its histograms would be most of the page. */
static void put_times(struct el_buf *out, const char *name, const struct el_model_view *model,
                      const struct el_version_view *version, const char *label, const char *value,
                      const struct el_load_times *times, size_t limits)
{
    uint64_t buckets[EL_LOAD_STAGE_LIMITS + 1], count = 0;
    for (size_t i = 0; i <= limits; i++)
        count += buckets[i] = el_api_count(&times->buckets[i]);
    if (count == 0 || version->state == EL_LIFE_END)
        return;
    struct el_buf labels = { 0 };
    put_path(&labels, model, version);
    el_buf_printf(&labels, ",%s=\"%s\"", label, value);
    el_buf_byte(&labels, 0);
    if (labels.failed)
        out->failed = true;
    else
        el_metric_histogram(out, name, (const char *)labels.data, buckets, limits + 1, FIRST_EDGE_US, EDGE_GROWTH,
                            el_api_count(&times->sum_us));
    el_buf_free(&labels);
}

typedef void put_version(struct el_buf *out, const struct el_model_view *model, const struct el_version_view *version);

static void put_attempts(struct el_buf *out, const struct el_model_view *model, const struct el_version_view *version)
{
    const struct el_load_stats *loads = &version->stats->loads;
    put_count(out, LOADS "load_attempt_count", model, version, "fail", el_api_count(&loads->failed));
    put_count(out, LOADS "load_attempt_count", model, version, "success", el_api_count(&loads->good));
}

static void put_latency(struct el_buf *out, const struct el_model_view *model, const struct el_version_view *version)
{
    put_count(out, LOADS "load_latency", model, version, NULL, el_api_count(&version->stats->loads.took_us));
}

/* TensorFlow's other stage, init_graph, is in it: an engine does both in one step. */
static void put_stages(struct el_buf *out, const struct el_model_view *model, const struct el_version_view *version)
{
    put_times(out, LOADS "load_latency_by_stage", model, version, "stage", "restore_graph",
              &version->stats->loads.opened, EL_LOAD_STAGE_LIMITS);
}

static void put_warmups(struct el_buf *out, const struct el_model_view *model, const struct el_version_view *version)
{
    const struct el_load_stats *loads = &version->stats->loads;
    const int code = atomic_load_explicit(&loads->warmup_code, memory_order_relaxed);
    put_times(out, WARMUPS, model, version, "status", el_code_name((enum el_code)code), &loads->warmup_failed,
              EL_LOAD_WARMUP_LIMITS);
    put_times(out, WARMUPS, model, version, "status", "OK", &loads->warmed, EL_LOAD_WARMUP_LIMITS);
}

static void put_versions(struct el_buf *out, const struct el_view *view, const char *name, const char *type,
                         put_version *put)
{
    el_buf_printf(out, "# TYPE %s %s\n", name, type);
    for (size_t m = 0; m < view->model_count; m++)
        for (size_t v = 0; v < view->models[m]->version_count; v++)
            put(out, view->models[m], &view->models[m]->versions[v]);
}

static void put_counts(struct el_buf *out, struct el_api *api)
{
    struct el_counts_sum *sum = el_counts_sum_new();
    if (sum == NULL) {
        out->failed = true;
        return;
    }
    pthread_mutex_lock(&api->mutex); /* a loop that ends takes its counts along only after it has left the table */
    for (size_t i = 0; i < EL_MAX_LOOPS; i++)
        if (api->loops[i] != NULL)
            el_counts_sum_add(sum, &api->loops[i]->counts);
    pthread_mutex_unlock(&api->mutex);
    el_counts_print(sum, out);
    el_counts_sum_free(sum);
}

bool el_api_monitoring(struct el_http_request *request, struct el_api *api, const char *path, const char *end)
{
    const char *wanted = api->options.monitoring_path;
    if (wanted == NULL || (size_t)(end - path) != strlen(wanted) || memcmp(path, wanted, (size_t)(end - path)) != 0)
        return false;
    struct el_buf *out = el_http_reply_buf(request);
    const struct el_view *view = el_view_get(api->options.swap);
    put_versions(out, view, LOADS "load_attempt_count", "counter", put_attempts);
    put_versions(out, view, LOADS "load_latency", "counter", put_latency);
    put_versions(out, view, LOADS "load_latency_by_stage", "histogram", put_stages);
    el_api_put_runs(out, api->options.workers);
    el_api_put_batching(out, el_workers_batch_stats(api->options.workers));
    put_versions(out, view, WARMUPS, "histogram", put_warmups);
    el_view_put(api->options.swap, view);
    put_counts(out, api);
    el_request_log_put_serving(api->request_log, out);
    el_api_put_metrics(out, api);
    el_http_reply(request, 200, "text/plain");
    return true;
}
