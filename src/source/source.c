/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory source: when to scan, and what two scans in a row mean.
 *
 * A scan tells what the files are now (a fingerprint) and whether they are a
 * whole version. Quiet is judged here, from scans alone: the same fingerprint
 * over quiet_ms. inotify only makes scans come sooner, so that its absence or
 * its overflow changes how fast a version is seen and nothing else.
 *
 * One timer holds the moment of the next scan: the poll period, or sooner where
 * a version becomes quiet or is given up, or inotify spoke.
 */
#include "source/source.h"

#include "base/clock.h"
#include "base/constant.h"
#include "source/scan.h"
#include "source/watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCAN_GAP_NS (10 * EL_NS_PER_MS)       /* at least between two scans, however loud inotify is */
#define UNDECIDED_PERIOD_NS (1 * EL_NS_PER_S) /* poll_wait_ms 0: until the first decision */

struct el_source {
    struct el_source_options options; /* model and base_path owned */
    uv_timer_t timer;
    uv_work_t work;
    struct el_watch watch;
    struct el_scan scan; /* in the pool while working */
    bool working, again, closing, scanned;
    unsigned open_handles;
    uint64_t due_ns, ended_ns;

    struct el_source_version *versions;
    size_t count;
    struct el_status *error;
    char *warning;

    void (*closed)(void *argument);
    void *closed_argument;
};

static void start_scan(struct el_source *source);

static void on_timer(uv_timer_t *timer)
{
    start_scan(timer->data);
}

/* Moves the next scan to at_ns, unless it comes sooner anyway. */
static void scan_by(struct el_source *source, uint64_t at_ns)
{
    if (at_ns == EL_NEVER_NS || source->closing || source->working || at_ns >= source->due_ns)
        return;
    source->due_ns = at_ns;
    uint64_t now = el_now_ns();
    uint64_t wait_ms = at_ns <= now ? 0 : (at_ns - now + EL_NS_PER_MS - 1) / EL_NS_PER_MS;
    uv_update_time(source->options.uv_loop);
    uv_timer_start(&source->timer, on_timer, wait_ms, 0);
}

void el_source_poke(struct el_source *source)
{
    if (source->working)
        source->again = true;
    else
        scan_by(source, source->ended_ns + SCAN_GAP_NS);
}

static void on_heard(void *argument)
{
    el_source_poke(argument);
}

static const struct el_source_version *find_before(const struct el_source *source, const struct el_source_version *now)
{
    for (size_t i = 0; i < source->count; i++)
        if (source->versions[i].version == now->version && strcmp(source->versions[i].path, now->path) == 0)
            return &source->versions[i];
    return NULL;
}

