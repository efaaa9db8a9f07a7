/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/group_operate.h"

#include "base/clock.h"
#include "swap/manager.h"
#include "swap/operate_rules.h"
#include "swap/remember.h"
#include "swap/version.h"
#include "swap/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The last generation that is not the one that answers, with this version of the model; NULL: none is known. */
static const struct el_generation *generation_with(const struct el_model *model, int64_t version)
{
    const struct el_group *group = model->group;
    for (size_t i = 1; group != NULL && i < group->count; i++) {
        const struct el_generation_member *member = el_generation_find(group->generations[i], model->settings.name);
        if (member != NULL && member->version == version)
            return group->generations[i];
    }
    return NULL;
}

/* What a model goes to with a generation; NULL: it stays. */
static const struct el_generation_member *moves(const struct el_generation *generation, const struct el_model *model)
{
    const struct el_version *serving = el_model_serving(model);
    const struct el_generation_member *member = el_generation_find(generation, model->settings.name);
    return member != NULL && (serving == NULL || serving->number != member->version) ? member : NULL;
}

static bool all_can_go(const struct el_group *group, const struct el_generation *generation)
{
    bool can = true;
    el_group_each(model, group)
    {
        const struct el_generation_member *member = moves(generation, model);
        struct el_status *cannot = member != NULL ? el_rule_can_be_loaded(model, member->version) : NULL;
        can = can && cannot == NULL;
        el_status_free(cannot);
    }
    return can;
}

bool el_group_rollback_version(const struct el_model *model, int64_t from, int64_t *version)
{
    const struct el_group *group = model->group;
    for (size_t i = 1; group != NULL && i < group->count; i++) {
        const struct el_generation_member *member = el_generation_find(group->generations[i], model->settings.name);
        if (member == NULL || member->version >= from || !all_can_go(group, group->generations[i]))
            continue;
        *version = member->version;
        return true;
    }
    return false;
}

static void append(char *extra, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *extra, size_t size, const char *format, ...)
{
    const size_t at = strlen(extra);
    va_list args;
    va_start(args, format);
    vsnprintf(extra + at, size - at, format, args);
    va_end(args);
}

static void go(struct el_model *model)
{
    el_model_changed(model);
    el_model_touch(model);
    el_model_aspire(model, el_now_ns());
}

static struct el_status *pin_other(struct el_model *other, const struct el_model *model,
                                   const struct el_operation *operation, int64_t version)
{
    char reason[512];
    snprintf(reason, sizeof reason, EL_ROLLED_BACK_BY "%s with %s of group \"%s\"%s%s", operation->by,
             model->settings.name, model->group->name, operation->reason[0] != '\0' ? ": " : "", operation->reason);
    EL_TRY(
        el_journal_pin(model->swap->options.journal, other->settings.name, version, operation->by, reason, NULL, NULL));
    go(other);
    el_tell_by(model->swap, EL_LOG_INFO, "rollback", other, el_version_find(other, version), operation->by,
               "by %s: to version %" PRId64 " with %s of group \"%s\"; it stays there until `everlit unpin %s`",
               operation->by, version, model->settings.name, model->group->name, model->settings.name);
    return NULL;
}

struct el_status *el_group_pin_others(struct el_model *model, const struct el_operation *operation, int64_t version,
                                      char *extra, size_t size)
{
    extra[0] = '\0';
    if (model->group == NULL)
        return NULL;
    const struct el_generation *generation = generation_with(model, version);
    if (generation == NULL) {
        append(extra, size, "; no generation of group \"%s\" with that version is known: its other models stay",
               model->group->name);
        return NULL;
    }
    el_group_each(other, model->group)
    {
        const struct el_generation_member *member = other != model ? moves(generation, other) : NULL;
        struct el_status *cannot = member != NULL ? el_rule_can_be_loaded(other, member->version) : NULL;
        if (cannot != NULL)
            return el_status_prefix(cannot, "group \"%s\" cannot go back to generation %" PRIu64, model->group->name,
                                    generation->number);
    }
    el_group_each(other, model->group)
    {
        const struct el_generation_member *member = other != model ? moves(generation, other) : NULL;
        if (member == NULL)
            continue;
        append(extra, size, "%s %s to version %" PRId64, extra[0] == '\0' ? "; its group goes along:" : ",",
               other->settings.name, member->version);
        EL_TRY(pin_other(other, model, operation, member->version));
    }
    return NULL;
}

struct el_status *el_group_unpin_others(struct el_model *model, const struct el_operation *operation, char *extra,
                                        size_t size)
{
    const struct el_journal *journal = model->swap->options.journal;
    extra[0] = '\0';
    if (model->group == NULL)
        return NULL;
    el_group_each(other, model->group)
    {
        const struct el_journal_model *known = el_journal_model(journal, other->settings.name);
        if (other == model || known == NULL || !known->pinned ||
            strncmp(known->pin_reason, EL_ROLLED_BACK_BY, strlen(EL_ROLLED_BACK_BY)) != 0)
            continue;
        EL_TRY(el_journal_unpin(model->swap->options.journal, other->settings.name, NULL, NULL));
        append(extra, size, "%s %s", extra[0] == '\0' ? "; with it of its group:" : ",", other->settings.name);
        go(other);
        el_tell_by(model->swap, EL_LOG_INFO, "unpinned", other, NULL, operation->by, "by %s, with %s of group \"%s\"",
                   operation->by, model->settings.name, model->group->name);
    }
    return NULL;
}
