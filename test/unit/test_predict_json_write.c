/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: tensors into the body that TensorFlow Serving sends, to the byte. */
#include "tensor/predict_json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_written(enum el_predict_form form, const struct el_named_tensor *outputs, uint32_t count,
                           const char *expected)
{
    struct el_buf buf = { 0 };
    struct el_status *status = el_predict_json_write(&buf, form, outputs, count);
    assert_string_equal(el_status_text(status), "");
    assert_null(status);
    char *text = el_buf_take_text(&buf);
    assert_string_equal(text, expected);
    free(text);
}

static void assert_refused(enum el_predict_form form, const struct el_named_tensor *outputs, uint32_t count,
                           enum el_code code, const char *expected)
{
    struct el_buf buf = { 0 };
    struct el_status *status = el_predict_json_write(&buf, form, outputs, count);
    assert_int_equal(el_status_code(status), code);
    assert_string_equal(el_status_text(status), expected);
    el_status_free(status);
    el_buf_free(&buf);
}

static const float floats[] = { 4.5f, 5, 6.5f, 1 / 3.0f, NAN, -INFINITY };

static void rows_of_one_output_are_bare(void **unused)
{
    (void)unused;
    struct el_tensor tensor = { EL_FLOAT, { 1, { 3 } }, floats, 12 };
    const struct el_named_tensor output = { "y", &tensor };
    assert_written(EL_PREDICT_ROWS, &output, 1, "{\n    \"predictions\": [4.5, 5.0, 6.5\n    ]\n}");
    tensor.shape = (struct el_shape){ 2, { 3, 1 } };
    assert_written(EL_PREDICT_ROWS, &output, 1, "{\n    \"predictions\": [[4.5], [5.0], [6.5]\n    ]\n}");
    tensor = (struct el_tensor){ EL_FLOAT, { 3, { 1, 2, 3 } }, floats, 24 };
    assert_written(EL_PREDICT_ROWS, &output, 1,
                   "{\n    \"predictions\": [[[4.5, 5.0, 6.5], [0.333333343, NaN, -Infinity]]\n    ]\n}");
    tensor = (struct el_tensor){ EL_FLOAT, { 2, { 0, 3 } }, floats, 0 };
    assert_written(EL_PREDICT_ROWS, &output, 1, "{\n    \"predictions\": []\n}");
    tensor = (struct el_tensor){ EL_FLOAT, { 3, { 2, 2, 0 } }, floats, 0 };
    assert_written(EL_PREDICT_ROWS, &output, 1, "{\n    \"predictions\": [[[], []], [[], []]\n    ]\n}");
}

static void rows_of_several_outputs_are_objects(void **unused)
{
    (void)unused;
    static const struct {
        uint64_t offsets[3];
        char bytes[8];
    } strings = { { 24, 28, 32 }, { '6', '.', '0', '0', 'a', '"', '\n', 1 } };
    const int64_t argmax[] = { 1, -7 };
    const uint8_t truths[] = { 1, 0 };
    struct el_tensor number = { EL_INT64, { 1, { 2 } }, argmax, sizeof argmax };
    struct el_tensor text = { EL_STRING, { 2, { 2, 1 } }, &strings, sizeof strings };
    struct el_tensor truth = { EL_BOOL, { 1, { 2 } }, truths, sizeof truths };
    const struct el_named_tensor outputs[] = {
        { "argmax", &number }, { "positive", &truth }, { "text", &text }, { "text_bytes", &text }
    };
    assert_written(
        EL_PREDICT_ROWS, outputs, 4,
        "{\n    \"predictions\": [\n        {\n            \"argmax\": 1,\n            \"positive\": true,\n"
        "            \"text\": [\"6.00\"],\n            \"text_bytes\": [{\n                    \"b64\": \"Ni4wMA==\"\n"
        "                }]\n        },\n        {\n            \"argmax\": -7,\n            \"positive\": false,\n"
        "            \"text\": [\"a\\\"\\n\\u0001\"],\n            \"text_bytes\": [{\n                    \"b64\": "
        "\"YSIKAQ==\"\n                }]\n        }\n    ]\n}");
    text.shape = (struct el_shape){ 1, { 2 } };
    assert_written(EL_PREDICT_ROWS, &outputs[3], 1,
                   "{\n    \"predictions\": [{\n            \"b64\": \"Ni4wMA==\"\n        }, {\n            \"b64\": "
                   "\"YSIKAQ==\"\n        }\n    ]\n}");
}

