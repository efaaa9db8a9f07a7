/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/generation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct el_generation *el_generation_new(uint64_t number)
{
    struct el_generation *generation = calloc(1, sizeof *generation);
    if (generation != NULL)
        generation->number = number;
    return generation;
}

void el_generation_free(struct el_generation *generation, struct el_list *lingering)
{
    if (generation == NULL)
        return;
    for (size_t i = 0; i < generation->count; i++) {
        if (generation->members[i].servable != NULL)
            el_servable_disown(generation->members[i].servable, lingering);
        free(generation->members[i].model);
    }
    free(generation->members);
    free(generation);
}

struct el_generation_member *el_generation_find(const struct el_generation *generation, const char *model)
{
    for (size_t i = 0; i < generation->count; i++)
        if (strcmp(generation->members[i].model, model) == 0)
            return &generation->members[i];
    return NULL;
}

bool el_generation_add_known(struct el_generation *generation, const char *model, int64_t version, const char *digest)
{
    struct el_generation_member *members = realloc(generation->members, (generation->count + 1) * sizeof *members);
    if (members == NULL)
        return false;
    generation->members = members;
    struct el_generation_member *member = &members[generation->count];
    *member = (struct el_generation_member){ .model = strdup(model), .version = version };
    if (member->model == NULL)
        return false;
    snprintf(member->digest, sizeof member->digest, "%s", digest);
    generation->count++;
    return true;
}

static void meet(struct el_generation_member *member, const struct el_version *version)
{
    member->servable = version->servable;
    el_servable_own(member->servable);
}

bool el_generation_add(struct el_generation *generation, const struct el_version *version)
{
    if (!el_generation_add_known(generation, version->model->settings.name, version->number, version->digest))
        return false;
    meet(&generation->members[generation->count - 1], version);
    return true;
}

bool el_generation_means(struct el_generation_member *member, const struct el_version *version)
{
    if (member->servable != NULL)
        return member->servable == version->servable;
    if (member->version != version->number || member->digest[0] == '\0' || strcmp(member->digest, version->digest) != 0)
        return false;
    meet(member, version);
    return true;
}

struct el_version *el_generation_version(const struct el_generation *generation, const struct el_model *model)
{
    const struct el_generation_member *member = el_generation_find(generation, model->settings.name);
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (member == NULL || version->servable != member->servable)
            continue;
        const bool answers = version->state == EL_LIFE_SERVING ||
                             (version->state == EL_LIFE_WARM && version->hosted != NULL);
        return answers ? version : NULL;
    }
    return NULL;
}
