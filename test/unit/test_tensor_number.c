/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers to text and back: against printf and strtod, which are right and slow. */
#include "tensor/json.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Of each kind of number. Where a sanitizer looks at each step it is not chance that finds what is wrong. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define ROUNDS 10000
#else
#    define ROUNDS 250000
#endif

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static double unit(uint64_t *state)
{
    return (double)(next_random(state) >> 11) * 0x1p-53;
}

enum kind { ANY_BITS, FRACTION, CENTS, WHOLE, MAGNITUDES, FEW_DIGITS, KINDS };

static double random_double(enum kind kind, uint64_t *state)
{
    uint64_t bits;
    double value;
    switch (kind) {
    case ANY_BITS:
        bits = next_random(state);
        memcpy(&value, &bits, sizeof value);
        return value;
    case FRACTION:
        return unit(state);
    case CENTS:
        return ((double)(next_random(state) % 200000) - 100000) / 100;
    case WHOLE:
        return (double)(next_random(state) % 20000000);
    case MAGNITUDES:
        return unit(state) * pow(10, (int)(next_random(state) % 80) - 40);
    default:
        return (double)(next_random(state) % 1000000) * pow(10, (int)(next_random(state) % 40) - 25);
    }
}

static float random_float(enum kind kind, uint64_t *state)
{
    if (kind != ANY_BITS)
        return (float)random_double(kind, state);
    uint32_t bits = (uint32_t)next_random(state);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The rule of TensorFlow Serving, word for word. */
static void print_by_the_rule(char text[64], double value, bool is_float)
{
    int size = snprintf(text, 60, "%.6g", value);
    bool same = is_float ? (double)strtof(text, NULL) == value : strtod(text, NULL) == value;
    if (!same)
        size = snprintf(text, 60, is_float ? "%.9g" : "%.17g", value);
    if (strchr(text, '.') == NULL && strchr(text, 'e') == NULL)
        snprintf(text + size, 4, ".0");
}

static void numbers_print_by_the_rule(void **unused)
{
    (void)unused;
    uint64_t state = 88172645463325252u;
    char text[64], expected[64];
    for (int i = 0; i < KINDS * ROUNDS; i++) {
        float single = random_float((enum kind)(i % KINDS), &state);
        if (isfinite(single)) {
            *el_json_format_float(text, single) = '\0';
            print_by_the_rule(expected, (double)single, true);
            if (strcmp(text, expected) != 0)
                fail_msg("the float %a prints as %s, not as %s", (double)single, text, expected);
        }
        double value = random_double((enum kind)(i % KINDS), &state);
        if (isfinite(value)) {
            *el_json_format_double(text, value) = '\0';
            print_by_the_rule(expected, value, false);
            if (strcmp(text, expected) != 0)
                fail_msg("the double %a prints as %s, not as %s", value, text, expected);
        }
    }
}

static void known_numbers_print_as_tensorflow_serving_prints_them(void **unused)
{
    (void)unused;
    static const struct {
        float value;
        const char *text;
    } floats[] = { { 3, "3.0" },
                   { 9000000, "9e+06" },
                   { 0.00003f, "3e-05" },
                   { 1234567, "1234567.0" },
                   { 123456.7f, "123456.703" },
                   { 1 / 3.0f, "0.333333343" },
                   { -0.0f, "-0.0" },
                   { 0, "0.0" },
                   { 1e6f, "1e+06" },
                   { 999999.5f, "999999.5" },
                   { NAN, "NaN" },
                   { INFINITY, "Infinity" },
                   { -INFINITY, "-Infinity" },
                   { FLT_MAX, "3.40282347e+38" },
                   { FLT_MIN, "1.17549435e-38" },
                   { 1e-45f, "1.4013e-45" },
                   { 9.99999e-5f, "9.99999e-05" },
                   { 0.0001f, "0.0001" },
                   { 16777216, "16777216.0" } };
    char text[64];
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        *el_json_format_float(text, floats[i].value) = '\0';
        assert_string_equal(text, floats[i].text);
    }
    static const struct {
        double value;
        const char *text;
    } doubles[] = { { 0.1, "0.1" },
                    { 123456.7, "123456.7" },
                    { 99999.95, "99999.949999999997" },
                    { 0.00099999999, "0.00099999999000000006" },
                    { DBL_MAX, "1.7976931348623157e+308" },
                    { 5e-324, "4.94066e-324" },
                    { 1e38, "1e+38" },
                    { 1e100, "1e+100" },
                    { -2.5, "-2.5" } };
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        *el_json_format_double(text, doubles[i].value) = '\0';
        assert_string_equal(text, doubles[i].text);
    }
    *el_json_format_int(text, INT64_MIN) = '\0';
    assert_string_equal(text, "-9223372036854775808");
    *el_json_format_uint(text, UINT64_MAX) = '\0';
    assert_string_equal(text, "18446744073709551615");
    *el_json_format_uint(text, 0) = '\0';
    assert_string_equal(text, "0");
}

