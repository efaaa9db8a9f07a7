/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/tensor_proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MANY (1u << 20) /* bytes: more than any tensor here takes */

/* A TensorProto with dtype and shape, to which a test adds values. */
static struct el_buf message(enum el_dtype dtype, int32_t rank, const int64_t *dims)
{
    struct el_buf shape = { 0 }, buf = { 0 };
    for (int32_t i = 0; i < rank; i++) {
        struct el_buf dim = { 0 };
        el_wire_put_uint(&dim, 1, (uint64_t)dims[i]);
        el_wire_put_bytes(&shape, 2, dim.data, dim.size);
        el_buf_free(&dim);
    }
    el_wire_put_uint(&buf, 1, (uint64_t)dtype);
    el_wire_put_bytes(&buf, 2, shape.data, shape.size);
    el_buf_free(&shape);
    return buf;
}

static struct el_buf vector(enum el_dtype dtype, int64_t size)
{
    return message(dtype, 1, &size);
}

static void put_fixed(struct el_buf *buf, uint32_t field, const void *value, size_t size)
{
    el_wire_put_tag(buf, field, size == 4 ? EL_WIRE_FIXED32 : EL_WIRE_FIXED64);
    el_buf_append(buf, value, size);
}

static void put_packed(struct el_buf *buf, uint32_t field, const int64_t *values, size_t count)
{
    struct el_buf packed = { 0 };
    for (size_t i = 0; i < count; i++)
        el_wire_put_varint(&packed, (uint64_t)values[i]);
    el_wire_put_bytes(buf, field, packed.data, packed.size);
    el_buf_free(&packed);
}

/* Decodes the message (freed) into memory of exactly the size that head promised, which must be `size`. */
static void *decoded(struct el_buf *buf, size_t size, struct el_tensor *tensor)
{
    struct el_tensor_proto proto;
    assert_true(el_tensor_proto_scan(buf->data, buf->size, &proto));
    struct el_status *status = el_tensor_proto_head(&proto, "x", 1, MANY);
    assert_string_equal(el_status_text(status), "");
    assert_null(status);
    assert_int_equal(proto.size, size);
    void *data = malloc(proto.size + 1);
    assert_non_null(data);
    memset(data, 0xa5, proto.size + 1);
    el_tensor_proto_decode(&proto, data);
    assert_int_equal(((uint8_t *)data)[proto.size], 0xa5); /* nothing written behind the end */
    *tensor = (struct el_tensor){ proto.dtype, proto.shape, data, proto.size };
    assert_null(el_tensor_check(tensor));
    el_buf_free(buf);
    return data;
}

static void assert_decodes(struct el_buf buf, const void *expected, size_t size)
{
    struct el_tensor tensor;
    void *data = decoded(&buf, size, &tensor);
    assert_memory_equal(data, expected, size);
    free(data);
}

static void assert_strings(struct el_buf buf, const char *const *expected, size_t count, size_t bytes)
{
    struct el_tensor tensor;
    void *data = decoded(&buf, (count + 1) * 8 + bytes, &tensor);
    for (size_t i = 0; i < count; i++) {
        size_t length = 0;
        const char *text = el_tensor_string(&tensor, i, &length);
        assert_int_equal(length, strlen(expected[i]));
        assert_memory_equal(text, expected[i], length);
    }
    free(data);
}

