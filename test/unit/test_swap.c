/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the swapper with real worker processes and the test engine: good and bad versions under a stream of requests. */
#include "test_swap_support.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void a_new_version_takes_over_without_a_failed_request(void **unused)
{
    (void)unused;
    static struct stage stage;
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

static void the_highest_of_several_versions_is_served_first(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_put(&stage, 3, "");
    stage_put(&stage, 2, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 3);
    assert_int_equal(stage_see(&stage, 1).state, EL_LIFE_STATES); /* never wanted, never shown */
    stage_close(&stage);
}

/* ---- everything that can be wrong with a version ---- */

static const struct {
    const char *orders, *reason;
} bad_versions[] = {
    { "open=fail", "fail" },
    { "open=abort", "while loading" },
    { "open=segv", "while loading" },
    { "open=exit", "while loading" },
    { "open=slow 60000", "load_timeout_ms" },
    { "open=hang", "load_timeout_ms" },
    { "signatures=fail", "" },
    { "signatures=garbage", "" },
    { "signatures=unsorted", "" },
    { "run=fail", "probe of signature" },
    { "run=abort", "while running" },
    { "run=segv", "while running" },
    { "run=exit", "while running" },
    { "run=hang", "did not answer within" },
    { "run=slow 60000", "" },
    { "run=slow 200", "too slow" },
    { "run=nan", "not finite" },
    { "run=shape", "" },
    { "run=dtype", "" },
    { "run=missing", "" },
    { "run=twice", "" },
    { "run=need-more", "" },
};

static void every_bad_version_is_refused_while_the_old_one_serves(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.update.load_timeout_ms = 2000 * SLOWNESS;
    stage.update.probe_timeout_ms = 1000 * SLOWNESS;
    stage.update.hang_timeout_ms = 60000; /* the probe is who gives up */
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 2);
    client_wait_version(&stage, 1);
    for (size_t i = 0; i < sizeof bad_versions / sizeof bad_versions[0]; i++) {
        int64_t version = 20 + (int64_t)i;
        stage_put(&stage, version, bad_versions[i].orders);
        stage_wait_state(&stage, version, EL_LIFE_QUARANTINED);
        struct seen seen = stage_see(&stage, version);
        assert_int_equal(seen.serving, 1);
        assert_true(seen.code != EL_OK);
        if (seen.reason[0] == '\0' || strstr(seen.reason, bad_versions[i].reason) == NULL)
            fail_msg("%s: the reason \"%s\" does not say \"%s\"", bad_versions[i].orders, seen.reason,
                     bad_versions[i].reason);
        client_wait_answers(&stage, 10);
    }
    assert_int_equal(stage_count_events(&stage, "switched", -2), 0);
    client_end_without_failure(&stage);
    assert_int_equal(stage.client.by_version[1], stage.client.answered);
    stage_close(&stage);
}

/*
 * One that scribbles over the memory it shares with the front is killed when it is caught, during its probe or after. However
 * far it comes: the front lives, and the old version answers again when the hostile one is taken away.
 */
static void a_hostile_version_cannot_take_the_front_with_it(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.update.keep_warm_ms = 20000;
    stage.patience_ms = 3000; /* what a hostile worker never answers is given up */
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 2);
    client_wait_version(&stage, 1);
    stage_put(&stage, 2, "run=scribble");
    stage_wait_event(&stage, "loaded", 2, "");
    stage_run_for(&stage, 1500);
    stage_remove(&stage, 2);
    stage_wait_serving(&stage, 1);
    client_wait_version(&stage, 1);
    client_end(&stage);
    stage_close(&stage);
}

static void a_bad_version_is_refused_without_another_to_compare_with(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_put(&stage, 2, "run=nan");
    stage_start(&stage);
    stage_wait_serving(&stage, 1); /* the next best takes the place of the quarantined one */
    assert_int_equal(stage_see(&stage, 2).state, EL_LIFE_QUARANTINED);
    stage_close(&stage);
}

static void repaired_files_are_a_new_life(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_put(&stage, 2, "open=fail");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    stage_run_for(&stage, 500); /* several scans: it is not tried again */
    assert_int_equal(stage_count_events(&stage, "quarantined", 2), 1);

    stage_orders(&stage, 2, "");
    stage_wait_serving(&stage, 2);
    assert_int_equal(stage_count_events(&stage, "released", 2), 1);
    assert_int_equal(stage_count_events(&stage, "version_seen", 2), 2);
    stage_close(&stage);
}

