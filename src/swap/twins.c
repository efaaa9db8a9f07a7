/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/twins.h"

#include "swap/version.h"
#include "swap/wishes.h"

#include <string.h>

bool el_are_twins(const struct el_version *version, const struct el_version *other)
{
    return version != NULL && other != NULL && version != other && version->digest[0] != '\0' &&
           version->digest_of == version->fingerprint && strcmp(version->digest, other->digest) == 0;
}

void el_twins_condemn(const struct el_version *bad, const char *by, const char *reason)
{
    struct el_model *model = bad->model;
    const struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (!el_are_twins(bad, version) || el_version_is_over(version))
            continue;
        const struct el_wish *wish = el_wish_find(model, version->number);
        if (wish != NULL && wish->kind == EL_WISH_QUARANTINE)
            continue;
        struct el_status *status = el_wish_set(model, EL_WISH_QUARANTINE, version->number, by, reason);
        if (status != NULL)
            el_tell(model->swap, EL_LOG_ERROR, "not_quarantined", model, version, "%s", el_status_text(status));
        el_status_free(status);
        el_model_touch(model);
    }
}

void el_twins_pardon(const struct el_version *version)
{
    const struct el_version *other;
    el_list_each (other, &version->model->versions, in_model) {
        const struct el_wish *wish = el_wish_find(version->model, other->number);
        if (el_are_twins(version, other) && wish != NULL && wish->kind == EL_WISH_QUARANTINE)
            el_wish_drop(version->model, other->number);
    }
}