/* Reads a number in a list, in all ways that there are, and compares with strtod. */
static void assert_reads(const char *number)
{
    char list[3200];
    size_t size = (size_t)snprintf(list, sizeof list, "[%s,%s", number, number);
    memset(list + size, ']', 64); /* so that the fast way sees enough text behind */
    struct el_json json;
    struct el_status *status = el_json_scan(list, size + 1, &json);
    if (status != NULL)
        fail_msg("%s: %s", number, el_status_text(status));
    const char *value = el_json_first(json.root);
    double expected = strtod(number, NULL), as_double = 0;
    float as_float = 0;
    struct el_json_number read;
    const char *behind = el_json_number(value, &read);
    assert_int_equal(*behind, ',');
    if (read.real != expected)
        fail_msg("%s is read as %a, not as %a", number, read.real, expected);
    assert_ptr_equal(el_json_number_double(value, list + size + 64, &as_double), behind);
    assert_ptr_equal(el_json_number_float(value, list + size + 64, &as_float), behind);
    if (as_double != expected || as_float != (float)expected)
        fail_msg("%s is read in a list as %a and %a, not as %a", number, as_double, (double)as_float, expected);
    assert_ptr_equal(el_json_number_double(value, NULL, &as_double), behind);
    assert_ptr_equal(el_json_number_float(value, NULL, &as_float), behind);
    assert_true(as_double == expected && as_float == (float)expected);
}

static void numbers_are_read_as_strtod_reads_them(void **unused)
{
    (void)unused;
    uint64_t state = 1234567890123456789u;
    char text[64];
    for (int i = 0; i < 6 * ROUNDS / 5; i++) {
        double value = random_double((enum kind)(i % KINDS), &state);
        if (!isfinite(value))
            continue;
        snprintf(text, sizeof text, "%.*g", (int)(next_random(&state) % 20) + 1, value);
        if (isfinite(strtod(text, NULL))) /* rounding can make infinity of the largest ones, which RapidJSON refuses */
            assert_reads(text);
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)next_random(&state) >> next_random(&state) % 60,
                 (int)(next_random(&state) % 80) - 40);
        assert_reads(text);
        snprintf(text, sizeof text, "%lld", (long long)next_random(&state) >> next_random(&state) % 60);
        assert_reads(text);
    }
}

/* Halfway between two floats, and right beside it, where rounding twice could go wrong. */
static void numbers_between_two_floats_are_rounded_as_the_double(void **unused)
{
    (void)unused;
    uint64_t state = 42;
    char text[64];
    for (int i = 0; i < ROUNDS / 5; i++) {
        float value = (float)random_double(i & 1 ? FRACTION : CENTS, &state);
        double middle = ((double)value + (double)nextafterf(value, 2e30f)) / 2;
        for (int digits = 15; digits < 20; digits++) {
            snprintf(text, sizeof text, "%.*g", digits, middle);
            assert_reads(text);
        }
    }
}

