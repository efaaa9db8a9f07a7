/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model files that are no saved_model.pb: what they say, and what is made of them when they are cut off or spoiled.
 *
 *     test_model_file REPOSITORY
 */
#include "base/file.h"
#include "bundle/completeness.h"
#include "bundle/model_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *root;

struct sample {
    enum el_model_format format;
    const char *path; /* of the version, in the repository */
};

static const struct sample samples[] = {
    { EL_FORMAT_TFLITE, "test/data/models/lite/1" },
    { EL_FORMAT_TFLITE, "test/data/models/lite_bare/1" },
    { EL_FORMAT_ONNX, "test/data/models/onnx/1" },
    { EL_FORMAT_SAVED_MODEL_TEXT, "test/data/models/text/1" },
};
#define SAMPLES (sizeof samples / sizeof samples[0])

static const char *in_repository(const char *path)
{
    static char text[1024];
    snprintf(text, sizeof text, "%s/%s", root, path);
    return text;
}

static void read_sample(const struct sample *sample, struct el_buf *buf)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/%s", root, sample->path, el_model_file_name(sample->format));
    assert_null(el_file_read(path, (size_t)1 << 20, buf));
}

/* Writes the bytes as that format's file into a directory of its own and reads it from there. */
static struct el_status *read_bytes(enum el_model_format format, const uint8_t *bytes, size_t size)
{
    char directory[] = "/tmp/everlit-model-file-XXXXXX", path[128];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/%s", directory, el_model_file_name(format));
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    struct el_saved_model model;
    enum el_model_format found;
    struct el_status *status = el_model_file_read(directory, false, &model, &found);
    assert_int_equal(found, format);
    if (status == NULL)
        el_saved_model_free(&model);
    else if (strncmp(el_status_text(status), path, strlen(path)) != 0)
        fail_msg("an error that does not name its file: %s", el_status_text(status));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
    return status;
}

static const struct el_signature *signature_of(const struct el_saved_model *model, const char *name)
{
    assert_int_equal(model->graph_count, 1);
    return el_signatures_find(&model->graphs[0].signatures, name, strlen(name), NULL);
}

static void assert_info(const struct el_tensor_info *info, const char *name, const char *tensor, const char *shape)
{
    char text[400];
    assert_string_equal(info->name, name);
    assert_string_equal(info->tensor_name, tensor);
    assert_int_equal(info->dtype, EL_FLOAT);
    assert_string_equal(el_shape_print(&info->shape, text, sizeof text), shape);
}

static void signatures_are_read_from_each_form(void **unused)
{
    (void)unused;
    static const struct {
        const char *path, *input, *input_tensor, *input_shape, *output, *output_tensor, *output_shape;
    } expected[SAMPLES] = {
        { "", "x", "serving_default_x:0", "[?]", "y", "PartitionedCall:0", "[?]" },
        { "", "x", "x", "[?]", "Identity", "Identity", "[?]" },
        { "", "input", "input", "[?,784]", "prediction", "prediction", "[?,10]" },
        { "", "x", "serving_default_x:0", "[?]", "y", "StatefulPartitionedCall:0", "[?]" },
    };
    for (size_t i = 0; i < SAMPLES; i++) {
        struct el_saved_model model;
        enum el_model_format format;
        assert_null(el_model_file_read(in_repository(samples[i].path), false, &model, &format));
        assert_int_equal(format, samples[i].format);
        const struct el_signature *signature = signature_of(&model, "serving_default");
        assert_non_null(signature);
        assert_int_equal(signature->input_count, 1);
        assert_int_equal(signature->output_count, 1);
        assert_info(&signature->inputs[0], expected[i].input, expected[i].input_tensor, expected[i].input_shape);
        assert_info(&signature->outputs[0], expected[i].output, expected[i].output_tensor, expected[i].output_shape);
        /* The second signature of "lite" has a subgraph of its own, which no engine here runs. */
        assert_null(signature_of(&model, "terms"));
        el_saved_model_free(&model);
    }
}

static void the_first_form_counts_unless_another_is_preferred(void **unused)
{
    (void)unused;
    assert_int_equal(el_model_file_find_in(in_repository("test/data/models/lite_beside/1"), false),
                     EL_FORMAT_SAVED_MODEL);
    assert_int_equal(el_model_file_find_in(in_repository("test/data/models/lite_beside/1"), true), EL_FORMAT_TFLITE);
    assert_int_equal(el_model_file_find_in(in_repository("models/digits/1"), true), EL_FORMAT_SAVED_MODEL);
    assert_int_equal(el_model_file_find_in(in_repository("models/digits"), true), EL_FORMATS);
}

static void whole_versions_are_whole(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct el_version_check check = { 0 };
        assert_null(el_version_check(in_repository(samples[i].path), &check));
        if (check.result != EL_VERSION_WHOLE)
            fail_msg("%s: %s", samples[i].path, check.text);
        el_version_check_free(&check);
    }
}

/* DATA_LOSS is what is waited for. The last bytes of a file may be padding that nobody misses. */
static void a_cut_is_told_from_a_spoiled_file(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct el_buf buf = { 0 };
        read_sample(&samples[i], &buf);
        const size_t step = buf.size / 200 + 1;
        for (size_t size = 0; size + 16 < buf.size; size += step) {
            struct el_status *status = read_bytes(samples[i].format, buf.data, size);
            if (el_status_code(status) != EL_DATA_LOSS)
                fail_msg("%s cut to %zu of %zu bytes: %s %s", samples[i].path, size, buf.size,
                         el_code_name(el_status_code(status)), el_status_text(status));
            el_status_free(status);
        }
        el_buf_free(&buf);
    }
}