static void a_slow_copy_is_waited_for(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);

    stage_shell(&stage, "mkdir m/2 && cp %s/half_plus_two/1/saved_model.pb m/2/", TEST_MODELS);
    stage_wait_event(&stage, "waiting", 2, "variables");
    assert_int_equal(stage_see(&stage, 2).state, EL_LIFE_VERIFYING);
    stage_shell(&stage, "mkdir m/2/variables && cp %s/half_plus_two/1/variables/variables.index m/2/variables/",
                TEST_MODELS);
    stage_run_for(&stage, 100);
    assert_int_equal(stage_see(&stage, 2).serving, 1);
    stage_shell(&stage, "cp %s/half_plus_two/1/variables/variables.data-00000-of-00001 m/2/variables/", TEST_MODELS);
    stage_wait_serving(&stage, 2);
    assert_int_equal(stage_count_events(&stage, "quarantined", -2), 0);
    stage_close(&stage);
}

static void a_copy_that_stops_half_way_is_quarantined_until_it_goes_on(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    stage_shell(&stage, "cp -r %s/half_plus_two/1 m/2 && rm m/2/variables/variables.data-00000-of-00001", TEST_MODELS);
    stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
    assert_non_null(strstr(stage_see(&stage, 2).reason, "variables.data-00000-of-00001"));
    stage_shell(&stage, "cp %s/half_plus_two/1/variables/variables.data-00000-of-00001 m/2/variables/", TEST_MODELS);
    stage_wait_serving(&stage, 2);
    stage_close(&stage);
}

static void a_mount_without_inotify_works_by_the_timer(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.options.no_inotify = true;
    stage.options.poll_wait_ms = 50;
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    stage_put(&stage, 2, "");
    stage_wait_serving(&stage, 2);
    stage_close(&stage);
}

/* ---- directories that go ---- */

static void the_serving_versions_directory_may_vanish(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 2);
    client_wait_version(&stage, 1);
    stage_remove(&stage, 1);
    stage_run_for(&stage, 600); /* several scans of an empty base path */
    assert_int_equal(stage_see(&stage, 1).state, EL_LIFE_SERVING);
    stage_shell(&stage, "rmdir m");
    stage_wait_event(&stage, "source_failed", -1, "Could not find base path");
    stage_run_for(&stage, 300);
    client_wait_version(&stage, 1);
    stage_shell(&stage, "mkdir m");
    stage_put(&stage, 2, "");
    client_wait_version(&stage, 2);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void removing_the_new_version_brings_the_old_one_back(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_put(&stage, 2, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 2);
    client_start(&stage, 2);
    client_wait_version(&stage, 2);
    stage_remove(&stage, 2);
    client_wait_version(&stage, 1);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

/* ---- policies ---- */

static void latest_two_serves_two_and_retires_the_third(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.policy.latest = 2;
    stage_put(&stage, 1, "");
    stage_put(&stage, 2, "");
    stage_start(&stage);
    stage_wait_state(&stage, 1, EL_LIFE_SERVING);
    stage_wait_state(&stage, 2, EL_LIFE_SERVING);
    assert_int_equal(stage_see(&stage, 1).serving, 2);
    stage_put(&stage, 3, "");
    stage_wait_serving(&stage, 3);
    stage_wait_state(&stage, 1, EL_LIFE_END);
    assert_int_equal(stage_see(&stage, 2).state, EL_LIFE_SERVING);
    stage_close(&stage);
}

static void another_config_is_another_policy_and_another_set_of_models(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_put(&stage, 2, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 2);
    int64_t one[] = { 1 };
    stage.policy = (struct el_version_policy){ .type = EL_POLICY_SPECIFIC, .versions = one, .version_count = 1 };
    struct el_config config;
    struct el_model_config model;
    stage_config(&stage, &config, &model);
    assert_null(el_swap_reconfigure(stage.swap, &config));
    stage_wait_serving(&stage, 1);
    stage_wait_state(&stage, 2, EL_LIFE_END);

    config.model_count = 0;
    assert_null(el_swap_reconfigure(stage.swap, &config));
    stage_wait_state(&stage, 1, EL_LIFE_STATES);
    const struct el_view *view = el_view_get(stage.swap);
    assert_int_equal(view->model_count, 0);
    el_view_put(stage.swap, view);

    config.model_count = 1;
    assert_null(el_swap_reconfigure(stage.swap, &config));
    stage_wait_serving(&stage, 1);
    stage_close(&stage);
}

/* ---- workers that die ---- */

static void a_killed_worker_is_replaced_and_its_requests_are_answered(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "run=slow 5"); /* so that some are always under way */
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 8);
    client_wait_answers(&stage, 20);
    for (uint64_t deaths = 1; deaths <= 3; deaths++) {
        pid_t pid = stage_see(&stage, 1).pid;
        assert_true(pid > 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        client_wait_answers(&stage, 40);
        struct seen seen = stage_see(&stage, 1);
        assert_int_equal(seen.state, EL_LIFE_SERVING);
        assert_int_equal(seen.deaths, deaths);
        assert_true(seen.pid != pid);
    }
    assert_true(stage_see(&stage, 1).replayed > 0);
    client_end_without_failure(&stage);
    assert_int_equal(stage_count_events(&stage, "respawned", 1), 3);
    stage_close(&stage);
}

