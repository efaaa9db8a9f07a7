/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/script.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWERS_AFTER 100                 /* answers that must follow each verdict before the show goes on */
#define LAST_ANSWERS_NS (2 * EL_NS_PER_S) /* ended early: so long what is under way is waited for */
#define SERVER_END_NS (5 * EL_NS_PER_S)   /* and so long the server */
#define SETTLE_NS (500 * EL_NS_PER_MS)    /* so long after the verdict a request still counts as one during the swap */

struct el_status *script_prepare(struct script *script)
{
    script->next_version = 2; /* 1 is there from the start */
    script->figures.accuracy = -1;
    script->story.begin_ns = el_now_ns();
    return scenes_make(script->places->root, &script->scenes, &script->scene_count);
}

const struct scene *script_scene(const struct script *script)
{
    return &script->scenes[script->at < script->scene_count ? script->at : script->scene_count - 1];
}

static void fail(struct script *script, const char *text)
{
    if (script->fatal[0] == '\0')
        snprintf(script->fatal, sizeof script->fatal, "%s", text);
    script->over = true;
    story_tell(&script->story, MOOD_BAD, "%s", text);
}

/* ---- one scene ---- */

static void settle(struct script *script, struct scene *scene, enum verdict verdict)
{
    const uint64_t now_ns = el_now_ns();
    scene->verdict = verdict;
    scene->took_ms = script->offered_ns == 0 ? 0 : (double)(now_ns - script->offered_ns) / 1e6;
    script->verdict_ns = now_ns;
    script->answers_at_verdict = script->figures.answers;
    static const enum mood moods[] = {
        [VERDICT_TAKEN] = MOOD_GOOD, [VERDICT_REFUSED] = MOOD_REFUSED, [VERDICT_IGNORED] = MOOD_REFUSED,
        [VERDICT_DONE] = MOOD_GOOD,  [VERDICT_UNEXPECTED] = MOOD_BAD,
    };
    static const char *const words[] = { [VERDICT_TAKEN] = "serves", [VERDICT_REFUSED] = "refused" };
    if (verdict == VERDICT_TAKEN || verdict == VERDICT_REFUSED)
        story_tell(&script->story, moods[verdict], "version %lld %s: %s", (long long)scene->version, words[verdict],
                   scene->outcome);
    else if (scene->outcome[0] != '\0')
        story_tell(&script->story, moods[verdict], "%s", scene->outcome);
}

static void unexpected(struct script *script, struct scene *scene, const char *what)
{
    if (scene->outcome[0] != '\0' && scene->verdict == VERDICT_RUNNING) {
        char so_far[sizeof scene->outcome];
        memcpy(so_far, scene->outcome, sizeof so_far);
        snprintf(scene->outcome, sizeof scene->outcome, "%s: %.900s", what, so_far);
    } else {
        snprintf(scene->outcome, sizeof scene->outcome, "%s", what);
    }
    settle(script, scene, VERDICT_UNEXPECTED);
    if (scene->kind->vital)
        fail(script, scene->outcome);
}

void script_pause(struct script *script)
{
    if (script->traffic != NULL)
        traffic_pause(script->traffic);
    script->paused_ns = el_now_ns();
}

void script_resume(struct script *script)
{
    const uint64_t paused_ns = el_now_ns() - script->paused_ns;
    uint64_t *const times_ns[] = { &script->began_ns, &script->offered_ns, &script->verdict_ns, &script->story.begin_ns,
                                   &script->traffic_began_ns };
    for (size_t i = 0; i < sizeof times_ns / sizeof *times_ns; i++)
        if (*times_ns[i] != 0)
            *times_ns[i] += paused_ns;
    if (script->traffic != NULL)
        traffic_resume(script->traffic);
}

static void begin(struct script *script, struct scene *scene)
{
    script->began_ns = el_now_ns();
    script->offered_ns = 0;
    scene->verdict = VERDICT_RUNNING;
    if (script->traffic != NULL)
        traffic_phase(script->traffic, scene->kind->phase);
    struct el_status *status = scene->kind->begin(script, scene);
    if (status != NULL)
        unexpected(script, scene, el_status_text(status));
    el_status_free(status);
}

