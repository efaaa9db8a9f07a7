/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each operation is one function: it checks, changes the journal or the wishes, and leaves the rest to the manager's next look, which
 * leads requests, loads and retires as if the policy had said so. el_model_aspire() is asked at once, so that the answer can say to
 * which version the model goes.
 */
#include "swap/operate.h"

#include "base/clock.h"
#include "swap/group_operate.h"
#include "swap/manager.h"
#include "swap/operate_rollout.h"
#include "swap/operate_rules.h"
#include "swap/remember.h"
#include "swap/rollout.h"
#include "swap/trigger.h"
#include "swap/twins.h"
#include "swap/version.h"
#include "swap/view.h"
#include "swap/wishes.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    bool needs_version;
} kinds[EL_OPERATE_KINDS] = {
    [EL_OPERATE_ROLLBACK] = { "rollback", false }, [EL_OPERATE_PIN] = { "pin", true },
    [EL_OPERATE_UNPIN] = { "unpin", false },       [EL_OPERATE_LOAD] = { "load", true },
    [EL_OPERATE_UNLOAD] = { "unload", true },      [EL_OPERATE_QUARANTINE] = { "quarantine", true },
    [EL_OPERATE_FORGIVE] = { "forgive", true },    [EL_OPERATE_RETRY] = { "retry", true },
    [EL_OPERATE_PROMOTE] = { "promote", false },   [EL_OPERATE_ABORT] = { "abort", false },
};

const char *el_operation_name(enum el_operation_kind kind)
{
    return kind < EL_OPERATE_KINDS ? kinds[kind].name : "unknown";
}

bool el_operation_needs_version(enum el_operation_kind kind)
{
    return kind < EL_OPERATE_KINDS && kinds[kind].needs_version;
}

bool el_operation_takes_version(enum el_operation_kind kind)
{
    return el_operation_needs_version(kind) || kind == EL_OPERATE_PROMOTE || kind == EL_OPERATE_ABORT;
}

static void say(struct el_operation *operation, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct el_operation *operation, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(operation->text, sizeof operation->text, format, args);
    va_end(args);
}

static void append(struct el_operation *operation, const char *more)
{
    const size_t at = strlen(operation->text);
    snprintf(operation->text + at, sizeof operation->text - at, "%s", more);
}

static const char *colon(const char *reason)
{
    return reason[0] != '\0' ? ": " : "";
}

/* What the model does from now on: also to which version it goes. */
static void aspire(struct el_model *model, struct el_operation *operation)
{
    el_model_changed(model);
    el_model_touch(model);
    el_model_aspire(model, el_now_ns());
    if (model->aspired_count > 0)
        operation->to = model->aspired[0];
}

static void tell(struct el_model *model, const struct el_operation *operation, const char *event, int64_t version)
{
    el_tell_by(model->swap, EL_LOG_INFO, event, model, el_version_find(model, version), operation->by, "by %s%s%s: %s",
               operation->by, operation->reason[0] != '\0' ? ", " : "", operation->reason, operation->text);
}

/* ---- pin, rollback, unpin ---- */

static struct el_status *pin(struct el_model *model, struct el_operation *operation, int64_t version, const char *event)
{
    const struct el_wish *wish = el_wish_find(model, version);
    const bool rollback = operation->kind == EL_OPERATE_ROLLBACK;
    char reason[512], others[192] = "";
    if (rollback)
        EL_TRY(el_group_pin_others(model, operation, version, others, sizeof others));
    snprintf(reason, sizeof reason, "%s%s%s%s", rollback ? EL_ROLLED_BACK_BY : "", rollback ? operation->by : "",
             rollback ? colon(operation->reason) : "", operation->reason);
    EL_TRY(
        el_journal_pin(model->swap->options.journal, model->settings.name, version, operation->by, reason, NULL, NULL));
    if (wish != NULL)
        el_wish_drop(model, version);
    aspire(model, operation);
    operation->to = version;
    operation->soon = el_rule_answers_at_once(model, version);
    say(operation, "%s goes from version %lld to version %lld, and stays there until `everlit unpin %s`",
        model->settings.name, (long long)operation->from, (long long)version, model->settings.name);
    if (operation->from < 0)
        say(operation, "%s goes to version %lld, and stays there until `everlit unpin %s`", model->settings.name,
            (long long)version, model->settings.name);
    if (operation->from == version)
        say(operation, "%s stays at version %lld until `everlit unpin %s`", model->settings.name, (long long)version,
            model->settings.name);
    append(operation, others);
    tell(model, operation, event, version);
    return NULL;
}

