/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/signature.h"

#include "bundle/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *copy(const char *text)
{
    char *made = strdup(text);
    assert_non_null(made);
    return made;
}

static void *zeroed(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* Two signatures, with all that a shape can be. */
static void make(struct el_signatures *signatures)
{
    signatures->count = 2;
    signatures->list = zeroed(2, sizeof *signatures->list);
    struct el_signature *first = &signatures->list[0], *second = &signatures->list[1];
    first->name = copy("features");
    first->method_name = copy("");
    first->output_count = 1;
    first->outputs = zeroed(1, sizeof *first->outputs);
    first->outputs[0] = (struct el_tensor_info){
        .name = copy("f"), .tensor_name = copy(""), .dtype = EL_STRING, .shape = { .rank = -1 }
    };
    second->name = copy("serving_default");
    second->method_name = copy("tensorflow/serving/predict");
    second->input_count = 3;
    second->inputs = zeroed(3, sizeof *second->inputs);
    second->inputs[0] = (struct el_tensor_info){
        .name = copy("A"), .tensor_name = copy("a:0"), .dtype = EL_INT64, .shape = { .rank = 0 }
    };
    second->inputs[1] = (struct el_tensor_info){
        .name = copy("a"), .tensor_name = copy("b:1"), .dtype = EL_FLOAT, .shape = { .rank = 2, .dims = { -1, 784 } }
    };
    second->inputs[2] = (struct el_tensor_info){
        .name = copy("größe"), .tensor_name = copy("c:0"), .dtype = EL_HALF, .shape = { .rank = 2, .dims = { 0, 1 } }
    };
}

static void assert_same_infos(const struct el_tensor_info *a, const struct el_tensor_info *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(a[i].name, b[i].name);
        assert_string_equal(a[i].tensor_name, b[i].tensor_name);
        assert_int_equal(a[i].dtype, b[i].dtype);
        assert_int_equal(a[i].shape.rank, b[i].shape.rank);
        for (int32_t d = 0; d < a[i].shape.rank; d++)
            assert_int_equal(a[i].shape.dims[d], b[i].shape.dims[d]);
    }
}

static void what_was_encoded_is_decoded(void **unused)
{
    (void)unused;
    struct el_signatures made = { 0 }, read = { 0 };
    struct el_buf buf = { 0 }, again = { 0 };
    make(&made);
    assert_null(el_signatures_encode(&made, &buf));
    assert_null(el_signatures_decode(buf.data, buf.size, &read));
    assert_int_equal(read.count, made.count);
    for (uint32_t i = 0; i < made.count; i++) {
        assert_string_equal(read.list[i].name, made.list[i].name);
        assert_string_equal(read.list[i].method_name, made.list[i].method_name);
        assert_int_equal(read.list[i].input_count, made.list[i].input_count);
        assert_int_equal(read.list[i].output_count, made.list[i].output_count);
        assert_same_infos(read.list[i].inputs, made.list[i].inputs, made.list[i].input_count);
        assert_same_infos(read.list[i].outputs, made.list[i].outputs, made.list[i].output_count);
    }
    assert_null(el_signatures_encode(&read, &again));
    assert_int_equal(again.size, buf.size);
    assert_memory_equal(again.data, buf.data, buf.size);
    el_buf_free(&buf);
    el_buf_free(&again);
    el_signatures_free(&made);
    el_signatures_free(&read);
}

