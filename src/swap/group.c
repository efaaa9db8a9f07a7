/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/group.h"

#include "base/clock.h"
#include "swap/manager.h"
#include "swap/remember.h"
#include "swap/together.h"
#include "swap/version.h"
#include "swap/view.h"

#include <stdlib.h>
#include <string.h>

/* ---- who belongs to which ---- */

struct el_model *el_group_next(const struct el_group *group, const struct el_model *after)
{
    const struct el_list *models = &group->swap->models;
    for (const struct el_list *at = after == NULL ? models->next : after->in_swap.next; at != models; at = at->next) {
        struct el_model *model = EL_CONTAINER(at, struct el_model, in_swap);
        if (model->group == group && !model->removed)
            return model;
    }
    return NULL;
}

static struct el_group *find(struct el_swap *swap, const char *name)
{
    struct el_group *group;
    el_list_each (group, &swap->groups, in_swap) {
        if (strcmp(group->name, name) == 0)
            return group;
    }
    return NULL;
}

static void free_group(struct el_group *group)
{
    for (size_t i = 0; i < group->count; i++)
        el_generation_free(group->generations[i], &group->swap->lingering);
    free(group->name);
    free(group);
}

/* NULL: no memory; its models change by themselves then. */
static struct el_group *make(struct el_swap *swap, const char *name)
{
    struct el_group *group = calloc(1, sizeof *group);
    char *copy = strdup(name);
    if (group == NULL || copy == NULL) {
        free(group);
        free(copy);
        return NULL;
    }
    group->swap = swap;
    group->name = copy;
    el_list_add_before(&group->in_swap, &swap->groups);
    el_group_recall(group);
    return group;
}

void el_groups_arrange(struct el_swap *swap)
{
    struct el_model *model;
    el_list_each (model, &swap->models, in_swap) {
        const char *name = model->removed ? "" : model->settings.update.group;
        struct el_group *group = name[0] != '\0' ? find(swap, name) : NULL;
        if (group == NULL && name[0] != '\0')
            group = make(swap, name);
        if (group != model->group) {
            model->group = group;
            el_model_changed(model);
            el_model_touch(model);
        }
    }
    struct el_group *group, *next;
    el_list_each_safe(group, next, &swap->groups, in_swap)
    {
        group->changed = true;
        if (el_group_next(group, NULL) != NULL)
            continue;
        el_list_remove(&group->in_swap);
        free_group(group);
    }
}

void el_groups_free(struct el_swap *swap)
{
    while (!el_list_empty(&swap->groups)) {
        struct el_group *group = EL_CONTAINER(swap->groups.next, struct el_group, in_swap);
        el_list_remove(&group->in_swap);
        free_group(group);
    }
}

/* ---- when it is time ---- */

/* What a model has to do with a switch. */
enum part {
    PART_NONE,    /* nothing new */
    PART_READY,   /* a version of it waits to answer */
    PART_ON_WAY,  /* one may be ready later */
    PART_REFUSED, /* the newest one is bad */
};

static bool can_answer(const struct el_version *version)
{
    return version->state == EL_LIFE_READY || (version->state == EL_LIFE_WARM && version->hosted != NULL);
}

static bool is_pinned(const struct el_model *model, int64_t *pin)
{
    return el_remember_pin(model, pin) && el_model_aspires(model, *pin);
}

static bool is_on_way(const struct el_version *version, bool aspired)
{
    const struct el_source_version *seen;
    int64_t pin;
    switch (version->state) {
    case EL_LIFE_NEW:
    case EL_LIFE_LOADING:
    case EL_LIFE_PROBING:
        return true;
    case EL_LIFE_VERIFYING: /* it waits for its turn, or for memory; or it is being copied */
        seen = el_model_seen(version->model, version->number);
        return aspired || (seen != NULL && seen->seen == EL_SEEN_NOT_YET && !is_pinned(version->model, &pin));
    case EL_LIFE_QUARANTINED:
        return version->retry_ns != 0;
    default:
        return false;
    }
}

/* Refused while it is there: its directory was not removed, and nobody has pinned the model to another. */
static bool is_refused(const struct el_model *model, const struct el_version *version)
{
    int64_t pin;
    const struct el_source_version *seen = el_model_seen(model, version->number);
    return version->state == EL_LIFE_QUARANTINED && seen != NULL && seen->fingerprint == version->fingerprint &&
           !is_pinned(model, &pin);
}

