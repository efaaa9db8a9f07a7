/* SPDX-License-Identifier: Apache-2.0 */
/* The block of one model: everything that a view shows of it, texts included. See view.c. */
#include "base/clock.h"
#include "swap/group.h"
#include "swap/guard.h"
#include "swap/labels.h"
#include "swap/loader.h"
#include "swap/rollout.h"
#include "swap/view.h"
#include "swap/view_layout.h"

#include <stdlib.h>
#include <string.h>

static const char *el_layout_text(struct el_layout *layout, const char *text)
{
    size_t size = strlen(text != NULL ? text : "") + 1;
    char *copy = el_layout_place(layout, size);
    if (copy != NULL)
        memcpy(copy, text != NULL ? text : "", size);
    return copy;
}

static void lay_version(struct el_layout *layout, const struct el_version *version, struct el_version_view *view)
{
    const char *reason = el_layout_text(layout, version->reason);
    const char *said = version->said != NULL ? version->said : version->reason;
    const char *error = el_layout_text(layout, version->code != EL_OK ? said : "");
    const char *engine = el_layout_text(layout, version->engine);
    const char *engine_reason = el_layout_text(layout, version->engine_reason);
    const char *probe = el_layout_text(layout, version->probe);
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

static void lay_labels(struct el_layout *layout, const struct el_model *model, struct el_model_view *view)
{
    size_t count = model->settings.label_count;
    struct el_version_label *labels = el_layout_place(layout, count * sizeof *labels);
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(model->settings.labels[i].label) + 1;
        char *text = el_layout_place(layout, size);
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
static void lay_logging(struct el_layout *layout, const struct el_model *model, struct el_model_view *view)
{
    const struct el_model_config *settings = &model->settings;
    if (settings->logging.filename_prefix == NULL || settings->logging.sampling_rate <= 0)
        return;
    const char *prefix = el_layout_text(layout, settings->logging.filename_prefix);
    if (view != NULL)
        view->logging = (struct el_log_settings){ .prefix = prefix,
                                                  .sampling_rate = settings->logging.sampling_rate,
                                                  .file_bytes = settings->update.request_log_file_bytes,
                                                  .total_bytes = settings->update.request_log_total_bytes };
}

static struct el_pin_view lay_pin(struct el_layout *layout, const struct el_model *model)
{
    const struct el_journal_model *known = el_journal_model(model->swap->options.journal, model->settings.name);
    const bool pinned = known != NULL && known->pinned;
    const char *by = el_layout_text(layout, pinned ? known->pin_by : "");
    const char *reason = el_layout_text(layout, pinned ? known->pin_reason : "");
    return (struct el_pin_view){ .version = pinned ? known->pin_version : -1,
                                 .since_us = pinned ? known->pin_since_us : 0,
                                 .by = by,
                                 .reason = reason };
}

static void lay_generations(struct el_layout *layout, const struct el_model *model, struct el_model_view *view)
{
    const char *group = el_layout_text(layout, model->group != NULL ? model->group->name : "");
    size_t count = 0;
    struct el_generation_view at;
    while (el_group_generation(model, count, &at.number, &at.version))
        count++;
    struct el_generation_view *generations = el_layout_place(layout, count * sizeof *generations);
    if (view == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        el_group_generation(model, i, &generations[i].number, &generations[i].version);
    view->group = group;
    view->generations = generations;
    view->generation_count = count;
}

static struct el_rollout_view lay_rollout(struct el_layout *layout, const struct el_model *model)
{
    struct el_rollout_view view = el_rollout_show(model);
    view.text = el_layout_text(layout, view.text);
    view.header = el_layout_text(layout, view.header);
    return view;
}

static struct el_shown *lay_model(struct el_layout *layout, const struct el_model *model)
{
    struct el_shown *made = el_layout_place(layout, sizeof *made);
    struct el_model_view *view = made != NULL ? &made->view : NULL;
    size_t count = 0;
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        count++;
    }
    struct el_version_view *versions = el_layout_place(layout, count * sizeof *versions);
    struct el_servable **servables = el_layout_place(layout, count * sizeof *servables);
    size_t at = 0;
    el_list_each (version, &model->versions, in_model) {
        lay_version(layout, version, view != NULL ? &versions[at] : NULL);
        if (servables != NULL)
            servables[at] = version->servable;
        at++;
    }
    const char *name = el_layout_text(layout, model->settings.name);
    const char *base_path = el_layout_text(layout, model->settings.base_path);
    const char *source_error = el_layout_text(layout, model->source_error);
    const struct el_pin_view pin = lay_pin(layout, model);
    const struct el_rollout_view rollout = lay_rollout(layout, model);
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
            .rollout = rollout,
            .source_error = source_error,
            .counts = model->counts,
            .lobby = model->lobby,
            .hold = model->hold,
            .hold_ns = (uint64_t)model->settings.update.load_timeout_ms * EL_NS_PER_MS,
        };
    }
    lay_labels(layout, model, view);
    lay_logging(layout, model, view);
    lay_generations(layout, model, view);
    return made;
}

void el_shown_free(void *argument)
{
    struct el_shown *old = argument;
    for (size_t i = 0; i < old->servable_count; i++)
        el_servable_disown(old->servables[i], &old->swap->lingering);
    free(old);
}

struct el_shown *el_shown_new(const struct el_model *model)
{
    struct el_layout layout = { 0 };
    lay_model(&layout, model);
    layout = (struct el_layout){ .base = malloc(layout.used) };
    if (layout.base == NULL)
        return NULL;
    struct el_shown *made = lay_model(&layout, model);
    for (size_t i = 0; i < made->servable_count; i++)
        el_servable_own(made->servables[i]);
    return made;
}
