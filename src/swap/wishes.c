/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/wishes.h"

#include "swap/digest.h"
#include "swap/manager.h"
#include "swap/remember.h"
#include "swap/twins.h"
#include "swap/version.h"
#include "swap/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the list ---- */

static struct el_wish *find(const struct el_model *model, int64_t version)
{
    struct el_wish *wish = model->wishes;
    while (wish != NULL && wish->version != version)
        wish = wish->next;
    return wish;
}

const struct el_wish *el_wish_find(const struct el_model *model, int64_t version)
{
    return find(model, version);
}

static void wish_free(struct el_wish *wish)
{
    if (wish == NULL)
        return;
    free(wish->by);
    free(wish->reason);
    free(wish);
}

struct el_status *el_wish_set(struct el_model *model, enum el_wish_kind kind, int64_t version, const char *by,
                              const char *reason)
{
    struct el_wish *wish = calloc(1, sizeof *wish);
    if (wish != NULL)
        *wish = (struct el_wish){ .kind = kind, .version = version, .by = strdup(by), .reason = strdup(reason) };
    if (wish == NULL || wish->by == NULL || wish->reason == NULL) {
        wish_free(wish);
        return el_status_no_memory();
    }
    el_wish_drop(model, version);
    wish->next = model->wishes;
    model->wishes = wish;
    return NULL;
}

void el_wish_drop(struct el_model *model, int64_t version)
{
    struct el_wish *doomed = NULL;
    for (struct el_wish **at = &model->wishes; doomed == NULL && *at != NULL; at = &(*at)->next) {
        if ((*at)->version != version)
            continue;
        doomed = *at;
        *at = doomed->next;
        break;
    }
    wish_free(doomed);
}

void el_wishes_free(struct el_model *model)
{
    while (model->wishes != NULL)
        el_wish_drop(model, model->wishes->version);
}

/* ---- what they change of what is aspired ---- */

void el_wishes_exclude(const struct el_model *model, struct el_candidate *candidates, size_t count)
{
    for (size_t i = 0; model->wishes != NULL && i < count; i++) {
        const struct el_wish *wish = find(model, candidates[i].version);
        if (wish != NULL && wish->kind != EL_WISH_LOAD)
            candidates[i].usable = false;
    }
}

static size_t insert(int64_t *numbers, size_t count, int64_t number)
{
    size_t at = 0;
    while (at < count && numbers[at] > number)
        at++;
    if (at < count && numbers[at] == number)
        return count;
    memmove(&numbers[at + 1], &numbers[at], (count - at) * sizeof *numbers);
    numbers[at] = number;
    return count + 1;
}

size_t el_wishes_include(const struct el_model *model, const struct el_candidate *candidates, size_t candidate_count,
                         bool to_verify, int64_t below, int64_t *numbers, size_t count)
{
    for (size_t i = 0; model->wishes != NULL && i < candidate_count; i++) {
        const struct el_wish *wish = find(model, candidates[i].version);
        if (wish == NULL)
            continue;
        if ((wish->kind == EL_WISH_LOAD && candidates[i].usable && wish->version < below) ||
            (wish->kind == EL_WISH_QUARANTINE && to_verify))
            count = insert(numbers, count, wish->version);
    }
    return count;
}

/* ---- what becomes of the versions ---- */

/* True once it is quarantined, or was already. */
static bool quarantine(struct el_version *version, const struct el_wish *wish)
{
    if (version->state == EL_LIFE_SERVING)
        el_twins_condemn(version, wish->by, wish->reason); /* none of them is to answer in its place */
    if (version->state == EL_LIFE_SERVING || version->state == EL_LIFE_DRAINING || version->state == EL_LIFE_END)
        return false; /* another answers first; or its next life is judged */
    if (version->state == EL_LIFE_VERIFYING && (!version->whole || !el_digest_known(version)))
        return false;
    /* By its twin it may be known as bad already, with the reason. */
    struct el_status *why = el_remember_is_bad(version) ? el_remember_verdict(version) : NULL;
    if (why == NULL) { /* also of what is refused for another reason, which may pass when its files are touched */
        why = el_status_new(EL_FAILED_PRECONDITION, "%s quarantined it%s%s", wish->by,
                            wish->reason[0] != '\0' ? ": " : "", wish->reason);
        el_remember_bad(version, why, wish->by);
    }
    if (version->state != EL_LIFE_QUARANTINED)
        el_version_quarantine(version, why);
    else
        el_status_free(why);
    return true;
}

/* The wish stays: it keeps the version from being loaded until it is wanted again. */
static void unload(struct el_version *version, const struct el_wish *wish)
{
    if (version->state != EL_LIFE_WARM || el_model_serving(version->model) == NULL)
        return;
    char why[256];
    snprintf(why, sizeof why, "%s unloaded it", wish->by);
    el_version_retire(version, why);
}

static void tell_pin(struct el_model *model)
{
    int64_t pin;
    if (!model->looked_at || !el_remember_pin(model, &pin) || el_model_aspires(model, pin)) {
        model->told_unmet = false;
        return;
    }
    if (model->told_unmet)
        return;
    model->told_unmet = true;
    const struct el_version *version = el_version_find(model, pin);
    const struct el_source_version *seen = el_model_seen(model, pin);
    const char *why = seen == NULL                                               ? "is not on disk"
                      : version != NULL && version->state == EL_LIFE_QUARANTINED ? "is quarantined"
                      : seen->text != NULL && seen->text[0] != '\0'              ? seen->text
                                                                                 : "is not whole";
    el_tell(model->swap, EL_LOG_WARNING, "pin_unmet", model, version,
            "it is pinned to version %lld, which %s: the version policy decides until that is there", (long long)pin,
            why);
}

/* True if the wish has come to its end. */
static bool look_at(struct el_model *model, const struct el_wish *wish)
{
    struct el_version *version = el_version_find(model, wish->version);
    const bool gone = version == NULL || version->state == EL_LIFE_END;
    if (gone && model->looked_at && el_model_seen(model, wish->version) == NULL)
        return true;
    if (version != NULL && wish->kind == EL_WISH_UNLOAD)
        unload(version, wish);
    return version != NULL && wish->kind == EL_WISH_QUARANTINE && quarantine(version, wish);
}

void el_wishes_look(struct el_model *model)
{
    if (model->removed)
        return;
    tell_pin(model);
    struct el_wish *wish = model->wishes;
    while (wish != NULL) {
        const bool done = look_at(model, wish);
        if (done)
            el_wish_drop(model, wish->version);
        wish = done ? model->wishes : wish->next; /* others may have come meanwhile */
    }
}
