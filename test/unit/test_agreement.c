/* SPDX-License-Identifier: Apache-2.0 */
/* Where answers agree: of two engines, of two versions to what clients asked. */
#include "swap/engine_choice.h"
#include "swap/probe_judge.h"
#include "swap/replay.h"
#include "test_probe_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- engines ---- */

static void expect_engines(const struct answer *fast, const struct answer *measure, bool agree, const char *reason)
{
    struct el_buf text = { 0 };
    assert_int_equal(el_engines_agree("openvino", &fast->judged, &measure->judged, 1e-3, &text), agree);
    el_buf_byte(&text, 0);
    if (strstr((const char *)text.data, reason) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", (const char *)text.data, reason);
    el_buf_free(&text);
}

static void openvino_must_answer_like_tensorflow(void **unused)
{
    (void)unused;
    struct answer fast, measure;
    probe_good_answer(&fast);
    probe_good_answer(&measure);
    expect_engines(&fast, &measure, true, "agrees with tensorflow within 0.001 (largest difference 0)");
    fast.numbers[1] += 1e-4F;
    expect_engines(&fast, &measure, true, "largest difference 0.0001");
    fast.numbers[1] += 1e-2F;
    expect_engines(&fast, &measure, false, "differs from tensorflow by 0.01 in output \"prediction\"");
    fast.numbers[1] = measure.numbers[1] = NAN;
    expect_engines(&fast, &measure, true, "agrees");
    fast.numbers[1] = 0.5F;
    expect_engines(&fast, &measure, false, "differs");

    probe_good_answer(&fast);
    probe_good_answer(&measure);
    struct el_status *cannot = el_status_new(EL_UNIMPLEMENTED, "HashTableV2 is not converted");
    fast.pass.status = cannot;
    expect_engines(&fast, &measure, false, "cannot run signature \"serving_default\": HashTableV2");
    measure.pass.status = cannot;
    expect_engines(&fast, &measure, true, "agrees");
    fast.pass.status = NULL;
    expect_engines(&fast, &measure, false, "where tensorflow says");
    el_status_free(cannot);

    probe_good_answer(&measure);
    fast.tensor.shape.dims[0] = 2;
    expect_engines(&fast, &measure, false, "answers float [2,10]");
    fast.judged.pass_count = 0;
    expect_engines(&fast, &measure, false, "does not have signature");
}

static void half_precision_is_compared_as_numbers(void **unused)
{
    (void)unused;
    const uint16_t one[] = { 0x3c00, 0x8001, 0x7c00, 0x7e00 }, near[] = { 0x3c01, 0x0001, 0x7c00, 0x7e01 };
    struct el_tensor a = { .dtype = EL_HALF, .shape = { .rank = 1, .dims = { 4 } }, .data = one, .size = sizeof one };
    struct el_tensor b = a;
    b.data = near;
    bool within;
    double difference = el_tensor_difference(&a, &b, 1e-2, &within);
    assert_true(within);
    assert_true(difference > 0.0009 && difference < 0.001); /* 1/1024 */
    el_tensor_difference(&a, &b, 1e-5, &within);
    assert_false(within);

    const uint64_t texts[] = { 16, 16 };
    a = (struct el_tensor){ .dtype = EL_STRING, .shape = { .rank = 1, .dims = { 1 } }, .data = texts, .size = 16 };
    el_tensor_difference(&a, &a, 0, &within);
    assert_true(within);
}

static struct el_agreement agreement_of(const float *found, const float *expected, int64_t rows, int64_t columns,
                                        int64_t *first)
{
    const struct el_tolerance tolerance = { .absolute = 0.01, .relative = 0.01 };
    const size_t size = (size_t)(rows * columns) * sizeof *found;
    const struct el_tensor a = { EL_FLOAT, { .rank = 2, .dims = { rows, columns } }, found, size };
    const struct el_tensor b = { EL_FLOAT, { .rank = 2, .dims = { rows, columns } }, expected, size };
    struct el_agreement sum = { 0 };
    *first = el_agreement_add(&sum, &a, &b, &tolerance);
    return sum;
}

static void agreement_counts_rows_and_differences(void **unused)
{
    (void)unused;
    const float old[] = { 0.1F, 0.9F, 0.6F, 0.4F }, near[] = { 0.1F, 0.905F, 0.6F, 0.4F };
    const float other[] = { 0.1F, 0.9F, 0.4F, 0.6F }, nan[] = { 0.1F, NAN, 0.6F, 0.4F };
    int64_t first;
    struct el_agreement sum = agreement_of(near, old, 2, 2, &first);
    assert_int_equal(first, EL_AGREES);
    assert_true(sum.rows == 2 && sum.same == 2 && sum.values == 4 && sum.largest > 0.0049 && sum.largest < 0.0051);
    sum = agreement_of(other, old, 2, 2, &first);
    assert_int_equal(first, 2);
    assert_true(sum.rows == 2 && sum.same == 1 && el_agreement_share(&sum) < 0.51);
    assert_true(el_agreement_mean(&sum) > 0.099 && el_agreement_mean(&sum) < 0.101);
    sum = agreement_of(nan, nan, 2, 2, &first);
    assert_int_equal(first, EL_AGREES);
    sum = agreement_of(nan, old, 2, 2, &first);
    assert_int_equal(first, 1);
    assert_true(isinf(el_agreement_mean(&sum)));
    sum = agreement_of(near, old, 4, 1, &first); /* one score a row is no choice */
    assert_true(sum.rows == 0 && sum.values == 4 && el_agreement_share(&sum) > 0.99);

    const int32_t numbers[] = { 1, -2, 3 }, others[] = { 1, 2, 3 };
    const struct el_tensor a = { EL_INT32, { .rank = 1, .dims = { 3 } }, numbers, sizeof numbers };
    const struct el_tensor b = { EL_INT32, { .rank = 1, .dims = { 3 } }, others, sizeof others };
    const struct el_tensor c = { EL_INT32, { .rank = 2, .dims = { 3, 1 } }, others, sizeof others };
    const struct el_tolerance wide = { 100, 100 };
    sum = (struct el_agreement){ 0 };
    assert_int_equal(el_agreement_add(&sum, &a, &b, &wide), 1);
    assert_int_equal(el_agreement_add(&sum, &a, &c, &wide), EL_AGREES_NOT_IN_KIND);
    assert_true(sum.rows == 3 && sum.same == 2 && sum.other == 1);
    char text[40];
    assert_string_equal(el_element_print(&a, 1, text, sizeof text), "-2");
}

static void drift_has_limits(void **unused)
{
    (void)unused;
    struct el_probe_config probe = el_probe_defaults();
    struct el_replay_result result = { .asked = 10, .all = { .rows = 100, .same = 90, .values = 10, .sum = 5 } };
    result.worst = result.all;
    assert_null(el_replay_judge(&result, &probe));
    result.all.same = 89;
    struct el_status *status = el_replay_judge(&result, &probe);
    assert_non_null(strstr(el_status_text(status), "in 89 of 100 rows, 89 %; 90 % is expected (min_agreement)"));
    el_status_free(status);
    probe.min_agreement = 0;
    probe.max_drift = 0.49;
    status = el_replay_judge(&result, &probe);
    assert_non_null(strstr(el_status_text(status), "by 0.5 on average"));
    el_status_free(status);
    probe.max_drift = 0.5;
    assert_null(el_replay_judge(&result, &probe));
    result.failed = 1;
    status = el_replay_judge(&result, &probe);
    assert_non_null(strstr(el_status_text(status), "1 of 10 recent requests"));
    el_status_free(status);
}

static struct el_tensor scores(float *list, int64_t rows)
{
    return (struct el_tensor){ .dtype = EL_FLOAT,
                               .shape = { .rank = 2, .dims = { rows, 1 } },
                               .data = list,
                               .size = (size_t)rows * sizeof *list };
}

static void scores_that_moved_or_stand_still_are_seen(void **unused)
{
    (void)unused;
    float old[16], moved[16], squeezed[16], still[16];
    for (int i = 0; i < 16; i++) {
        old[i] = (float)i;
        moved[i] = (float)i + 4;
        squeezed[i] = 7.5f + ((float)i - 7.5f) / 100;
        still[i] = 0.5f;
    }
    const struct el_tensor was = scores(old, 16), away = scores(moved, 16), close = scores(squeezed, 16),
                           same = scores(still, 16), few = scores(old, 15);
    const struct {
        const struct el_tensor *found;
        double distance;
    } cases[] = { { &was, 0 }, { &away, 0.25 }, { &close, 0.5 }, { &few, 0 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct el_spread spread = { 0 };
        el_spread_add(&spread, cases[i].found, &was);
        const double distance = el_spread_distance(&spread);
        if (distance < cases[i].distance - 1e-9 || distance > cases[i].distance + 1e-9)
            fail_msg("case %zu: the scores are %g apart; expected %g", i, distance, cases[i].distance);
        el_spread_free(&spread);
    }
    struct el_spread many = { 0 };
    for (int i = 0; i < 1000; i++)
        el_spread_add(&many, i % 2 == 0 ? &was : &away, &was);
    assert_int_equal(many.count, EL_SPREAD_KEPT); /* of 16,000 */
    const double distance = el_spread_distance(&many);
    assert_true(distance > 0.05 && distance < 0.2); /* half of them moved by a quarter */
    el_spread_free(&many);

    struct el_variety found = { 0 }, expected = { 0 };
    el_variety_add(&found, &same);
    el_variety_add(&expected, &was);
    assert_true(el_variety_lost(&found, &expected));
    assert_false(el_variety_lost(&found, &found)); /* the serving version does no better */
    el_variety_add(&found, &was);
    assert_false(el_variety_lost(&found, &expected));

    struct el_probe_config probe = el_probe_defaults();
    struct el_replay_result result = {
        .spread = 0.3, .spread_output = "score", .constant = "score", .constant_rows = 16
    };
    assert_null(el_replay_judge(&result, &probe)); /* not checked */
    probe.max_spread = 0.2;
    struct el_status *status = el_replay_judge(&result, &probe);
    assert_non_null(
        strstr(el_status_text(status), "0.3 from the serving version's (Kolmogorov-Smirnov); 0.2 is allowed"));
    el_status_free(status);
    status = el_replay_judge_varies(&result);
    assert_non_null(strstr(el_status_text(status), "\"score\" is the same in all 16 rows"));
    el_status_free(status);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(openvino_must_answer_like_tensorflow),
        cmocka_unit_test(half_precision_is_compared_as_numbers),
        cmocka_unit_test(agreement_counts_rows_and_differences),
        cmocka_unit_test(drift_has_limits),
        cmocka_unit_test(scores_that_moved_or_stand_still_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