static enum part part_of(const struct el_model *model, const struct el_version **which)
{
    const struct el_version *serving = el_model_serving(model), *version;
    enum part part = PART_NONE;
    if (!model->looked_at)
        return PART_ON_WAY;
    el_list_each (version, &model->versions, in_model) {
        const bool aspired = el_model_aspires(model, version->number);
        if (!aspired && serving != NULL && version->number <= serving->number)
            continue;
        if (is_on_way(version, aspired))
            return PART_ON_WAY;
        if (part != PART_NONE || serving == NULL)
            continue;
        if (aspired && can_answer(version))
            part = PART_READY;
        else if (is_refused(model, version))
            part = PART_REFUSED;
        *which = version;
    }
    return part;
}

static void tell_held(struct el_group *group, const struct el_version *refused)
{
    if (group->held_by == refused->model && group->held_version == refused->number)
        return;
    group->held_by = refused->model;
    group->held_version = refused->number;
    const unsigned long long now = group->count > 0 ? group->generations[0]->number : 0;
    el_tell(group->swap, EL_LOG_WARNING, "group_held", refused->model, refused,
            "group \"%s\" stays with generation %llu, what is ready of its other models waits: version %lld was "
            "refused (%s); another version of %s, or `everlit pin %s` to the one that answers, lets them go on",
            group->name, now, (long long)refused->number, refused->reason != NULL ? refused->reason : "",
            refused->model->settings.name, refused->model->settings.name);
}

/* The longest of them: nobody's patience is cut short by another model's settings. */
static uint64_t wait_ns(const struct el_group *group)
{
    uint64_t longest_ms = 0;
    el_group_each(model, group)
    {
        if (model->settings.update.group_wait_ms > longest_ms)
            longest_ms = model->settings.update.group_wait_ms;
    }
    return longest_ms * EL_NS_PER_MS;
}

static void decide(struct el_group *group, uint64_t now_ns)
{
    bool all = true, waits = false;
    struct el_model *ready = NULL;
    const struct el_version *refused = NULL;
    el_group_each(model, group)
    {
        const struct el_version *which = NULL;
        waits = waits || el_together_holds(model);
        switch (part_of(model, &which)) {
        case PART_ON_WAY:
            waits = true;
            break;
        case PART_READY:
            ready = model;
            break;
        case PART_REFUSED:
            refused = which;
            break;
        case PART_NONE:
            all = all && el_model_serving(model) == NULL;
            break;
        }
    }
    if (ready == NULL) {
        group->pending_ns = 0;
        return;
    }
    if (group->pending_ns == 0)
        group->pending_ns = now_ns;
    if (waits)
        return; /* whatever it waits for touches it */
    if (refused != NULL) {
        tell_held(group, refused);
        return;
    }
    const uint64_t until_ns = el_after_ns(group->pending_ns, wait_ns(group));
    if (all || now_ns >= until_ns) {
        group->go = true;
        group->pending_ns = 0;
        group->held_by = NULL;
    } else {
        el_model_alarm(ready, until_ns);
    }
}

void el_groups_look(struct el_swap *swap, uint64_t now_ns)
{
    struct el_group *group;
    el_list_each (group, &swap->groups, in_swap) {
        bool touched = false;
        el_group_each(model, group)
        {
            touched = touched || model->touched;
        }
        if (!touched)
            continue;
        el_group_each(model, group)
        {
            if (!model->touched)
                el_model_touch(model);
        }
        group->looked = true;
        decide(group, now_ns);
    }
}

/* What an operator has pinned of the models is loaded: then they go there together. */
static bool pins_are_on_way(const struct el_group *group)
{
    el_group_each(model, group)
    {
        int64_t pin;
        if (!is_pinned(model, &pin))
            continue;
        const struct el_version *version = el_version_find(model, pin);
        if (version == NULL ||
            (!el_version_is_over(version) && version->state != EL_LIFE_SERVING && !can_answer(version)))
            return true;
    }
    return false;
}

bool el_group_holds(const struct el_model *model)
{
    const struct el_group *group = model->group;
    const struct el_version *serving = el_model_serving(model);
    if (group == NULL || group->go || serving == NULL)
        return false;
    int64_t pin;
    if (is_pinned(model, &pin))
        return pins_are_on_way(group);
    const bool goes_back = model->aspired_count > 0 && model->aspired[0] < serving->number &&
                           !el_model_aspires(model, serving->number);
    return !goes_back;
}
