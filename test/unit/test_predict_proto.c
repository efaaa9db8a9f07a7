/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/predict_proto.h"

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
    char *name;
    char *tensor;
};

/* A model with the inputs a and b and the outputs scaled, text and total. */
static char name_a[] = "a", name_b[] = "b", tensor_a[] = "a:0", tensor_b[] = "b:0";
static char scaled[] = "scaled", text[] = "text", total[] = "total";
static struct known pair_inputs[] = { { name_a, tensor_a }, { name_b, tensor_b } };
static struct known pair_outputs[] = { { scaled, NULL }, { text, NULL }, { total, NULL } };

static struct el_predict_signature pair(uint32_t input_count, uint32_t default_count)
{
    return (struct el_predict_signature){
        .inputs = EL_NAMES(pair_inputs, input_count, name),
        .input_tensors = EL_NAMES(pair_inputs, input_count, tensor),
        .defaults = { .first = &pair_inputs[1].name, .stride = sizeof pair_inputs[0], .count = default_count },
        .outputs = EL_NAMES(pair_outputs, 3, name),
    };
}

static void put_input(struct el_buf *request, const char *name, float value)
{
    struct el_buf entry = { 0 }, tensor = { 0 };
    el_wire_put_uint(&tensor, 1, EL_FLOAT);
    el_wire_put_bytes(&tensor, 5, &value, sizeof value);
    el_wire_put_text(&entry, 1, name);
    el_wire_put_bytes(&entry, 2, tensor.data, tensor.size);
    el_wire_put_bytes(request, 2, entry.data, entry.size);
    el_buf_free(&entry);
    el_buf_free(&tensor);
}

static float value_of(const struct el_predict_request *request, uint32_t i)
{
    float value = 0;
    assert_int_equal(request->inputs[i].tensor.size, sizeof value);
    el_tensor_proto_decode(&request->inputs[i].tensor, &value);
    return value;
}

/* What match says of a request (freed) to the pair model; to be freed. */
static char *matched(struct el_buf *bytes, uint32_t input_count, uint32_t default_count, enum el_code code)
{
    struct el_predict_request request;
    struct el_predict_signature signature = pair(input_count, default_count);
    uint32_t outputs[3], output_count = 0;
    assert_null(el_predict_request_parse(bytes->data, bytes->size, &request));
    struct el_status *status = el_predict_request_match(&request, &signature, MANY, outputs, &output_count);
    assert_int_equal(el_status_code(status), code);
    char *said = strdup(el_status_text(status));
    el_status_free(status);
    el_predict_request_free(&request);
    el_buf_free(bytes);
    return said;
}

static void assert_said(struct el_buf bytes, uint32_t input_count, uint32_t default_count, const char *expected)
{
    char *said = matched(&bytes, input_count, default_count, *expected == 0 ? EL_OK : EL_INVALID_ARGUMENT);
    assert_string_equal(said, expected);
    free(said);
}

static bool spans(struct el_span span, const char *expected)
{
    return el_span_equal(span, el_span_text(expected));
}

static void a_request_is_read_in_place(void **unused)
{
    (void)unused;
    /* model half, input x [3] = 1, 2, 5: as tensorflow-serving-api sends it */
    static const uint8_t bytes[] = { 0x0a, 6,    0x0a, 4, 'h',  'a', 'l',  'f', 0x12, 27,   0x0a, 1,  'x',
                                     0x12, 22,   8,    1, 0x12, 4,   0x12, 2,   8,    3,    0x2a, 12, 0,
                                     0,    0x80, 0x3f, 0, 0,    0,   0x40, 0,   0,    0xa0, 0x40 };
    struct el_predict_request request;
    assert_null(el_predict_request_parse(bytes, sizeof bytes, &request));
    assert_true(request.spec.present);
    assert_true(spans(request.spec.name, "half"));
    assert_false(request.spec.has_version);
    assert_true(spans(request.spec.signature_name, ""));
    assert_int_equal(request.input_count, 1);
    assert_true(spans(request.inputs[0].name, "x"));
    assert_int_equal(request.inputs[0].tensor.dtype, EL_FLOAT);
    assert_null(el_tensor_proto_head(&request.inputs[0].tensor, "x", 1, MANY));
    float data[3];
    el_tensor_proto_decode(&request.inputs[0].tensor, data);
    assert_true(data[0] == 1 && data[1] == 2 && data[2] == 5);
    el_predict_request_free(&request);
}

static void the_empty_message_has_no_model_spec(void **unused)
{
    (void)unused;
    struct el_predict_request request;
    assert_null(el_predict_request_parse(NULL, 0, &request));
    assert_false(request.spec.present);
    assert_int_equal(request.input_count, 0);
    el_predict_request_free(&request);
}

