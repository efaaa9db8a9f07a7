/* SPDX-License-Identifier: Apache-2.0 */

/* The rules of batching by themselves: rows put together and cut out, and how waiting batches are counted. */

#include "tensor/tensor.h"
#include "worker/admission.h"
#include "worker/batch_rows.h"
#include "worker/batch_stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct el_rows floats(const float *data, int64_t rows, int64_t columns, uint64_t first, uint64_t count)
{
    struct el_rows result = { .first = first, .count = count };
    result.tensor = (struct everlit_tensor){
        .dtype = EL_FLOAT, .rank = 2, .dims = { rows, columns }, .data = data, .size = (uint64_t)(rows * columns) * 4
    };
    return result;
}

static void *merge(const struct el_rows *list, uint32_t count, uint64_t extra, struct everlit_tensor *merged)
{
    assert_true(el_rows_plan(list, count, extra, merged));
    void *data = malloc(merged->size + 1);
    assert_non_null(data);
    el_rows_merge(list, count, extra, merged, data);
    struct el_tensor check = {
        .dtype = (enum el_dtype)merged->dtype, .shape.rank = merged->rank, .data = data, .size = merged->size
    };
    memcpy(check.shape.dims, merged->dims, sizeof check.shape.dims);
    assert_null(el_tensor_check(&check));
    return data;
}

static void rows_stand_below_each_other(void **unused)
{
    (void)unused;
    static const float a[] = { 1, 2, 3, 4 }, b[] = { 5, 6, 7, 8, 9, 10 };
    const struct el_rows list[] = { floats(a, 2, 2, 0, 2), floats(b, 3, 2, 1, 2) };
    struct everlit_tensor merged;
    float *data = merge(list, 2, 2, &merged);
    static const float expected[] = { 1, 2, 3, 4, 7, 8, 9, 10, /* row 0 of what is there of the last */ 7, 8, 7, 8 };
    assert_int_equal(merged.dims[0], 6);
    assert_int_equal(merged.size, sizeof expected);
    assert_memory_equal(data, expected, sizeof expected);
    free(data);
}

/* TensorFlow Serving pads at the end of each dim, with the first element of the request's own tensor. */
static void rows_of_different_lengths_are_padded(void **unused)
{
    (void)unused;
    static const float a[] = { 1, 2, 3, 4, 5, 6 }, b[] = { 7 };
    const struct el_rows list[] = { floats(a, 2, 3, 0, 2), floats(b, 1, 1, 0, 1) };
    struct everlit_tensor merged;
    float *data = merge(list, 2, 1, &merged);
    static const float expected[] = { 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7 };
    assert_int_equal(merged.size, sizeof expected);
    assert_memory_equal(data, expected, sizeof expected);
    free(data);
}

static void padding_goes_into_every_dim_but_the_first(void **unused)
{
    (void)unused;
    static const float a[] = { 1, 2, 3, 4 }, b[] = { 5, 6, 7, 8, 9, 10 };
    struct el_rows list[] = { { .count = 1 }, { .count = 1 } };
    list[0].tensor = (struct everlit_tensor){
        .dtype = EL_FLOAT, .rank = 4, .dims = { 1, 2, 1, 2 }, .data = a, .size = 16
    };
    list[1].tensor = (struct everlit_tensor){
        .dtype = EL_FLOAT, .rank = 4, .dims = { 1, 1, 2, 3 }, .data = b, .size = 24
    };
    struct everlit_tensor merged;
    float *data = merge(list, 2, 0, &merged);
    static const float expected[] = { 1, 2, 1, 1, 1, 1, 3, 4, 1, 1, 1, 1, 5, 6, 7, 8, 9, 10, 5, 5, 5, 5, 5, 5 };
    static const int64_t dims[] = { 2, 2, 2, 3 };
    assert_memory_equal(merged.dims, dims, sizeof dims);
    assert_int_equal(merged.size, sizeof expected);
    assert_memory_equal(data, expected, sizeof expected);
    free(data);
}

