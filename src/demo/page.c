/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From top to bottom: figures, accuracy and answers over time, versions, the scene
 * at hand, and as many lines of the story as there is room for; 24 rows are enough for 7.
 */
#include "demo/page.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define SAMPLE_NS EL_NS_PER_S
#define FIGURES_AT 11 /* column of what stands behind a label */
#define TABLE_ROWS 4
#define OUTCOME_LINES 2

const char *page_count(char text[32], uint64_t number)
{
    char digits[24];
    const int size = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    char *at = text;
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return text;
}

static void sample(struct page *page, const struct script *script)
{
    const uint64_t now_ns = el_now_ns();
    if (script->traffic_began_ns == 0 || script->traffic_ended_ns != 0)
        return;
    if (page->sampled_ns == 0) {
        page->sampled_ns = script->traffic_began_ns;
        page->answers_then = 0;
    }
    const uint64_t span_ns = now_ns - page->sampled_ns;
    if (span_ns < SAMPLE_NS)
        return;
    page->rate_now = (double)(script->figures.answers - page->answers_then) * 1e9 / (double)span_ns;
    page->accuracy[page->samples % PAGE_SAMPLES] = script->figures.accuracy;
    page->rate[page->samples % PAGE_SAMPLES] = page->rate_now;
    page->samples++;
    page->sampled_ns = now_ns;
    page->answers_then = script->figures.answers;
}

/* ---- the parts ---- */

static void draw_head(struct canvas *canvas, const struct script *script)
{
    const double seconds = story_seconds(&script->story, el_now_ns());
    char right[64];
    snprintf(right, sizeof right, "scene %zu of %zu   %d:%02d ",
             script->at < script->scene_count ? script->at + 1 : script->scene_count, script->scene_count,
             (int)seconds / 60, (int)seconds % 60);
    canvas_put(canvas, STYLE_BOLD, " Everlit");
    canvas_put(canvas, STYLE_DIM, "  models are swapped, the answers go on");
    const unsigned columns = canvas->terminal->columns;
    if (columns > strlen(right) + canvas->column) {
        canvas_to(canvas, columns - (unsigned)strlen(right));
        canvas_put(canvas, STYLE_DIM, "%s", right);
    }
    canvas_next(canvas);
    canvas_rule(canvas);
}

static void label(struct canvas *canvas, const char *text)
{
    canvas_put(canvas, STYLE_DIM, " %s", text);
    canvas_to(canvas, FIGURES_AT);
}

static void draw_bad(struct canvas *canvas, uint64_t number, const char *what)
{
    char text[32];
    canvas_put(canvas, number == 0 ? STYLE_GREEN : STYLE_RED, "%s", page_count(text, number));
    canvas_put(canvas, number == 0 ? STYLE_PLAIN : STYLE_RED, " %s", what);
}

static void draw_figures(struct canvas *canvas, const struct page *page, const struct script *script)
{
    const struct traffic_figures *figures = &script->figures;
    char text[32];
    label(canvas, "answers");
    canvas_put(canvas, STYLE_BOLD, "%-9s", page_count(text, figures->answers));
    canvas_put(canvas, STYLE_PLAIN, "%5.0f a second", page->rate_now);
    canvas_put(canvas, STYLE_DIM, "   gRPC %s", page_count(text, figures->grpc));
    canvas_put(canvas, STYLE_DIM, " + REST %s", page_count(text, figures->rest));
    canvas_next(canvas);
    label(canvas, "problems");
    draw_bad(canvas, figures->failed, "failed");
    canvas_to(canvas, FIGURES_AT + 14);
    draw_bad(canvas, figures->wrong, "wrong");
    canvas_to(canvas, FIGURES_AT + 26);
    draw_bad(canvas, figures->broken, "from a broken version");
    canvas_next(canvas);
    label(canvas, "latency");
    canvas_put(canvas, STYLE_PLAIN, "p50 %.2f   p99 %.2f   slowest %.1f", figures->all.p50_ms, figures->all.p99_ms,
               figures->all.max_ms);
    canvas_put(canvas, STYLE_PLAIN, "   during swaps p99 %.2f slowest %.1f ms", figures->phases[PHASE_SWAP].p99_ms,
               figures->phases[PHASE_SWAP].max_ms);
    canvas_next(canvas);
}

