/* SPDX-License-Identifier: Apache-2.0 */
/* The swapper with the real engines and the real models: which engine serves, and everything in models/broken. */
#include "test_swap_support.h"

#include "base/clock.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char automatic[] = "auto", tensorflow[] = "tensorflow", openvino[] = "openvino";

static void open_stage(struct stage *stage, char *engine, const char *model, int version)
{
    stage_open(stage);
    stage->update.engine = engine;
    stage_shell(stage, "cp -r %s/%s/%d m/1", TEST_MODELS, model, version);
    stage_start(stage);
    stage_wait_serving(stage, 1);
}

static void openvino_serves_what_it_answers_like_tensorflow(void **unused)
{
    (void)unused;
    static struct stage stage;
    open_stage(&stage, automatic, "half_plus_two", 1);
    struct seen seen = stage_see(&stage, 1);
    assert_string_equal(seen.engine, "openvino");
    assert_non_null(strstr(seen.engine_reason, "openvino agrees with tensorflow within 0.001"));
    stage_close(&stage);
}

static void tensorflow_serves_what_openvino_cannot(void **unused)
{
    (void)unused;
    static struct stage stage;
    open_stage(&stage, automatic, "labels", 1);
    struct seen seen = stage_see(&stage, 1);
    assert_string_equal(seen.engine, "tensorflow");
    assert_non_null(strstr(seen.engine_reason, "openvino"));
    stage_close(&stage);
}

static void a_named_engine_is_the_only_one_asked(void **unused)
{
    (void)unused;
    static struct stage stage;
    open_stage(&stage, tensorflow, "half_plus_two", 1);
    assert_string_equal(stage_see(&stage, 1).engine, "tensorflow");
    stage_close(&stage);

    open_stage(&stage, openvino, "half_plus_two", 1);
    assert_string_equal(stage_see(&stage, 1).engine, "openvino");
    stage_close(&stage);

    open_stage(&stage, openvino, "digits", 1); /* its strings come by what the plug-in runs beside OpenVINO */
    assert_string_equal(stage_see(&stage, 1).engine, "openvino");
    stage_wait_event(&stage, "probed", 1, "good on openvino");
    stage_close(&stage);
}

static void digits_2_takes_over_from_digits_1(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.update.engine = automatic;
    stage.columns = 784;
    stage_shell(&stage, "cp -r %s/digits/1 m/1", TEST_MODELS);
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 4);
    client_wait_version(&stage, 1);
    stage_shell(&stage, "cp -r %s/digits/2 m/.2 && mv m/.2 m/2", TEST_MODELS);
    client_wait_version(&stage, 2);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

/* ---- models/broken ---- */

struct row {
    char name[64], expect[16], reason[128];
};

static bool read_row(char *line, struct row *row)
{
    char *field[5], *at = line;
    for (int i = 0; i < 5; i++)
        field[i] = strsep(&at, "\t");
    if (line[0] == '#' || field[3] == NULL)
        return false;
    snprintf(row->name, sizeof row->name, "%s", field[0]);
    snprintf(row->expect, sizeof row->expect, "%s", field[2]);
    snprintf(row->reason, sizeof row->reason, "%s", field[3]);
    return true;
}

static void expect_reason(const struct row *row, const char *reason)
{
    regex_t pattern;
    assert_int_equal(regcomp(&pattern, row->reason, REG_EXTENDED | REG_ICASE | REG_NOSUB), 0);
    if (regexec(&pattern, reason, 0, NULL, 0) != 0)
        fail_msg("%s: the reason \"%s\" does not match %s", row->name, reason, row->reason);
    regfree(&pattern);
}

static void play(struct stage *stage, const struct row *row, int64_t version)
{
    uint64_t start = el_now_ns();
    struct seen before = stage_see(stage, -1);
    stage_shell(stage, "%s/broken/play.sh %s %s/m %lld 2 >play.out &", TEST_MODELS, row->name, stage->dir,
                (long long)version);
    if (strcmp(row->expect, "taken") == 0) {
        client_wait_version(stage, version);
    } else if (strcmp(row->expect, "ignored") == 0) {
        stage_run_for(stage, 500);
        assert_int_equal(stage_see(stage, -1).serving, before.serving);
    } else {
        stage_wait_state(stage, version, EL_LIFE_QUARANTINED);
        struct seen seen = stage_see(stage, version);
        expect_reason(row, seen.reason);
        assert_int_equal(seen.serving, before.serving);
        print_message("%-24s %5.1f s  %s\n", row->name, (double)(el_now_ns() - start) / 1e9, seen.reason);
        stage_shell(stage, "rm -rf m/%lld", (long long)version);
        stage_wait_state(stage, version, EL_LIFE_END);
    }
    client_wait_answers(stage, 20);
}

static void broken_models_are_refused(char *engine)
{
    static struct stage stage;
    stage_open(&stage);
    stage.update.engine = engine;
    stage.update.load_timeout_ms = 20000; /* below slow_load's 30 s; too_much_memory meets its limit of memory first */
    stage.update.probe_timeout_ms = 5000;
    stage.update.memory_limit_bytes = UINT64_C(1) << 30;
    stage.columns = 784;
    stage_shell(&stage, "cp -r %s/digits/1 m/1", TEST_MODELS);
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 2);
    client_wait_version(&stage, 1);

    FILE *list = fopen(TEST_MODELS "/broken/list.tsv", "re");
    assert_non_null(list);
    char line[1024];
    int played = 0;
    while (fgets(line, sizeof line, list) != NULL) {
        struct row row;
        if (read_row(line, &row))
            play(&stage, &row, 2 + played++);
    }
    fclose(list);
    assert_true(played >= 16);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void every_broken_model_is_refused_by_both_engines(void **unused)
{
    (void)unused;
    broken_models_are_refused(automatic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openvino_serves_what_it_answers_like_tensorflow),
        cmocka_unit_test(tensorflow_serves_what_openvino_cannot),
        cmocka_unit_test(a_named_engine_is_the_only_one_asked),
        cmocka_unit_test(digits_2_takes_over_from_digits_1),
        cmocka_unit_test(every_broken_model_is_refused_by_both_engines),
    };
    if (getenv("TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
