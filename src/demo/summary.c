/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/summary.h"

#include "base/clock.h"
#include "demo/page.h"

#include <stdlib.h>
#include <string.h>

#define VALUES_AT 13

static void label(struct canvas *canvas, const char *text)
{
    canvas_put(canvas, STYLE_DIM, "  %s", text);
    canvas_to(canvas, VALUES_AT);
}

static void print_head(struct canvas *canvas, const struct script *script)
{
    const uint64_t end_ns = script->traffic_ended_ns != 0 ? script->traffic_ended_ns : el_now_ns();
    const double seconds = script->traffic_began_ns == 0 ? 0 : (double)(end_ns - script->traffic_began_ns) / 1e9;
    canvas_put(canvas, STYLE_BOLD, "Everlit demo");
    canvas_put(canvas, STYLE_PLAIN, ": the model digits, swapped while it answered for %.0f s", seconds);
    canvas_next(canvas);
    canvas_next(canvas);
}

static void print_figures(struct canvas *canvas, const struct script *script)
{
    const struct traffic_figures *figures = &script->figures;
    char text[32];
    label(canvas, "requests");
    canvas_put(canvas, STYLE_BOLD, "%s", page_count(text, figures->answers + figures->failed + figures->wrong));
    canvas_put(canvas, STYLE_PLAIN, "  (gRPC %s", page_count(text, figures->grpc));
    canvas_put(canvas, STYLE_PLAIN, ", REST %s)", page_count(text, figures->rest));
    canvas_next(canvas);
    label(canvas, "engine");
    canvas_put(canvas, STYLE_PLAIN, "%s serves with %s", script->engine, script->engine_text);
    canvas_next(canvas);
    label(canvas, "failed");
    canvas_put(canvas, figures->failed == 0 ? STYLE_GREEN : STYLE_RED, "%s", page_count(text, figures->failed));
    canvas_next(canvas);
    label(canvas, "wrong");
    canvas_put(canvas, figures->wrong == 0 ? STYLE_GREEN : STYLE_RED, "%s", page_count(text, figures->wrong));
    canvas_put(canvas, STYLE_PLAIN, "  all answers compared with what good versions say under TensorFlow");
    canvas_next(canvas);
    label(canvas, "broken");
    canvas_put(canvas, figures->broken == 0 ? STYLE_GREEN : STYLE_RED, "%s", page_count(text, figures->broken));
    canvas_put(canvas, STYLE_PLAIN, "  answers from a version that must not answer");
    canvas_next(canvas);
}

static void print_latency(struct canvas *canvas, const struct script *script)
{
    static const char *const names[PHASES] = {
        [PHASE_QUIET] = "nothing changes",
        [PHASE_SWAP] = "during swaps",
        [PHASE_REFUSE] = "broken ones tried",
        [PHASE_KILL] = "worker killed",
    };
    label(canvas, "latency");
    canvas_put(canvas, STYLE_DIM, "%-18s %9s %9s %11s", "in ms", "p50", "p99", "slowest");
    canvas_next(canvas);
    for (size_t i = 0; i < PHASES; i++) {
        const struct traffic_latency *latency = &script->figures.phases[i];
        if (latency->count == 0)
            continue;
        canvas_to(canvas, VALUES_AT);
        canvas_put(canvas, STYLE_PLAIN, "%-18s %9.2f %9.2f %11.1f", names[i], latency->p50_ms, latency->p99_ms,
                   latency->max_ms);
        canvas_next(canvas);
    }
    canvas_next(canvas);
}

static size_t count(const struct script *script, enum verdict verdict)
{
    size_t scenes = 0;
    for (size_t i = 0; i < script->scene_count; i++)
        scenes += script->scenes[i].verdict == verdict;
    return scenes;
}

static size_t count_offered(const struct script *script)
{
    size_t offered = 0;
    for (size_t i = 0; i < script->scene_count; i++) {
        const struct scene *scene = &script->scenes[i];
        offered += scene->verdict != VERDICT_OPEN && (scene->version != 0 || scene->name[0] != '\0');
    }
    return offered;
}