/* True, and the text is there, if it is pinned to that version already. */
static bool is_pinned(const struct el_model *model, struct el_operation *operation, int64_t version)
{
    const struct el_journal_model *known = el_journal_model(model->swap->options.journal, model->settings.name);
    if (known == NULL || !known->pinned || known->pin_version != version)
        return false;
    operation->changed = false;
    operation->to = version;
    operation->soon = el_rule_answers_at_once(model, version);
    say(operation, "%s is pinned to version %lld already, by %s%s%s", model->settings.name, (long long)version,
        known->pin_by, colon(known->pin_reason), known->pin_reason);
    return true;
}

static struct el_status *operate_pin(struct el_model *model, struct el_operation *operation)
{
    if (is_pinned(model, operation, operation->version))
        return NULL;
    EL_TRY(el_rule_can_be_loaded(model, operation->version));
    return pin(model, operation, operation->version, "pinned");
}

static struct el_status *operate_rollback(struct el_model *model, struct el_operation *operation)
{
    int64_t to = operation->version, pinned;
    if (to < 0 && el_rollout_of(model) != NULL)
        to = operation->from; /* back from the version that is coming, not from the one that is still there */
    if (to >= 0 && to == operation->from)
        return is_pinned(model, operation, to) ? NULL : pin(model, operation, to, "rollback");
    if (to < 0 && operation->from >= 0 && el_remember_pin(model, &pinned) && pinned < operation->from &&
        el_model_aspires(model, pinned))
        to = pinned; /* it is on its way there, and does not go further back for being asked twice */
    if (to < 0 && !el_group_rollback_version(model, operation->from, &to))
        EL_TRY(el_rule_last_good_before(model, operation->from, &to));
    if (is_pinned(model, operation, to))
        return NULL;
    EL_TRY(el_rule_can_be_loaded(model, to));
    return pin(model, operation, to, "rollback");
}

static struct el_status *operate_unpin(struct el_model *model, struct el_operation *operation)
{
    int64_t pinned;
    if (!el_remember_pin(model, &pinned)) {
        operation->changed = false;
        operation->soon = true;
        say(operation, "%s is not pinned", model->settings.name);
        return NULL;
    }
    char others[192];
    EL_TRY(el_journal_unpin(model->swap->options.journal, model->settings.name, NULL, NULL));
    EL_TRY(el_group_unpin_others(model, operation, others, sizeof others));
    aspire(model, operation);
    operation->soon = el_rule_answers_at_once(model, operation->to);
    if (operation->to == operation->from || operation->to < 0)
        say(operation, "%s is not pinned to version %lld any more: the version policy decides again",
            model->settings.name, (long long)pinned);
    else
        say(operation,
            "%s is not pinned to version %lld any more: by the version policy it goes from version %lld to version %lld",
            model->settings.name, (long long)pinned, (long long)operation->from, (long long)operation->to);
    append(operation, others);
    tell(model, operation, "unpinned", pinned);
    return NULL;
}

/* ---- load, unload ---- */

static struct el_status *operate_load(struct el_model *model, struct el_operation *operation)
{
    const struct el_wish *wish = el_wish_find(model, operation->version);
    int64_t pinned;
    operation->soon = el_rule_answers_at_once(model, operation->version);
    if (el_model_aspires(model, operation->version) && (wish == NULL || wish->kind == EL_WISH_LOAD)) {
        operation->changed = false;
        say(operation, "version %lld of %s is %s already", (long long)operation->version, model->settings.name,
            operation->soon ? "loaded" : "being loaded");
        return NULL;
    }
    EL_TRY(el_rule_can_be_loaded(model, operation->version));
    if (el_remember_pin(model, &pinned) && pinned < operation->version)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "%s is pinned to version %lld, and requests go to the highest version that is loaded: "
                             "version %lld cannot be loaded beside it; `everlit unpin %s` ends that",
                             model->settings.name, (long long)pinned, (long long)operation->version,
                             model->settings.name);
    EL_TRY(el_wish_set(model, EL_WISH_LOAD, operation->version, operation->by, operation->reason));
    aspire(model, operation);
    say(operation,
        "version %lld of %s is loaded beside what the version policy wants, until the server ends or "
        "`everlit unload %s %lld`",
        (long long)operation->version, model->settings.name, model->settings.name, (long long)operation->version);
    tell(model, operation, "load_asked", operation->version);
    return NULL;
}

struct el_status *el_operate_let_go(struct el_model *model, struct el_operation *operation, enum el_wish_kind kind)
{
    const int64_t version = operation->version;
    const struct el_version *known = el_version_find(model, version);
    const bool with_twins = kind == EL_WISH_QUARANTINE && known != NULL;
    EL_TRY(el_wish_set(model, kind, version, operation->by, operation->reason));
    if (with_twins)
        el_twins_condemn(known, operation->by, operation->reason);
    aspire(model, operation);
    known = el_version_find(model, version); /* another life may have come in the place of one that was over */
    const bool answers = operation->from == version ||
                         (with_twins && el_are_twins(known, el_version_find(model, operation->from)));
    if (!answers || model->aspired_count > 0)
        return NULL;
    el_wish_drop(model, version);
    if (with_twins && known != NULL)
        el_twins_pardon(known);
    aspire(model, operation);
    return el_status_new(EL_FAILED_PRECONDITION,
                         "version %lld is the only one of %s that can answer by its version policy: put another one "
                         "beside it, or go to an older one first with `everlit rollback %s`",
                         (long long)version, model->settings.name, model->settings.name);
}

