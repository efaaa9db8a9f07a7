/* SPDX-License-Identifier: Apache-2.0 */
/* Questions: bodies of `:predict` into tensors, and the texts for those that are refused, as TensorFlow Serving was recorded. */
#include "tensor/predict_json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY (1u << 20)

struct known {
    char name[8];
    enum el_dtype dtype;
    char *pointer; /* to name */
};

/* Signatures of up to two inputs. */
static struct known one_float[2] = { { "x", EL_FLOAT, NULL } };
static struct known two_floats[] = { { "a", EL_FLOAT, NULL }, { "b", EL_FLOAT, NULL } };

struct asked {
    struct el_predict_json request;
    char *body; /* with nothing behind it */
    void *data[2];
};

/* All steps up to decode; NULL or the error of the step that found one. */
static struct el_status *ask(struct asked *asked, const char *body, size_t size, struct known *inputs, uint32_t count,
                             size_t max_bytes)
{
    memset(asked, 0, sizeof *asked);
    asked->body = malloc(size == 0 ? 1 : size);
    assert_non_null(asked->body);
    memcpy(asked->body, body, size);
    for (uint32_t i = 0; i < count; i++)
        inputs[i].pointer = inputs[i].name;
    struct el_predict_signature signature = { .inputs = EL_NAMES(inputs, count, pointer),
                                              .input_tensors = EL_NAMES(inputs, count, pointer) };
    EL_TRY(el_predict_json_open(asked->body, size, &asked->request));
    EL_TRY(el_predict_json_begin(&asked->request, &signature));
    for (uint32_t i = 0; i < count; i++)
        asked->request.inputs[i].dtype = inputs[i].dtype;
    EL_TRY(el_predict_json_plan(&asked->request, &signature, max_bytes));
    for (uint32_t i = 0; i < count; i++) {
        size_t bytes = asked->request.inputs[i].size;
        asked->request.inputs[i].data = asked->data[i] = malloc(bytes == 0 ? 1 : bytes);
        assert_non_null(asked->data[i]);
    }
    return el_predict_json_decode(&asked->request);
}

static void end(struct asked *asked)
{
    el_predict_json_free(&asked->request);
    for (int i = 0; i < 2; i++)
        free(asked->data[i]);
    free(asked->body);
}

static void assert_refused_by(struct known *inputs, uint32_t count, const char *body, enum el_code code,
                              const char *expected)
{
    struct asked asked;
    struct el_status *status = ask(&asked, body, strlen(body), inputs, count, MANY);
    if (el_status_code(status) != code || strcmp(el_status_text(status), expected) != 0)
        fail_msg("%s: %s: %s\nexpected %s: %s", body, el_code_name(el_status_code(status)), el_status_text(status),
                 el_code_name(code), expected);
    el_status_free(status);
    end(&asked);
}

static void assert_refused(struct known *inputs, uint32_t count, const char *body, const char *expected)
{
    assert_refused_by(inputs, count, body, EL_INVALID_ARGUMENT, expected);
}

/* The tensor of input i, checked, after a body that is right. */
static struct el_tensor tensor_of(const struct asked *asked, uint32_t i)
{
    const struct el_predict_json_input *input = &asked->request.inputs[i];
    assert_true(input->present);
    struct el_tensor tensor = { input->dtype, input->shape, input->data, input->size };
    assert_null(el_tensor_check(&tensor));
    return tensor;
}

static void assert_shape(const struct el_tensor *tensor, const char *expected)
{
    char text[400];
    assert_string_equal(el_shape_print(&tensor->shape, text, sizeof text), expected);
}

static void assert_numbers(struct known *input, const char *body, enum el_predict_form form, const char *shape,
                           const void *expected, size_t size)
{
    struct asked asked;
    struct el_status *status = ask(&asked, body, strlen(body), input, 1, MANY);
    if (status != NULL)
        fail_msg("%s: %s", body, el_status_text(status));
    assert_int_equal(asked.request.form, form);
    struct el_tensor tensor = tensor_of(&asked, 0);
    assert_shape(&tensor, shape);
    assert_int_equal(tensor.size, size);
    assert_memory_equal(tensor.data, expected, size);
    end(&asked);
}

