/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_EVENTS_H
#define EL_SWAP_EVENTS_H

/*
 * The ring of the last EL_EVENTS_KEPT events: what happened and why, for
 * `everlit events`.
 *
 * Added to on the swap thread, read on any; one mutex guards everything in it. An event whose text finds no memory
 * is kept with an empty text, so that ids stay without holes.
 */

#include "swap/swap.h"

#include <pthread.h>

#define EL_EVENTS_KEPT 4096

struct el_events {
    pthread_mutex_t lock;  /* guards all below */
    struct el_event *ring; /* event id i lies at (i - 1) % EL_EVENTS_KEPT; model and text owned */
    uint64_t last;         /* id of the newest; 0: none yet */
};

struct el_status *el_events_init(struct el_events *events) EL_MUST_USE;
void el_events_free(struct el_events *events);

/* event is a constant; model and text are copied. */
void el_events_add(struct el_events *events, enum el_log_level level, const char *event, const char *model,
                   int64_t version, const char *text);

void el_events_each(struct el_events *events, uint64_t after,
                    void (*each)(const struct el_event *event, void *argument), void *argument);

#endif