static struct el_status *not_pinned_to(const struct el_model *model, int64_t version, enum el_wish_kind kind)
{
    int64_t pinned;
    if (!el_remember_pin(model, &pinned))
        return NULL;
    if (pinned != version && kind == EL_WISH_QUARANTINE &&
        el_are_twins(el_version_find(model, version), el_version_find(model, pinned)))
        return el_status_new(EL_FAILED_PRECONDITION,
                             "%s is pinned to version %lld, which has the same content as version %lld: type "
                             "`everlit unpin %s` first, or pin another version",
                             model->settings.name, (long long)pinned, (long long)version, model->settings.name);
    if (pinned != version)
        return NULL;
    return el_status_new(EL_FAILED_PRECONDITION,
                         "%s is pinned to version %lld: type `everlit unpin %s` first, or pin another version",
                         model->settings.name, (long long)version, model->settings.name);
}

static struct el_status *operate_unload(struct el_model *model, struct el_operation *operation)
{
    const struct el_version *version = el_version_find(model, operation->version);
    const struct el_wish *wish = el_wish_find(model, operation->version);
    EL_TRY(el_rule_is_known(model, operation->version));
    EL_TRY(not_pinned_to(model, operation->version, EL_WISH_UNLOAD));
    operation->soon = true;
    const bool idle = version == NULL || el_version_is_over(version) || version->state == EL_LIFE_DRAINING;
    const bool on_way_out = wish != NULL &&
                            wish->kind != EL_WISH_LOAD; /* an asked quarantine goes further, and stays */
    if (on_way_out || (idle && !el_model_aspires(model, operation->version))) {
        operation->changed = false;
        say(operation, "version %lld of %s is not loaded, or is on its way out already", (long long)operation->version,
            model->settings.name);
        return NULL;
    }
    EL_TRY(el_operate_let_go(model, operation, EL_WISH_UNLOAD));
    operation->soon = operation->from != operation->version || el_rule_answers_at_once(model, operation->to);
    if (operation->from == operation->version)
        say(operation,
            "version %lld of %s is unloaded once version %lld answers, until the server ends or "
            "`everlit load %s %lld`",
            (long long)operation->version, model->settings.name, (long long)operation->to, model->settings.name,
            (long long)operation->version);
    else
        say(operation, "version %lld of %s is unloaded, until the server ends or `everlit load %s %lld`",
            (long long)operation->version, model->settings.name, model->settings.name, (long long)operation->version);
    tell(model, operation, "unload_asked", operation->version);
    return NULL;
}

/* ---- quarantine, forgive, retry ---- */

static struct el_status *operate_quarantine(struct el_model *model, struct el_operation *operation)
{
    const struct el_wish *wish = el_wish_find(model, operation->version);
    const struct el_version *version = el_version_find(model, operation->version);
    EL_TRY(el_rule_is_known(model, operation->version));
    EL_TRY(not_pinned_to(model, operation->version, EL_WISH_QUARANTINE));
    const struct el_journal_bad *bad = el_rule_bad(model, operation->version);
    const bool asked = wish != NULL && wish->kind == EL_WISH_QUARANTINE;
    operation->soon = true;
    if (asked || (bad != NULL && version != NULL && el_version_is_over(version))) {
        operation->changed = false;
        say(operation, "version %lld of %s is quarantined already%s%s%s%s", (long long)operation->version,
            model->settings.name, bad != NULL ? ", by " : "", bad != NULL ? bad->by : "", bad != NULL ? ": " : "",
            bad != NULL ? bad->reason : "");
        return NULL;
    }
    EL_TRY(el_operate_let_go(model, operation, EL_WISH_QUARANTINE));
    const bool serves = operation->from == operation->version;
    operation->soon = !serves || el_rule_answers_at_once(model, operation->to);
    if (serves)
        say(operation,
            "the content of version %lld of %s is quarantined once version %lld answers; "
            "`everlit forgive %s %lld` ends that",
            (long long)operation->version, model->settings.name, (long long)operation->to, model->settings.name,
            (long long)operation->version);
    else
        say(operation, "the content of version %lld of %s is quarantined; `everlit forgive %s %lld` ends that",
            (long long)operation->version, model->settings.name, model->settings.name, (long long)operation->version);
    tell(model, operation, "quarantine_asked", operation->version);
    return NULL;
}