static void a_model_spec_that_comes_twice_is_merged(void **unused)
{
    (void)unused;
    struct el_buf spec = { 0 }, version = { 0 }, bytes = { 0 };
    el_wire_put_uint(&version, 1, 3);
    el_wire_put_text(&spec, 4, "stable");
    el_wire_put_text(&spec, 1, "half");
    el_wire_put_bytes(&bytes, 1, spec.data, spec.size);
    el_buf_clear(&spec);
    el_wire_put_bytes(&spec, 2, version.data, version.size);
    el_wire_put_text(&spec, 3, "tiny");
    el_wire_put_bytes(&bytes, 1, spec.data, spec.size);

    struct el_predict_request request;
    assert_null(el_predict_request_parse(bytes.data, bytes.size, &request));
    assert_true(spans(request.spec.name, "half"));
    assert_true(spans(request.spec.signature_name, "tiny"));
    assert_true(request.spec.has_version); /* of version and label, the last on the wire */
    assert_false(request.spec.has_label);
    assert_int_equal(request.spec.version, 3);
    el_predict_request_free(&request);
    el_buf_free(&bytes);
    el_buf_free(&spec);
    el_buf_free(&version);
}

static void inputs_are_a_map(void **unused)
{
    (void)unused;
    struct el_buf bytes = { 0 };
    char name[8];
    for (int i = 39; i >= 0; i--) { /* more than fit into the request itself, in no order */
        snprintf(name, sizeof name, "%02d", i % 20);
        put_input(&bytes, name, (float)i);
    }
    el_wire_put_bytes(&bytes, 2, "", 0); /* neither key nor value: the empty name, with a tensor of nothing */
    struct el_predict_request request;
    assert_null(el_predict_request_parse(bytes.data, bytes.size, &request));
    assert_int_equal(request.input_count, 21);
    assert_true(spans(request.inputs[0].name, ""));
    assert_int_equal(request.inputs[0].tensor.dtype, EL_DTYPE_INVALID);
    for (uint32_t i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "%02u", i);
        assert_true(spans(request.inputs[i + 1].name, name));
        assert_null(el_tensor_proto_head(&request.inputs[i + 1].tensor, name, 2, MANY));
        assert_true(value_of(&request, i + 1) == (float)i); /* the last sent with this name */
    }
    el_predict_request_free(&request);
    el_buf_free(&bytes);
}

static void bytes_that_are_no_request_are_internal_without_a_word(void **unused)
{
    (void)unused;
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        { "\xff\xff\xff\xff\xff", 5 },
        { "\x0a\x06\x0a\x04hal", 7 },               /* cut off */
        { "\x0a\x06\x0a\x04ha\xff\xfe", 8 },        /* a name that is not UTF-8 */
        { "\x12\x03\x0a\x01\xff", 5 },              /* an alias that is not UTF-8 */
        { "\x12\x05\x0a\x01x\x12\x05", 7 },         /* a tensor beyond its entry */
        { "\x12\x07\x0a\x01x\x12\x02\x08\x80", 9 }, /* a tensor that is none */
        { "\x1a\x01\xc0", 3 },                      /* an output_filter that is not UTF-8 */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct el_predict_request request;
        struct el_status *status = el_predict_request_parse(bad[i].bytes, bad[i].size, &request);
        assert_int_equal(el_status_code(status), EL_INTERNAL);
        assert_string_equal(el_status_text(status), "");
        el_status_free(status);
        el_predict_request_free(&request);
    }
}

static void a_flood_of_inputs_is_refused(void **unused)
{
    (void)unused;
    struct el_buf bytes = { 0 };
    for (int i = 0; i <= EL_PREDICT_MAX_INPUTS; i++)
        put_input(&bytes, "a", 0);
    struct el_predict_request request;
    struct el_status *status = el_predict_request_parse(bytes.data, bytes.size, &request);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    el_status_free(status);
    el_predict_request_free(&request);
    el_buf_free(&bytes);
}

static void inputs_that_do_not_match_the_signature_are_named(void **unused)
{
    (void)unused;
    struct el_buf bytes = { 0 };
    put_input(&bytes, "a", 1);
    assert_said(bytes, 2, 0,
                "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but "
                "required: {b}.");
    bytes = (struct el_buf){ 0 };
    put_input(&bytes, "x", 1);
    assert_said(bytes, 0, 0,
                "input size does not match signature: 1!=0 len({x}) != len({}). Sent extra: {x}. Missing but "
                "required: {}.");
    bytes = (struct el_buf){ 0 };
    put_input(&bytes, "z", 1);
    assert_said(bytes, 1, 0,
                "Signature input alias: a(feed name: a:0) not found in request and no default value provided. Inputs "
                "expected to be in the request {z}, or default input alias set: ");
    bytes = (struct el_buf){ 0 };
    assert_said(bytes, 2, 1,
                "Signature input alias: a(feed name: a:0) not found in request and no default value provided. Inputs "
                "expected to be in the request {}, or default input alias set: b");
    bytes = (struct el_buf){ 0 };
    put_input(&bytes, "z", 1);
    put_input(&bytes, "a", 1);
    assert_said(bytes, 2, 1, "Inputs contains invalid name. Used request inputs: a, request input: a,z");
    bytes = (struct el_buf){ 0 };
    put_input(&bytes, "0", 1);
    put_input(&bytes, "a", 1);
    assert_said(bytes, 2, 1, "Inputs contains invalid name. Used request inputs: a, request input: 0,a");
    bytes = (struct el_buf){ 0 };
    put_input(&bytes, "a", 1);
    assert_said(bytes, 2, 1, "");
    bytes = (struct el_buf){ 0 };
    el_wire_put_bytes(&bytes, 2,
                      "\x0a\x01"
                      "a",
                      3);
    assert_said(bytes, 1, 0, "tensor parsing error: a");
}

