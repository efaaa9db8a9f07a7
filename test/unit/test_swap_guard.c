/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of versions that pass their probe and are bad all the same: what live requests show, and what the guard does. */
#include "swap/operate.h"
#include "test_swap_support.h"

#include "base/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIVE "above=4" /* the client's rows; the probe's never add up to so much */

/* Version 1 serves and has answered enough to be compared with; the client goes on. */
static void begin(struct stage *stage, const char *orders, unsigned at_once)
{
    stage_open(stage);
    stage->update.guard_ms = 60000;
    stage->update.guard_max_error_rate = stage->update.guard_max_non_finite_rate = 1e-3;
    stage->update.guard_max_latency_ratio = 5;
    stage->update.guard_max_memory_ratio = 3;
    stage->update.concurrency = 4;
    stage->update.probe.replay_records = 0; /* it would see what only live requests are to show */
    stage->update.max_latency_ratio = -1;   /* whatever the machine is busy with */
    stage_put(stage, 1, orders);
    stage_start(stage);
    stage_wait_serving(stage, 1);
    client_start(stage, at_once);
}

static void expect_rolled_back(struct stage *stage, const char *part)
{
    stage_wait_state(stage, 2, EL_LIFE_QUARANTINED);
    const struct seen seen = stage_see(stage, 2);
    if (strstr(seen.reason, part) == NULL)
        fail_msg("version 2 was taken back for \"%s\"; expected \"%s\" in it", seen.reason, part);
    assert_int_equal(seen.serving, 1);
    assert_int_equal(stage_count_events(stage, "rolled_back", 2), 1);
    assert_int_equal(stage_count_events(stage, "guarded", 2), 0);
}

static int64_t last_good(struct el_journal *journal)
{
    const struct el_journal_model *known = el_journal_model(journal, "m");
    return known != NULL && known->has_good ? known->good_version : -1;
}

static void what_only_live_requests_show_costs_no_request(void **unused)
{
    (void)unused;
    static const struct {
        const char *orders, *part;
    } cases[] = { { "run=abort\n" LIVE, "its process crashed" },
                  { "run=fail\n" LIVE, "answers failed" },
                  { "run=nan\n" LIVE, "held NaN or infinity" } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct stage stage;
        begin(&stage, "", 4);
        client_wait_answers(&stage, 200);
        stage_put(&stage, 2, cases[i].orders);
        expect_rolled_back(&stage, cases[i].part);
        client_wait_answers(&stage, 20);
        stage_run_for(&stage, 250); /* a poll: the same files are not tried again */
        assert_int_equal(stage_count_events(&stage, "loading", 2), 1);
        client_end_without_failure(&stage);
        assert_int_equal(stage_see(&stage, 2).errors, 0);
        stage_close(&stage);
    }
}

static void a_version_that_is_slow_under_load_gives_way(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, "", 8);
    client_wait_answers(&stage, 500);
    stage_put(&stage, 2, "run=slow 100\n" LIVE);
    expect_rolled_back(&stage, "too slow: in ");
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void a_version_that_is_too_slow_for_any_deadline_gives_way(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, "", 8);
    client_wait_answers(&stage, 500);
    client_end_without_failure(&stage);
    stage.patience_ms = 150;
    client_start(&stage, 8);
    stage_put(&stage, 2, "run=slow 2000\n" LIVE);
    expect_rolled_back(&stage, "too slow: in ");
    assert_null(strstr(stage_see(&stage, 2).reason, "and 0 requests were not answered"));
    client_wait_version(&stage, 1);
    client_end(&stage);
    stage_close(&stage);
}

static bool is_guarded(struct stage *stage, int64_t version)
{
    const struct el_view *view = el_view_get(stage->swap);
    const struct el_model_view *model = el_view_model(view, "m", 1);
    bool guarded = false;
    for (size_t i = 0; i < model->version_count; i++)
        guarded = guarded || (model->versions[i].version == version && model->versions[i].guard_until_us > 0);
    el_view_put(stage->swap, view);
    return guarded;
}

