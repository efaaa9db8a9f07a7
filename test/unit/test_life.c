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

static void nothing_leads_out_of_quarantine(void **unused)
{
    (void)unused;
    for (enum el_life_event event = 0; event < EL_LIFE_EVENTS; event++) {
        enum el_life_state version = EL_LIFE_QUARANTINED;
        assert_false(el_life_step(&version, event));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_version_is_served_then_rests_then_ends),
        cmocka_unit_test(a_serving_version_outlives_its_directory),
        cmocka_unit_test(nothing_leads_out_of_quarantine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