static void rows_become_a_batch(void **unused)
{
    (void)unused;
    const float three[] = { 1, 2, 5 }, six[] = { 1, 2, 3, 4, 5, 6 };
    assert_numbers(one_float, "{\"instances\":[1.0,2,5e0]}", EL_PREDICT_ROWS, "[3]", three, sizeof three);
    assert_numbers(one_float, "{\"instances\":[[1],[2],[5]]}", EL_PREDICT_ROWS, "[3,1]", three, sizeof three);
    assert_numbers(one_float, "{\"instances\":[{\"x\":1},{\"x\":2},{\"x\":5}]}", EL_PREDICT_ROWS, "[3]", three,
                   sizeof three);
    assert_numbers(one_float, " {\"more\":{\"a\":[1,2]},\"instances\" : [ [ [1 ,2, 3],[4,5,6] ] ] } x", EL_PREDICT_ROWS,
                   "[1,2,3]", six, sizeof six);
    assert_numbers(one_float, "{\"instances\":[[[],[]],[[],[]]]}", EL_PREDICT_ROWS, "[2,2,0]", NULL, 0);
}

static void columns_are_taken_as_they_are(void **unused)
{
    (void)unused;
    const float one = 5, two[] = { 1, 2 };
    assert_numbers(one_float, "{\"inputs\":5}", EL_PREDICT_COLUMNS, "[]", &one, sizeof one);
    assert_numbers(one_float, "{\"inputs\":{\"x\":5,\"extra\":[true]}}", EL_PREDICT_COLUMNS, "[]", &one, sizeof one);
    assert_numbers(one_float, "{\"inputs\":[[1.0,2.0]]}", EL_PREDICT_COLUMNS, "[1,2]", two, sizeof two);
    assert_numbers(one_float, "{\"inputs\":[]}", EL_PREDICT_COLUMNS, "[0]", NULL, 0);
}

static void the_first_of_two_members_with_one_name_counts(void **unused)
{
    (void)unused;
    const float one = 1, two[] = { 1, 3 };
    assert_numbers(one_float, "{\"instances\":[1.0],\"instances\":[2.0]}", EL_PREDICT_ROWS, "[1]", &one, sizeof one);
    assert_numbers(one_float, "{\"instances\":[{\"x\":1.0,\"x\":2.0},{\"x\":3,\"x\":4}]}", EL_PREDICT_ROWS, "[2]", two,
                   sizeof two);
    assert_numbers(one_float, "{\"inputs\":{\"x\":[1.0],\"x\":[2.0]}}", EL_PREDICT_COLUMNS, "[1]", &one, sizeof one);
    assert_numbers(one_float, "{\"\\u0069nstances\":[{\"\\u0078\":1.0}]}", EL_PREDICT_ROWS, "[1]", &one, sizeof one);
    assert_refused(one_float, 1, "{\"instances\":[{\"x\":1.0,\"x\":true}]}",
                   "Failed to process element: 0 key: x of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: true "
                   "Type: True is not of expected type: float");
}

static void several_inputs_may_come_in_any_order(void **unused)
{
    (void)unused;
    static const char *const bodies[] = { "{\"instances\":[{\"b\":3,\"a\":[1,2]},{\"a\":[4,5],\"b\":6}]}",
                                          "{\"inputs\":{\"b\":[3,6],\"a\":[[1,2],[4,5]]}}" };
    for (size_t i = 0; i < 2; i++) {
        struct asked asked;
        assert_null(ask(&asked, bodies[i], strlen(bodies[i]), two_floats, 2, MANY));
        struct el_tensor a = tensor_of(&asked, 0), b = tensor_of(&asked, 1);
        assert_shape(&a, "[2,2]");
        assert_shape(&b, "[2]");
        assert_memory_equal(a.data, ((float[]){ 1, 2, 4, 5 }), 16);
        assert_memory_equal(b.data, ((float[]){ 3, 6 }), 8);
        end(&asked);
    }
}

static void the_signature_name_is_read_before_anything_else(void **unused)
{
    (void)unused;
    struct asked asked;
    static const char body[] =
        "{\"signature_name\":\"a\\u00e9 name that is longer than what the request keeps of it, sixty-four bytes or so\"}";
    struct el_status *status = ask(&asked, body, sizeof body - 1, one_float, 1, MANY);
    assert_string_equal(el_status_text(status), "Missing 'inputs' or 'instances' key");
    el_status_free(status);
    assert_true(el_span_equal(
        asked.request.signature_name,
        el_span_text("a\xc3\xa9 name that is longer than what the request keeps of it, sixty-four bytes or so")));
    end(&asked);
    assert_refused(
        one_float, 1, "{\"signature_name\":5,\"instances\":[1.0]}",
        "JSON Value: {\n    \"signature_name\": 5,\n    \"instances\": [\n        1.0\n    ]\n} not formatted "
        "correctly. 'signature_name' key must be a string value.");
    assert_refused(one_float, 0, "{\"signature_name\":\"nothing_in\",\"instances\":[{}]}",
                   "Failed to get input map for signature: nothing_in");
    assert_refused(one_float, 0, "{}", "Failed to get input map for signature: DEFAULT");
}

