/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what is on disk to what should be loaded.
 *
 * The policy is asked twice. Of all versions that are not quarantined: the
 * wanted ones; each of them has a life, if only to show what it waits for. And of
 * those that are whole: the aspired ones, which are loaded. So a version that is
 * still being copied is visible and takes nothing away.
 */
#include "base/clock.h"
#include "swap/group.h"
#include "swap/loader.h"
#include "swap/local_copy.h"
#include "swap/manager.h"
#include "swap/policy.h"
#include "swap/remember.h"
#include "swap/twins.h"
#include "swap/version.h"
#include "swap/wishes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TELL_AFTER_NS (200 * EL_NS_PER_MS) /* most copies are whole before there is anything to tell */
#define TELL_GAP_NS (1 * EL_NS_PER_S)      /* between "waiting" events of one version; doubles */
#define ENDED_KEPT 16                      /* ended lives that status still shows, per model */

const struct el_source_version *el_model_seen(const struct el_model *model, int64_t number)
{
    size_t count = 0;
    const struct el_source_version *seen = model->source != NULL ? el_source_versions(model->source, &count) : NULL;
    const struct el_source_version *found = NULL;
    for (size_t i = 0; i < count && found == NULL; i++)
        if (seen[i].version == number)
            found = &seen[i];
    return el_local_copy_instead(model, number, found);
}

bool el_model_aspires(const struct el_model *model, int64_t number)
{
    return el_policy_has(model->aspired, model->aspired_count, number);
}

static bool is_loaded(const struct el_version *version)
{
    return version->state == EL_LIFE_READY || version->state == EL_LIFE_SERVING || version->state == EL_LIFE_WARM;
}

static bool is_quarantined(const struct el_version *version, const struct el_source_version *seen)
{
    return version != NULL && version->state == EL_LIFE_QUARANTINED && version->fingerprint == seen->fingerprint;
}

bool el_model_has_other(const struct el_model *model, int64_t number)
{
    size_t count = 0;
    const struct el_source_version *seen = model->source != NULL ? el_source_versions(model->source, &count) : NULL;
    const struct el_version *version = el_version_find(model, number);
    for (size_t i = 0; i < count; i++) {
        const struct el_version *other = el_version_find(model, seen[i].version);
        const struct el_wish *wish = el_wish_find(model, seen[i].version);
        const bool unwanted = wish != NULL && wish->kind != EL_WISH_LOAD;
        if (seen[i].version != number && seen[i].state == EL_SOURCE_WHOLE && !is_quarantined(other, &seen[i]) &&
            !unwanted && !el_are_twins(version, other))
            return true;
    }
    return false;
}

/* ---- one version on disk ---- */

static void tell_waiting(struct el_version *version, const struct el_source_version *seen, uint64_t now_ns)
{
    if (seen->seen != EL_SEEN_NOT_YET)
        return;
    if (version->tell_ns == 0)
        version->tell_ns = now_ns + TELL_AFTER_NS;
    if (now_ns < version->tell_ns) {
        el_model_alarm(version->model, version->tell_ns);
        return;
    }
    version->tell_gap_ns = version->tell_gap_ns == 0 ? TELL_GAP_NS : version->tell_gap_ns * 2;
    version->tell_ns = now_ns + version->tell_gap_ns;
    el_tell(version->model->swap, EL_LOG_INFO, "waiting", version->model, version, "%s", seen->text);
}

static void verify(struct el_version *version, const struct el_source_version *seen, uint64_t now_ns)
{
    version->fingerprint = seen->fingerprint;
    version->whole_since_ns = seen->whole_since_ns;
    version->bytes = seen->bytes;
    version->whole = seen->state == EL_SOURCE_WHOLE;
    free(version->state_op);
    version->state_op = seen->state_op != NULL ? strdup(seen->state_op) : NULL;
    if (seen->state_op != NULL && version->state_op == NULL)
        version->whole = false; /* no memory: at the next look */
    if (strcmp(version->path, seen->path) != 0) {
        char *path = strdup(seen->path);
        if (path != NULL) {
            free(version->path);
            version->path = path;
        }
    }
    const char *text = seen->text != NULL ? seen->text : "";
    free(version->said);
    version->said = seen->state == EL_SOURCE_BAD && seen->said != NULL ? strdup(seen->said) : NULL;
    if (seen->state == EL_SOURCE_BAD) {
        const enum el_code code = seen->code != EL_OK ? seen->code : EL_FAILED_PRECONDITION;
        el_version_quarantine(version, el_status_new(code, "%s", text));
        version->refused = code == EL_FAILED_PRECONDITION && version->said == NULL;
        return;
    }
    version->short_of_memory = version->short_of_memory && version->whole;
    if (!version->short_of_memory)
        el_version_set_reason(version, text);
    version->from_copy = el_local_copy_is(version->model, seen);
    if (version->from_copy) { /* read and compared just now */
        memcpy(version->digest, version->model->copy->digest, sizeof version->digest);
        version->digest_of = version->fingerprint;
    }
    if (!version->whole)
        tell_waiting(version, seen, now_ns);
}

