/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plug-in, loaded as a host loads it, against the answers that TensorFlow's
 * Python recorded, and against models that are broken.
 *
 *     test_engine PLUGIN REPOSITORY
 *
 * The same stories for each engine; where they may differ, `ov` and `tf` say how.
 */
#include "test_engine_support.h"

#include "base/clock.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* A sanitizer keeps freed memory for a while and writes warnings of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SANITIZED true
#elif defined(__has_feature)
#    if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#        define SANITIZED true
#    endif
#endif
#ifndef SANITIZED
#    define SANITIZED false
#endif

static const char *plugin_path, *root;
static struct plugin plugin;
static bool ov; /* the engine is OpenVINO; otherwise TensorFlow */

static int load(void **state)
{
    (void)state;
    plugin_load(&plugin, plugin_path);
    ov = strcmp(plugin.engine->name, "openvino") == 0;
    return 0;
}

static int unload(void **state)
{
    (void)state;
    plugin_unload(&plugin);
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static unsigned count_threads(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/task");
    assert_non_null(directory);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

static void it_starts_no_thread_before_a_model(void **unused)
{
    (void)unused;
    assert_int_equal(count_threads(), 1);
    assert_true(plugin.engine->version[0] >= '0' && plugin.engine->version[0] <= '9');
}

/* ---- answers ---- */

static double tolerance(void)
{
    return ov ? 1e-4 : 1e-5;
}

/*
 * What OpenVINO does not do: strings, complex and quantized numbers, a rank that is not known, tables. And where its
 * arithmetic ends differently at the edges of a dtype: it saturates where TensorFlow wraps around, and computes double as float.
 */
enum expectation { SAME, REFUSED, OTHER_AT_THE_EDGES };

static enum expectation expected_of(const char *model, const char *signature)
{
    static const char *const refused[] = {
        "names",       "same_complex64", "same_complex128", "double_complex64", "double_complex128",
        "same_string", "angle_string",   "grid_string",     "everything",       "any_rank",
        "same_qint8",  "same_quint8",    "same_qint16",     "same_quint16",     "same_qint32",
    };
    static const char *const other[] = { "double_float64", "double_int8", "double_uint8" };
    if (!ov)
        return SAME;
    for (size_t i = 0; i < LENGTH(refused); i++)
        if (strcmp(signature, refused[i]) == 0)
            return REFUSED;
    for (size_t i = 0; i < LENGTH(other); i++)
        if (strcmp(model, "types-1") == 0 && strcmp(signature, other[i]) == 0)
            return OTHER_AT_THE_EDGES;
    return SAME;
}

/* Runs one recorded case. Says what is wrong, or returns true. */
static bool replay_case(const char *model_name, void *model, json_t *test)
{
    struct recorded recorded;
    struct sink sink = { 0 };
    struct everlit_error error;
    char why[400] = "";
    recorded_open(&plugin, model, test, &recorded);
    const int code = recorded_run(&plugin, model, &recorded, &sink, &error);
    bool good = false;
    switch (expected_of(model_name, recorded.signature->name)) {
    case SAME:
        good = code == 0 && recorded_matches(&recorded, &sink, tolerance(), why, sizeof why);
        break;
    case REFUSED:
        good = code == 12 && strstr(error.text, recorded.signature->name) != NULL;
        break;
    case OTHER_AT_THE_EDGES:
        good = code == 0;
        break;
    }
    if (!good)
        print_error("%s, %s (%s): code %d %s %s\n", model_name, recorded.name, recorded.signature->name, code,
                    error.text, why);
    sink_clear(&sink);
    recorded_close(&recorded);
    return good;
}

static void replay(const char *name)
{
    json_t *json = recorded_load(root, name);
    void *model = plugin_open_good(&plugin, path_of(json_string_value(json_object_get(json, "path"))), 1);
    recorded_check_signatures(&plugin, model, json);
    size_t i;
    json_t *test;
    unsigned wrong = 0;
    json_array_foreach (json_object_get(json, "cases"), i, test) {
        wrong += !replay_case(name, model, test);
    }
    assert_true(i > 0);
    plugin.engine->close(model);
    json_decref(json);
    assert_int_equal(wrong, 0);
}

static void it_answers_as_tensorflow_did(void **unused)
{
    (void)unused;
    replay("digits-1");
    replay("digits-2");
    replay("half_plus_two-1");
}

static void it_takes_every_dtype_that_it_has(void **unused)
{
    (void)unused;
    replay("types-1");
}

static void a_model_of_strings_runs_or_is_refused_by_the_ops_name(void **unused)
{
    (void)unused;
    if (!ov) {
        replay("labels-1");
        return;
    }
    struct everlit_error error;
    int code;
    assert_null(plugin_open(&plugin, path_of("models/labels/1"), 1, &code, &error));
    assert_int_equal(code, 12);
    assert_non_null(strstr(error.text, "models/labels/1"));
    assert_non_null(strstr(error.text, "serving_default"));
}

/* ---- a run of `digits`, built by hand ---- */

struct digits {
    void *model;
    float *input;
    struct everlit_tensor tensor;
    uint32_t output;
    struct everlit_run run;
    struct sink sink;
};

static void digits_open(struct digits *digits, void *model, int64_t rows)
{
    uint32_t signature;
    *digits = (struct digits){ .model = model };
    plugin_signature(&plugin, model, "serving_default", &signature);
    const size_t size = (size_t)rows * 784 * sizeof(float);
    digits->input = aligned_alloc(64, (size + 64) / 64 * 64);
    assert_non_null(digits->input);
    for (size_t i = 0; i < (size_t)rows * 784; i++)
        digits->input[i] = (float)(i * 7 % 17) / 16.0F;
    digits->tensor = (struct everlit_tensor){
        .dtype = 1,
        .rank = 2,
        .dims = { rows, 784 },
        .data = digits->input,
        .size = size,
    };
    digits->run = (struct everlit_run){
        .struct_size = sizeof digits->run,
        .signature = signature,
        .inputs = &digits->tensor,
        .input_count = 1,
        .outputs = &digits->output,
        .output_count = 1,
        .deadline_ns = UINT64_MAX,
        .host = &digits->sink,
        .output = sink_output,
    };
}

static void digits_close(struct digits *digits)
{
    sink_clear(&digits->sink);
    free(digits->input);
}

static int digits_run(struct digits *digits, struct everlit_error *error)
{
    error->text[0] = '\0';
    digits->run.host = &digits->sink; /* the struct may have been copied */
    digits->run.inputs = &digits->tensor;
    digits->run.outputs = &digits->output;
    sink_clear(&digits->sink);
    return plugin.engine->run(digits->model, &digits->run, error);
}

static void a_row_is_answered_the_same_in_every_batch(void **unused)
{
    (void)unused;
    static const int64_t batches[] = { 1, 3, 100, 2, 500, 1, 40, 0, 1 }; /* from 22 on the memory is lent, not copied */
    void *model = plugin_open_good(&plugin, path_of("models/digits/2"), 1);
    for (size_t i = 0; i < LENGTH(batches); i++) {
        struct digits batch, row;
        struct everlit_error error;
        digits_open(&batch, model, batches[i]);
        assert_int_equal(digits_run(&batch, &error), 0);
        const struct everlit_tensor *answer = &batch.sink.tensors[0];
        assert_int_equal(answer->rank, 2);
        assert_int_equal(answer->dims[0], batches[i]);
        assert_int_equal(answer->dims[1], 10);
        for (int64_t r = 0; r < batches[i]; r += 1 + batches[i] / 3) {
            digits_open(&row, model, 1);
            memcpy(row.input, batch.input + r * 784, 784 * sizeof(float));
            assert_int_equal(digits_run(&row, &error), 0);
            for (int64_t c = 0; c < 10; c++) {
                const float one = ((const float *)row.sink.tensors[0].data)[c];
                const float many = ((const float *)answer->data)[r * 10 + c];
                assert_true(one - many < 1e-5F && many - one < 1e-5F);
            }
            digits_close(&row);
        }
        digits_close(&batch);
    }
    plugin.engine->close(model);
}

/* ---- what a client can do wrong ---- */

static void wrong_requests_are_refused_and_the_model_goes_on(void **unused)
{
    (void)unused;
    void *model = plugin_open_good(&plugin, path_of("models/digits/1"), 1);
    struct digits digits;
    struct everlit_error error;
    digits_open(&digits, model, 1);
    const struct everlit_run good_run = digits.run;
    const struct everlit_tensor good_tensor = digits.tensor;

    digits.tensor.dims[1] = 392; /* half a digit, twice */
    digits.tensor.dims[0] = 2;
    assert_int_equal(digits_run(&digits, &error), 3);
    assert_non_null(strstr(error.text, "392"));
    digits.tensor = good_tensor;
    digits.tensor.dtype = 3; /* as many bytes, but int32 */
    assert_int_equal(digits_run(&digits, &error), 3);
    assert_non_null(strstr(error.text, "int32"));
    digits.tensor = good_tensor;
    digits.tensor.size = 100;
    assert_int_equal(digits_run(&digits, &error), 3);
    digits.tensor = good_tensor;
    digits.tensor.index = 1;
    assert_int_equal(digits_run(&digits, &error), 3);
    digits.tensor = good_tensor;
    digits.run.input_count = 0;
    assert_int_equal(digits_run(&digits, &error), 3);
    assert_non_null(strstr(error.text, "\"input\""));
    digits.run = good_run;
    digits.run.signature = 1000;
    assert_int_equal(digits_run(&digits, &error), 3);
    digits.run = good_run;
    digits.output = 1;
    assert_int_equal(digits_run(&digits, &error), 3);
    digits.output = 0;
    digits.run.deadline_ns = 1; /* long ago */
    assert_int_equal(digits_run(&digits, &error), 4);
    digits.run = good_run;
    digits.sink.refuse = true;
    assert_int_equal(digits_run(&digits, &error), 8);
    digits.sink.refuse = false;

    assert_int_equal(digits_run(&digits, &error), 0);
    assert_int_equal(digits.sink.count, 1);
    digits.run.output_count = 0;
    assert_int_equal(digits_run(&digits, &error), ov ? 0 : 3); /* TensorFlow: "Must specify at least one target…" */
    digits_close(&digits);
    plugin.engine->close(model);
}

/* A signature without inputs and outputs to run: TensorFlow's own init op, which every TensorFlow 2 model lists. */
static void what_is_no_request_is_refused(void **unused)
{
    (void)unused;
    void *model = plugin_open_good(&plugin, path_of("models/digits/1"), 1);
    uint32_t signature;
    const uint32_t output = 0;
    struct everlit_error error;
    struct sink sink = { 0 };
    plugin_signature(&plugin, model, "__saved_model_init_op", &signature);
    const struct everlit_run run = {
        .struct_size = sizeof run,
        .signature = signature,
        .outputs = &output,
        .output_count = 1,
        .deadline_ns = UINT64_MAX,
        .host = &sink,
        .output = sink_output,
    };
    assert_int_equal(plugin.engine->run(model, &run, &error), ov ? 12 : 3);
    assert_non_null(
        strstr(error.text, ov ? "__saved_model_init_op" : "Tried to fetch data for 'NoOp', which has no outputs."));
    plugin.engine->close(model);
}

/* ---- broken models ---- */

static void broken_models_are_refused_with_a_reason(void **unused)
{
    (void)unused;
    static const struct {
        const char *path, *text;
    } broken[] = {
        { "models/broken/random_bytes", "saved_model.pb" },
        { "models/broken/truncated_pb", "saved_model.pb" },
        { "models/broken/not_a_number", "saved_model.pb" },
        { "models/broken/short_variables", "short_variables" },
        { "models/nowhere", "models/nowhere" },
    };
    for (size_t i = 0; i < LENGTH(broken); i++) {
        struct everlit_error error;
        int code;
        assert_null(plugin_open(&plugin, path_of(broken[i].path), 1, &code, &error));
        assert_in_range(code, 1, 16);
        if (strstr(error.text, broken[i].text) == NULL)
            fail_msg("%s: %s", broken[i].path, error.text);
    }
}

static void variables_that_are_missing_show_at_the_latest_in_the_first_answer(void **unused)
{
    (void)unused;
    struct everlit_error error;
    int code;
    void *model = plugin_open(&plugin, path_of("models/broken/no_variables"), 1, &code, &error);
    if (ov) {
        assert_null(model);
        assert_non_null(strstr(error.text, "w1"));
        return;
    }
    assert_non_null(model);
    struct digits digits;
    digits_open(&digits, model, 1);
    assert_int_not_equal(digits_run(&digits, &error), 0);
    assert_non_null(strstr(error.text, "ariable"));
    digits_close(&digits);
    plugin.engine->close(model);
}

static void other_tags_are_not_found_and_named(void **unused)
{
    (void)unused;
    static const char *const tags[] = { "serve", "gpu" };
    const char *path = path_of("models/digits/1");
    const struct everlit_open_options options = {
        .struct_size = sizeof options,
        .path = path,
        .tags = tags,
        .tag_count = 2,
        .concurrency = 1,
        .scratch_path = plugin.scratch,
    };
    struct everlit_error error;
    void *model = NULL;
    assert_int_equal(plugin.engine->open(&options, &model, &error), 5);
    assert_non_null(strstr(error.text, "{ serve gpu }"));
    assert_non_null(strstr(error.text, "there are { serve }"));
}

/* ---- many at once ---- */

#define THREADS 4
#define ROUNDS 200

static void *run_many(void *argument)
{
    struct digits *digits = argument;
    struct everlit_error error;
    for (unsigned i = 0; i < ROUNDS; i++)
        if (digits_run(digits, &error) != 0 || digits->sink.count != 1)
            return digits;
    return NULL;
}

static void four_threads_get_each_their_own_answer(void **unused)
{
    (void)unused;
    void *model = plugin_open_good(&plugin, path_of("models/digits/2"), THREADS);
    struct digits digits[THREADS];
    float alone[THREADS][10];
    pthread_t threads[THREADS];
    struct everlit_error error;
    for (size_t t = 0; t < THREADS; t++) {
        digits_open(&digits[t], model, 1 + (int64_t)t % 2 * 60); /* copied and lent memory side by side */
        for (size_t i = 0; i < 784; i++)
            digits[t].input[i] = (float)((i + 100 * t) % 17) / 16.0F;
        assert_int_equal(digits_run(&digits[t], &error), 0);
        memcpy(alone[t], digits[t].sink.tensors[0].data, sizeof alone[t]);
    }
    for (size_t t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, run_many, &digits[t]), 0);
    for (size_t t = 0; t < THREADS; t++) {
        void *failed;
        assert_int_equal(pthread_join(threads[t], &failed), 0);
        assert_null(failed);
        for (size_t c = 0; c < 10; c++) {
            const float difference = ((const float *)digits[t].sink.tensors[0].data)[c] - alone[t][c];
            assert_true(difference < 1e-5F && difference > -1e-5F);
        }
        digits_close(&digits[t]);
    }
    plugin.engine->close(model);
}

/* ---- ending early ---- */

struct slow {
    struct digits digits;
    atomic_bool ended;
    int code;
    struct everlit_error error;
};

static void *run_slow(void *argument)
{
    struct slow *slow = argument;
    slow->code = digits_run(&slow->digits, &slow->error);
    atomic_store(&slow->ended, true);
    return NULL;
}

static void a_run_can_be_cancelled(void **unused)
{
    (void)unused;
    if (plugin.engine->cancel == NULL)
        skip();
    void *model = plugin_open_good(&plugin, path_of("models/broken/slow_answer"), 1);
    struct slow slow = { .code = -1 };
    pthread_t thread;
    digits_open(&slow.digits, model, 1);
    assert_int_equal(pthread_create(&thread, NULL, run_slow, &slow), 0);
    while (!atomic_load(&slow.ended)) {
        plugin.engine->cancel(model, &slow.digits.run);
        sched_yield();
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(slow.code, 1);
    assert_int_equal(digits_run(&slow.digits, &slow.error), 0); /* the next run is not affected */
    digits_close(&slow.digits);
    plugin.engine->close(model);
}

/* The model answers after 80 ms or more; an engine may end early, and must not answer wrongly if it does not. */
static void a_deadline_in_the_middle_of_a_run_is_heeded_or_met(void **unused)
{
    (void)unused;
    void *model = plugin_open_good(&plugin, path_of("models/broken/slow_answer"), 1);
    struct digits digits;
    struct everlit_error error;
    digits_open(&digits, model, 1);
    digits.run.deadline_ns = el_now_ns() + 5 * EL_NS_PER_MS;
    const int code = digits_run(&digits, &error);
    assert_true(code == 4 || (code == 0 && digits.sink.count == 1));
    digits.run.deadline_ns = el_now_ns() + 60 * EL_NS_PER_S;
    assert_int_equal(digits_run(&digits, &error), 0);
    digits_close(&digits);
    plugin.engine->close(model);
}

/* ---- memory ---- */

static size_t resident_bytes(void)
{
    size_t resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*u %zu", &resident), 1); /* pages: all, resident, … */
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static void open_run_close(void)
{
    void *model = plugin_open_good(&plugin, path_of("models/digits/1"), 1);
    struct digits digits;
    struct everlit_error error;
    struct everlit_memory memory = { .struct_size = sizeof memory };
    digits_open(&digits, model, 2);
    assert_int_equal(digits_run(&digits, &error), 0);
    assert_int_equal(plugin.engine->memory(model, &memory, &error), 0);
    digits_close(&digits);
    plugin.engine->close(model);
}

/* OpenVINO gives memory back; TensorFlow does not, which is why a version has a process of its own. */
static void opening_again_and_again_does_not_take_more_and_more(void **unused)
{
    (void)unused;
    if (SANITIZED)
        skip();
    const unsigned rounds = ov ? 20 : 5;
    for (unsigned i = 0; i < rounds; i++)
        open_run_close();
    const size_t before = resident_bytes();
    for (unsigned i = 0; i < rounds; i++)
        open_run_close();
    const size_t after = resident_bytes();
    const size_t allowed = ov ? (size_t)4 << 20 : (size_t)100 << 20;
    if (after > before + allowed)
        fail_msg("%zu bytes more after %u models", after - before, rounds);
}

/* ---- quiet ---- */

static void it_writes_nothing_when_all_is_well(void **unused)
{
    (void)unused;
    if (SANITIZED)
        skip();
    char text[1000] = "";
    FILE *file = tmpfile();
    assert_non_null(file);
    fflush(stderr);
    const int kept = dup(2);
    assert_int_not_equal(kept, -1);
    assert_int_equal(dup2(fileno(file), 2), 2);
    open_run_close();
    fflush(stderr);
    assert_int_equal(dup2(kept, 2), 2);
    close(kept);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, "");
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s PLUGIN REPOSITORY\n", argv[0]);
        return 2;
    }
    plugin_path = argv[1];
    root = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_no_thread_before_a_model),
        cmocka_unit_test(it_writes_nothing_when_all_is_well),
        cmocka_unit_test(it_answers_as_tensorflow_did),
        cmocka_unit_test(it_takes_every_dtype_that_it_has),
        cmocka_unit_test(a_model_of_strings_runs_or_is_refused_by_the_ops_name),
        cmocka_unit_test(a_row_is_answered_the_same_in_every_batch),
        cmocka_unit_test(wrong_requests_are_refused_and_the_model_goes_on),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(broken_models_are_refused_with_a_reason),
        cmocka_unit_test(variables_that_are_missing_show_at_the_latest_in_the_first_answer),
        cmocka_unit_test(other_tags_are_not_found_and_named),
        cmocka_unit_test(four_threads_get_each_their_own_answer),
        cmocka_unit_test(a_run_can_be_cancelled),
        cmocka_unit_test(a_deadline_in_the_middle_of_a_run_is_heeded_or_met),
        cmocka_unit_test(opening_again_and_again_does_not_take_more_and_more),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
