/* SPDX-License-Identifier: Apache-2.0 */
/* What came of an operation: asked again and again until it is decided. */
#include "swap/manager.h"
#include "swap/operate.h"
#include "swap/operate_rollout.h"
#include "swap/operate_rules.h"
#include "swap/remember.h"
#include "swap/version.h"
#include "swap/view.h"
#include "swap/wishes.h"

#include <stdio.h>

/* The versions of a model, in the words of the answer. */
struct outcome {
    struct el_model *model;
    struct el_operation *operation;
    const char *name;
    long long serving; /* -1: none */
    struct el_status **status;
};

static bool fail(const struct outcome *outcome, struct el_status *status)
{
    *outcome->status = status;
    return true;
}

static bool refused(const struct outcome *outcome, const struct el_version *version)
{
    const bool pins = outcome->operation->kind == EL_OPERATE_ROLLBACK || outcome->operation->kind == EL_OPERATE_PIN;
    char goes_on[64] = "";
    if (outcome->serving >= 0)
        snprintf(goes_on, sizeof goes_on, "; version %lld goes on answering", outcome->serving);
    return fail(outcome,
                el_status_new(EL_FAILED_PRECONDITION, "version %lld of %s was refused: %s%s%s%s%s",
                              (long long)version->number, outcome->name, version->reason != NULL ? version->reason : "",
                              goes_on, pins ? "; the pin waits for it, `everlit unpin " : "", pins ? outcome->name : "",
                              pins ? "` ends that" : ""));
}

static bool is_gone(const struct outcome *outcome, int64_t number)
{
    const struct el_version *version = el_version_find(outcome->model, number);
    return (version == NULL || el_version_is_over(version)) && el_model_seen(outcome->model, number) == NULL;
}

/* Requests go to that version. */
static bool arrived(const struct outcome *outcome, int64_t number)
{
    struct el_operation *operation = outcome->operation;
    const struct el_version *version = el_version_find(outcome->model, number);
    if (outcome->serving != number && version != NULL && version->state == EL_LIFE_QUARANTINED)
        return refused(outcome, version);
    if (is_gone(outcome, number))
        return fail(outcome, el_status_new(EL_NOT_FOUND, "version %lld of %s is not on disk any more",
                                           (long long)number, outcome->name));
    if (outcome->serving != number)
        return false;
    if (operation->changed && operation->from >= 0 && operation->from != number)
        snprintf(
            operation->text, sizeof operation->text, "%s answers with version %lld, before with version %lld%s%s%s%s",
            outcome->name, (long long)number, (long long)operation->from,
            operation->kind == EL_OPERATE_UNPIN ? "" : "; it stays there until `everlit unpin ",
            operation->kind == EL_OPERATE_UNPIN ? "" : outcome->name, operation->kind == EL_OPERATE_UNPIN ? "" : "`",
            operation->kind == EL_OPERATE_UNPIN ? "; it is not pinned any more" : "");
    return true;
}

static bool pinned(const struct outcome *outcome)
{
    int64_t pin;
    if (!el_remember_pin(outcome->model, &pin) || pin != outcome->operation->to)
        return fail(outcome, el_status_new(EL_ABORTED,
                                           "another command came in between: %s is not pinned to version "
                                           "%lld any more",
                                           outcome->name, (long long)outcome->operation->to));
    return arrived(outcome, pin);
}

/* The policy may have come to other versions meanwhile: what it was meant to go to was refused, or there is a newer one. */
static bool unpinned(const struct outcome *outcome)
{
    struct el_operation *operation = outcome->operation;
    const struct el_model *model = outcome->model;
    const struct el_version *version = el_version_find(model, operation->to);
    if (version != NULL && version->state == EL_LIFE_QUARANTINED)
        return refused(outcome, version);
    if (model->aspired_count == 0)
        return true;
    operation->to = model->aspired[0];
    return arrived(outcome, operation->to);
}

