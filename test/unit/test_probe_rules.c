/* SPDX-License-Identifier: Apache-2.0 */
/* The swapper's pure rules: what is made up for a probe, what its answers mean, what is compatible. */
#include "swap/compatibility.h"
#include "swap/probe_inputs.h"
#include "swap/probe_judge.h"
#include "test_probe_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char input_name[] = "input", pixels_name[] = "pixels", prediction_name[] = "prediction";
static char default_name[] = "serving_default", init_name[] = "__saved_model_init_op";

/* ---- inputs ---- */

static void made_up_inputs_are_finite_small_and_the_same_each_time(void **unused)
{
    (void)unused;
    static const enum el_dtype dtypes[] = { EL_FLOAT, EL_DOUBLE, EL_HALF,  EL_BFLOAT16,  EL_INT8,       EL_UINT8,
                                            EL_INT16, EL_INT32,  EL_INT64, EL_UINT16,    EL_UINT32,     EL_UINT64,
                                            EL_BOOL,  EL_STRING, EL_QINT8, EL_COMPLEX64, EL_COMPLEX128, EL_QINT32 };
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        struct el_tensor_info input = probe_info(input_name, dtypes[i], -1, 7);
        struct el_signature asked = probe_signature(&input, NULL);
        const struct el_probe_variant variant = { .batch = 3, .size = 1, .rank = 1, .text = true };
        struct el_probe_inputs a, b;
        assert_null(el_probe_inputs_make(&asked, &variant, &a));
        assert_null(el_probe_inputs_make(&asked, &variant, &b));
        assert_int_equal(a.count, 1);
        assert_int_equal(a.list[0].shape.dims[0], 3);
        assert_int_equal(a.list[0].shape.dims[1], 7);
        assert_null(el_tensor_check(&a.list[0]));
        assert_true(el_tensor_first_nonfinite(&a.list[0]) < 0);
        assert_memory_equal(a.list[0].data, b.list[0].data, a.list[0].size);
        el_probe_inputs_free(&a);
        el_probe_inputs_free(&b);
    }
}

static void halves_lie_between_0_and_1(void **unused)
{
    (void)unused;
    struct el_tensor_info input = probe_info(input_name, EL_HALF, 100, 100);
    struct el_signature asked = probe_signature(&input, NULL);
    const struct el_probe_variant variant = { .batch = 1 };
    struct el_probe_inputs inputs;
    assert_null(el_probe_inputs_make(&asked, &variant, &inputs));
    const uint16_t *values = inputs.list[0].data;
    for (size_t i = 0; i < 10000; i++)
        assert_true(values[i] < 0x3c00); /* 1.0; positive halves are ordered like their bits */
    el_probe_inputs_free(&inputs);
}

static void what_is_left_open_is_guessed(void **unused)
{
    (void)unused;
    struct el_probe_variant variants[EL_PROBE_VARIANTS];
    struct el_tensor_info input = probe_info(input_name, EL_FLOAT, -1, 784);
    struct el_signature asked = probe_signature(&input, NULL);
    assert_int_equal(el_probe_variants(&asked, 1, variants), 1);
    assert_true(el_probe_has_batch(&asked));
    assert_false(el_probe_is_guess(&asked));

    input = probe_info(input_name, EL_FLOAT, 1, 784);
    assert_false(el_probe_has_batch(&asked));

    input = probe_info(input_name, EL_STRING, -1, -1);
    assert_true(el_probe_is_guess(&asked));
    assert_true(el_probe_variants(&asked, 3, variants) > 4);
    assert_int_equal(variants[0].batch, 3);

    input.shape.rank = -1;
    uint32_t count = el_probe_variants(&asked, 1, variants);
    assert_true(count <= EL_PROBE_VARIANTS);
    for (uint32_t i = 0; i < count; i++) {
        struct el_probe_inputs inputs;
        assert_null(el_probe_inputs_make(&asked, &variants[i], &inputs));
        assert_int_equal(inputs.list[0].shape.rank, variants[i].rank);
        assert_null(el_tensor_check(&inputs.list[0]));
        el_probe_inputs_free(&inputs);
    }
}

static void integers_may_have_to_be_places_in_something_short(void **unused)
{
    (void)unused;
    struct el_probe_variant variants[EL_PROBE_VARIANTS];
    struct el_tensor_info input = probe_info(input_name, EL_INT32, -1, 16);
    struct el_signature asked = probe_signature(&input, NULL);
    assert_int_equal(el_probe_variants(&asked, 1, variants), 2);
    bool all_zero[2];
    for (uint32_t i = 0; i < 2; i++) {
        static const int32_t zeros[16];
        struct el_probe_inputs inputs;
        assert_null(el_probe_inputs_make(&asked, &variants[i], &inputs));
        assert_int_equal(inputs.list[0].size, sizeof zeros);
        all_zero[i] = memcmp(inputs.list[0].data, zeros, sizeof zeros) == 0;
        el_probe_inputs_free(&inputs);
    }
    assert_false(all_zero[0]);
    assert_true(all_zero[1]);

    /* However much is open, some guesses are of zeros. */
    input.shape.rank = -1;
    assert_true(variants[el_probe_variants(&asked, 1, variants) - 1].zeros);
}

