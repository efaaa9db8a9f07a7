/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator does by hand: with real workers, a client that asks all the time, and a journal on the disk where it has to last. */
#include "swap/operate.h"
#include "test_swap_support.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

struct done {
    struct el_operation operation;
    enum el_code code;
    char error[512];
};

static struct done operate(struct stage *stage, enum el_operation_kind kind, int64_t version, const char *reason)
{
    struct done done = {
        .operation = { .kind = kind, .model = "m", .version = version, .by = "ann", .reason = reason },
    };
    struct el_status *status = el_operate(stage->swap, &done.operation);
    done.code = el_status_code(status);
    snprintf(done.error, sizeof done.error, "%s", el_status_text(status));
    el_status_free(status);
    return done;
}

/* The same, and waits for what comes of it. */
static struct done operate_and_wait(struct stage *stage, enum el_operation_kind kind, int64_t version)
{
    struct done done = operate(stage, kind, version, "");
    if (done.code != EL_OK)
        fail_msg("%s of version %lld: %s", el_operation_name(kind), (long long)version, done.error);
    struct el_status *status = stage_wait_outcome(stage, &done.operation);
    done.code = el_status_code(status);
    snprintf(done.error, sizeof done.error, "%s", el_status_text(status));
    el_status_free(status);
    return done;
}

/* Versions 1 and 2, of which 2 serves and 1 is warm. */
static void start_with_two(struct stage *stage)
{
    stage_open(stage);
    stage->update.keep_warm_ms = 600000;
    stage_put(stage, 1, "");
    stage_start(stage);
    stage_wait_serving(stage, 1);
    stage_put(stage, 2, "");
    stage_wait_serving(stage, 2);
}

