/* SPDX-License-Identifier: Apache-2.0 */
/* The swapper's pure rules: what is made up for a probe, what its answers mean, which engine serves, what is compatible. */
#include "swap/compatibility.h"
#include "swap/engine_choice.h"
#include "swap/events.h"
#include "swap/latency.h"
#include "swap/memory.h"
#include "swap/probe_inputs.h"
#include "swap/probe_judge.h"
#include "swap/replay.h"
#include "swap/respawn.h"
#include "swap/retry.h"
#include "swap/servable.h"
#include "swap/settings.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(list) ((uint32_t)(sizeof(list) / sizeof(list)[0]))

static char input_name[] = "input", pixels_name[] = "pixels", prediction_name[] = "prediction", empty[] = "";
static char default_name[] = "serving_default", init_name[] = "__saved_model_init_op";

static struct el_tensor_info info(char *name, enum el_dtype dtype, int64_t rows, int64_t columns)
{
    return (struct el_tensor_info){
        .name = name, .tensor_name = empty, .dtype = dtype, .shape = { .rank = 2, .dims = { rows, columns } }
    };
}

static struct el_signature signature(struct el_tensor_info *input, struct el_tensor_info *output)
{
    return (struct el_signature){ .name = default_name,
                                  .method_name = empty,
                                  .inputs = input,
                                  .outputs = output,
                                  .input_count = 1,
                                  .output_count = output != NULL ? 1 : 0 };
}

/* ---- inputs ---- */

static void made_up_inputs_are_finite_small_and_the_same_each_time(void **unused)
{
    (void)unused;
    static const enum el_dtype dtypes[] = { EL_FLOAT, EL_DOUBLE, EL_HALF,  EL_BFLOAT16,  EL_INT8,       EL_UINT8,
                                            EL_INT16, EL_INT32,  EL_INT64, EL_UINT16,    EL_UINT32,     EL_UINT64,
                                            EL_BOOL,  EL_STRING, EL_QINT8, EL_COMPLEX64, EL_COMPLEX128, EL_QINT32 };
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        struct el_tensor_info input = info(input_name, dtypes[i], -1, 7);
        struct el_signature asked = signature(&input, NULL);
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
    struct el_tensor_info input = info(input_name, EL_HALF, 100, 100);
    struct el_signature asked = signature(&input, NULL);
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
    struct el_tensor_info input = info(input_name, EL_FLOAT, -1, 784);
    struct el_signature asked = signature(&input, NULL);
    assert_int_equal(el_probe_variants(&asked, 1, variants), 1);
    assert_true(el_probe_has_batch(&asked));
    assert_false(el_probe_is_guess(&asked));

    input = info(input_name, EL_FLOAT, 1, 784);
    assert_false(el_probe_has_batch(&asked));

    input = info(input_name, EL_STRING, -1, -1);
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
    struct el_tensor_info input = info(input_name, EL_INT32, -1, 16);
    struct el_signature asked = signature(&input, NULL);
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
    struct el_tensor_info input = info(input_name, EL_FLOAT, INT64_C(1) << 40, INT64_C(1) << 40);
    struct el_signature asked = signature(&input, NULL);
    struct el_status *status = el_probe_inputs_make(&asked, &variant, &inputs);
    assert_non_null(status);
    el_status_free(status);

    input = info(input_name, EL_STRING, INT64_C(1) << 40, 1);
    status = el_probe_inputs_make(&asked, &variant, &inputs);
    assert_int_equal(el_status_code(status), EL_RESOURCE_EXHAUSTED);
    el_status_free(status);

    input = info(input_name, EL_RESOURCE, 1, 1);
    status = el_probe_inputs_make(&asked, &variant, &inputs);
    assert_int_equal(el_status_code(status), EL_UNIMPLEMENTED);
    el_status_free(status);
}

