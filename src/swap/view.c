/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a view shows of one model is one block of memory, which goes from view to view until the
 * model changes; a view itself is little more than the list of the blocks. So a step of one model's load
 * costs the same beside a thousand others: that model is laid out anew, the others are pointed at.
 * A block is freed a grace period after the publication that no longer has it.
 */
#include "swap/view.h"

#include "swap/rcu.h"
#include "swap/request.h"
#include "swap/view_layout.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* What is behind the public view. */
struct published {
    struct el_view view;
    const struct el_model_view **by_name; /* sorted */
    struct el_deferred deferred;
};

struct el_version *el_model_serving(const struct el_model *model)
{
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (version->state == EL_LIFE_SERVING && version->rollout == NULL)
            return version;
    }
    return NULL;
}

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
        el_shown_free(model->shown);
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

static struct published *lay(struct el_layout *layout, const struct el_swap *swap, size_t models, size_t removed)
{
    struct published *made = el_layout_place(layout, sizeof *made);
    const struct el_model_view **list = el_layout_place(layout, models * sizeof *list);
    const struct el_model_view **gone = el_layout_place(layout, removed * sizeof *gone);
    const struct el_model_view **by_name = el_layout_place(layout, models * sizeof *by_name);
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
        struct el_shown *made = el_shown_new(model);
        if (made == NULL)
            return false;
        if (model->shown != NULL)
            el_swap_defer(swap, &model->shown->deferred, el_shown_free, model->shown);
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
    struct el_layout layout = { 0 };
    lay(&layout, swap, models, removed);
    layout = (struct el_layout){ .base = malloc(layout.used) };
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