static void test_rollback_to_a_warm_version_stays(void **state)
{
    (void)state;
    struct stage stage;
    start_with_two(&stage);
    client_start(&stage, 4);
    client_wait_version(&stage, 2);
    struct done done = operate_and_wait(&stage, EL_OPERATE_ROLLBACK, EL_OPERATE_NO_VERSION);
    assert_int_equal(done.code, EL_OK);
    assert_true(done.operation.changed && done.operation.soon);
    assert_int_equal(done.operation.from, 2);
    assert_int_equal(done.operation.to, 1);
    assert_non_null(strstr(done.operation.text, "everlit unpin m"));
    client_wait_version(&stage, 1);
    assert_int_equal(stage_count_events(&stage, "loading", 1), 1); /* it was only led there */

    done = operate_and_wait(&stage, EL_OPERATE_ROLLBACK, 1);
    assert_false(done.operation.changed);
    assert_non_null(strstr(done.operation.text, "already, by ann: rolled back by ann"));
    stage_put(&stage, 3, ""); /* a newer one changes nothing */
    stage_run_for(&stage, 300);
    assert_int_equal(stage_see(&stage, 3).serving, 1);

    done = operate_and_wait(&stage, EL_OPERATE_UNPIN, EL_OPERATE_NO_VERSION);
    assert_int_equal(done.operation.to, 3);
    client_wait_version(&stage, 3);
    assert_false(operate(&stage, EL_OPERATE_UNPIN, EL_OPERATE_NO_VERSION, "").operation.changed);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void test_rollback_loads_what_is_not_warm(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    stage_put(&stage, 1, "");
    stage_put(&stage, 2, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 2);
    client_start(&stage, 2);
    struct done first = operate(&stage, EL_OPERATE_ROLLBACK, EL_OPERATE_NO_VERSION, "slow answers");
    assert_int_equal(first.code, EL_OK);
    assert_false(first.operation.soon);
    struct done second = operate_and_wait(&stage, EL_OPERATE_ROLLBACK, EL_OPERATE_NO_VERSION);
    assert_false(second.operation.changed); /* it is on its way to 1, and goes no further */
    assert_int_equal(second.operation.to, 1);
    client_wait_version(&stage, 1);
    struct done third = operate(&stage, EL_OPERATE_ROLLBACK, EL_OPERATE_NO_VERSION, "");
    assert_int_equal(third.code, EL_FAILED_PRECONDITION);
    assert_non_null(strstr(third.error, "no older version"));
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void test_what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct stage stage;
    start_with_two(&stage);
    stage_put(&stage, 3, "open=fail");
    stage_wait_state(&stage, 3, EL_LIFE_QUARANTINED);
    struct done done = operate(&stage, EL_OPERATE_PIN, 9, "");
    assert_int_equal(done.code, EL_NOT_FOUND);
    assert_non_null(strstr(done.error, "3, 2, 1"));
    done = operate(&stage, EL_OPERATE_PIN, 3, "");
    assert_int_equal(done.code, EL_FAILED_PRECONDITION);
    assert_non_null(strstr(done.error, "told to fail when it opens"));
    done = operate(&stage, EL_OPERATE_RETRY, 3, "");
    assert_int_equal(done.code, EL_FAILED_PRECONDITION);
    assert_non_null(strstr(done.error, "everlit forgive m 3"));
    assert_int_equal(operate(&stage, EL_OPERATE_PIN, 2, "").code, EL_OK);
    assert_int_equal(operate(&stage, EL_OPERATE_UNLOAD, 2, "").code, EL_FAILED_PRECONDITION);
    assert_int_equal(operate(&stage, EL_OPERATE_QUARANTINE, 2, "").code, EL_FAILED_PRECONDITION);
    struct el_operation other = { .kind = EL_OPERATE_PIN, .model = "x", .version = 1, .by = "ann", .reason = "" };
    struct el_status *status = el_operate(stage.swap, &other);
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    el_status_free(status);
    stage_close(&stage);
}

static void test_quarantine_by_hand_and_forgiving(void **state)
{
    (void)state;
    struct stage stage;
    start_with_two(&stage);
    client_start(&stage, 4);
    client_wait_version(&stage, 2);
    struct done done = operate_and_wait(&stage, EL_OPERATE_QUARANTINE, 2);
    assert_int_equal(done.code, EL_OK);
    assert_int_equal(stage_see(&stage, 2).serving, 1);
    assert_int_equal(stage_see(&stage, 2).state, EL_LIFE_QUARANTINED);
    assert_non_null(strstr(stage_see(&stage, 2).reason, "ann quarantined it"));
    assert_false(operate(&stage, EL_OPERATE_QUARANTINE, 2, "").operation.changed);
    stage_shell(&stage, "cp -r m/2 .copy && mv .copy m/7"); /* the same bytes under another number */
    stage_wait_state(&stage, 7, EL_LIFE_QUARANTINED);
    assert_int_equal(operate(&stage, EL_OPERATE_QUARANTINE, 1, "").code, EL_FAILED_PRECONDITION); /* the last one */
    done = operate_and_wait(&stage, EL_OPERATE_FORGIVE, 2);
    assert_int_equal(done.code, EL_OK);
    client_wait_version(&stage, 2);
    assert_false(operate(&stage, EL_OPERATE_FORGIVE, 2, "").operation.changed);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void test_forgiving_what_is_still_bad_says_so(void **state)
{
    (void)state;
    struct stage stage;
    start_with_two(&stage);
    stage_put(&stage, 3, "open=fail");
    stage_wait_state(&stage, 3, EL_LIFE_QUARANTINED);
    struct done done = operate_and_wait(&stage, EL_OPERATE_FORGIVE, 3);
    assert_int_equal(done.code, EL_FAILED_PRECONDITION);
    assert_non_null(strstr(done.error, "told to fail when it opens; version 2 goes on answering"));
    stage_close(&stage);
}

static void test_load_and_unload_beside_the_policy(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    stage.update.keep_warm_ms = 600000;
    stage_put(&stage, 1, "");
    stage_put(&stage, 2, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 2);
    client_start(&stage, 2);
    assert_int_equal(operate_and_wait(&stage, EL_OPERATE_LOAD, 1).code, EL_OK);
    assert_int_equal(stage_see(&stage, 1).state, EL_LIFE_SERVING);
    assert_int_equal(stage_see(&stage, 1).serving, 2); /* requests go to the highest, as ever */
    assert_false(operate(&stage, EL_OPERATE_LOAD, 1, "").operation.changed);
    assert_int_equal(operate_and_wait(&stage, EL_OPERATE_UNLOAD, 2).code, EL_OK); /* the policy goes to the next */
    assert_int_equal(stage_see(&stage, 1).serving, 1);
    assert_int_equal(operate(&stage, EL_OPERATE_UNLOAD, 1, "").code, EL_FAILED_PRECONDITION);
    assert_int_equal(operate_and_wait(&stage, EL_OPERATE_LOAD, 2).code, EL_OK);
    stage_wait_serving(&stage, 2);
    assert_int_equal(operate_and_wait(&stage, EL_OPERATE_UNLOAD, 1).code, EL_OK);
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void test_a_pin_lasts_through_a_restart_and_the_loss_of_its_version(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    char directory[96];
    snprintf(directory, sizeof directory, "%s/state", stage.dir);
    stage_shell(&stage, "mkdir state");
    stage_put(&stage, 1, "");
    stage_put(&stage, 2, "");
    const struct el_journal_options options = { .uv_loop = &stage.loop, .log = &stage.log, .directory = directory };
    assert_null(el_journal_open(&options, &stage.options.journal));
    stage_start(&stage);
    stage_wait_serving(&stage, 2);
    assert_int_equal(operate_and_wait(&stage, EL_OPERATE_PIN, 1).code, EL_OK);
    stage_remove(&stage, 1); /* what is loaded stays */
    stage_run_for(&stage, 300);
    assert_int_equal(stage_see(&stage, 1).serving, 1);
    stage_put(&stage, 1, "");
    stage_end_swap(&stage);
    el_journal_close(stage.options.journal);

    assert_null(el_journal_open(&options, &stage.options.journal));
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    assert_int_equal(stage_count_events(&stage, "loading", 2), 0);
    stage_end_swap(&stage);
    el_journal_close(stage.options.journal);

    stage_remove(&stage, 1);
    assert_null(el_journal_open(&options, &stage.options.journal));
    stage_start(&stage);
    stage_wait_serving(&stage, 2);
    stage_wait_event(&stage, "pin_unmet", -1, "which is not on disk");
    stage_run_for(&stage, 300);
    assert_int_equal(stage_count_events(&stage, "pin_unmet", -1), 1);
    stage_put(&stage, 1, ""); /* and it comes back */
    stage_wait_serving(&stage, 1);
    struct el_journal *journal = stage.options.journal;
    stage_end_swap(&stage);
    el_journal_close(journal);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rollback_to_a_warm_version_stays),
        cmocka_unit_test(test_rollback_loads_what_is_not_warm),
        cmocka_unit_test(test_what_cannot_be_is_refused),
        cmocka_unit_test(test_quarantine_by_hand_and_forgiving),
        cmocka_unit_test(test_forgiving_what_is_still_bad_says_so),
        cmocka_unit_test(test_load_and_unload_beside_the_policy),
        cmocka_unit_test(test_a_pin_lasts_through_a_restart_and_the_loss_of_its_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
