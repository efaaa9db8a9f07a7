/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/operate_rules.h"

#include "base/buf.h"
#include "swap/manager.h"
#include "swap/remember.h"
#include "swap/version.h"
#include "swap/wishes.h"

#include <stdlib.h>
#include <string.h>

#define LISTED 10 /* version numbers in a message */

bool el_rule_answers_at_once(const struct el_model *model, int64_t number)
{
    const struct el_version *version = el_version_find(model, number);
    return version != NULL && (version->state == EL_LIFE_SERVING || version->state == EL_LIFE_READY ||
                               (version->state == EL_LIFE_WARM && version->hosted != NULL));
}

static bool digest_is_known(const struct el_version *version)
{
    return version != NULL && version->digest[0] != '\0' && version->digest_of == version->fingerprint;
}

const struct el_journal_bad *el_rule_bad(const struct el_model *model, int64_t number)
{
    struct el_journal *journal = model->swap->options.journal;
    const struct el_version *version = el_version_find(model, number);
    if (digest_is_known(version))
        return el_journal_find_bad(journal, model->settings.name, version->digest);
    const struct el_journal_model *known = el_journal_model(journal, model->settings.name);
    for (size_t i = 0; known != NULL && i < known->bad_count; i++)
        if (known->bad[i].version == number)
            return &known->bad[i];
    return NULL;
}

static struct el_status *not_there(const struct el_model *model, int64_t number)
{
    size_t count = 0;
    const struct el_source_version *seen = model->source != NULL ? el_source_versions(model->source, &count) : NULL;
    struct el_buf there = { 0 };
    for (size_t i = 0; i < count && i < LISTED; i++)
        el_buf_printf(&there, "%s%lld", i > 0 ? ", " : "", (long long)seen[i].version);
    char *text = el_buf_take_text(&there);
    struct el_status *status = el_status_new(EL_NOT_FOUND, "%s has no version %lld in %s; there %s %s%s",
                                             model->settings.name, (long long)number, model->settings.base_path,
                                             count == 1 ? "is" : "are", count == 0 || text == NULL ? "none" : text,
                                             count > LISTED ? ", ..." : "");
    free(text);
    return status;
}

struct el_status *el_rule_is_known(const struct el_model *model, int64_t number)
{
    if (el_model_seen(model, number) != NULL || el_version_find(model, number) != NULL)
        return NULL;
    return not_there(model, number);
}

struct el_status *el_rule_can_be_loaded(const struct el_model *model, int64_t number)
{
    const struct el_source_version *seen = el_model_seen(model, number);
    const struct el_version *version = el_version_find(model, number);
    const struct el_wish *wish = el_wish_find(model, number);
    const char *name = model->settings.name;
    if (wish != NULL && wish->kind == EL_WISH_QUARANTINE)
        return el_status_new(
            EL_FAILED_PRECONDITION,
            "version %lld of %s is about to be quarantined, by %s; `everlit forgive %s %lld` ends that",
            (long long)number, name, wish->by, name, (long long)number);
    if (el_rule_answers_at_once(model, number))
        return NULL;
    if (seen == NULL)
        return not_there(model, number);
    const struct el_journal_bad *bad = el_rule_bad(model, number);
    const bool refused = version != NULL && version->state == EL_LIFE_QUARANTINED;
    if (bad != NULL && (refused || digest_is_known(version)))
        return el_status_new(EL_FAILED_PRECONDITION,
                             "version %lld of %s is quarantined by %s: %s; `everlit forgive %s %lld` ends that",
                             (long long)number, name, bad->by, bad->reason, name, (long long)number);
    if (refused && version->fingerprint == seen->fingerprint)
        return el_status_new(
            EL_FAILED_PRECONDITION, "version %lld of %s was refused: %s; `everlit retry %s %lld` tries it again",
            (long long)number, name, version->reason != NULL ? version->reason : "", name, (long long)number);
    if (seen->state != EL_SOURCE_WHOLE)
        return el_status_new(EL_FAILED_PRECONDITION, "version %lld of %s is not whole: %s", (long long)number, name,
                             seen->text != NULL ? seen->text : "it is still being looked at");
    return NULL;
}

struct el_status *el_rule_last_good_before(const struct el_model *model, int64_t before, int64_t *number)
{
    if (before < 0)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "no version of %s answers: name the one to go to, with --to; `everlit status` shows why",
                             model->settings.name);
    size_t count = 0;
    const struct el_source_version *seen = model->source != NULL ? el_source_versions(model->source, &count) : NULL;
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        if (seen[i].version >= before || (found && seen[i].version < *number))
            continue;
        const struct el_wish *wish = el_wish_find(model, seen[i].version);
        if (wish != NULL && wish->kind == EL_WISH_UNLOAD)
            continue;
        struct el_status *cannot = el_rule_can_be_loaded(model, seen[i].version);
        if (cannot == NULL) {
            *number = seen[i].version;
            found = true;
        }
        el_status_free(cannot);
    }
    if (!found)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "%s answers with version %lld, and no older version is on disk that could be loaded; "
                             "`everlit status` shows what there is",
                             model->settings.name, (long long)before);
    return NULL;
}