/* SignatureDef.defaults: the bytes come back as they were, and the input is known to be one that may be left out. */
static void an_input_may_have_a_default(void **unused)
{
    (void)unused;
    static const uint8_t scalar[] = {
        0x08, 0x01, 0x2a, 0x04, 0x00, 0x00, 0xc8, 0x42
    }; /* dtype: DT_FLOAT float_val: 100 */
    struct el_signatures made = { 0 }, read = { 0 };
    struct el_buf buf = { 0 };
    make(&made);
    struct el_tensor_info *input = &made.list[1].inputs[1];
    input->default_value = malloc(sizeof scalar);
    assert_non_null(input->default_value);
    memcpy(input->default_value, scalar, sizeof scalar);
    input->default_size = sizeof scalar;
    assert_null(el_signatures_encode(&made, &buf));
    assert_null(el_signatures_decode(buf.data, buf.size, &read));
    const struct el_signature *signature = &read.list[1];
    assert_int_equal(signature->default_count, 1);
    assert_ptr_equal(signature->defaults[0], signature->inputs[1].name);
    assert_int_equal(signature->inputs[1].default_size, sizeof scalar);
    assert_memory_equal(signature->inputs[1].default_value, scalar, sizeof scalar);
    assert_null(signature->inputs[0].default_value);
    el_signatures_free(&read);

    input->default_value[1] = 99; /* a dtype that is none */
    buf.size = 0;
    assert_null(el_signatures_encode(&made, &buf));
    assert_null(el_signatures_decode(buf.data, buf.size, &read));
    assert_int_equal(read.list[1].default_count, 0);
    assert_null(read.list[1].inputs[1].default_value);
    el_signatures_free(&read);
    el_buf_free(&buf);
    el_signatures_free(&made);
}

static void names_are_found_whole_and_by_bytes(void **unused)
{
    (void)unused;
    struct el_signatures made = { 0 };
    uint32_t index = 99;
    make(&made);
    assert_ptr_equal(el_signatures_find(&made, "features", 8, &index), &made.list[0]);
    assert_int_equal(index, 0);
    assert_ptr_equal(el_signatures_find(&made, "", 0, &index), &made.list[1]);
    assert_int_equal(index, 1);
    assert_null(el_signatures_find(&made, "feature", 7, NULL));
    assert_null(el_signatures_find(&made, "features", 7, NULL));
    assert_null(el_signatures_find(&made, "features\0", 9, NULL));
    const struct el_signature *signature = &made.list[1];
    assert_int_equal(el_tensor_info_find(signature->inputs, 3, "A", 1), 0);
    assert_int_equal(el_tensor_info_find(signature->inputs, 3, "a", 1), 1);
    assert_int_equal(el_tensor_info_find(signature->inputs, 3, "größe", strlen("größe")), 2);
    assert_int_equal(el_tensor_info_find(signature->inputs, 3, "B", 1), -1);
    assert_int_equal(el_tensor_info_find(signature->inputs, 3, "", 0), -1);
    assert_int_equal(el_tensor_info_find(NULL, 0, "A", 1), -1);
    el_signatures_free(&made);
}

/* Whatever is cut off is refused or a smaller whole (a field that ends there), never a crash; see also the fuzzers. */
static void cut_off_bytes_do_no_harm(void **unused)
{
    (void)unused;
    struct el_signatures made = { 0 };
    struct el_buf buf = { 0 };
    unsigned refused = 0;
    make(&made);
    assert_null(el_signatures_encode(&made, &buf));
    for (size_t size = 0; size < buf.size; size++) {
        uint8_t *exact = malloc(size + 1); /* so that a sanitizer sees a read beyond it */
        assert_non_null(exact);
        memcpy(exact, buf.data, size);
        struct el_signatures read = { 0 };
        struct el_status *status = el_signatures_decode(exact, size, &read);
        refused += status != NULL;
        if (status != NULL) {
            assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
            assert_null(read.list);
        }
        el_status_free(status);
        el_signatures_free(&read);
        free(exact);
    }
    assert_true(refused > buf.size / 2);
    el_buf_free(&buf);
    el_signatures_free(&made);
}

static void assert_refused(struct el_buf *bytes, const char *text)
{
    struct el_signatures read = { 0 };
    struct el_status *status = el_signatures_decode(bytes->data, bytes->size, &read);
    assert_non_null(status);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    if (strstr(el_status_text(status), text) == NULL)
        fail_msg("%s", el_status_text(status));
    el_status_free(status);
    el_buf_free(bytes);
}

/* Puts a signature into bytes: key, and a SignatureDef. */
static void put_signature(struct el_buf *bytes, const char *key, size_t key_size, const struct el_buf *body)
{
    struct el_buf entry = { 0 };
    el_proto_put_bytes(&entry, 1, key, key_size);
    el_proto_put_bytes(&entry, 2, body->data, body->size);
    el_proto_put_bytes(bytes, 1, entry.data, entry.size);
    el_buf_free(&entry);
}

