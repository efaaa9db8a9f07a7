/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/examples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_BYTES ((size_t)1 << 20)

/* The packed strings of examples; number i as text with its length. */
struct packed {
    uint8_t *data;
    size_t size, count;
};

static void pack(const struct el_examples *examples, struct packed *packed)
{
    assert_null(el_examples_size(examples, MAX_BYTES, &packed->size));
    packed->data = malloc(packed->size);
    assert_non_null(packed->data);
    packed->count = el_examples_count(examples);
    el_examples_pack(examples, packed->data);
}

static void assert_string(const struct packed *packed, size_t i, const void *bytes, size_t size)
{
    uint64_t from, to;
    assert_true(i < packed->count);
    memcpy(&from, packed->data + i * sizeof from, sizeof from);
    memcpy(&to, packed->data + (i + 1) * sizeof to, sizeof to);
    assert_int_equal(to - from, size);
    assert_true(to <= packed->size);
    assert_memory_equal(packed->data + from, bytes, size);
}

static void read_json(const char *text, struct el_examples *examples)
{
    struct el_json json;
    assert_null(el_json_scan(text, strlen(text), &json));
    assert_null(el_examples_read_json(examples, &json));
}

static void assert_refused(const char *text, const char *message)
{
    struct el_examples examples = { 0 };
    struct el_json json;
    assert_null(el_json_scan(text, strlen(text), &json));
    struct el_status *status = el_examples_read_json(&examples, &json);
    assert_non_null(status);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    assert_string_equal(el_status_text(status), message);
    el_status_free(status);
    el_examples_free(&examples);
}

/* ---- JSON ---- */

static void each_kind_of_value_becomes_its_kind_of_feature(void **state)
{
    (void)state;
    struct el_examples examples = { 0 };
    struct packed packed;
    read_json("{\"examples\":[{\"f\":1.5},{\"i\":[1,-1,true]},{\"b\":[\"hi\",{\"b64\":\"/w==\"}]},{\"e\":[]},{}]}",
              &examples);
    pack(&examples, &packed);
    assert_int_equal(packed.count, 5);
    /* Example { features { feature { key: "f" value { float_list { value: 1.5 } } } } }, as protoc encodes it. */
    assert_string(&packed, 0,
                  "\x0a\x0f\x0a\x0d\x0a\x01"
                  "f\x12\x08\x12\x06\x0a\x04\x00\x00\xc0\x3f",
                  17);
    /* 1, -1 (ten bytes), 1 */
    assert_string(&packed, 1,
                  "\x0a\x17\x0a\x15\x0a\x01"
                  "i\x12\x10\x1a\x0e\x0a\x0c\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01",
                  25);
    assert_string(&packed, 2,
                  "\x0a\x10\x0a\x0e\x0a\x01"
                  "b\x12\x09\x0a\x07\x0a\x02hi\x0a\x01\xff",
                  18);
    /* An empty list: a feature that is neither. */
    assert_string(&packed, 3,
                  "\x0a\x07\x0a\x05\x0a\x01"
                  "e\x12\x00",
                  9);
    assert_string(&packed, 4, "", 0);
    for (size_t i = 0; i < packed.count; i++) {
        uint64_t from, to;
        memcpy(&from, packed.data + i * sizeof from, sizeof from);
        memcpy(&to, packed.data + (i + 1) * sizeof to, sizeof to);
        assert_true(el_example_valid(el_wire_of(packed.data + from, to - from)));
    }
    free(packed.data);
    el_examples_free(&examples);
}

static void the_context_comes_before_each_example(void **state)
{
    (void)state;
    struct el_examples examples = { 0 }, context = { 0 };
    struct packed packed, alone;
    read_json("{\"context\":{\"c\":\"x\"},\"examples\":[{\"a\":1},{\"a\":2}]}", &examples);
    read_json("{\"examples\":[{\"c\":\"x\"},{\"a\":1}]}", &context);
    pack(&examples, &packed);
    pack(&context, &alone);
    uint64_t first, second, third;
    memcpy(&first, alone.data, sizeof first);
    memcpy(&second, alone.data + 8, sizeof second);
    memcpy(&third, alone.data + 16, sizeof third);
    assert_string(&packed, 0, alone.data + first, third - first); /* both, one behind the other */
    assert_int_equal(packed.count, 2);
    free(packed.data);
    free(alone.data);
    el_examples_free(&examples);
    el_examples_free(&context);
}

