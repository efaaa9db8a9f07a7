/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ALERT_ALERT_H
#define EL_ALERT_ALERT_H

/*
 * The room's door: events that somebody has to know of are told to the receivers of --alert_config_file. kinds.c has the table
 * of which they are.
 *
 * An event that is an alert is told at once; the same one again (model and event) within group_ms waits until that time is over and is then told once,
 * with how often it came. What ends a condition is told too, once. Alerts wait for their receiver in the journal until
 * he has taken them, so that a kill loses none; he may get one twice, with the same id.
 *
 * Threads. Everything here is called on the thread of uv_loop and returns at once; each receiver has a thread of its own, so
 * one that hangs holds up nobody (receiver.h).
 */

#include "base/log.h"
#include "base/status.h"
#include "config/alerts.h"
#include "journal/journal.h"

#include <stdint.h>
#include <uv.h>

struct el_alerts;

struct el_alerts_options {
    uv_loop_t *uv_loop;
    const struct el_log *log;
    const struct el_alert_config *config; /* outlives it */
    struct el_journal *journal;           /* outlives it */
};

/* Starts the receivers' threads; what an earlier start left in the journal is told first. */
struct el_status *el_alerts_new(const struct el_alerts_options *options, struct el_alerts **alerts) EL_MUST_USE;

/* Something happened: about a version, a model (version -1), or the server (model ""). Strings are copied. NULL alerts: nothing. */
void el_alerts_event(struct el_alerts *alerts, enum el_log_level level, const char *event, const char *model,
                     int64_t version, const char *text, int64_t time_us);

/* A model is not served any more: whatever was wrong with it is over. */
void el_alerts_model_gone(struct el_alerts *alerts, const char *model);

/* Ends the threads; what waits stays in the journal. The loop has to run once more. NULL is allowed. */
void el_alerts_end(struct el_alerts *alerts);

#endif
