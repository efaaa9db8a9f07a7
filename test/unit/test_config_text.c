/* SPDX-License-Identifier: Apache-2.0 */
/* The text format: what is taken, and what is said of the rest. test_config_protoc.py compares with C++ protobuf itself. */
#include "base/buf.h"
#include "config/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct el_text_type inner;
static const struct el_text_enum colours[] = { { "RED", 0 }, { "GREEN", 1 }, { NULL, 0 } };
static const struct el_text_type *const known[] = { &inner, NULL };
static const struct el_text_field any_fields[] = {
    { .name = "type_url", .number = 1, .kind = EL_TEXT_STRING },
    { .name = "value", .number = 2, .kind = EL_TEXT_STRING },
};
static const struct el_text_type any = {
    .name = "google.protobuf.Any", .fields = any_fields, .field_count = 2, .known = known
};
static const struct el_text_field fields[] = {
    { .name = "i", .number = 1, .kind = EL_TEXT_INT32 },
    { .name = "u", .number = 2, .kind = EL_TEXT_UINT64 },
    { .name = "d", .number = 3, .kind = EL_TEXT_DOUBLE },
    { .name = "f", .number = 4, .kind = EL_TEXT_FLOAT },
    { .name = "b", .number = 5, .kind = EL_TEXT_BOOL },
    { .name = "s", .number = 6, .kind = EL_TEXT_STRING },
    { .name = "colour", .number = 7, .kind = EL_TEXT_ENUM, .values = colours },
    { .name = "in", .number = 8, .kind = EL_TEXT_MESSAGE, .message = &inner },
    { .name = "many", .number = 9, .kind = EL_TEXT_INT64, .repeated = true },
    { .name = "ins", .number = 10, .kind = EL_TEXT_MESSAGE, .message = &inner, .repeated = true },
    { .name = "any", .number = 11, .kind = EL_TEXT_MESSAGE, .message = &any },
    { .name = "left", .number = 12, .kind = EL_TEXT_STRING, .oneof = "side" },
    { .name = "right", .number = 13, .kind = EL_TEXT_STRING, .oneof = "side" },
    { .name = "maybe", .number = 14, .kind = EL_TEXT_INT32, .optional = true },
};
static const struct el_text_type inner = { .name = "test.Inner",
                                           .fields = fields,
                                           .field_count = sizeof fields / sizeof fields[0] };

static struct el_text parse(const char *text)
{
    struct el_text document;
    struct el_status *status = el_text_parse("a.config", text, strlen(text), &inner, &document);
    if (status != NULL)
        fail_msg("%s\nis refused: %s", text, el_status_text(status));
    return document;
}

/* The text of the error for text, which must be one; lives until the next call. */
static const char *refusal(const char *text)
{
    static char kept[1024];
    struct el_text document;
    struct el_status *status = el_text_parse("a.config", text, strlen(text), &inner, &document);
    if (status == NULL) {
        el_text_free(&document);
        return "accepted";
    }
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    assert_null(document.root);
    strncpy(kept, el_status_text(status), sizeof kept - 1);
    el_status_free(status);
    return kept;
}

static const struct el_text_value *value_of(const struct el_text *document, int32_t number)
{
    const struct el_text_value *value = el_text_get(document->root, number);
    assert_non_null(value);
    return value;
}

static void assert_integer(const char *text, int64_t expected)
{
    struct el_text document = parse(text);
    assert_int_equal(value_of(&document, 1)->as.integer, expected);
    el_text_free(&document);
}

static void assert_number(const char *text, double expected)
{
    struct el_text document = parse(text);
    assert_true(value_of(&document, 3)->as.number >= expected && value_of(&document, 3)->as.number <= expected);
    el_text_free(&document);
}

static void assert_bytes(const char *text, const char *expected, size_t size)
{
    struct el_text document = parse(text);
    assert_int_equal(value_of(&document, 6)->as.string.size, size);
    assert_memory_equal(value_of(&document, 6)->as.string.data, expected, size);
    el_text_free(&document);
}

static void whole_numbers_are_decimal_hexadecimal_or_octal(void **unused)
{
    (void)unused;
    assert_integer("i: 10", 10);
    assert_integer("i: 0x1F", 31);
    assert_integer("i: 010", 8);
    assert_integer("i: - 5", -5);
    assert_integer("i: -2147483648", INT32_MIN);
    assert_string_equal(refusal("i: 2147483648"), "a.config:1:4: Integer out of range (2147483648)");
    assert_string_equal(refusal("u: -1"), "a.config:1:4: Expected integer, got: -");
    assert_string_equal(refusal("u: 18446744073709551616"),
                        "a.config:1:4: Integer out of range (18446744073709551616)");
    assert_string_equal(refusal("i: 08"), "a.config:1:5: Numbers starting with leading zero must be in octal.");
    assert_string_equal(refusal("i: 1a"), "a.config:1:5: Need space between number and identifier.");
    assert_string_equal(refusal("i: 1.5"), "a.config:1:4: Expected integer, got: 1.5");
}

