/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/message.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HELD_US (INT64_C(300) * 1000000)    /* Alertmanager holds a condition for true so long after it was told last */
#define MOMENT_US (INT64_C(3600) * 1000000) /* and what is none, for so long */

void el_alert_time(int64_t time_us, char to[EL_ALERT_TIME_SIZE])
{
    const time_t seconds = (time_t)(time_us / 1000000);
    struct tm utc;
    char text[24] = "";
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(to, EL_ALERT_TIME_SIZE, "%s.%03dZ", text, (int)(time_us / 1000 % 1000));
}

/* Takes json over. */
static struct el_status *dump(json_t *json, char **text)
{
    *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return *text == NULL ? el_status_no_memory() : NULL;
}

/* A JSON string; where text is no UTF-8 (an engine wrote it, or it was cut) with a `?` for each byte that is not ASCII. */
static json_t *clean(const char *text)
{
    json_t *json = json_string(text);
    if (json != NULL)
        return json;
    char *copy = strdup(text);
    for (char *at = copy; at != NULL && *at != '\0'; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    json = copy != NULL ? json_string(copy) : NULL;
    free(copy);
    return json;
}

struct el_status *el_alert_print(const struct el_alert_message *message, char **document)
{
    char time[EL_ALERT_TIME_SIZE], starts[EL_ALERT_TIME_SIZE];
    el_alert_time(message->time_us, time);
    el_alert_time(message->starts_us, starts);
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:I, s:o, s:I, s:s, s:s, s:I}", "id", message->id, "status",
        message->resolved ? "resolved" : "firing", "alert", message->name, "title", message->title, "event",
        message->event, "severity", el_alert_severity_name(message->severity), "condition", (int)message->condition,
        "server", clean(message->server), "model", clean(message->model), "version", (json_int_t)message->version,
        "text", clean(message->text), "count", (json_int_t)message->count, "time", time, "starts_at", starts, "time_us",
        (json_int_t)message->time_us);
    return dump(json, document);
}

static const char *field(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "";
}

/* "digits version 2: ..." */
static void put_subject(const json_t *json, char *to, size_t size)
{
    const char *model = field(json, "model");
    const json_int_t version = json_integer_value(json_object_get(json, "version"));
    const json_int_t count = json_integer_value(json_object_get(json, "count"));
    char number[40] = "", times[40] = "";
    if (version >= 0)
        snprintf(number, sizeof number, " version %" JSON_INTEGER_FORMAT, version);
    if (count > 1)
        snprintf(times, sizeof times, " (%" JSON_INTEGER_FORMAT " times)", count);
    snprintf(to, size, "%s%s%s%s%s%s", model, number, *model != '\0' ? ": " : "", field(json, "title"), times,
             strcmp(field(json, "status"), "resolved") == 0 ? ": over" : "");
}

static json_t *slack(const json_t *json)
{
    char subject[1024], text[8192];
    put_subject(json, subject, sizeof subject);
    snprintf(text, sizeof text, "[%s] everlit on %s: %s\n%s",
             strcmp(field(json, "status"), "resolved") == 0 ? "resolved" : field(json, "severity"),
             field(json, "server"), subject, field(json, "text"));
    /* What these three mean to Slack: https://api.slack.com/reference/surfaces/formatting#escaping */
    char escaped[5 * sizeof text]; /* of an `&` five come */
    size_t size = 0;
    for (const char *at = text; *at != '\0'; at++) {
        const char *as = *at == '&' ? "&amp;" : *at == '<' ? "&lt;" : *at == '>' ? "&gt;" : NULL;
        if (as == NULL)
            escaped[size++] = *at;
        else
            size += (size_t)snprintf(escaped + size, sizeof escaped - size, "%s", as);
    }
    escaped[size] = '\0';
    return json_pack("{s:o}", "text", clean(escaped));
}

/* https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml: postableAlerts */
static json_t *alertmanager(const json_t *json, int64_t now_us)
{
    char summary[1024], ends[EL_ALERT_TIME_SIZE], version[32];
    const json_int_t time_us = json_integer_value(json_object_get(json, "time_us"));
    put_subject(json, summary, sizeof summary);
    if (strcmp(field(json, "status"), "resolved") == 0)
        el_alert_time(time_us, ends);
    else
        el_alert_time(json_is_true(json_object_get(json, "condition")) ? now_us + HELD_US : time_us + MOMENT_US, ends);
    snprintf(version, sizeof version, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(json, "version")));
    json_t *labels = json_pack("{s:s, s:s, s:s, s:s}", "alertname", field(json, "alert"), "severity",
                               field(json, "severity"), "instance", field(json, "server"), "job", "everlit");
    if (*field(json, "model") != '\0')
        json_object_set_new(labels, "model", json_string(field(json, "model")));
    json_t *notes = json_pack("{s:o, s:s, s:s, s:s}", "summary", clean(summary), "description", field(json, "text"),
                              "event", field(json, "event"), "version", version);
    return json_pack("[{s:o, s:o, s:s, s:s}]", "labels", labels, "annotations", notes, "startsAt",
                     field(json, "starts_at"), "endsAt", ends);
}

static struct el_status *read(const char *document, json_t **json)
{
    json_error_t error;
    *json = json_loads(document, 0, &error);
    return *json != NULL ? NULL : el_status_new(EL_DATA_LOSS, "an alert that was kept is no JSON: %s", error.text);
}

struct el_status *el_alert_render(const char *document, enum el_alert_template template, int64_t now_us, char **body)
{
    json_t *json;
    EL_TRY(read(document, &json));
    struct el_status *status;
    switch (template) {
    case EL_ALERT_SLACK:
        status = dump(slack(json), body);
        break;
    case EL_ALERT_ALERTMANAGER:
        status = dump(alertmanager(json, now_us), body);
        break;
    case EL_ALERT_JSON:
    default:
        *body = strdup(document);
        status = *body == NULL ? el_status_no_memory() : NULL;
    }
    json_decref(json);
    return status;
}

struct el_status *el_alert_line(const char *document, char **line, enum el_alert_severity *severity)
{
    json_t *json;
    EL_TRY(read(document, &json));
    char subject[1024];
    put_subject(json, subject, sizeof subject);
    *severity = EL_ALERT_INFO;
    for (int i = 0; i < EL_ALERT_SEVERITIES && strcmp(field(json, "status"), "resolved") != 0; i++)
        if (strcmp(field(json, "severity"), el_alert_severity_name((enum el_alert_severity)i)) == 0)
            *severity = (enum el_alert_severity)i;
    if (asprintf(line, "%s: %s; %s", field(json, "event"), subject, field(json, "text")) < 0)
        *line = NULL;
    for (char *at = *line; at != NULL && *at != '\0'; at++)
        if ((unsigned char)*at < 0x20)
            *at = ' ';
    json_decref(json);
    return *line == NULL ? el_status_no_memory() : NULL;
}
