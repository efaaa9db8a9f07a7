/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/group.h"
#include "swap/manager.h"
#include "swap/remember.h"
#include "swap/version.h"
#include "swap/view.h"

#include <string.h>

static const struct el_generation *last_that_can_answer(const struct el_group *group, const struct el_model *model)
{
    for (size_t i = 0; i < group->count; i++)
        if (el_generation_version(group->generations[i], model) != NULL &&
            el_group_can_answer(group, group->generations[i]))
            return group->generations[i];
    return NULL;
}

void el_group_take_back(struct el_model *model, const struct el_version *bad, uint64_t now_ns)
{
    const struct el_group *group = model->group;
    const struct el_generation *to = group != NULL ? last_that_can_answer(group, model) : NULL;
    if (to == NULL)
        return; /* the model alone goes to whatever it finds */
    el_group_each(member, group)
    {
        struct el_version *from = el_model_serving(member), *version = el_generation_version(to, member);
        if (version == NULL || version == from)
            continue;
        el_model_lead(from, version, now_ns);
        if (member != model && from != NULL)
            el_tell(group->swap, EL_LOG_WARNING, "group_rolled_back", member, from,
                    "back to version %lld, with generation %llu of group \"%s\": version %lld of %s was taken back",
                    (long long)version->number, (unsigned long long)to->number, group->name, (long long)bad->number,
                    model->settings.name);
    }
}

bool el_group_keeps(const struct el_version *version)
{
    const struct el_group *group = version->model->group;
    if (group == NULL || group->count < 2)
        return false;
    bool guarded = false;
    el_group_each(model, group)
    {
        const struct el_version *serving = el_model_serving(model);
        guarded = guarded || (serving != NULL && serving->guard != NULL);
    }
    const struct el_generation_member *member = el_generation_find(group->generations[1],
                                                                   version->model->settings.name);
    return guarded && member != NULL && member->servable == version->servable;
}

static bool is_on_trial(const struct el_version *version)
{
    return version->guard != NULL || (version->on_trial && !el_remember_pins(version));
}

void el_group_remember_good(const struct el_version *version)
{
    struct el_group *group = version->model->group;
    if (group == NULL) {
        el_remember_good(version);
        return;
    }
    el_group_each(model, group)
    {
        const struct el_version *serving = el_model_serving(model);
        if (serving != NULL && is_on_trial(serving))
            return;
    }
    el_group_each(model, group)
    {
        const struct el_version *serving = el_model_serving(model);
        if (serving != NULL)
            el_remember_good(serving);
    }
    if (group->count == 0 || group->good == group->generations[0]->number)
        return;
    group->good = group->generations[0]->number;
    el_group_note(group);
}

bool el_group_last_good(const struct el_model *model, int64_t *version, const char **digest)
{
    const struct el_group *group = model->group;
    for (size_t i = 0; group != NULL && i < group->count; i++) {
        const struct el_generation *generation = group->generations[i];
        const struct el_generation_member *member = el_generation_find(generation, model->settings.name);
        if (generation->number != group->good || member == NULL)
            continue;
        *version = member->version;
        *digest = member->digest;
        return true;
    }
    return false;
}
