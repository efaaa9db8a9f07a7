/* SPDX-License-Identifier: Apache-2.0 */
#include "config/alerts.h"

#include "base/file.h"
#include "config/text.h"
#include "config/text_file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GROUP_MS 60000
#define TIMEOUT_MS 10000
#define MOST_TIMEOUT_MS 600000
#define MOST_GROUP_SECONDS 86400
#define MOST_RECEIVERS 32
#define MOST_SECRET_BYTES 4096
#define SYSLOG_SOCKET "/dev/log"

enum { CONFIG_RECEIVER = 1, CONFIG_GROUP_SECONDS = 2, CONFIG_SERVER = 3 };
enum { RECEIVER_NAME = 1, RECEIVER_LEAST = 2, RECEIVER_WEBHOOK = 3, RECEIVER_EXEC = 4, RECEIVER_SYSLOG = 5 };
enum { WEBHOOK_URL = 1, WEBHOOK_SECRET = 2, WEBHOOK_TEMPLATE = 3, WEBHOOK_CA = 4, WEBHOOK_TIMEOUT = 5 };
enum { EXEC_ARGV = 1, EXEC_TIMEOUT = 2 };
enum { SYSLOG_PATH = 1 };

#define FIELD(field_name, field_number, k) .name = (field_name), .number = (field_number), .kind = EL_TEXT_##k
#define FIELDS(array) .fields = (array), .field_count = sizeof(array) / sizeof(array)[0]

static const struct el_text_enum severities[] = {
    { "info", EL_ALERT_INFO }, { "warning", EL_ALERT_WARNING }, { "critical", EL_ALERT_CRITICAL }, { NULL, 0 }
};
static const struct el_text_enum templates[] = {
    { "json", EL_ALERT_JSON }, { "slack", EL_ALERT_SLACK }, { "alertmanager", EL_ALERT_ALERTMANAGER }, { NULL, 0 }
};
static const struct el_text_field webhook_fields[] = {
    { FIELD("url", WEBHOOK_URL, STRING) },
    { FIELD("hmac_secret_file", WEBHOOK_SECRET, STRING) },
    { FIELD("template", WEBHOOK_TEMPLATE, ENUM), .values = templates },
    { FIELD("ca_file", WEBHOOK_CA, STRING) },
    { FIELD("timeout_ms", WEBHOOK_TIMEOUT, UINT32), .optional = true },
};
static const struct el_text_type webhook = { .name = "everlit.Webhook", FIELDS(webhook_fields) };
static const struct el_text_field exec_fields[] = {
    { FIELD("argv", EXEC_ARGV, STRING), .repeated = true },
    { FIELD("timeout_ms", EXEC_TIMEOUT, UINT32), .optional = true },
};
static const struct el_text_type exec = { .name = "everlit.Exec", FIELDS(exec_fields) };
static const struct el_text_field syslog_fields[] = { { FIELD("socket", SYSLOG_PATH, STRING) } };
static const struct el_text_type syslog = { .name = "everlit.Syslog", FIELDS(syslog_fields) };
static const struct el_text_field receiver_fields[] = {
    { FIELD("name", RECEIVER_NAME, STRING) },
    { FIELD("least", RECEIVER_LEAST, ENUM), .values = severities },
    { FIELD("webhook", RECEIVER_WEBHOOK, MESSAGE), .message = &webhook, .oneof = "way" },
    { FIELD("exec", RECEIVER_EXEC, MESSAGE), .message = &exec, .oneof = "way" },
    { FIELD("syslog", RECEIVER_SYSLOG, MESSAGE), .message = &syslog, .oneof = "way" },
};
static const struct el_text_type receiver_type = { .name = "everlit.AlertReceiver", FIELDS(receiver_fields) };
static const struct el_text_field config_fields[] = {
    { FIELD("receiver", CONFIG_RECEIVER, MESSAGE), .message = &receiver_type, .repeated = true },
    { FIELD("group_seconds", CONFIG_GROUP_SECONDS, UINT32), .optional = true },
    { FIELD("server", CONFIG_SERVER, STRING) },
};
static const struct el_text_type config_type = { .name = "everlit.AlertConfig", FIELDS(config_fields) };

/* The text of a field, "" where it is not given; a zero byte in it ends it, which no path or URL has use for. */
static const char *text_of(const struct el_text_message *message, int32_t number)
{
    const struct el_text_value *value = el_text_get(message, number);
    return value != NULL ? value->as.string.data : "";
}

