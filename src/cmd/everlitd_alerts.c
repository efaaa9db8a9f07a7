/* SPDX-License-Identifier: Apache-2.0 */
/* The swapper's events on their way to the alerts: the one knows nothing of the other. */
#include "cmd/everlitd.h"

#include <string.h>

struct el_status *el_daemon_start_alerts(struct el_daemon *daemon)
{
    if (!daemon->files.has_alerts)
        return NULL;
    const struct el_alerts_options options = {
        .uv_loop = &daemon->loop,
        .log = &daemon->log,
        .config = &daemon->files.alerts,
        .journal = daemon->journal,
    };
    return el_alerts_new(&options, &daemon->alerts);
}

static void hand_over(const struct el_event *event, void *argument)
{
    struct el_daemon *daemon = argument;
    daemon->alerted = event->id;
    el_alerts_event(daemon->alerts, event->level, event->event, event->model, event->version, event->text,
                    event->time_us);
    if (strcmp(event->event, "model_removed") == 0)
        el_alerts_model_gone(daemon->alerts, event->model);
}

void el_daemon_alert(struct el_daemon *daemon)
{
    if (daemon->alerts != NULL)
        el_swap_events(daemon->swap, daemon->alerted, hand_over, daemon);
}