static void fractions_come_in_many_spellings(void **unused)
{
    (void)unused;
    assert_number("d: 1.5", 1.5);
    assert_number("d: .5", 0.5);
    assert_number("d: 1f", 1);
    assert_number("d: -1e-3", -1e-3);
    assert_number("d: 7", 7);
    assert_number("d: -inf", -(double)__builtin_inff());
    assert_number("d: Infinity", (double)__builtin_inff());
    assert_string_equal(refusal("d: 0x10"), "a.config:1:4: Expect a decimal number, got: 0x10");
    assert_string_equal(refusal("d: 1.2.3"),
                        "a.config:1:7: Already saw decimal point or exponent; can't have another one.");
}

static void strings_undo_their_escapes_and_join(void **unused)
{
    (void)unused;
    assert_bytes("s: 'a' \"b\"\n 'c'", "abc", 3);
    assert_bytes("s: '\\n\\t\\\"\\'\\\\\\?'", "\n\t\"'\\?", 6);
    assert_bytes("s: '\\1012\\x41g\\0'", "A2Ag\0", 5);
    assert_bytes("s: '\\u00e9\\U0001f600\\ud83d\\ude00'", "\xc3\xa9\xf0\x9f\x98\x80\xf0\x9f\x98\x80", 10);
    assert_bytes("s: '\xc3\xa9'", "\xc3\xa9", 2);
    assert_string_equal(refusal("s: 'a\n'"), "a.config:1:6: String literals cannot cross line boundaries.");
    assert_string_equal(refusal("s: 'a"), "a.config:1:6: Unexpected end of string.");
    assert_string_equal(refusal("s: '\\q'"), "a.config:1:6: Invalid escape sequence in string literal.");
    assert_string_equal(refusal("s: abc"),
                        "a.config:1:4: Expected string, got: abc (did you mean \"abc\", in quotes?)");
}

static void booleans_and_enums_have_few_spellings(void **unused)
{
    (void)unused;
    struct el_text document = parse("b: t colour: GREEN");
    assert_true(value_of(&document, 5)->as.boolean);
    assert_int_equal(value_of(&document, 7)->as.integer, 1);
    el_text_free(&document);
    document = parse("b: 1 colour: 77"); /* proto3 keeps numbers without a name */
    assert_int_equal(value_of(&document, 7)->as.integer, 77);
    el_text_free(&document);
    assert_string_equal(refusal("b: yes"), "a.config:1:7: Invalid value for boolean field \"b\". Value: \"yes\".");
    assert_string_equal(refusal("b: 2"), "a.config:1:4: Integer out of range (2)");
    assert_string_equal(refusal("colour: GREEM"), "a.config:1:14: Unknown enumeration value of \"GREEM\" for field "
                                                  "\"colour\". (did you mean \"GREEN\"?)");
}

static void messages_lists_and_separators_are_as_in_cpp(void **unused)
{
    (void)unused;
    struct el_text document = parse(
        "in { i: 1 }, ins <> ; ins: < i: 2 > ins: [{ i: 3 }, < i: 4 >] many: [1, 0x10, 010] "
        "many: 7 # a comment\n many: []");
    const int64_t expected[] = { 1, 16, 8, 7 };
    size_t n = 0;
    for (const struct el_text_value *v = el_text_get(document.root, 9); v != NULL; v = el_text_next(v))
        assert_int_equal(v->as.integer, expected[n++]);
    assert_int_equal(n, 4);
    n = 0;
    for (const struct el_text_value *v = el_text_get(document.root, 10); v != NULL; v = el_text_next(v))
        n++;
    assert_int_equal(n, 4);
    el_text_free(&document);
    assert_string_equal(refusal("many: [1,]"), "a.config:1:10: Expected integer, got: ]");
    assert_string_equal(refusal("in {,}"), "a.config:1:5: Expected identifier, got: ,");
    assert_string_equal(refusal("i: 1,,"), "a.config:1:6: Expected identifier, got: ,");
    assert_string_equal(refusal("in { i: 1 >"), "a.config:1:11: Expected \"}\", found \">\".");
    assert_string_equal(refusal("in: 4"), "a.config:1:5: Expected \"{\", found \"4\".");
    assert_string_equal(refusal("i 4"), "a.config:1:3: Expected \":\", found \"4\".");
    assert_string_equal(refusal("in {\n\ti: 1"),
                        "a.config:2:13: Expected identifier, got: (the text ends here; is a \"}\" missing?)");
}