static void inputs_beyond_all_measure_are_not_made(void **unused)
{
    (void)unused;
    const struct el_probe_variant variant = { .batch = 1 };
    struct el_probe_inputs inputs;
    struct el_tensor_info input = probe_info(input_name, EL_FLOAT, INT64_C(1) << 40, INT64_C(1) << 40);
    struct el_signature asked = probe_signature(&input, NULL);
    struct el_status *status = el_probe_inputs_make(&asked, &variant, &inputs);
    assert_non_null(status);
    el_status_free(status);

    input = probe_info(input_name, EL_STRING, INT64_C(1) << 40, 1);
    status = el_probe_inputs_make(&asked, &variant, &inputs);
    assert_int_equal(el_status_code(status), EL_RESOURCE_EXHAUSTED);
    el_status_free(status);

    input = probe_info(input_name, EL_RESOURCE, 1, 1);
    status = el_probe_inputs_make(&asked, &variant, &inputs);
    assert_int_equal(el_status_code(status), EL_UNIMPLEMENTED);
    el_status_free(status);
}

static void only_signatures_with_outputs_are_run(void **unused)
{
    (void)unused;
    struct el_tensor_info input = probe_info(input_name, EL_FLOAT, -1, 784),
                          output = probe_info(prediction_name, EL_FLOAT, -1, 10);
    struct el_signature asked = probe_signature(&input, &output);
    assert_true(el_probe_runs(&asked));
    asked.name = init_name;
    assert_false(el_probe_runs(&asked));
    asked = probe_signature(&input, NULL);
    assert_false(el_probe_runs(&asked));
}

/* ---- compatibility ---- */

