/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which version a model spec means. Texts and codes are TensorFlow Serving's:
 * clients match on them.
 */
#include "swap/request.h"
#include "swap/view.h"

#include <string.h>

static const struct el_version_label *find_label(const struct el_model_view *model, const char *label, size_t size)
{
    for (size_t i = 0; i < model->label_count; i++)
        if (strlen(model->labels[i].label) == size && memcmp(model->labels[i].label, label, size) == 0)
            return &model->labels[i];
    return NULL;
}

/* Availability "resource" has taken away the version that the label led to, for the one that it moves to. */
static bool is_between(const struct el_model_view *model, const struct el_version_label *label)
{
    const struct el_version_view *version = el_view_version(model, label->version);
    return model->hold && label->moved && (version == NULL || !el_view_can_be_named(version));
}

static struct el_status *not_found_latest(const struct el_request *spec)
{
    return el_status_new(EL_NOT_FOUND, "Servable not found for request: Latest(%.*s)", (int)spec->model_size,
                         spec->model);
}

static struct el_status *choose_number(const struct el_model_view *model, const struct el_request *spec, int64_t number,
                                       const struct el_version_view **version)
{
    if (model != NULL) {
        const struct el_version_view *found = el_view_version(model, number);
        if (found != NULL && el_view_can_be_named(found)) {
            *version = found;
            return NULL;
        }
        if (found != NULL && found->refused)
            return el_status_new(found->code, "%s", found->error);
    }
    return el_status_new(EL_NOT_FOUND, "Servable not found for request: Specific(%.*s, %lld)", (int)spec->model_size,
                         spec->model, (long long)number);
}

/* The versions of a generation answer whoever names it, also while another one answers everybody else. */
static struct el_status *choose_generation(const struct el_model_view *model, const struct el_request *spec,
                                           const struct el_version_view **version)
{
    const unsigned long long wanted = spec->wanted_generation;
    if (spec->has_version || spec->label != NULL)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "The request names generation %llu and a version of %s; expected one of them", wanted,
                             model->name);
    if (model->group[0] == '\0')
        return el_status_new(EL_FAILED_PRECONDITION,
                             "The request names generation %llu, and %s belongs to no group of models", wanted,
                             model->name);
    for (size_t i = 0; i < model->generation_count && *version == NULL; i++)
        if (model->generations[i].number == wanted)
            *version = el_view_version(model, model->generations[i].version);
    if (*version != NULL && el_view_answers(*version))
        return NULL;
    *version = NULL;
    const unsigned long long now = model->generation_count > 0 ? model->generations[0].number : 0;
    return el_status_new(EL_FAILED_PRECONDITION,
                         "Generation %llu of group %s is not there (any more): %s answers with generation %llu; begin "
                         "again with an answer of now",
                         wanted, model->group, model->name, now);
}

struct el_status *el_route_choose(const struct el_view *view, const struct el_request *spec,
                                  const struct el_model_view **model_out, const struct el_version_view **version)
{
    *version = NULL;
    *model_out = NULL;
    if (spec->model_size == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "ModelSpec has no name specified.");
    const struct el_model_view *model = view != NULL ? el_view_model(view, spec->model, spec->model_size) : NULL;
    *model_out = model;
    if (spec->wanted_generation != 0 && model != NULL)
        return choose_generation(model, spec, version);
    if (spec->label != NULL) {
        const struct el_version_label *label = model != NULL ? find_label(model, spec->label, spec->label_size) : NULL;
        if (label == NULL)
            return el_status_new(EL_INVALID_ARGUMENT, "Unrecognized servable version label: %.*s",
                                 (int)spec->label_size, spec->label);
        return is_between(model, label) ? NULL : choose_number(model, spec, label->version, version);
    }
    if (spec->has_version)
        return choose_number(model, spec, spec->version, version);
    if (model == NULL)
        return not_found_latest(spec);
    if (model->serving >= 0) {
        *version = el_view_version(model, model->serving);
        return NULL;
    }
    return model->hold ? NULL : not_found_latest(spec);
}

struct el_status *el_view_resolve(struct el_swap *swap, const struct el_view *view, const struct el_request *spec,
                                  const struct el_version_view **version)
{
    (void)swap;
    const struct el_model_view *model;
    EL_TRY(el_route_choose(view, spec, &model, version));
    return *version != NULL ? NULL : not_found_latest(spec);
}
