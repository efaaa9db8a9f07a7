/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/report.h"

#include "base/clock.h"
#include "swap/hosted.h"
#include "swap/loader_state.h"
#include "swap/manager.h"
#include "swap/trigger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct report {
    char *model, *document; /* owned; NULL: the place is empty */
    int64_t version;
};

struct el_reports {
    pthread_mutex_t lock; /* guards all below */
    struct report ring[EL_REPORTS_KEPT];
    uint64_t count; /* so many were made; report i is at i % EL_REPORTS_KEPT */
};

struct el_status *el_reports_new(struct el_reports **reports)
{
    *reports = calloc(1, sizeof **reports);
    if (*reports == NULL)
        return el_status_no_memory();
    pthread_mutex_init(&(*reports)->lock, NULL);
    return NULL;
}

void el_reports_free(struct el_reports *reports)
{
    if (reports == NULL)
        return;
    for (size_t i = 0; i < EL_REPORTS_KEPT; i++) {
        free(reports->ring[i].model);
        free(reports->ring[i].document);
    }
    pthread_mutex_destroy(&reports->lock);
    free(reports);
}

/* ---- the document ---- */

/* A JSON string. What is not ASCII and not UTF-8 comes from an engine's text: a reader that minds sees it in the same place of the log. */
static void put_string(struct el_buf *out, const char *text)
{
    el_buf_byte(out, '"');
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '"' || *at == '\\')
            el_buf_byte(out, '\\');
        if ((unsigned char)*at < 0x20)
            el_buf_printf(out, "\\u%04x", (unsigned)*at);
        else
            el_buf_byte(out, (uint8_t)*at);
    }
    el_buf_byte(out, '"');
}

static void put_text(struct el_buf *out, const char *name, const char *text)
{
    el_buf_printf(out, ",\"%s\":", name);
    put_string(out, text != NULL ? text : "");
}

/* How long it was in each state that it has left, and how long it takes till now in the one before the decision. */
static void put_phases(struct el_buf *out, const struct el_version *version)
{
    static const enum el_life_state phases[] = { EL_LIFE_NEW, EL_LIFE_VERIFYING, EL_LIFE_LOADING, EL_LIFE_PROBING,
                                                 EL_LIFE_READY };
    const char *comma = "";
    el_buf_text(out, ",\"phases_ms\":{");
    for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
        const uint64_t us = atomic_load_explicit(&version->servable->stats.loads.state_us[phases[i]],
                                                 memory_order_relaxed);
        if (us == 0)
            continue;
        el_buf_printf(out, "%s\"%s\":%.3f", comma, el_life_name(phases[i]), (double)us / 1e3);
        comma = ",";
    }
    el_buf_printf(out, "},\"load_ms\":%.3f,\"whole_to_able_ms\":%.3f", version->load_ms, version->switch_ms);
}

/* urgent: requests are led back meanwhile, and what takes long (the kernel walks through all pages) has to wait. */
static void put_figures(struct el_buf *out, const char *name, const struct el_version *version, bool urgent)
{
    const struct el_version_stats *stats = &version->servable->stats;
    struct el_worker_memory memory = { 0 };
    if (version->hosted != NULL && version->hosted->worker != NULL && urgent)
        memory.resident_bytes = el_worker_resident_bytes(version->hosted->worker);
    else if (version->hosted != NULL && version->hosted->worker != NULL)
        el_worker_memory(version->hosted->worker, &memory);
    el_buf_printf(out,
                  ",\"%s\":{\"version\":%" PRId64 ",\"state\":\"%s\",\"resident_bytes\":%" PRIu64
                  ",\"private_bytes\":%" PRIu64 ",\"requests\":%" PRIu64 ",\"errors\":%" PRIu64
                  ",\"worker_deaths\":%" PRIu64 "}",
                  name, version->number, el_life_name(version->state), memory.resident_bytes, memory.private_bytes,
                  atomic_load_explicit(&stats->requests, memory_order_relaxed),
                  atomic_load_explicit(&stats->errors, memory_order_relaxed),
                  atomic_load_explicit(&stats->worker_deaths, memory_order_relaxed));
}

/* Resident, of its model's workers together, before its load and now; and the most that its own took. */
static void put_memory(struct el_buf *out, const struct el_version *version, bool urgent)
{
    uint64_t peak = version->memory_peak;
    if (version->hosted != NULL && !version->hosted->dead) {
        const uint64_t now = el_worker_peak_bytes(version->hosted->worker);
        peak = now > peak ? now : peak;
    }
    el_buf_printf(out,
                  ",\"memory\":{\"before_bytes\":%" PRIu64 ",\"peak_bytes\":%" PRIu64 ",\"after_bytes\":%" PRIu64 "}",
                  version->memory_before, peak, urgent ? 0 : el_hosted_resident_bytes(version->model));
}

