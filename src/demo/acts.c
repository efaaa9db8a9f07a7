/* SPDX-License-Identifier: Apache-2.0 */
/* How each kind of scene begins, and how one sees that it is over. */
#include "base/clock.h"
#include "demo/script.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOW_COPY_SECONDS "5"
#define QUIET_ANSWERS 4000
#define IGNORED_NS (1500 * EL_NS_PER_MS)
/* Steady, and far below what the server can do, so that what is seen is its behaviour and not the machine's limit. */
#define GRPC_CONNECTIONS 6
#define REST_CONNECTIONS 4
#define GRPC_RATE 1200
#define REST_RATE 400

#define TELL(scene, ...) snprintf((scene)->outcome, sizeof(scene)->outcome, __VA_ARGS__)

static bool is_quarantined(const struct admin_version *version)
{
    return version != NULL && strcmp(version->state, "quarantined") == 0;
}

/* ---- start, learn ---- */

static struct el_status *put(const struct script *script, enum good good, const char *base, int64_t version)
{
    char from[PATH_MAX], aside[PATH_MAX], to[PATH_MAX];
    EL_TRY(files_path(from, "%s/%s", script->places->root, good_folder(good)));
    EL_TRY(files_path(aside, "%s/incoming/%lld", script->places->folder, (long long)version));
    EL_TRY(files_path(to, "%s/%s/%lld", script->places->folder, base, (long long)version));
    EL_TRY(files_copy_tree(from, aside));
    return rename(aside, to) == 0 ? NULL : el_status_errno(errno, "rename %s to %s", aside, to);
}

static void on_view(void *argument)
{
    script_step(argument);
}

static void on_event(void *argument, const struct admin_event *event)
{
    struct script *script = argument;
    const bool hurt = strcmp(event->event, "worker_died") == 0 || strcmp(event->event, "respawn_failed") == 0 ||
                      strcmp(event->event, "illegal_move") == 0;
    if (hurt && strcmp(event->model, SERVER_MODEL) == 0)
        story_tell(&script->story, MOOD_HURT, "version %lld: %s", (long long)event->version, event->text);
}

static struct el_status *start_begin(struct script *script, struct scene *scene)
{
    (void)scene;
    for (int64_t i = 0; i < GOODS; i++)
        EL_TRY(put(script, (enum good)i, "reference", i + 1));
    EL_TRY(put(script, GOOD_ONE, "models/digits", 1));
    EL_TRY(server_start(&script->server, script->places, script->engine));
    script->server_started = true;
    admin_start(&script->admin, script->loop, script->server.socket, on_view, on_event, script);
    return NULL;
}

/* Which engine answers, and why that one; without the temporary folder's name, which says nothing. */
static void tell_engine(struct script *script, const struct admin_version *version)
{
    char reason[sizeof version->engine_reason];
    snprintf(reason, sizeof reason, "%s", version->engine_reason);
    const size_t size = strlen(script->places->folder);
    for (char *at; (at = strstr(reason, script->places->folder)) != NULL;)
        memmove(at, at + size + (at[size] == '/'), strlen(at + size + (at[size] == '/')) + 1);
    snprintf(script->engine_text, sizeof script->engine_text, "%s%s%s", version->engine, *reason != '\0' ? ": " : "",
             reason);
}

static enum verdict start_look(struct script *script, struct scene *scene)
{
    const struct admin_view *view = &script->admin.view;
    const struct admin_version *first = admin_find(view, 1);
    if (is_quarantined(first)) {
        TELL(scene, "version 1 was refused: %s", first->reason);
        return VERDICT_UNEXPECTED;
    }
    if (first == NULL || !view->ready || view->references < GOODS || view->serving != 1)
        return VERDICT_RUNNING;
    tell_engine(script, first);
    TELL(scene, "everlitd listens: gRPC on port %u, REST on port %u", script->server.grpc_port,
         script->server.rest_port);
    return VERDICT_DONE;
}

static struct el_status *learn_begin(struct script *script, struct scene *scene)
{
    EL_TRY(reference_ask(script->server.grpc_port, script->digits, &script->reference));
    TELL(scene, "of %d digits that no model saw in training, version 1 knows %.1f %%, version 2 %.1f %%", DIGITS,
         100 * script->reference.accuracy[GOOD_ONE], 100 * script->reference.accuracy[GOOD_TWO]);
    return server_drop_reference(&script->server);
}

static enum verdict learn_look(struct script *script, struct scene *scene)
{
    (void)scene;
    return script->admin.view.has_reference ? VERDICT_RUNNING : VERDICT_DONE;
}

/* ---- quiet ---- */

