/* SPDX-License-Identifier: Apache-2.0 */

/* Workers that behave: loading, calls, answers of every size, stopping, and nothing left behind. */

#include "test_worker_support.h"

#include <stdlib.h>
#include <string.h>

static void a_worker_loads_answers_and_goes(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "value=7\n");
    assert_string_equal(el_worker_engine(subject.worker), "test");
    assert_string_equal(el_worker_engine_version(subject.worker), "1.0");
    assert_true(el_worker_pid(subject.worker) > 0);
    assert_int_equal(el_worker_signatures(subject.worker)->count, 4);
    house_expect(&subject, 4, 7);
    house_expect(&subject, 40, 7);
    house_stop(&subject);
    assert_false(subject.died);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_worker_loads_answers_and_goes, house_setup, house_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
