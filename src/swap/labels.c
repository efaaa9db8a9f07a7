/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/labels.h"

#include "swap/together.h"
#include "swap/version.h"

#include <string.h>

static bool serves(const struct el_model *model, int64_t number)
{
    const struct el_version *version = el_version_find(model, number);
    return version != NULL && version->state == EL_LIFE_SERVING;
}

static bool leads_to_former(const struct el_model *model, const struct el_version_label *label)
{
    return label->moved && serves(model, label->former) && (!serves(model, label->version) || el_together_holds(model));
}

int64_t el_label_leads(const struct el_model *model, const struct el_version_label *label)
{
    return leads_to_former(model, label) ? label->former : label->version;
}

bool el_labels_need(const struct el_model *model, int64_t number)
{
    for (size_t i = 0; i < model->settings.label_count; i++) {
        const struct el_version_label *label = &model->settings.labels[i];
        if (label->former == number && leads_to_former(model, label))
            return true;
    }
    return false;
}

static const struct el_version_label *find(const struct el_model_config *settings, const char *name)
{
    for (size_t i = 0; i < settings->label_count; i++)
        if (strcmp(settings->labels[i].label, name) == 0)
            return &settings->labels[i];
    return NULL;
}

void el_labels_move(const struct el_model *model, struct el_model_config *settings)
{
    for (size_t i = 0; i < settings->label_count; i++) {
        struct el_version_label *label = &settings->labels[i];
        const struct el_version_label *before = find(&model->settings, label->label);
        if (before == NULL)
            continue;
        /* The same config once more: what it led to before it moved still counts. */
        const bool stays = before->version == label->version;
        label->former = stays ? before->former : el_label_leads(model, before);
        label->moved = stays ? before->moved : label->former != label->version;
    }
}
