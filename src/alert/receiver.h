/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ALERT_RECEIVER_H
#define EL_ALERT_RECEIVER_H

/*
 * One receiver: his queue, and the thread that tells him what is in it, one after the other. This header is the room's own.
 *
 * Whoever does not take an alert is asked again after BACK_OFF_MS, doubling up to BACK_OFF_MOST_MS, each time less a random part; what
 * comes meanwhile waits behind it, QUEUE_MOST at most, then the oldest goes. Everything is called on the loop's thread.
 */

#include "base/log.h"
#include "config/alerts.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct el_receiver;

/* config and log outlive it. wake is sent when el_receiver_gone() has something to say. */
struct el_status *el_receiver_start(const struct el_alert_receiver *config, const struct el_log *log, uv_async_t *wake,
                                    struct el_receiver **receiver) EL_MUST_USE;

/* Takes document over. id: of the journal; 0: not kept there. */
void el_receiver_put(struct el_receiver *receiver, int64_t id, char *document);

/* The next alert that waits no longer: told, refused or dropped. False: no more just now. */
bool el_receiver_gone(struct el_receiver *receiver, int64_t *id);

/* Nothing waits, and nothing is being told. */
bool el_receiver_is_idle(struct el_receiver *receiver);

/* Ends its thread; what waits is left as it is. */
void el_receiver_stop(struct el_receiver *receiver);

/* After it was stopped, or before. */
void el_receiver_free(struct el_receiver *receiver);

#endif
