/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_refused(struct el_status *status, const char *words)
{
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    if (strstr(el_status_text(status), words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", el_status_text(status), words);
    el_status_free(status);
}

static void dtypes_have_the_names_and_numbers_of_tensorflow(void **unused)
{
    (void)unused;
    assert_string_equal(el_dtype_name((enum el_dtype)1), "DT_FLOAT");
    assert_string_equal(el_dtype_name((enum el_dtype)23), "DT_UINT64");
    assert_string_equal(el_dtype_short_name(EL_BFLOAT16), "bfloat16");
    assert_string_equal(el_dtype_name((enum el_dtype)999), "DT_INVALID");
    assert_string_equal(el_dtype_short_name((enum el_dtype)101), "invalid"); /* DT_FLOAT_REF */
    assert_int_equal(el_dtype_size(EL_COMPLEX128), 16);
    assert_true(el_dtype_is_data(EL_STRING));
    assert_false(el_dtype_is_data(EL_RESOURCE));
    assert_false(el_dtype_is_data((enum el_dtype) - 1));
    assert_true(el_dtype_is_floating(EL_COMPLEX64));
    assert_false(el_dtype_is_floating(EL_INT8));
}

static void a_shape_counts_its_elements_or_says_why_not(void **unused)
{
    (void)unused;
    size_t elements = 0;
    assert_null(el_shape_elements(&(struct el_shape){ .rank = 0 }, &elements));
    assert_int_equal(elements, 1);
    assert_null(el_shape_elements(&(struct el_shape){ 3, { 2, 0, 7 } }, &elements));
    assert_int_equal(elements, 0);
    assert_refused(el_shape_elements(&(struct el_shape){ 2, { 4, -1 } }, &elements), "dim 1 of a tensor is -1");
    assert_refused(el_shape_elements(&(struct el_shape){ .rank = -1 }, &elements), "rank");
    assert_refused(el_shape_elements(&(struct el_shape){ .rank = 17 }, &elements), "rank");
    assert_refused(el_shape_elements(&(struct el_shape){ 2, { INT64_MAX / 2, 3 } }, &elements), "63 bits");
    size_t bytes = 0;
    assert_refused(el_tensor_bytes(EL_COMPLEX128, &(struct el_shape){ 1, { INT64_MAX } }, &bytes),
                   "larger than memory");
    assert_refused(el_tensor_bytes(EL_STRING, &(struct el_shape){ 1, { 3 } }, &bytes), "string");
    assert_null(el_tensor_bytes(EL_HALF, &(struct el_shape){ 2, { 3, 5 } }, &bytes));
    assert_int_equal(bytes, 30);
}

static void a_declared_shape_lets_in_what_fits(void **unused)
{
    (void)unused;
    const struct el_shape any = { .rank = -1 }, batch = { 2, { -1, 784 } }, scalar = { .rank = 0 };
    assert_true(el_shape_fits(&any, &scalar));
    assert_true(el_shape_fits(&batch, &(struct el_shape){ 2, { 32, 784 } }));
    assert_false(el_shape_fits(&batch, &(struct el_shape){ 2, { 32, 783 } }));
    assert_false(el_shape_fits(&batch, &(struct el_shape){ 1, { 784 } }));
    assert_false(el_shape_fits(&scalar, &(struct el_shape){ 1, { 1 } }));
}

static void a_shape_prints_for_people(void **unused)
{
    (void)unused;
    char text[400];
    assert_string_equal(el_shape_print(&(struct el_shape){ 2, { -1, 784 } }, text, sizeof text), "[?,784]");
    assert_string_equal(el_shape_print(&(struct el_shape){ .rank = 0 }, text, sizeof text), "[]");
    assert_string_equal(el_shape_print(&(struct el_shape){ .rank = -1 }, text, sizeof text), "<unknown>");
    struct el_shape longest = { .rank = EL_MAX_RANK };
    for (int i = 0; i < EL_MAX_RANK; i++)
        longest.dims[i] = INT64_MAX;
    el_shape_print(&longest, text, sizeof text);
    assert_int_equal(text[strlen(text) - 1], ']');
    char small[8];
    el_shape_print(&longest, small, sizeof small);
    assert_true(strlen(small) < sizeof small);
}

/* Three strings, "ab", "" and "c", as they lie in memory. */
struct strings {
    uint64_t offsets[4];
    char bytes[3];
};

static struct el_tensor three_strings(struct strings *strings)
{
    *strings = (struct strings){ { 32, 34, 34, 35 }, { 'a', 'b', 'c' } };
    return (struct el_tensor){ EL_STRING, { 1, { 3 } }, strings, 35 };
}

static void packed_strings_are_found_again(void **unused)
{
    (void)unused;
    struct strings strings;
    struct el_tensor tensor = three_strings(&strings);
    assert_null(el_tensor_check(&tensor));
    size_t length = 0;
    assert_memory_equal(el_tensor_string(&tensor, 0, &length), "ab", 2);
    assert_int_equal(length, 2);
    el_tensor_string(&tensor, 1, &length);
    assert_int_equal(length, 0);
    assert_memory_equal(el_tensor_string(&tensor, 2, &length), "c", 1);
    assert_int_equal(length, 1);
}

static void strings_of_a_worker_that_lies_are_refused(void **unused)
{
    (void)unused;
    struct strings strings;
    struct el_tensor tensor = three_strings(&strings);
    strings.offsets[0] = 24;
    assert_refused(el_tensor_check(&tensor), "the first of 3 strings starts at 24");
    tensor = three_strings(&strings);
    strings.offsets[1] = 36;
    assert_refused(el_tensor_check(&tensor), "string 0 ends at 36");
    tensor = three_strings(&strings);
    strings.offsets[2] = 33;
    assert_refused(el_tensor_check(&tensor), "string 1 ends at 33");
    tensor = three_strings(&strings);
    strings.offsets[3] = 34;
    assert_refused(el_tensor_check(&tensor), "the last of 3 strings ends at 34");
    tensor = three_strings(&strings);
    tensor.size = 31;
    assert_refused(el_tensor_check(&tensor), "do not fit in 31 bytes");
    tensor = three_strings(&strings);
    tensor.shape.dims[0] = INT64_MAX;
    assert_refused(el_tensor_check(&tensor), "do not fit");
}

static void a_string_that_changes_after_the_check_stays_inside(void **unused)
{
    (void)unused;
    struct strings strings;
    struct el_tensor tensor = three_strings(&strings);
    assert_null(el_tensor_check(&tensor));
    strings.offsets[1] = UINT64_MAX;
    strings.offsets[2] = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t length = 0;
        const char *text = el_tensor_string(&tensor, i, &length);
        size_t start = (size_t)(text - (const char *)tensor.data);
        assert_true(start <= tensor.size && length <= tensor.size - start);
    }
}

static void a_tensor_with_the_wrong_number_of_bytes_is_refused(void **unused)
{
    (void)unused;
    float data[6] = { 0 };
    struct el_tensor tensor = { EL_FLOAT, { 2, { 2, 3 } }, data, sizeof data };
    assert_null(el_tensor_check(&tensor));
    tensor.size = 20;
    assert_refused(el_tensor_check(&tensor), "float with shape [2,3] has 20 bytes, expected 24");
    tensor.dtype = EL_VARIANT;
    assert_refused(el_tensor_check(&tensor), "variant");
}

static void the_first_number_that_is_not_finite_is_found(void **unused)
{
    (void)unused;
    float floats[200] = { 0 };
    struct el_tensor tensor = { EL_FLOAT, { 1, { 200 } }, floats, sizeof floats };
    assert_int_equal(el_tensor_first_nonfinite(&tensor), -1);
    floats[199] = NAN;
    assert_int_equal(el_tensor_first_nonfinite(&tensor), 199);
    floats[65] = -INFINITY;
    assert_int_equal(el_tensor_first_nonfinite(&tensor), 65);
    tensor.dtype = EL_COMPLEX64;
    assert_int_equal(el_tensor_first_nonfinite(&tensor), 32);
    tensor.dtype = EL_INT32;
    assert_int_equal(el_tensor_first_nonfinite(&tensor), -1);

    double doubles[3] = { 1e308, (double)NAN, 0 };
    tensor = (struct el_tensor){ EL_DOUBLE, { 1, { 3 } }, doubles, sizeof doubles };
    assert_int_equal(el_tensor_first_nonfinite(&tensor), 1);
    uint16_t halves[2] = { 0x7bff, 0x7c00 }; /* 65504, infinity */
    tensor = (struct el_tensor){ EL_HALF, { 1, { 2 } }, halves, sizeof halves };
    assert_int_equal(el_tensor_first_nonfinite(&tensor), 1);
    tensor.dtype = EL_BFLOAT16; /* there 0x7c00 is 2.7e36 */
    assert_int_equal(el_tensor_first_nonfinite(&tensor), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtypes_have_the_names_and_numbers_of_tensorflow),
        cmocka_unit_test(a_shape_counts_its_elements_or_says_why_not),
        cmocka_unit_test(a_declared_shape_lets_in_what_fits),
        cmocka_unit_test(a_shape_prints_for_people),
        cmocka_unit_test(packed_strings_are_found_again),
        cmocka_unit_test(strings_of_a_worker_that_lies_are_refused),
        cmocka_unit_test(a_string_that_changes_after_the_check_stays_inside),
        cmocka_unit_test(a_tensor_with_the_wrong_number_of_bytes_is_refused),
        cmocka_unit_test(the_first_number_that_is_not_finite_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