static void a_guard_that_was_cut_short_begins_again(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, "", 2);
    client_wait_answers(&stage, 200);
    stage_put(&stage, 2, "reread=1");
    stage_wait_serving(&stage, 2);
    assert_true(is_guarded(&stage, 2));
    struct el_operation back = { .kind = EL_OPERATE_ROLLBACK, .model = "m", .version = -1, .by = "ann", .reason = "" };
    assert_null(el_operate(stage.swap, &back));
    stage_wait_serving(&stage, 1);
    assert_false(is_guarded(&stage, 1)); /* that it answered well is known */
    struct el_operation forth = { .kind = EL_OPERATE_UNPIN, .model = "m", .version = -1, .by = "ann", .reason = "" };
    assert_null(el_operate(stage.swap, &forth));
    stage_wait_serving(&stage, 2);
    assert_true(is_guarded(&stage, 2));
    stage_orders(&stage, 2, "run=fail\nreread=1\n" LIVE);
    stage_wait_event(&stage, "rolled_back", 2, "answers failed");
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void a_good_version_stands_and_is_the_last_good_one_from_then_on(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, "", 2);
    client_wait_version(&stage, 1);
    stage_put(&stage, 2, "");
    stage_wait_serving(&stage, 2);
    stage_run_for(&stage, 300); /* longer than keep_warm_ms */
    assert_int_equal(stage_see(&stage, 1).state, EL_LIFE_WARM);
    stage_put(&stage, 3, ""); /* another comes meanwhile: it is held against version 2, and 1 may go */
    stage_wait_serving(&stage, 3);
    stage_wait_state(&stage, 1, EL_LIFE_END);
    client_wait_answers(&stage, 20);

    stage.update.guard_ms = 500; /* also for the guard that runs */
    struct el_config config;
    struct el_model_config model;
    stage_config(&stage, &config, &model);
    assert_null(el_swap_reconfigure(stage.swap, &config));
    stage_wait_event(&stage, "guarded", 3, "good: of ");
    stage_wait_state(&stage, 2, EL_LIFE_END);
    assert_int_equal(stage_count_events(&stage, "guarded", 2), 0);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void until_then_the_journal_names_the_old_one(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    const struct el_journal_options options = { .uv_loop = &stage.loop, .log = &stage.log };
    assert_null(el_journal_open(&options, &stage.journal));
    stage.options.journal = stage.journal;
    stage.update.guard_ms = 700;
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    stage_wait_event(&stage, "serving", 1, "");
    assert_int_equal(last_good(stage.journal), 1);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "switched", 2, "");
    assert_int_equal(last_good(stage.journal), 1);
    stage_wait_event(&stage, "guarded", 2, "nobody asked it anything");
    assert_int_equal(last_good(stage.journal), 2);
    stage_close(&stage);
}

static void what_neither_version_can_answer_is_not_the_new_ones_fault(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, "run=fail\n" LIVE, 2);
    stage_put(&stage, 2, "run=fail\n" LIVE);
    stage_wait_serving(&stage, 2);
    const uint64_t before = stage_see(&stage, 2).errors;
    while (stage_see(&stage, 2).errors < before + 50)
        stage_run_for(&stage, 5);
    assert_int_equal(stage_see(&stage, 2).serving, 2);
    assert_int_equal(stage_count_events(&stage, "rolled_back", 2), 0);
    client_end(&stage);
    stage_close(&stage);
}

static void with_nothing_to_go_back_to_a_bad_version_stays_and_that_is_told(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, "", 2);
    client_wait_answers(&stage, 200);
    const pid_t old = stage_see(&stage, 1).pid;
    stage_put(&stage, 2, "reread=1");
    stage_wait_serving(&stage, 2);
    assert_int_equal(kill(old, SIGKILL), 0);
    stage_wait_state(&stage, 1, EL_LIFE_END);
    stage_orders(&stage, 2, "run=fail\nreread=1\n" LIVE);
    stage_wait_event(&stage, "guard_helpless", 2, "answers failed");
    assert_int_equal(stage_see(&stage, 2).serving, 2);
    assert_int_equal(stage_count_events(&stage, "guard_helpless", 2), 1);
    client_end(&stage);
    stage_close(&stage);
}

static void a_death_from_outside_is_not_held_against_it(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, "", 2);
    stage_put(&stage, 2, "");
    client_wait_version(&stage, 2);
    assert_int_equal(kill(stage_see(&stage, 2).pid, SIGKILL), 0);
    stage_wait_event(&stage, "respawned", 2, "");
    client_wait_version(&stage, 2);
    assert_int_equal(stage_count_events(&stage, "rolled_back", 2), 0);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_live_requests_show_costs_no_request),
        cmocka_unit_test(a_version_that_is_slow_under_load_gives_way),
        cmocka_unit_test(a_version_that_is_too_slow_for_any_deadline_gives_way),
        cmocka_unit_test(a_guard_that_was_cut_short_begins_again),
        cmocka_unit_test(a_good_version_stands_and_is_the_last_good_one_from_then_on),
        cmocka_unit_test(until_then_the_journal_names_the_old_one),
        cmocka_unit_test(what_neither_version_can_answer_is_not_the_new_ones_fault),
        cmocka_unit_test(with_nothing_to_go_back_to_a_bad_version_stays_and_that_is_told),
        cmocka_unit_test(a_death_from_outside_is_not_held_against_it),
    };
    if (getenv("TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
