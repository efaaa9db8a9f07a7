/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a view shows of one model is one block of memory, which goes from view to view until the
 * model changes; a view itself is little more than the list of the blocks. So a step of one model's load
 * costs the same beside a thousand others: that model is laid out anew, the others are pointed at.
 *
 * The same code walks the model twice: the first time with no memory, to learn how much there must be, the second time to
 * fill it. So a block is allocated at once or not at all, and freed at once: a grace period after the publication that
 * no longer has it.
 */
#include "swap/view.h"

#include "base/clock.h"
#include "swap/guard.h"
#include "swap/labels.h"
#include "swap/loader.h"
#include "swap/rcu.h"
#include "swap/request.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What is behind the public view. */
struct published {
    struct el_view view;
    const struct el_model_view **by_name; /* sorted */
    struct el_deferred deferred;
};

/* One model as the current view shows it. */
struct el_shown {
    struct el_model_view view;
    struct el_swap *swap;
    struct el_servable **servables; /* owned with others */
    size_t servable_count;
    struct el_deferred deferred;
};

struct layout {
    unsigned char *base; /* NULL: only measuring */
    size_t used;
};

static void *place(struct layout *layout, size_t size)
{
    size_t at = (layout->used + 15) & ~(size_t)15;
    layout->used = at + size;
    return layout->base != NULL ? layout->base + at : NULL;
}

static const char *place_text(struct layout *layout, const char *text)
{
    size_t size = strlen(text != NULL ? text : "") + 1;
    char *copy = place(layout, size);
    if (copy != NULL)
        memcpy(copy, text != NULL ? text : "", size);
    return copy;
}

struct el_version *el_model_serving(const struct el_model *model)
{
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (version->state == EL_LIFE_SERVING)
            return version;
    }
    return NULL;
}

static void lay_version(struct layout *layout, const struct el_version *version, struct el_version_view *view)
{
    const char *reason = place_text(layout, version->reason);
    const char *said = version->said != NULL ? version->said : version->reason;
    const char *error = place_text(layout, version->code != EL_OK ? said : "");
    const char *engine = place_text(layout, version->engine);
    const char *engine_reason = place_text(layout, version->engine_reason);
    const char *probe = place_text(layout, version->probe);
    if (view == NULL)
        return;
    const struct el_hosted *hosted = version->hosted != NULL ? version->hosted : el_load_hosted(version->load);
    *view = (struct el_version_view){
        .version = version->number,
        .state = version->state,
        .code = version->code,
        .reason = reason,
        .error = error,
        .refused = version->refused && version->state == EL_LIFE_QUARANTINED,
        .since_us = version->since_us,
        .engine = engine,
        .engine_reason = engine_reason,
        .probe = probe,
        .isolation = version->isolation,
        .pid = hosted != NULL ? el_worker_pid(hosted->worker) : 0,
        .load_ms = version->load_ms,
        .switch_ms = version->switch_ms,
        .guard_until_us = el_guard_until_us(version),
        .signatures = version->servable->has_signatures ? &version->servable->signatures : NULL,
        .stats = &version->servable->stats,
        .worker = hosted != NULL ? hosted->worker : NULL,
        .servable = version->servable,
    };
}

static void lay_labels(struct layout *layout, const struct el_model *model, struct el_model_view *view)
{
    size_t count = model->settings.label_count;
    struct el_version_label *labels = place(layout, count * sizeof *labels);
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(model->settings.labels[i].label) + 1;
        char *text = place(layout, size);
        if (view == NULL)
            continue;
        memcpy(text, model->settings.labels[i].label, size);
        const struct el_version_label *label = &model->settings.labels[i];
        labels[i] = (struct el_version_label){
            .label = text,
            .version = el_label_leads(model, label),
            .moved = label->moved,
            .former = label->former,
        };
    }
    if (view != NULL) {
        view->labels = labels;
        view->label_count = count;
    }
}

/* A rate of 0 is as good as no log. */
static void lay_logging(struct layout *layout, const struct el_model *model, struct el_model_view *view)
{
    const struct el_model_config *settings = &model->settings;
    if (settings->logging.filename_prefix == NULL || settings->logging.sampling_rate <= 0)
        return;
    const char *prefix = place_text(layout, settings->logging.filename_prefix);
    if (view != NULL)
        view->logging = (struct el_log_settings){ .prefix = prefix,
                                                  .sampling_rate = settings->logging.sampling_rate,
                                                  .file_bytes = settings->update.request_log_file_bytes,
                                                  .total_bytes = settings->update.request_log_total_bytes };
}

