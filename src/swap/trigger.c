/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/trigger.h"

#include "swap/wishes.h"

#include <stdio.h>

static const char *of_files(const struct el_version *version, const struct el_version *ended)
{
    const struct el_model *model = version->model;
    if (ended != NULL && ended->fingerprint != version->fingerprint)
        return "its files changed";
    if (version->load_tries > 0)
        return "loaded again after a failure that may pass";
    if (model->from_start && !model->has_served)
        return "the server's start";
    if (model->together == EL_TOGETHER_CHANGES)
        return "a reload of the config";
    return ended != NULL ? "it is wanted again" : "a new version in the base path";
}

void el_trigger_begin(struct el_version *version, const struct el_version *ended)
{
    const struct el_wish *wish = el_wish_find(version->model, version->number);
    if (ended != NULL && ended->revived[0] != '\0')
        snprintf(version->trigger, sizeof version->trigger, "%s", ended->revived);
    else if (wish != NULL && wish->kind == EL_WISH_LOAD)
        snprintf(version->trigger, sizeof version->trigger, "`everlit load` by %s", wish->by);
    else
        snprintf(version->trigger, sizeof version->trigger, "%s", of_files(version, ended));
}

void el_trigger_revive(struct el_version *version, const char *text)
{
    snprintf(version->revived, sizeof version->revived, "%s", text);
}

const char *el_trigger_print(const struct el_version *version, char *text, size_t room)
{
    const struct el_model *model = version->model;
    const struct el_journal_model *known = el_journal_model(model->swap->options.journal, model->settings.name);
    if (known == NULL || !known->pinned || known->pin_version != version->number)
        return version->trigger;
    snprintf(text, room, "pinned by %s%s%s", known->pin_by, known->pin_reason[0] != '\0' ? ": " : "",
             known->pin_reason);
    return text;
}
