/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/swap.h"

#include "base/clock.h"
#include "config/batching.h"
#include "source/watch.h"
#include "swap/batching.h"
#include "swap/guard.h"
#include "swap/labels.h"
#include "swap/manager.h"
#include "swap/report.h"
#include "swap/settings.h"
#include "swap/together.h"
#include "swap/version.h"
#include "swap/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_GRACE_MS 2000 /* for workers, when the whole swap ends */

static void finish_stop(struct el_swap *swap);

void el_swap_touch(struct el_swap *swap)
{
    swap->touched = true;
}

void el_model_touch(struct el_model *model)
{
    struct el_swap *swap = model->swap;
    model->touched = swap->touched = true;
    if (model->linked)
        return;
    model->linked = true;
    el_list_add_before(&model->in_looks, &swap->looks);
}

void el_model_alarm(struct el_model *model, uint64_t at_ns)
{
    if (at_ns < model->alarm_ns)
        model->alarm_ns = at_ns;
    el_swap_alarm(model->swap, at_ns);
}

void el_model_changed(struct el_model *model)
{
    struct el_swap *swap = model->swap;
    swap->unpublished = true;
    if (model->changed)
        return;
    model->changed = true;
    el_list_add_before(&model->in_changes, &swap->changes);
}

static void on_alarm(uv_timer_t *timer)
{
    struct el_swap *swap = timer->data;
    const uint64_t now_ns = el_now_ns();
    swap->alarm_ns = EL_NEVER_NS;
    el_swap_touch(swap);
    struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        if (model->alarm_ns > now_ns) {
            el_swap_alarm(swap, model->alarm_ns);
            continue;
        }
        model->alarm_ns = EL_NEVER_NS; /* whoever waits for a later moment asks again */
        el_model_touch(model);
    }
}

void el_swap_alarm(struct el_swap *swap, uint64_t at_ns)
{
    if (at_ns >= swap->alarm_ns || swap->open_handles == 0)
        return;
    swap->alarm_ns = at_ns;
    uint64_t now = el_now_ns();
    uv_update_time(swap->options.uv_loop);
    uv_timer_start(&swap->alarm, on_alarm, at_ns <= now ? 0 : (at_ns - now + EL_NS_PER_MS - 1) / EL_NS_PER_MS, 0);
}

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

static void on_prepare(uv_prepare_t *prepare)
{
    struct el_swap *swap = prepare->data;
    if (swap->touched || swap->unpublished || swap->deferred != NULL)
        el_manager_run(swap);
    if (swap->stopping)
        finish_stop(swap);
}

/* A servable that nobody shows any more may have lost its last request; one under guard may have failed. */
static void on_async(uv_async_t *async)
{
    struct el_swap *swap = async->data;
    el_servable_sweep(&swap->lingering);
    el_guard_wake(swap);
}

/* ---- configuration ---- */

static struct el_status *add_model(struct el_swap *swap, struct el_model_config *settings, struct el_list *models)
{
    struct el_model *model;
    EL_TRY(el_model_new(swap, settings, &model));
    el_list_add_before(&model->in_swap, models);
    if (swap->started)
        model->together = EL_TOGETHER_CHANGES;
    char theirs[1024];
    snprintf(theirs, sizeof theirs, "(Re-)adding model: %s", model->settings.name);
    el_log(swap->options.log, EL_LOG_INFO, "model", el_str("model", model->settings.name),
           el_str("base_path", model->settings.base_path), el_str("message", theirs));
    return swap->started ? el_model_open_source(model) : NULL;
}

static void drop_models(struct el_list *models)
{
    struct el_model *model, *next;
    el_list_each_safe(model, next, models, in_swap)
    {
        el_list_remove(&model->in_swap);
        el_model_close_source(model);
        el_model_free(model);
    }
}

/* Everything that can fail, aside: copies of all settings, and the models that are new with their sources. */
static struct el_status *prepare_models(struct el_swap *swap, const struct el_config *config,
                                        struct el_model_config *copies, struct el_list *fresh)
{
    for (size_t i = 0; i < config->model_count; i++) {
        EL_TRY(el_settings_copy(&config->models[i], &copies[i]));
        if (el_model_find(swap, copies[i].name) == NULL)
            EL_TRY(add_model(swap, &copies[i], fresh));
    }
    return NULL;
}

/* A base path that moved: the old one's versions stay loaded until the new one's serve. */
static void apply_settings(struct el_model *model, struct el_model_config *settings)
{
    bool same_source = el_settings_same_source(&model->settings, settings);
    if (model->together == EL_TOGETHER_LEAVES)
        model->together = EL_TOGETHER_NOT;
    if (model->swap->started && (!same_source || !el_settings_same_choice(&model->settings, settings)))
        model->together = EL_TOGETHER_CHANGES;
    model->looked_at = false;
    if (!el_settings_same_worker(&model->settings, settings))
        el_tell(model->swap, EL_LOG_INFO, "reconfigured", model, NULL,
                "what concerns workers holds for versions that are loaded from now on");
    el_labels_move(model, settings);
    struct el_model_config old = model->settings;
    model->settings = *settings;
    *settings = (struct el_model_config){ 0 };
    if (!el_batching_same(old.update.batching, model->settings.update.batching))
        el_batching_changed(model->swap, model);
    el_settings_free(&old);
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (model->settings.update.probe.replay_records == 0) /* no request of a client is to be kept any more */
            el_reservoir_stop(version->servable->reservoir);
    }
    if (same_source || !model->swap->started)
        return;
    el_model_close_source(model);
    struct el_status *status = el_model_open_source(model);
    if (status != NULL)
        el_tell(model->swap, EL_LOG_ERROR, "source", model, NULL, "%s", el_status_text(status));
    el_status_free(status);
}