static unsigned level_of(double value, double low, double high)
{
    if (value <= low)
        return value <= 0 ? 0 : 1;
    return value >= high ? 8 : 1 + (unsigned)((value - low) / (high - low) * 7);
}

/* The last samples of a ring, as bars. */
static void draw_bars(struct canvas *canvas, const struct page *page, const double *ring, double low, double high,
                      enum style style)
{
    const unsigned columns = canvas->terminal->columns;
    const uint64_t room = columns > canvas->column + 1 ? columns - canvas->column - 1 : 0;
    uint64_t i = page->samples > room ? page->samples - room : 0;
    if (page->samples - i > PAGE_SAMPLES)
        i = page->samples - PAGE_SAMPLES;
    for (; i < page->samples; i++)
        canvas_bar(canvas, style, level_of(ring[i % PAGE_SAMPLES], low, high));
}

static void draw_history(struct canvas *canvas, const struct page *page, const struct script *script)
{
    const double accuracy = script->figures.accuracy;
    label(canvas, "accuracy");
    if (accuracy >= 0)
        canvas_put(canvas, STYLE_BOLD, "%5.1f %%", 100 * accuracy);
    canvas_to(canvas, FIGURES_AT + 9);
    draw_bars(canvas, page, page->accuracy, 0.80, 1.0, STYLE_CYAN);
    canvas_next(canvas);
    label(canvas, "answering");
    canvas_put(canvas, STYLE_DIM, "per s");
    canvas_to(canvas, FIGURES_AT + 9);
    draw_bars(canvas, page, page->rate, 0, 1600, STYLE_GREEN);
    canvas_next(canvas);
}

static enum style style_of_state(const char *state)
{
    if (strcmp(state, "serving") == 0)
        return STYLE_GREEN;
    if (strcmp(state, "quarantined") == 0)
        return STYLE_RED;
    const bool coming = strcmp(state, "verifying") == 0 || strcmp(state, "loading") == 0 ||
                        strcmp(state, "probing") == 0;
    return coming ? STYLE_YELLOW : STYLE_DIM;
}

static void draw_version(struct canvas *canvas, const struct admin_version *version, bool serving)
{
    canvas_put(canvas, STYLE_PLAIN, " ");
    if (serving)
        canvas_sign(canvas, STYLE_GREEN, SIGN_ARROW);
    else
        canvas_put(canvas, STYLE_PLAIN, " ");
    canvas_put(canvas, serving ? STYLE_BOLD : STYLE_PLAIN, "%6lld", (long long)version->version);
    canvas_to(canvas, FIGURES_AT);
    canvas_put(canvas, style_of_state(version->state), "%-12s", version->state);
    if (version->reason[0] != '\0') {
        canvas_put(canvas, STYLE_DIM, "  %s", version->reason);
    } else {
        char text[32];
        canvas_put(canvas, STYLE_PLAIN, " %-11s", version->engine);
        if (version->pid > 0)
            canvas_put(canvas, STYLE_PLAIN, "%8d %6.0f MB", version->pid, (double)version->memory_bytes / 1e6);
        else
            canvas_put(canvas, STYLE_PLAIN, "%18s", "");
        canvas_put(canvas, STYLE_PLAIN, " %11s %7.2f ms", page_count(text, version->requests), version->p99_ms);
    }
    canvas_next(canvas);
}

/* An ended version is news only while there is room for it. */
static bool is_shown(const struct admin_version *version, bool ended)
{
    return (strcmp(version->state, "end") == 0) == ended;
}

static void draw_versions(struct canvas *canvas, const struct script *script)
{
    const struct admin_view *view = &script->admin.view;
    canvas_rule(canvas);
    canvas_put(canvas, STYLE_DIM, " version   state        engine      process    memory    requests  p99 inside");
    canvas_next(canvas);
    unsigned rows = 0;
    for (int ended = 0; ended < 2; ended++) {
        for (size_t i = 0; i < view->count && rows < TABLE_ROWS; i++) {
            if (!is_shown(&view->versions[i], ended == 1))
                continue;
            draw_version(canvas, &view->versions[i], view->versions[i].version == view->serving);
            rows++;
        }
    }
    for (; rows < TABLE_ROWS; rows++)
        canvas_next(canvas);
    canvas_rule(canvas);
}

