/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_ALERTS_H
#define EL_CONFIG_ALERTS_H

/*
 * Who is told when something goes wrong: --alert_config_file, in text format. docs/alerts.md explains each field.
 *
 * Any thread that may block. Once read it is constant.
 */

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum el_alert_severity { EL_ALERT_INFO, EL_ALERT_WARNING, EL_ALERT_CRITICAL, EL_ALERT_SEVERITIES };

enum el_alert_way { EL_ALERT_WEBHOOK, EL_ALERT_EXEC, EL_ALERT_SYSLOG };

enum el_alert_template { EL_ALERT_JSON, EL_ALERT_SLACK, EL_ALERT_ALERTMANAGER };

/* One who is told. Strings are owned. */
struct el_alert_receiver {
    char *name; /* unlike the others': under it, what waits for him is kept */
    enum el_alert_severity least;
    enum el_alert_way way;
    uint32_t timeout_ms; /* of one try */

    char *url; /* WEBHOOK */
    enum el_alert_template template;
    uint8_t *secret; /* of hmac_secret_file; NULL: nothing is signed */
    size_t secret_size;
    char *ca_file; /* whom to trust instead of the system's; NULL */

    char **argv; /* EXEC: ends with NULL; the first is an absolute path */

    char *socket; /* SYSLOG */
};

struct el_alert_config {
    char *server; /* how this one is called; NULL: the host's name */
    uint32_t group_ms;
    struct el_alert_receiver *receivers;
    size_t count;
};

/* Reads the file, and the secrets that it names. On failure *config is empty; on success end it with el_alert_config_free(). */
struct el_status *el_alert_config_read(const char *path, struct el_alert_config *config) EL_MUST_USE;

void el_alert_config_free(struct el_alert_config *config);

/* "warning"; never NULL. */
const char *el_alert_severity_name(enum el_alert_severity severity);

#endif