static struct el_status *copy_text(const char *text, char **to)
{
    *to = strdup(text);
    return *to == NULL ? el_status_no_memory() : NULL;
}

static struct el_status *read_timeout(const char *path, const struct el_text_message *message, int32_t number,
                                      uint32_t *timeout_ms)
{
    const struct el_text_value *value = el_text_get(message, number);
    *timeout_ms = TIMEOUT_MS;
    if (value == NULL)
        return NULL;
    if (value->as.count < 1 || value->as.count > MOST_TIMEOUT_MS)
        return el_text_error_at(path, value, EL_INVALID_ARGUMENT,
                                "timeout_ms is expected to be from 1 to %d, found %llu", MOST_TIMEOUT_MS,
                                (unsigned long long)value->as.count);
    *timeout_ms = (uint32_t)value->as.count;
    return NULL;
}

static struct el_status *read_secret(const char *path, const struct el_text_value *value,
                                     struct el_alert_receiver *receiver)
{
    struct el_buf bytes = { 0 };
    struct el_status *status = el_file_read(value->as.string.data, MOST_SECRET_BYTES, &bytes);
    if (status == NULL)
        status = el_buf_status(&bytes);
    while (status == NULL && bytes.size > 0 &&
           (bytes.data[bytes.size - 1] == '\n' || bytes.data[bytes.size - 1] == '\r'))
        bytes.size--; /* as editors leave it */
    if (status == NULL && bytes.size == 0)
        status = el_text_error_at(path, value, EL_INVALID_ARGUMENT, "hmac_secret_file %s is empty; expected a secret",
                                  value->as.string.data);
    if (status != NULL) {
        el_buf_free(&bytes);
        return status;
    }
    receiver->secret = bytes.data;
    receiver->secret_size = bytes.size;
    return NULL;
}

static struct el_status *read_webhook(const char *path, const struct el_text_value *place,
                                      struct el_alert_receiver *receiver)
{
    const struct el_text_message *message = place->as.message;
    const char *url = text_of(message, WEBHOOK_URL);
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        return el_text_error_at(path, place, EL_INVALID_ARGUMENT,
                                "the url of a webhook is expected to start with https:// or http://, found \"%.200s\"",
                                url);
    EL_TRY(copy_text(url, &receiver->url));
    const struct el_text_value *template = el_text_get(message, WEBHOOK_TEMPLATE);
    receiver->template = template != NULL ? (enum el_alert_template) template->as.integer : EL_ALERT_JSON;
    if (*text_of(message, WEBHOOK_CA) != '\0')
        EL_TRY(copy_text(text_of(message, WEBHOOK_CA), &receiver->ca_file));
    if (*text_of(message, WEBHOOK_SECRET) != '\0')
        EL_TRY(read_secret(path, el_text_get(message, WEBHOOK_SECRET), receiver));
    return read_timeout(path, message, WEBHOOK_TIMEOUT, &receiver->timeout_ms);
}

static struct el_status *read_exec(const char *path, const struct el_text_value *place,
                                   struct el_alert_receiver *receiver)
{
    const struct el_text_value *first = el_text_get(place->as.message, EXEC_ARGV), *value;
    size_t count = 0;
    for (value = first; value != NULL; value = el_text_next(value))
        count++;
    if (first == NULL || first->as.string.data[0] != '/')
        return el_text_error_at(
            path, place, EL_INVALID_ARGUMENT,
            "the first argv of exec is expected to be the absolute path of a program, found \"%.200s\"",
            first != NULL ? first->as.string.data : "");
    receiver->argv = calloc(count + 1, sizeof *receiver->argv);
    if (receiver->argv == NULL)
        return el_status_no_memory();
    count = 0;
    for (value = first; value != NULL; value = el_text_next(value))
        EL_TRY(copy_text(value->as.string.data, &receiver->argv[count++]));
    return read_timeout(path, place->as.message, EXEC_TIMEOUT, &receiver->timeout_ms);
}

static struct el_status *read_syslog(const struct el_text_value *place, struct el_alert_receiver *receiver)
{
    const char *socket = text_of(place->as.message, SYSLOG_PATH);
    receiver->timeout_ms = TIMEOUT_MS;
    return copy_text(*socket != '\0' ? socket : SYSLOG_SOCKET, &receiver->socket);
}