/* Puts an input into a SignatureDef: key, and a TensorInfo. */
static void put_input(struct el_buf *body, const char *key, const void *info, size_t info_size)
{
    struct el_buf entry = { 0 };
    el_proto_put_bytes(&entry, 1, key, strlen(key));
    el_proto_put_bytes(&entry, 2, info, info_size);
    el_proto_put_bytes(body, 1, entry.data, entry.size);
    el_buf_free(&entry);
}

static void what_a_worker_may_not_send_is_refused(void **unused)
{
    (void)unused;
    struct el_buf bytes = { 0 }, body = { 0 };
    put_signature(&bytes, "same", 4, &body);
    put_signature(&bytes, "same", 4, &body);
    assert_refused(&bytes, "\"same\" is there twice");

    put_signature(&bytes, "a\0b", 3, &body);
    assert_refused(&bytes, "NUL");

    put_input(&body, "x", "", 0);
    put_input(&body, "x", "", 0);
    put_signature(&bytes, "s", 1, &body);
    assert_refused(&bytes, "input \"x\" is there twice");
    el_buf_free(&body);

    put_input(&body, "x", "\x10\xff\xff\xff\xff\xff\x01", 7); /* dtype 2^38 - 1 */
    put_signature(&bytes, "s", 1, &body);
    assert_refused(&bytes, "no dtype");
    el_buf_free(&body);

    /* A dimension of -2. */
    put_input(&body, "x", "\x1a\x0d\x12\x0b\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 15);
    put_signature(&bytes, "s", 1, &body);
    assert_refused(&bytes, "a dimension of -2");
    el_buf_free(&body);

    el_proto_put_number(&bytes, 1, 7);
    assert_refused(&bytes, "wire type");
    el_buf_append(&bytes, "\x0b", 1); /* a group */
    assert_refused(&bytes, "wire type 3");
    el_buf_append(&bytes, "\x00", 1);
    assert_refused(&bytes, "no field number");
}

static void a_few_bytes_cannot_cost_much_memory(void **unused)
{
    (void)unused;
    struct el_buf bytes = { 0 }, body = { 0 };
    for (unsigned i = 0; i <= EL_MAX_SIGNATURE_TENSORS; i++)
        put_input(&body, "", "", 0);
    put_signature(&bytes, "s", 1, &body);
    assert_refused(&bytes, "more than 1024 inputs");
    el_buf_free(&body);
    for (unsigned i = 0; i <= EL_MAX_SIGNATURES; i++)
        put_signature(&bytes, "", 0, &body);
    assert_refused(&bytes, "more than 1024 signatures");
}

/* Fields that are not modelled, and a rank beyond what tensors can have, are no error. */
static void what_is_not_modelled_is_passed_over(void **unused)
{
    (void)unused;
    struct el_buf bytes = { 0 }, body = { 0 }, shape = { 0 }, info = { 0 };
    for (unsigned i = 0; i <= EL_MAX_RANK; i++)
        el_proto_put_bytes(&shape, 2, "\x08\x01\x12\x04name", 8); /* a dimension with a name */
    el_proto_put_bytes(&info, 4, "", 0);                          /* coo_sparse */
    el_proto_put_bytes(&info, 3, shape.data, shape.size);
    put_input(&body, "x", info.data, info.size);
    el_proto_put_bytes(&body, 4, "\x0a\x01x\x12\x00", 5); /* defaults */
    put_signature(&bytes, "s", 1, &body);
    struct el_signatures read = { 0 };
    assert_null(el_signatures_decode(bytes.data, bytes.size, &read));
    assert_int_equal(read.list[0].inputs[0].shape.rank, -1);
    assert_string_equal(read.list[0].inputs[0].tensor_name, "");
    el_signatures_free(&read);
    el_buf_free(&bytes);
    el_buf_free(&body);
    el_buf_free(&shape);
    el_buf_free(&info);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_encoded_is_decoded),           cmocka_unit_test(an_input_may_have_a_default),
        cmocka_unit_test(names_are_found_whole_and_by_bytes),    cmocka_unit_test(cut_off_bytes_do_no_harm),
        cmocka_unit_test(what_a_worker_may_not_send_is_refused), cmocka_unit_test(a_few_bytes_cannot_cost_much_memory),
        cmocka_unit_test(what_is_not_modelled_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
