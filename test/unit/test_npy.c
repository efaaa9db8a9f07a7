/* SPDX-License-Identifier: Apache-2.0 */
/* .npy files: what NumPy writes is understood, and everything else is refused with a reason. */
#include "cmd/npy_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct file {
    uint8_t bytes[512];
    size_t size;
};

/* A file of format version 1 or 2 with this header and data, as numpy.save() lays it out. */
static struct file make(unsigned version, const char *header, const void *data, size_t data_size)
{
    struct file file = { .size = 0 };
    const size_t length = strlen(header);
    memcpy(file.bytes, "\x93NUMPY", 6);
    file.bytes[6] = (uint8_t)version;
    file.bytes[8] = (uint8_t)length;
    const size_t start = version == 1 ? 10 : 12;
    memcpy(file.bytes + start, header, length);
    memcpy(file.bytes + start + length, data, data_size);
    file.size = start + length + data_size;
    return file;
}

static void assert_json(const struct file *file, const char *expected)
{
    struct el_npy array;
    struct el_status *status = el_npy_read("a.npy", file->bytes, file->size, &array);
    if (status != NULL)
        fail_msg("%s", el_status_text(status));
    struct el_buf out = { 0 };
    status = el_npy_put_json("a.npy", &array, &out);
    if (status != NULL)
        fail_msg("%s", el_status_text(status));
    char *text = el_buf_take_text(&out);
    assert_string_equal(text, expected);
    free(text);
}

static void assert_refused(const struct file *file, const char *expected)
{
    struct el_npy array;
    struct el_buf out = { 0 };
    struct el_status *status = el_npy_read("a.npy", file->bytes, file->size, &array);
    if (status == NULL)
        status = el_npy_put_json("a.npy", &array, &out);
    assert_int_equal(out.size, 0);
    assert_non_null(status);
    assert_string_equal(el_status_text(status), expected);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    el_status_free(status);
}

static void arrays_become_nested_lists(void **unused)
{
    (void)unused;
    const float floats[] = { 1, 0.1f, -3e-8f, 4, 5, 6 };
    struct file file = make(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }    \n", floats,
                            sizeof floats);
    assert_json(&file, "[[1,0.100000001,-2.99999989e-08],[4,5,6]]");
    file = make(2, "{'shape': (3, 1, 2), 'descr': '<f4', 'fortran_order': False}\n", floats, sizeof floats);
    assert_json(&file, "[[[1,0.100000001]],[[-2.99999989e-08,4]],[[5,6]]]");

    const double doubles[] = { 0.1, (double)__builtin_inff(), -(double)__builtin_inff(), (double)__builtin_nanf("") };
    file = make(1, "{'descr': '<f8', 'fortran_order': True, 'shape': (4,), }\n", doubles, sizeof doubles);
    assert_json(&file, "[0.10000000000000001,Infinity,-Infinity,NaN]");

    const int32_t narrow[] = { INT32_MIN, INT32_MAX };
    file = make(1, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n", narrow, sizeof narrow);
    assert_json(&file, "[-2147483648,2147483647]");

    const int64_t wide[] = { INT64_MIN };
    file = make(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", wide, sizeof wide);
    assert_json(&file, "-9223372036854775808");

    const uint8_t small[] = { 0, 255 };
    file = make(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2), }\n", small, sizeof small);
    assert_json(&file, "[[0,255]]");
}

static void what_is_no_array_of_ours_is_refused_with_a_reason(void **unused)
{
    (void)unused;
    static const struct {
        const char *header, *expected;
    } cases[] = {
        { "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
          "a.npy: the array's dtype is '>f4'; expected little-endian numbers or booleans (in NumPy: array.astype('<f4'))" },
        { "{'descr': '<c8', 'fortran_order': False, 'shape': (), }",
          "a.npy: has 4 bytes after the header, which is not what 1 elements of 8 bytes take" },
        { "{'descr': '<u4', 'fortran_order': False, 'shape': (), }",
          "a.npy: the array's dtype is '<u4'; expected <f4, <f8, <i4, <i8 or |u1 (in NumPy: array.astype('<f4'))" },
        { "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
          "a.npy: the array has fields; expected plain numbers" },
        { "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1), }",
          "a.npy: the array is in Fortran order; expected C order (in NumPy: numpy.ascontiguousarray(array))" },
        { "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }",
          "a.npy: the header's fortran_order is neither True nor False" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
          "a.npy: has 4 bytes after the header, which is not what 2 elements of 4 bytes take" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }",
          "a.npy: has 4 bytes after the header, which is not what 0 elements of 4 bytes take" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, -1), }",
          "a.npy: the header's shape is not made of numbers" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
          "a.npy: the header's shape does not fit" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), }",
          "a.npy: the array has more than 16 dimensions" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': (1", "a.npy: the header's shape is not closed" },
        { "{'descr': '<f4', 'fortran_order': False, 'shape': 1, }",
          "a.npy: the header's shape is not written as (..)" },
        { "{'descr': '<f4', 'fortran_order': False, }", "a.npy: the header lacks 'descr', 'fortran_order' or 'shape'" },
        { "{'descr': '<f4', 'descr': '<f4', }", "a.npy: the header has 'descr', which it should not (again)" },
        { "{'more': 1}", "a.npy: the header has 'more', which it should not (again)" },
        { "{'descr", "a.npy: the header is no dictionary of 'descr', 'fortran_order' and 'shape'" },
        { "", "a.npy: the header does not begin with {" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct file file = make(1, cases[i].header, "\0\0\0\0", 4);
        assert_refused(&file, cases[i].expected);
    }
}