static void move_model(struct el_model *model, struct el_list *to)
{
    el_list_remove(&model->in_swap);
    el_list_add_before(&model->in_swap, to);
}

/* What answers goes on until what is new does. */
static void leave(struct el_model *model)
{
    if (model->swap->started && el_model_serving(model) != NULL)
        model->together = EL_TOGETHER_LEAVES;
    else
        el_model_remove(model);
}

struct el_status *el_swap_reconfigure(struct el_swap *swap, const struct el_config *config)
{
    struct el_model_config *copies = calloc(config->model_count + 1, sizeof *copies);
    if (copies == NULL)
        return el_status_no_memory();
    struct el_list fresh;
    el_list_init(&fresh);
    struct el_list before;
    el_list_init(&before);
    struct el_status *status = prepare_models(swap, config, copies, &fresh);
    if (status != NULL) {
        drop_models(&fresh);
        goto out;
    }
    el_list_move_all(&swap->models, &before);
    el_list_init(&swap->models);
    struct el_model *model;
    for (size_t i = 0; i < config->model_count; i++) {
        const char *name = config->models[i].name;
        if ((model = el_model_in(&before, name)) != NULL) {
            move_model(model, &swap->models);
            apply_settings(model, &copies[i]);
            el_model_changed(model);
            el_model_touch(model);
        } else if ((model = el_model_in(&fresh, name)) != NULL) {
            move_model(model, &swap->models);
        }
    }
    while (!el_list_empty(&before)) {
        model = EL_CONTAINER(before.next, struct el_model, in_swap);
        move_model(model, &swap->models);
        if (!model->removed)
            leave(model);
    }
    el_together_begin(swap);
    el_view_forget_order(swap);
    el_swap_touch(swap);
    if (swap->started)
        el_manager_run(swap); /* whoever is told that it is in force finds it so */
out:
    for (size_t i = 0; i < config->model_count; i++)
        el_settings_free(&copies[i]);
    free(copies);
    return status;
}

/* ---- from new to free ---- */

static void on_closed(void *argument)
{
    struct el_swap *swap = argument;
    swap->open_handles--;
    if (swap->open_handles > 0 || swap->completions_open)
        return;
    if (swap->stopped != NULL)
        swap->stopped(swap->stopped_argument);
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_closed(handle->data);
}

static void close_own_journal(struct el_swap *swap)
{
    if (swap->owns_journal)
        el_journal_close(swap->options.journal);
    swap->owns_journal = false;
}

static void on_completions_closed(void *argument)
{
    struct el_swap *swap = argument;
    swap->completions_open = false;
    close_own_journal(swap); /* nothing is told from here on */
    uv_close((uv_handle_t *)&swap->async, on_handle_closed);
    uv_close((uv_handle_t *)&swap->alarm, on_handle_closed);
    uv_close((uv_handle_t *)&swap->prepare, on_handle_closed);
    if (swap->watcher != NULL)
        el_watcher_close(swap->watcher, on_closed, swap);
    swap->watcher = NULL;
}

/* Closes what is left, once nothing hangs on it: workers and sources are gone, readers have let go. */
static void finish_stop(struct el_swap *swap)
{
    if (swap->closing || !el_list_empty(&swap->models) || !el_list_empty(&swap->hosted) || swap->open_sources > 0 ||
        swap->open_works > 0 || swap->deferred != NULL)
        return;
    swap->closing = true;
    uv_prepare_stop(&swap->prepare);
    el_completions_close(swap->completions, on_completions_closed, swap);
}

void el_swap_stop(struct el_swap *swap, void (*stopped)(void *argument), void *argument)
{
    /* Every request has been answered: a worker that does not end now is stuck. */
    if (swap->options.drain_grace_ms > STOP_GRACE_MS)
        swap->options.drain_grace_ms = STOP_GRACE_MS;
    swap->stopping = true;
    swap->stopped = stopped;
    swap->stopped_argument = argument;
    struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        if (!model->removed)
            el_model_remove(model);
    }
    el_swap_touch(swap);
    el_swap_alarm(swap, el_now_ns());
}

void el_swap_free(struct el_swap *swap)
{
    if (swap == NULL)
        return;
    el_view_drop(swap);
    el_view_forget_order(swap);
    el_servable_sweep(&swap->lingering);
    el_events_free(&swap->events);
    el_reports_free(swap->reports);
    close_own_journal(swap);
    pthread_mutex_destroy(&swap->loops_lock);
    free(swap);
}

