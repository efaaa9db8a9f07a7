/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /metrics: the Prometheus text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * Everything comes from one view, so that the figures of a scrape belong together.
 */
#include "api/internal.h"
#include "api/metric_text.h"
#include "api/request_log.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Upper edges of the latency buckets, in seconds: 50 µs to 10 s, about 2.2 each. */
static const double latency_edges_s[] = { 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                          0.05,    0.1,    0.25,    0.5,    1,     2.5,    5,     10 };

static void put_label(struct el_buf *out, const char *name, const char *value)
{
    el_metric_label(out, name, value, strlen(value));
}

static void put_name(struct el_buf *out, const char *metric, const struct el_model_view *model,
                     const struct el_version_view *version)
{
    el_buf_printf(out, "%s{", metric);
    put_label(out, "model", model->name);
    el_buf_printf(out, ",version=\"%" PRId64 "\"", version->version);
}

typedef uint64_t version_figure(const struct el_version_view *version);

static uint64_t requests(const struct el_version_view *version)
{
    return el_api_count(&version->stats->requests);
}

static uint64_t errors(const struct el_version_view *version)
{
    return el_api_count(&version->stats->errors);
}

static uint64_t replayed(const struct el_version_view *version)
{
    return el_api_count(&version->stats->replayed);
}

static uint64_t deaths(const struct el_version_view *version)
{
    return el_api_count(&version->stats->worker_deaths);
}

static uint64_t restarts(const struct el_version_view *version)
{
    return el_api_count(&version->stats->restarts);
}

static uint64_t memory(const struct el_version_view *version)
{
    return version->worker == NULL ? 0 : el_worker_resident_bytes(version->worker);
}

static void put_figures(struct el_buf *out, const struct el_view *view, const char *name, const char *type,
                        const char *help, version_figure *figure)
{
    el_metric_head(out, name, type, help);
    for (size_t m = 0; m < view->model_count; m++) {
        for (size_t v = 0; v < view->models[m]->version_count; v++) {
            const struct el_version_view *version = &view->models[m]->versions[v];
            if (version->stats == NULL)
                continue;
            put_name(out, name, view->models[m], version);
            el_buf_printf(out, "} %" PRIu64 "\n", figure(version));
        }
    }
}

static void put_states(struct el_buf *out, const struct el_view *view)
{
    el_metric_head(out, "everlit_version_state", "gauge", "1 for the state that a version is in.");
    for (size_t m = 0; m < view->model_count; m++) {
        for (size_t v = 0; v < view->models[m]->version_count; v++) {
            const struct el_version_view *version = &view->models[m]->versions[v];
            put_name(out, "everlit_version_state", view->models[m], version);
            el_buf_byte(out, ',');
            put_label(out, "state", el_life_name(version->state));
            el_buf_byte(out, ',');
            put_label(out, "engine", version->engine);
            el_buf_text(out, "} 1\n");
        }
    }
    el_metric_head(out, "everlit_serving_version", "gauge",
                   "The version that requests without one go to; -1: no version answers.");
    for (size_t m = 0; m < view->model_count; m++) {
        el_buf_text(out, "everlit_serving_version{");
        put_label(out, "model", view->models[m]->name);
        el_buf_printf(out, "} %" PRId64 "\n", view->models[m]->serving);
    }
}

typedef double version_seconds(const struct el_version_view *version);

static double load_seconds(const struct el_version_view *version)
{
    return version->load_ms / 1e3;
}

static double switch_seconds(const struct el_version_view *version)
{
    return version->switch_ms / 1e3;
}

/* Of the versions that have got so far. */
static void put_seconds(struct el_buf *out, const struct el_view *view, const char *name, const char *help,
                        version_seconds *seconds)
{
    el_metric_head(out, name, "gauge", help);
    for (size_t m = 0; m < view->model_count; m++) {
        for (size_t v = 0; v < view->models[m]->version_count; v++) {
            const struct el_version_view *version = &view->models[m]->versions[v];
            if (seconds(version) <= 0)
                continue;
            put_name(out, name, view->models[m], version);
            el_buf_printf(out, "} %.6g\n", seconds(version));
        }
    }
}

static void put_quarantined(struct el_buf *out, const struct el_view *view)
{
    el_metric_head(out, "everlit_quarantined_versions", "gauge",
                   "Versions that will not serve until their files change.");
    for (size_t m = 0; m < view->model_count; m++) {
        unsigned count = 0;
        for (size_t v = 0; v < view->models[m]->version_count; v++)
            if (view->models[m]->versions[v].state == EL_LIFE_QUARANTINED)
                count++;
        el_buf_text(out, "everlit_quarantined_versions{");
        put_label(out, "model", view->models[m]->name);
        el_buf_printf(out, "} %u\n", count);
    }
}

typedef const struct el_histogram *version_times(const struct el_version_stats *stats);

static const struct el_histogram *durations(const struct el_version_stats *stats)
{
    return &stats->latency;
}

static const struct el_histogram *waits(const struct el_version_stats *stats)
{
    return &stats->queued;
}