static void what_is_no_example_is_refused_in_their_words(void **state)
{
    (void)state;
    assert_refused("{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not found");
    assert_refused("{\"examples\":5}",
                   "JSON Value: {\n    \"examples\": 5\n} Expecting 'examples' value to be an list/array");
    assert_refused("{\"examples\":[]}", "JSON Value: {\n    \"examples\": []\n} 'examples' value is an empty array");
    assert_refused("{\"examples\":[5]}", "Example must be JSON object but got JSON Number");
    assert_refused("{\"context\":[],\"examples\":[5]}", "Example must be JSON object but got JSON Array");
    assert_refused("{\"examples\":[{\"age\":[1.0,2]}]}",
                   "Unexpected element type in feature: age expecting type: float");
    assert_refused("{\"examples\":[{\"age\":[2,1.0]}]}",
                   "Unexpected element type in feature: age expecting type: int64");
    assert_refused("{\"examples\":[{\"age\":[\"a\",1]}]}",
                   "Unexpected element type in feature: age expecting type: bytes");
    assert_refused("{\"examples\":[{\"age\":null}]}", "Feature: age has element with unexpected JSON type: Null");
    assert_refused("{\"examples\":[{\"age\":[[1]]}]}", "Feature: age has element with unexpected JSON type: Array");
    assert_refused("{\"examples\":[{\"age\":9223372036854775808}]}",
                   "Feature: age has uint64_t element. Only int64_t is supported.");
    assert_refused("{\"examples\":[{\"age\":{\"b64\":\"***\"}}]}", "Unable to base64 decode");
}

/* ---- the wire ---- */

static bool read_input(struct el_examples *examples, const char *bytes, size_t size)
{
    return el_examples_read_input(examples, (const uint8_t *)bytes, el_wire_of(bytes, size));
}

static void an_input_is_read_in_place(void **state)
{
    (void)state;
    static const char list[] =
        "\x0a\x06\x0a\x02\x0a\x00\x0a\x00"; /* example_list { examples { features {} } examples {} } */
    struct el_examples examples = { 0 };
    struct packed packed;
    assert_true(read_input(&examples, list, sizeof list - 1));
    pack(&examples, &packed);
    assert_int_equal(packed.count, 2);
    assert_string(&packed, 0, "\x0a\x00", 2);
    assert_string(&packed, 1, "", 0);
    free(packed.data);
    el_examples_free(&examples);
}

static void of_two_kinds_of_list_the_last_counts(void **state)
{
    (void)state;
    /* example_list with two, then example_list_with_context with one and two contexts, which are merged. */
    static const char both[] = "\x0a\x04\x0a\x00\x0a\x00"
                               "\x12\x0a\x12\x02\x0a\x00\x0a\x00\x12\x02\x0a\x00";
    struct el_examples examples = { 0 };
    struct packed packed;
    assert_true(read_input(&examples, both, sizeof both - 1));
    pack(&examples, &packed);
    assert_int_equal(packed.count, 1);
    assert_string(&packed, 0, "\x0a\x00\x0a\x00", 4);
    free(packed.data);
    el_examples_free(&examples);
}

static void what_protobuf_would_not_parse_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        { "\x0a\x02\x0a\x05", 4 },                                              /* a length beyond the end */
        { "\x0a\x0a\x0a\x08\x0a\x06\x0a\x04\x0a\x02\xff\xff", 12 },             /* a feature's name that is no UTF-8 */
        { "\x0a\x0d\x0a\x0b\x0a\x09\x0a\x07\x12\x05\x12\x03\x0a\x01\x00", 15 }, /* a packed float of one byte */
        { "\x0a\x0d\x0a\x0b\x0a\x09\x0a\x07\x12\x05\x1a\x03\x0a\x01\x80", 15 }, /* a packed varint without its end */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct el_examples examples = { 0 };
        assert_false(read_input(&examples, bad[i].bytes, bad[i].size));
        el_examples_free(&examples);
    }
}

static void an_empty_input_and_one_too_large_are_told_apart(void **state)
{
    (void)state;
    struct el_examples examples = { 0 };
    size_t size;
    struct el_status *status = el_examples_size(&examples, MAX_BYTES, &size);
    assert_string_equal(el_status_text(status), "Input is empty.");
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    el_status_free(status);
    read_json("{\"context\":{\"c\":\"0123456789\"},\"examples\":[{},{},{}]}", &examples);
    assert_null(el_examples_size(&examples, MAX_BYTES, &size));
    status = el_examples_size(&examples, size - 1, &size);
    assert_int_equal(el_status_code(status), EL_RESOURCE_EXHAUSTED);
    el_status_free(status);
    el_examples_free(&examples);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_value_becomes_its_kind_of_feature),
        cmocka_unit_test(the_context_comes_before_each_example),
        cmocka_unit_test(what_is_no_example_is_refused_in_their_words),
        cmocka_unit_test(an_input_is_read_in_place),
        cmocka_unit_test(of_two_kinds_of_list_the_last_counts),
        cmocka_unit_test(what_protobuf_would_not_parse_is_refused),
        cmocka_unit_test(an_empty_input_and_one_too_large_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