static void a_warm_version_answers_while_the_new_ones_worker_is_replaced(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.update.keep_warm_ms = 20000;
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 2);
    stage_put(&stage, 2, "open=slow 150");
    client_wait_version(&stage, 2);
    assert_int_equal(kill(stage_see(&stage, 2).pid, SIGKILL), 0);
    client_wait_version(&stage, 1);
    client_wait_version(&stage, 2);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void a_version_whose_workers_keep_dying_is_rolled_back(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.update.keep_warm_ms = 20000;
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 2);
    stage_put(&stage, 2, "");
    client_wait_version(&stage, 2);
    for (uint64_t deaths = 1; deaths <= 3; deaths++) {
        client_wait_version(&stage, 2);
        assert_int_equal(kill(stage_see(&stage, 2).pid, SIGKILL), 0);
        while (stage_see(&stage, 2).deaths < deaths)
            stage_run_for(&stage, 5);
    }
    stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
    assert_int_equal(stage_see(&stage, 2).serving, 1);
    assert_int_equal(stage_count_events(&stage, "rolled_back", 2), 1);
    client_wait_version(&stage, 1);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void a_version_that_cannot_be_started_again_gives_way_to_one_on_disk(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_put(&stage, 2, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 2);
    client_start(&stage, 2);
    client_wait_version(&stage, 2);
    stage_orders(&stage, 2, "open=abort");
    assert_int_equal(kill(stage_see(&stage, 2).pid, SIGKILL), 0);
    client_wait_version(&stage, 1);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void files_that_changed_are_probed_before_a_replacement_answers(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 2);
    client_wait_version(&stage, 1);
    stage_orders(&stage, 1, "run=nan");
    stage_run_for(&stage, 300); /* a scan sees it; a loaded version is never read again */
    client_wait_version(&stage, 1);
    assert_int_equal(kill(stage_see(&stage, 1).pid, SIGKILL), 0);
    stage_wait_event(&stage, "respawn_failed", 1, "not finite");
    stage_orders(&stage, 1, "");
    client_wait_version(&stage, 1); /* there is nothing to fall back on: it is tried again and again */
    client_end_without_failure(&stage);
    stage_close(&stage);
}

/* ---- several models ---- */

static void one_model_loads_at_a_time_and_a_missing_one_stalls_nobody(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    static char none[] = "none", nowhere[] = "/nonexistent/everlit", other[] = "other";
    stage_put(&stage, 1, "open=slow 150");
    struct el_config config;
    struct el_model_config models[3];
    stage_config(&stage, &config, &models[1]);
    models[0] = models[2] = models[1];
    models[0].name = none;
    models[0].base_path = nowhere;
    models[2].name = other; /* the same directory twice is allowed */
    config = (struct el_config){ .models = models, .model_count = 3 };
    stage.options.config = &config;
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    while (stage_count_events(&stage, "serving", 1) < 2) {
        unsigned loading = stage_count_events(&stage, "loading", 1), loaded = stage_count_events(&stage, "loaded", 1);
        assert_true(loading <= loaded + 1);
        stage_run_for(&stage, 5);
    }
    stage_wait_event(&stage, "source_failed", -1, "Could not find base path /nonexistent/everlit for servable none");
    stage_close(&stage);
}

/* ---- availability "resource" ---- */