/* The files of a life that is under way became other files. */
static void look_for_change(struct el_version *version, const struct el_source_version *seen, uint64_t now_ns)
{
    if (version->state == EL_LIFE_QUARANTINED && version->retry_ns != 0) {
        if (now_ns >= version->retry_ns && !version->deferring && version->hosted == NULL) {
            el_version_retire(version, "it is loaded again");
            return;
        }
        el_model_alarm(version->model,
                       now_ns >= version->retry_ns ? el_after_ns(now_ns, EL_NS_PER_S / 10) : version->retry_ns);
    }
    if (version->fingerprint == seen->fingerprint)
        return;
    if (version->state == EL_LIFE_QUARANTINED)
        el_version_retire(version, "its files have changed");
    else if (version->state == EL_LIFE_LOADING || version->state == EL_LIFE_PROBING)
        el_version_retire(version, "its files changed while it was loaded");
}

static void attend(struct el_model *model, const struct el_source_version *seen, uint64_t now_ns)
{
    struct el_version *version = el_version_find(model, seen->version);
    if (version == NULL || el_version_is_gone(version)) {
        version = el_version_new(model, seen);
        if (version == NULL) {
            el_model_alarm(model, el_after_ns(now_ns, EL_NS_PER_S));
            return;
        }
        el_version_move(version, EL_LIFE_PASS, NULL, NULL, " ");
    }
    if (version->state == EL_LIFE_VERIFYING)
        verify(version, seen, now_ns);
}

/* ---- all of them ---- */

static void retire_unwanted(struct el_model *model, const int64_t *wanted, size_t wanted_count)
{
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        const struct el_source_version *seen = el_model_seen(model, version->number);
        bool aspired = el_model_aspires(model, version->number);
        const char *why = seen != NULL ? "the version policy does not want it" : "its directory is gone";
        switch (version->state) {
        case EL_LIFE_NEW:
        case EL_LIFE_VERIFYING:
            if (!aspired && !el_policy_has(wanted, wanted_count, version->number))
                el_version_retire(version, why);
            break;
        case EL_LIFE_LOADING:
        case EL_LIFE_PROBING:
        case EL_LIFE_READY:
            if (!aspired)
                el_version_retire(version, why);
            break;
        case EL_LIFE_QUARANTINED:
            if (seen == NULL)
                el_version_retire(version, why);
            break;
        default: /* SERVING and WARM are the route's; the others go their way */
            break;
        }
    }
}

static void forget_ended(struct el_model *model)
{
    for (;;) {
        size_t count = 0;
        struct el_version *version, *oldest = NULL;
        el_list_each (version, &model->versions, in_model) {
            if (!el_version_is_gone(version))
                continue;
            count++;
            if (oldest == NULL || version->since_us < oldest->since_us)
                oldest = version;
        }
        if (count <= ENDED_KEPT)
            return;
        el_version_free(oldest);
    }
}

static void tell_source(struct el_model *model)
{
    const char *error = el_source_error(model->source), *warning = el_source_warning(model->source);
    if (strncmp(error, model->source_error, sizeof model->source_error - 1) != 0) {
        snprintf(model->source_error, sizeof model->source_error, "%s", error);
        el_model_changed(model);
        if (error[0] != '\0')
            el_tell(model->swap, EL_LOG_WARNING, "source_failed", model, NULL, "%s", error);
        else
            el_tell(model->swap, EL_LOG_INFO, "source_recovered", model, NULL, "the base path can be read again");
    }
    if (strncmp(warning, model->source_warning, sizeof model->source_warning - 1) != 0) {
        snprintf(model->source_warning, sizeof model->source_warning, "%s", warning);
        if (warning[0] != '\0')
            el_tell(model->swap, EL_LOG_WARNING, "source", model, NULL, "%s", warning);
    }
}

static bool can_be(const struct el_candidate *candidates, size_t count, int64_t number)
{
    for (size_t i = 0; i < count; i++)
        if (candidates[i].version == number)
            return candidates[i].usable;
    return false;
}

/* A pinned version that is loaded stays, also when its directory goes. */
static bool pin_can_be(const struct el_model *model, const struct el_candidate *whole, size_t count, int64_t number)
{
    const struct el_version *version = el_version_find(model, number);
    return can_be(whole, count, number) || (version != NULL && is_loaded(version));
}

/* What is known of a version that was good, with its group or by itself. */
static bool last_good(const struct el_model *model, int64_t *number)
{
    const char *digest;
    return el_group_last_good(model, number, &digest) || el_remember_last_good(model, number);
}

