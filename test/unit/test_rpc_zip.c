/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed bytes that are much when they come out: in steps, side by side, within limits. */
#include "rpc/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LARGE ((size_t)8 * 1024 * 1024)

struct part {
    size_t held, most; /* bytes charged, and allowed */
    enum el_zipped result;
    struct el_buf whole;
    struct el_zip *zip;
};

static bool charge(void *argument, size_t bytes)
{
    struct part *part = argument;
    if (bytes > part->most - part->held)
        return false;
    part->held += bytes;
    return true;
}

static void uncharge(void *argument, size_t bytes)
{
    struct part *part = argument;
    part->held -= bytes;
}

static void done(void *argument, enum el_zipped result, struct el_buf *whole)
{
    struct part *part = argument;
    part->zip = NULL;
    part->result = result;
    part->whole = *whole;
}

static const struct el_zip_owner owner = { charge, uncharge, done };

struct fixture {
    struct el_rpc_settings settings;
    struct el_loop loop;
    _Atomic uint32_t connections;
    struct el_buf packed; /* of LARGE zeros */
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    uint8_t *zeros = calloc(1, LARGE);
    assert_non_null(fixture);
    assert_non_null(zeros);
    assert_int_equal(el_zip_whole(EL_ZIP_GZIP, zeros, LARGE, SIZE_MAX, &fixture->packed), EL_ZIPPED);
    free(zeros);
    assert_null(el_loop_init(&fixture->loop, 0, &fixture->settings, &fixture->connections));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    el_buf_free(&fixture->packed);
    el_loop_free(&fixture->loop);
    free(fixture);
    return 0;
}

static void begin(struct fixture *fixture, struct part *part, size_t limit)
{
    struct el_buf whole;
    part->result = el_zip_begin(&fixture->loop, EL_ZIP_INFLATE, fixture->packed.data, fixture->packed.size, limit,
                                &owner, part, &whole, &part->zip);
    if (part->result != EL_ZIP_GOES_ON)
        part->whole = whole;
}

static void turn(struct fixture *fixture)
{
    uv_run(&fixture->loop.open.uv, UV_RUN_NOWAIT);
}

static void large_ones_go_on_side_by_side(void **state)
{
    struct fixture *fixture = *state;
    struct part parts[3] = { { .most = SIZE_MAX }, { .most = SIZE_MAX }, { .most = SIZE_MAX } };
    for (int i = 0; i < 3; i++) {
        begin(fixture, &parts[i], LARGE);
        assert_int_equal(parts[i].result, EL_ZIP_GOES_ON);
    }
    int turns = 0;
    for (; parts[2].result == EL_ZIP_GOES_ON; turns++) {
        size_t before = parts[0].held + parts[1].held + parts[2].held;
        turn(fixture);
        size_t step = parts[0].held + parts[1].held + parts[2].held - before;
        assert_in_range(step, 0, 256 * 1024); /* between two steps the loop serves others */
        if (parts[0].result == EL_ZIP_GOES_ON)
            assert_in_range(parts[0].held - parts[2].held, 0, 2 * 256 * 1024);
    }
    assert_in_range(turns, 3 * 30, 3 * 40);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(parts[i].result, EL_ZIPPED);
        assert_int_equal(parts[i].whole.size, LARGE);
        assert_int_equal(parts[i].held, LARGE);
        el_buf_free(&parts[i].whole);
    }
    turn(fixture);
    assert_int_equal(uv_is_active((uv_handle_t *)&fixture->loop.idle), 0); /* a loop without work sleeps */
}

static void what_may_not_be_held_is_not_made(void **state)
{
    struct fixture *fixture = *state;
    struct part part = { .most = LARGE / 2 };
    begin(fixture, &part, LARGE);
    while (part.result == EL_ZIP_GOES_ON)
        turn(fixture);
    assert_int_equal(part.result, EL_ZIP_NO_MEMORY);
    assert_int_equal(part.held, 0);
    assert_null(part.whole.data);
    part.most = SIZE_MAX;
    begin(fixture, &part, LARGE - 1);
    while (part.result == EL_ZIP_GOES_ON)
        turn(fixture);
    assert_int_equal(part.result, EL_ZIP_TOO_BIG);
    assert_int_equal(part.held, 0);
}

static void one_that_is_given_up_is_not_heard_of_again(void **state)
{
    struct fixture *fixture = *state;
    struct part parts[2] = { { .most = SIZE_MAX }, { .most = SIZE_MAX } };
    begin(fixture, &parts[0], LARGE);
    begin(fixture, &parts[1], LARGE);
    turn(fixture);
    el_zip_cancel(parts[0].zip);
    el_zip_cancel(NULL);
    while (parts[1].result == EL_ZIP_GOES_ON)
        turn(fixture);
    assert_int_equal(parts[0].result, EL_ZIP_GOES_ON);
    assert_int_equal(parts[1].result, EL_ZIPPED);
    el_buf_free(&parts[1].whole);
}

static void growth_has_a_limit(void **state)
{
    (void)state;
    const size_t mib = 1024 * 1024;
    assert_int_equal(el_zip_limit(10, 256 * mib), 64 * mib);
    assert_int_equal(el_zip_limit(mib, 256 * mib), 200 * mib);
    assert_int_equal(el_zip_limit(2 * mib, 256 * mib), 256 * mib);
    assert_int_equal(el_zip_limit(10, mib), mib);
    assert_int_equal(el_zip_limit(SIZE_MAX / 2, SIZE_MAX), SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(large_ones_go_on_side_by_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_may_not_be_held_is_not_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_given_up_is_not_heard_of_again, set_up, tear_down),
        cmocka_unit_test(growth_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
