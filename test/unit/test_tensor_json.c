/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A copy without anything behind it, so that reading too far is seen by the sanitizer. */
static char *exact(const char *text, size_t size)
{
    char *copy = malloc(size == 0 ? 1 : size);
    assert_non_null(copy);
    memcpy(copy, text, size);
    return copy;
}

static void assert_error(const char *text, size_t size, const char *expected)
{
    struct el_json json;
    char *copy = exact(text, size);
    struct el_status *status = el_json_scan(copy, size, &json);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    if (strcmp(el_status_text(status), expected) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", text, el_status_text(status), expected);
    el_status_free(status);
    free(copy);
}

static void syntax_errors_have_the_words_and_offsets_of_rapidjson(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *error;
    } bad[] = {
        { "", "The document is empty" },
        { "   ", "The document is empty. at offset: 3" },
        { "}", "The document is empty. at offset: 0" },
        { "{", "Missing a name for object member. at offset: 1" },
        { "{1:2}", "Missing a name for object member. at offset: 1" },
        { "{\"a\":1,}", "Missing a name for object member. at offset: 7" },
        { "{\"instances\" [1.0]}", "Missing a colon after a name of object member. at offset: 13" },
        { "{\"instances\":[1.0] /* c */}", "Missing a comma or '}' after an object member. at offset: 19" },
        { "{\"instances\":[1.0 2.0]}", "Missing a comma or ']' after an array element. at offset: 18" },
        { "{\"instances\":[01]}", "Missing a comma or ']' after an array element. at offset: 15" },
        { "{\"instances\":[1.0", "Missing a comma or ']' after an array element. at offset: 17" },
        { "{\"instances\":[+1]}", "Invalid value. at offset: 14" },
        { "{\"instances\":[-]}", "Invalid value. at offset: 15" },
        { "{\"instances\":[nan]}", "Invalid value. at offset: 15" },
        { "{\"instances\":[tru]}", "Invalid value. at offset: 17" },
        { "{\"instances\":[1,]}", "Invalid value. at offset: 16" },
        { "{\"instances\":[1,,2]}", "Invalid value. at offset: 16" },
        { "{\"instances\":[Infinite]}", "Invalid value. at offset: 21" },
        { "{\"instances\":[Nan]}", "Invalid value. at offset: 16" },
        { "{\"instances\":[1.]}", "Miss fraction part in number. at offset: 16" },
        { "{\"instances\":[1e]}", "Miss exponent in number. at offset: 16" },
        { "{\"instances\":[1e+]}", "Miss exponent in number. at offset: 17" },
        { "{\"instances\":[1e400]}", "Number too big to be stored in double. at offset: 14" },
        { "{\"instances\":[5,1e309]}", "Number too big to be stored in double. at offset: 16" },
        { "{\"inst\\u00zz\":[1.0]}", "Incorrect hex digit after \\u escape in string. at offset: 6" },
        { "{\"inst\\ud800\":[1.0]}", "The surrogate pair in string is invalid. at offset: 6" },
        { "{\"inst\\ud800\\u0041\":[1.0]}", "The surrogate pair in string is invalid. at offset: 6" },
        { "{\"inst\\x\":[1.0]}", "Invalid escape character in string. at offset: 6" },
        { "{\"a\nb\":1}", "Invalid escape character in string. at offset: 3" },
        { "{\"instances", "Missing a closing quotation mark in string. at offset: 11" },
        { "\xff\xfe{", "Invalid value. at offset: 0" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "JSON Parse error: %s", bad[i].error);
        assert_error(bad[i].text, strlen(bad[i].text), expected);
    }
    assert_error("[1,2\0]", 6, "JSON Parse error: Missing a comma or ']' after an array element. at offset: 4");
}

static void assert_scans(const char *text, size_t size, size_t used)
{
    struct el_json json;
    char *copy = exact(text, size);
    struct el_status *status = el_json_scan(copy, size, &json);
    if (status != NULL)
        fail_msg("%s: %s", text, el_status_text(status));
    assert_int_equal(json.end - json.text, used);
    free(copy);
}