/* All scenes with a verdict, a line each; lines are cut on a terminal and whole elsewhere. */
static void print_scenes(struct canvas *canvas, const struct script *script, enum verdict verdict, enum style style)
{
    for (size_t i = 0; i < script->scene_count; i++) {
        const struct scene *scene = &script->scenes[i];
        if (scene->verdict != verdict)
            continue;
        canvas_to(canvas, 4);
        if (scene->version != 0)
            canvas_put(canvas, STYLE_PLAIN, "%3lld ", (long long)scene->version);
        else
            canvas_put(canvas, STYLE_PLAIN, "  - ");
        canvas_put(canvas, STYLE_PLAIN, "%-22s ",
                   scene->name[0] != '\0'     ? scene->name
                   : verdict == VERDICT_TAKEN ? "good"
                                              : "");
        canvas_put(canvas, style, "%s", scene->outcome[0] != '\0' ? scene->outcome : scene->title);
        canvas_next(canvas);
    }
}

static void print_versions(struct canvas *canvas, const struct script *script)
{
    const size_t taken = count(script, VERDICT_TAKEN), refused = count(script, VERDICT_REFUSED);
    const size_t ignored = count(script, VERDICT_IGNORED);
    label(canvas, "versions");
    canvas_put(canvas, STYLE_PLAIN, "%zu offered, %zu switched to, %zu refused, %zu ignored", count_offered(script),
               taken, refused, ignored);
    canvas_next(canvas);
    print_scenes(canvas, script, VERDICT_TAKEN, STYLE_PLAIN);
    print_scenes(canvas, script, VERDICT_REFUSED, STYLE_PLAIN);
    print_scenes(canvas, script, VERDICT_IGNORED, STYLE_PLAIN);
    for (size_t i = 0; i < script->scene_count; i++) {
        const struct scene *scene = &script->scenes[i];
        if (scene->verdict != VERDICT_DONE || (scene->kind != &act_kill && scene->kind != &act_stop))
            continue;
        label(canvas, scene->kind == &act_kill ? "SIGKILL" : "SIGTERM");
        canvas_put(canvas, STYLE_PLAIN, "%s", scene->outcome);
        canvas_next(canvas);
    }
    canvas_next(canvas);
}

static void print_verdict(struct canvas *canvas, const struct script *script, const char *log_tail)
{
    if (script_is_good(script)) {
        canvas_sign(canvas, STYLE_GREEN, SIGN_GOOD);
        canvas_put(canvas, STYLE_GREEN,
                   " All as it should be: no request failed, and no broken version ever answered.");
        canvas_next(canvas);
        return;
    }
    canvas_sign(canvas, STYLE_RED, SIGN_BAD);
    canvas_put(canvas, STYLE_RED, " Not as it should be.");
    canvas_next(canvas);
    print_scenes(canvas, script, VERDICT_UNEXPECTED, STYLE_RED);
    if (script->figures.first_problem[0] != '\0') {
        canvas_put(canvas, STYLE_RED, "  First problem: %s", script->figures.first_problem);
        canvas_next(canvas);
    }
    if (script->fatal[0] != '\0') {
        canvas_put(canvas, STYLE_RED, "  Ended early: %s", script->fatal);
        canvas_next(canvas);
    }
    if (*log_tail == '\0')
        return;
    canvas_put(canvas, STYLE_DIM, "  The last lines of everlitd's log:");
    canvas_next(canvas);
    for (const char *line = log_tail; *line != '\0';) {
        const size_t size = strcspn(line, "\n");
        canvas_put(canvas, STYLE_PLAIN, "    %.*s", (int)size, line);
        canvas_next(canvas);
        line += size + (line[size] == '\n');
    }
}

void summary_print(const struct terminal *terminal, const struct script *script, const char *log_tail)
{
    struct canvas canvas = { 0 };
    canvas_begin(&canvas, terminal, false);
    canvas.cut = terminal->is_terminal;
    print_head(&canvas, script);
    if (script->traffic_began_ns != 0) {
        print_figures(&canvas, script);
        print_latency(&canvas, script);
        print_versions(&canvas, script);
    }
    canvas.cut = false; /* what went wrong is worth its lines */
    print_verdict(&canvas, script, log_tail);
    canvas_show(&canvas);
    canvas_free(&canvas);
}
