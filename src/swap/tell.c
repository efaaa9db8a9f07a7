/* SPDX-License-Identifier: Apache-2.0 */
/* What happened, told once: to the log in our words and TensorFlow Serving's, to the events, the reports and the journal. */
#include "base/clock.h"
#include "swap/report.h"
#include "swap/state.h"

#include <stdio.h>
#include <string.h>

/* What TensorFlow Serving's log says of the same: operators look for these texts. */
static const struct {
    const char *event, *format; /* %s: the name, %lld: the version, %m: the reason */
} their_texts[] = {
    { "loading", "Successfully reserved resources to load servable {name: %s version: %lld}; "
                 "Approving load for servable version {name: %s version: %lld}; "
                 "Loading servable version {name: %s version: %lld}" },
    { "probed", "Successfully loaded servable version {name: %s version: %lld}" },
    { "retired", "Quiescing servable version {name: %s version: %lld}" },
    { "ended", "Done quiescing servable version {name: %s version: %lld}; "
               "Unloading just-loaded servable version {name: %s version: %lld}; "
               "Done unloading servable version {name: %s version: %lld}" },
    { "quarantined", "Encountered an error for servable version {name: %s version: %lld}: %m" },
};

/* A text that does not fit is cut. */
static void put_their_text(const char *event, const char *name, long long version, const char *reason, char *to,
                           size_t room)
{
    const char *format = NULL;
    for (size_t i = 0; i < sizeof their_texts / sizeof their_texts[0]; i++)
        if (strcmp(their_texts[i].event, event) == 0)
            format = their_texts[i].format;
    size_t at = 0;
    to[0] = '\0';
    while (format != NULL && *format != '\0' && at + 1 < room) {
        int n = 1;
        if (strncmp(format, "%s", 2) == 0) {
            n = snprintf(to + at, room - at, "%s", name);
            format += 2;
        } else if (strncmp(format, "%m", 2) == 0) {
            n = snprintf(to + at, room - at, "%s", reason);
            format += 2;
        } else if (strncmp(format, "%lld", 4) == 0) {
            n = snprintf(to + at, room - at, "%lld", version);
            format += 4;
        } else {
            to[at] = *format++;
            to[at + 1] = '\0';
        }
        at = (size_t)n < room - at ? at + (size_t)n : room - 1;
    }
}

static void tell(struct el_swap *swap, enum el_log_level level, const char *event, const struct el_model *model,
                 const struct el_version *version, const char *by, const char *text)
{
    const char *name = model != NULL ? model->settings.name : "";
    char theirs[1024] = "";
    if (version != NULL)
        put_their_text(event, name, (long long)version->number, text, theirs, sizeof theirs);
    if (theirs[0] != '\0')
        el_log(swap->options.log, level, event, el_str("model", name), el_int("version", version->number),
               el_str("state", el_life_name(version->state)), el_str("reason", text), el_str("message", theirs));
    else if (version != NULL)
        el_log(swap->options.log, level, event, el_str("model", name), el_int("version", version->number),
               el_str("state", el_life_name(version->state)), el_str("reason", text));
    else
        el_log(swap->options.log, level, event, el_str("model", name), el_str("reason", text));
    el_events_add(&swap->events, level, event, name, version != NULL ? version->number : -1, text);
    const char *report = el_report_decided(swap->reports, event, by, version, text);
    const struct el_journal_event record = { .time_us = el_calendar_us(),
                                             .model = name,
                                             .version = version != NULL ? version->number : -1,
                                             .event = event,
                                             .by = by,
                                             .text = text,
                                             .details = report != NULL ? report : "" };
    el_journal_event(swap->options.journal, &record);
    if (swap->on_event != NULL)
        swap->on_event(swap->on_event_argument);
}

void el_tell(struct el_swap *swap, enum el_log_level level, const char *event, const struct el_model *model,
             const struct el_version *version, const char *format, ...)
{
    char text[3072];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell(swap, level, event, model, version, "everlit", text);
}

void el_tell_by(struct el_swap *swap, enum el_log_level level, const char *event, const struct el_model *model,
                const struct el_version *version, const char *by, const char *format, ...)
{
    char text[3072];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tell(swap, level, event, model, version, by, text);
}
