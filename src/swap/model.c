/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "swap/group.h"
#include "swap/guard.h"
#include "swap/hosted.h"
#include "swap/labels.h"
#include "swap/loader.h"
#include "swap/local_copy.h"
#include "swap/manager.h"
#include "swap/policy.h"
#include "swap/remember.h"
#include "swap/respawn.h"
#include "swap/rollout.h"
#include "swap/settings.h"
#include "swap/together.h"
#include "swap/version.h"
#include "swap/view.h"
#include "swap/wishes.h"

#include <stdlib.h>
#include <string.h>

struct el_model *el_model_in(const struct el_list *models, const char *name)
{
    struct el_model *model;
    el_list_each (model, models, in_swap) {
        if (!model->removed && strcmp(model->settings.name, name) == 0)
            return model;
    }
    return NULL;
}

struct el_model *el_model_find(struct el_swap *swap, const char *name)
{
    return el_model_in(&swap->models, name);
}

struct el_status *el_model_new(struct el_swap *swap, struct el_model_config *settings, struct el_model **made)
{
    struct el_model *model = calloc(1, sizeof *model);
    struct el_lobby *lobby = el_lobby_new();
    if (model == NULL || lobby == NULL) {
        free(model);
        if (lobby != NULL)
            el_lobby_close(lobby);
        return el_status_no_memory();
    }
    model->swap = swap;
    model->settings = *settings;
    *settings = (struct el_model_config){ 0 };
    model->lobby = lobby;
    model->told_serving = -1;
    model->alarm_ns = EL_NEVER_NS;
    model->from_start = !swap->started;
    el_list_init(&model->versions);
    el_model_changed(model);
    *made = model;
    return NULL;
}

static void on_source_closed(void *argument)
{
    struct el_swap *swap = argument;
    swap->open_sources--;
    el_swap_touch(swap);
}

/* Once: with a thousand models it would be said of hundreds. */
static void tell_unwatched(struct el_model *model)
{
    struct el_swap *swap = model->swap;
    if (swap->told_unwatched || swap->watcher == NULL || el_source_is_watched(model->source))
        return;
    swap->told_unwatched = true;
    el_tell(
        swap, EL_LOG_INFO, "source", model, NULL,
        "the kernel watches no more directories (fs.inotify.max_user_watches): those of this model and of others are only "
        "looked at every %lld ms",
        (long long)swap->options.poll_wait_ms);
}

static void on_source_change(void *argument)
{
    struct el_model *model = argument;
    tell_unwatched(model);
    el_model_touch(model);
}

struct el_status *el_model_open_source(struct el_model *model)
{
    const struct el_swap_options *options = &model->swap->options;
    const struct el_source_options source = {
        .uv_loop = options->uv_loop,
        .model = model->settings.name,
        .base_path = model->settings.base_path,
        .poll_wait_ms = options->poll_wait_ms,
        .quiet_ms = model->settings.update.quiet_ms,
        .incomplete_ms = options->incomplete_ms,
        .watcher = model->swap->watcher,
        .on_change = on_source_change,
        .argument = model,
    };
    EL_TRY(el_source_open(&source, &model->source));
    model->swap->open_sources++;
    el_local_copy_begin(model);
    return NULL;
}

void el_model_close_source(struct el_model *model)
{
    if (model->source != NULL)
        el_source_close(model->source, on_source_closed, model->swap);
    model->source = NULL;
}

void el_model_remove(struct el_model *model)
{
    model->removed = true;
    if (!model->swap->stopping)
        el_local_copy_drop(model, NULL);
    model->aspired_count = 0;
    el_model_close_source(model);
    el_view_forget_order(model->swap);
    el_model_touch(model);
    el_tell(model->swap, EL_LOG_INFO, "model_removed", model, NULL, "it is not in the config any more");
}

void el_model_free(struct el_model *model)
{
    struct el_version *version, *next;
    el_list_each_safe(version, next, &model->versions, in_model)
    {
        el_version_free(version);
    }
    struct el_hosted *hosted;
    el_list_each (hosted, &model->swap->hosted, in_swap) {
        if (hosted->model == model)
            hosted->model = NULL;
    }
    if (model->linked)
        el_list_remove(&model->in_looks);
    if (model->changed)
        el_list_remove(&model->in_changes);
    if (model->swap->unsettled == model)
        model->swap->unsettled = NULL;
    el_view_forget_model(model);
    el_settings_free(&model->settings);
    el_wishes_free(model);
    el_local_copy_free(model->copy);
    free(model->aspired);
    el_lobby_close(model->lobby);
    free(model);
}

bool el_model_has_warm(const struct el_model *model)
{
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (version->state == EL_LIFE_WARM && version->hosted != NULL)
            return true;
    }
    return false;
}