static void assert_refused(struct el_buf buf, enum el_code code, const char *expected)
{
    struct el_tensor_proto proto;
    assert_true(el_tensor_proto_scan(buf.data, buf.size, &proto));
    struct el_status *status = el_tensor_proto_head(&proto, "x", 1, MANY);
    assert_int_equal(el_status_code(status), code);
    if (strstr(el_status_text(status), expected) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", el_status_text(status), expected);
    el_status_free(status);
    el_buf_free(&buf);
}

static void values_come_packed_unpacked_and_mixed(void **unused)
{
    (void)unused;
    const float floats[4] = { 1.5f, -2, 3, 4 };
    struct el_buf buf = vector(EL_FLOAT, 4);
    el_wire_put_bytes(&buf, 5, floats, sizeof floats);
    assert_decodes(buf, floats, sizeof floats);

    buf = vector(EL_FLOAT, 4);
    put_fixed(&buf, 5, &floats[0], 4);
    el_wire_put_bytes(&buf, 5, floats + 1, 8);
    put_fixed(&buf, 5, &floats[3], 4);
    assert_decodes(buf, floats, sizeof floats);

    buf = vector(EL_INT64, 3);
    el_wire_put_uint(&buf, 10, UINT64_MAX);
    put_packed(&buf, 10, (int64_t[]){ 7, INT64_MIN }, 2);
    assert_decodes(buf, (int64_t[]){ -1, 7, INT64_MIN }, 24);
}

static void the_last_value_is_repeated_and_surplus_ignored(void **unused)
{
    (void)unused;
    const float floats[3] = { 1, 2, 3 };
    struct el_buf buf = vector(EL_FLOAT, 5);
    el_wire_put_bytes(&buf, 5, floats, sizeof floats);
    assert_decodes(buf, (float[]){ 1, 2, 3, 3, 3 }, 20);
    buf = vector(EL_FLOAT, 2);
    el_wire_put_bytes(&buf, 5, floats, sizeof floats);
    assert_decodes(buf, floats, 8);
    buf = vector(EL_FLOAT, 2); /* no value: zeros */
    assert_decodes(buf, (float[]){ 0, 0 }, 8);
    buf = vector(EL_FLOAT, 2); /* values of another dtype do not count */
    el_wire_put_bytes(&buf, 6, (double[]){ 1, 2 }, 16);
    assert_decodes(buf, (float[]){ 0, 0 }, 8);
    buf = vector(EL_BOOL, 3);
    put_packed(&buf, 11, (int64_t[]){ 5, 0 }, 2);
    assert_decodes(buf, (uint8_t[]){ 1, 0, 0 }, 3);
}

static void half_a_complex_number_is_dropped(void **unused)
{
    (void)unused;
    struct el_buf buf = vector(EL_COMPLEX64, 2);
    el_wire_put_bytes(&buf, 9, (float[]){ 1, 2, 3 }, 12);
    assert_decodes(buf, (float[]){ 1, 2, 1, 2 }, 16);
    buf = vector(EL_COMPLEX128, 1);
    el_wire_put_bytes(&buf, 12, (double[]){ 1, -2 }, 16);
    assert_decodes(buf, (double[]){ 1, -2 }, 16);
}

static void integers_out_of_range_wrap(void **unused)
{
    (void)unused;
    struct el_buf buf = vector(EL_INT8, 2);
    put_packed(&buf, 7, (int64_t[]){ 300, -129 }, 2);
    assert_decodes(buf, (int8_t[]){ 44, 127 }, 2);
    buf = vector(EL_UINT8, 2);
    put_packed(&buf, 7, (int64_t[]){ -1, 256 }, 2);
    assert_decodes(buf, (uint8_t[]){ 255, 0 }, 2);
    buf = vector(EL_UINT16, 2);
    put_packed(&buf, 7, (int64_t[]){ 65536, -1 }, 2);
    assert_decodes(buf, (uint16_t[]){ 0, 65535 }, 4);
    buf = vector(EL_BFLOAT16, 3);
    put_packed(&buf, 13, (int64_t[]){ 16384 }, 1);
    assert_decodes(buf, (uint16_t[]){ 16384, 16384, 16384 }, 6);
}

static void content_wins_and_must_fit(void **unused)
{
    (void)unused;
    const float floats[2] = { 1.5f, -2.5f };
    struct el_buf buf = vector(EL_FLOAT, 2);
    el_wire_put_bytes(&buf, 4, floats, sizeof floats);
    put_fixed(&buf, 5, &(float){ 9 }, 4);
    assert_decodes(buf, floats, sizeof floats);

    buf = vector(EL_FLOAT, 3);
    el_wire_put_bytes(&buf, 4, floats, sizeof floats);
    assert_refused(buf, EL_INVALID_ARGUMENT, "tensor parsing error: x");
    buf = vector(EL_BOOL, 3);
    el_wire_put_bytes(&buf, 4, "\1\0\2", 3);
    assert_refused(buf, EL_INVALID_ARGUMENT, "tensor parsing error: x");
    buf = vector(EL_FLOAT, 0); /* nothing to decode: any content will do */
    el_wire_put_bytes(&buf, 4, floats, sizeof floats);
    assert_decodes(buf, floats, 0);
}

static void strings_come_as_values_or_as_content(void **unused)
{
    (void)unused;
    struct el_buf buf = vector(EL_STRING, 4);
    el_wire_put_bytes(&buf, 8, "a", 1);
    el_wire_put_bytes(&buf, 8, "bcd", 3);
    assert_strings(buf, (const char *[]){ "a", "bcd", "bcd", "bcd" }, 4, 10);
    buf = vector(EL_STRING, 1);
    el_wire_put_bytes(&buf, 8, "a", 1);
    el_wire_put_bytes(&buf, 8, "ignored", 7);
    assert_strings(buf, (const char *[]){ "a" }, 1, 1);
    buf = vector(EL_STRING, 2);
    assert_strings(buf, (const char *[]){ "", "" }, 2, 0);
    buf = vector(EL_STRING, 3);
    el_wire_put_bytes(&buf, 4, "\1\0\2abc", 6);
    assert_strings(buf, (const char *[]){ "a", "", "bc" }, 3, 3);
    buf = vector(EL_STRING, 2);
    el_wire_put_bytes(&buf, 4, "\5abb", 4);
    assert_refused(buf, EL_INVALID_ARGUMENT, "tensor parsing error: x");
    buf = vector(EL_STRING, 2);
    el_wire_put_bytes(&buf, 4, "\1\1abb", 5);
    assert_refused(buf, EL_INVALID_ARGUMENT, "tensor parsing error: x");
    /* Two lengths whose sum is 2^64 + 1. */
    buf = vector(EL_STRING, 2);
    el_wire_put_bytes(&buf, 4,
                      "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x81\x80\x80\x80\x80\x80\x80\x80\x80\x01"
                      "a",
                      21);
    assert_refused(buf, EL_INVALID_ARGUMENT, "tensor parsing error: x");
}

static void fields_may_come_in_any_order(void **unused)
{
    (void)unused;
    struct el_buf head = vector(EL_INT32, 2), buf = { 0 };
    put_packed(&buf, 7, (int64_t[]){ 5 }, 1);
    put_fixed(&buf, 5, &(float){ 1 }, 4);
    el_buf_append(&buf, head.data, head.size);
    put_packed(&buf, 7, (int64_t[]){ -6 }, 1);
    el_wire_put_text(&buf, 99, "of a later protocol");
    el_buf_free(&head);
    assert_decodes(buf, (int32_t[]){ 5, -6 }, 8);

    /* The last dtype counts. */
    buf = vector(EL_FLOAT, 1);
    put_fixed(&buf, 5, &(float){ 1 }, 4);
    put_packed(&buf, 7, (int64_t[]){ 8, 9 }, 2);
    el_wire_put_uint(&buf, 1, EL_UINT8);
    assert_decodes(buf, (uint8_t[]){ 8 }, 1);
}

static void shapes_that_tensorflow_refuses_are_refused(void **unused)
{
    (void)unused;
    assert_refused(vector(EL_FLOAT, -1), EL_INVALID_ARGUMENT, "tensor parsing error: x");
    assert_refused(message(EL_FLOAT, 2, (int64_t[]){ INT64_C(1) << 62, 4 }), EL_INVALID_ARGUMENT,
                   "tensor parsing error: x");
    assert_refused(vector((enum el_dtype)999, 1), EL_INVALID_ARGUMENT, "tensor parsing error: x");
    assert_refused(vector((enum el_dtype)101, 1), EL_INVALID_ARGUMENT, "tensor parsing error: x");
    assert_refused(vector(EL_DTYPE_INVALID, 1), EL_INVALID_ARGUMENT, "tensor parsing error: x");
    assert_refused((struct el_buf){ 0 }, EL_INVALID_ARGUMENT, "tensor parsing error: x");
    int64_t ones[EL_MAX_RANK + 1];
    for (int i = 0; i <= EL_MAX_RANK; i++)
        ones[i] = 1;
    assert_refused(message(EL_FLOAT, EL_MAX_RANK + 1, ones), EL_INVALID_ARGUMENT, "tensor parsing error: x");
    assert_decodes(message(EL_FLOAT, EL_MAX_RANK, ones), (float[]){ 0 }, 4);
}

static void a_small_message_cannot_ask_for_a_giant_tensor(void **unused)
{
    (void)unused;
    struct el_buf buf = vector(EL_FLOAT, 1000000000);
    put_fixed(&buf, 5, &(float){ 1 }, 4);
    assert_refused(buf, EL_RESOURCE_EXHAUSTED, "input x is a tensor of float with shape [1000000000]");
    buf = vector(EL_STRING, 1000);
    char long_string[2000] = { 0 };
    el_wire_put_bytes(&buf, 8, long_string, sizeof long_string);
    assert_refused(buf, EL_RESOURCE_EXHAUSTED, "string");
    buf = vector(EL_STRING, INT64_MAX);
    el_wire_put_bytes(&buf, 8, long_string, sizeof long_string);
    assert_refused(buf, EL_RESOURCE_EXHAUSTED, "string");
    assert_refused(vector(EL_COMPLEX128, INT64_MAX), EL_RESOURCE_EXHAUSTED, "complex128");
}

static void bytes_that_are_no_message_are_told_apart(void **unused)
{
    (void)unused;
    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        { "\x08", 1 },                                              /* no value */
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, /* a varint of 11 bytes */
        { "\x2a\x05\1\2\3\4", 6 },                                  /* a length beyond the end */
        { "\x2a\x03\1\2\3", 5 },                                    /* packed floats, not a multiple of 4 */
        { "\x3a\x01\x80", 3 },                                      /* packed varints, cut off */
        { "\x12\x02\x12\x05", 4 },                                  /* a dim beyond its shape */
        { "\x12\x05\x12\x03\x12\x01\xff", 7 },                      /* the name of a dim is not UTF-8 */
        { "\x03\x01", 2 },                                          /* field 0 */
        { "\x0c", 1 },                                              /* the end of a group that was not begun */
        { "\x0b\x08\x01", 3 },                                      /* a group without end */
        { "\x0f\x01", 2 },                                          /* wire type 7 */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct el_tensor_proto proto;
        if (el_tensor_proto_scan(bad[i].bytes, bad[i].size, &proto))
            fail_msg("message %zu was taken", i);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random data of a random shape; to be freed. */
static struct el_tensor random_tensor(enum el_dtype dtype, uint64_t *state)
{
    struct el_tensor tensor = { .dtype = dtype, .shape.rank = (int32_t)(next_random(state) % 4) };
    for (int32_t i = 0; i < tensor.shape.rank; i++)
        tensor.shape.dims[i] = (int64_t)(next_random(state) % 5);
    size_t elements = 0;
    assert_null(el_shape_elements(&tensor.shape, &elements));
    struct el_buf buf = { 0 };
    if (dtype == EL_STRING) {
        uint64_t offset = (elements + 1) * 8;
        el_buf_append(&buf, &offset, 8);
        for (size_t i = 0; i < elements; i++) {
            offset += next_random(state) % 300;
            el_buf_append(&buf, &offset, 8);
        }
        while (buf.size < offset)
            el_buf_byte(&buf, (uint8_t)next_random(state));
    } else {
        for (size_t i = 0; i < elements * el_dtype_size(dtype); i++)
            el_buf_byte(&buf, dtype == EL_BOOL ? next_random(state) & 1 : (uint8_t)next_random(state));
        el_buf_byte(&buf, 0);
        buf.size--;
    }
    tensor.data = buf.data;
    tensor.size = buf.size;
    assert_null(el_tensor_check(&tensor));
    return tensor;
}

static void what_is_written_is_read_again(void **unused)
{
    (void)unused;
    uint64_t state = 88172645463325252u;
    for (int round = 0; round < 200; round++) {
        for (int dtype = EL_FLOAT; dtype <= EL_UINT64; dtype++) {
            if (!el_dtype_is_data((enum el_dtype)dtype))
                continue;
            struct el_tensor tensor = random_tensor((enum el_dtype)dtype, &state), again;
            enum el_tensor_proto_form form = round & 1 ? EL_TENSOR_AS_CONTENT : EL_TENSOR_AS_VALUES;
            struct el_buf buf = { 0 };
            el_tensor_proto_write(&buf, &tensor, form);
            assert_null(el_buf_status(&buf));
            assert_int_equal(buf.size, el_tensor_proto_size(&tensor, form));
            void *data = decoded(&buf, tensor.size, &again);
            assert_int_equal(again.shape.rank, tensor.shape.rank);
            for (int32_t i = 0; i < tensor.shape.rank; i++)
                assert_int_equal(again.shape.dims[i], tensor.shape.dims[i]);
            assert_memory_equal(data, tensor.data, tensor.size);
            free(data);
            union {
                const void *constant;
                void *owned;
            } original = { .constant = tensor.data };
            free(original.owned);
        }
    }
}

static void answers_have_the_bytes_of_tensorflow_serving(void **unused)
{
    (void)unused;
    struct el_buf buf = { 0 };
    const float floats[3] = { 4.5f, 5, 6.5f };
    el_tensor_proto_write(&buf, &(struct el_tensor){ EL_FLOAT, { 1, { 3 } }, floats, sizeof floats },
                          EL_TENSOR_AS_VALUES);
    static const uint8_t three[] = { 8, 1,    0x12, 4, 0x12, 2,    8,    3, 0x2a, 12,   0,
                                     0, 0x90, 0x40, 0, 0,    0xa0, 0x40, 0, 0,    0xd0, 0x40 };
    assert_int_equal(buf.size, sizeof three);
    assert_memory_equal(buf.data, three, sizeof three);

    el_buf_clear(&buf);
    const int32_t answer = 42;
    el_tensor_proto_write(&buf, &(struct el_tensor){ .dtype = EL_INT32, .data = &answer, .size = 4 },
                          EL_TENSOR_AS_VALUES);
    static const uint8_t scalar[] = { 8, 3, 0x12, 0, 0x3a, 1, 42 };
    assert_int_equal(buf.size, sizeof scalar);
    assert_memory_equal(buf.data, scalar, sizeof scalar);

    el_buf_clear(&buf); /* no element: a dim of size 0 is an empty message, and there is no value */
    el_tensor_proto_write(&buf, &(struct el_tensor){ .dtype = EL_FLOAT, .shape = { 1, { 0 } } }, EL_TENSOR_AS_VALUES);
    static const uint8_t empty[] = { 8, 1, 0x12, 2, 0x12, 0 };
    assert_int_equal(buf.size, sizeof empty);
    assert_memory_equal(buf.data, empty, sizeof empty);
    el_buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_packed_unpacked_and_mixed),
        cmocka_unit_test(the_last_value_is_repeated_and_surplus_ignored),
        cmocka_unit_test(half_a_complex_number_is_dropped),
        cmocka_unit_test(integers_out_of_range_wrap),
        cmocka_unit_test(content_wins_and_must_fit),
        cmocka_unit_test(strings_come_as_values_or_as_content),
        cmocka_unit_test(fields_may_come_in_any_order),
        cmocka_unit_test(shapes_that_tensorflow_refuses_are_refused),
        cmocka_unit_test(a_small_message_cannot_ask_for_a_giant_tensor),
        cmocka_unit_test(bytes_that_are_no_message_are_told_apart),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(answers_have_the_bytes_of_tensorflow_serving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