static void columns_have_a_line_for_each_element(void **unused)
{
    (void)unused;
    struct el_tensor tensor = { EL_FLOAT, { 2, { 1, 2 } }, floats, 8 }, scalar = { EL_FLOAT, { .rank = 0 }, floats, 4 };
    const struct el_named_tensor outputs[] = { { "mean", &scalar }, { "y", &tensor } };
    assert_written(EL_PREDICT_COLUMNS, outputs, 1, "{\n    \"outputs\": 4.5\n}");
    assert_written(EL_PREDICT_COLUMNS, outputs + 1, 1,
                   "{\n    \"outputs\": [\n        [\n            4.5,\n            5.0\n        ]\n    ]\n}");
    assert_written(
        EL_PREDICT_COLUMNS, outputs, 2,
        "{\n    \"outputs\": {\n        \"mean\": 4.5,\n        \"y\": [\n            [\n                4.5,\n"
        "                5.0\n            ]\n        ]\n    }\n}");
    tensor = (struct el_tensor){ EL_FLOAT, { 2, { 2, 0 } }, floats, 0 };
    assert_written(EL_PREDICT_COLUMNS, outputs + 1, 1, "{\n    \"outputs\": [\n        [],\n        []\n    ]\n}");
}

static void integers_of_all_widths_are_written(void **unused)
{
    (void)unused;
    const int8_t i8 = -128;
    const uint8_t u8 = 255;
    const int16_t i16 = -32768;
    const int32_t i32 = INT32_MIN;
    const uint32_t u32 = UINT32_MAX;
    const uint64_t u64 = UINT64_MAX;
    const double real = 0.1;
    const struct {
        enum el_dtype dtype;
        const void *data;
        size_t size;
        const char *text;
    } values[] = { { EL_INT8, &i8, 1, "-128" },          { EL_UINT8, &u8, 1, "255" },
                   { EL_INT16, &i16, 2, "-32768" },      { EL_INT32, &i32, 4, "-2147483648" },
                   { EL_UINT32, &u32, 4, "4294967295" }, { EL_UINT64, &u64, 8, "18446744073709551615" },
                   { EL_DOUBLE, &real, 8, "0.1" } };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const struct el_tensor tensor = { values[i].dtype, { .rank = 0 }, values[i].data, values[i].size };
        struct el_buf expected = { 0 };
        el_buf_printf(&expected, "{\n    \"outputs\": %s\n}", values[i].text);
        char *text = el_buf_take_text(&expected);
        assert_written(EL_PREDICT_COLUMNS, &(struct el_named_tensor){ "y", &tensor }, 1, text);
        free(text);
    }
}

static void what_json_cannot_say_is_refused(void **unused)
{
    (void)unused;
    const uint8_t half[2] = { 0 };
    struct el_tensor odd = { EL_BFLOAT16, { 1, { 1 } }, half, 2 }, scalar = { EL_FLOAT, { .rank = 0 }, floats, 4 };
    struct el_tensor two = { EL_FLOAT, { 1, { 2 } }, floats, 8 }, three = { EL_FLOAT, { 1, { 3 } }, floats, 12 };
    assert_refused(EL_PREDICT_ROWS, &(struct el_named_tensor){ "y", &odd }, 1, EL_INVALID_ARGUMENT,
                   "Failed to write JSON value for tensor type: bfloat16");
    assert_refused(EL_PREDICT_ROWS, &(struct el_named_tensor){ "mean", &scalar }, 1, EL_INVALID_ARGUMENT,
                   "Tensor name: mean has no shape information ");
    assert_refused(EL_PREDICT_ROWS, (struct el_named_tensor[]){ { "a", &two }, { "total", &three } }, 2,
                   EL_INVALID_ARGUMENT, "Tensor name: total has inconsistent batch size: 3 expecting: 2");
    assert_refused(EL_PREDICT_ROWS, NULL, 0, EL_INVALID_ARGUMENT, "Cannot convert empty tensor map to JSON");
    /* A tensor of no bytes could ask for any number of brackets. */
    struct el_tensor empty = { EL_FLOAT, { 2, { INT64_C(1) << 40, 0 } }, floats, 0 };
    assert_null(el_tensor_check(&empty));
    assert_refused(EL_PREDICT_COLUMNS, &(struct el_named_tensor){ "y", &empty }, 1, EL_RESOURCE_EXHAUSTED,
                   "Tensor name: y has 1099511627776 empty lists, more than the limit of 1048576");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_one_output_are_bare),          cmocka_unit_test(rows_of_several_outputs_are_objects),
        cmocka_unit_test(columns_have_a_line_for_each_element), cmocka_unit_test(integers_of_all_widths_are_written),
        cmocka_unit_test(what_json_cannot_say_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