/* The other model that its load has slowed most. */
static void put_others(struct el_buf *out, const struct el_version *version)
{
    const struct el_disturbance *most = version->disturbed;
    if (most == NULL)
        return;
    el_buf_text(out, ",\"others\":{\"model\":");
    put_string(out, most->name);
    el_buf_printf(out, ",\"p99_before_ms\":%.3f,\"p99_during_ms\":%.3f,\"requests\":%" PRIu64 "}",
                  (double)most->was_ns / 1e6, (double)most->is_ns / 1e6, most->requests);
}

/* The version that answered before it, or answers instead of it. */
static const struct el_version *other_of(const struct el_version *version)
{
    const struct el_version *other, *serving = NULL, *before = NULL, *warm = NULL;
    el_list_each (other, &version->model->versions, in_model) {
        if (other == version)
            continue;
        if (other->state == EL_LIFE_SERVING && serving == NULL)
            serving = other;
        if (other->state == EL_LIFE_WARM && warm == NULL)
            warm = other;
        if (other->number == version->model->told_serving)
            before = other;
    }
    return before != NULL ? before : serving != NULL ? serving : warm;
}

static char *print(const char *event, const char *by, const struct el_version *version, const char *text)
{
    struct el_buf out = { 0 };
    el_buf_text(&out, "{\"model\":");
    put_string(&out, version->model->settings.name);
    el_buf_printf(&out, ",\"version\":%" PRId64 ",\"time_us\":%" PRId64, version->number, el_calendar_us());
    put_text(&out, "decision", event);
    put_text(&out, "by", by);
    put_text(&out, "why", text);
    put_text(&out, "code", el_code_name(version->code));
    char trigger[640];
    put_text(&out, "trigger", el_trigger_print(version, trigger, sizeof trigger));
    put_text(&out, "path", version->path);
    el_buf_printf(&out, ",\"bytes\":%" PRIu64, version->bytes);
    put_text(&out, "digest", version->digest);
    put_phases(&out, version);
    put_text(&out, "engine", version->engine);
    put_text(&out, "engine_reason", version->engine_reason);
    put_text(&out, "isolation", version->isolation);
    put_text(&out, "probe", version->probe);
    const bool urgent = strcmp(event, "rolled_back") == 0 || strcmp(event, "quarantined") == 0;
    put_memory(&out, version, urgent);
    put_others(&out, version);
    put_figures(&out, "new", version, urgent);
    const struct el_version *other = other_of(version);
    if (other != NULL)
        put_figures(&out, "old", other, urgent);
    el_buf_byte(&out, '}');
    return el_buf_take_text(&out);
}

static bool is_decision(const char *event)
{
    static const char *const decisions[] = { "switched",    "serving", "quarantined",
                                             "rolled_back", "guarded", "group_rolled_back" };
    for (size_t i = 0; i < sizeof decisions / sizeof decisions[0]; i++)
        if (strcmp(event, decisions[i]) == 0)
            return true;
    return false;
}

const char *el_report_decided(struct el_reports *reports, const char *event, const char *by,
                              const struct el_version *version, const char *text)
{
    if (version == NULL || !is_decision(event))
        return NULL;
    char *document = print(event, by, version, text), *model = strdup(version->model->settings.name);
    if (document == NULL || model == NULL) {
        free(document);
        free(model);
        return NULL;
    }
    pthread_mutex_lock(&reports->lock);
    struct report *place = &reports->ring[reports->count++ % EL_REPORTS_KEPT];
    const struct report oldest = *place;
    *place = (struct report){ .model = model, .document = document, .version = version->number };
    pthread_mutex_unlock(&reports->lock);
    free(oldest.model);
    free(oldest.document);
    return document;
}

void el_swap_reports(struct el_swap *swap, const char *model, size_t model_size, int64_t version,
                     void (*each)(const char *document, void *argument), void *argument)
{
    struct el_reports *reports = swap->reports;
    pthread_mutex_lock(&reports->lock);
    const uint64_t kept = reports->count < EL_REPORTS_KEPT ? reports->count : EL_REPORTS_KEPT;
    for (uint64_t i = 1; i <= kept; i++) {
        const struct report *report = &reports->ring[(reports->count - i) % EL_REPORTS_KEPT];
        if (strlen(report->model) == model_size && memcmp(report->model, model, model_size) == 0 &&
            (version < 0 || version == report->version))
            each(report->document, argument);
    }
    pthread_mutex_unlock(&reports->lock);
}