static void look(struct script *script, struct scene *scene, uint64_t now_ns)
{
    const enum verdict verdict = scene->kind->look(script, scene);
    if (verdict == scene->wanted) {
        settle(script, scene, verdict);
    } else if (verdict != VERDICT_RUNNING) {
        unexpected(script, scene, "not as it should be");
    } else if (now_ns - script->began_ns > scene->kind->limit_ms * EL_NS_PER_MS) {
        char text[64];
        snprintf(text, sizeof text, "nothing of the kind within %u s", scene->kind->limit_ms / 1000);
        unexpected(script, scene, text);
    }
}

static void end(struct script *script, struct scene *scene)
{
    if (scene->kind->end != NULL)
        scene->kind->end(script, scene);
    child_kill(&script->player);
    script->at++;
    script->over = script->over || script->at == script->scene_count;
}

/* After the verdict: shown long enough, and answers have gone on? */
static void linger(struct script *script, struct scene *scene, uint64_t now_ns)
{
    if (script->traffic != NULL && now_ns - script->verdict_ns > SETTLE_NS)
        traffic_phase(script->traffic, PHASE_QUIET);
    const uint32_t show_ms = scene->show_ms != 0 ? scene->show_ms : scene->kind->show_ms;
    const bool asking = script->traffic != NULL && script->traffic_ended_ns == 0;
    const bool flows = !asking || script->figures.answers - script->answers_at_verdict >= ANSWERS_AFTER;
    const bool shown = script->quick || now_ns - script->began_ns >= show_ms * EL_NS_PER_MS;
    if (flows && shown)
        end(script, scene);
    else if (!flows && now_ns - script->verdict_ns > scene->kind->limit_ms * EL_NS_PER_MS)
        fail(script, "the answers have stopped");
}

/* ---- the show ---- */

static void watch_server(struct script *script)
{
    if (!script->server_started || script->server_may_end || child_runs(&script->server.child))
        return;
    char how[80], text[160];
    child_end_text(&script->server.child, how, sizeof how);
    snprintf(text, sizeof text, "everlitd %s", how);
    fail(script, text);
}

void script_step(struct script *script)
{
    if (script->over)
        return;
    if (script->traffic != NULL)
        traffic_figures(script->traffic, &script->figures);
    watch_server(script);
    if (script->over)
        return;
    struct scene *scene = &script->scenes[script->at];
    if (scene->verdict == VERDICT_OPEN)
        begin(script, scene);
    else if (scene->verdict == VERDICT_RUNNING)
        look(script, scene, el_now_ns());
    else
        linger(script, scene, el_now_ns());
}

void script_abort(struct script *script, const char *why)
{
    if (!script->over)
        fail(script, why);
}

void script_close(struct script *script)
{
    child_kill(&script->player);
    if (script->traffic != NULL) {
        traffic_stop(script->traffic);
        const uint64_t limit_ns = el_now_ns() + LAST_ANSWERS_NS;
        while (!traffic_is_over(script->traffic) && child_runs(&script->server.child) && el_now_ns() < limit_ns)
            uv_sleep(5);
    }
    server_terminate(&script->server);
    const uint64_t end_ns = el_now_ns() + SERVER_END_NS;
    while (child_runs(&script->server.child) && el_now_ns() < end_ns)
        uv_sleep(5);
    child_kill(&script->server.child);
    if (script->traffic != NULL)
        traffic_figures(script->traffic, &script->figures);
    traffic_free(script->traffic);
    script->traffic = NULL;
    admin_stop(&script->admin);
}

bool script_is_good(const struct script *script)
{
    const struct traffic_figures *figures = &script->figures;
    bool good = script->fatal[0] == '\0' && figures->failed == 0 && figures->wrong == 0 && figures->broken == 0 &&
                figures->answers > 0;
    for (size_t i = 0; i < script->scene_count; i++)
        good = good && script->scenes[i].verdict == script->scenes[i].wanted;
    return good;
}
