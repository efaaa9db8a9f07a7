/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/plain.h"

#include "base/clock.h"
#include "demo/page.h"

#include <inttypes.h>

#define FIGURES_NS (5 * EL_NS_PER_S)

static void print_story(struct plain *plain, const struct story *story)
{
    if (story->count - plain->told > STORY_LINES)
        plain->told = story->count - STORY_LINES;
    for (; plain->told < story->count; plain->told++) {
        const struct story_line *line = &story->lines[plain->told % STORY_LINES];
        canvas_put(&plain->canvas, STYLE_PLAIN, "%6.2f s  %s", story_seconds(story, line->at_ns), line->text);
        canvas_next(&plain->canvas);
    }
}

static void print_figures(struct plain *plain, const struct script *script)
{
    const uint64_t now_ns = el_now_ns();
    const struct traffic_figures *figures = &script->figures;
    if (script->traffic_began_ns == 0 || script->traffic_ended_ns != 0)
        return;
    if (plain->figures_ns == 0)
        plain->figures_ns = script->traffic_began_ns;
    if (now_ns - plain->figures_ns < FIGURES_NS)
        return;
    char answers[32];
    canvas_put(
        &plain->canvas, STYLE_PLAIN,
        "%6.2f s  %s answers, %.0f a second, %" PRIu64 " failed, %" PRIu64 " wrong; accuracy %.1f %%; p50 %.2f ms, "
        "p99 %.2f ms, slowest %.1f ms",
        story_seconds(&script->story, now_ns), page_count(answers, figures->answers),
        (double)(figures->answers - plain->answers_then) * 1e9 / (double)(now_ns - plain->figures_ns), figures->failed,
        figures->wrong, 100 * figures->accuracy, figures->all.p50_ms, figures->all.p99_ms, figures->all.max_ms);
    canvas_next(&plain->canvas);
    plain->figures_ns = now_ns;
    plain->answers_then = figures->answers;
}

void plain_print(struct plain *plain, const struct terminal *terminal, const struct script *script)
{
    canvas_begin(&plain->canvas, terminal, false);
    print_story(plain, &script->story);
    print_figures(plain, script);
    if (plain->canvas.out.size > 0)
        canvas_show(&plain->canvas);
}

void plain_free(struct plain *plain)
{
    canvas_free(&plain->canvas);
}