static void every_dtype_takes_what_tensorflow_serving_takes(void **unused)
{
    (void)unused;
    struct known x = { "x", EL_INT8, NULL };
    const int8_t i8[] = { -128, 127, 44 };
    assert_numbers(&x, "{\"inputs\":[-128,127,300]}", EL_PREDICT_COLUMNS, "[3]", i8, sizeof i8);
    x.dtype = EL_UINT8;
    const uint8_t u8[] = { 255, 0 };
    assert_numbers(&x, "{\"inputs\":[-1,256]}", EL_PREDICT_COLUMNS, "[2]", u8, sizeof u8);
    x.dtype = EL_INT16;
    const int16_t i16 = 32767;
    assert_numbers(&x, "{\"inputs\":[-32769]}", EL_PREDICT_COLUMNS, "[1]", &i16, sizeof i16);
    x.dtype = EL_INT64;
    const int64_t i64[] = { INT64_MIN, INT64_MAX };
    assert_numbers(&x, "{\"inputs\":[-9223372036854775808,9223372036854775807]}", EL_PREDICT_COLUMNS, "[2]", i64,
                   sizeof i64);
    x.dtype = EL_UINT64;
    const uint64_t u64 = UINT64_MAX;
    assert_numbers(&x, "{\"inputs\":[18446744073709551615]}", EL_PREDICT_COLUMNS, "[1]", &u64, sizeof u64);
    x.dtype = EL_UINT32;
    const uint32_t u32 = UINT32_MAX;
    assert_numbers(&x, "{\"inputs\":[4294967295]}", EL_PREDICT_COLUMNS, "[1]", &u32, sizeof u32);
    x.dtype = EL_BOOL;
    assert_numbers(&x, "{\"instances\":[true,false]}", EL_PREDICT_ROWS, "[2]", "\1\0", 2);
    x.dtype = EL_DOUBLE;
    const double doubles[] = { 0.1, (double)-INFINITY, 123456789012345678901234567890.0 };
    assert_numbers(&x, "{\"instances\":[0.1,-Inf,123456789012345678901234567890]}", EL_PREDICT_ROWS, "[3]", doubles,
                   sizeof doubles);
    const float floats[] = { INFINITY, -INFINITY };
    assert_numbers(one_float, "{\"instances\":[1e39,-1e300]}", EL_PREDICT_ROWS, "[2]", floats, sizeof floats);
}

