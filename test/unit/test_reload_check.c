/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/reload_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char half[] = "half", stable[] = "stable", nowhere[] = "/nowhere", other[] = "other";

/* Model half: version 2 answers, version 1 is being loaded; the label stable leads to 2. */
static const struct el_version_view versions[] = {
    { .version = 2, .state = EL_LIFE_SERVING, .error = "" },
    { .version = 1, .state = EL_LIFE_LOADING, .error = "" },
};
static const struct el_version_label labels[] = { { .label = stable, .version = 2 } };
static const struct el_model_view model_half = { .name = half,
                                                 .versions = versions,
                                                 .version_count = 2,
                                                 .serving = 2,
                                                 .source_error = "",
                                                 .labels = labels,
                                                 .label_count = 1 };
static const struct el_model_view *const models[] = { &model_half };
static const struct el_view view = { .models = models, .model_count = 1, .generation = 1 };

static const struct el_label_rules ours = { 0 }, any = { .any = true }, strict = { .strict = true },
                                   strict_any = { .any = true, .strict = true };

/* A config of one model, whose policy wants version 1 and 2, with one label. */
static struct el_status *check_label(char *name, char *label, int64_t version, struct el_label_rules rules)
{
    int64_t wanted[] = { 1, 2 };
    struct el_version_label given = { .label = label, .version = version };
    struct el_model_config model = {
        .name = name,
        .base_path = nowhere,
        .labels = &given,
        .label_count = 1,
        .policy = { .type = EL_POLICY_SPECIFIC, .versions = wanted, .version_count = 2 },
    };
    const struct el_config config = { &model, 1 };
    return el_reload_check_labels(&view, &config, rules);
}

static void assert_label_refused(struct el_status *status)
{
    assert_int_equal(el_status_code(status), EL_FAILED_PRECONDITION);
    assert_non_null(strstr(el_status_text(status), "which is not currently available for inference"));
    el_status_free(status);
}

static void a_label_needs_a_version_that_answers_or_comes(void **state)
{
    (void)state;
    assert_null(check_label(half, stable, 2, ours));
    assert_null(check_label(half, other, 1, ours));   /* the config brings it */
    assert_null(check_label(other, stable, 1, ours)); /* a model that is new */
    assert_label_refused(check_label(half, other, 3, ours));
    assert_null(check_label(half, other, 3, any)); /* --allow_version_labels_for_unavailable_models */
}

static void a_label_is_moved_to_a_version_that_comes_and_to_no_other(void **state)
{
    (void)state;
    assert_null(check_label(half, stable, 1, ours));
    assert_label_refused(check_label(half, stable, 3, ours));
    assert_label_refused(check_label(half, stable, 3, any));
}

static void strictly_a_label_needs_a_version_that_answers(void **state)
{
    (void)state;
    assert_null(check_label(half, stable, 2, strict));
    assert_label_refused(check_label(half, other, 1, strict));
    assert_label_refused(check_label(other, stable, 1, strict));
    assert_null(check_label(half, other, 1, strict_any));
    assert_label_refused(check_label(half, stable, 1, strict_any)); /* it leads to version 2 */
}

static void a_new_model_is_waited_for_and_so_is_one_that_failed(void **state)
{
    (void)state;
    struct el_model_config now = { .name = half }, next[] = { { .name = half }, { .name = other } };
    const struct el_config current = { &now, 1 }, config = { next, 2 };
    struct el_names_list failed = { 0 }, fresh = { 0 };
    assert_null(el_reload_fresh_names(&current, &config, &failed, &fresh));
    assert_int_equal(fresh.count, 1);
    assert_true(el_names_list_has(&fresh, other));
    el_names_list_clear(&fresh);

    char *names[] = { half };
    const struct el_names_list had_failed = { names, 1 };
    assert_null(el_reload_fresh_names(&current, &config, &had_failed, &fresh));
    assert_int_equal(fresh.count, 2);
    el_names_list_clear(&fresh);
}

static bool decide(const struct el_version_view *version, const char *source_error, bool give_up, const char *expected)
{
    const struct el_model_view model = { .name = other,
                                         .versions = version,
                                         .version_count = version != NULL,
                                         .serving = -1,
                                         .source_error = source_error };
    const struct el_model_view *const all[] = { &model };
    const struct el_view with = { .models = all, .model_count = 1, .generation = 2 };
    char *names[] = { other };
    const struct el_names_list awaited = { names, 1 };
    struct el_names_list failed = { 0 };
    struct el_status *status;
    const bool decided = el_reload_decided(&with, &awaited, give_up, &failed, &status);
    assert_string_equal(el_status_text(status), expected);
    assert_int_equal(failed.count, status != NULL);
    el_status_free(status);
    el_names_list_clear(&failed);
    return decided;
}

static void the_highest_version_that_answers_or_failed_decides(void **state)
{
    (void)state;
    struct el_version_view version = { .version = 7, .state = EL_LIFE_LOADING, .error = "" };
    assert_false(decide(&version, "", false, ""));
    assert_false(decide(&version, "", true, "")); /* on its way: its own time limit ends it */
    version.state = EL_LIFE_SERVING;
    assert_true(decide(&version, "", false, ""));
    version.state = EL_LIFE_QUARANTINED;
    version.code = EL_DATA_LOSS;
    version.error = "torn";
    assert_true(
        decide(&version, "", false,
               "1 model(s) did not become available: {{{name: other version: 7} due to error: DATA_LOSS: torn}, }"));
}

static void a_model_with_nothing_on_its_way_is_given_up(void **state)
{
    (void)state;
    assert_false(decide(NULL, "", false, ""));
    assert_true(decide(NULL, "", true,
                       "1 model(s) did not become available: {{{name: other} due to error: NOT_FOUND: no version was "
                       "found under its base path}, }"));
    assert_true(
        decide(NULL, "no such folder", false,
               "1 model(s) did not become available: {{{name: other} due to error: NOT_FOUND: no such folder}, }"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_label_needs_a_version_that_answers_or_comes),
        cmocka_unit_test(a_label_is_moved_to_a_version_that_comes_and_to_no_other),
        cmocka_unit_test(strictly_a_label_needs_a_version_that_answers),
        cmocka_unit_test(a_new_model_is_waited_for_and_so_is_one_that_failed),
        cmocka_unit_test(the_highest_version_that_answers_or_failed_decides),
        cmocka_unit_test(a_model_with_nothing_on_its_way_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
