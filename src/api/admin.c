/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin API, for the command `everlit`, on the Unix socket only: who may
 * open the socket may ask. docs/admin-api.md is its reference.
 *
 *     GET /admin/v1/status                     everything, as JSON
 *     GET /admin/v1/events?after=ID&follow=1   events, one JSON object a line
 *     GET /admin/v1/config                     the models' config in force (admin_config.c)
 */
#include "api/internal.h"

#include "base/clock.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JSON "application/json"
#define JSON_LINES "application/x-ndjson"

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* ---- status ---- */

static json_t *version_json(const struct el_version_view *version, int64_t now_us)
{
    struct el_worker_memory memory = { 0 };
    if (version->worker != NULL)
        el_worker_memory(version->worker, &memory);
    json_t *json = json_pack(
        "{s:I, s:s, s:s, s:I, s:f, s:s, s:s, s:s, s:s, s:i, s:s, s:s, s:f, s:f, s:I, s:I}", "version",
        (json_int_t)version->version, "state", el_life_name(version->state), "tfs_state",
        el_tfs_state_name(el_tfs_state(version->state)), "since_us", (json_int_t)version->since_us, "since_s",
        (double)(now_us - version->since_us) / 1e6, "engine", version->engine, "engine_reason", version->engine_reason,
        "probe", version->probe, "isolation", version->isolation, "pid",
        version->worker != NULL ? (int)el_worker_pid(version->worker) : 0, "code", el_code_name(version->code),
        "reason", version->reason, "load_ms", version->load_ms, "switch_ms", version->switch_ms, "memory_bytes",
        (json_int_t)memory.resident_bytes, "private_bytes", (json_int_t)memory.private_bytes);
    const struct el_version_stats *stats = version->stats;
    if (json == NULL || stats == NULL)
        return json;
    json_t *figures = json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "requests", (json_int_t)el_api_count(&stats->requests), "errors",
        (json_int_t)el_api_count(&stats->errors), "replayed", (json_int_t)el_api_count(&stats->replayed),
        "worker_deaths", (json_int_t)el_api_count(&stats->worker_deaths), "p50_ms",
        ms(el_histogram_quantile(&stats->latency, 0.5)), "p99_ms", ms(el_histogram_quantile(&stats->latency, 0.99)),
        "max_ms", ms(el_api_count(&stats->latency.max_ns)));
    json_object_update_new(json, figures);
    return json;
}

static json_t *model_json(const struct el_model_view *model, int64_t now_us)
{
    json_t *versions = json_array();
    for (size_t i = 0; i < model->version_count; i++)
        json_array_append_new(versions, version_json(&model->versions[i], now_us));
    return json_pack("{s:s, s:s, s:s, s:I, s:o}", "name", model->name, "base_path", model->base_path, "source_error",
                     model->source_error, "serving", (json_int_t)model->serving, "versions", versions);
}

static json_t *server_json(struct el_api *api, bool ready)
{
    pthread_mutex_lock(&api->mutex);
    const int grpc_port = api->grpc_port, rest_port = api->rest_port;
    pthread_mutex_unlock(&api->mutex);
    return json_pack("{s:s, s:i, s:f, s:b, s:i, s:i}", "version", EVERLIT_VERSION, "pid", (int)getpid(), "uptime_s",
                     (double)(el_now_ns() - api->started_ns) / 1e9, "ready", (int)ready, "grpc_port", grpc_port,
                     "rest_port", rest_port);
}