static struct el_pin_view lay_pin(struct layout *layout, const struct el_model *model)
{
    const struct el_journal_model *known = el_journal_model(model->swap->options.journal, model->settings.name);
    const bool pinned = known != NULL && known->pinned;
    const char *by = place_text(layout, pinned ? known->pin_by : "");
    const char *reason = place_text(layout, pinned ? known->pin_reason : "");
    return (struct el_pin_view){ .version = pinned ? known->pin_version : -1,
                                 .since_us = pinned ? known->pin_since_us : 0,
                                 .by = by,
                                 .reason = reason };
}

static struct el_shown *lay_model(struct layout *layout, const struct el_model *model)
{
    struct el_shown *made = place(layout, sizeof *made);
    struct el_model_view *view = made != NULL ? &made->view : NULL;
    size_t count = 0;
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        count++;
    }
    struct el_version_view *versions = place(layout, count * sizeof *versions);
    struct el_servable **servables = place(layout, count * sizeof *servables);
    size_t at = 0;
    el_list_each (version, &model->versions, in_model) {
        lay_version(layout, version, view != NULL ? &versions[at] : NULL);
        if (servables != NULL)
            servables[at] = version->servable;
        at++;
    }
    const char *name = place_text(layout, model->settings.name);
    const char *base_path = place_text(layout, model->settings.base_path);
    const char *source_error = place_text(layout, model->source_error);
    const struct el_pin_view pin = lay_pin(layout, model);
    if (made != NULL) {
        const struct el_version *serving = el_model_serving(model);
        *made = (struct el_shown){ .swap = model->swap, .servables = servables, .servable_count = count };
        made->view = (struct el_model_view){
            .name = name,
            .base_path = base_path,
            .versions = versions,
            .version_count = count,
            .serving = serving != NULL ? serving->number : -1,
            .pin = pin,
            .source_error = source_error,
            .counts = model->counts,
            .lobby = model->lobby,
            .hold = model->hold,
            .hold_ns = (uint64_t)model->settings.update.load_timeout_ms * EL_NS_PER_MS,
        };
    }
    lay_labels(layout, model, view);
    lay_logging(layout, model, view);
    return made;
}

static void shown_free(void *argument)
{
    struct el_shown *old = argument;
    for (size_t i = 0; i < old->servable_count; i++)
        el_servable_disown(old->servables[i], &old->swap->lingering);
    free(old);
}

/* NULL: no memory. */
static struct el_shown *show(const struct el_model *model)
{
    struct layout layout = { 0 };
    lay_model(&layout, model);
    layout = (struct layout){ .base = malloc(layout.used) };
    if (layout.base == NULL)
        return NULL;
    struct el_shown *made = lay_model(&layout, model);
    for (size_t i = 0; i < made->servable_count; i++)
        el_servable_own(made->servables[i]);
    return made;
}

/* ---- all of them ---- */

static int compare_names(const void *a, const void *b)
{
    const struct el_model *const *x = a, *const *y = b;
    return strcmp((*x)->settings.name, (*y)->settings.name);
}

void el_view_forget_order(struct el_swap *swap)
{
    free(swap->by_name);
    swap->by_name = NULL;
    swap->unpublished = true;
}

void el_view_forget_model(struct el_model *model)
{
    if (model->shown != NULL)
        shown_free(model->shown);
    model->shown = NULL;
}

static bool order(struct el_swap *swap, size_t models)
{
    if (swap->by_name != NULL)
        return true;
    swap->by_name = calloc(models + 1, sizeof *swap->by_name);
    if (swap->by_name == NULL)
        return false;
    size_t at = 0;
    struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        if (!model->removed)
            swap->by_name[at++] = model;
    }
    if (models > 1)
        qsort(swap->by_name, models, sizeof *swap->by_name, compare_names);
    return true;
}

static struct published *lay(struct layout *layout, const struct el_swap *swap, size_t models, size_t removed)
{
    struct published *made = place(layout, sizeof *made);
    const struct el_model_view **list = place(layout, models * sizeof *list);
    const struct el_model_view **gone = place(layout, removed * sizeof *gone);
    const struct el_model_view **by_name = place(layout, models * sizeof *by_name);
    if (made == NULL)
        return NULL;
    *made = (struct published){
        .view = { .models = list,
                  .model_count = models,
                  .removed = gone,
                  .removed_count = removed,
                  .generation = swap->generation + 1 },
        .by_name = by_name,
    };
    const struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        *(model->removed ? gone++ : list++) = &model->shown->view;
    }
    for (size_t i = 0; i < models; i++) {
        assert(swap->by_name[i] != NULL); /* order() has filled it */
        by_name[i] = &swap->by_name[i]->shown->view;
    }
    return made;
}