static struct el_status *open_handles(struct el_swap *swap)
{
    uv_loop_t *loop = swap->options.uv_loop;
    int error = uv_async_init(loop, &swap->async, on_async);
    if (error != 0)
        return el_status_new(EL_UNAVAILABLE, "making the swapper's wake-up: %s", uv_strerror(error));
    uv_prepare_init(loop, &swap->prepare);
    uv_timer_init(loop, &swap->alarm);
    swap->async.data = swap->prepare.data = swap->alarm.data = swap;
    swap->open_handles = 3;
    uv_prepare_start(&swap->prepare, on_prepare);
    return NULL;
}

static struct el_status *own_journal(struct el_swap *swap)
{
    if (swap->options.journal != NULL)
        return NULL;
    const struct el_journal_options options = { .uv_loop = swap->options.uv_loop, .log = swap->options.log };
    EL_TRY(el_journal_open(&options, &swap->options.journal));
    swap->owns_journal = true;
    return NULL;
}

static void fill_defaults(struct el_swap_options *options)
{
    if (options->max_concurrent_loads == 0)
        options->max_concurrent_loads = 1;
    if (options->max_starting_loads == 0)
        options->max_starting_loads = options->max_concurrent_loads;
    if (options->drain_grace_ms == 0)
        options->drain_grace_ms = 30000;
    if (options->incomplete_ms == 0)
        options->incomplete_ms = 3000;
}

struct el_status *el_swap_new(const struct el_swap_options *options, struct el_swap **made)
{
    struct el_swap *swap = calloc(1, sizeof *swap);
    if (swap == NULL)
        return el_status_no_memory();
    swap->options = *options;
    swap->options.config = NULL;
    fill_defaults(&swap->options);
    swap->alarm_ns = EL_NEVER_NS;
    el_list_init(&swap->models);
    el_list_init(&swap->looks);
    el_list_init(&swap->changes);
    el_list_init(&swap->hosted);
    el_list_init(&swap->lingering);
    el_list_init(&swap->loops);
    pthread_mutex_init(&swap->loops_lock, NULL);
    struct el_status *status = el_events_init(&swap->events);
    if (status == NULL)
        status = el_reports_new(&swap->reports);
    if (status == NULL)
        status = own_journal(swap);
    if (status == NULL)
        status = el_swap_reconfigure(swap, options->config);
    if (status == NULL && !el_view_publish(swap))
        status = el_status_no_memory();
    if (status == NULL)
        status = el_completions_new(options->workers, options->completions_index, options->uv_loop, &swap->completions);
    if (status == NULL) {
        swap->completions_open = true;
        status = open_handles(swap);
        if (status != NULL)
            el_completions_close(swap->completions, NULL, NULL);
    }
    if (status != NULL) {
        drop_models(&swap->models);
        el_swap_free(swap);
        return status;
    }
    *made = swap;
    return NULL;
}

/* All sources share it. Without it they look now and then. */
static void open_watcher(struct el_swap *swap)
{
    if (swap->options.no_inotify || swap->options.poll_wait_ms <= 0)
        return;
    struct el_status *status = el_watcher_open(swap->options.uv_loop, &swap->watcher);
    if (status == NULL)
        swap->open_handles++;
    else
        el_tell(swap, EL_LOG_INFO, "source", NULL, NULL, "%s: the models' folders are only looked at every %lld ms",
                el_status_text(status), (long long)swap->options.poll_wait_ms);
    el_status_free(status);
}

void el_swap_start(struct el_swap *swap)
{
    swap->started = true;
    open_watcher(swap);
    struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        struct el_status *status = el_model_open_source(model);
        if (status != NULL)
            el_tell(swap, EL_LOG_ERROR, "source", model, NULL, "%s", el_status_text(status));
        el_status_free(status);
    }
    el_swap_touch(swap);
    el_swap_alarm(swap, el_now_ns());
}

bool el_swap_settled(struct el_swap *swap)
{
    /* The one of the last time first: while a thousand models load this is asked after each step of each. */
    const struct el_model *last = swap->unsettled, *model;
    if (last != NULL && !last->removed && !el_model_settled(last))
        return false;
    swap->unsettled = NULL;
    el_list_each (model, &swap->models, in_swap) {
        if (model->removed || el_model_settled(model))
            continue;
        swap->unsettled = model;
        return false;
    }
    return swap->started;
}

void el_swap_on_settled(struct el_swap *swap, void (*settled)(void *argument), void *argument)
{
    swap->settled = settled;
    swap->settled_argument = argument;
    el_swap_touch(swap);
}

uint64_t el_swap_refused(const struct el_swap *swap)
{
    return atomic_load_explicit(&swap->refused, memory_order_relaxed);
}

void el_swap_events(struct el_swap *swap, uint64_t after, void (*each)(const struct el_event *event, void *argument),
                    void *argument)
{
    el_events_each(&swap->events, after, each, argument);
}

void el_swap_on_event(struct el_swap *swap, void (*notify)(void *argument), void *argument)
{
    swap->on_event = notify;
    swap->on_event_argument = argument;
}
