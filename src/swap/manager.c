/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/manager.h"

#include "base/clock.h"
#include "swap/digest.h"
#include "swap/group.h"
#include "swap/guard.h"
#include "swap/loader.h"
#include "swap/memory.h"
#include "swap/rcu.h"
#include "swap/remember.h"
#include "swap/respawn.h"
#include "swap/rollout.h"
#include "swap/together.h"
#include "swap/version.h"
#include "swap/view.h"
#include "swap/wishes.h"

#include <stdlib.h>
#include <string.h>

#define BURIED_KEPT 32 /* models that were removed, of which the status still tells */
#define ROUNDS 16      /* looks per turn of the loop; what is left then waits for the next turn */

/* ---- admission ---- */

static bool is_resource(const struct el_model *model)
{
    return strcmp(model->settings.update.availability, "resource") == 0;
}

/* Workers of the model that hold memory, beside those that serve and are wanted. */
static bool has_old_workers(const struct el_model *model)
{
    const struct el_hosted *hosted;
    el_list_each (hosted, &model->swap->hosted, in_swap) {
        if (hosted->model != model)
            continue;
        const struct el_version *version;
        bool wanted = false;
        el_list_each (version, &model->versions, in_model) {
            if (version->hosted == hosted && version->state == EL_LIFE_SERVING)
                wanted = true;
        }
        if (!wanted)
            return true;
    }
    return false;
}

bool el_model_keeps_old(const struct el_model *model)
{
    const struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (version->state == EL_LIFE_SERVING && !el_model_aspires(model, version->number) &&
            el_model_seen(model, version->number) == NULL)
            return true;
    }
    return false;
}

/*
 * Availability "resource": the old versions leave first, while requests wait. One whose directory is gone could not be
 * loaded again if the new one is bad: beside such a one the new version is loaded as with "availability".
 */
static bool make_room(struct el_model *model)
{
    if (!is_resource(model) || el_model_keeps_old(model))
        return true;
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (el_model_aspires(model, version->number))
            continue;
        if (version->state == EL_LIFE_SERVING && el_version_move(version, EL_LIFE_UNROUTE, NULL, "making_room",
                                                                 "for another version (availability "
                                                                 "\"resource\"); requests wait"))
            model->hold = true;
        if (version->state == EL_LIFE_WARM)
            el_version_retire(version, "it makes room for another version");
    }
    return !has_old_workers(model);
}

bool el_swap_starts(const struct el_swap *swap)
{
    return swap->settled != NULL && !swap->settled_told;
}

/* The digests of all that may be loaded, whoever's turn it is: they are read side by side, and before anything is loaded. */
static void judge_content(struct el_model *model)
{
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (version->state != EL_LIFE_VERIFYING || !version->whole || !el_model_aspires(model, version->number) ||
            !el_digest_known(version))
            continue;
        struct el_status *verdict = el_remember_verdict(version);
        if (verdict != NULL)
            el_version_quarantine(version, verdict);
    }
}

/*
 * While nobody answers: the version that was good when the server ended last comes before newer ones, which may be what ended it.
 * NULL: any may come.
 */
static const struct el_version *who_comes_first(const struct el_model *model)
{
    int64_t number;
    if (!model->from_start || model->has_served || !el_remember_last_good(model, &number) ||
        !el_model_aspires(model, number))
        return NULL;
    const struct el_version *version = el_version_find(model, number);
    const bool other_content = version != NULL && version->digest[0] != '\0' &&
                               version->digest_of == version->fingerprint && !el_remember_is_last_good(version);
    return version != NULL && version->state == EL_LIFE_VERIFYING && version->whole && !version->short_of_memory &&
                   !other_content
               ? version
               : NULL;
}

static void admit(struct el_swap *swap, bool those_that_answer)
{
    const uint32_t most = el_swap_starts(swap) ? swap->options.max_starting_loads : swap->options.max_concurrent_loads;
    struct el_model *model;
    if (swap->loads >= most)
        return;
    el_list_each (model, &swap->models, in_swap) {
        if (model->removed || (el_model_serving(model) != NULL) != those_that_answer)
            continue;
        const struct el_version *first = who_comes_first(model);
        struct el_version *version;
        el_list_each (version, &model->versions, in_model) {
            if (swap->loads >= most)
                return;
            if (first != NULL && version != first)
                continue;
            if (version->state != EL_LIFE_VERIFYING || !version->whole || !el_model_aspires(model, version->number) ||
                !el_digest_known(version))
                continue;
            if (!el_memory_admits(version, el_now_ns()) || !make_room(model))
                break;
            if (el_version_move(version, EL_LIFE_ADMIT, NULL, "loading", "%s", version->path))
                el_load_begin(version);
        }
    }
}

/* ---- readers and what they may still see ---- */

