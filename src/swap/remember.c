/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/remember.h"

#include "base/clock.h"
#include "swap/local_copy.h"
#include "swap/twins.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define BROKEN_LOADS 2 /* ends of the server while the same files were loaded: by then it is no coincidence */

static void tell_unless(const struct el_version *version, struct el_status *status)
{
    if (status != NULL)
        el_tell(version->model->swap, EL_LOG_ERROR, "not_remembered", version->model, version, "%s",
                el_status_text(status));
    el_status_free(status);
}

/* "2026-11-24 13:05 UTC": for people. */
static void print_time(int64_t time_us, char *to, size_t size)
{
    const time_t seconds = (time_t)(time_us / 1000000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL || strftime(to, size, "%Y-%m-%d %H:%M UTC", &utc) == 0)
        snprintf(to, size, "some time ago");
}

struct el_status *el_remember_verdict(const struct el_version *version)
{
    const struct el_journal *journal = version->model->swap->options.journal;
    const char *name = version->model->settings.name;
    const struct el_journal_bad *bad = el_journal_find_bad(journal, name, version->digest);
    if (bad != NULL) {
        char since[64];
        print_time(bad->since_us, since, sizeof since);
        return el_status_new(bad->code,
                             "its content (SHA-256 %.12s...) is quarantined since %s, as version %lld, by %s: %s",
                             version->digest, since, (long long)bad->version, bad->by, bad->reason);
    }
    const uint32_t times = el_journal_broken_loads(journal, name, version->number, version->fingerprint);
    if (times >= BROKEN_LOADS)
        return el_status_new(EL_ABORTED,
                             "the server ended %u times in a row while it loaded these files: killed, or with the "
                             "machine",
                             times);
    return NULL;
}

bool el_remember_is_bad(const struct el_version *version)
{
    const struct el_model *model = version->model;
    return version->digest[0] != '\0' &&
           el_journal_find_bad(model->swap->options.journal, model->settings.name, version->digest) != NULL;
}

void el_remember_bad(const struct el_version *version, const struct el_status *why, const char *by)
{
    if (version->digest[0] == '\0' || version->digest_of != version->fingerprint)
        return; /* its files were never whole */
    const struct el_journal_bad bad = {
        .digest = version->digest,
        .version = version->number,
        .code = el_status_code(why),
        .reason = el_status_text(why),
        .by = by,
        .since_us = el_calendar_us(),
    };
    const struct el_model *model = version->model;
    el_local_copy_drop(model, version->digest);
    tell_unless(version, el_journal_quarantine(model->swap->options.journal, model->settings.name, &bad, NULL, NULL));
    el_twins_condemn(version, by, el_status_text(why));
}

void el_remember_good(const struct el_version *version)
{
    const struct el_model *model = version->model;
    if (!el_remember_is_last_good(version))
        tell_unless(version, el_journal_good(model->swap->options.journal, model->settings.name, version->number,
                                             version->digest));
    el_local_copy_keep(version);
}

bool el_remember_last_good(const struct el_model *model, int64_t *version)
{
    const struct el_journal_model *known = el_journal_model(model->swap->options.journal, model->settings.name);
    if (known == NULL || !known->has_good)
        return false;
    *version = known->good_version;
    return true;
}

bool el_remember_is_last_good(const struct el_version *version)
{
    const struct el_model *model = version->model;
    const struct el_journal_model *known = el_journal_model(model->swap->options.journal, model->settings.name);
    return known != NULL && known->has_good && known->good_version == version->number &&
           strcmp(known->good_digest, version->digest) == 0;
}

bool el_remember_pin(const struct el_model *model, int64_t *version)
{
    const struct el_journal_model *known = el_journal_model(model->swap->options.journal, model->settings.name);
    if (known == NULL || !known->pinned)
        return false;
    *version = known->pin_version;
    return true;
}