static void what_rapidjson_lets_through_is_let_through(void **unused)
{
    (void)unused;
    assert_scans("\xef\xbb\xbf{}", 5, 5);
    assert_scans(" \t\r\n[NaN, -Infinity,Inf , -Inf]", 31, 31);
    assert_scans("{} and more text", 16, 2);
    assert_scans("[1]\0", 4, 3);
    assert_scans("\"\xff\x80\"", 4, 4);
    assert_scans("[1e308,123e308,1e-999999999999]", 31, 31);
    assert_scans("-0", 2, 2);
    assert_scans("\"\\ud83d\\ude00\\udc00\"", 20, 20);
}

static void numbers_are_too_big_where_rapidjson_says_so(void **unused)
{
    (void)unused;
    char text[400];
    struct el_json json;
    for (int first = 1; first <= 2; first++) { /* 10^308 is let through, 2 * 10^308 not */
        size_t size = (size_t)snprintf(text, sizeof text, "[%d%0308d]", first, 0);
        struct el_status *status = el_json_scan(text, size, &json);
        assert_int_equal(el_status_code(status), first == 1 ? EL_OK : EL_INVALID_ARGUMENT);
        el_status_free(status);
    }
    /* Digits of the fraction give the exponent room: those that fit a significand. */
    assert_scans("[0.00001e313]", 13, 13);
    assert_error("[0.00001e314]", 13, "JSON Parse error: Number too big to be stored in double. at offset: 1");
}

static void nesting_costs_a_bit_and_not_the_stack(void **unused)
{
    (void)unused;
    enum { DEPTH = 100000 };
    char *text = malloc(2 * DEPTH);
    assert_non_null(text);
    struct el_json json;
    memset(text, '[', DEPTH);
    struct el_status *status = el_json_scan(text, DEPTH, &json);
    assert_string_equal(el_status_text(status), "JSON Parse error: Invalid value. at offset: 100000");
    el_status_free(status);
    memset(text + DEPTH, ']', DEPTH);
    assert_null(el_json_scan(text, 2 * DEPTH, &json));
    assert_int_equal(json.end - text, 2 * DEPTH);
    assert_ptr_equal(el_json_skip(text), json.end);
    for (size_t i = 0; i < DEPTH; i++) /* objects and lists in turns, closed in the wrong order at the very end */
        text[i] = '[';
    text[2 * DEPTH - 1] = '}';
    status = el_json_scan(text, 2 * DEPTH, &json);
    assert_string_equal(el_status_text(status),
                        "JSON Parse error: Missing a comma or ']' after an array element. at offset: 199999");
    el_status_free(status);
    free(text);
}

static void values_are_walked_in_place(void **unused)
{
    (void)unused;
    static const char text[] =
        " {\"a\" : [1, [2, 3] , {\"x\": \"],\\\"\"} , \"s\\\\\"], \"\\u0062\":null,\"a\":7, \"empty\":[ ] } ";
    struct el_json json;
    assert_null(el_json_scan(text, sizeof text - 1, &json));
    assert_null(el_json_want_object(&json));
    size_t count = 0;
    const char *a = el_json_top(&json, "a", 1, &count);
    assert_int_equal(count, 4);
    assert_int_equal(el_json_type(a), EL_JSON_ARRAY); /* the first of two members of one name */
    assert_int_equal(el_json_count(a), 4);
    const char *element = el_json_first(a);
    assert_int_equal(el_json_type(element), EL_JSON_NUMBER);
    element = el_json_next(element);
    assert_int_equal(el_json_count_before(element, json.end), 2);
    element = el_json_next(element);
    assert_int_equal(el_json_type(element), EL_JSON_OBJECT);
    assert_true(el_json_string_is(el_json_find(element, "x", 1), "],\"", 3));
    element = el_json_next(element);
    assert_true(el_json_string_is(element, "s\\", 2));
    assert_null(el_json_next(element));
    assert_int_equal(el_json_type(el_json_find(json.root, "b", 1)), EL_JSON_NULL);
    assert_null(el_json_first(el_json_find(json.root, "empty", 5)));
    assert_int_equal(el_json_count(el_json_top(&json, "empty", 5, &count)), 0);
    assert_int_equal(count, 0);
    assert_null(el_json_top(&json, "A", 1, NULL));
    assert_int_equal(el_json_count(json.root), 4);
}