static void draw_scene(struct canvas *canvas, const struct script *script)
{
    static const struct {
        const char *word;
        enum style style;
        enum sign sign;
    } verdicts[] = {
        [VERDICT_OPEN] = { "", STYLE_DIM, SIGN_NOTE },
        [VERDICT_RUNNING] = { "", STYLE_YELLOW, SIGN_MORE },
        [VERDICT_TAKEN] = { "it serves ", STYLE_GREEN, SIGN_GOOD },
        [VERDICT_REFUSED] = { "refused: ", STYLE_YELLOW, SIGN_BAD },
        [VERDICT_IGNORED] = { "", STYLE_YELLOW, SIGN_BAD },
        [VERDICT_DONE] = { "", STYLE_GREEN, SIGN_GOOD },
        [VERDICT_UNEXPECTED] = { "NOT AS IT SHOULD BE: ", STYLE_RED, SIGN_BAD },
    };
    const struct scene *scene = script_scene(script);
    canvas_put(canvas, STYLE_BOLD, " %s%s", scene->name, scene->name[0] != '\0' ? ": " : "");
    canvas_wrap(canvas, STYLE_BOLD, 1, 2, scene->title);
    const unsigned line = canvas->row;
    canvas_put(canvas, STYLE_PLAIN, " ");
    canvas_sign(canvas, verdicts[scene->verdict].style, verdicts[scene->verdict].sign);
    canvas_put(canvas, verdicts[scene->verdict].style, " %s", verdicts[scene->verdict].word);
    canvas_wrap(canvas, scene->verdict == VERDICT_UNEXPECTED ? STYLE_RED : STYLE_PLAIN, 3, OUTCOME_LINES,
                scene->outcome);
    while (canvas->row < line + OUTCOME_LINES)
        canvas_next(canvas);
    canvas_rule(canvas);
}

static void draw_story(struct canvas *canvas, const struct story *story)
{
    static const struct {
        enum style style;
        enum sign sign;
    } moods[] = {
        [MOOD_NOTE] = { STYLE_DIM, SIGN_NOTE },   [MOOD_OFFER] = { STYLE_PLAIN, SIGN_ARROW },
        [MOOD_GOOD] = { STYLE_GREEN, SIGN_GOOD }, [MOOD_REFUSED] = { STYLE_YELLOW, SIGN_BAD },
        [MOOD_HURT] = { STYLE_RED, SIGN_DOT },    [MOOD_BAD] = { STYLE_RED, SIGN_BAD },
    };
    const uint64_t room = canvas_room(canvas);
    const uint64_t kept = story->count < STORY_LINES ? story->count : STORY_LINES;
    for (uint64_t i = story->count - (kept < room ? kept : room); i < story->count; i++) {
        const struct story_line *line = &story->lines[i % STORY_LINES];
        const double seconds = story_seconds(story, line->at_ns);
        canvas_put(canvas, STYLE_DIM, " %d:%02d ", (int)seconds / 60, (int)seconds % 60);
        canvas_sign(canvas, moods[line->mood].style, moods[line->mood].sign);
        canvas_put(canvas, line->mood == MOOD_BAD ? STYLE_RED : STYLE_PLAIN, " %s", line->text);
        canvas_next(canvas);
    }
}

void page_draw(struct page *page, const struct terminal *terminal, const struct script *script)
{
    struct canvas *canvas = &page->canvas;
    sample(page, script);
    canvas_begin(canvas, terminal, true);
    draw_head(canvas, script);
    draw_figures(canvas, page, script);
    draw_history(canvas, page, script);
    draw_versions(canvas, script);
    draw_scene(canvas, script);
    draw_story(canvas, &script->story);
    canvas_show(canvas);
}

void page_free(struct page *page)
{
    canvas_free(&page->canvas);
}