static char *print(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *print(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return strdup(line);
}

/* What was seen, and for how long already, decides the state. */
static void judge(const struct el_source *source, const struct el_source_version *before, uint64_t now_ns,
                  struct el_source_version *version)
{
    bool same = before != NULL && before->fingerprint == version->fingerprint && before->seen == version->seen;
    version->whole_since_ns = same ? before->whole_since_ns : now_ns;
    uint64_t silent_ns = now_ns - version->whole_since_ns;
    bool quiet = silent_ns >= source->options.quiet_ms * EL_NS_PER_MS && (same || source->options.quiet_ms == 0);
    const char *text = version->seen_text != NULL ? version->seen_text : "";

    version->state = EL_SOURCE_ARRIVING;
    if (version->seen == EL_SEEN_NOT_YET) {
        if (same && silent_ns >= source->options.incomplete_ms * EL_NS_PER_MS) {
            version->state = EL_SOURCE_BAD;
            version->text = print("%s; nothing has changed for %u ms", text, source->options.incomplete_ms);
        } else {
            version->text = print("waiting: %s", text);
        }
    } else if (!quiet) {
        version->text = print("waiting until nothing has changed for %u ms", source->options.quiet_ms);
    } else if (version->seen == EL_SEEN_BAD) {
        version->state = EL_SOURCE_BAD;
        version->text = strdup(text);
    } else {
        version->state = EL_SOURCE_WHOLE;
    }
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* Takes what the scan found; true if it is news. */
static bool take(struct el_source *source)
{
    struct el_scan *scan = &source->scan;
    bool news = !source->scanned || !same_text(source->warning, scan->warning) ||
                !same_text(el_status_text(source->error), el_status_text(scan->error));
    source->scanned = true;
    el_status_free(source->error);
    source->error = scan->error;
    free(source->warning);
    source->warning = scan->warning;
    if (scan->error != NULL)
        return news; /* what was found before stays */

    news = news || scan->found_count != source->count;
    for (size_t i = 0; i < scan->found_count; i++) {
        struct el_source_version *version = &scan->found[i];
        const struct el_source_version *before = find_before(source, version);
        judge(source, before, scan->started_ns, version);
        news = news || before == NULL || before->state != version->state ||
               before->fingerprint != version->fingerprint || !same_text(before->text, version->text);
    }
    el_source_versions_free(source->versions, source->count);
    source->versions = scan->found;
    source->count = scan->found_count;
    return news;
}

static uint64_t next_scan_ns(const struct el_source *source)
{
    uint64_t now = el_now_ns();
    uint64_t due = EL_NEVER_NS;
    if (source->options.poll_wait_ms > 0)
        due = el_after_ns(now, (uint64_t)source->options.poll_wait_ms * EL_NS_PER_MS);
    for (size_t i = 0; i < source->count; i++) {
        const struct el_source_version *version = &source->versions[i];
        if (version->state != EL_SOURCE_ARRIVING)
            continue;
        uint32_t span_ms = version->seen == EL_SEEN_NOT_YET ? source->options.incomplete_ms : source->options.quiet_ms;
        uint64_t at = version->whole_since_ns + span_ms * EL_NS_PER_MS;
        if (source->options.poll_wait_ms == 0 && at > now + UNDECIDED_PERIOD_NS)
            at = now + UNDECIDED_PERIOD_NS;
        if (at < due)
            due = at;
    }
    return due;
}

static void finish_close(struct el_source *source)
{
    if (source->working || source->open_handles > 0)
        return;
    el_watch_close(&source->watch);
    el_source_versions_free(source->versions, source->count);
    el_status_free(source->error);
    free(source->warning);
    el_free_constant(source->options.model);
    el_free_constant(source->options.base_path);
    void (*closed)(void *) = source->closed;
    void *argument = source->closed_argument;
    free(source);
    if (closed != NULL)
        closed(argument);
}

static void scan_in_pool(uv_work_t *work)
{
    struct el_source *source = work->data;
    el_scan_run(&source->scan);
}

static void after_scan(uv_work_t *work, int cancelled)
{
    struct el_source *source = work->data;
    struct el_scan *scan = &source->scan;
    source->working = false;
    source->ended_ns = el_now_ns();
    if (source->closing) {
        el_source_versions_free(scan->found, scan->found_count);
        el_status_free(scan->error);
        free(scan->warning);
        finish_close(source);
        return;
    }
    bool news = cancelled == 0 && take(source);
    scan_by(source, next_scan_ns(source));
    if (source->again) {
        source->again = false;
        el_source_poke(source);
    }
    if (news)
        source->options.on_change(source->options.argument);
}

static void start_scan(struct el_source *source)
{
    source->due_ns = EL_NEVER_NS;
    if (source->working || source->closing)
        return;
    source->scan = (struct el_scan){
        .model = source->options.model,
        .base_path = source->options.base_path,
        .watch = &source->watch,
        .before = source->versions,
        .before_count = source->count,
    };
    source->working = true;
    if (uv_queue_work(source->options.uv_loop, &source->work, scan_in_pool, after_scan) != 0) {
        source->working = false;
        scan_by(source, el_after_ns(el_now_ns(), UNDECIDED_PERIOD_NS));
    }
}

struct el_status *el_source_open(const struct el_source_options *options, struct el_source **made)
{
    struct el_source *source = calloc(1, sizeof *source);
    char *model = strdup(options->model), *base_path = strdup(options->base_path);
    if (source == NULL || model == NULL || base_path == NULL) {
        free(source);
        free(model);
        free(base_path);
        return el_status_no_memory();
    }
    source->options = *options;
    source->options.model = model;
    source->options.base_path = base_path;
    source->due_ns = EL_NEVER_NS;
    source->work.data = source;
    uv_timer_init(options->uv_loop, &source->timer);
    source->timer.data = source;
    source->open_handles = 1;
    el_watch_open(&source->watch, options->poll_wait_ms > 0 ? options->watcher : NULL, on_heard, source);
    if (options->poll_wait_ms >= 0)
        start_scan(source);
    *made = source;
    return NULL;
}

const struct el_source_version *el_source_versions(const struct el_source *source, size_t *count)
{
    *count = source->count;
    return source->versions;
}

bool el_source_scanned(const struct el_source *source)
{
    return source->scanned;
}

const char *el_source_error(const struct el_source *source)
{
    return el_status_text(source->error);
}

const char *el_source_warning(const struct el_source *source)
{
    return source->warning != NULL ? source->warning : "";
}

bool el_source_is_watched(const struct el_source *source)
{
    return source->watch.watcher != NULL && !atomic_load_explicit(&source->watch.refused, memory_order_relaxed);
}

static void on_closed(uv_handle_t *handle)
{
    struct el_source *source = handle->data;
    source->open_handles--;
    finish_close(source);
}

void el_source_close(struct el_source *source, void (*closed)(void *argument), void *argument)
{
    source->closing = true;
    source->closed = closed;
    source->closed_argument = argument;
    if (source->working)
        uv_cancel((uv_req_t *)&source->work); /* after_scan comes in any case */
    uv_close((uv_handle_t *)&source->timer, on_closed);
}