static void a_field_comes_once_and_one_of_a_oneof(void **unused)
{
    (void)unused;
    assert_string_equal(refusal("i: 1 i: 1"), "a.config:1:7: Non-repeated field \"i\" is specified multiple times.");
    assert_string_equal(refusal("in {} in {}"),
                        "a.config:1:10: Non-repeated field \"in\" is specified multiple times.");
    assert_string_equal(refusal("left: '' right: ''"), "a.config:1:15: Field \"right\" is specified along with field "
                                                       "\"left\", another member of oneof \"side\".");
    assert_string_equal(refusal("maybe: 0 maybe: 0"),
                        "a.config:1:15: Non-repeated field \"maybe\" is specified multiple times.");
    assert_integer("i: 0 i: 5", 5); /* proto3 does not know a zero from nothing */
}

static void unknown_names_get_a_hint(void **unused)
{
    (void)unused;
    assert_string_equal(refusal("colur: RED"),
                        "a.config:1:6: Message type \"test.Inner\" has no field named \"colur\". "
                        "(did you mean \"colour\"?)");
    assert_string_equal(refusal("Colour: RED"), "a.config:1:7: Message type \"test.Inner\" has no field named "
                                                "\"Colour\". (did you mean \"colour\"?)");
    assert_string_equal(refusal("zebra: 1"), "a.config:1:6: Message type \"test.Inner\" has no field named \"zebra\".");
    assert_string_equal(refusal("any { i: 1 }"),
                        "a.config:1:8: Message type \"google.protobuf.Any\" has no field named "
                        "\"i\".");
    assert_string_equal(refusal("[a.b]: 1"),
                        "a.config:1:6: Extension \"a.b\" is not defined or is not an extension of \"test.Inner\".");
}

static void an_any_names_its_type_in_brackets(void **unused)
{
    (void)unused;
    struct el_text document = parse("any { [type.googleapis.com/test.Inner] { i: 3 } }");
    const struct el_text_message *inside = value_of(&document, 11)->as.message->any;
    assert_non_null(inside);
    assert_int_equal(el_text_get(inside, 1)->as.integer, 3);
    el_text_free(&document);
    assert_string_equal(refusal("any { [type.googleapis.com/test.Other] { } }"),
                        "a.config:1:40: Could not find type \"type.googleapis.com/test.Other\" stored in "
                        "google.protobuf.Any.");
    assert_string_equal(refusal("any { type_url: 'a' [type.googleapis.com/test.Inner] { } }"),
                        "a.config:1:58: Non-repeated Any specified multiple times.");
}

static void depth_and_size_have_limits(void **unused)
{
    (void)unused;
    struct el_buf text = { 0 };
    for (int i = 0; i < EL_TEXT_MAX_DEPTH; i++)
        el_buf_text(&text, "in {");
    const size_t deepest = text.size;
    el_buf_text(&text, "}}");
    char *deep = el_buf_take_text(&text);
    assert_non_null(strstr(refusal(deep), "Expected identifier, got: (the text ends here"));
    free(deep);
    for (size_t i = 0; i < deepest / 4 + 1; i++)
        el_buf_text(&text, "in {");
    deep = el_buf_take_text(&text);
    assert_non_null(
        strstr(refusal(deep), "Message is too deep, the parser exceeded the configured recursion limit of"));
    free(deep);

    char *large = calloc(1, EL_TEXT_MAX_BYTES + 1);
    assert_non_null(large);
    struct el_text document;
    struct el_status *status = el_text_parse("big", large, EL_TEXT_MAX_BYTES + 1, &inner, &document);
    assert_int_equal(el_status_code(status), EL_RESOURCE_EXHAUSTED);
    el_status_free(status);
    free(large);
}

static void bytes_that_are_no_text_are_refused(void **unused)
{
    (void)unused;
    assert_string_equal(refusal("i: 1 \x01"), "a.config:1:6: Invalid control characters encountered in text.");
    assert_string_equal(refusal("i: \xc3\xa9"), "a.config:1:4: Interpreting non ascii codepoint 195.");
    struct el_text document;
    struct el_status *status = el_text_parse("a.config", "i: 1\0", 5, &inner, &document);
    assert_string_equal(el_status_text(status), "a.config:1:5: Invalid control characters encountered in text.");
    el_status_free(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_decimal_hexadecimal_or_octal),
        cmocka_unit_test(fractions_come_in_many_spellings),
        cmocka_unit_test(strings_undo_their_escapes_and_join),
        cmocka_unit_test(booleans_and_enums_have_few_spellings),
        cmocka_unit_test(messages_lists_and_separators_are_as_in_cpp),
        cmocka_unit_test(a_field_comes_once_and_one_of_a_oneof),
        cmocka_unit_test(unknown_names_get_a_hint),
        cmocka_unit_test(an_any_names_its_type_in_brackets),
        cmocka_unit_test(depth_and_size_have_limits),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