static void strings_move_with_their_bytes(void **unused)
{
    (void)unused;
    static const struct {
        uint64_t offsets[4];
        char bytes[8];
    } three = { { 32, 35, 35, 40 }, "onethree" };
    static const struct {
        uint64_t offsets[3];
        char bytes[4];
    } pair = { { 24, 25, 28 }, "xyyy" };
    struct el_rows list[] = { { .first = 1, .count = 2 }, { .count = 1 } };
    list[0].tensor = (struct everlit_tensor){
        .dtype = EL_STRING, .rank = 2, .dims = { 3, 1 }, .data = &three, .size = 40
    };
    list[1].tensor = (struct everlit_tensor){
        .dtype = EL_STRING, .rank = 2, .dims = { 1, 2 }, .data = &pair, .size = 28
    };
    struct everlit_tensor merged;
    char *data = merge(list, 2, 1, &merged);
    /* Rows that are too short end with the first string of what is there of their tensor: "". */
    static const char *const expected[] = { "", "", "three", "", "x", "yyy", "x", "yyy" };
    struct el_tensor whole = {
        .dtype = EL_STRING, .shape = { .rank = 2, .dims = { 4, 2 } }, .data = data, .size = merged.size
    };
    for (size_t i = 0; i < 8; i++) {
        size_t length;
        const char *text = el_tensor_string(&whole, i, &length);
        assert_int_equal(length, strlen(expected[i]));
        assert_memory_equal(text, expected[i], length);
    }
    /* And cut out again. */
    struct el_rows cut = { .tensor = merged, .first = 2, .count = 1 };
    cut.tensor.data = data;
    struct everlit_tensor share;
    char *own = merge(&cut, 1, 0, &share);
    assert_int_equal(share.size, 3 * 8 + 4);
    assert_memory_equal(own + 24, "xyyy", 4);
    free(own);
    free(data);
}

static void what_no_memory_could_hold_is_not_planned(void **unused)
{
    (void)unused;
    static const float none[] = { 0 };
    struct el_rows list[] = { { .count = 1 }, { .count = 1 } };
    list[0].tensor = (struct everlit_tensor){
        .dtype = EL_FLOAT, .rank = 3, .dims = { 0, INT64_C(1) << 40, 0 }, .data = none, .size = 0
    };
    list[1].tensor = (struct everlit_tensor){
        .dtype = EL_FLOAT, .rank = 3, .dims = { 0, 0, INT64_C(1) << 40 }, .data = none, .size = 0
    };
    struct everlit_tensor merged;
    assert_false(el_rows_plan(list, 2, 0, &merged));
}

/* ---- counting ---- */

static const struct el_deal whole = { .max_rows = 4, .execution_rows = 4, .max_enqueued = 2 };
static const struct el_deal parts = { .max_rows = 100, .execution_rows = 4, .max_enqueued = 3, .split = true };

/* The state after a request of so many rows. */
static uint64_t deal(const struct el_deal *rules, uint64_t rows, uint32_t taken, uint64_t before)
{
    uint64_t after = 0;
    struct el_status *status = el_admission_deal(rules, rows, taken, before, &after);
    if (status != NULL)
        fail_msg("%s", el_status_text(status));
    return after;
}

static void refused(const struct el_deal *rules, uint64_t rows, uint32_t taken, uint64_t before, const char *text)
{
    uint64_t after;
    struct el_status *status = el_admission_deal(rules, rows, taken, before, &after);
    assert_int_equal(el_status_code(status), EL_UNAVAILABLE);
    assert_string_equal(el_status_text(status), text);
    el_status_free(status);
}