/* A line of a histogram up to its value. */
static void put_line(struct el_buf *out, const char *name, const char *part, const struct el_model_view *model,
                     const struct el_version_view *version)
{
    el_buf_text(out, name);
    put_name(out, part, model, version);
}

static void put_times(struct el_buf *out, const char *name, const struct el_model_view *model,
                      const struct el_version_view *version, const struct el_histogram *histogram)
{
    for (size_t i = 0; i < sizeof latency_edges_s / sizeof latency_edges_s[0]; i++) {
        put_line(out, name, "_bucket", model, version);
        el_buf_printf(out, ",le=\"%g\"} %" PRIu64 "\n", latency_edges_s[i],
                      el_histogram_at_most(histogram, (uint64_t)(latency_edges_s[i] * 1e9)));
    }
    const uint64_t count = el_histogram_at_most(histogram, UINT64_MAX);
    put_line(out, name, "_bucket", model, version);
    el_buf_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", count);
    put_line(out, name, "_sum", model, version);
    el_buf_printf(out, "} %g\n", (double)el_api_count(&histogram->sum_ns) / 1e9);
    put_line(out, name, "_count", model, version);
    el_buf_printf(out, "} %" PRIu64 "\n", count);
}

static void put_histograms(struct el_buf *out, const struct el_view *view, const char *name, const char *help,
                           version_times *times)
{
    el_metric_head(out, name, "histogram", help);
    for (size_t m = 0; m < view->model_count; m++) {
        for (size_t v = 0; v < view->models[m]->version_count; v++) {
            const struct el_version_view *version = &view->models[m]->versions[v];
            if (version->stats != NULL)
                put_times(out, name, view->models[m], version, times(version->stats));
        }
    }
}

static void put_server(struct el_buf *out, struct el_api *api)
{
    struct el_rpc_stats stats = { 0 };
    pthread_mutex_lock(&api->mutex);
    if (api->server != NULL)
        el_rpc_server_stats(api->server, &stats);
    pthread_mutex_unlock(&api->mutex);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } figures[] = {
        { "everlit_connections_open", "gauge", "Connections that are open.", stats.connections_open },
        { "everlit_connections_accepted_total", "counter", "Connections accepted.", stats.connections_accepted },
        { "everlit_connections_refused_total", "counter", "Connections refused: there were too many.",
          stats.connections_refused },
        { "everlit_received_bytes_total", "counter", "Bytes received.", stats.bytes_in },
        { "everlit_sent_bytes_total", "counter", "Bytes sent.", stats.bytes_out },
        { "everlit_protocol_errors_total", "counter", "Connections ended for breaking HTTP.", stats.protocol_errors },
        { "everlit_refused_requests_total", "counter", "Requests for a model or version that does not answer.",
          el_swap_refused(api->options.swap) },
    };
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        el_metric_head(out, figures[i].name, figures[i].type, figures[i].help);
        el_buf_printf(out, "%s %" PRIu64 "\n", figures[i].name, figures[i].value);
    }
    el_metric_head(out, "everlit_uptime_seconds", "gauge", "Time since the server started.");
    el_buf_printf(out, "everlit_uptime_seconds %.3f\n", (double)(el_now_ns() - api->started_ns) / 1e9);
    el_metric_head(out, "everlit_build_info", "gauge", "1; the label is the version of everlitd.");
    el_buf_text(out, "everlit_build_info{version=\"" EVERLIT_VERSION "\"} 1\n");
}

void el_api_put_metrics(struct el_buf *out, struct el_api *api)
{
    const struct el_view *view = el_view_get(api->options.swap);
    put_states(out, view);
    put_quarantined(out, view);
    put_seconds(out, view, "everlit_version_load_seconds",
                "Time from the start of a version's worker until it could run.", load_seconds);
    put_seconds(out, view, "everlit_version_switch_seconds",
                "Time from a version being whole on disk until it could answer: loading, probe and warm-up.",
                switch_seconds);
    put_figures(out, view, "everlit_requests_total", "counter", "Requests answered by a version.", requests);
    put_figures(out, view, "everlit_request_errors_total", "counter",
                "Requests that failed for the server's or the model's fault.", errors);
    put_figures(out, view, "everlit_requests_replayed_total", "counter",
                "Requests answered by another worker, because theirs had died.", replayed);
    put_figures(out, view, "everlit_worker_deaths_total", "counter", "Deaths of a version's worker.", deaths);
    put_figures(out, view, "everlit_worker_restarts_total", "counter",
                "Workers that took the place of one that had died.", restarts);
    put_figures(out, view, "everlit_worker_resident_bytes", "gauge", "Resident memory of a version's worker.", memory);
    put_histograms(out, view, "everlit_request_duration_seconds", "Time from a decoded request to its answer.",
                   durations);
    put_histograms(out, view, "everlit_queue_seconds",
                   "Time that a request waited until a worker ran it, of those that were answered.", waits);
    el_api_put_swaps(out, view);
    el_view_put(api->options.swap, view);
    el_request_log_put_metrics(api->request_log, out);
    put_server(out, api);
}

void el_api_metrics(struct el_http_request *request, struct el_api *api)
{
    el_api_put_metrics(el_http_reply_buf(request), api);
    el_http_reply(request, 200, CONTENT_TYPE);
}
