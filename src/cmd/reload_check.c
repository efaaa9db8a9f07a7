/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/reload_check.h"

#include "base/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void el_names_list_clear(struct el_names_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct el_names_list){ 0 };
}

bool el_names_list_has(const struct el_names_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->names[i], name) == 0)
            return true;
    return false;
}

static struct el_status *add_name(struct el_names_list *list, const char *name)
{
    char **names = realloc(list->names, (list->count + 1) * sizeof *names);
    if (names == NULL)
        return el_status_no_memory();
    list->names = names;
    names[list->count] = strdup(name);
    if (names[list->count] == NULL)
        return el_status_no_memory();
    list->count++;
    return NULL;
}

/* Of a model that was removed and came back there may be two for a while: the one of the config comes first. */
static const struct el_model_view *find_model(const struct el_view *view, const char *name)
{
    for (size_t i = 0; view != NULL && i < view->model_count; i++)
        if (strcmp(view->models[i]->name, name) == 0)
            return view->models[i];
    return NULL;
}

/* ---- labels ---- */

static bool answers(const struct el_version_view *version)
{
    return version->state == EL_LIFE_SERVING;
}

static bool version_answers(const struct el_model_view *model, int64_t number)
{
    for (size_t i = 0; model != NULL && i < model->version_count; i++)
        if (model->versions[i].version == number && answers(&model->versions[i]))
            return true;
    return false;
}

/* The label leads to another version now. */
static bool leads_elsewhere(const struct el_model_view *model, const struct el_version_label *label)
{
    for (size_t i = 0; model != NULL && i < model->label_count; i++)
        if (strcmp(model->labels[i].label, label->label) == 0)
            return model->labels[i].version != label->version;
    return false;
}

/* The config itself brings the version. */
static bool is_brought(const struct el_model_config *model, int64_t number)
{
    const struct el_version_policy *policy = &model->policy;
    if (policy->type == EL_POLICY_SPECIFIC) {
        for (size_t i = 0; i < policy->version_count; i++)
            if (policy->versions[i] == number)
                return true;
        return false;
    }
    char path[4096];
    struct stat info;
    const int length = snprintf(path, sizeof path, "%s/%" PRId64, model->base_path, number);
    return length > 0 && (size_t)length < sizeof path && stat(path, &info) == 0;
}

struct el_status *el_reload_check_labels(const struct el_view *view, const struct el_config *config,
                                         struct el_label_rules rules)
{
    for (size_t i = 0; i < config->model_count; i++) {
        const struct el_model_config *model = &config->models[i];
        const struct el_model_view *now = find_model(view, model->name);
        for (size_t j = 0; j < model->label_count; j++) {
            const struct el_version_label *label = &model->labels[j];
            if (version_answers(now, label->version) || (!rules.strict && is_brought(model, label->version)))
                continue;
            if (rules.any && !leads_elsewhere(now, label))
                continue;
            return el_status_new(EL_FAILED_PRECONDITION,
                                 "Request to assign label to version %" PRId64
                                 " of model %s, which is not currently available for inference",
                                 label->version, model->name);
        }
    }
    return NULL;
}

/* ---- new models ---- */

struct el_status *el_reload_fresh_names(const struct el_config *current, const struct el_config *config,
                                        const struct el_names_list *failed, struct el_names_list *fresh)
{
    for (size_t i = 0; i < config->model_count; i++) {
        const char *name = config->models[i].name;
        bool known = false;
        for (size_t j = 0; !known && j < current->model_count; j++)
            known = strcmp(current->models[j].name, name) == 0;
        if (!known || el_names_list_has(failed, name))
            EL_TRY(add_name(fresh, name));
    }
    return NULL;
}

enum verdict { ANSWERS, FAILED, ON_ITS_WAY, NOTHING };

/* From the highest version down, the first that answers or has failed decides. */
static enum verdict judge(const struct el_model_view *model, const struct el_version_view **which)
{
    *which = NULL;
    bool on_its_way = false;
    for (size_t i = 0; model != NULL && i < model->version_count; i++) {
        const struct el_version_view *version = &model->versions[i];
        *which = version;
        if (answers(version))
            return ANSWERS;
        if (version->state == EL_LIFE_QUARANTINED || version->state == EL_LIFE_END)
            return FAILED;
        on_its_way = true;
    }
    return on_its_way ? ON_ITS_WAY : NOTHING;
}

static void put_failure(struct el_buf *text, const char *name, const struct el_model_view *model,
                        const struct el_version_view *version)
{
    if (version != NULL) {
        el_buf_printf(text, "{{name: %s version: %" PRId64 "} due to error: %s: %s}, ", name, version->version,
                      el_code_name(version->code), version->error);
        return;
    }
    const bool has_reason = model != NULL && *model->source_error != 0;
    el_buf_printf(text, "{{name: %s} due to error: %s: %s}, ", name, el_code_name(EL_NOT_FOUND),
                  has_reason ? model->source_error : "no version was found under its base path");
}

bool el_reload_decided(const struct el_view *view, const struct el_names_list *awaited, bool give_up,
                       struct el_names_list *failed, struct el_status **status)
{
    struct el_buf text = { 0 };
    struct el_names_list names = { 0 };
    bool decided = true;
    *status = NULL;
    for (size_t i = 0; i < awaited->count && decided && *status == NULL; i++) {
        const char *name = awaited->names[i];
        const struct el_model_view *model = find_model(view, name);
        const struct el_version_view *version;
        const enum verdict verdict = judge(model, &version);
        const bool unreadable = verdict == NOTHING && model != NULL && *model->source_error != 0;
        if (verdict == ON_ITS_WAY || (verdict == NOTHING && !unreadable && !give_up))
            decided = false;
        if (verdict == ANSWERS || !decided)
            continue;
        put_failure(&text, name, model, version);
        *status = add_name(&names, name);
    }
    if (decided && *status == NULL && names.count > 0) {
        *status = text.failed ? el_status_no_memory()
                              : el_status_new(EL_UNKNOWN, "%zu model(s) did not become available: {%.*s}", names.count,
                                              (int)text.size, (const char *)text.data);
        el_names_list_clear(failed);
        *failed = names;
        names = (struct el_names_list){ 0 };
    }
    el_names_list_clear(&names);
    el_buf_free(&text);
    return decided;
}

bool el_startup_decided(const struct el_view *view, struct el_status **status)
{
    struct el_buf text = { 0 };
    size_t failures = 0;
    bool decided = view != NULL;
    *status = NULL;
    for (size_t i = 0; decided && i < view->model_count; i++) {
        const struct el_version_view *version;
        const enum verdict verdict = judge(view->models[i], &version);
        decided = verdict == ANSWERS || verdict == FAILED;
        if (verdict != FAILED)
            continue;
        put_failure(&text, view->models[i]->name, view->models[i], version);
        failures++;
    }
    if (decided && failures > 0)
        *status = text.failed ? el_status_no_memory()
                              : el_status_new(EL_UNKNOWN, "%zu servable(s) did not become available: {%.*s}", failures,
                                              (int)text.size, (const char *)text.data);
    el_buf_free(&text);
    return decided;
}