static void a_flipped_byte_does_no_harm(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < SAMPLES; i++) {
        struct el_buf buf = { 0 };
        read_sample(&samples[i], &buf);
        const size_t step = buf.size / 400 + 1;
        for (size_t at = 0; at < buf.size; at += step) {
            const uint8_t before = buf.data[at];
            buf.data[at] = (uint8_t)(before ^ (1u << at % 8));
            el_status_free(read_bytes(samples[i].format, buf.data, buf.size));
            buf.data[at] = before;
        }
        el_buf_free(&buf);
    }
}

static void text_has_all_the_forms_of_the_format(void **unused)
{
    (void)unused;
    static const char good[] =
        "# by hand\n"
        "saved_model_schema_version: 0x1;\n"
        "meta_graphs: <\n"
        "  meta_info_def { tags: [\"ser\" 've', \"g\\160u\"], tensorflow_version: '2', unknown: [1, {a: 2}] }\n"
        "  collection_def { key: \"c\" value { any_list { [type.googleapis.com/x.Y] { z: -1.5e3 } } } }\n"
        "  signature_def { key: 's' value { inputs { key: \"x\" value { name: 'x:0' dtype: DT_INT64\n"
        "    tensor_shape { dim { size: -1 name: \"n\" } dim: { size: 0x10 } } } }\n"
        "    outputs <key: \"y\" value <dtype: DT_STRING tensor_shape <unknown_rank: true>>>}}\n"
        ">";
    struct el_saved_model model;
    char directory[] = "/tmp/everlit-model-file-XXXXXX", path[128], shape[400];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/saved_model.pbtxt", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(good, 1, sizeof good - 1, file), sizeof good - 1);
    assert_int_equal(fclose(file), 0);
    assert_null(el_model_file_read(directory, false, &model, NULL));
    assert_int_equal(model.schema_version, 1);
    assert_int_equal(model.graphs[0].tag_count, 2);
    assert_string_equal(model.graphs[0].tags[0], "serve");
    assert_string_equal(model.graphs[0].tags[1], "gpu");
    const struct el_signature *signature = signature_of(&model, "s");
    assert_non_null(signature);
    assert_int_equal(signature->inputs[0].dtype, EL_INT64);
    assert_string_equal(el_shape_print(&signature->inputs[0].shape, shape, sizeof shape), "[?,16]");
    assert_int_equal(signature->outputs[0].dtype, EL_STRING);
    assert_int_equal(signature->outputs[0].shape.rank, -1);
    el_saved_model_free(&model);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void wrong_text_is_refused_with_its_place(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *where;
    } bad[] = {
        { "meta_graphs {\n  meta_info_def { tags: serve }\n}", "saved_model.pbtxt:2:25: a string is expected" },
        { "meta_graphs { meta_info_def { tags: \"a\nb\" } }", ":1:39: the end of a string is expected" },
        { "meta_graphs 5", ":1:13: \":\" or a message is expected" },
        { "meta_graphs { signature_def { value { inputs { value { dtype: DT_NONE } } } } }", ":1:63: a dtype" },
        { "saved_model_schema_version: 1x", ":1:29: a whole number is expected" },
        { "}", ":1:1: the name of a field is expected" },
        { "meta_graphs { meta_info_def { tags: '\\q' } }", "an escape of a string is expected" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct el_status *status = read_bytes(EL_FORMAT_SAVED_MODEL_TEXT, (const uint8_t *)bad[i].text,
                                              strlen(bad[i].text));
        if (el_status_code(status) != EL_INVALID_ARGUMENT || strstr(el_status_text(status), bad[i].where) == NULL)
            fail_msg("\"%s\": %s, not \"%s\"", bad[i].text, el_status_text(status), bad[i].where);
        el_status_free(status);
    }
}

static void external_data_is_waited_for_and_stays_inside(void **unused)
{
    (void)unused;
    struct el_buf buf = { 0 };
    char directory[] = "/tmp/everlit-model-file-XXXXXX", path[128];
    read_sample(&samples[2], &buf);
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/model.onnx", directory);
    uint8_t *name = memmem(buf.data, buf.size, "w1.bin", 6);
    assert_non_null(name);
    for (int outside = 0; outside < 2; outside++) {
        if (outside)
            memcpy(name, "../bin", 6);
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(buf.data, 1, buf.size, file), buf.size);
        assert_int_equal(fclose(file), 0);
        struct el_version_check check = { 0 };
        assert_null(el_version_check(directory, &check));
        assert_int_equal(check.result, outside ? EL_VERSION_BAD : EL_VERSION_NOT_YET);
        assert_non_null(strstr(check.text, outside ? "leads out of the version" : "w1.bin is not there"));
        el_version_check_free(&check);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
    el_buf_free(&buf);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s REPOSITORY\n", argv[0]);
        return 2;
    }
    root = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signatures_are_read_from_each_form),
        cmocka_unit_test(the_first_form_counts_unless_another_is_preferred),
        cmocka_unit_test(whole_versions_are_whole),
        cmocka_unit_test(a_cut_is_told_from_a_spoiled_file),
        cmocka_unit_test(a_flipped_byte_does_no_harm),
        cmocka_unit_test(text_has_all_the_forms_of_the_format),
        cmocka_unit_test(wrong_text_is_refused_with_its_place),
        cmocka_unit_test(external_data_is_waited_for_and_stays_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