static void requests_fill_batches_until_too_many_wait(void **unused)
{
    (void)unused;
    static const char *const full = "The batch scheduling queue to which this task was submitted is full; currently 2 "
                                    "batches enqueued and max_enqueued_batches is 2";
    uint64_t state = deal(&whole, 3, 0, 0);
    assert_int_equal(state >> 32, 1);
    state = deal(&whole, 3, 0, state); /* does not fit beside three others */
    assert_int_equal(state >> 32, 2);
    refused(&whole, 2, 0, state, full);
    state = deal(&whole, 1, 0, state); /* fits into the open one */
    refused(&whole, 1, 0, state, full);
    state = deal(&whole, 2, 1, state); /* one was taken */
    assert_int_equal(state >> 32, 3);
    state = deal(&whole, 4, 3, state); /* all were, though the last was not full */
    assert_int_equal(state >> 32, 4);
    assert_int_equal((uint32_t)state, 4);
}

static void numbers_wrap_around(void **unused)
{
    (void)unused;
    uint64_t state = deal(&whole, 4, UINT32_MAX, (uint64_t)UINT32_MAX << 32);
    assert_int_equal(state >> 32, 1); /* 0 would mean: by itself */
    state = deal(&whole, 4, 1, state);
    assert_int_equal(state >> 32, 2);
}

static void large_requests_are_split_until_too_many_wait(void **unused)
{
    (void)unused;
    uint64_t state = deal(&parts, 10, 0, 0); /* 4 + 4 + 2 */
    assert_int_equal(state >> 32, 3);
    assert_int_equal((uint32_t)state, 2);
    refused(
        &parts, 3, 0, state,
        "The batch scheduling queue to which this task was submitted is full; task size is 3 but scheduling capacity "
        "is only 2 (num_enqueued_batches=3, max_enqueued_batches=3, open_batch_size=2, max_execution_batch_size=4)");
    state = deal(&parts, 2, 0, state);
    assert_int_equal((uint32_t)state, 4);
    state = deal(&parts, 5, 2, state);
    assert_int_equal(state >> 32, 5);
    assert_int_equal((uint32_t)state, 1);
}

/* ---- what is counted for the metrics ---- */

static void runs_are_counted_in_tensorflows_buckets(void **unused)
{
    (void)unused;
    struct el_batch_stats *stats = calloc(1, sizeof *stats);
    struct el_shm_slot *slot = aligned_alloc(64, sizeof *slot);
    assert_non_null(stats);
    assert_non_null(slot);
    memset(slot, 0, sizeof *slot);
    slot->queued_us = 100;
    slot->runs[0] = (struct el_shm_runs){ .count = 2, .rows = 3, .padding = 1 };
    slot->runs[1] = (struct el_shm_runs){ .count = 1, .rows = 1 };
    slot->runs[2] = (struct el_shm_runs){ .count = 1, .rows = 101 }; /* a lie */
    el_batch_stats_add(stats, slot, 100);
    assert_int_equal(stats->runs, 3);
    assert_int_equal(stats->input.buckets[1], 1); /* 1 is not below 1 */
    assert_int_equal(stats->input.buckets[2], 2);
    assert_int_equal(stats->input.sum, 7);
    assert_int_equal(stats->processed.buckets[3], 2);
    assert_int_equal(stats->processed.sum, 9);
    assert_int_equal(stats->paddings[0].execution_batch_size, 4);
    assert_int_equal(stats->paddings[0].padding.sum, 2);
    assert_int_equal(stats->paddings[1].execution_batch_size, 1);
    assert_int_equal(stats->queuing[0], 0);
    assert_int_equal(stats->queuing[1], 1);
    assert_int_equal(stats->queuing_sum_us, 100);
    free(slot);
    free(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_stand_below_each_other),
        cmocka_unit_test(rows_of_different_lengths_are_padded),
        cmocka_unit_test(padding_goes_into_every_dim_but_the_first),
        cmocka_unit_test(strings_move_with_their_bytes),
        cmocka_unit_test(what_no_memory_could_hold_is_not_planned),
        cmocka_unit_test(requests_fill_batches_until_too_many_wait),
        cmocka_unit_test(numbers_wrap_around),
        cmocka_unit_test(large_requests_are_split_until_too_many_wait),
        cmocka_unit_test(runs_are_counted_in_tensorflows_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
