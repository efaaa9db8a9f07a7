/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A generation is not decided upon: it is what a look has come to. Whatever led requests elsewhere (a switch, a guard, an operator,
 * a death), the versions that answer now are either a generation that there was, and that is the one that answers, or
 * they are a new one.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "swap/group.h"
#include "swap/manager.h"
#include "swap/view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool el_group_can_answer(const struct el_group *group, const struct el_generation *generation)
{
    el_group_each(model, group)
    {
        if (el_generation_find(generation, model->settings.name) != NULL &&
            el_generation_version(generation, model) == NULL)
            return false;
    }
    return true;
}

/* What answers now is that generation. One that has just begun takes in a model that gets its first version. */
static bool is_that(const struct el_group *group, const struct el_generation *generation, bool may_grow)
{
    el_group_each(model, group)
    {
        const struct el_version *serving = el_model_serving(model);
        struct el_generation_member *member = el_generation_find(generation, model->settings.name);
        if (serving != NULL && (member == NULL ? !may_grow : !el_generation_means(member, serving)))
            return false;
    }
    return true;
}

/* True if it took in something. */
static bool grow(const struct el_group *group, struct el_generation *generation)
{
    bool grown = false;
    el_group_each(model, group)
    {
        const struct el_version *serving = el_model_serving(model);
        if (serving != NULL && el_generation_find(generation, model->settings.name) == NULL)
            grown = el_generation_add(generation, serving) || grown;
    }
    return grown;
}

static void put_first(struct el_group *group, size_t index)
{
    struct el_generation *first = group->generations[index];
    memmove(&group->generations[1], &group->generations[0], index * sizeof group->generations[0]);
    group->generations[0] = first;
    group->changed = true;
    group->told = false;
}

static void begin(struct el_group *group)
{
    struct el_generation *generation = el_generation_new(group->last + 1);
    if (generation == NULL) { /* no memory: answers name no generation until the next look */
        el_group_each(model, group)
        {
            el_model_alarm(model, el_after_ns(el_now_ns(), EL_NS_PER_S));
        }
        return;
    }
    group->last++;
    if (group->count == EL_GENERATIONS_KEPT)
        el_generation_free(group->generations[--group->count], &group->swap->lingering);
    group->generations[group->count] = generation;
    group->count++;
    put_first(group, group->count - 1);
    grow(group, generation);
}

/* Nothing answers yet, or not any more: no generation either. */
static bool answers(const struct el_group *group)
{
    el_group_each(model, group)
    {
        if (el_model_serving(model) != NULL)
            return true;
    }
    return false;
}

static void settle(struct el_group *group)
{
    group->go = group->looked = false;
    if (!answers(group))
        return;
    if (group->count > 0 && is_that(group, group->generations[0], true)) {
        if (!grow(group, group->generations[0]))
            return;
        group->changed = true;
        el_group_note(group);
        return;
    }
    size_t known = 1;
    while (known < group->count && !is_that(group, group->generations[known], false))
        known++;
    if (known < group->count)
        put_first(group, known);
    else
        begin(group);
    el_group_note(group);
}

void el_groups_settle(struct el_swap *swap)
{
    struct el_group *group;
    el_list_each (group, &swap->groups, in_swap) {
        if (group->looked)
            settle(group);
        if (!group->changed)
            continue;
        el_group_each(model, group)
        {
            el_model_changed(model);
        }
        group->changed = false;
    }
}

static void tell(const struct el_group *group)
{
    const struct el_generation *generation = group->generations[0];
    struct el_buf buf = { 0 };
    el_group_each(model, group)
    {
        const struct el_generation_member *member = el_generation_find(generation, model->settings.name);
        if (member != NULL)
            el_buf_printf(&buf, "%s%s version %" PRId64, buf.size > 0 ? ", " : "", member->model, member->version);
    }
    char *text = el_buf_take_text(&buf);
    el_tell(group->swap, EL_LOG_INFO, "generation", NULL, NULL, "group \"%s\" answers with generation %" PRIu64 ": %s",
            group->name, generation->number, text != NULL ? text : "");
    free(text);
}

void el_groups_tell(struct el_swap *swap)
{
    struct el_group *group;
    el_list_each (group, &swap->groups, in_swap) {
        if (group->told || group->count == 0 || !answers(group))
            continue;
        group->told = true;
        el_group_each(model, group)
        {
            el_model_tell_routes(model);
        }
        tell(group);
    }
}

bool el_group_generation(const struct el_model *model, size_t index, uint64_t *number, int64_t *version)
{
    const struct el_group *group = model->group;
    for (size_t i = 0; group != NULL && i < group->count; i++) {
        const struct el_version *means = el_generation_version(group->generations[i], model);
        if (means == NULL || !el_group_can_answer(group, group->generations[i]) || index-- > 0)
            continue;
        *number = group->generations[i]->number;
        *version = means->number;
        return true;
    }
    return false;
}