static bool all_aspired_serve(const struct el_model *model)
{
    for (size_t i = 0; i < model->aspired_count; i++) {
        const struct el_version *version = el_version_find(model, model->aspired[i]);
        if (version == NULL || version->state != EL_LIFE_SERVING)
            return false;
    }
    return model->aspired_count > 0;
}

/* Whatever is aspired and does not serve waits for memory: nobody else shall wait for that. */
static bool is_short_of_memory(const struct el_model *model)
{
    for (size_t i = 0; i < model->aspired_count; i++) {
        const struct el_version *version = el_version_find(model, model->aspired[i]);
        if (version == NULL || (version->state != EL_LIFE_SERVING && !version->short_of_memory))
            return false;
    }
    return model->aspired_count > 0;
}

bool el_model_settled(const struct el_model *model)
{
    if (is_short_of_memory(model))
        return true;
    if (el_local_copy_is_coming(model))
        return false;
    if (el_model_serving(model) != NULL)
        return all_aspired_serve(model) || model->resumed; /* what failed is not aspired any more */
    if (model->source == NULL || !el_source_scanned(model->source) || model->aspired_count > 0)
        return false;
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (!el_version_is_over(version))
            return false;
    }
    return true;
}

/* ---- the route ---- */

static void route_to(struct el_version *version, uint64_t now_ns)
{
    bool again = version->state == EL_LIFE_WARM;
    if (!el_version_move(version, EL_LIFE_ROUTE, NULL, NULL, " "))
        return;
    version->served_ns = now_ns;
    version->trial_deaths = 0;
    version->hangs = 0;
    version->newly_routed = true;
    version->unproven = !again;
    version->model->has_served = true;
    el_guard_watch(version);
    if (again)
        el_version_set_reason(version, "");
}

static void route_away(struct el_version *version, uint64_t now_ns)
{
    if (!el_version_move(version, EL_LIFE_UNROUTE, NULL, NULL, " "))
        return;
    version->warm_since_ns = now_ns;
    if (version->hosted == NULL)
        el_version_retire(version, "it is not wanted any more and has no worker");
}

void el_model_lead(struct el_version *from, struct el_version *to, uint64_t now_ns)
{
    if (from != NULL)
        route_away(from, now_ns);
    route_to(to, now_ns);
    to->model->swap->routed = true;
}

void el_model_tell_routes(struct el_model *model)
{
    const struct el_version *serving = el_model_serving(model);
    int64_t now = serving != NULL ? serving->number : -1, before = model->told_serving;
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (!version->newly_routed)
            continue;
        version->newly_routed = false;
        if (version == serving && version->guard == NULL && !version->on_trial)
            el_group_remember_good(version);
        if (version == serving && before >= 0 && before != now && !version->unproven)
            el_tell(model->swap, EL_LOG_INFO, "switched", model, version,
                    "from version %lld, back to what was kept warm", (long long)before);
        else if (version == serving && before >= 0 && before != now)
            el_tell(model->swap, EL_LOG_INFO, "switched", model, version,
                    "from version %lld; %.0f ms after its files were whole", (long long)before, version->switch_ms);
        else
            el_tell(model->swap, EL_LOG_INFO, "serving", model, version, "%.0f ms after its files were whole",
                    version->switch_ms);
        if (version->from_copy)
            el_local_copy_answers(version);
    }
    model->told_serving = now >= 0 ? now : before;
}

/* An aspired version that is no more, or not yet, will have a new life. */
static bool is_under_way(const struct el_model *model)
{
    for (size_t i = 0; i < model->aspired_count; i++) {
        const struct el_version *version = el_version_find(model, model->aspired[i]);
        if (version == NULL || version->state != EL_LIFE_QUARANTINED)
            return true;
    }
    return false;
}

/*
 * Nobody answers, but somebody did and somebody will: requests wait. While something has just changed, what is aspired may be
 * out of date; then those who wait go on waiting until the next look.
 */
static void set_hold(struct el_model *model)
{
    bool hold = model->has_served && el_model_serving(model) == NULL &&
                (is_under_way(model) || (model->hold && model->touched));
    if (hold != model->hold)
        el_model_changed(model);
    model->hold = hold;
}

static void retire_all(struct el_model *model, uint64_t now_ns)
{
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (version->state == EL_LIFE_SERVING)
            route_away(version, now_ns);
        if (version->state != EL_LIFE_END && version->state != EL_LIFE_DRAINING)
            el_version_retire(version, model->swap->stopping ? "the server stops" : "its model was removed");
    }
}