static void only_signatures_with_outputs_are_run(void **unused)
{
    (void)unused;
    struct el_tensor_info input = info(input_name, EL_FLOAT, -1, 784), output = info(prediction_name, EL_FLOAT, -1, 10);
    struct el_signature asked = signature(&input, &output);
    assert_true(el_probe_runs(&asked));
    asked.name = init_name;
    assert_false(el_probe_runs(&asked));
    asked = signature(&input, NULL);
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
    struct el_tensor_info old_in = info(input_name, EL_FLOAT, -1, 784), in = old_in;
    struct el_tensor_info old_out = info(prediction_name, EL_FLOAT, -1, 10), out = old_out;
    struct el_signature old = signature(&old_in, &old_out), new_ = signature(&in, &out);
    expect_compatible(&old, &new_, NULL);

    in.name = pixels_name;
    expect_compatible(
        &old, &new_,
        "serving_default: - input \"input\" float [?,784], serving_default: + input \"pixels\" float [?,784]");
    in = info(input_name, EL_DOUBLE, -1, 784);
    expect_compatible(&old, &new_, "+ input \"input\" double [?,784]");
    in = info(input_name, EL_FLOAT, 1, 784); /* a batch of one only: tightened */
    expect_compatible(&old, &new_, "+ input \"input\" float [1,784]");
    in = info(input_name, EL_FLOAT, -1, -1); /* loosened */
    expect_compatible(&old, &new_, NULL);
    in.shape.rank = -1;
    expect_compatible(&old, &new_, NULL);
    in = old_in;

    out = info(prediction_name, EL_FLOAT, -1, 7);
    expect_compatible(&old, &new_, "+ output \"prediction\" float [?,7]");
    out = info(prediction_name, EL_FLOAT, -1, -1); /* what really comes out is probed */
    expect_compatible(&old, &new_, NULL);
    out = info(pixels_name, EL_FLOAT, -1, 10);
    expect_compatible(&old, &new_, "- output \"prediction\"");
    expect_compatible(&old, NULL, "- signature \"serving_default\"");
}

/* ---- judging ---- */

struct answer {
    struct el_tensor_info input, output;
    struct el_signature signature;
    struct el_signatures signatures;
    float numbers[10];
    struct el_tensor tensor;
    struct el_pass pass;
    struct el_judged judged;
};

/* A float answer of [1,10], all 0.5. */
static void good_answer(struct answer *answer)
{
    answer->input = info(input_name, EL_FLOAT, -1, 784);
    answer->output = info(prediction_name, EL_FLOAT, -1, 10);
    answer->signature = signature(&answer->input, &answer->output);
    answer->signatures = (struct el_signatures){ .list = &answer->signature, .count = 1 };
    for (int i = 0; i < 10; i++)
        answer->numbers[i] = 0.5F;
    answer->tensor = (struct el_tensor){ .dtype = EL_FLOAT,
                                         .shape = { .rank = 2, .dims = { 1, 10 } },
                                         .data = answer->numbers,
                                         .size = sizeof answer->numbers };
    answer->pass = (struct el_pass){ .batch = 1, .outputs = &answer->tensor, .output_count = 1 };
    answer->judged = (struct el_judged){ .signatures = &answer->signatures, .passes = &answer->pass, .pass_count = 1 };
}

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
    good_answer(&answer);
    good_answer(&serving);
    assert_false(el_probe_suspicious(&answer.judged));
    expect_judgement(&answer, NULL, NULL, NULL);
    expect_judgement(&answer, &serving, NULL, NULL);

    answer.numbers[3] = NAN;
    assert_true(el_probe_suspicious(&answer.judged));
    expect_judgement(&answer, NULL, "output \"prediction\" is not finite (element 3", NULL);
    expect_judgement(&answer, &serving, "not finite", NULL);
    serving.numbers[0] = INFINITY; /* the serving version is no better on these inputs */
    expect_judgement(&answer, &serving, NULL, NULL);

    good_answer(&answer);
    answer.tensor.shape.dims[1] = 7;
    expect_judgement(&answer, NULL, "declared with shape [?,10] but came with shape [1,7]", NULL);
    answer.output.shape.dims[1] = -1; /* declared as anything, but not what the serving version declares */
    expect_judgement(&answer, NULL, NULL, NULL);
    expect_judgement(&answer, &serving, "the serving version declares shape [?,10]", NULL);

    good_answer(&answer);
    answer.tensor.dtype = EL_INT32;
    expect_judgement(&answer, NULL, "declared float but came as int32", NULL);
}

