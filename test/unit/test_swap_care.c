/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the swapper with versions that need care: that keep state, hang, need memory, or fail for no fault of their own. */
#include "test_swap_support.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- versions that keep state ---- */

/* A version whose graph adds to a variable, for the test engine; every run's process is written down in t. */
static void put_counter(struct stage *stage, int64_t version)
{
    stage_shell(stage,
                "cp -r %s/../test/conformance/models/counter/1 .put && "
                "printf 'tally=%s/t\\nvalue=%lld\\n' > .put/test_engine.txt && mv .put m/%lld",
                TEST_MODELS, stage->dir, (long long)version, (long long)version);
}

/* True if the process has run the model. */
static bool has_run(struct stage *stage, pid_t pid)
{
    char command[160];
    snprintf(command, sizeof command, "grep -qx %d %s/t", (int)pid, stage->dir);
    return system(command) == 0; /* NOLINT: a shell is what tests use for files */
}

static void the_worker_of_a_version_that_keeps_state_is_run_by_clients_only(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    put_counter(&stage, 1);
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    stage_shell(&stage, "test -s t"); /* it was probed, */
    pid_t first = stage_see(&stage, 1).pid;
    assert_false(has_run(&stage, first)); /* but by another process */
    assert_int_equal(stage_count_events(&stage, "loading", 1), 2);

    assert_int_equal(kill(first, SIGKILL), 0);
    stage_wait_event(&stage, "respawned", 1, "");
    assert_false(has_run(&stage, stage_see(&stage, 1).pid));

    stage_put(&stage, 2, ""); /* nor is it run to have something to compare with */
    stage_wait_serving(&stage, 2);
    assert_false(has_run(&stage, stage_see(&stage, 1).pid));
    assert_int_equal(stage_count_events(&stage, "loading", 2), 1);
    stage_close(&stage);
}

static void changed_files_that_keep_state_are_probed_apart(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    put_counter(&stage, 1);
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    stage_shell(&stage, "printf 'tally=%s/t\\nvalue=1\\n#changed\\n' > m/1/test_engine.txt && rm t", stage.dir);
    stage_run_for(&stage, 300); /* a scan sees it */
    assert_int_equal(kill(stage_see(&stage, 1).pid, SIGKILL), 0);
    stage_wait_event(&stage, "respawned", 1, "");
    stage_shell(&stage, "test -s t");
    assert_false(has_run(&stage, stage_see(&stage, 1).pid));
    stage_close(&stage);
}

/* ---- runs that never end ---- */

/* A version whose runs never end while there is a file h. */
static void put_hanging(struct stage *stage, int64_t version)
{
    char orders[96];
    snprintf(orders, sizeof orders, "hang=%s/h", stage->dir);
    stage_put(stage, version, orders);
}

static void a_run_that_never_ends_costs_its_worker_and_then_its_version(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.update.hang_timeout_ms = 200 * SLOWNESS;
    stage.update.probe_timeout_ms = 500 * SLOWNESS;
    stage.patience_ms = 300 * SLOWNESS;
    stage_put(&stage, 1, "");
    put_hanging(&stage, 2);
    stage_start(&stage);
    stage_wait_serving(&stage, 2);
    pid_t first = stage_see(&stage, 2).pid;
    client_start(&stage, 2);
    client_wait_version(&stage, 2);
    stage_shell(&stage, "touch h");
    stage_wait_event(&stage, "worker_died", 2, "hang_timeout_ms");
    stage_shell(&stage, "rm h");
    client_wait_version(&stage, 2);
    assert_int_not_equal(stage_see(&stage, 2).pid, first);
    stage_shell(&stage, "touch h");
    client_wait_version(&stage, 1); /* the second time it is given up */
    struct seen seen = stage_see(&stage, 2);
    assert_int_equal(seen.state, EL_LIFE_QUARANTINED);
    assert_non_null(strstr(seen.reason, "keep hanging"));
    client_end(&stage);
    stage_close(&stage);
}