static void expire_warm(struct el_model *model, uint64_t now_ns)
{
    struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if (version->state != EL_LIFE_WARM)
            continue;
        const uint64_t until_ns = el_after_ns(version->warm_since_ns,
                                              model->settings.update.keep_warm_ms * EL_NS_PER_MS);
        if (el_guard_keeps(version) || el_group_keeps(version) || el_model_aspires(model, version->number))
            continue; /* the guard's end touches the model */
        if (now_ns >= until_ns)
            el_version_retire(version, "another version serves, and it was kept warm long enough");
        else
            el_model_alarm(model, until_ns);
    }
}

/* It goes as soon as another answers: it comes last. */
static bool is_condemned(const struct el_version *version)
{
    const struct el_wish *wish = el_wish_find(version->model, version->number);
    return wish != NULL && wish->kind == EL_WISH_QUARANTINE;
}

static bool another_serves(const struct el_version *version)
{
    const struct el_version *other;
    el_list_each (other, &version->model->versions, in_model) {
        if (other != version && other->state == EL_LIFE_SERVING && other->rollout == NULL && !is_condemned(other))
            return true;
    }
    return false;
}

/* The pinned version serves and this one above it, to which requests without a version would go: others may still be on their way. */
static bool hides_pinned(const struct el_version *version)
{
    int64_t number;
    if (!el_remember_pin(version->model, &number) || version->number <= number)
        return false;
    const struct el_version *pinned = el_version_find(version->model, number);
    return pinned != NULL && pinned->state == EL_LIFE_SERVING && el_model_aspires(version->model, number);
}

/* Only those who ask for it by its number are led to it: there is nothing that a group would have to do together. */
static bool is_beside(const struct el_version *version)
{
    const struct el_version *serving = el_model_serving(version->model);
    return serving != NULL && version->number < serving->number && el_model_aspires(version->model, serving->number);
}

/* False: it waits for the end of another version's rollout. */
static bool lead(struct el_version *version, uint64_t now_ns)
{
    const bool step_by_step = el_rollout_is_due(version);
    if (step_by_step && el_rollout_of(version->model) != NULL)
        return false;
    route_to(version, now_ns);
    if (step_by_step)
        el_rollout_begin(version, now_ns);
    return true;
}

void el_model_route(struct el_model *model, uint64_t now_ns)
{
    if (model->removed) {
        retire_all(model, now_ns);
        return;
    }
    const bool together = el_together_holds(model), held = together || el_group_holds(model);
    struct el_version *version, *warm = NULL;
    bool routed = el_rollout_look(model, now_ns);
    el_list_each (version, &model->versions, in_model) {
        bool can = version->state == EL_LIFE_READY || (version->state == EL_LIFE_WARM && version->hosted != NULL);
        const bool may = !held || (!together && is_beside(version));
        if (can && may && el_model_aspires(model, version->number)) {
            routed = lead(version, now_ns) || routed;
        } else if (can && version->state == EL_LIFE_WARM && (warm == NULL || is_condemned(warm))) {
            warm = version;
        }
    }
    if (el_model_serving(model) == NULL && warm != NULL) {
        route_to(warm, now_ns); /* better an old answer than none, whatever the policy says */
        routed = true;
    }
    const bool complete = !held && all_aspired_serve(model) && el_rollout_of(model) == NULL;
    el_list_each (version, &model->versions, in_model) {
        if (version->state == EL_LIFE_SERVING && version->rollout == NULL &&
            !el_model_aspires(model, version->number) &&
            (hides_pinned(version) || (is_condemned(version) && another_serves(version)) ||
             (complete && !el_labels_need(model, version->number)))) {
            route_away(version, now_ns);
            routed = true;
        }
    }
    struct el_version *serving = el_model_serving(model);
    if (serving != NULL && serving->newly_routed && (serving->unproven || serving->on_trial))
        el_guard_begin(serving, now_ns);
    set_hold(model);
    model->swap->routed = model->swap->routed || routed;
    expire_warm(model, now_ns);
}

void el_model_roll_back(struct el_model *model, struct el_version *version, struct el_status *why,
                        enum el_rollback_reason reason, bool of_content)
{
    el_rollout_taken_back(version, el_status_text(why));
    el_tell(model->swap, EL_LOG_ERROR, "rolled_back", model, version, "%s", el_status_text(why));
    model->counts.rolled_back[reason]++;
    el_version_move(version, EL_LIFE_UNROUTE, NULL, NULL, " ");
    if (of_content)
        el_remember_bad(version, why, "everlit");
    el_version_quarantine(version, why);
    model->hold = el_model_has_other(model,
                                     version->number); /* no view may show neither a version nor the hope of one */
    model->swap->routed = true; /* whoever answers instead is told, and is what the next one is held against */
    el_group_take_back(model, version, el_now_ns());
}
