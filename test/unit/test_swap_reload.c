/* SPDX-License-Identifier: Apache-2.0 */
/* One reload that changes several models: whoever looks sees all of it or nothing of it. */
#include "test_swap_support.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* Models "m" and "n", of directories m and o of the stage. */
struct pair {
    struct stage stage;
    char m[80], o[80], nowhere[80];
    struct el_model_config models[3];
    struct el_config config;
    unsigned looks, mixed; /* views that were seen, and those that showed half of a reload */
};

static char name_m[] = "m", name_n[] = "n", name_x[] = "x";

/* What answers for this model in the current view; 0: the view does not have it; -1: nothing does. */
static int64_t answers(struct stage *stage, const char *name)
{
    const struct el_view *view = el_view_get(stage->swap);
    const struct el_model_view *model = el_view_model(view, name, strlen(name));
    const int64_t serving = model != NULL ? model->serving : 0;
    el_view_put(stage->swap, view);
    return serving;
}

/* Each event of a switch comes right after the publication that made it. m and n are to be of the same reload: 1 and 2, or 2 and 1. */
static void look_at_both(void *argument)
{
    struct pair *pair = argument;
    const struct el_view *view = el_view_get(pair->stage.swap);
    const struct el_model_view *m = el_view_model(view, "m", 1), *n = el_view_model(view, "n", 1);
    const int64_t first = m != NULL ? m->serving : 0, second = n != NULL && n->serving > 0 ? n->serving : 0;
    el_view_put(pair->stage.swap, view);
    pair->looks++;
    if (first + second != 3 && first + second != 1)
        pair->mixed++;
}

static void open_pair(struct pair *pair)
{
    memset(pair, 0, sizeof *pair);
    stage_open(&pair->stage);
    snprintf(pair->m, sizeof pair->m, "%s/m", pair->stage.dir);
    snprintf(pair->o, sizeof pair->o, "%s/o", pair->stage.dir);
    snprintf(pair->nowhere, sizeof pair->nowhere, "%s/nowhere", pair->stage.dir);
    stage_shell(&pair->stage, "mkdir o");
    stage_put(&pair->stage, 2, "open=slow 200"); /* long enough for the other one to be ready before it */
    stage_shell(&pair->stage, "mv m/2 o/2");
    stage_put(&pair->stage, 1, "");
    stage_config(&pair->stage, &pair->config, &pair->models[0]);
    pair->models[1] = pair->models[2] = pair->models[0];
    pair->models[0].name = name_m;
    pair->models[0].base_path = pair->m;
    pair->models[1].name = name_n;
    pair->models[1].base_path = pair->o;
    pair->models[2].name = name_x;
    pair->models[2].base_path = pair->nowhere;
}

static void wait_answer(struct pair *pair, const char *name, int64_t version)
{
    const uint64_t end = el_now_ns() + 20 * SLOWNESS * EL_NS_PER_S;
    while (answers(&pair->stage, name) != version) {
        if (el_now_ns() > end)
            fail_msg("model %s: version %lld answers, %lld should", name, (long long)answers(&pair->stage, name),
                     (long long)version);
        stage_run_for(&pair->stage, 5);
    }
}

static void start(struct pair *pair, size_t count)
{
    pair->config = (struct el_config){ .models = pair->models, .model_count = count };
    pair->stage.options.config = &pair->config;
    stage_start(&pair->stage);
    for (size_t i = 0; i < count; i++)
        wait_answer(pair, pair->models[i].name, (int64_t)i + 1);
    el_swap_on_event(pair->stage.swap, look_at_both, pair);
}

static void models_that_exchange_their_base_paths_switch_at_once(void **unused)
{
    (void)unused;
    static struct pair pair;
    open_pair(&pair);
    start(&pair, 2);
    pair.models[0].base_path = pair.o;
    pair.models[1].base_path = pair.m;
    assert_null(el_swap_reconfigure(pair.stage.swap, &pair.config));
    wait_answer(&pair, "m", 2);
    assert_int_equal(answers(&pair.stage, "n"), 1);
    assert_int_not_equal(pair.looks, 0);
    assert_int_equal(pair.mixed, 0);
    stage_close(&pair.stage);
}

static void a_model_goes_when_the_one_that_comes_in_its_place_answers(void **unused)
{
    (void)unused;
    static struct pair pair;
    open_pair(&pair);
    start(&pair, 1);
    pair.models[0] = pair.models[1];
    assert_null(el_swap_reconfigure(pair.stage.swap, &pair.config));
    const uint64_t end = el_now_ns() + 20 * SLOWNESS * EL_NS_PER_S;
    for (;;) {
        const int64_t old = answers(&pair.stage, "m"), new = answers(&pair.stage, "n");
        if (old == 0 && new == 2)
            break;
        assert_int_equal(old, 1); /* never neither */
        assert_true(new <= 0);
        assert_true(el_now_ns() < end);
        stage_run_for(&pair.stage, 5);
    }
    stage_close(&pair.stage);
}

static void who_cannot_come_is_not_waited_for(void **unused)
{
    (void)unused;
    static struct pair pair;
    open_pair(&pair);
    start(&pair, 1);
    stage_shell(&pair.stage, "mkdir o/3 && echo > o/3/saved_model.pb");
    int64_t three[] = { 3 };
    pair.models[1].policy = (struct el_version_policy){ .type = EL_POLICY_SPECIFIC,
                                                        .versions = three,
                                                        .version_count = 1 };
    pair.models[0].base_path = pair.o;
    pair.config.model_count = 3;
    assert_null(el_swap_reconfigure(pair.stage.swap, &pair.config)); /* n has a broken version, x no directory */
    wait_answer(&pair, "m", 2);
    assert_int_equal(answers(&pair.stage, "n"), -1);
    assert_int_equal(answers(&pair.stage, "x"), -1);
    stage_close(&pair.stage);
}

static void another_reload_in_the_meantime_is_the_one_that_counts(void **unused)
{
    (void)unused;
    static struct pair pair;
    open_pair(&pair);
    start(&pair, 1);
    struct el_model_config kept = pair.models[0];
    pair.models[0] = pair.models[1];
    assert_null(el_swap_reconfigure(pair.stage.swap, &pair.config)); /* m goes when n is there */
    stage_run_for(&pair.stage, 20);
    pair.models[0] = kept;
    assert_null(el_swap_reconfigure(pair.stage.swap, &pair.config)); /* back, before that */
    wait_answer(&pair, "n", 0);
    stage_run_for(&pair.stage, 50);
    assert_int_equal(answers(&pair.stage, "m"), 1);
    stage_close(&pair.stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_that_exchange_their_base_paths_switch_at_once),
        cmocka_unit_test(a_model_goes_when_the_one_that_comes_in_its_place_answers),
        cmocka_unit_test(who_cannot_come_is_not_waited_for),
        cmocka_unit_test(another_reload_in_the_meantime_is_the_one_that_counts),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