static struct el_status *quiet_begin(struct script *script, struct scene *scene)
{
    (void)scene;
    const struct traffic_options options = {
        .grpc_port = script->server.grpc_port,
        .rest_port = script->server.rest_port,
        .grpc_connections = GRPC_CONNECTIONS,
        .rest_connections = REST_CONNECTIONS,
        .grpc_rate = GRPC_RATE,
        .rest_rate = REST_RATE,
        .digits = script->digits,
        .reference = &script->reference,
    };
    EL_TRY(traffic_start(&options, &script->traffic));
    script->traffic_began_ns = el_now_ns();
    story_tell(&script->story, MOOD_NOTE, "engine %s serves with %s", script->engine, script->engine_text);
    story_tell(&script->story, MOOD_NOTE,
               "limits of a version: %d s and %d MiB to load, 10 times the serving one's latency",
               SERVER_LOAD_TIMEOUT_MS / 1000, SERVER_MEMORY_LIMIT_MIB);
    story_tell(&script->story, MOOD_NOTE, "%d gRPC and %d REST connections ask %d times a second", GRPC_CONNECTIONS,
               REST_CONNECTIONS, GRPC_RATE + REST_RATE);
    return NULL;
}

static enum verdict quiet_look(struct script *script, struct scene *scene)
{
    (void)scene;
    return script->figures.answers >= QUIET_ANSWERS ? VERDICT_DONE : VERDICT_RUNNING;
}

/* ---- swap ---- */

static struct el_status *swap_begin(struct script *script, struct scene *scene)
{
    scene->version = script->next_version++;
    traffic_allow(script->traffic, scene->version, scene->good);
    story_tell(&script->story, MOOD_OFFER, "version %lld offered: a good one, %.1f %% of the digits",
               (long long)scene->version, 100 * script->reference.accuracy[scene->good]);
    EL_TRY(put(script, scene->good, "models/digits", scene->version));
    script->offered_ns = el_now_ns();
    return NULL;
}

/* Tells how a version came to serve. */
static enum verdict taken(struct scene *scene, const struct admin_version *version)
{
    TELL(scene, "%.0f ms after its last file, on %s", version->switch_ms, version->engine);
    return VERDICT_TAKEN;
}

static enum verdict refused(struct scene *scene, const struct admin_version *version)
{
    TELL(scene, "%s", version->reason);
    return VERDICT_REFUSED;
}

static enum verdict swap_look(struct script *script, struct scene *scene)
{
    const struct admin_view *view = &script->admin.view;
    const struct admin_version *version = admin_find(view, scene->version);
    if (version != NULL && view->serving == scene->version)
        return taken(scene, version);
    return is_quarantined(version) ? refused(scene, version) : VERDICT_RUNNING;
}

/* ---- drop: an entry of models/broken ---- */

static struct el_status *drop_begin(struct script *script, struct scene *scene)
{
    char player[PATH_MAX], base[PATH_MAX], log[PATH_MAX], number[24];
    const bool ignored = scene->wanted == VERDICT_IGNORED;
    scene->version = ignored ? 0 : script->next_version++;
    if (scene->wanted == VERDICT_TAKEN)
        traffic_allow(script->traffic, scene->version, scene->good);
    snprintf(number, sizeof number, "%lld", (long long)(ignored ? script->next_version : scene->version));
    EL_TRY(files_path(player, "%s/models/broken/play.sh", script->places->root));
    EL_TRY(files_path(base, "%s/models/digits", script->places->folder));
    EL_TRY(files_path(log, "%s/play.log", script->places->folder));
    EL_TRY(files_path(script->dropped, "%s/%s", base, ignored ? "v2-final" : number));
    if (ignored)
        story_tell(&script->story, MOOD_OFFER, "%s dropped in", scene->name);
    else
        story_tell(&script->story, MOOD_OFFER, "version %s offered: %s", number, scene->name);
    const char *const arguments[] = { player, scene->name, base, number, SLOW_COPY_SECONDS, NULL };
    return child_start(&script->player, arguments, log);
}

/* That nothing happens can only be seen by looking for a while: the server looks at the folder once a second at least. */
static enum verdict ignored_look(struct script *script, struct scene *scene)
{
    const struct admin_view *view = &script->admin.view;
    if (el_now_ns() - script->offered_ns < IGNORED_NS)
        return VERDICT_RUNNING;
    TELL(scene, "%s ignored: its name is not a number, so it is no version", scene->name);
    return admin_find(view, script->next_version) == NULL ? VERDICT_IGNORED : VERDICT_UNEXPECTED;
}

