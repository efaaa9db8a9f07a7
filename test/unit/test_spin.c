/* SPDX-License-Identifier: Apache-2.0 */

/* When who waits looks, and when he sleeps: on clocks that the test sets. */

#include "worker/expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define US UINT64_C(1000)
#define SECOND UINT64_C(1000000000)

/* As on a machine with several CPUs. */
static void begin(struct el_spin *spin)
{
    el_spin_init(spin);
    spin->limit_ns = 300 * US;
    spin->average_ns = spin->limit_ns;
}

/* Somebody takes the CPU as soon as looking began anew. For how long no call is then expected. */
static uint64_t taken_again(struct el_expect *expect, const struct el_spin *offers, uint64_t *now_ns)
{
    const uint64_t began_ns = *now_ns;
    assert_true(el_expect_begin(expect, offers, began_ns));
    el_expect_away(expect, began_ns);
    *now_ns = expect->off_until_ns;
    assert_false(el_expect_begin(expect, offers, *now_ns - 1));
    assert_true(el_expect_begin(expect, offers, *now_ns));
    return *now_ns - began_ns;
}

static void test_expects_nothing_for_longer_while_the_machine_is_busy(void **state)
{
    (void)state;
    struct el_spin offers;
    struct el_expect expect;
    begin(&offers);
    el_expect_init(&expect);
    begin(&expect.spin);
    expect.spin.average_ns = 20 * US;
    uint64_t now = 1000 * SECOND;
    assert_int_equal(taken_again(&expect, &offers, &now), SECOND / 5);
    assert_int_equal(taken_again(&expect, &offers, &now), SECOND / 5 * 2);
    assert_int_equal(taken_again(&expect, &offers, &now), SECOND / 5 * 4);
    for (int i = 0; i < 3; i++)
        taken_again(&expect, &offers, &now);
    assert_int_equal(taken_again(&expect, &offers, &now), 10 * SECOND);
    assert_int_equal(taken_again(&expect, &offers, &now), 10 * SECOND);

    /* Looking goes well for a while, but not for as long as it takes to trust it. */
    for (int i = 1; i < EL_EXPECT_GOOD; i++)
        el_expect_kept(&expect);
    assert_int_equal(taken_again(&expect, &offers, &now), 10 * SECOND);
    /* A pause proves nothing. */
    now += 1000 * SECOND;
    assert_int_equal(taken_again(&expect, &offers, &now), 10 * SECOND);
    for (int i = 0; i < EL_EXPECT_GOOD; i++)
        el_expect_kept(&expect);
    assert_int_equal(taken_again(&expect, &offers, &now), SECOND / 5);
}

static void test_does_not_expect_a_call_while_looking_is_off(void **state)
{
    (void)state;
    struct el_spin offers;
    struct el_expect expect;
    begin(&offers);
    el_expect_init(&expect);
    begin(&expect.spin);
    expect.spin.average_ns = 20 * US;
    uint64_t now = 1000 * SECOND;
    assert_true(el_expect_begin(&expect, &offers, now));
    el_expect_met(&expect, now + 20 * US);

    atomic_store(&offers.off_until_ns, now + EL_SPIN_OFF_NS);
    assert_false(el_expect_begin(&expect, &offers, now + 1));
    assert_int_equal(expect.until_ns, 0);
    assert_true(el_expect_begin(&expect, &offers, now + SECOND));
}

/* A client that asks again at once is waited for; one that pauses is not, and is again when it no longer does. */
static void test_learns_how_soon_the_next_call_comes(void **state)
{
    (void)state;
    struct el_spin offers;
    struct el_expect expect;
    begin(&offers);
    el_expect_init(&expect);
    begin(&expect.spin);
    uint64_t now = SECOND;
    const uint64_t pauses[] = { 100 * US, SECOND, 100 * US };
    const bool looked_for[] = { true, false, true };
    for (unsigned i = 0; i < 3; i++) {
        bool looks = false;
        for (int call = 0; call < 40; call++) {
            looks = el_expect_begin(&expect, &offers, now);
            now += pauses[i];
            el_expect_met(&expect, now);
        }
        assert_int_equal(looks, looked_for[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expects_nothing_for_longer_while_the_machine_is_busy),
        cmocka_unit_test(test_does_not_expect_a_call_while_looking_is_off),
        cmocka_unit_test(test_learns_how_soon_the_next_call_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
