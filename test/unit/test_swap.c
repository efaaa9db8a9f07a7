/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the swapper with real worker processes and the test engine: swaps under a stream of requests. */
#include "test_swap_support.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_new_version_takes_over_without_a_failed_request(void **unused)
{
    (void)unused;
    struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 4);
    client_wait_version(&stage, 1);

    stage_put(&stage, 2, "");
    client_wait_version(&stage, 2);

    struct seen old = stage_see(&stage, 1);
    assert_true(old.state >= EL_LIFE_WARM);
    stage_wait_state(&stage, 1, EL_LIFE_END); /* kept warm, drained, its worker gone */
    client_wait_version(&stage, 2);
    client_end_without_failure(&stage);
    assert_int_equal(stage_count_events(&stage, "switched", 2), 1);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_version_takes_over_without_a_failed_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