static void resource_holds_requests_while_the_new_version_loads(void **unused)
{
    (void)unused;
    static char resource[] = "resource";
    static struct stage stage;
    stage_open(&stage);
    stage.update.availability = resource;
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 4);
    client_wait_version(&stage, 1);
    pid_t old = stage_see(&stage, 1).pid;
    stage_put(&stage, 2, "open=slow 200");
    stage_wait_state(&stage, 2, EL_LIFE_LOADING);
    assert_int_equal(stage_see(&stage, 1).state, EL_LIFE_END);
    while (kill(old, 0) == 0) /* its memory is back before the new one loads; its zygote reaps it a moment later */
        stage_run_for(&stage, 5);
    client_wait_version(&stage, 2);

    stage_put(&stage, 3, "run=nan"); /* the old one comes back where the new one is bad */
    stage_wait_state(&stage, 3, EL_LIFE_QUARANTINED);
    client_wait_version(&stage, 2);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

/* ---- many swaps ---- */

static long resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    long size, resident;
    assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2); /* NOLINT: the kernel wrote it */
    fclose(file);
    return resident * 4;
}

static void two_hundred_swaps_lose_no_request_and_no_memory(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.update.keep_warm_ms = 1;
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 4);
    long early = 0;
    const char *more = getenv("TEST_SWAPS");
    const int swaps = more != NULL ? (int)strtol(more, NULL, 10) : 200 / SLOWNESS / 2;
    for (int i = 0; i < swaps; i++) {
        int64_t next = i % 2 == 0 ? 2 : 1;
        if (next == 2)
            stage_put(&stage, 2, "");
        else
            stage_remove(&stage, 2);
        client_wait_version(&stage, next);
        stage_wait_state(&stage, 3 - next, EL_LIFE_END);
        if (i == 20)
            early = resident_kib();
    }
    client_end_without_failure(&stage);
    long late = resident_kib();
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    if (swaps > 20 && late > early + early / 20 + 512)
        fail_msg("memory grew from %ld to %ld KiB in %d swaps", early, late, swaps);
#else
    (void)late; /* sanitizers keep freed memory for a while */
    (void)early;
#endif
    stage_close(&stage);
}

static void stopping_in_the_middle_of_everything_ends_every_worker(void **unused)
{
    (void)unused;
    static const char *const orders[] = { "open=slow 300", "run=slow 100", "open=hang", "" };
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        static struct stage stage;
        stage_open(&stage);
        stage_put(&stage, 1, "");
        stage_start(&stage);
        stage_wait_serving(&stage, 1);
        stage_put(&stage, 2, orders[i]);
        stage_wait_state(&stage, 2, EL_LIFE_LOADING);
        stage_close(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_version_takes_over_without_a_failed_request),
        cmocka_unit_test(the_highest_of_several_versions_is_served_first),
        cmocka_unit_test(every_bad_version_is_refused_while_the_old_one_serves),
        cmocka_unit_test(a_hostile_version_cannot_take_the_front_with_it),
        cmocka_unit_test(a_bad_version_is_refused_without_another_to_compare_with),
        cmocka_unit_test(repaired_files_are_a_new_life),
        cmocka_unit_test(a_slow_copy_is_waited_for),
        cmocka_unit_test(a_copy_that_stops_half_way_is_quarantined_until_it_goes_on),
        cmocka_unit_test(a_mount_without_inotify_works_by_the_timer),
        cmocka_unit_test(the_serving_versions_directory_may_vanish),
        cmocka_unit_test(removing_the_new_version_brings_the_old_one_back),
        cmocka_unit_test(latest_two_serves_two_and_retires_the_third),
        cmocka_unit_test(another_config_is_another_policy_and_another_set_of_models),
        cmocka_unit_test(a_killed_worker_is_replaced_and_its_requests_are_answered),
        cmocka_unit_test(a_warm_version_answers_while_the_new_ones_worker_is_replaced),
        cmocka_unit_test(a_version_whose_workers_keep_dying_is_rolled_back),
        cmocka_unit_test(a_version_that_cannot_be_started_again_gives_way_to_one_on_disk),
        cmocka_unit_test(files_that_changed_are_probed_before_a_replacement_answers),
        cmocka_unit_test(one_model_loads_at_a_time_and_a_missing_one_stalls_nobody),
        cmocka_unit_test(resource_holds_requests_while_the_new_version_loads),
        cmocka_unit_test(two_hundred_swaps_lose_no_request_and_no_memory),
        cmocka_unit_test(stopping_in_the_middle_of_everything_ends_every_worker),
    };
    if (getenv("TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