static struct el_status *read_receiver(const char *path, const struct el_text_value *place,
                                       struct el_alert_config *config)
{
    const struct el_text_message *message = place->as.message;
    struct el_alert_receiver *receiver = &config->receivers[config->count++];
    const char *name = text_of(message, RECEIVER_NAME);
    if (*name == '\0')
        return el_text_error_at(
            path, place, EL_INVALID_ARGUMENT,
            "a receiver has no name; expected one, unlike the others': what waits for it is kept under it");
    for (size_t i = 0; i + 1 < config->count; i++)
        if (config->receivers[i].name != NULL && strcmp(config->receivers[i].name, name) == 0)
            return el_text_error_at(path, place, EL_INVALID_ARGUMENT,
                                    "there are two receivers with the name \"%.200s\"", name);
    EL_TRY(copy_text(name, &receiver->name));
    const struct el_text_value *least = el_text_get(message, RECEIVER_LEAST);
    receiver->least = least != NULL ? (enum el_alert_severity)least->as.integer : EL_ALERT_WARNING;
    const struct el_text_value *way = el_text_get(message, RECEIVER_WEBHOOK);
    if (way != NULL) {
        receiver->way = EL_ALERT_WEBHOOK;
        return read_webhook(path, way, receiver);
    }
    if ((way = el_text_get(message, RECEIVER_EXEC)) != NULL) {
        receiver->way = EL_ALERT_EXEC;
        return read_exec(path, way, receiver);
    }
    if ((way = el_text_get(message, RECEIVER_SYSLOG)) != NULL) {
        receiver->way = EL_ALERT_SYSLOG;
        return read_syslog(way, receiver);
    }
    return el_text_error_at(path, place, EL_INVALID_ARGUMENT,
                            "the receiver \"%.200s\" has none of webhook, exec and syslog; expected one of them", name);
}

static struct el_status *read_all(const char *path, const struct el_text_message *root, struct el_alert_config *config)
{
    const struct el_text_value *group = el_text_get(root, CONFIG_GROUP_SECONDS);
    if (group != NULL && group->as.count > MOST_GROUP_SECONDS)
        return el_text_error_at(path, group, EL_INVALID_ARGUMENT, "group_seconds is expected to be at most %d",
                                MOST_GROUP_SECONDS);
    config->group_ms = group != NULL ? (uint32_t)group->as.count * 1000 : GROUP_MS;
    if (*text_of(root, CONFIG_SERVER) != '\0')
        EL_TRY(copy_text(text_of(root, CONFIG_SERVER), &config->server));
    size_t count = 0;
    const struct el_text_value *first = el_text_get(root, CONFIG_RECEIVER), *value;
    for (value = first; value != NULL; value = el_text_next(value))
        count++;
    if (count == 0 || count > MOST_RECEIVERS)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: it names %zu receivers; expected from 1 to %d", path, count,
                             MOST_RECEIVERS);
    config->receivers = calloc(count, sizeof *config->receivers);
    if (config->receivers == NULL)
        return el_status_no_memory();
    for (value = first; value != NULL; value = el_text_next(value))
        EL_TRY(read_receiver(path, value, config));
    return NULL;
}

struct el_status *el_alert_config_read(const char *path, struct el_alert_config *config)
{
    struct el_text document;
    *config = (struct el_alert_config){ 0 };
    EL_TRY(el_text_read_file(path, &config_type, &document));
    struct el_status *status = read_all(path, document.root, config);
    el_text_free(&document);
    if (status != NULL)
        el_alert_config_free(config);
    return status;
}

void el_alert_config_free(struct el_alert_config *config)
{
    for (size_t i = 0; i < config->count; i++) {
        struct el_alert_receiver *receiver = &config->receivers[i];
        free(receiver->name);
        free(receiver->url);
        free(receiver->secret);
        free(receiver->ca_file);
        free(receiver->socket);
        for (size_t k = 0; receiver->argv != NULL && receiver->argv[k] != NULL; k++)
            free(receiver->argv[k]);
        free(receiver->argv);
    }
    free(config->receivers);
    free(config->server);
    *config = (struct el_alert_config){ 0 };
}

const char *el_alert_severity_name(enum el_alert_severity severity)
{
    return severity < EL_ALERT_SEVERITIES ? severities[severity].name : "unknown";
}