/* Lays out what has changed. Those that are not in the list of models, or not yet, wait. */
static bool renew(struct el_swap *swap)
{
    struct el_model *model, *next;
    el_list_each_safe(model, next, &swap->changes, in_changes)
    {
        struct el_shown *made = show(model);
        if (made == NULL)
            return false;
        if (model->shown != NULL)
            el_swap_defer(swap, &model->shown->deferred, shown_free, model->shown);
        model->shown = made;
        el_list_remove(&model->in_changes);
        model->changed = false;
    }
    return true;
}

static struct published *behind(struct el_view *view)
{
    return view != NULL ? EL_CONTAINER(view, struct published, view) : NULL;
}

/* Nothing that is deferred runs before a publication has come about: see el_manager_run(). */
static struct published *make(struct el_swap *swap)
{
    size_t models = 0, removed = 0;
    const struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        *(model->removed ? &removed : &models) += 1;
    }
    if (!order(swap, models) || !renew(swap))
        return NULL;
    struct layout layout = { 0 };
    lay(&layout, swap, models, removed);
    layout = (struct layout){ .base = malloc(layout.used) };
    return layout.base != NULL ? lay(&layout, swap, models, removed) : NULL;
}

bool el_view_publish(struct el_swap *swap)
{
    struct published *made = make(swap);
    if (made == NULL) {
        swap->unpublished = true;
        return false;
    }
    swap->generation++;
    swap->unpublished = false;

    /* Release: a reader that loads the new pointer sees the view's content, and each servable's signatures. */
    struct published *old = behind(atomic_exchange_explicit(&swap->view, &made->view, memory_order_acq_rel));
    if (old != NULL)
        el_swap_defer(swap, &old->deferred, free, old);
    el_loops_wake(swap);
    return true;
}

void el_view_drop(struct el_swap *swap)
{
    free(behind(atomic_exchange_explicit(&swap->view, NULL, memory_order_acq_rel)));
}

const struct el_view *el_view_get(struct el_swap *swap)
{
    el_rcu_read_lock();
    return atomic_load_explicit(&swap->view, memory_order_acquire);
}

void el_view_put(struct el_swap *swap, const struct el_view *view)
{
    (void)view;
    el_rcu_read_unlock(&swap->rcu_mark);
}

const struct el_model_view *el_view_model(const struct el_view *view, const char *name, size_t name_size)
{
    const struct published *all = EL_CONTAINER(view, const struct published, view);
    size_t low = 0, high = view->model_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *at = all->by_name[middle]->name;
        size_t at_size = strlen(at);
        int order = memcmp(at, name, at_size < name_size ? at_size : name_size);
        if (order == 0 && at_size == name_size)
            return all->by_name[middle];
        if (order < 0 || (order == 0 && at_size < name_size))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct el_version_view *el_view_version(const struct el_model_view *model, int64_t version)
{
    for (size_t i = 0; i < model->version_count; i++)
        if (model->versions[i].version == version)
            return &model->versions[i];
    return NULL;
}

bool el_view_answers(const struct el_version_view *version)
{
    return version->state == EL_LIFE_SERVING || version->state == EL_LIFE_WARM;
}

bool el_view_can_be_named(const struct el_version_view *version)
{
    return version->state == EL_LIFE_SERVING;
}

/* The highest version below one, unless best is as high already. */
static const struct el_version_view *higher(const struct el_model_view *model, const struct el_version_view *below,
                                            const struct el_version_view *best)
{
    for (size_t i = 0; model != NULL && i < model->version_count; i++) {
        const struct el_version_view *at = &model->versions[i];
        if (below != NULL && at->version >= below->version)
            continue;
        return best == NULL || at->version > best->version ? at : best;
    }
    return best;
}

const struct el_version_view *el_view_status(const struct el_view *view, const char *name, size_t name_size,
                                             const struct el_version_view *version)
{
    if (view == NULL)
        return NULL;
    const struct el_version_view *best = higher(el_view_model(view, name, name_size), version, NULL);
    /* From the last one: it was removed last. */
    for (size_t i = view->removed_count; i > 0; i--) {
        const struct el_model_view *model = view->removed[i - 1];
        if (strlen(model->name) == name_size && memcmp(model->name, name, name_size) == 0)
            best = higher(model, version, best);
    }
    return best;
}
