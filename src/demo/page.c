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
#define FIGURES_AT 11  /* column of what stands behind a label */
#define FULL_RATE 1500 /* a full bar: what is asked for, less what may slip into the next second */
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

static void draw_figures(struct canvas *canvas, const struct script *script)
{
    const struct traffic_figures *figures = &script->figures;
    char text[32];
    label(canvas, "answers");
    canvas_put(canvas, STYLE_BOLD, "%-9s", page_count(text, figures->answers));
    canvas_put(canvas, STYLE_DIM, "     gRPC %s", page_count(text, figures->grpc));
    canvas_put(canvas, STYLE_DIM, " + REST %s, all checked", page_count(text, figures->rest));
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
    if (figures->phases[PHASE_SWAP].count > 0)
        canvas_put(canvas, STYLE_PLAIN, ", in a swap %.1f", figures->phases[PHASE_SWAP].max_ms);
    canvas_put(canvas, STYLE_DIM, " ms");
    canvas_next(canvas);
}

static unsigned level_of(double value, double low, double high)
{
    if (value <= low)
        return value <= 0 ? 0 : 1;
    return value >= high ? 8 : 1 + (unsigned)((value - low) / (high - low) * 7);
}

/* What is drawn of a ring of samples: values from low to high; the mean of those that share a bar, or the lowest. */
struct chart {
    const double *ring;
    double low, high;
    bool lowest; /* a dip must not hide in a mean */
    enum style style;
};

static double value_of(const struct chart *chart, uint64_t from, uint64_t to)
{
    double sum = 0, lowest = chart->ring[from % PAGE_SAMPLES];
    for (uint64_t i = from; i < to; i++) {
        const double value = chart->ring[i % PAGE_SAMPLES];
        sum += value;
        lowest = value < lowest ? value : lowest;
    }
    return chart->lowest ? lowest : sum / (double)(to - from);
}

/* All samples, as one bar each while there is room, and closer together later. */
static void draw_chart(struct canvas *canvas, const struct page *page, const struct chart *chart)
{
    const unsigned columns = canvas->terminal->columns;
    const uint64_t room = columns > canvas->column + 1 ? columns - canvas->column - 1 : 0;
    const uint64_t kept = page->samples < PAGE_SAMPLES ? page->samples : PAGE_SAMPLES;
    const uint64_t first = page->samples - kept, count = kept < room ? kept : room;
    for (uint64_t i = 0; i < count; i++) {
        const double value = value_of(chart, first + i * kept / count, first + (i + 1) * kept / count);
        canvas_bar(canvas, chart->style, level_of(value, chart->low, chart->high));
    }
}

static void draw_history(struct canvas *canvas, const struct page *page, const struct script *script)
{
    const double accuracy = script->figures.accuracy;
    label(canvas, "accuracy");
    if (accuracy >= 0)
        canvas_put(canvas, STYLE_BOLD, "%5.1f %%", 100 * accuracy);
    canvas_to(canvas, FIGURES_AT + 9);
    draw_chart(canvas, page, &(struct chart){ page->accuracy, 0.80, 0.98, .style = STYLE_CYAN });
    canvas_next(canvas);
    label(canvas, "answers/s");
    if (page->samples > 0)
        canvas_put(canvas, STYLE_BOLD, "%5.0f", page->rate_now);
    canvas_to(canvas, FIGURES_AT + 9);
    draw_chart(canvas, page, &(struct chart){ page->rate, 0, FULL_RATE, .lowest = true, .style = STYLE_GREEN });
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
        if (version->requests > 0)
            canvas_put(canvas, STYLE_PLAIN, " %11s %8.2f ms", page_count(text, version->requests), version->p99_ms);
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
    canvas_put(canvas, STYLE_DIM, " version   state        engine      process    memory    requests         p99");
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

/* What the server is doing with the version of the scene. */
static void draw_progress(struct canvas *canvas, const struct script *script, const struct scene *scene)
{
    const struct admin_version *version = scene->version != 0 ? admin_find(&script->admin.view, scene->version) : NULL;
    char text[1200] = "";
    if (version != NULL)
        snprintf(text, sizeof text, "version %lld is %s%s%s", (long long)version->version, version->state,
                 version->reason[0] != '\0' ? ": " : "", version->reason);
    canvas_wrap(canvas, STYLE_PLAIN, 3, OUTCOME_LINES, version != NULL ? text : scene->outcome);
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
    if (scene->verdict == VERDICT_RUNNING)
        draw_progress(canvas, script, scene);
    else
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
    draw_figures(canvas, script);
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
