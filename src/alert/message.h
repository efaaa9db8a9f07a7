/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ALERT_MESSAGE_H
#define EL_ALERT_MESSAGE_H

/*
 * An alert as a text: the JSON document that is kept until it is told, and what the receivers' templates make of it. This header is
 * the room's own.
 *
 * Any thread; nothing is kept.
 */

#include "base/status.h"
#include "config/alerts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_alert_message {
    const char *id; /* unlike any other's; the same when it is told again */
    const char *event, *name, *title;
    enum el_alert_severity severity;
    bool resolved, condition; /* condition: it goes on until one with resolved comes */
    const char *server, *model;
    int64_t version; /* -1: about the model or the server */
    const char *text;
    uint32_t count; /* how often it happened */
    int64_t time_us, starts_us;
};

/* The document, on one line; to be freed. */
struct el_status *el_alert_print(const struct el_alert_message *message, char **document) EL_MUST_USE;

/* What a receiver with that template gets for document; to be freed. now_us: until when Alertmanager may hold it for true counts from there. */
struct el_status *el_alert_render(const char *document, enum el_alert_template template, int64_t now_us,
                                  char **body) EL_MUST_USE;

/* One line for people, "[critical] everlit on host: ..."; to be freed. */
struct el_status *el_alert_line(const char *document, char **line, enum el_alert_severity *severity) EL_MUST_USE;

/* Prints a moment as RFC 3339, UTC. */
#define EL_ALERT_TIME_SIZE 32
void el_alert_time(int64_t time_us, char to[EL_ALERT_TIME_SIZE]);

#endif