static void the_output_filter_picks_outputs_once_each(void **unused)
{
    (void)unused;
    struct el_buf bytes = { 0 };
    put_input(&bytes, "a", 1);
    put_input(&bytes, "b", 2);
    struct el_predict_request request;
    struct el_predict_signature signature = pair(2, 0);
    uint32_t outputs[3] = { 9, 9, 9 }, output_count = 0;
    assert_null(el_predict_request_parse(bytes.data, bytes.size, &request));
    assert_null(el_predict_request_match(&request, &signature, MANY, outputs, &output_count));
    assert_int_equal(output_count, 3);
    assert_int_equal(request.inputs[1].index, 1);
    assert_true(value_of(&request, 1) == 2);
    el_predict_request_free(&request);

    el_wire_put_text(&bytes, 3, "total");
    el_wire_put_text(&bytes, 3, "scaled");
    assert_null(el_predict_request_parse(bytes.data, bytes.size, &request));
    assert_null(el_predict_request_match(&request, &signature, MANY, outputs, &output_count));
    assert_int_equal(output_count, 2);
    assert_int_equal(outputs[0], 0);
    assert_int_equal(outputs[1], 2);
    el_predict_request_free(&request);

    struct el_buf twice = { 0 }, unknown = { 0 };
    el_buf_append(&twice, bytes.data, bytes.size);
    el_wire_put_text(&twice, 3, "total");
    assert_said(twice, 2, 0, "duplicate output tensor alias: total");
    el_buf_append(&unknown, bytes.data, bytes.size);
    el_wire_put_text(&unknown, 3, "total:0");
    assert_said(unknown, 2, 0,
                "output tensor alias not found in signature: total:0 Outputs expected to be in the set "
                "{scaled,text,total}.");
    el_buf_free(&bytes);
}

static void an_answer_has_the_bytes_of_tensorflow_serving(void **unused)
{
    (void)unused;
    const float floats[3] = { 4.5f, 5, 6.5f };
    const struct el_tensor tensor = { EL_FLOAT, { 1, { 3 } }, floats, sizeof floats };
    struct el_buf buf = { 0 };
    el_predict_response_write(&buf, &(struct el_named_tensor){ "y", &tensor }, 1, EL_TENSOR_AS_VALUES, "half", 3,
                              "serving_default");
    static const uint8_t recorded[] = { 0x0a, 27,   0x0a, 1,    'y',  0x12, 22,  8,    1,    0x12, 4,   0x12,
                                        2,    8,    3,    0x2a, 12,   0,    0,   0x90, 0x40, 0,    0,   0xa0,
                                        0x40, 0,    0,    0xd0, 0x40, 0x12, 27,  0x0a, 4,    'h',  'a', 'l',
                                        'f',  0x12, 2,    8,    3,    0x1a, 15,  's',  'e',  'r',  'v', 'i',
                                        'n',  'g',  '_',  'd',  'e',  'f',  'a', 'u',  'l',  't' };
    assert_int_equal(buf.size, sizeof recorded);
    assert_memory_equal(buf.data, recorded, sizeof recorded);

    struct el_model_spec spec = { 0 };
    el_buf_clear(&buf);
    el_model_spec_write(&buf, 1, "digits", -5, NULL);
    struct el_wire inside = el_wire_of(buf.data + 2, buf.size - 2);
    assert_true(el_model_spec_merge(inside, &spec));
    assert_true(spans(spec.name, "digits"));
    assert_int_equal(spec.version, -5);
    el_buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_in_place),
        cmocka_unit_test(the_empty_message_has_no_model_spec),
        cmocka_unit_test(a_model_spec_that_comes_twice_is_merged),
        cmocka_unit_test(inputs_are_a_map),
        cmocka_unit_test(bytes_that_are_no_request_are_internal_without_a_word),
        cmocka_unit_test(a_flood_of_inputs_is_refused),
        cmocka_unit_test(inputs_that_do_not_match_the_signature_are_named),
        cmocka_unit_test(the_output_filter_picks_outputs_once_each),
        cmocka_unit_test(an_answer_has_the_bytes_of_tensorflow_serving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
