/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ALERT_SEND_H
#define EL_ALERT_SEND_H

/*
 * One try to tell a receiver: webhook.c, exec.c, syslog.c. This header is the room's own.
 *
 * Blocks, at most for the receiver's timeout_ms; comes back at once when stop_fd can be read. Each receiver has a thread for it.
 */

#include "base/status.h"
#include "config/alerts.h"

#include <stdbool.h>
#include <stddef.h>

struct el_alert_try {
    const struct el_alert_receiver *receiver;
    const char *document; /* see message.h */
    int stop_fd;          /* an eventfd */
    void *curl;           /* WEBHOOK: the receiver's CURLM */
};

/*
 * NULL: he has been told. INVALID_ARGUMENT, FAILED_PRECONDITION: he will not take it, and is not to be asked again; every other code: he is.
 */
struct el_status *el_alert_webhook(const struct el_alert_try *try) EL_MUST_USE;
struct el_status *el_alert_exec(const struct el_alert_try *try) EL_MUST_USE;
struct el_status *el_alert_syslog(const struct el_alert_try *try) EL_MUST_USE;

/* "sha256=<hex>" of HMAC-SHA256 (RFC 2104) over body. False: the library has no memory. */
#define EL_ALERT_SIGNATURE_SIZE 72
bool el_alert_sign(const uint8_t *secret, size_t secret_size, const char *body, char to[EL_ALERT_SIGNATURE_SIZE]);

#endif
