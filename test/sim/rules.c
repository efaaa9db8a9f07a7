/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must be true, whatever happens. Looked at after each turn of the swap thread, and at each call that a client is led to.
 *
 * Where it can be, a rule is about what is seen from outside: which content (of the simulation's own) a client is led to, what a
 * view says, what workers take. What was promised is read from the journal.
 */
#include "sim.h"

#include "base/clock.h"
#include "swap/manager.h"
#include "swap/remember.h"
#include "swap/version.h"
#include "swap/view.h"
#include "swap/wishes.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- what is said when one is broken ---- */

void sim_violated(const char *rule, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sim_failed(rule, text);
}

void sim_excuse(const char *name)
{
    for (uint32_t i = 0; i < sim->model_count; i++)
        if (strcmp(sim->models[i].name, name) == 0)
            sim->models[i].excuse_ns = sim->now_ns;
}

/* ---- after a start ---- */

/* The journal says what was written before, neither more nor less. */
static void check_journal(const struct sim_model *model, uint32_t i)
{
    const struct el_journal_model *known = el_journal_model(sim->journal, model->name);
    const bool pinned = known != NULL && known->pinned, good = known != NULL && known->has_good;
    if (!sim->has_state_dir)
        return;
    if (pinned != sim->shadow.models[i].pinned || (pinned && known->pin_version != sim->shadow.models[i].pin))
        sim_violated("a pin survives", "%s: after a start the pin is %lld, it was %lld", model->name,
                     pinned ? (long long)known->pin_version : -1LL,
                     sim->shadow.models[i].pinned ? (long long)sim->shadow.models[i].pin : -1LL);
    if (good != sim->shadow.models[i].has_good ||
        (good && (known->good_version != sim->shadow.models[i].good ||
                  strcmp(known->good_digest, sim->shadow.models[i].good_digest) != 0)))
        sim_violated("the last good version survives", "%s: after a start it is %lld, it was %lld", model->name,
                     good ? (long long)known->good_version : -1LL, (long long)sim->shadow.models[i].good);
    size_t count = 0;
    for (size_t k = 0; k < sim->shadow.bad_count; k++) {
        if (strcmp(sim->shadow.bad[k].model, model->name) != 0)
            continue;
        count++;
        if (el_journal_find_bad(sim->journal, model->name, sim->shadow.bad[k].digest) == NULL)
            sim_violated("quarantine survives", "%s: after a start content %.8s... is not known as bad", model->name,
                         sim->shadow.bad[k].digest);
    }
    if (known != NULL && known->bad_count != count)
        sim_violated("quarantine survives", "%s: after a start %zu contents are known as bad, there were %zu",
                     model->name, known->bad_count, count);
}

/* With which version it has to begin. */
static void expect_resume(struct sim_model *model)
{
    const struct el_journal_model *known = el_journal_model(sim->journal, model->name);
    model->resumes = false;
    if (!model->configured || known == NULL || !known->has_good || known->pinned ||
        model->policy == EL_POLICY_SPECIFIC || model->dir.unreadable)
        return;
    for (size_t i = 0; i < model->dir.count; i++) {
        const struct sim_version_dir *version = &model->dir.list[i];
        if (version->version != known->good_version || !version->whole ||
            strcmp(version->content->digest, known->good_digest) != 0 ||
            el_journal_find_bad(sim->journal, model->name, known->good_digest) != NULL)
            continue;
        model->resumes = true;
        model->resume = version->version;
        model->resume_fingerprint = version->fingerprint;
    }
}

void sim_rules_start(void)
{
    for (uint32_t i = 0; i < sim->model_count; i++) {
        struct sim_model *model = &sim->models[i];
        check_journal(model, i);
        expect_resume(model);
        model->served = model->gave_up = model->pinned = false;
        model->serving = -1;
        model->excuse_ns = sim->now_ns;
    }
    sim_verdicts_start();
}

/* ---- after each turn ---- */

static void check_loads(void)
{
    uint32_t loads = 0;
    const struct el_model *model;
    el_list_each (model, &sim->swap->models, in_swap) {
        const struct el_version *version;
        el_list_each (version, &model->versions, in_model) {
            loads += version->load != NULL;
        }
    }
    static bool was_settled; /* loads may begin in the very turn in which it settles */
    const bool settled = sim->settled && was_settled;
    was_settled = sim->settled;
    const uint32_t most = settled                                            ? sim->loads_allowed
                          : sim->loads_allowed > sim->starting_loads_allowed ? sim->loads_allowed
                                                                             : sim->starting_loads_allowed;
    /* Those that began before the ports were opened may still be under way. */
    static uint32_t before;
    const uint32_t allowed = settled && before > most ? before : most;
    if (loads != sim->swap->loads)
        sim_violated("loads are counted", "%u are under way, %u are counted", loads, sim->swap->loads);
    if (loads > allowed)
        sim_violated("at most the allowed loads", "%u versions are loaded at a time, %u may be", loads, allowed);
    before = loads;
}

static void check_memory(void)
{
    const uint64_t taken = sim_memory_taken();
    if (sim->budget_bytes > 0 && sim->honest && taken > sim->budget_bytes)
        sim_violated("memory within the budget", "workers take %llu MiB, the budget is %llu MiB",
                     (unsigned long long)(taken / SIM_MIB), (unsigned long long)(sim->budget_bytes / SIM_MIB));
}

static bool somebody_could(const struct el_model *model)
{
    size_t count = 0;
    const struct el_source_version *seen = model->source != NULL ? el_source_versions(model->source, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        const struct el_version *version = el_version_find(model, seen[i].version);
        const struct el_wish *wish = el_wish_find(model, seen[i].version);
        if (seen[i].state == EL_SOURCE_WHOLE && (wish == NULL || wish->kind == EL_WISH_LOAD) &&
            (version == NULL || version->state != EL_LIFE_QUARANTINED))
            return true;
    }
    return false;
}

/* Somebody who answered does so, or requests are held for who will. */
static void check_answers(struct sim_model *model, const struct el_model *real, const struct el_model_view *view)
{
    const struct el_version *serving = el_model_serving(real);
    if ((view->serving < 0 && (model->served || real->has_served)) || (serving != NULL && serving->hosted == NULL))
        sim_excuse(model->name);
    if (view->serving >= 0) {
        model->served = true;
        model->gave_up = false;
    } else if (model->served && !view->hold) {
        if (somebody_could(real) && real->settings.policy.type != EL_POLICY_SPECIFIC)
            sim_violated("somebody answers", "%s has answered, and nobody answers now, though there is what could",
                         model->name);
        model->gave_up = true; /* all that there was turned out bad */
    }
}

static void check_start(struct sim_model *model, const struct el_model *real, int64_t serving)
{
    int64_t pin;
    const struct el_version *good = el_version_find(real, model->resume);
    if (el_remember_pin(real, &pin) || model->grouped || (good != NULL && good->state == EL_LIFE_QUARANTINED))
        model->resumes = false; /* an operator or a group has other wishes; or it was tried */
    if (!model->resumes || serving < 0)
        return;
    model->resumes = false;
    const struct el_source_version *seen = el_model_seen(real, model->resume);
    const struct el_version *version = el_version_find(real, model->resume);
    if (serving == model->resume || seen == NULL || seen->fingerprint != model->resume_fingerprint ||
        seen->state != EL_SOURCE_WHOLE)
        return;
    if (version != NULL && version->state <= EL_LIFE_VERIFYING && version->load_tries == 0 &&
        !version->short_of_memory && el_wish_find(real, model->resume) == NULL)
        sim_violated("the last good version first", "%s begins with version %lld; the last good one was %lld",
                     model->name, (long long)serving, (long long)model->resume);
}

/* A pinned version that can answer does, and no third one comes in between while it is on its way. */
static void check_pin(struct sim_model *model, const struct el_model *real, int64_t serving)
{
    int64_t pin = -1;
    const struct el_journal_model *known = el_journal_model(sim->journal, model->name);
    const bool pinned = known != NULL && known->pinned;
    if (pinned)
        pin = known->pin_version;
    const bool same = pinned && model->pinned && model->pin == pin;
    const struct el_version *version = pinned ? el_version_find(real, pin) : NULL;
    const bool loaded = version != NULL && version->hosted != NULL &&
                        (version->state == EL_LIFE_READY || version->state == EL_LIFE_SERVING ||
                         version->state == EL_LIFE_WARM);
    const bool waits = model->grouped && version != NULL &&
                       version->state != EL_LIFE_SERVING; /* for the others' pins */
    if (same && loaded && !waits && serving != pin)
        sim_violated("a pin is kept", "%s is pinned to version %lld, which is %s, and goes to version %lld",
                     model->name, (long long)pin, el_life_name(version->state), (long long)serving);
    const struct el_source_version *seen = pinned ? el_model_seen(real, pin) : NULL;
    const bool comes = seen != NULL && seen->state == EL_SOURCE_WHOLE && version != NULL &&
                       version->state >= EL_LIFE_VERIFYING && version->state <= EL_LIFE_PROBING;
    const struct el_version *before = el_version_find(real, model->serving);
    const bool lost = before == NULL || before->state >= EL_LIFE_DRAINING;
    const struct el_wish *wish = el_wish_find(real, serving);
    const bool asked_for = wish != NULL && wish->kind == EL_WISH_LOAD;
    if (same && comes && !asked_for && model->serving != pin && model->serving >= 0 && serving >= 0 &&
        serving != model->serving && serving != pin && !lost)
        sim_violated("a pin is kept", "%s is pinned to version %lld, and goes from version %lld to version %lld",
                     model->name, (long long)pin, (long long)model->serving, (long long)serving);
    model->pinned = pinned;
    model->pin = pin;
}

static void note_bad(struct sim_model *model)
{
    struct el_worker *worker;
    el_list_each (worker, &sim->workers, in_sim) {
        if (worker->content != NULL && strcmp(worker->model, model->name) == 0)
            worker->content->known_bad = el_journal_find_bad(sim->journal, model->name, worker->content->digest) !=
                                         NULL;
    }
}

void sim_rules_turn(void)
{
    check_loads();
    check_memory();
    sim_verdicts_turn();
    const struct el_view *view = el_view_get(sim->swap);
    for (uint32_t i = 0; i < sim->model_count; i++) {
        struct sim_model *model = &sim->models[i];
        const struct el_model_view *seen = el_view_model(view, model->name, strlen(model->name));
        const struct el_model *real = el_model_find(sim->swap, model->name);
        note_bad(model);
        if (seen == NULL || real == NULL) {
            model->served = model->gave_up = model->resumes = false;
            model->serving = -1;
            continue;
        }
        if (real->hold)
            sim_excuse(model->name);
        check_answers(model, real, seen);
        check_start(model, real, seen->serving);
        check_pin(model, real, seen->serving);
        model->serving = seen->serving;
    }
    el_view_put(sim->swap, view);
}

/* By an operator's word it goes once another version answers. */
static bool is_about_to_go(const struct el_worker *worker)
{
    const struct el_model *model = el_model_find(sim->swap, worker->model);
    const struct el_wish *wish = model != NULL ? el_wish_find(model, worker->version) : NULL;
    return wish != NULL && wish->kind == EL_WISH_QUARANTINE;
}

void sim_rules_call(const struct el_worker *worker, const struct el_completions *completions)
{
    const bool bad = worker->content->known_bad || worker->content->condemned;
    if (completions->thread == SIM_CLIENT && bad && !sim->stopping && !is_about_to_go(worker))
        sim_violated("no quarantined content answers",
                     "a client of %s is led to version %lld, process %d, whose content %u is quarantined",
                     worker->model, (long long)worker->version, (int)worker->pid, worker->content->id);
}

/* ---- in the calm ---- */

static bool has_wish(const struct el_model *model)
{
    return model->wishes != NULL;
}

static bool lacks(const struct sim_model *model, char *text, size_t size)
{
    struct el_model *real = el_model_find(sim->swap, model->name);
    if (real == NULL) {
        snprintf(text, size, "%s is not there", model->name);
        return true;
    }
    const struct el_version *serving = el_model_serving(real);
    const long long number = serving != NULL ? (long long)serving->number : -1;
    const int64_t newest = model->dir.last;
    int64_t pin;
    if (model->policy == EL_POLICY_SPECIFIC)
        return false; /* its versions may all be bad */
    if (serving == NULL) {
        snprintf(text, size, "%s: nobody answers", model->name);
        return true;
    }
    const struct sim_content *content = serving->hosted != NULL ? serving->hosted->worker->content
                                                                : sim_content_find(serving->digest);
    if (content != NULL && content->trait == SIM_OTHER_INPUTS)
        return false; /* what came first is what others are held against, also when its worker and its files are gone */
    if (serving->hosted == NULL) {
        snprintf(text, size, "%s: version %lld has no worker", model->name, number);
        return true;
    }
    if (sim->budget_bytes > 0)
        return false; /* what should come may wait for memory for ever */
    if (!model->grouped && el_remember_pin(real, &pin) && el_model_aspires(real, pin)) {
        snprintf(text, size, "%s: pinned to version %lld, goes to %lld", model->name, (long long)pin, number);
        return number != pin;
    }
    if (has_wish(real) && el_wish_find(real, newest) != NULL)
        return false;
    if (model->grouped)
        return false; /* a refusal of another one holds the group */
    snprintf(text, size, "%s: version %lld is good and new, and requests go to %lld", model->name, (long long)newest,
             number);
    return number != newest;
}

const char *sim_rules_lack(void)
{
    static char text[256];
    for (uint32_t i = 0; i < sim->model_count; i++)
        if (lacks(&sim->models[i], text, sizeof text))
            return text;
    return NULL;
}

void sim_rules_end(void)
{
    check_loads();
}
