/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/events.h"

#include "base/clock.h"
#include "base/constant.h"

#include <stdlib.h>
#include <string.h>

struct el_status *el_events_init(struct el_events *events)
{
    *events = (struct el_events){ .ring = calloc(EL_EVENTS_KEPT, sizeof(struct el_event)) };
    if (events->ring == NULL)
        return el_status_no_memory();
    pthread_mutex_init(&events->lock, NULL);
    return NULL;
}

void el_events_free(struct el_events *events)
{
    if (events->ring == NULL)
        return;
    for (size_t i = 0; i < EL_EVENTS_KEPT; i++) {
        el_free_constant(events->ring[i].model);
        el_free_constant(events->ring[i].text);
    }
    free(events->ring);
    pthread_mutex_destroy(&events->lock);
    *events = (struct el_events){ 0 };
}

void el_events_add(struct el_events *events, enum el_log_level level, const char *event, const char *model,
                   int64_t version, const char *text)
{
    const char *model_copy = strdup(model), *text_copy = strdup(text);
    pthread_mutex_lock(&events->lock);
    struct el_event *slot = &events->ring[events->last % EL_EVENTS_KEPT];
    el_free_constant(slot->model);
    el_free_constant(slot->text);
    *slot = (struct el_event){
        .id = ++events->last,
        .time_us = el_calendar_us(),
        .level = level,
        .event = event,
        .model = model_copy,
        .version = version,
        .text = text_copy,
    };
    pthread_mutex_unlock(&events->lock);
}

void el_events_each(struct el_events *events, uint64_t after,
                    void (*each)(const struct el_event *event, void *argument), void *argument)
{
    pthread_mutex_lock(&events->lock);
    uint64_t oldest = events->last > EL_EVENTS_KEPT ? events->last - EL_EVENTS_KEPT + 1 : 1;
    for (uint64_t id = after >= oldest ? after + 1 : oldest; id <= events->last; id++) {
        struct el_event event = events->ring[(id - 1) % EL_EVENTS_KEPT];
        event.model = event.model != NULL ? event.model : "";
        event.text = event.text != NULL ? event.text : "";
        each(&event, argument);
    }
    pthread_mutex_unlock(&events->lock);
}