/* A new life for a version that was refused; the load itself is the manager's. */
static void revive(struct el_model *model, struct el_operation *operation)
{
    struct el_version *version = el_version_find(model, operation->version);
    if (version != NULL && version->state == EL_LIFE_QUARANTINED) {
        char why[256];
        snprintf(why, sizeof why, "%s by %s", operation->kind == EL_OPERATE_FORGIVE ? "forgiven" : "tried again",
                 operation->by);
        el_version_retire(version, why);
        el_trigger_revive(version, why);
    }
    if (version != NULL)
        version->load_tries = 0;
    aspire(model, operation);
    operation->soon = !el_model_aspires(model, operation->version);
}

static struct el_status *operate_forgive(struct el_model *model, struct el_operation *operation)
{
    struct el_journal *journal = model->swap->options.journal;
    const char *name = model->settings.name;
    const struct el_version *version = el_version_find(model, operation->version);
    const struct el_wish *wish = el_wish_find(model, operation->version);
    const struct el_journal_bad *bad = el_rule_bad(model, operation->version);
    const bool wished = wish != NULL && wish->kind == EL_WISH_QUARANTINE;
    const bool refused = version != NULL && version->state == EL_LIFE_QUARANTINED;
    if (bad == NULL && !wished && !refused) {
        EL_TRY(el_rule_is_known(model, operation->version));
        operation->changed = false;
        operation->soon = true;
        say(operation, "version %lld of %s is not quarantined", (long long)operation->version, name);
        return NULL;
    }
    while ((bad = el_rule_bad(model, operation->version)) != NULL)
        EL_TRY(el_journal_forgive(journal, name, bad->digest, NULL, NULL));
    EL_TRY(el_journal_load_ended(journal, name, operation->version)); /* ends of the server are forgiven too */
    if (wished)
        el_wish_drop(model, operation->version);
    if (version != NULL)
        el_twins_pardon(version);
    revive(model, operation);
    say(operation, "version %lld of %s is forgiven%s", (long long)operation->version, name,
        operation->soon ? "; the version policy does not want it loaded" : ", and loaded again");
    tell(model, operation, "forgiven", operation->version);
    return NULL;
}

static struct el_status *operate_retry(struct el_model *model, struct el_operation *operation)
{
    const struct el_version *version = el_version_find(model, operation->version);
    EL_TRY(el_rule_is_known(model, operation->version));
    if (version == NULL || version->state != EL_LIFE_QUARANTINED) {
        operation->changed = false;
        operation->soon = version == NULL || el_rule_answers_at_once(model, operation->version);
        say(operation, "version %lld of %s is not refused: there is nothing to try again",
            (long long)operation->version, model->settings.name);
        return NULL;
    }
    const struct el_journal_bad *bad = el_rule_bad(model, operation->version);
    if (bad != NULL)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "the content of version %lld of %s is quarantined by %s: %s; it would be refused again; "
                             "`everlit forgive %s %lld` gives it another chance",
                             (long long)operation->version, model->settings.name, bad->by, bad->reason,
                             model->settings.name, (long long)operation->version);
    revive(model, operation);
    say(operation, "version %lld of %s is %s", (long long)operation->version, model->settings.name,
        operation->soon ? "not refused any more; the version policy does not want it loaded" : "loaded again");
    tell(model, operation, "retry_asked", operation->version);
    return NULL;
}

struct el_status *el_operate(struct el_swap *swap, struct el_operation *operation)
{
    static struct el_status *(*const operate[EL_OPERATE_KINDS])(struct el_model * model,
                                                                struct el_operation * operation) = {
        [EL_OPERATE_ROLLBACK] = operate_rollback,  [EL_OPERATE_PIN] = operate_pin,
        [EL_OPERATE_UNPIN] = operate_unpin,        [EL_OPERATE_LOAD] = operate_load,
        [EL_OPERATE_UNLOAD] = operate_unload,      [EL_OPERATE_QUARANTINE] = operate_quarantine,
        [EL_OPERATE_FORGIVE] = operate_forgive,    [EL_OPERATE_RETRY] = operate_retry,
        [EL_OPERATE_PROMOTE] = el_operate_promote, [EL_OPERATE_ABORT] = el_operate_abort,
    };
    struct el_model *model = el_model_find(swap, operation->model);
    if (model == NULL)
        return el_status_new(EL_NOT_FOUND, "there is no model \"%s\"; `everlit status` lists those that there are",
                             operation->model);
    const struct el_version *serving = el_model_serving(model);
    operation->changed = true;
    operation->soon = false;
    operation->from = operation->to = serving != NULL ? serving->number : -1;
    return operate[operation->kind](model, operation);
}