static bool is_last_good(const struct el_version *version)
{
    int64_t number;
    const char *digest;
    if (el_group_last_good(version->model, &number, &digest))
        return number == version->number && strcmp(digest, version->digest) == 0;
    return el_remember_is_last_good(version);
}

/*
 * What comes before the policy, of those that are whole: a pin; and at the start the version that was good when the server ended
 * last, so that the model answers at once, and looks for newer ones from there. A policy that names its versions is meant as it stands.
 */
static bool comes_first(struct el_model *model, const struct el_candidate *whole, size_t count, int64_t *number)
{
    if (el_remember_pin(model, number) && pin_can_be(model, whole, count, *number))
        return true;
    if (!model->from_start || model->has_served || model->settings.policy.type == EL_POLICY_SPECIFIC ||
        !last_good(model, number) || el_model_aspires(model, *number) || !can_be(whole, count, *number))
        return false;
    const struct el_version *version = el_version_find(model, *number);
    if (version != NULL && version->digest_of == version->fingerprint && version->digest[0] != '\0' &&
        !is_last_good(version))
        return false; /* the same number, but other content */
    model->resumed = true;
    return true;
}

/* What the source sees, with the local copy in its place where that is offered: to free(), but not what is in it. NULL: no memory. */
static struct el_source_version *with_copy(const struct el_model *model, const struct el_source_version *versions,
                                           size_t *count)
{
    const struct el_source_version *copy = el_local_copy_offer(model, versions, *count);
    struct el_source_version *all = calloc(*count + 1, sizeof *all);
    size_t made = 0;
    if (all == NULL)
        return NULL;
    for (size_t i = 0; i < *count; i++) {
        if (copy != NULL && versions[i].version <= copy->version) {
            all[made++] = *copy;
            if (versions[i].version == copy->version)
                i++;
            copy = NULL;
        }
        if (i < *count)
            all[made++] = versions[i];
    }
    if (copy != NULL)
        all[made++] = *copy;
    *count = made;
    return all;
}

void el_model_aspire(struct el_model *model, uint64_t now_ns)
{
    if (model->removed || model->source == NULL || !el_source_scanned(model->source))
        return; /* a source that has not looked yet does not say that everything is gone */
    size_t count;
    const struct el_source_version *of_source = el_source_versions(model->source, &count);
    tell_source(model);
    el_local_copy_look(model, of_source, count, now_ns);
    struct el_source_version *seen = with_copy(model, of_source, &count);
    struct el_candidate *all = calloc(count + 1, sizeof *all), *whole = calloc(count + 1, sizeof *whole);
    int64_t *wanted = calloc(count + 1, sizeof *wanted), *aspired = calloc(count + 1, sizeof *aspired);
    if (seen == NULL || all == NULL || whole == NULL || wanted == NULL || aspired == NULL) {
        free(aspired);
        el_model_alarm(model, el_after_ns(now_ns, EL_NS_PER_S)); /* everything stays as it is until then */
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        struct el_version *version = el_version_find(model, seen[i].version);
        if (version != NULL)
            look_for_change(version, &seen[i], now_ns);
        bool usable = !is_quarantined(version, &seen[i]);
        bool ready = seen[i].state == EL_SOURCE_WHOLE || (version != NULL && is_loaded(version));
        all[i] = (struct el_candidate){ .version = seen[i].version, .usable = usable };
        whole[i] = (struct el_candidate){ .version = seen[i].version, .usable = usable && ready };
    }
    el_wishes_exclude(model, all, count);
    el_wishes_exclude(model, whole, count);
    size_t wanted_count = el_policy_aspire(&model->settings.policy, all, count, wanted);
    free(model->aspired);
    model->aspired = aspired;
    model->aspired_count = el_policy_aspire(&model->settings.policy, whole, count, aspired);
    int64_t first;
    if (comes_first(model, whole, count, &first)) {
        aspired[0] = first;
        model->aspired_count = 1;
    }
    int64_t pin = INT64_MAX; /* requests go to the highest version that serves: nothing above a pin does */
    if (!el_remember_pin(model, &pin) || !el_model_aspires(model, pin))
        pin = INT64_MAX;
    wanted_count = el_wishes_include(model, all, count, true, INT64_MAX, wanted, wanted_count);
    model->aspired_count = el_wishes_include(model, whole, count, false, pin, aspired, model->aspired_count);
    for (size_t i = 0; i < count; i++)
        if (el_policy_has(wanted, wanted_count, seen[i].version) || el_model_aspires(model, seen[i].version))
            attend(model, &seen[i], now_ns);
    retire_unwanted(model, wanted, wanted_count);
    forget_ended(model);
    model->looked_at = el_source_scanned(model->source);
out:
    free(all);
    free(whole);
    free(wanted);
    free(seen);
}
