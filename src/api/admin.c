/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The admin API: what the command `everlit` asks. On the Unix socket who may open it may ask; on a TCP port, who has the token.
 * docs/admin-api.md is its reference, docs/admin-api.json the same for programs; both name the routes below.
 */
#include "api/admin.h"

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
    if (json != NULL && version->guard_until_us > 0)
        json_object_set_new(json, "guard_left_s", json_real((double)(version->guard_until_us - now_us) / 1e6));
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

static json_t *pin_json(const struct el_pin_view *pin)
{
    if (pin->version < 0)
        return json_null();
    return json_pack("{s:I, s:s, s:s, s:I}", "version", (json_int_t)pin->version, "by", pin->by, "reason", pin->reason,
                     "since_us", (json_int_t)pin->since_us);
}

static json_t *generations_json(const struct el_model_view *model)
{
    json_t *generations = json_array();
    for (size_t i = 0; i < model->generation_count; i++)
        json_array_append_new(generations,
                              json_pack("{s:I, s:I}", "generation", (json_int_t)model->generations[i].number, "version",
                                        (json_int_t)model->generations[i].version));
    return generations;
}

static json_t *rollout_json(const struct el_rollout_view *rollout, int64_t now_us)
{
    static const char *const waits[] = {
        [EL_ROLLOUT_MEASURES] = "measured", [EL_ROLLOUT_PAUSED] = "paused", [EL_ROLLOUT_WAITS_FOR_WORD] = "waiting"
    };
    if (rollout->version < 0)
        return json_null();
    return json_pack("{s:I, s:I, s:s, s:s, s:i, s:i, s:i, s:b, s:I, s:I, s:i, s:i, s:f, s:f, s:s}", "version",
                     (json_int_t)rollout->version, "old", (json_int_t)rollout->old, "mode",
                     el_rollout_mode_name(rollout->mode), "state", waits[rollout->waits], "step", (int)rollout->step,
                     "steps", (int)rollout->steps, "percent", (int)rollout->percent, "manual", (int)rollout->manual,
                     "answers", (json_int_t)(el_api_count(&rollout->stats[0]->rollout.answers) - rollout->before[0]),
                     "old_answers",
                     (json_int_t)(el_api_count(&rollout->stats[1]->rollout.answers) - rollout->before[1]),
                     "step_requests", (int)rollout->step_requests, "step_ms", (int)rollout->step_ms, "step_since_s",
                     (double)(now_us - rollout->step_us) / 1e6, "since_s", (double)(now_us - rollout->began_us) / 1e6,
                     "text", rollout->text);
}

static json_t *model_json(const struct el_model_view *model, int64_t now_us)
{
    json_t *versions = json_array();
    for (size_t i = 0; i < model->version_count; i++)
        json_array_append_new(versions, version_json(&model->versions[i], now_us));
    json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "name", model->name, "base_path", model->base_path,
                             "source_error", model->source_error, "serving", (json_int_t)model->serving, "pin",
                             pin_json(&model->pin), "rollout", rollout_json(&model->rollout, now_us), "versions",
                             versions);
    if (model->group[0] != '\0') {
        json_object_set_new(json, "group", json_string(model->group));
        json_object_set_new(json, "generations", generations_json(model));
    }
    return json;
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

