/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void walk(enum el_life_state *state, const enum el_life_event *events, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_true(el_life_step(state, events[i]));
}

static void a_good_version_is_served_then_rests_then_ends(void **unused)
{
    (void)unused;
    enum el_life_state version = EL_LIFE_NEW;

    walk(&version, (enum el_life_event[]){ EL_LIFE_PASS, EL_LIFE_ADMIT, EL_LIFE_PASS, EL_LIFE_PASS, EL_LIFE_ROUTE }, 5);
    assert_int_equal(version, EL_LIFE_SERVING);

    walk(&version, (enum el_life_event[]){ EL_LIFE_UNROUTE, EL_LIFE_RETIRE, EL_LIFE_IDLE }, 3);
    assert_int_equal(version, EL_LIFE_END);
}

static void a_serving_version_outlives_its_directory(void **unused)
{
    (void)unused;
    enum el_life_state version = EL_LIFE_SERVING;

    assert_false(el_life_step(&version, EL_LIFE_RETIRE));
    assert_int_equal(version, EL_LIFE_SERVING);
}

static void quarantine_leads_nowhere_but_out_of_this_life(void **unused)
{
    (void)unused;
    for (enum el_life_event event = 0; event < EL_LIFE_EVENTS; event++) {
        enum el_life_state version = EL_LIFE_QUARANTINED;
        assert_int_equal(el_life_step(&version, event), event == EL_LIFE_RETIRE);
        assert_int_equal(version, event == EL_LIFE_RETIRE ? EL_LIFE_END : EL_LIFE_QUARANTINED);
    }
}

static void nothing_leads_out_of_the_end(void **unused)
{
    (void)unused;
    for (enum el_life_event event = 0; event < EL_LIFE_EVENTS; event++) {
        enum el_life_state version = EL_LIFE_END;
        assert_false(el_life_step(&version, event));
    }
}

/* A version may be given up at every step before it serves, and only what answers is led to. */
static void every_step_before_serving_can_fail(void **unused)
{
    (void)unused;
    for (enum el_life_state from = EL_LIFE_VERIFYING; from <= EL_LIFE_READY; from++) {
        enum el_life_state version = from;
        assert_true(el_life_step(&version, EL_LIFE_FAIL));
        assert_int_equal(version, EL_LIFE_QUARANTINED);
        version = from;
        assert_true(el_life_step(&version, EL_LIFE_RETIRE));
        version = from;
        assert_int_equal(el_life_step(&version, EL_LIFE_ROUTE), from == EL_LIFE_READY);
    }
}

static void what_had_a_worker_drains_before_it_ends(void **unused)
{
    (void)unused;
    for (enum el_life_state from = EL_LIFE_LOADING; from <= EL_LIFE_WARM; from++) {
        enum el_life_state version = from;
        if (el_life_step(&version, EL_LIFE_RETIRE))
            assert_int_equal(version, EL_LIFE_DRAINING);
    }
}

static void states_and_events_have_names(void **unused)
{
    (void)unused;
    for (enum el_life_state state = 0; state < EL_LIFE_STATES; state++)
        assert_string_not_equal(el_life_name(state), "unknown");
    for (enum el_life_event event = 0; event < EL_LIFE_EVENTS; event++)
        assert_string_not_equal(el_life_event_name(event), "unknown");
    assert_string_equal(el_life_name(EL_LIFE_STATES), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_version_is_served_then_rests_then_ends),
        cmocka_unit_test(a_serving_version_outlives_its_directory),
        cmocka_unit_test(quarantine_leads_nowhere_but_out_of_this_life),
        cmocka_unit_test(nothing_leads_out_of_the_end),
        cmocka_unit_test(every_step_before_serving_can_fail),
        cmocka_unit_test(what_had_a_worker_drains_before_it_ends),
        cmocka_unit_test(states_and_events_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