static void made_up_strings_may_be_refused(void **unused)
{
    (void)unused;
    struct answer answer, serving;
    good_answer(&answer);
    good_answer(&serving);
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
    good_answer(&answer);
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
    good_answer(&fast);
    good_answer(&measure);
    expect_engines(&fast, &measure, true, "agrees with tensorflow within 0.001 (largest difference 0)");
    fast.numbers[1] += 1e-4F;
    expect_engines(&fast, &measure, true, "largest difference 0.0001");
    fast.numbers[1] += 1e-2F;
    expect_engines(&fast, &measure, false, "differs from tensorflow by 0.01 in output \"prediction\"");
    fast.numbers[1] = measure.numbers[1] = NAN;
    expect_engines(&fast, &measure, true, "agrees");
    fast.numbers[1] = 0.5F;
    expect_engines(&fast, &measure, false, "differs");

    good_answer(&fast);
    good_answer(&measure);
    struct el_status *cannot = el_status_new(EL_UNIMPLEMENTED, "HashTableV2 is not converted");
    fast.pass.status = cannot;
    expect_engines(&fast, &measure, false, "cannot run signature \"serving_default\": HashTableV2");
    measure.pass.status = cannot;
    expect_engines(&fast, &measure, true, "agrees");
    fast.pass.status = NULL;
    expect_engines(&fast, &measure, false, "where tensorflow says");
    el_status_free(cannot);

    good_answer(&measure);
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

/* ---- latency, respawns ---- */

static void slower_is_relative_and_has_a_floor(void **unused)
{
    (void)unused;
    struct el_latency_result result = {
        .runs = 20, .new_ns = 50 * EL_NS_PER_MS, .fastest_ns = 48 * EL_NS_PER_MS, .old_ns = 2 * EL_NS_PER_MS
    };
    struct el_status *slow = el_latency_judge(&result, 10);
    assert_non_null(strstr(el_status_text(slow), "too slow"));
    el_status_free(slow);
    assert_null(el_latency_judge(&result, 30));
    assert_null(el_latency_judge(&result, -1));
    result.fastest_ns = 3 * EL_NS_PER_MS; /* it only waited for a processor most of the time */
    assert_null(el_latency_judge(&result, 10));
    result = (struct el_latency_result){ .runs = 20, .new_ns = 900000, .fastest_ns = 900000, .old_ns = 10000 };
    assert_null(el_latency_judge(&result, 10)); /* 90 times, but less than two milliseconds */
    result = (struct el_latency_result){ 0 };
    assert_null(el_latency_judge(&result, 10));
}

static void respawns_back_off_to_ten_seconds(void **unused)
{
    (void)unused;
    assert_int_equal(el_respawn_delay_ns(0), 0);
    assert_int_equal(el_respawn_delay_ns(1), 100 * EL_NS_PER_MS);
    assert_int_equal(el_respawn_delay_ns(2), 200 * EL_NS_PER_MS);
    assert_int_equal(el_respawn_delay_ns(7), 6400 * EL_NS_PER_MS);
    assert_int_equal(el_respawn_delay_ns(8), 10 * EL_NS_PER_S);
    assert_int_equal(el_respawn_delay_ns(1000000), 10 * EL_NS_PER_S);
}

static void put_file(const char *root, const char *path, const char *text)
{
    char command[400];
    snprintf(command, sizeof command, "mkdir -p $(dirname %s%s) && printf '%s' > %s%s", root, path, text, root, path);
    assert_int_equal(system(command), 0); /* NOLINT: a shell is what tests use for files */
}

static void the_narrowest_limit_of_memory_counts(void **unused)
{
    (void)unused;
    char root[] = "/tmp/everlit-memory-XXXXXX", command[64];
    struct el_memory_room room;
    assert_non_null(mkdtemp(root));
    el_memory_read(root, &room);
    assert_true(room.limit == UINT64_MAX && room.free == UINT64_MAX);
    put_file(root, "/proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n");
    el_memory_read(root, &room);
    assert_int_equal(room.limit, 1000 * 1024);
    assert_int_equal(room.free, 600 * 1024);
    put_file(root, "/proc/self/cgroup", "0::/a/b\n");
    put_file(root, "/sys/fs/cgroup/a/b/memory.max", "max\n");
    put_file(root, "/sys/fs/cgroup/a/b/memory.current", "300000\n");
    put_file(root, "/sys/fs/cgroup/a/memory.max", "500000\n"); /* of the group above */
    put_file(root, "/sys/fs/cgroup/a/memory.current", "450000\n");
    put_file(root, "/sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 50000\n");
    el_memory_read(root, &room);
    assert_int_equal(room.limit, 500000);
    assert_int_equal(room.free, 100000);
    put_file(root, "/proc/self/cgroup", "3:cpu:/x\n9:memory:/x\n"); /* version 1 */
    put_file(root, "/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "400000\n");
    put_file(root, "/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "390000\n");
    put_file(root, "/sys/fs/cgroup/memory/x/memory.stat", "total_inactive_file 40000\n");
    el_memory_read(root, &room);
    assert_int_equal(room.limit, 400000);
    assert_int_equal(room.free, 50000);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0); /* NOLINT */

    assert_int_equal(el_memory_estimate(10, 0, 0), (64 << 20) + 20);
    assert_int_equal(el_memory_estimate(10, 10, 500), 500);
    assert_int_equal(el_memory_estimate(5, 10, 500), 500);
    assert_int_equal(el_memory_estimate(30, 10, 500), 1500);
}

static void only_what_may_pass_is_tried_again(void **unused)
{
    (void)unused;
    static const struct {
        enum el_code code;
        const char *text;
        bool idle, busy;
    } rows[] = {
        { EL_RESOURCE_EXHAUSTED, "a socket to the worker cannot be made: Too many open files", true, true },
        { EL_RESOURCE_EXHAUSTED,
          "worker of m version 1 was killed while loading: it took 9 MiB of memory, its limit is 8 MiB", false, false },
        { EL_PERMISSION_DENIED, "x: Permission denied", true, true },
        { EL_DEADLINE_EXCEEDED, "signature \"s\" did not answer within 10 ms (probe_timeout_ms)", false, true },
        { EL_UNAVAILABLE, "worker of m version 1 was killed by signal 9 (Killed) while loading", true, true },
        { EL_UNAVAILABLE, "worker of m version 1 was killed by signal 6 (Aborted) while loading", false, false },
        { EL_UNAVAILABLE, "worker of m version 1 ended by itself with exit status 7 while loading", false, false },
        { EL_FAILED_PRECONDITION, "probe of signature \"s\": output \"y\" is not finite", false, false },
        { EL_DATA_LOSS, "Can't parse", false, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct el_status *status = el_status_new(rows[i].code, "%s", rows[i].text);
        assert_int_equal(el_retry_may_help(status, false), rows[i].idle);
        assert_int_equal(el_retry_may_help(status, true), rows[i].busy);
        el_status_free(status);
    }
    for (uint32_t jitter = 0; jitter < 3000; jitter += 7) {
        assert_in_range(el_retry_delay_ns(1, 60000, jitter), 4500 * EL_NS_PER_MS, 5500 * EL_NS_PER_MS);
        assert_in_range(el_retry_delay_ns(3, 60000, jitter), 18000 * EL_NS_PER_MS, 22000 * EL_NS_PER_MS);
        assert_in_range(el_retry_delay_ns(40, 60000, jitter), 54000 * EL_NS_PER_MS, 66000 * EL_NS_PER_MS);
        assert_int_equal(el_retry_delay_ns(1, 0, jitter), 100 * EL_NS_PER_MS);
    }
}

/* ---- lobby, servable, events, settings ---- */

static void a_lobby_has_so_many_seats(void **unused)
{
    (void)unused;
    struct el_lobby *lobby = el_lobby_new();
    assert_non_null(lobby);
    for (int i = 0; i < EL_LOBBY_SEATS; i++)
        assert_true(el_lobby_enter(lobby));
    assert_false(el_lobby_enter(lobby));
    el_lobby_leave(lobby);
    assert_true(el_lobby_enter(lobby));
    el_lobby_close(lobby); /* its model is gone; those who wait still leave it in order, the last one frees it */
    for (int i = 0; i < EL_LOBBY_SEATS; i++)
        el_lobby_leave(lobby);
}

static void a_servable_goes_with_its_last_request(void **unused)
{
    (void)unused;
    struct el_list lingering;
    el_list_init(&lingering);
    struct el_servable *servable = el_servable_new(7);
    assert_non_null(servable);
    el_servable_pin(servable);
    el_servable_pin(servable);
    assert_false(el_servable_unpin(servable)); /* nobody waits for it yet */
    el_servable_disown(servable, &lingering);
    assert_false(el_list_empty(&lingering));
    el_servable_sweep(&lingering);
    assert_false(el_list_empty(&lingering));
    assert_true(el_servable_unpin(servable));
    el_servable_sweep(&lingering);
    assert_true(el_list_empty(&lingering));
}

static void keep_ids(const struct el_event *event, void *argument)
{
    uint64_t *ids = argument;
    if (ids[0] == 0)
        ids[0] = event->id;
    else
        assert_int_equal(event->id, ids[1] + 1);
    ids[1] = event->id;
}

static void the_last_4096_events_are_kept_without_holes(void **unused)
{
    (void)unused;
    struct el_events events;
    assert_null(el_events_init(&events));
    for (int i = 0; i < EL_EVENTS_KEPT + 100; i++)
        el_events_add(&events, EL_LOG_INFO, "test", "m", i, "text");
    uint64_t ids[2] = { 0 };
    el_events_each(&events, 0, keep_ids, ids);
    assert_int_equal(ids[0], 101);
    assert_int_equal(ids[1], EL_EVENTS_KEPT + 100);
    uint64_t later[2] = { 0 };
    el_events_each(&events, EL_EVENTS_KEPT + 98, keep_ids, later);
    assert_int_equal(later[0], EL_EVENTS_KEPT + 99);
    el_events_free(&events);
}

static void settings_are_copied_with_their_defaults(void **unused)
{
    (void)unused;
    static char name[] = "m", path[] = "/models/m", label[] = "stable";
    int64_t versions[] = { 3, 5 };
    struct el_version_label labels[] = { { .label = label, .version = 3 } };
    const struct el_model_config from = {
        .name = name,
        .base_path = path,
        .policy = { .type = EL_POLICY_SPECIFIC, .versions = versions, .version_count = 2 },
        .labels = labels,
        .label_count = 1
    };
    struct el_model_config a, b;
    assert_null(el_settings_copy(&from, &a));
    assert_null(el_settings_copy(&from, &b));
    assert_string_equal(a.update.engine, "auto");
    assert_int_equal(a.update.keep_warm_ms, 0); /* a zero means what it says */
    assert_int_equal(a.policy.versions[1], 5);
    assert_string_equal(a.labels[0].label, "stable");
    assert_true(el_settings_same_source(&a, &b));
    assert_true(el_settings_same_worker(&a, &b));
    b.update.engine[0] = 'x';
    assert_false(el_settings_same_worker(&a, &b));
    b.base_path[1] = 'x';
    assert_false(el_settings_same_source(&a, &b));
    el_settings_free(&a);
    el_settings_free(&b);
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
    const struct CMUnitTest tests[] = {
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
        cmocka_unit_test(openvino_must_answer_like_tensorflow),
        cmocka_unit_test(half_precision_is_compared_as_numbers),
        cmocka_unit_test(slower_is_relative_and_has_a_floor),
        cmocka_unit_test(respawns_back_off_to_ten_seconds),
        cmocka_unit_test(only_what_may_pass_is_tried_again),
        cmocka_unit_test(the_narrowest_limit_of_memory_counts),
        cmocka_unit_test(a_lobby_has_so_many_seats),
        cmocka_unit_test(a_servable_goes_with_its_last_request),
        cmocka_unit_test(the_last_4096_events_are_kept_without_holes),
        cmocka_unit_test(settings_are_copied_with_their_defaults),
        cmocka_unit_test(agreement_counts_rows_and_differences),
        cmocka_unit_test(drift_has_limits),
        cmocka_unit_test(scores_that_moved_or_stand_still_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