static void expect_compatible(struct el_signature *old, struct el_signature *new_, const char *difference)
{
    const struct el_signatures was = { .list = old, .count = 1 }, is = { .list = new_, .count = new_ != NULL ? 1 : 0 };
    struct el_status *status = el_compatible(&was, 1, &is, 2);
    if (difference == NULL) {
        assert_null(status);
        return;
    }
    assert_int_equal(el_status_code(status), EL_FAILED_PRECONDITION);
    if (strstr(el_status_text(status), difference) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", el_status_text(status), difference);
    el_status_free(status);
}

static void a_new_version_must_understand_todays_clients(void **unused)
{
    (void)unused;
    struct el_tensor_info old_in = probe_info(input_name, EL_FLOAT, -1, 784), in = old_in;
    struct el_tensor_info old_out = probe_info(prediction_name, EL_FLOAT, -1, 10), out = old_out;
    struct el_signature old = probe_signature(&old_in, &old_out), new_ = probe_signature(&in, &out);
    expect_compatible(&old, &new_, NULL);

    in.name = pixels_name;
    expect_compatible(
        &old, &new_,
        "serving_default: - input \"input\" float [?,784], serving_default: + input \"pixels\" float [?,784]");
    in = probe_info(input_name, EL_DOUBLE, -1, 784);
    expect_compatible(&old, &new_, "+ input \"input\" double [?,784]");
    in = probe_info(input_name, EL_FLOAT, 1, 784); /* a batch of one only: tightened */
    expect_compatible(&old, &new_, "+ input \"input\" float [1,784]");
    in = probe_info(input_name, EL_FLOAT, -1, -1); /* loosened */
    expect_compatible(&old, &new_, NULL);
    in.shape.rank = -1;
    expect_compatible(&old, &new_, NULL);
    in = old_in;

    out = probe_info(prediction_name, EL_FLOAT, -1, 7);
    expect_compatible(&old, &new_, "+ output \"prediction\" float [?,7]");
    out = probe_info(prediction_name, EL_FLOAT, -1, -1); /* what really comes out is probed */
    expect_compatible(&old, &new_, NULL);
    out = probe_info(pixels_name, EL_FLOAT, -1, 10);
    expect_compatible(&old, &new_, "- output \"prediction\"");
    expect_compatible(&old, NULL, "- signature \"serving_default\"");
}

/* ---- judging ---- */

static void expect_judgement(const struct answer *answer, const struct answer *serving, const char *refused,
                             const char *warning)
{
    struct el_buf text = { 0 };
    const struct el_judged none = { 0 };
    const struct el_judged *beside = serving != NULL ? &serving->judged : &none;
    struct el_status *status = el_probe_judge_runs(&answer->judged, beside, &text);
    if (status == NULL)
        status = el_probe_judge_sane(&answer->judged, beside);
    if (refused == NULL && status != NULL)
        fail_msg("refused: %s", el_status_text(status));
    if (refused != NULL && strstr(el_status_text(status), refused) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", el_status_text(status), refused);
    el_buf_byte(&text, 0);
    assert_int_equal(warning != NULL, text.size > 1);
    if (warning != NULL)
        assert_non_null(strstr((const char *)text.data, warning));
    el_buf_free(&text);
    el_status_free(status);
}

static void answers_must_be_finite_and_as_declared(void **unused)
{
    (void)unused;
    struct answer answer, serving;
    probe_good_answer(&answer);
    probe_good_answer(&serving);
    assert_false(el_probe_suspicious(&answer.judged));
    expect_judgement(&answer, NULL, NULL, NULL);
    expect_judgement(&answer, &serving, NULL, NULL);

    answer.numbers[3] = NAN;
    assert_true(el_probe_suspicious(&answer.judged));
    expect_judgement(&answer, NULL, "output \"prediction\" is not finite (element 3", NULL);
    expect_judgement(&answer, &serving, "not finite", NULL);
    serving.numbers[0] = INFINITY; /* the serving version is no better on these inputs */
    expect_judgement(&answer, &serving, NULL, NULL);

    probe_good_answer(&answer);
    answer.tensor.shape.dims[1] = 7;
    expect_judgement(&answer, NULL, "declared with shape [?,10] but came with shape [1,7]", NULL);
    answer.output.shape.dims[1] = -1; /* declared as anything, but not what the serving version declares */
    expect_judgement(&answer, NULL, NULL, NULL);
    expect_judgement(&answer, &serving, "the serving version declares shape [?,10]", NULL);

    probe_good_answer(&answer);
    answer.tensor.dtype = EL_INT32;
    expect_judgement(&answer, NULL, "declared float but came as int32", NULL);
}

static void made_up_strings_may_be_refused(void **unused)
{
    (void)unused;
    struct answer answer, serving;
    probe_good_answer(&answer);
    probe_good_answer(&serving);
    struct el_status *invalid = el_status_new(EL_INVALID_ARGUMENT, "Could not parse example input");
    answer.pass.status = invalid;
    answer.pass.output_count = 0;
    expect_judgement(&answer, NULL, "Could not parse example input", NULL); /* floats are no guess */
    answer.input.dtype = EL_STRING;
    expect_judgement(&answer, NULL, NULL, "could not be probed");
    expect_judgement(&answer, &serving, "Could not parse example input", NULL); /* the serving version could */
    serving.pass.status = invalid;
    expect_judgement(&answer, &serving, NULL, "nor could the serving version");
    el_status_free(invalid);

    struct el_status *internal = el_status_new(EL_INTERNAL, "broken");
    answer.pass.status = internal;
    expect_judgement(&answer, NULL, "broken", NULL);
    el_status_free(internal);
}

static void a_side_signature_may_be_beyond_an_engine(void **unused)
{
    (void)unused;
    struct answer answer;
    probe_good_answer(&answer);
    static char side_name[] = "names";
    struct el_signature both[] = { answer.signature, answer.signature };
    both[0].name = side_name;
    answer.signatures = (struct el_signatures){ .list = both, .count = 2 };
    struct el_status *cannot = el_status_new(EL_UNIMPLEMENTED, "strings");
    struct el_pass passes[] = { answer.pass, answer.pass };
    passes[0] = (struct el_pass){ .batch = 1, .signature = 0, .status = cannot };
    passes[1].signature = 1;
    answer.judged.passes = passes;
    answer.judged.pass_count = 2;
    expect_judgement(&answer, NULL, NULL, "signature \"names\" could not be probed");
    answer.judged.pass_count = 1; /* nothing else answers */
    expect_judgement(&answer, NULL, "strings", NULL);
    both[0].name = default_name; /* the main one must be answered */
    answer.judged.pass_count = 2;
    expect_judgement(&answer, NULL, "strings", NULL);
    static char other_name[] = "other";
    both[1].name = other_name;
    answer.judged.partial = true; /* ... unless the engine was forced */
    expect_judgement(&answer, NULL, NULL, "signature \"serving_default\" could not be probed");
    answer.judged.pass_count = 1;
    expect_judgement(&answer, NULL, "strings", NULL);
    el_status_free(cannot);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_up_inputs_are_finite_small_and_the_same_each_time),
        cmocka_unit_test(halves_lie_between_0_and_1),
        cmocka_unit_test(what_is_left_open_is_guessed),
        cmocka_unit_test(integers_may_have_to_be_places_in_something_short),
        cmocka_unit_test(inputs_beyond_all_measure_are_not_made),
        cmocka_unit_test(only_signatures_with_outputs_are_run),
        cmocka_unit_test(a_new_version_must_understand_todays_clients),
        cmocka_unit_test(answers_must_be_finite_and_as_declared),
        cmocka_unit_test(made_up_strings_may_be_refused),
        cmocka_unit_test(a_side_signature_may_be_beyond_an_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
