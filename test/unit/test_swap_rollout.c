/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of versions that come step by step, and of what else happens meanwhile: with real workers and a client that asks all the time. */
#include "swap/operate.h"
#include "test_swap_support.h"

#include "base/clock.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIVE "above=4" /* the client's rows; the probe's never add up to so much */

/* Version 1 serves and has answered enough to be compared with; the client goes on. */
static void begin(struct stage *stage, unsigned at_once)
{
    stage_open(stage);
    struct el_update_config *update = &stage->update;
    update->rollout = el_rollout_defaults();
    update->rollout.mode = EL_ROLLOUT_CANARY;
    update->rollout.step_count = 2;
    update->rollout.percents[0] = 10;
    update->rollout.percents[1] = 50;
    update->rollout.percents[2] = 0;
    update->rollout.step_requests = 50;
    update->rollout.step_ms = 100;
    update->guard_ms = 300;
    update->guard_max_error_rate = update->guard_max_non_finite_rate = 1e-3;
    update->guard_max_latency_ratio = 5;
    update->guard_max_memory_ratio = 3;
    update->concurrency = 4;
    update->probe.replay_records = 0; /* it would see what only live requests are to show */
    update->max_latency_ratio = -1;   /* whatever the machine is busy with */
    stage_put(stage, 1, "");
    stage_start(stage);
    stage_wait_serving(stage, 1);
    if (at_once > 0)
        client_start(stage, at_once);
    if (at_once > 0)
        client_wait_answers(stage, 200);
}

/* At a step it waits, for so long as nobody says anything. */
static void hold(struct stage *stage)
{
    stage->update.rollout.manual = 1;
}

static struct el_rollout_view look(struct stage *stage)
{
    const struct el_view *view = el_view_get(stage->swap);
    struct el_rollout_view rollout = el_view_model(view, "m", 1)->rollout;
    rollout.text = rollout.header = NULL; /* the view's */
    el_view_put(stage->swap, view);
    return rollout;
}

static void reconfigure(struct stage *stage)
{
    struct el_config config;
    struct el_model_config model;
    stage_config(stage, &config, &model);
    assert_null(el_swap_reconfigure(stage->swap, &config));
}

static struct el_operation operate(struct stage *stage, enum el_operation_kind kind, int64_t version, bool all)
{
    struct el_operation operation = {
        .kind = kind, .model = "m", .version = version, .all = all, .by = "ann", .reason = ""
    };
    struct el_status *status = el_operate(stage->swap, &operation);
    if (status != NULL)
        fail_msg("%s: %s", el_operation_name(kind), el_status_text(status));
    return operation;
}

/* An operation is decided, and ends so; "" for well. */
static void wait_outcome(struct stage *stage, struct el_operation *operation, const char *part)
{
    struct el_status *status = stage_wait_outcome(stage, operation);
    if (strstr(status != NULL ? el_status_text(status) : operation->text, part) == NULL)
        fail_msg("%s came to \"%s\"; expected \"%s\"", el_operation_name(operation->kind),
                 status != NULL ? el_status_text(status) : operation->text, part);
    el_status_free(status);
}

