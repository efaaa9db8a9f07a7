/* SPDX-License-Identifier: Apache-2.0 */
/* What a version is checked for before it answers: each finding drops out, is told, or keeps the version from serving. */
#include "test_swap_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void begin(struct stage *stage, enum el_check check, enum el_check_mode mode)
{
    stage_open(stage);
    stage->update.probe.modes[check] = mode;
    stage_put(stage, 1, "");
    stage_start(stage);
    stage_wait_serving(stage, 1);
}

static void a_finding_refuses_or_is_told_or_is_not_looked_for(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, EL_CHECK_SANE, EL_CHECK_REFUSE);
    stage_put(&stage, 2, "run=nan");
    stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
    assert_non_null(strstr(stage_see(&stage, 2).reason, "not finite"));
    assert_int_equal(stage_see(&stage, 2).serving, 1);
    stage_close(&stage);

    begin(&stage, EL_CHECK_SANE, EL_CHECK_WARN);
    stage_put(&stage, 2, "run=nan");
    stage_wait_serving(&stage, 2);
    stage_wait_event(&stage, "probe_warning", 2, "sane: probe of signature");
    stage_wait_event(&stage, "probed", 2, "not finite");
    assert_non_null(strstr(stage_see(&stage, 2).probe, "not finite"));
    stage_close(&stage);

    begin(&stage, EL_CHECK_SANE, EL_CHECK_OFF);
    stage_put(&stage, 2, "run=nan");
    stage_wait_serving(&stage, 2);
    assert_int_equal(stage_count_events(&stage, "probe_warning", 2), 0);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finding_refuses_or_is_told_or_is_not_looked_for),
    };
    if (getenv("TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