static void values_of_the_wrong_type_are_shown(void **unused)
{
    (void)unused;
    static const struct {
        enum el_dtype dtype;
        const char *value, *error;
    } bad[] = {
        { EL_FLOAT, "null", "JSON Value: null Type: Null is not of expected type: float" },
        { EL_FLOAT, "\"a\"", "JSON Value: \"a\" Type: String is not of expected type: float" },
        { EL_FLOAT, "{\"y\":1}", "JSON Value: {\n    \"y\": 1\n} Type: Object is not of expected type: float" },
        { EL_INT32, "2147483648", "JSON Value: 2147483648 Type: Number is not of expected type: int32" },
        { EL_INT32, "1.0", "JSON Value: 1.0 Type: Number is not of expected type: int32" },
        { EL_INT8, "1e2", "JSON Value: 100.0 Type: Number is not of expected type: int8" },
        { EL_INT64, "-9223372036854775809", "JSON Value: -9.22337204e+18 Type: Number is not of expected type: int64" },
        { EL_UINT64, "-1", "JSON Value: -1 Type: Number is not of expected type: uint64" },
        { EL_BOOL, "1.5", "JSON Value: 1.5 Type: Number is not of expected type: bool" },
        { EL_STRING, "2", "JSON Value: 2 Type: Number is not of expected type: string" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct known x = { "x", bad[i].dtype, NULL };
        char body[200];
        snprintf(body, sizeof body, "{\"inputs\":[%s]}", bad[i].value);
        assert_refused(&x, 1, body, bad[i].error);
    }
    struct known half = { "x", EL_HALF, NULL };
    assert_refused_by(&half, 1, "{\"inputs\":{\"x\":[0,1]}}", EL_UNIMPLEMENTED,
                      "Conversion of JSON Value: 0 to type: half");
    assert_refused(&half, 1, "{\"instances\":[1.5]}",
                   "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: Conversion of JSON Value: "
                   "1.5 to type: half");
    struct known resource = { "x", EL_RESOURCE, NULL };
    assert_refused(&resource, 1, "{\"inputs\":[]}", "tensor parsing error: x");
}

static void lists_in_the_wrong_place_are_refused(void **unused)
{
    (void)unused;
    assert_refused(one_float, 1, "{\"inputs\":[1.0,[2.0]]}", "Encountered list at unexpected level: 1 expected < 1");
    assert_refused(one_float, 1, "{\"inputs\":[[1.0],2.0]}",
                   "JSON Value: 2.0 found at incorrect level: 2 in the JSON DOM. Expected at level: 2");
    assert_refused(one_float, 1, "{\"inputs\":[[1,2],[3]]}",
                   "Encountered list at unexpected size: 1 at level: 1 expected size: 2");
    assert_refused(one_float, 1, "{\"inputs\":[[1],[]]}",
                   "Encountered list at unexpected size: 0 at level: 1 expected size: 1");
    /* The size of a list is looked at before what is in it. */
    assert_refused(one_float, 1, "{\"inputs\":[[1,2],[true]]}",
                   "Encountered list at unexpected size: 1 at level: 1 expected size: 2");
    assert_refused(one_float, 1, "{\"instances\":[[1.0],[2.0,3.0]]}",
                   "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor size: "
                   "1 but got: 2");
    assert_refused(one_float, 1, "{\"instances\":[1.0,[2.0]]}",
                   "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [] but "
                   "got: [1]");
    assert_refused(one_float, 1, "{\"instances\":[[[1,2],[3,4]],[[1,2,3,4]]]}",
                   "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: Expecting shape [2,2] "
                   "but got: [1,4]");
    /* A list that says it is far larger than the text could be. */
    assert_refused(one_float, 1,
                   "{\"inputs\":[[[[1,2,3,4,5,6,7,8,9],2,3,4,5,6,7,8,9],2,3,4,5,6,7,8,9],2,3,4,5,6,7,8,9]}",
                   "JSON Value: 2 found at incorrect level: 4 in the JSON DOM. Expected at level: 4");
}

static void rows_and_columns_must_have_the_right_names(void **unused)
{
    (void)unused;
    assert_refused(one_float, 1, "{\"Instances\":[1.0]}", "Missing 'inputs' or 'instances' key");
    assert_refused(one_float, 1, "{\"inputs\":[1.0],\"instances\":[2.0]}",
                   "JSON Value: {\n    \"inputs\": [\n        1.0\n    ],\n    \"instances\": [\n        2.0\n    ]\n} "
                   "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ");
    assert_refused(one_float, 1, "{\"instances\":{}}",
                   "JSON Value: {\n    \"instances\": {}\n} Expecting 'instances' to be an list/array");
    assert_refused(one_float, 1, "{\"instances\":[]}",
                   "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array");
    assert_refused(one_float, 1, "{\"instances\":[{\"x\":1.0},{}]}",
                   "Failed to process element: 1 of 'instances' list. JSON object: {} keys must be equal to: x");
    assert_refused(one_float, 1, "{\"instances\":[{\"x\":1.0},2.0]}",
                   "Expecting object but got list at item 1 of input list");
    assert_refused(one_float, 1, "{\"instances\":[1.0,{\"x\":2.0}]}",
                   "Expecting value/list but got object at item 1 of input list");
    assert_refused(one_float, 1, "{\"instances\":[{\"z\":1}]}",
                   "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: JSON object: "
                   "does not have named input: z");
    assert_refused(two_floats, 2, "{\"instances\":[1.0]}",
                   "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                   "tensorinfo_map");
    assert_refused(two_floats, 2, "{\"instances\":[{},{}]}",
                   "Failed to process element: 0 of 'instances' list. JSON object: {} keys must be equal to: a,b");
    assert_refused(two_floats, 2, "{\"instances\":[{\"a\":[1.0,2.0],\"b\":3.0},{\"a\":[1.0],\"b\":3.0}]}",
                   "Failed to process element: 1 key: a of 'instances' list. Error: INVALID_ARGUMENT: Expecting tensor "
                   "size: 2 but got: 1");
    /* A wrong value comes before a name that is missing further on. */
    assert_refused(two_floats, 2, "{\"instances\":[{\"a\":true}]}",
                   "Failed to process element: 0 key: a of 'instances' list. Error: INVALID_ARGUMENT: JSON Value: true "
                   "Type: True is not of expected type: float");
    assert_refused(two_floats, 2, "{\"inputs\":{\"a\":[true]}}",
                   "JSON Value: true Type: True is not of expected type: float");
    assert_refused(two_floats, 2, "{\"inputs\":{\"a\":[[1.0,2.0]]}}", "Missing named input: b in 'inputs' object.");
    assert_refused(two_floats, 2, "{\"inputs\":[[1.0,2.0]]}",
                   "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                   "tensorinfo_map");
    struct known strings[] = { { "a", EL_STRING, NULL }, { "b", EL_STRING, NULL } };
    assert_refused(strings, 2, "{\"instances\":[{\"b64\":\"YQ==\"}]}",
                   "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but "
                   "required: {b}.");
}

static void strings_are_packed(void **unused)
{
    (void)unused;
    struct known text = { "x", EL_STRING, NULL };
    static const char *const bodies[] = {
        "{\"instances\":[[\"a\\u00fc\",\"\"],[{\"b64\":\"AP8=\"},\"longer than the others\"]]}",
        "{\"inputs\":{\"x\":[[\"a\\u00fc\",\"\"],[{\"b64\":\"AP8\"},\"longer than the others\"]]}}"
    };
    for (size_t i = 0; i < 2; i++) {
        struct asked asked;
        struct el_status *status = ask(&asked, bodies[i], strlen(bodies[i]), &text, 1, MANY);
        assert_null(status);
        struct el_tensor tensor = tensor_of(&asked, 0);
        assert_shape(&tensor, "[2,2]");
        size_t length = 0;
        assert_memory_equal(el_tensor_string(&tensor, 0, &length), "a\xc3\xbc", 3);
        assert_int_equal(length, 3);
        el_tensor_string(&tensor, 1, &length);
        assert_int_equal(length, 0);
        assert_memory_equal(el_tensor_string(&tensor, 2, &length), "\0\xff", 2);
        assert_int_equal(length, 2);
        assert_memory_equal(el_tensor_string(&tensor, 3, &length), "longer than the others", 22);
        end(&asked);
    }
    struct asked asked;
    assert_null(ask(&asked, "{\"inputs\":{\"b64\":\"b25l\"}}", 25, &text, 1, MANY));
    struct el_tensor scalar = tensor_of(&asked, 0);
    assert_shape(&scalar, "[]");
    end(&asked);
    assert_refused(
        &text, 1, "{\"instances\":[{\"b64\":\"***\"}]}",
        "Failed to process element: 0 of 'instances' list. Error: INVALID_ARGUMENT: Unable to base64 decode");
    assert_refused(
        &text, 1, "{\"inputs\":{\"x\":[{\"b64\":\"aGVsbG8=\",\"x\":1}]}}",
        "JSON Value: {\n    \"b64\": \"aGVsbG8=\",\n    \"x\": 1\n} not formatted correctly for base64 data");
}

static void a_request_beyond_the_limit_is_refused(void **unused)
{
    (void)unused;
    struct asked asked;
    static const char body[] = "{\"instances\":[[1,2,3,4],[5,6,7,8]]}";
    struct el_status *status = ask(&asked, body, sizeof body - 1, one_float, 1, 32);
    end(&asked);
    assert_null(status);
    status = ask(&asked, body, sizeof body - 1, one_float, 1, 31);
    assert_int_equal(el_status_code(status), EL_RESOURCE_EXHAUSTED);
    el_status_free(status);
    end(&asked);
}

static void brackets_without_end_are_refused(void **unused)
{
    (void)unused;
    struct el_buf body = { 0 };
    el_buf_text(&body, "{\"inputs\":");
    for (int i = 0; i < 100000; i++)
        el_buf_byte(&body, '[');
    for (int i = 0; i < 100000; i++)
        el_buf_byte(&body, ']');
    el_buf_byte(&body, '}');
    struct asked asked;
    struct el_status *status = ask(&asked, (const char *)body.data, body.size, one_float, 1, MANY);
    assert_string_equal(el_status_text(status), "tensor parsing error: x");
    el_status_free(status);
    end(&asked);
    el_buf_free(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_become_a_batch),
        cmocka_unit_test(columns_are_taken_as_they_are),
        cmocka_unit_test(the_first_of_two_members_with_one_name_counts),
        cmocka_unit_test(several_inputs_may_come_in_any_order),
        cmocka_unit_test(the_signature_name_is_read_before_anything_else),
        cmocka_unit_test(every_dtype_takes_what_tensorflow_serving_takes),
        cmocka_unit_test(values_of_the_wrong_type_are_shown),
        cmocka_unit_test(lists_in_the_wrong_place_are_refused),
        cmocka_unit_test(rows_and_columns_must_have_the_right_names),
        cmocka_unit_test(strings_are_packed),
        cmocka_unit_test(a_request_beyond_the_limit_is_refused),
        cmocka_unit_test(brackets_without_end_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