static void a_good_version_comes_step_by_step(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, 4);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "rollout_step", 2, "step 1 of 2, 10 % of the requests");
    assert_int_equal(look(&stage).version, 2);
    assert_int_equal(stage_see(&stage, 2).state, EL_LIFE_SERVING); /* both are there to be asked by their number */
    assert_int_equal(stage_see(&stage, 1).state, EL_LIFE_SERVING);
    assert_int_equal(stage_see(&stage, 1).serving, 1);
    stage_wait_event(&stage, "rollout_step", 2, "step 2 of 2, 50 % of the requests");
    assert_int_equal(stage_count_events(&stage, "switched", 2), 0);
    stage_wait_event(&stage, "switched", 2, "from version 1");
    assert_int_equal(stage_count_events(&stage, "rollout_promoted", 2), 1);
    assert_int_equal(look(&stage).version, -1);
    stage_wait_event(&stage, "guarded", 2, "good: of "); /* as after any switch */
    stage_wait_state(&stage, 1, EL_LIFE_END);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void each_step_leads_its_share(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, 4);
    hold(&stage);
    reconfigure(&stage);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "rollout_paused", 2, "waits for `everlit promote m`");
    const uint64_t before[2] = { stage.client.by_version[1], stage.client.by_version[2] };
    client_wait_answers(&stage, 4000);
    const uint64_t to_new = stage.client.by_version[2] - before[1],
                   all = stage.client.by_version[1] - before[0] + to_new;
    const double share = (double)to_new / (double)all;
    if (share < 0.06 || share > 0.14) /* eight standard deviations */
        fail_msg("version 2 answered %.3g of %llu requests; its step leads 0.1 to it", share, (unsigned long long)all);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void a_bad_version_is_taken_back_at_its_first_step(void **unused)
{
    (void)unused;
    static const struct {
        const char *orders, *part;
    } cases[] = { { "run=abort\n" LIVE, "its process crashed in its rollout" },
                  { "run=fail\n" LIVE, "answers failed" },
                  { "run=nan\n" LIVE, "held NaN or infinity" },
                  { "run=slow 100\n" LIVE, "too slow: in " } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct stage stage;
        begin(&stage, 8);
        stage.update.rollout.step_requests = 100000; /* it is not the end of the step that tells */
        reconfigure(&stage);
        client_wait_answers(&stage, 500);
        stage_put(&stage, 2, cases[i].orders);
        stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
        const struct seen seen = stage_see(&stage, 2);
        if (strstr(seen.reason, cases[i].part) == NULL)
            fail_msg("version 2 was taken back for \"%s\"; expected \"%s\" in it", seen.reason, cases[i].part);
        assert_int_equal(seen.serving, 1);
        assert_int_equal(stage_count_events(&stage, "rolled_back", 2), 1);
        assert_int_equal(stage_count_events(&stage, "rollout_aborted", 2), 1);
        assert_int_equal(stage_count_events(&stage, "switched", 2), 0);
        assert_int_equal(look(&stage).version, -1);
        stage_run_for(&stage, 250); /* a poll: the same files are not tried again */
        assert_int_equal(stage_count_events(&stage, "loading", 2), 1);
        client_end_without_failure(&stage);
        stage_close(&stage);
    }
}

static void shadow(struct stage *stage)
{
    begin(stage, 4);
    stage->update.rollout.mode = EL_ROLLOUT_SHADOW;
    stage->update.rollout.shadow_percent = 50;
    reconfigure(stage);
}