static void long_and_far_numbers_are_read_too(void **unused)
{
    (void)unused;
    static const char *const numbers[] = { "0",
                                           "0.0",
                                           "0e5",
                                           "0.000",
                                           "1e-400",
                                           "4.9e-324",
                                           "2.4703282292062327e-324",
                                           "2.4703282292062328e-324",
                                           "1.7976931348623157e308",
                                           "2.2250738585072011e-308",
                                           "9007199254740993",
                                           "9007199254740993.0",
                                           "9007199254740992.99999999999999999999999999999999999999999",
                                           "9007199254740993.00000000000000000000000000000000001",
                                           "18446744073709551615",
                                           "18446744073709551616",
                                           "-9223372036854775808",
                                           "-9223372036854775809",
                                           "123456789012345678901234567890",
                                           "0.1000000000000000055511151231257827021181583404541015625",
                                           "1e22",
                                           "1e23",
                                           "1E+2",
                                           "1e-2",
                                           "8.5e-27",
                                           "3e27",
                                           "12345678901234567890123e-30" };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_reads(numbers[i]);
    char text[1400] = "0."; /* more digits than are kept: the last one decides */
    for (size_t i = 2; i < 1300; i++)
        text[i] = '0';
    text[2] = '5';
    memcpy(text + 1300, "1", 2);
    assert_reads(text);
    memset(text, '1', 300);
    text[300] = '\0';
    assert_reads(text);
}

static void integers_keep_their_kind(void **unused)
{
    (void)unused;
    struct el_json_number number;
    el_json_number("-5,", &number);
    assert_int_equal(number.kind, EL_JSON_NEGATIVE);
    assert_int_equal(number.negative, -5);
    el_json_number("18446744073709551615]", &number);
    assert_int_equal(number.kind, EL_JSON_POSITIVE);
    assert_true(number.positive == UINT64_MAX);
    el_json_number("18446744073709551616]", &number);
    assert_int_equal(number.kind, EL_JSON_DOUBLE);
    el_json_number("-9223372036854775809]", &number);
    assert_int_equal(number.kind, EL_JSON_DOUBLE);
    el_json_number("-9223372036854775808]", &number);
    assert_int_equal(number.kind, EL_JSON_NEGATIVE);
    assert_true(number.negative == INT64_MIN);
    el_json_number("1.0]", &number);
    assert_int_equal(number.kind, EL_JSON_DOUBLE);
    el_json_number("1e2]", &number);
    assert_int_equal(number.kind, EL_JSON_DOUBLE);
    el_json_number("-0]", &number); /* to RapidJSON the integer 0, without a sign */
    assert_int_equal(number.kind, EL_JSON_POSITIVE);
    assert_false(signbit(number.real));
    el_json_number("-0.0]", &number);
    assert_true(signbit(number.real));
    assert_ptr_not_equal(el_json_number("-Infinity]", &number), NULL);
    assert_true(isinf(number.real) && number.real < 0);
    el_json_number("NaN]", &number);
    assert_true(isnan(number.real));
}

static void what_is_printed_reads_back_as_the_same_bits(void **unused)
{
    (void)unused;
    uint64_t state = 99;
    char text[64];
    for (int i = 0; i < KINDS * ROUNDS / 5; i++) {
        float single = random_float((enum kind)(i % KINDS), &state), again;
        double value = random_double((enum kind)(i % KINDS), &state), double_again;
        if (isfinite(single)) {
            memcpy(el_json_format_float(text, single), "]", 2);
            el_json_number_float(text, NULL, &again);
            assert_memory_equal(&again, &single, sizeof single);
        }
        if (isfinite(value)) {
            memcpy(el_json_format_double(text, value), "]", 2);
            el_json_number_double(text, NULL, &double_again);
            assert_memory_equal(&double_again, &value, sizeof value);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_print_by_the_rule),
        cmocka_unit_test(known_numbers_print_as_tensorflow_serving_prints_them),
        cmocka_unit_test(numbers_are_read_as_strtod_reads_them),
        cmocka_unit_test(numbers_between_two_floats_are_rounded_as_the_double),
        cmocka_unit_test(long_and_far_numbers_are_read_too),
        cmocka_unit_test(integers_keep_their_kind),
        cmocka_unit_test(what_is_printed_reads_back_as_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