static enum verdict drop_look(struct script *script, struct scene *scene)
{
    const struct admin_view *view = &script->admin.view;
    const struct admin_version *version = scene->version == 0 ? NULL : admin_find(view, scene->version);
    const bool serves = scene->version != 0 && view->serving == scene->version;
    if (child_runs(&script->player)) {
        if (version != NULL)
            TELL(scene, "%s", version->reason);
        return serves ? VERDICT_UNEXPECTED : VERDICT_RUNNING; /* not even whole yet */
    }
    if (script->offered_ns == 0) {
        script->offered_ns = el_now_ns();
        if (!WIFEXITED(script->player.wait_status) || WEXITSTATUS(script->player.wait_status) != 0) {
            TELL(scene, "models/broken/play.sh %s could not play it", scene->name);
            return VERDICT_UNEXPECTED;
        }
    }
    if (scene->wanted == VERDICT_IGNORED)
        return ignored_look(script, scene);
    if (serves && version != NULL)
        return taken(scene, version);
    return is_quarantined(version) && version->reason[0] != '\0' ? refused(scene, version) : VERDICT_RUNNING;
}

/* A version that was taken stays; what was refused goes at once, as a whole. */
static void drop_end(struct script *script, struct scene *scene)
{
    if (scene->verdict == VERDICT_TAKEN)
        return;
    char aside[PATH_MAX];
    struct el_status *status = files_path(aside, "%s/incoming/refused", script->places->folder);
    if (status == NULL && rename(script->dropped, aside) != 0)
        status = el_status_errno(errno, "rename %s", script->dropped);
    if (status == NULL)
        status = files_remove_tree(aside);
    if (status != NULL)
        story_tell(&script->story, MOOD_BAD, "%s", el_status_text(status));
    el_status_free(status);
}

/* ---- kill ---- */

static struct el_status *kill_begin(struct script *script, struct scene *scene)
{
    (void)scene;
    const struct admin_version *version = admin_find(&script->admin.view, script->admin.view.serving);
    if (version == NULL || version->pid <= 1)
        return el_status_new(EL_FAILED_PRECONDITION, "the status shows no process of a serving version");
    script->killed_pid = version->pid;
    script->replayed_before = version->replayed;
    script->offered_ns = el_now_ns();
    return kill(version->pid, SIGKILL) == 0 ? NULL : el_status_errno(errno, "SIGKILL to process %d", version->pid);
}

static enum verdict kill_look(struct script *script, struct scene *scene)
{
    const struct admin_version *version = admin_find(&script->admin.view, script->admin.view.serving);
    if (version == NULL || version->worker_deaths == 0 || version->pid <= 1 || version->pid == script->killed_pid)
        return VERDICT_RUNNING;
    const unsigned long long replayed = version->replayed - script->replayed_before;
    TELL(scene, "process %d took the place of %d after %.0f ms; %llu request%s under way asked again", version->pid,
         script->killed_pid, (double)(el_now_ns() - script->offered_ns) / 1e6, replayed, replayed == 1 ? "" : "s");
    return VERDICT_DONE;
}

/* ---- stop ---- */

static struct el_status *stop_begin(struct script *script, struct scene *scene)
{
    (void)scene;
    traffic_stop(script->traffic);
    return NULL;
}

static enum verdict stop_look(struct script *script, struct scene *scene)
{
    if (!traffic_is_over(script->traffic))
        return VERDICT_RUNNING;
    if (!script->server_may_end) {
        script->traffic_ended_ns = el_now_ns();
        script->server_may_end = true;
        script->offered_ns = el_now_ns();
        server_terminate(&script->server);
    }
    if (child_runs(&script->server.child))
        return VERDICT_RUNNING;
    char how[80];
    child_end_text(&script->server.child, how, sizeof how);
    TELL(scene, "everlitd %s, %.0f ms after SIGTERM", how, (double)(el_now_ns() - script->offered_ns) / 1e6);
    const int status = script->server.child.wait_status;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? VERDICT_DONE : VERDICT_UNEXPECTED;
}

/* clang-format off */
const struct scene_kind act_start = { .limit_ms = 30000, .vital = true, .begin = start_begin, .look = start_look };
const struct scene_kind act_learn = { .limit_ms = 15000, .vital = true, .begin = learn_begin, .look = learn_look };
const struct scene_kind act_quiet = { .phase = PHASE_QUIET, .limit_ms = 15000, .show_ms = 3500, .vital = true, .begin = quiet_begin, .look = quiet_look };
const struct scene_kind act_swap = { .phase = PHASE_SWAP, .limit_ms = 20000, .show_ms = 1300, .begin = swap_begin, .look = swap_look };
const struct scene_kind act_drop = { .phase = PHASE_REFUSE, .limit_ms = 30000, .show_ms = 1400, .begin = drop_begin, .look = drop_look, .end = drop_end };
const struct scene_kind act_kill = { .phase = PHASE_KILL, .limit_ms = 15000, .show_ms = 1800, .begin = kill_begin, .look = kill_look };
const struct scene_kind act_stop = { .limit_ms = 20000, .show_ms = 0, .begin = stop_begin, .look = stop_look };
/* clang-format on */