static void members_beyond_those_remembered_are_found(void **unused)
{
    (void)unused;
    static const char text[] =
        "{\"0\":0,\"1\":1,\"2\":2,\"3\":3,\"4\":4,\"5\":5,\"6\":6,\"7\":[],\"8\":8,\"last\":[1,2,[3],4]}";
    struct el_json json;
    size_t count = 0;
    assert_null(el_json_scan(text, sizeof text - 1, &json));
    assert_non_null(el_json_top(&json, "last", 4, &count));
    assert_int_equal(count, 4);
    assert_int_equal(*el_json_top(&json, "8", 1, NULL), '8');
    assert_null(el_json_top(&json, "9", 1, NULL));
}

static void strings_are_unescaped(void **unused)
{
    (void)unused;
    static const char string[] = "\"\\u00fc\\n\\t\\\"\\\\\\/\\b\\f\\r\\u4e2d\\ud83d\\ude00\\u0000x\"";
    static const char expected[] = "\xc3\xbc\n\t\"\\/\b\f\r\xe4\xb8\xad\xf0\x9f\x98\x80\0x";
    char to[64];
    const char *end = NULL;
    assert_int_equal(el_json_string_size(string, &end), sizeof expected - 1);
    assert_ptr_equal(end, string + sizeof string - 1);
    assert_int_equal(el_json_string_copy(string, to, &end), sizeof expected - 1);
    assert_memory_equal(to, expected, sizeof expected - 1);
    assert_true(el_json_string_is(string, expected, sizeof expected - 1));
    assert_false(el_json_string_is(string, expected, sizeof expected - 2));
}

static void assert_base64(const char *string, const char *expected)
{
    char to[64];
    int64_t size = el_json_base64_size(string);
    if (expected == NULL) {
        assert_int_equal(size, -1);
        return;
    }
    assert_int_equal(size, strlen(expected));
    el_json_base64_copy(string, to);
    assert_memory_equal(to, expected, strlen(expected));
}

static void base64_is_as_tolerant_as_tensorflow_serving(void **unused)
{
    (void)unused;
    assert_base64("\"aGVsbG8=\"", "hello");
    assert_base64("\"aGVsbG8\"", "hello");
    assert_base64("\"aGVs bG8=\\n\"", "hello");
    assert_base64("\"aGVsbG9oZWxsbw==\"", "hellohello");
    assert_base64("\"\"", "");
    assert_base64("\"\\/+8=\"", "\xff\xef");
    assert_base64("\"YQ..\"", "a");
    assert_base64("\"_-8=\"", NULL);
    assert_base64("\"***\"", NULL);
    assert_base64("\"a\"", NULL);
    assert_base64("\"YQ=\"", NULL);
    assert_base64("\"YQ==YQ==\"", NULL);
    assert_base64("\"=\"", NULL);
    assert_base64("\"aGVs\\\"\"", NULL);
    assert_base64("\"aGVs\xff\"", NULL);
    assert_non_null(el_json_base64_string("{ \"b64\" : \"\" }"));
    assert_null(el_json_base64_string("{\"b64\":5}"));
    assert_null(el_json_base64_string("{\"b64\":\"\",\"x\":1}"));
    assert_null(el_json_base64_string("{}"));
}

static void assert_debug(const char *value, const char *expected)
{
    struct el_buf buf = { 0 };
    el_json_print_debug(&buf, value);
    char *text = el_buf_take_text(&buf);
    assert_string_equal(text, expected);
    free(text);
}

