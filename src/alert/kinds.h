/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ALERT_KINDS_H
#define EL_ALERT_KINDS_H

/*
 * Which events are alerts, how bad each is, and what ends it: the one table. This header is the room's own.
 *
 * Constant; any thread.
 */

#include "base/log.h"
#include "config/alerts.h"

#include <stdbool.h>
#include <stdint.h>

/* What ends the condition that an alert tells of. */
enum el_alert_end {
    EL_ALERT_ENDS_ITSELF,    /* it happened, and that is all: there is no condition */
    EL_ALERT_ENDS_BY_EVENT,  /* the event `ends` about the same model */
    EL_ALERT_ENDS_BY_WORKER, /* the model answers again, or this version is given up */
    EL_ALERT_ENDS_BY_BETTER, /* this version or a newer one serves, or this version is not known as bad any more */
};

struct el_alert_kind {
    const char *event;
    enum el_log_level level; /* and this level at least */
    const char *name;        /* Alertmanager's alertname */
    const char *title;       /* for people */
    enum el_alert_severity severity;
    enum el_alert_end end;
    const char *ends;    /* BY_EVENT */
    const char *instead; /* it is not told while this event's alert goes on for the same version; NULL */
};

/* NULL: the event is no alert. */
const struct el_alert_kind *el_alert_kind(const char *event, enum el_log_level level);

/* True if event, about version of the same model, ends a condition of that kind about bad_version. */
bool el_alert_is_ended(const struct el_alert_kind *kind, int64_t bad_version, const char *event, int64_t version);

#endif
