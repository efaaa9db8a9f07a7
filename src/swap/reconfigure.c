/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/reconfigure.h"

#include "config/batching.h"
#include "swap/batching.h"
#include "swap/group.h"
#include "swap/labels.h"
#include "swap/manager.h"
#include "swap/settings.h"
#include "swap/together.h"
#include "swap/view.h"

#include <stdio.h>
#include <stdlib.h>

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

void el_models_drop(struct el_list *models)
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
        el_models_drop(&fresh);
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
    el_groups_arrange(swap);
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
