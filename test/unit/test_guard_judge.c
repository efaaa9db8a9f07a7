/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's verdict by itself: how often it is wrong about good versions, and how soon it is right about bad ones. */
#include "swap/guard_judge.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct el_guard_limits limits = {
    .max_error_rate = 1e-3, .max_non_finite_rate = 1e-3, .max_latency_ratio = 5, .max_memory_ratio = 3
};

static double next_double(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

/* Good answers before the next bad one. */
static uint64_t gap(uint64_t *state, double rate)
{
    return (uint64_t)(log(next_double(state)) / log1p(-rate));
}

static bool condemned(const struct el_guard_seen *seen, enum el_rollback_reason *reason)
{
    struct el_status *why = el_guard_judge(&limits, seen, reason);
    const bool bad = why != NULL;
    el_status_free(why);
    return bad;
}

/* Answers until a version that fails at this rate is condemned; UINT64_MAX: not within `most`. Looked at after each failure. */
static uint64_t answers_until(uint64_t *state, double rate, struct el_guard_counts old, uint64_t most)
{
    struct el_guard_seen seen = { .old_errors = old };
    enum el_rollback_reason reason;
    while (seen.errors.all < most) {
        seen.errors.all += gap(state, rate) + 1;
        seen.errors.bad++;
        if (seen.errors.all <= most && condemned(&seen, &reason))
            return seen.errors.all;
    }
    return UINT64_MAX;
}

static struct el_guard_counts draw(uint64_t *state, double rate, uint64_t all)
{
    struct el_guard_counts counts = { .all = all };
    for (uint64_t at = gap(state, rate); at < all; at += gap(state, rate) + 1)
        counts.bad++;
    return counts;
}

static void of_10000_good_versions_hardly_one_is_condemned(void **unused)
{
    (void)unused;
    uint64_t state = 88172645463325252u;
    unsigned at_the_limit = 0, like_the_old = 0;
    for (int i = 0; i < 10000; i++) {
        const struct el_guard_counts none = { .all = 5000 };
        at_the_limit += answers_until(&state, limits.max_error_rate, none, 20000) != UINT64_MAX;
        const struct el_guard_counts old = draw(&state, 0.03, 2000); /* both fail alike, at 30 times the limit */
        like_the_old += answers_until(&state, 0.03, old, 5000) != UINT64_MAX;
    }
    printf("condemned of 10,000: %u at the limit, %u as bad as the old one\n", at_the_limit, like_the_old);
    assert_true(at_the_limit <= 10000 * EL_GUARD_FALSE_ALARMS);
    assert_true(like_the_old <= 10000 * EL_GUARD_FALSE_ALARMS);
}

static int compare(const void *a_, const void *b_)
{
    const uint64_t *a = a_, *b = b_;
    return *a < *b ? -1 : *a > *b;
}

/* The table in docs/safety.md. */
static void a_rise_of_errors_is_seen_in_time(void **unused)
{
    (void)unused;
    static const struct {
        double rate;
        uint64_t median, most; /* answers until 50 %, 99 % of versions that fail so often are taken back: at most */
    } rows[] = { { 0.005, 3000, 8000 }, { 0.01, 900, 2700 }, { 0.02, 280, 950 }, { 0.05, 85, 270 },
                 { 0.1, 35, 120 },      { 0.5, 5, 16 },      { 1 - 1e-9, 2, 2 } };
    enum { TRIES = 2000 };
    static uint64_t took[TRIES];
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int t = 0; t < TRIES; t++)
            took[t] = answers_until(&state, rows[i].rate, (struct el_guard_counts){ .all = 1000 }, 1000000);
        qsort(took, TRIES, sizeof took[0], compare);
        printf("%5.1f %% fail: %llu answers in half of the cases, %llu in 99 %%\n", 100 * rows[i].rate,
               (unsigned long long)took[TRIES / 2], (unsigned long long)took[TRIES * 99 / 100]);
        assert_true(took[TRIES / 2] <= rows[i].median);
        assert_true(took[TRIES * 99 / 100] <= rows[i].most);
    }
}

static void one_failure_is_no_evidence_and_no_answers_are_none(void **unused)
{
    (void)unused;
    enum el_rollback_reason reason;
    struct el_guard_seen seen = { .seconds = 60 };
    assert_false(condemned(&seen, &reason)); /* could not be measured: no breach */
    seen.errors = (struct el_guard_counts){ .all = 1, .bad = 1 };
    assert_false(condemned(&seen, &reason));
    seen.errors = (struct el_guard_counts){ .all = 2, .bad = 2 };
    assert_true(condemned(&seen, &reason));
    assert_int_equal(reason, EL_ROLLBACK_ERRORS);
    seen.old_errors = (struct el_guard_counts){ .all = 10, .bad = 10 }; /* the old one was no better */
    assert_false(condemned(&seen, &reason));
}

static void non_finite_answers_count_where_the_old_version_gave_none(void **unused)
{
    (void)unused;
    enum el_rollback_reason reason;
    struct el_guard_seen seen = { .non_finite = { .all = 100, .bad = 50 }, .old_non_finite = { .all = 5 } };
    assert_false(condemned(&seen, &reason)); /* hardly anything to compare with */
    seen.confirmed = 50;
    assert_true(condemned(&seen, &reason)); /* but it was asked the same */
    assert_int_equal(reason, EL_ROLLBACK_NON_FINITE);
    seen.confirmed = 0;
    seen.old_non_finite.all = 1000;
    assert_true(condemned(&seen, &reason));
    seen.old_non_finite.bad = 500;
    assert_false(condemned(&seen, &reason));
}

static void slowness_must_last(void **unused)
{
    (void)unused;
    enum el_rollback_reason reason;
    struct el_guard_seen seen = { .old_p99_ns = 1000000 };
    assert_int_equal(el_guard_slow_ns(&limits, 0), UINT64_MAX);
    assert_int_equal(el_guard_slow_ns(&limits, seen.old_p99_ns), 7000000);
    assert_false(el_guard_window(&seen.windows, 19, 19)); /* too few answers */
    for (int i = 0; i < 100; i++)
        assert_true(el_guard_window(&seen.windows, 100, i % 10 == 0 ? 100 : 0)); /* a stall now and then */
    assert_false(condemned(&seen, &reason));
    seen.windows = (struct el_guard_counts){ 0 };
    int windows = 0;
    while (!condemned(&seen, &reason)) {
        assert_true(++windows < 10);
        assert_true(el_guard_window(&seen.windows, 100, 11));
    }
    assert_int_equal(reason, EL_ROLLBACK_LATENCY);
    assert_int_equal(windows, 5);
}

static void growth_counts_above_a_floor(void **unused)
{
    (void)unused;
    enum el_rollback_reason reason;
    struct el_guard_seen seen = { .memory_at_start = 10 << 20, .memory = 200 << 20 };
    assert_false(condemned(&seen, &reason));
    seen.memory = UINT64_C(300) << 20;
    assert_true(condemned(&seen, &reason));
    assert_int_equal(reason, EL_ROLLBACK_MEMORY);
    const struct el_guard_limits none = { -1, -1, -1, -1 };
    assert_null(el_guard_judge(&none, &seen, &reason));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_10000_good_versions_hardly_one_is_condemned),
        cmocka_unit_test(a_rise_of_errors_is_seen_in_time),
        cmocka_unit_test(one_failure_is_no_evidence_and_no_answers_are_none),
        cmocka_unit_test(non_finite_answers_count_where_the_old_version_gave_none),
        cmocka_unit_test(slowness_must_last),
        cmocka_unit_test(growth_counts_above_a_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