static void answer_status(struct el_http_request *request, struct el_api *api)
{
    const int64_t now_us = el_calendar_us();
    const struct el_view *view = el_view_get(api->options.swap);
    const bool ready = atomic_load_explicit(&api->ready, memory_order_relaxed) && el_api_all_serving(view);
    json_t *models = json_array();
    for (size_t i = 0; i < view->model_count; i++)
        json_array_append_new(models, model_json(view->models[i], now_us));
    el_view_put(api->options.swap, view);
    json_t *all = json_pack("{s:o, s:o}", "server", server_json(api, ready), "models", models);
    if (all == NULL || json_dump_callback(all, el_api_append_json, el_http_reply_buf(request),
                                          JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0) {
        struct el_status *status = el_status_no_memory();
        el_api_rest_fail(request, status);
    } else {
        el_buf_byte(el_http_reply_buf(request), '\n');
        el_http_reply(request, 200, JSON);
    }
    json_decref(all);
}

/* ---- events ---- */

struct follower {
    struct el_api_watcher watcher; /* first: a watcher is a follower */
    struct el_api_loop *loop;
    struct el_http_request *request;
    uint64_t after;
};

struct event_lines {
    struct el_buf *buf;
    uint64_t last;
};

static void put_event(const struct el_event *event, void *argument)
{
    struct event_lines *lines = argument;
    json_t *json = json_pack("{s:I, s:I, s:s, s:s, s:I, s:s}", "id", (json_int_t)event->id, "time_us",
                             (json_int_t)event->time_us, "event", event->event, "model", event->model, "version",
                             (json_int_t)event->version, "text", event->text);
    if (json != NULL && json_dump_callback(json, el_api_append_json, lines->buf, JSON_COMPACT) == 0)
        el_buf_byte(lines->buf, '\n');
    json_decref(json);
    lines->last = event->id;
}

/* Writes the events after `after` to buf; returns the id of the last one known. */
static uint64_t put_events(struct el_api *api, uint64_t after, struct el_buf *buf)
{
    struct event_lines lines = { .buf = buf, .last = after };
    el_swap_events(api->options.swap, after, put_event, &lines);
    return lines.last;
}

static void follower_changed(struct el_api_watcher *watcher)
{
    struct follower *follower = (struct follower *)watcher;
    struct el_buf *buf = el_http_reply_buf(follower->request);
    follower->after = put_events(follower->loop->api, follower->after, buf);
    if (buf->size > 0)
        el_http_stream_send(follower->request);
}

static void follower_drained(struct el_api_watcher *watcher)
{
    struct follower *follower = (struct follower *)watcher;
    struct el_http_request *request = follower->request;
    el_api_unwatch(follower->loop, watcher);
    free(follower);
    el_http_stream_end(request);
}

static void follower_left(struct el_http_request *request, void *user)
{
    (void)request;
    struct follower *follower = user;
    el_api_unwatch(follower->loop, &follower->watcher);
    free(follower);
}

static uint64_t query_number(const char *target, const char *name)
{
    const char *query = strchr(target, '?');
    const size_t size = strlen(name);
    while (query != NULL) {
        query++;
        if (strncmp(query, name, size) == 0 && query[size] == '=')
            return strtoull(query + size + 1, NULL, 10);
        query = strchr(query, '&');
    }
    return 0;
}

static void answer_events(struct el_http_request *request, struct el_api *api)
{
    const char *target = el_http_target(request);
    const uint64_t after = query_number(target, "after");
    if (query_number(target, "follow") == 0) {
        put_events(api, after, el_http_reply_buf(request));
        el_http_reply(request, 200, JSON_LINES);
        return;
    }
    struct follower *follower = calloc(1, sizeof *follower);
    if (follower == NULL) {
        struct el_status *status = el_status_no_memory();
        el_api_rest_fail(request, status);
        return;
    }
    follower->watcher.changed = follower_changed;
    follower->watcher.end = follower_drained;
    follower->loop = el_api_http_loop(request);
    follower->request = request;
    follower->after = after;
    el_http_set_user(request, follower);
    el_http_on_cancel(request, follower_left);
    el_http_stream(request, 200, JSON_LINES);
    el_api_watch(follower->loop, &follower->watcher);
    follower_changed(&follower->watcher);
}

bool el_api_admin(struct el_http_request *request, struct el_api *api)
{
    static const char prefix[] = "/admin/v1/";
    const char *target = el_http_target(request);
    if (strncmp(target, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *name = target + sizeof prefix - 1;
    const size_t size = strcspn(name, "?");
    struct el_status *status = NULL;
    if (strcmp(el_http_method(request), "GET") != 0)
        status = el_status_new(EL_INVALID_ARGUMENT, "%s %s: the admin API answers GET", el_http_method(request),
                               target);
    else if (size == 6 && strncmp(name, "status", 6) == 0)
        answer_status(request, api);
    else if (size == 6 && strncmp(name, "events", 6) == 0)
        answer_events(request, api);
    else if (size == 6 && strncmp(name, "config", 6) == 0)
        el_api_admin_config(request, api);
    else
        status = el_status_new(EL_NOT_FOUND,
                               "%s: the admin API has /admin/v1/status, /admin/v1/events and /admin/v1/config", target);
    if (status != NULL) {
        el_api_rest_fail(request, status);
        el_status_free(status);
    }
    return true;
}