/* One grace period for all that is deferred, first come first run. */
static void run_deferred(struct el_swap *swap)
{
    struct el_deferred *list = NULL;
    while (swap->deferred != NULL) {
        struct el_deferred *first = swap->deferred;
        swap->deferred = first->next;
        first->next = list;
        list = first;
    }
    el_rcu_wait(&swap->rcu_mark);
    while (list != NULL) {
        struct el_deferred *first = list;
        list = first->next;
        first->run(first->argument);
    }
    el_servable_sweep(&swap->lingering);
}

void el_swap_defer(struct el_swap *swap, struct el_deferred *deferred, void (*run)(void *argument), void *argument)
{
    *deferred = (struct el_deferred){ .next = swap->deferred, .run = run, .argument = argument };
    swap->deferred = deferred;
    el_swap_touch(swap);
}

/* ---- the turn ---- */

static bool nothing_left(const struct el_model *model)
{
    const struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (!el_version_is_gone(version))
            return false;
    }
    return true;
}

/* What becomes of a removed model that has nothing left: true if it stays, for what the status says of its versions. */
static bool bury(struct el_model *model)
{
    struct el_swap *swap = model->swap;
    if (swap->stopping || el_list_empty(&model->versions)) {
        swap->buried -= model->buried;
        return false;
    }
    if (!model->buried) {
        model->buried = true;
        swap->buried++;
    } else if (swap->buried > BURIED_KEPT) { /* those that were removed first come first */
        swap->buried--;
        return false;
    }
    return true;
}

static void free_model(void *argument)
{
    el_model_free(argument);
}

static void look_at(struct el_model *model, uint64_t now_ns)
{
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        el_guard_tick(version, now_ns); /* first: what it takes back is not aspired any more */
        el_rollout_tick(version, now_ns);
    }
    el_model_aspire(model, now_ns);
    el_list_each (version, &model->versions, in_model) {
        el_load_tick(version, now_ns);
        el_respawn_tick(version, now_ns);
    }
    el_model_route(model, now_ns);
    el_wishes_look(model);
    judge_content(model);
}

static void free_removed(struct el_swap *swap)
{
    struct el_model *model, *next;
    el_list_each_safe(model, next, &swap->models, in_swap)
    {
        if (!model->removed || !nothing_left(model) || bury(model))
            continue;
        el_list_remove(&model->in_swap);
        swap->unpublished = true;
        el_swap_defer(swap, &model->deferred, free_model, model);
    }
}

/* Those that were touched again meanwhile, by themselves or by another, are looked at in the next look. */
static void end_looks(struct el_swap *swap, struct el_list *looks)
{
    struct el_model *model, *next;
    el_list_each_safe(model, next, looks, in_looks)
    {
        el_list_remove(&model->in_looks);
        model->linked = model->touched;
        if (model->touched)
            el_list_add_before(&model->in_looks, &swap->looks);
    }
}

/* What all of them led elsewhere becomes visible in one publication. */
static void look(struct el_swap *swap)
{
    const uint64_t now_ns = el_now_ns();
    struct el_list looks;
    struct el_model *model;
    bool some_removed = false;
    el_together_look(swap, now_ns);
    el_groups_look(swap, now_ns);
    el_list_move_all(&swap->looks, &looks);
    el_list_each (model, &looks, in_looks) {
        model->touched = false;
        look_at(model, now_ns);
        some_removed = some_removed || model->removed;
    }
    el_groups_settle(swap);
    if (swap->routed && el_view_publish(swap)) {
        el_list_each (model, &looks, in_looks) {
            el_model_tell_routes(model);
        }
        el_groups_tell(swap);
    }
    swap->routed = false;
    admit(swap, false);
    admit(swap, true);
    if (some_removed)
        free_removed(swap);
    end_looks(swap, &looks);
}

static void tell_settled(struct el_swap *swap)
{
    if (swap->settled_told || !swap->started || swap->settled == NULL || !el_swap_settled(swap))
        return;
    swap->settled_told = true;
    swap->settled(swap->settled_argument);
}

void el_manager_run(struct el_swap *swap)
{
    for (int round = 0; round < ROUNDS && (swap->touched || swap->unpublished || swap->deferred != NULL); round++) {
        swap->touched = false;
        look(swap);
        if (swap->touched)
            continue; /* one publication for all that happens at once */
        if (swap->unpublished)
            el_view_publish(swap);
        if (!swap->unpublished && swap->deferred != NULL)
            run_deferred(swap);
    }
    if (swap->touched || swap->deferred != NULL)
        el_swap_alarm(swap, el_now_ns());
    if (swap->unpublished)
        el_swap_alarm(swap, el_after_ns(el_now_ns(), 100 * EL_NS_PER_MS));
    tell_settled(swap);
}