static void a_run_without_a_deadline_has_one_of_the_config(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.update.hang_timeout_ms = 100 * SLOWNESS;
    stage.update.probe_timeout_ms = 500 * SLOWNESS;
    stage.update.max_run_ms = 100 * SLOWNESS;
    put_hanging(&stage, 1);
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 2);
    client_wait_version(&stage, 1);
    stage_shell(&stage, "touch h");
    stage_wait_event(&stage, "worker_died", 1, "max_run_ms");
    stage_shell(&stage, "rm h");
    client_wait_version(&stage, 1);     /* with nothing to go back to it is started again and again */
    client_end_without_failure(&stage); /* what hung was replayed */
    stage_close(&stage);
}

static void slow_is_not_hanging(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.update.hang_timeout_ms = 300 * SLOWNESS;
    stage.update.max_run_ms = 400 * SLOWNESS;
    stage_put(&stage, 1, "run=slow 60");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 24); /* the last of them waits for 1.4 s: longer than a run may take */
    client_wait_answers(&stage, 40);
    assert_int_equal(stage_see(&stage, 1).deaths, 0);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

/* ---- what GetModelStatus tells ---- */

/* What is told of the version; its state is EL_LIFE_STATES where nothing is. */
static struct el_version_view told(const struct el_view *view, int64_t number)
{
    const struct el_version_view *version = NULL;
    while ((version = el_view_status(view, "m", 1, version)) != NULL)
        if (version->version == number)
            return *version;
    return (struct el_version_view){ .state = EL_LIFE_STATES, .error = "nothing", .reason = "nothing" };
}

static void what_cannot_be_a_version_is_told(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_shell(&stage, "touch m/77 && cp -r m/1 m/-4");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    stage_wait_state(&stage, 77, EL_LIFE_QUARANTINED);
    assert_int_equal(stage_see(&stage, -4).state, EL_LIFE_STATES); /* nobody wants it */

    stage_shell(&stage, "rm -r m/1 m/77 && mkdir m/5");
    stage_wait_state(&stage, 5, EL_LIFE_QUARANTINED);
    stage_wait_state(&stage, -4, EL_LIFE_QUARANTINED);
    stage_wait_state(&stage, 77, EL_LIFE_END);
    assert_int_equal(stage_see(&stage, 1).serving, 1);
    const struct el_view *view = el_view_get(stage.swap);
    char text[400];
    snprintf(text, sizeof text,
             "Error while attempting to reserve resources to load servable {name: m version: 77}: %s/m/77; Not a "
             "directory",
             stage.dir);
    assert_string_equal(told(view, 77).error, text);
    assert_int_equal(told(view, 77).code, EL_FAILED_PRECONDITION);
    snprintf(text, sizeof text,
             "Specified file path does not appear to contain a SavedModel bundle (should have a file called "
             "`saved_model.pb`)\nSpecified file path: %s/m/5",
             stage.dir);
    assert_string_equal(told(view, 5).error, text);
    assert_int_equal(told(view, 5).code, EL_NOT_FOUND);
    assert_non_null(strstr(told(view, 5).reason, "the directory is empty"));
    assert_string_equal(told(view, 1).error, "");
    el_view_put(stage.swap, view);
    stage_close(&stage);
}

static void of_a_removed_model_the_status_goes_on_telling(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    const struct el_config none = { 0 };
    assert_null(el_swap_reconfigure(stage.swap, &none));
    for (bool ended = false; !ended;) {
        stage_run_for(&stage, 5);
        const struct el_view *view = el_view_get(stage.swap);
        assert_int_not_equal(told(view, 1).state, EL_LIFE_STATES); /* at every moment */
        ended = told(view, 1).state == EL_LIFE_END;
        assert_int_equal(view->model_count, 0);
        el_view_put(stage.swap, view);
    }
    stage_put(&stage, 2, "");
    struct el_config config;
    struct el_model_config model;
    stage_config(&stage, &config, &model);
    assert_null(el_swap_reconfigure(stage.swap, &config));
    stage_wait_serving(&stage, 2);
    const struct el_view *view = el_view_get(stage.swap);
    assert_int_equal(told(view, 2).state, EL_LIFE_SERVING);
    assert_int_equal(told(view, 1).state, EL_LIFE_END);
    el_view_put(stage.swap, view);
    stage_close(&stage);
}

/* ---- memory ---- */