static void in_shadow_nobody_hears_it_until_it_was_compared(void **unused)
{
    (void)unused;
    static struct stage stage;
    shadow(&stage);
    stage.update.rollout.manual = 1;
    stage.update.rollout.min_agreement = 0.9; /* its highest score is where the old one's is, */
    stage.update.rollout.max_drift = 1;       /* and it is off by 0.5 on average: its number is another */
    reconfigure(&stage);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "rollout_step", 2, "shadow, copies of 50 % of the requests");
    stage_wait_event(&stage, "rollout_paused", 2, "good so far");
    assert_int_equal(stage.client.by_version[2], 0);
    assert_int_equal(stage_see(&stage, 2).requests, 0);
    struct el_operation promote = operate(&stage, EL_OPERATE_PROMOTE, 2, false);
    wait_outcome(&stage, &promote, "version 2 of m answers everybody");
    client_wait_version(&stage, 2);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void in_shadow_a_bad_version_is_taken_back_unheard(void **unused)
{
    (void)unused;
    static const struct {
        const char *orders, *part;
        double min_agreement, max_drift;
    } cases[] = { { "run=abort\n" LIVE, "its process crashed in its rollout", -1, -1 },
                  { "run=fail\n" LIVE, "answers failed", -1, -1 },
                  { "run=nan\n" LIVE, "held NaN or infinity", -1, -1 },
                  { "run=slow 100\n" LIVE, "too slow: in ", -1, -1 },
                  { "", "have their highest score elsewhere", 0.9, -1 },
                  { "", "differ from version 1's to the same by more than 0.1", -1, 0.1 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct stage stage;
        shadow(&stage);
        stage.update.rollout.step_requests = 100000;
        stage.update.rollout.min_agreement = cases[i].min_agreement;
        stage.update.rollout.max_drift = cases[i].max_drift;
        reconfigure(&stage);
        const int64_t number = cases[i].min_agreement > 0 ? 1000
                                                          : 2; /* it answers with it, and that is the highest score */
        stage_put(&stage, number, cases[i].orders);
        stage_wait_state(&stage, number, EL_LIFE_QUARANTINED);
        const struct seen seen = stage_see(&stage, number);
        if (strstr(seen.reason, cases[i].part) == NULL)
            fail_msg("version 2 was taken back for \"%s\"; expected \"%s\" in it", seen.reason, cases[i].part);
        assert_int_equal(seen.serving, 1);
        assert_int_equal(seen.requests, 0);
        client_wait_answers(&stage, 20);
        client_end_without_failure(&stage);
        assert_int_equal(stage.client.by_version[2], 0);
        stage_close(&stage);
    }
}

static void too_little_traffic_pauses_it_and_more_goes_on(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, 0);
    stage.update.rollout.patience_ms = 150;
    reconfigure(&stage);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "rollout_paused", 2,
                     "too little traffic to measure it, 0 and 0 (version 1) of 50 answers");
    assert_int_equal(look(&stage).waits, EL_ROLLOUT_PAUSED);
    assert_int_equal(stage_see(&stage, 2).serving, 1);
    assert_int_equal(stage_count_events(&stage, "rollout_paused", 2), 1);
    client_start(&stage, 4);
    stage_wait_event(&stage, "rollout_promoted", 2, "it was good at every step");
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void by_hand_it_goes_on_only_with_a_word(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, 4);
    hold(&stage);
    reconfigure(&stage);
    struct el_operation none = operate(&stage, EL_OPERATE_PROMOTE, EL_OPERATE_NO_VERSION, false);
    assert_false(none.changed);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "rollout_paused", 2, "step 1 of 2");
    stage_run_for(&stage, 300);
    assert_int_equal(look(&stage).step, 1);

    struct el_operation promote = operate(&stage, EL_OPERATE_PROMOTE, EL_OPERATE_NO_VERSION, false);
    assert_true(promote.changed);
    struct el_operation again = operate(&stage, EL_OPERATE_PROMOTE, EL_OPERATE_NO_VERSION, false);
    assert_false(again.changed); /* it is measured now: a second word does not skip a step */
    assert_int_equal(look(&stage).version, 2);
    wait_outcome(&stage, &promote, "step 2 of 2, 50 % of the requests: good so far");
    promote = operate(&stage, EL_OPERATE_PROMOTE, 2, false);
    wait_outcome(&stage, &promote, "version 2 of m answers everybody");
    assert_int_equal(stage_see(&stage, 2).serving, 2);
    assert_false(operate(&stage, EL_OPERATE_PROMOTE, 2, true).changed);
    stage_wait_event(&stage, "guarded", 2, "");

    stage_put(&stage, 3, "");
    stage_wait_event(&stage, "rollout_step", 3, "step 1 of 2");
    struct el_operation abort_ = operate(&stage, EL_OPERATE_ABORT, EL_OPERATE_NO_VERSION, false);
    wait_outcome(&stage, &abort_, "the rollout of version 3 of m ends, version 2 answers everybody");
    stage_wait_state(&stage, 3, EL_LIFE_QUARANTINED);
    stage_wait_event(&stage, "rollout_aborted", 3, "");
    assert_false(operate(&stage, EL_OPERATE_ABORT, 3, false).changed);
    assert_int_equal(stage_see(&stage, 3).serving, 2);

    operate(&stage, EL_OPERATE_FORGIVE, 3, false);
    while (look(&stage).version != 3)
        stage_run_for(&stage, 5);
    struct el_operation all = operate(&stage, EL_OPERATE_PROMOTE, EL_OPERATE_NO_VERSION, true);
    wait_outcome(&stage, &all, "version 3 of m answers everybody");
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void a_newer_version_takes_its_place(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, 4);
    hold(&stage);
    reconfigure(&stage);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "rollout_step", 2, "step 1 of 2");
    stage_put(&stage, 3, "");
    stage_wait_event(&stage, "rollout_aborted", 2, "a newer version is ready");
    stage_wait_event(&stage, "rollout_step", 3, "beside version 1");
    assert_int_equal(stage_see(&stage, 3).serving, 1);
    stage_wait_state(&stage, 2, EL_LIFE_END);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void an_operators_word_comes_before_it(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, 4);
    hold(&stage);
    reconfigure(&stage);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "rollout_step", 2, "step 1 of 2");
    struct el_operation back = operate(&stage, EL_OPERATE_ROLLBACK, EL_OPERATE_NO_VERSION, false);
    assert_int_equal(back.to, 1); /* not behind the version that is still there */
    wait_outcome(&stage, &back, "");
    stage_wait_event(&stage, "rollout_aborted", 2, "the model is pinned to another version");
    assert_int_equal(look(&stage).version, -1);
    operate(&stage, EL_OPERATE_UNPIN, EL_OPERATE_NO_VERSION, false);
    while (look(&stage).version != 2)
        stage_run_for(&stage, 5);
    operate(&stage, EL_OPERATE_QUARANTINE, 2, false);
    stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
    operate(&stage, EL_OPERATE_FORGIVE, 2, false);
    while (look(&stage).version != 2)
        stage_run_for(&stage, 5);
    struct el_operation pin = operate(&stage, EL_OPERATE_PIN, 2, false);
    wait_outcome(&stage, &pin, "");
    stage_wait_event(&stage, "rollout_promoted", 2, "the model is pinned to it");
    assert_int_equal(stage_see(&stage, 2).serving, 2);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void deaths_from_outside_end_nothing(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, 4);
    hold(&stage);
    reconfigure(&stage);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "rollout_step", 2, "step 1 of 2");
    assert_int_equal(kill(stage_see(&stage, 2).pid, SIGKILL), 0);
    stage_wait_event(&stage, "respawned", 2, "");
    assert_int_equal(kill(stage_see(&stage, 1).pid, SIGKILL), 0);
    stage_wait_event(&stage, "respawned", 1, "");
    client_wait_answers(&stage, 50);
    assert_int_equal(look(&stage).version, 2);
    assert_int_equal(stage_count_events(&stage, "rollout_aborted", 2), 0);
    stage_remove(&stage, 2);
    stage_wait_event(&stage, "rollout_aborted", 2, "its directory is gone");
    stage_wait_state(&stage, 2, EL_LIFE_END);
    assert_int_equal(stage_see(&stage, 1).serving, 1);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void another_config_begins_it_anew_or_ends_it(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, 4);
    hold(&stage);
    reconfigure(&stage);
    stage_put(&stage, 2, "");
    stage_wait_event(&stage, "rollout_step", 2, "step 1 of 2, 10 %");
    stage.update.rollout.percents[0] = 20;
    reconfigure(&stage);
    stage_wait_event(&stage, "rollout_step", 2, "step 1 of 2, 20 %");
    reconfigure(&stage); /* the same: it goes on */
    stage_run_for(&stage, 50);
    assert_int_equal(stage_count_events(&stage, "rollout_step", 2), 2);
    stage.update.rollout.mode = EL_ROLLOUT_ALL_AT_ONCE;
    reconfigure(&stage);
    stage_wait_event(&stage, "rollout_promoted", 2, "by the new config there is no rollout");
    assert_int_equal(stage_see(&stage, 2).serving, 2);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void after_a_restart_it_begins_anew_with_the_old_version(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, 0);
    hold(&stage);
    stage_end_swap(&stage);
    const struct el_journal_options options = { .uv_loop = &stage.loop, .log = &stage.log };
    assert_null(el_journal_open(&options, &stage.options.journal));
    for (int starts = 0; starts < 2; starts++) {
        stage_start(&stage);
        stage_wait_event(&stage, "serving", 1, ""); /* the second time although version 2 is there, too */
        if (starts == 0)
            stage_put(&stage, 2, "");
        stage_wait_event(&stage, "rollout_step", 2, "step 1 of 2");
        assert_int_equal(stage_see(&stage, 2).serving, 1);
        stage_end_swap(&stage);
    }
    el_journal_close(stage.options.journal);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_version_comes_step_by_step),
        cmocka_unit_test(each_step_leads_its_share),
        cmocka_unit_test(a_bad_version_is_taken_back_at_its_first_step),
        cmocka_unit_test(in_shadow_nobody_hears_it_until_it_was_compared),
        cmocka_unit_test(in_shadow_a_bad_version_is_taken_back_unheard),
        cmocka_unit_test(too_little_traffic_pauses_it_and_more_goes_on),
        cmocka_unit_test(by_hand_it_goes_on_only_with_a_word),
        cmocka_unit_test(a_newer_version_takes_its_place),
        cmocka_unit_test(an_operators_word_comes_before_it),
        cmocka_unit_test(deaths_from_outside_end_nothing),
        cmocka_unit_test(another_config_begins_it_anew_or_ends_it),
        cmocka_unit_test(after_a_restart_it_begins_anew_with_the_old_version),
    };
    if (getenv("TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
