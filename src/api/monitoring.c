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

/* model_path of a version: its directory. */
static void put_path(struct el_buf *out, const struct el_model_view *model, const struct el_version_view *version)
{
    struct el_buf path = { 0 };
    el_buf_printf(&path, "%s/%" PRId64, model->base_path, version->version);
    el_metric_label(out, "model_path", (const char *)path.data, path.size);
    out->failed = out->failed || path.failed;
    el_buf_free(&path);
}

/* Loads as TensorFlow counts them: one for each version that is known, good or bad. */
static void put_attempts(struct el_buf *out, const struct el_model_view *model)
{
    for (size_t v = 0; v < model->version_count; v++) {
        const struct el_version_view *version = &model->versions[v];
        const bool failed = version->state == EL_LIFE_QUARANTINED;
        if (!failed && version->load_ms <= 0)
            continue;
        el_buf_text(out, LOADS "load_attempt_count{");
        put_path(out, model, version);
        el_buf_printf(out, ",status=\"%s\"} 1\n", failed ? "fail" : "success");
    }
}

static void put_latencies(struct el_buf *out, const struct el_model_view *model)
{
    for (size_t v = 0; v < model->version_count; v++) {
        if (model->versions[v].load_ms <= 0)
            continue;
        el_buf_text(out, LOADS "load_latency{");
        put_path(out, model, &model->versions[v]);
        el_buf_printf(out, "} %.0f\n", model->versions[v].load_ms * 1e3);
    }
}

static void put_loads(struct el_buf *out, const struct el_view *view)
{
    el_buf_text(out, "# TYPE " LOADS "load_attempt_count counter\n");
    for (size_t m = 0; m < view->model_count; m++)
        put_attempts(out, view->models[m]);
    el_buf_text(out, "# TYPE " LOADS "load_latency counter\n");
    for (size_t m = 0; m < view->model_count; m++)
        put_latencies(out, view->models[m]);
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
    put_loads(out, view);
    el_view_put(api->options.swap, view);
    el_api_put_batching(out, el_workers_batch_stats(api->options.workers));
    put_counts(out, api);
    el_request_log_put_serving(api->request_log, out);
    el_api_put_metrics(out, api);
    el_http_reply(request, 200, "text/plain");
    return true;
}