static void values_in_messages_are_pretty_and_cut(void **unused)
{
    (void)unused;
    assert_debug("null", "null");
    assert_debug("1e2", "100.0");
    assert_debug("-9223372036854775809", "-9.22337204e+18");
    assert_debug("9223372036854775808", "9223372036854775808");
    assert_debug("1e300", "1e+300");
    assert_debug("0.1", "0.1");
    assert_debug("NaN", "NaN");
    assert_debug("\"a\\u0001\\/\"", "\"a\\u0001/\"");
    assert_debug("{ }", "{}");
    assert_debug(
        "[ [ ] , {\"a\":[ 1,2.50, 1e20,1e21,1.5e-7,0.0001 ]},-0.0]",
        "[\n    [],\n    {\n        \"a\": [\n            1,\n            2.5,\n            100000000000000000000.0,\n"
        "            1e21,\n            1.5e-7,\n            0.0001\n        ]\n    },\n    -0.0\n]");
    assert_debug("[1,NaN,2]", "[\n    1,\n    ");

    /* Once there are 256 bytes nothing more is begun. */
    struct el_buf list = { 0 }, buf = { 0 };
    el_buf_byte(&list, '[');
    for (int i = 0; i < 1000; i++)
        el_buf_text(&list, "100,");
    el_buf_text(&list, "1]");
    el_json_print_debug(&buf, (const char *)list.data);
    assert_in_range(buf.size, 256, 264);
    el_buf_clear(&list);
    el_buf_clear(&buf);
    for (int i = 0; i < 5000; i++)
        el_buf_byte(&list, '[');
    for (int i = 0; i < 5000; i++)
        el_buf_byte(&list, ']');
    el_json_print_debug(&buf, (const char *)list.data);
    assert_in_range(buf.size, 256, 400);
    el_buf_free(&list);
    el_buf_free(&buf);
}

static void a_document_that_is_no_object_is_shown(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *shown;
    } roots[] = { { "5", "JSON Value: 5 Is not object" },
                  { "\"x\"", "JSON Value: \"x\" Is not object" },
                  { "-1.50", "JSON Value: -1.5 Is not object" },
                  { "[1]", "JSON Value: [\n    1\n] Is not object" } };
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        struct el_json json;
        char *copy = exact(roots[i].text, strlen(roots[i].text));
        assert_null(el_json_scan(copy, strlen(roots[i].text), &json));
        struct el_status *status = el_json_want_object(&json);
        assert_string_equal(el_status_text(status), roots[i].shown);
        el_status_free(status);
        free(copy);
    }
}

static void errors_and_strings_are_written(void **unused)
{
    (void)unused;
    struct el_buf buf = { 0 };
    el_json_put_error(&buf, "a \"b\"\n\t\x01\x7f\xff\\");
    char *text = el_buf_take_text(&buf);
    assert_string_equal(text, "{\n    \"error\": \"a \\\"b\\\"\\n\\t\\u0001\x7f\xff\\\\\"\n}");
    free(text);
    static const char *const encoded[] = { "\"\"", "\"YQ==\"", "\"YWI=\"", "\"YWJj\"", "\"YWJjZA==\"" };
    for (size_t size = 0; size < 5; size++) {
        el_json_put_base64(&buf, "abcd", size);
        text = el_buf_take_text(&buf);
        assert_string_equal(text, encoded[size]);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(syntax_errors_have_the_words_and_offsets_of_rapidjson),
        cmocka_unit_test(what_rapidjson_lets_through_is_let_through),
        cmocka_unit_test(numbers_are_too_big_where_rapidjson_says_so),
        cmocka_unit_test(nesting_costs_a_bit_and_not_the_stack),
        cmocka_unit_test(values_are_walked_in_place),
        cmocka_unit_test(members_beyond_those_remembered_are_found),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(base64_is_as_tolerant_as_tensorflow_serving),
        cmocka_unit_test(values_in_messages_are_pretty_and_cut),
        cmocka_unit_test(a_document_that_is_no_object_is_shown),
        cmocka_unit_test(errors_and_strings_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
