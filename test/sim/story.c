/* SPDX-License-Identifier: Apache-2.0 */
/* The story of a world: one line for each thing that happened, with its simulated time. Told only when a seed is replayed. */
#include "sim.h"

#include "swap/events.h"

#include <stdarg.h>

void __wrap_el_events_add(struct el_events *events, enum el_log_level level, const char *event, const char *model,
                          int64_t version, const char *text);

void sim_story(const char *who, const char *format, ...)
{
    if (!sim->story || sim->dying)
        return;
    va_list args;
    va_start(args, format);
    printf("%12.6f s  %-9s ", (double)sim->now_ns / 1e9, who);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

/* The rings of the real one are not looked at by anybody here. */
void __wrap_el_events_add(struct el_events *events, enum el_log_level level, const char *event, const char *model,
                          int64_t version, const char *text)
{
    (void)events;
    (void)level;
    for (const char *at = event; *at != '\0'; at++)
        sim->trace = (sim->trace ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
    sim_rules_event(event, model, version, text);
    if (version >= 0)
        sim_story("server", "%s/%lld %s: %s", model, (long long)version, event, text);
    else
        sim_story("server", "%s %s: %s", model[0] != '\0' ? model : "-", event, text);
}
