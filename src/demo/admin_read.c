/* SPDX-License-Identifier: Apache-2.0 */
/* The admin API's JSON (src/api/admin.c); what is missing or of another type reads as nothing. */
#include "demo/admin.h"
#include "demo/server.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static uint64_t count_of(const json_t *object, const char *name)
{
    const json_int_t count = json_integer_value(json_object_get(object, name));
    return count > 0 ? (uint64_t)count : 0;
}

#define COPY(to, from) snprintf(to, sizeof(to), "%s", from)

static void read_version(const json_t *json, struct admin_version *version)
{
    *version = (struct admin_version){
        .version = json_integer_value(json_object_get(json, "version")),
        .pid = (int)json_integer_value(json_object_get(json, "pid")),
        .requests = count_of(json, "requests"),
        .errors = count_of(json, "errors"),
        .replayed = count_of(json, "replayed"),
        .worker_deaths = count_of(json, "worker_deaths"),
        .since_s = number_of(json, "since_s"),
        .load_ms = number_of(json, "load_ms"),
        .switch_ms = number_of(json, "switch_ms"),
        .p50_ms = number_of(json, "p50_ms"),
        .p99_ms = number_of(json, "p99_ms"),
        .memory_bytes = count_of(json, "memory_bytes"),
    };
    COPY(version->state, text_of(json, "state"));
    COPY(version->engine, text_of(json, "engine"));
    COPY(version->engine_reason, text_of(json, "engine_reason"));
    COPY(version->reason, text_of(json, "reason"));
}

static void read_model(const json_t *json, struct admin_view *view)
{
    const json_t *serving = json_object_get(json, "serving");
    const json_t *versions = json_object_get(json, "versions");
    view->serving = json_is_integer(serving) ? json_integer_value(serving) : -1;
    view->count = json_array_size(versions);
    if (view->count > ADMIN_VERSIONS)
        view->count = ADMIN_VERSIONS;
    for (size_t i = 0; i < view->count; i++)
        read_version(json_array_get(versions, i), &view->versions[i]);
}

static size_t count_serving(const json_t *model)
{
    const json_t *versions = json_object_get(model, "versions");
    size_t serving = 0;
    for (size_t i = 0; i < json_array_size(versions); i++)
        serving += strcmp(text_of(json_array_get(versions, i), "state"), "serving") == 0;
    return serving;
}

bool admin_read_status(const char *body, size_t size, struct admin_view *view)
{
    json_t *json = json_loadb(body, size, 0, NULL);
    const json_t *models = json_object_get(json, "models");
    if (!json_is_array(models)) {
        json_decref(json);
        return false;
    }
    view->answers++;
    view->ready = json_is_true(json_object_get(json_object_get(json, "server"), "ready"));
    view->has_reference = false;
    view->references = 0;
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *model = json_array_get(models, i);
        if (strcmp(text_of(model, "name"), SERVER_MODEL) == 0)
            read_model(model, view);
        if (strcmp(text_of(model, "name"), SERVER_REFERENCE) == 0) {
            view->has_reference = true;
            view->references = count_serving(model);
        }
    }
    json_decref(json);
    return true;
}

uint64_t admin_read_events(const char *body, size_t size, void (*each)(void *argument, const struct admin_event *event),
                           void *argument)
{
    uint64_t last = 0;
    for (const char *line = body, *end = body + size; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *next = newline != NULL ? newline + 1 : end;
        json_t *json = json_loadb(line, (size_t)(next - line), 0, NULL);
        if (json_is_object(json)) {
            struct admin_event event = { .version = json_integer_value(json_object_get(json, "version")) };
            COPY(event.event, text_of(json, "event"));
            COPY(event.model, text_of(json, "model"));
            COPY(event.text, text_of(json, "text"));
            const uint64_t id = count_of(json, "id");
            last = id > last ? id : last;
            each(argument, &event);
        }
        json_decref(json);
        line = next;
    }
    return last;
}
