/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/swap.h"

#include "base/clock.h"
#include "source/watch.h"
#include "swap/group.h"
#include "swap/guard.h"
#include "swap/local_copy_jobs.h"
#include "swap/manager.h"
#include "swap/reconfigure.h"
#include "swap/report.h"
#include "swap/rollout.h"
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
    if (model->group != NULL)
        model->group->changed = true;
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
    el_rollout_wake(swap);
    el_copy_jobs_collect(swap->copy_jobs);
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
    el_copy_jobs_stop(swap->copy_jobs);
    swap->stopped = stopped;
    swap->stopped_argument = argument;
    struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        if (model->removed)
            el_model_touch(model); /* what is kept of it for the status goes, too */
        else
            el_model_remove(model);
    }
    el_swap_touch(swap);
    el_swap_alarm(swap, el_now_ns());
}

void el_swap_free(struct el_swap *swap)
{
    if (swap == NULL)
        return;
    el_groups_free(swap);
    el_view_drop(swap);
    el_view_forget_order(swap);
    el_servable_sweep(&swap->lingering);
    el_events_free(&swap->events);
    el_reports_free(swap->reports);
    el_copy_jobs_free(swap->copy_jobs);
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
    el_list_init(&swap->groups);
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
    if (status == NULL && options->copies_directory != NULL)
        status = el_copy_jobs_new(swap, options->copies_directory, options->copies_max_bytes, &swap->copy_jobs);
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
        el_models_drop(&swap->models);
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
    el_local_copy_sweep(swap);
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