static bool loaded(const struct outcome *outcome)
{
    struct el_operation *operation = outcome->operation;
    const int64_t number = operation->version;
    const struct el_version *version = el_version_find(outcome->model, number);
    if (version != NULL && version->state == EL_LIFE_QUARANTINED)
        return refused(outcome, version);
    if (version != NULL && version->state == EL_LIFE_SERVING) {
        snprintf(operation->text, sizeof operation->text, "version %lld of %s is loaded and answers%s",
                 (long long)number, outcome->name,
                 outcome->serving == number ? "" : " those who ask for it by its number");
        return true;
    }
    if (is_gone(outcome, number) && operation->kind == EL_OPERATE_LOAD)
        return fail(outcome, el_status_new(EL_NOT_FOUND, "version %lld of %s is not on disk any more",
                                           (long long)number, outcome->name));
    return !el_model_aspires(outcome->model, number); /* nobody wants it loaded: that was all */
}

/* While it is the only one that answers, it goes on. */
static bool stays(const struct outcome *outcome, const struct el_version *version)
{
    if (version->state != EL_LIFE_SERVING || outcome->model->aspired_count > 0)
        return false;
    return fail(outcome, el_status_new(EL_FAILED_PRECONDITION,
                                       "no other version of %s can answer: version %lld goes on until one does",
                                       outcome->name, (long long)version->number));
}

static bool unloaded(const struct outcome *outcome)
{
    struct el_operation *operation = outcome->operation;
    const struct el_version *version = el_version_find(outcome->model, operation->version);
    const struct el_wish *wish = el_wish_find(outcome->model, operation->version);
    const bool wanted = (wish == NULL || wish->kind == EL_WISH_LOAD) &&
                        el_model_aspires(outcome->model, operation->version);
    if (version != NULL && !el_version_is_over(version) && wanted)
        return fail(outcome, el_status_new(EL_ABORTED,
                                           "a command, a reload or new files came in between: version %lld of %s is "
                                           "to be loaded again",
                                           (long long)operation->version, outcome->name));
    if (version != NULL && !el_version_is_over(version))
        return stays(outcome, version);
    if (operation->changed)
        snprintf(operation->text, sizeof operation->text,
                 "version %lld of %s is unloaded, until the server ends or `everlit load %s %lld`",
                 (long long)operation->version, outcome->name, outcome->name, (long long)operation->version);
    return true;
}

static bool quarantined(const struct outcome *outcome)
{
    struct el_operation *operation = outcome->operation;
    const struct el_version *version = el_version_find(outcome->model, operation->version);
    if (el_wish_find(outcome->model, operation->version) != NULL)
        return version != NULL && stays(outcome, version);
    if (operation->changed)
        snprintf(operation->text, sizeof operation->text,
                 "the content of version %lld of %s is quarantined; `everlit forgive %s %lld` ends that",
                 (long long)operation->version, outcome->name, outcome->name, (long long)operation->version);
    return true;
}

bool el_operate_outcome(struct el_swap *swap, struct el_operation *operation, struct el_status **status)
{
    struct el_model *model = el_model_find(swap, operation->model);
    *status = NULL;
    if (model == NULL) {
        *status = el_status_new(EL_NOT_FOUND, "the model \"%s\" has left the config meanwhile", operation->model);
        return true;
    }
    const struct el_version *serving = el_model_serving(model);
    const struct outcome outcome = { .model = model,
                                     .operation = operation,
                                     .name = model->settings.name,
                                     .serving = serving != NULL ? serving->number : -1,
                                     .status = status };
    switch (operation->kind) {
    case EL_OPERATE_ROLLBACK:
    case EL_OPERATE_PIN:
        return pinned(&outcome);
    case EL_OPERATE_UNPIN:
        return unpinned(&outcome);
    case EL_OPERATE_LOAD:
    case EL_OPERATE_FORGIVE:
    case EL_OPERATE_RETRY:
        return loaded(&outcome);
    case EL_OPERATE_UNLOAD:
        return unloaded(&outcome);
    case EL_OPERATE_QUARANTINE:
        return quarantined(&outcome);
    case EL_OPERATE_PROMOTE:
        return el_operate_promoted(model, operation, status);
    case EL_OPERATE_ABORT:
        return el_operate_aborted(model, operation);
    case EL_OPERATE_KINDS:
        break;
    }
    return true;
}