static void what_is_written_is_read_again(void **unused)
{
    (void)unused;
    static const struct {
        enum el_dtype dtype;
        struct el_shape shape;
        const char *header;
    } cases[] = {
        { EL_FLOAT, { 2, { 3, 2 } }, "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }" },
        { EL_COMPLEX128, { 1, { 1 } }, "{'descr': '<c16', 'fortran_order': False, 'shape': (1,), }" },
        { EL_BOOL, { 0, { 0 } }, "{'descr': '|b1', 'fortran_order': False, 'shape': (), }" },
        { EL_HALF, { 3, { 2, 0, 5 } }, "{'descr': '<f2', 'fortran_order': False, 'shape': (2, 0, 5), }" },
    };
    _Alignas(64) static const uint8_t data[64] = { 1, 2, 3, 4, 5 };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct el_tensor tensor = { cases[i].dtype, cases[i].shape, data, 0 };
        assert_null(el_tensor_bytes(tensor.dtype, &tensor.shape, &tensor.size));
        struct el_buf out = { 0 };
        assert_null(el_npy_write(&out, "y", &tensor));
        assert_int_equal((out.size - tensor.size) % 64, 0);
        assert_memory_equal(out.data + 10, cases[i].header, strlen(cases[i].header));
        struct el_npy array;
        assert_null(el_npy_read("a.npy", out.data, out.size, &array));
        assert_int_equal(array.dtype, tensor.dtype);
        assert_true(el_shape_fits(&tensor.shape, &array.shape));
        if (tensor.size > 0)
            assert_memory_equal(array.data, data, tensor.size);
        el_buf_free(&out);
    }
    const struct el_tensor text = { EL_STRING, { 0 }, data, 8 };
    struct el_buf out = { 0 };
    struct el_status *status = el_npy_write(&out, "output \"y\"", &text);
    assert_string_equal(el_status_text(status), "output \"y\" is DT_STRING, which NumPy's files cannot hold");
    el_status_free(status);
}

static void a_shape_whose_product_does_not_fit_is_refused(void **unused)
{
    (void)unused;
    struct file file = make(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
                            "\0\0\0\0", 4);
    struct el_npy array;
    struct el_status *status = el_npy_read("a.npy", file.bytes, file.size, &array);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    el_status_free(status);
}

static void every_cut_of_a_file_is_refused(void **unused)
{
    (void)unused;
    const float floats[] = { 1, 2 };
    struct file file = make(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n", floats, sizeof floats);
    for (size_t size = 0; size < file.size; size++) {
        uint8_t *bytes = malloc(size > 0 ? size : 1); /* so that the sanitizer finds a read behind the end */
        assert_non_null(bytes);
        memcpy(bytes, file.bytes, size);
        struct el_npy array;
        struct el_status *status = el_npy_read("a.npy", bytes, size, &array);
        assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
        el_status_free(status);
        free(bytes);
    }
}

static void the_test_data_of_the_repository_is_understood(void **unused)
{
    (void)unused;
    FILE *in = fopen(TEST_DATA "/digits_3.npy", "rb");
    assert_non_null(in);
    static uint8_t bytes[65536];
    const size_t size = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    struct el_npy array;
    assert_null(el_npy_read("digits_3.npy", bytes, size, &array));
    assert_int_equal(array.dtype, EL_FLOAT);
    assert_int_equal(array.elements, 3 * 784);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_become_nested_lists),
        cmocka_unit_test(what_is_no_array_of_ours_is_refused_with_a_reason),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(a_shape_whose_product_does_not_fit_is_refused),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
        cmocka_unit_test(the_test_data_of_the_repository_is_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
