/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/operate_rollout.h"

#include "swap/manager.h"
#include "swap/rollout.h"
#include "swap/version.h"
#include "swap/view.h"

#include <stdio.h>

static void tell(struct el_model *model, const struct el_version *version, const struct el_operation *operation,
                 const char *event)
{
    el_tell_by(model->swap, EL_LOG_INFO, event, model, version, operation->by, "by %s%s%s: %s", operation->by,
               operation->reason[0] != '\0' ? ", " : "", operation->reason, operation->text);
}

/* There is no rollout, or not of the version that was named: it is said whether it was so already, or cannot be. */
static struct el_status *not_in_rollout(const struct el_model *model, struct el_operation *operation)
{
    const struct el_version *version = operation->version >= 0 ? el_version_find(model, operation->version) : NULL;
    const struct el_version *coming = el_rollout_of(model);
    const char *name = model->settings.name;
    const bool is_done = operation->kind == EL_OPERATE_ABORT ? version == NULL || version->state != EL_LIFE_SERVING
                                                             : version != NULL && version == el_model_serving(model);
    if (operation->version >= 0 && !is_done && coming != NULL)
        return el_status_new(EL_FAILED_PRECONDITION, "version %lld of %s is not in rollout, version %lld is",
                             (long long)operation->version, name, (long long)coming->number);
    if (operation->version >= 0 && !is_done)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "version %lld of %s is not in rollout; `everlit status` shows what it is doing",
                             (long long)operation->version, name);
    operation->changed = false;
    operation->soon = true;
    if (operation->from < 0)
        snprintf(operation->text, sizeof operation->text, "no version of %s is in rollout", name);
    else
        snprintf(operation->text, sizeof operation->text,
                 "no version of %s is in rollout: version %lld answers everybody", name, (long long)operation->from);
    return NULL;
}

static struct el_version *coming(const struct el_model *model, struct el_operation *operation)
{
    struct el_version *version = el_rollout_of(model);
    if (version == NULL || (operation->version >= 0 && operation->version != version->number))
        return NULL;
    operation->version = version->number;
    return version;
}

struct el_status *el_operate_promote(struct el_model *model, struct el_operation *operation)
{
    struct el_version *version = coming(model, operation);
    if (version == NULL)
        return not_in_rollout(model, operation);
    const struct el_rollout_view before = el_rollout_show(model);
    operation->to = version->number;
    if (!operation->all && before.waits == EL_ROLLOUT_MEASURES) {
        operation->changed = false;
        operation->soon = true;
        operation->to = operation->from;
        snprintf(
            operation->text, sizeof operation->text,
            "version %lld of %s waits for no word: step %u of %u is being measured; with --all it answers everybody "
            "at once",
            (long long)version->number, model->settings.name, before.step, before.steps);
        return NULL;
    }
    const bool to_the_end = operation->all || before.step == before.steps;
    if (to_the_end)
        snprintf(operation->text, sizeof operation->text, "%s goes from version %lld to version %lld",
                 model->settings.name, (long long)operation->from, (long long)version->number);
    else
        snprintf(operation->text, sizeof operation->text, "version %lld of %s goes on to step %u of %u of its rollout",
                 (long long)version->number, model->settings.name, before.step + 1, before.steps);
    operation->soon = to_the_end;
    tell(model, version, operation, "promote_asked");
    el_rollout_promote(version, operation->all);
    return NULL;
}

struct el_status *el_operate_abort(struct el_model *model, struct el_operation *operation)
{
    if (coming(model, operation) == NULL)
        return not_in_rollout(model, operation);
    EL_TRY(el_operate_let_go(model, operation, EL_WISH_QUARANTINE));
    operation->to = operation->from;
    operation->soon = true;
    snprintf(operation->text, sizeof operation->text,
             "the rollout of version %lld of %s ends, version %lld answers everybody; its content is quarantined, "
             "`everlit forgive %s %lld` ends that",
             (long long)operation->version, model->settings.name, (long long)operation->from, model->settings.name,
             (long long)operation->version);
    tell(model, el_version_find(model, operation->version), operation, "abort_asked");
    return NULL;
}

bool el_operate_promoted(const struct el_model *model, struct el_operation *operation, struct el_status **status)
{
    const struct el_version *version = el_version_find(model, operation->version);
    if (!operation->changed)
        return true;
    if (version != NULL && version->rollout != NULL) {
        const struct el_rollout_view now = el_rollout_show(model);
        if (operation->all || now.waits == EL_ROLLOUT_MEASURES)
            return false;
        snprintf(operation->text, sizeof operation->text, "version %lld of %s: %s", (long long)operation->version,
                 model->settings.name, now.text);
        operation->to = operation->from;
        return true;
    }
    if (version != NULL && version == el_model_serving(model)) {
        snprintf(operation->text, sizeof operation->text, "version %lld of %s answers everybody",
                 (long long)operation->version, model->settings.name);
        return true;
    }
    const char *reason = version != NULL && version->reason != NULL ? version->reason : "another version is wanted";
    *status = el_status_new(EL_FAILED_PRECONDITION, "the rollout of version %lld of %s has ended: %s",
                            (long long)operation->version, model->settings.name, reason);
    return true;
}

bool el_operate_aborted(const struct el_model *model, struct el_operation *operation)
{
    const struct el_version *version = el_version_find(model, operation->version);
    return !operation->changed || version == NULL || version->rollout == NULL;
}