void el_api_admin_answer(struct el_http_request *request, json_t *json, unsigned code)
{
    struct el_buf *buf = el_http_reply_buf(request);
    if (json == NULL || json_dump_callback(json, el_api_append_json, buf, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0) {
        struct el_status *status = el_status_no_memory();
        el_buf_clear(buf);
        el_api_rest_fail(request, status);
    } else {
        el_buf_byte(buf, '\n');
        el_http_reply(request, code, JSON);
    }
    json_decref(json);
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
    el_api_admin_answer(request, all, 200);
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

/* Behind "name=" in the query; NULL: it is not there. */
static const char *query_value(const char *target, const char *name)
{
    const char *query = strchr(target, '?');
    const size_t size = strlen(name);
    while (query != NULL) {
        query++;
        if (strncmp(query, name, size) == 0 && query[size] == '=')
            return query + size + 1;
        query = strchr(query, '&');
    }
    return NULL;
}

uint64_t el_api_query_number(const char *target, const char *name)
{
    const char *value = query_value(target, name);
    return value != NULL ? strtoull(value, NULL, 10) : 0;
}

char *el_api_query_text(const char *target, const char *name)
{
    const char *value = query_value(target, name);
    size_t decoded;
    return value != NULL ? el_api_percent_decode(value, strcspn(value, "&"), &decoded) : NULL;
}

static void answer_events(struct el_http_request *request, struct el_api *api)
{
    const char *target = el_http_target(request);
    const uint64_t after = el_api_query_number(target, "after");
    if (el_api_query_number(target, "follow") == 0) {
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

/* ---- routes ---- */

static const struct {
    const char *path; /* behind the prefix */
    void (*answer)(struct el_http_request *request, struct el_api *api);
} routes[] = {
    { "status", answer_status },
    { "events", answer_events },
    { "config", el_api_admin_config },
    { "golden", el_api_admin_golden },
};
#define ROUTES (sizeof routes / sizeof routes[0])

/* Of one model: behind its name. */
static const struct {
    const char *tail;
    void (*answer)(struct el_http_request *request, struct el_api *api, const char *name, size_t size);
} model_routes[] = {
    { "/history", el_api_admin_history },
    { "/reports", el_api_admin_reports },
};
#define MODEL_ROUTES (sizeof model_routes / sizeof model_routes[0])

static const char prefix[] = "/admin/v1/", models[] = "models/";

static struct el_status *no_such_route(const struct el_http_request *request)
{
    struct el_buf buf = { 0 };
    for (size_t i = 0; i < ROUTES; i++)
        el_buf_printf(&buf, "GET %s%s, ", prefix, routes[i].path);
    for (size_t i = 0; i < MODEL_ROUTES; i++)
        el_buf_printf(&buf, "%sGET %s%sNAME%s", i > 0 ? ", " : "", prefix, models, model_routes[i].tail);
    for (int kind = 0; kind < EL_OPERATE_KINDS; kind++)
        el_buf_printf(&buf, ", POST %s%sNAME:%s", prefix, models, el_operation_name((enum el_operation_kind)kind));
    char *text = el_buf_take_text(&buf);
    struct el_status *status = el_status_new(EL_NOT_FOUND, "%s %s: the admin API has %s", el_http_method(request),
                                             el_http_target(request), text != NULL ? text : "other paths");
    free(text);
    return status;
}

static bool get_of_model(struct el_http_request *request, struct el_api *api, const char *at, size_t size)
{
    for (size_t i = 0; i < MODEL_ROUTES; i++) {
        const size_t tail = strlen(model_routes[i].tail);
        if (size <= tail || memcmp(at + size - tail, model_routes[i].tail, tail) != 0)
            continue;
        model_routes[i].answer(request, api, at, size - tail);
        return true;
    }
    return false;
}

static bool post_to_model(struct el_http_request *request, struct el_api *api, const char *at, size_t size)
{
    const char *colon = memrchr(at, ':', size);
    if (colon == NULL || colon == at)
        return false;
    const size_t verb_size = size - (size_t)(colon + 1 - at);
    for (int kind = 0; kind < EL_OPERATE_KINDS; kind++) {
        const char *verb = el_operation_name((enum el_operation_kind)kind);
        if (strlen(verb) != verb_size || memcmp(verb, colon + 1, verb_size) != 0)
            continue;
        el_api_admin_operate(request, api, (enum el_operation_kind)kind, at, (size_t)(colon - at));
        return true;
    }
    return false;
}

/* path, of size bytes, is what is behind "/admin/v1/". True if it is a route and is answered. */
static bool answer_route(struct el_http_request *request, struct el_api *api, const char *path, size_t size)
{
    const bool get = strcmp(el_http_method(request), "GET") == 0, post = strcmp(el_http_method(request), "POST") == 0;
    for (size_t i = 0; get && i < ROUTES; i++) {
        if (strlen(routes[i].path) != size || strncmp(path, routes[i].path, size) != 0)
            continue;
        routes[i].answer(request, api);
        return true;
    }
    const size_t behind = sizeof models - 1;
    if ((!get && !post) || size <= behind || strncmp(path, models, behind) != 0)
        return false;
    return get ? get_of_model(request, api, path + behind, size - behind)
               : post_to_model(request, api, path + behind, size - behind);
}

bool el_api_admin(struct el_http_request *request, struct el_api *api)
{
    const char *target = el_http_target(request);
    if (strncmp(target, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *path = target + sizeof prefix - 1;
    if (answer_route(request, api, path, strcspn(path, "?")))
        return true;
    struct el_status *status = no_such_route(request);
    el_api_rest_fail(request, status);
    el_status_free(status);
    return true;
}