static void a_version_waits_until_there_is_room_for_it(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.options.memory_budget_bytes = INT64_C(400) << 20;
    stage.update.keep_warm_ms = 1;
    stage.update.memory_need_bytes = UINT64_C(150) << 20;
    stage.policy = (struct el_version_policy){ .type = EL_POLICY_ALL };
    stage_put(&stage, 1, "memory=300");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "waiting", 2, "waiting for memory");
    assert_int_equal(stage_see(&stage, 2).state, EL_LIFE_VERIFYING);
    assert_true(el_swap_settled(stage.swap)); /* nobody waits for that */
    stage.policy = (struct el_version_policy){ .type = EL_POLICY_LATEST, .latest = 1 };
    static char resource[] = "resource";
    stage.update.availability = resource; /* now the old one makes room */
    struct el_config config;
    struct el_model_config model;
    stage_config(&stage, &config, &model);
    assert_null(el_swap_reconfigure(stage.swap, &config));
    stage_wait_serving(&stage, 2);

    model.update.memory_need_bytes = UINT64_C(500) << 20; /* more than there is at all */
    assert_null(el_swap_reconfigure(stage.swap, &config));
    stage_put(&stage, 3, "");
    stage_wait_state(&stage, 3, EL_LIFE_QUARANTINED);
    assert_int_equal(stage_see(&stage, 3).code, EL_RESOURCE_EXHAUSTED);
    assert_int_equal(stage_see(&stage, 3).serving, 2);
    stage_close(&stage);
}

/* ---- loads that fail for no fault of the version, base paths that go ---- */

static void a_load_that_was_killed_from_outside_is_tried_again(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    stage.options.max_load_retries = 2;
    char orders[96];
    snprintf(orders, sizeof orders, "hang=%s/h\nopen=kill", stage.dir);
    stage_shell(&stage, "touch h");
    stage_put(&stage, 1, orders);
    stage_start(&stage);
    stage_wait_event(&stage, "quarantined", 1, "retry 1 of 2");
    stage_shell(&stage, "rm h");
    stage_wait_serving(&stage, 1);
    stage_put(&stage, 2, "open=abort"); /* its own fault: not tried again */
    stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
    stage_run_for(&stage, 300);
    assert_int_equal(stage_count_events(&stage, "loading", 2), 1);
    assert_int_equal(stage_see(&stage, 2).state, EL_LIFE_QUARANTINED);
    stage_close(&stage);
}

static void whatever_becomes_of_the_base_path_what_serves_goes_on(void **unused)
{
    (void)unused;
    static const char *const fates[] = { "rm -r m/1", "mv m n", "rm -r m", "mv m n && touch m", "mv m n && ln -s m m" };
    for (size_t i = 0; i < sizeof fates / sizeof fates[0]; i++) {
        static struct stage stage;
        stage_open(&stage);
        stage_put(&stage, 1, "");
        stage_start(&stage);
        stage_wait_serving(&stage, 1);
        client_start(&stage, 1);
        client_wait_version(&stage, 1);
        stage_shell(&stage, "%s", fates[i]);
        stage_run_for(&stage, 450); /* two polls */
        client_wait_answers(&stage, 5);
        assert_int_equal(stage_see(&stage, 1).serving, 1);
        stage_shell(&stage, "rm -rf m && mkdir m");
        stage_put(&stage, 2, ""); /* when it is there again it is watched again */
        client_wait_version(&stage, 2);
        client_end_without_failure(&stage);
        stage_close(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worker_of_a_version_that_keeps_state_is_run_by_clients_only),
        cmocka_unit_test(changed_files_that_keep_state_are_probed_apart),
        cmocka_unit_test(a_run_that_never_ends_costs_its_worker_and_then_its_version),
        cmocka_unit_test(a_run_without_a_deadline_has_one_of_the_config),
        cmocka_unit_test(slow_is_not_hanging),
        cmocka_unit_test(what_cannot_be_a_version_is_told),
        cmocka_unit_test(of_a_removed_model_the_status_goes_on_telling),
        cmocka_unit_test(a_version_waits_until_there_is_room_for_it),
        cmocka_unit_test(a_load_that_was_killed_from_outside_is_tried_again),
        cmocka_unit_test(whatever_becomes_of_the_base_path_what_serves_goes_on),
    };
    if (getenv("TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
