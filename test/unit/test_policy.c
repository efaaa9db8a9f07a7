/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static const struct el_candidate four[] = { { 9, true }, { 7, true }, { 3, true }, { 0, true } };

static void latest_takes_the_highest(void **unused)
{
    (void)unused;
    int64_t aspired[4];
    struct el_version_policy policy = { .type = EL_POLICY_LATEST, .latest = 2 };
    assert_int_equal(el_policy_aspire(&policy, four, 4, aspired), 2);
    assert_int_equal(aspired[0], 9);
    assert_int_equal(aspired[1], 7);

    policy.latest = 0; /* as unset: one */
    assert_int_equal(el_policy_aspire(&policy, four, 4, aspired), 1);
    policy.latest = 100;
    assert_int_equal(el_policy_aspire(&policy, four, 4, aspired), 4);
}

static void a_quarantined_version_gives_its_place_to_the_next_best(void **unused)
{
    (void)unused;
    const struct el_candidate candidates[] = { { 7, false }, { 6, true }, { 5, true } };
    int64_t aspired[3];
    const struct el_version_policy policy = { .type = EL_POLICY_LATEST, .latest = 1 };
    assert_int_equal(el_policy_aspire(&policy, candidates, 3, aspired), 1);
    assert_int_equal(aspired[0], 6);
}

static void all_takes_all_that_are_usable(void **unused)
{
    (void)unused;
    const struct el_candidate candidates[] = { { 7, true }, { 6, false }, { 5, true } };
    int64_t aspired[3];
    const struct el_version_policy policy = { .type = EL_POLICY_ALL };
    assert_int_equal(el_policy_aspire(&policy, candidates, 3, aspired), 2);
    assert_int_equal(aspired[0], 7);
    assert_int_equal(aspired[1], 5);
}

static void specific_takes_what_is_there_of_what_is_named(void **unused)
{
    (void)unused;
    int64_t named[] = { 0, 3, 8 }, aspired[4];
    const struct el_version_policy policy = { .type = EL_POLICY_SPECIFIC, .versions = named, .version_count = 3 };
    assert_int_equal(el_policy_aspire(&policy, four, COUNT(four), aspired), 2);
    assert_int_equal(aspired[0], 3);
    assert_int_equal(aspired[1], 0);
    assert_true(el_policy_has(aspired, 2, 0));
    assert_false(el_policy_has(aspired, 2, 8));
}

static void nothing_on_disk_aspires_nothing(void **unused)
{
    (void)unused;
    int64_t aspired[1];
    const struct el_version_policy policy = { .type = EL_POLICY_ALL };
    assert_int_equal(el_policy_aspire(&policy, NULL, 0, aspired), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latest_takes_the_highest),
        cmocka_unit_test(a_quarantined_version_gives_its_place_to_the_next_best),
        cmocka_unit_test(all_takes_all_that_are_usable),
        cmocka_unit_test(specific_takes_what_is_there_of_what_is_named),
        cmocka_unit_test(nothing_on_disk_aspires_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
