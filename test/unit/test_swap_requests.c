/* SPDX-License-Identifier: Apache-2.0 */
/* Requests one at a time: which version they get, and what they hear when there is none that can answer. */
#include "test_swap_support.h"

#include "base/clock.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The swap thread's loop is the event loop, too: everything happens on this thread. */
struct counter {
    struct stage stage;
    struct el_completions *completions;
    struct el_swap_loop *loop;
    unsigned closed;
};

struct order {
    struct el_request request; /* first */
    bool done;
    enum el_code code;
    char text[256];
    int64_t version;
    float answer[2];
};

static struct counter counter;

static void open_counter(const char *orders)
{
    stage_open(&counter.stage);
    stage_put(&counter.stage, 1, orders);
}

static void start_counter(void)
{
    stage_start(&counter.stage);
    assert_null(el_completions_new(counter.stage.workers, 0, &counter.stage.loop, &counter.completions));
    assert_null(el_swap_attach_loop(counter.stage.swap, counter.completions, &counter.stage.loop, &counter.loop));
    stage_wait_serving(&counter.stage, 1);
}

static void on_completions_closed(void *argument)
{
    (void)argument;
    counter.closed++;
}

static void on_detached(void *argument)
{
    el_completions_close(counter.completions, on_completions_closed, argument);
}

static void close_counter(void)
{
    counter.closed = 0;
    el_swap_detach_loop(counter.loop, on_detached, NULL);
    while (counter.closed == 0)
        stage_run_for(&counter.stage, 5);
    stage_close(&counter.stage);
}

static struct el_status *fill(struct el_request *request, struct el_call *call, const struct el_signature *signature,
                              uint32_t *outputs, uint32_t *output_count)
{
    (void)request;
    (void)signature;
    static const float row[] = { 1, 2, 3, 4 };
    return stage_fill_row(call, row, outputs, output_count);
}

static struct el_status *fill_badly(struct el_request *request, struct el_call *call,
                                    const struct el_signature *signature, uint32_t *outputs, uint32_t *output_count)
{
    (void)request;
    (void)call;
    (void)signature;
    (void)outputs;
    (void)output_count;
    return el_status_new(EL_INVALID_ARGUMENT, "tensor parsing error: input");
}

static void done(struct el_request *request, const struct el_status *status)
{
    struct order *order = (struct order *)(void *)request;
    assert_false(order->done); /* exactly once */
    order->done = true;
    order->code = el_status_code(status);
    snprintf(order->text, sizeof order->text, "%s", el_status_text(status));
    order->version = request->served_version;
    const struct el_tensor *outputs;
    if (status == NULL && el_call_outputs(request->call, &outputs) == 1 && outputs[0].size == sizeof order->answer)
        memcpy(order->answer, outputs[0].data, sizeof order->answer);
    el_request_end(request);
}

static void start(struct order *order, const char *model)
{
    memset(order, 0, sizeof *order);
    order->request = (struct el_request){ .loop = counter.loop,
                                          .model = model,
                                          .model_size = strlen(model),
                                          .deadline_ns = EL_NEVER_NS,
                                          .fill = fill,
                                          .done = done };
}

static void finish(struct order *order)
{
    uint64_t end = el_now_ns() + SLOWNESS * 20 * EL_NS_PER_S;
    while (!order->done && el_now_ns() < end)
        stage_run_for(&counter.stage, 2);
    assert_true(order->done);
}

static void expect(struct order *order, enum el_code code, const char *text)
{
    el_request_start(&order->request);
    finish(order);
    if (order->code != code || strcmp(order->text, text) != 0)
        fail_msg("%s \"%s\" instead of %s \"%s\"", el_code_name(order->code), order->text, el_code_name(code), text);
}

static void the_model_spec_is_read_as_tensorflow_serving_reads_it(void **unused)
{
    (void)unused;
    open_counter("");
    static char stable[] = "stable", gone[] = "gone";
    struct el_version_label labels[] = { { .label = stable, .version = 1 }, { .label = gone, .version = 9 } };
    struct el_config config;
    struct el_model_config model;
    stage_config(&counter.stage, &config, &model);
    model.labels = labels;
    model.label_count = 2;
    counter.stage.options.config = &config;
    start_counter();

    struct order order;
    start(&order, "");
    expect(&order, EL_INVALID_ARGUMENT, "ModelSpec has no name specified.");
    start(&order, "other");
    expect(&order, EL_NOT_FOUND, "Servable not found for request: Latest(other)");
    start(&order, "mm"); /* a name that another one begins */
    expect(&order, EL_NOT_FOUND, "Servable not found for request: Latest(mm)");
    assert_int_equal(el_swap_refused(counter.stage.swap), 3);

    start(&order, "m");
    expect(&order, EL_OK, "");
    assert_int_equal(order.version, 1);
    assert_true(order.answer[0] == 10 && order.answer[1] == 1);

    start(&order, "m");
    order.request.has_version = true;
    order.request.version = 1;
    expect(&order, EL_OK, "");
    start(&order, "m");
    order.request.has_version = true;
    order.request.version = 0;
    expect(&order, EL_NOT_FOUND, "Servable not found for request: Specific(m, 0)");

    start(&order, "m");
    order.request.label = "stable";
    order.request.label_size = 6;
    expect(&order, EL_OK, "");
    start(&order, "m");
    order.request.label = "gone";
    order.request.label_size = 4;
    expect(&order, EL_NOT_FOUND, "Servable not found for request: Specific(m, 9)");
    start(&order, "m");
    order.request.label = "stab";
    order.request.label_size = 4;
    expect(&order, EL_INVALID_ARGUMENT, "Unrecognized servable version label: stab");

    start(&order, "m");
    order.request.signature_name = "nope";
    order.request.signature_name_size = 4;
    expect(&order, EL_FAILED_PRECONDITION, "Serving signature key \"nope\" not found.");
    start(&order, "m");
    order.request.fill = fill_badly;
    expect(&order, EL_INVALID_ARGUMENT, "tensor parsing error: input");

    struct seen seen = stage_see(&counter.stage, 1);
    assert_int_equal(seen.requests, 4); /* what was led to version 1 */
    assert_int_equal(seen.errors, 0);   /* bad requests are not its errors */
    close_counter();
}

static void expect_by_label(const char *label, int64_t version)
{
    struct order order;
    start(&order, "m");
    order.request.label = label;
    order.request.label_size = strlen(label);
    expect(&order, EL_OK, "");
    assert_int_equal(order.version, version);
}

static void put_in_force(int64_t wanted, struct el_version_label *label)
{
    struct el_config config;
    struct el_model_config model;
    stage_config(&counter.stage, &config, &model);
    model.policy = (struct el_version_policy){ .type = EL_POLICY_SPECIFIC, .versions = &wanted, .version_count = 1 };
    model.labels = label;
    model.label_count = 1;
    assert_null(el_swap_reconfigure(counter.stage.swap, &config));
    stage_run_for(&counter.stage, 1); /* published before the loop sleeps */
}

static void a_label_leads_to_its_former_version_until_its_new_one_serves(void **unused)
{
    (void)unused;
    open_counter("");
    counter.stage.policy.type = EL_POLICY_SPECIFIC;
    int64_t only = 1;
    counter.stage.policy.versions = &only;
    counter.stage.policy.version_count = 1;
    stage_put(&counter.stage, 2, "open=slow 300");
    stage_put(&counter.stage, 3, "run=fail");
    start_counter();
    static char live[] = "live";
    struct el_version_label label = { .label = live, .version = 1 };
    put_in_force(1, &label);
    expect_by_label(live, 1);

    label.version = 2;
    put_in_force(2, &label);
    put_in_force(2, &label); /* the same once more changes nothing */
    while (stage_see(&counter.stage, 2).state != EL_LIFE_SERVING)
        expect_by_label(live, stage_see(&counter.stage, 2).state == EL_LIFE_SERVING ? 2 : 1);
    expect_by_label(live, 2);
    stage_wait_event(&counter.stage, "retired", 1, ""); /* the policy takes it once nothing leads to it */

    label.version = 3; /* a bad version: the label stays, and with it the version that it leads to */
    put_in_force(3, &label);
    stage_wait_state(&counter.stage, 3, EL_LIFE_QUARANTINED);
    stage_put(&counter.stage, 5, "");
    expect_by_label(live, 2);
    label.version = 3;
    put_in_force(5, &label);
    stage_wait_serving(&counter.stage, 5);
    expect_by_label(live, 2);
    assert_int_equal(stage_see(&counter.stage, 2).state, EL_LIFE_SERVING);
    label.version = 5;
    put_in_force(5, &label);
    stage_wait_event(&counter.stage, "retired", 2, "");
    expect_by_label(live, 5);
    close_counter();
}

static void every_version_of_a_policy_is_reached_by_its_number(void **unused)
{
    (void)unused;
    open_counter("");
    counter.stage.policy.type = EL_POLICY_ALL;
    stage_put(&counter.stage, 2, "");
    stage_put(&counter.stage, 5, "");
    stage_start(&counter.stage);
    assert_null(el_completions_new(counter.stage.workers, 0, &counter.stage.loop, &counter.completions));
    assert_null(el_swap_attach_loop(counter.stage.swap, counter.completions, &counter.stage.loop, &counter.loop));
    static const int64_t numbers[] = { 1, 2, 5 };
    for (int i = 0; i < 3; i++)
        stage_wait_state(&counter.stage, numbers[i], EL_LIFE_SERVING);
    struct order order;
    for (int i = 0; i < 3; i++) {
        start(&order, "m");
        order.request.has_version = true;
        order.request.version = numbers[i];
        expect(&order, EL_OK, "");
        assert_int_equal(order.version, numbers[i]);
        assert_true(order.answer[1] == (float)numbers[i]);
    }
    start(&order, "m");
    expect(&order, EL_OK, "");
    assert_int_equal(order.version, 5);
    close_counter();
}

static void a_request_can_be_cancelled_while_it_runs(void **unused)
{
    (void)unused;
    open_counter("run=slow 300");
    start_counter();
    struct order order;
    start(&order, "m");
    el_request_start(&order.request);
    stage_run_for(&counter.stage, 50);
    assert_false(order.done);
    el_request_cancel(&order.request);
    finish(&order);
    assert_int_equal(order.code, EL_CANCELLED);
    close_counter();
}

/* The worker dies by that signal; the next one takes open_ms to load. */
static void end_worker(int64_t version, int number, uint64_t deaths)
{
    assert_int_equal(kill(stage_see(&counter.stage, version).pid, number), 0);
    while (stage_see(&counter.stage, version).deaths < deaths)
        stage_run_for(&counter.stage, 2);
}

static void kill_worker(int64_t version, uint64_t deaths)
{
    end_worker(version, SIGKILL, deaths);
}

static void without_a_worker_a_request_waits_until_its_deadline(void **unused)
{
    (void)unused;
    open_counter("open=slow 1000");
    start_counter();
    kill_worker(1, 1);

    struct order late, cancelled, patient;
    start(&late, "m");
    late.request.deadline_ns = el_now_ns() + 50 * EL_NS_PER_MS;
    start(&cancelled, "m");
    start(&patient, "m");
    el_request_start(&late.request);
    el_request_start(&cancelled.request);
    el_request_start(&patient.request);
    el_request_cancel(&cancelled.request);
    assert_true(cancelled.done);
    assert_int_equal(cancelled.code, EL_CANCELLED);
    finish(&late);
    assert_int_equal(late.code, EL_DEADLINE_EXCEEDED);
    assert_false(patient.done);
    finish(&patient);
    assert_int_equal(patient.code, EL_OK);
    close_counter();
}

static void so_many_wait_and_no_more(void **unused)
{
    (void)unused;
    open_counter("open=slow 500");
    start_counter();
    kill_worker(1, 1);
    enum { MANY = 600, SEATS = 512 };
    static struct order orders[MANY];
    unsigned refused = 0;
    for (int i = 0; i < MANY; i++) {
        start(&orders[i], "m");
        el_request_start(&orders[i].request);
        if (orders[i].done) {
            assert_int_equal(orders[i].code, EL_RESOURCE_EXHAUSTED);
            refused++;
        }
    }
    assert_int_equal(refused, MANY - SEATS);
    unsigned answered = 0;
    for (int i = 0; i < MANY; i++) {
        finish(&orders[i]);
        answered += orders[i].code == EL_OK;
        assert_true(orders[i].code == EL_OK || orders[i].code == EL_RESOURCE_EXHAUSTED);
    }
    assert_int_equal(answered, SEATS);
    close_counter();
}

static void start_and_wait_until_it_runs(struct order *order)
{
    start(order, "m");
    el_request_start(&order->request);
    stage_run_for(&counter.stage, 50);
}

static void a_request_whose_workers_crash_is_replayed_once(void **unused)
{
    (void)unused;
    open_counter("run=slow 600");
    start_counter();
    struct order order;
    start_and_wait_until_it_runs(&order);
    end_worker(1, SIGABRT, 1);
    stage_wait_event(&counter.stage, "respawned", 1, "try 1");
    assert_false(order.done);
    assert_int_equal(stage_see(&counter.stage, 1).replayed, 1);
    stage_run_for(&counter.stage, 50);
    end_worker(1, SIGABRT, 2);
    finish(&order);
    assert_int_equal(order.code, EL_UNAVAILABLE);
    assert_int_equal(stage_see(&counter.stage, 1).replayed, 1);
    close_counter();
}

static void a_request_whose_workers_are_killed_from_outside_is_answered(void **unused)
{
    (void)unused;
    open_counter("run=slow 600");
    start_counter();
    struct order order;
    start_and_wait_until_it_runs(&order);
    for (unsigned deaths = 1; deaths <= 3; deaths++) {
        char respawned[16];
        snprintf(respawned, sizeof respawned, "try %u", deaths);
        kill_worker(1, deaths);
        stage_wait_event(&counter.stage, "respawned", 1, respawned);
        assert_false(order.done);
        assert_int_equal(stage_see(&counter.stage, 1).replayed, deaths);
        stage_run_for(&counter.stage, 50);
    }
    finish(&order);
    assert_int_equal(order.code, EL_OK);
    close_counter();
}

static void without_isolation_it_is_the_same(void **unused)
{
    (void)unused;
    static char none[] = "none";
    open_counter("");
    counter.stage.update.isolation = none;
    start_counter();
    assert_int_equal(stage_see(&counter.stage, 1).pid, 0);
    struct order order;
    start(&order, "m");
    expect(&order, EL_OK, "");
    stage_put(&counter.stage, 2, "run=nan");
    stage_wait_state(&counter.stage, 2, EL_LIFE_QUARANTINED);
    stage_put(&counter.stage, 3, "");
    stage_wait_serving(&counter.stage, 3);
    start(&order, "m");
    expect(&order, EL_OK, "");
    assert_int_equal(order.version, 3);
    stage_wait_state(&counter.stage, 1, EL_LIFE_END);
    close_counter();
}

static void count_settled(struct stage *stage, bool expected)
{
    for (int i = 0; i < 400 && stage->settled != expected; i++)
        stage_run_for(stage, 5);
    assert_int_equal(stage->settled, expected);
}

static void settled_means_answering_or_out_of_hope(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage); /* nothing there */
    stage_start(&stage);
    count_settled(&stage, true);
    stage_close(&stage);

    stage_open(&stage);
    stage_put(&stage, 1, "open=slow 200");
    stage_start(&stage);
    stage_run_for(&stage, 100);
    assert_false(stage.settled);
    count_settled(&stage, true);
    assert_int_equal(stage_see(&stage, 1).state, EL_LIFE_SERVING);
    stage_close(&stage);

    stage_open(&stage);
    stage_put(&stage, 1, "open=fail");
    stage_start(&stage);
    count_settled(&stage, true);
    assert_int_equal(stage_see(&stage, 1).state, EL_LIFE_QUARANTINED);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_spec_is_read_as_tensorflow_serving_reads_it),
        cmocka_unit_test(a_label_leads_to_its_former_version_until_its_new_one_serves),
        cmocka_unit_test(every_version_of_a_policy_is_reached_by_its_number),
        cmocka_unit_test(a_request_can_be_cancelled_while_it_runs),
        cmocka_unit_test(without_a_worker_a_request_waits_until_its_deadline),
        cmocka_unit_test(so_many_wait_and_no_more),
        cmocka_unit_test(a_request_whose_workers_crash_is_replayed_once),
        cmocka_unit_test(a_request_whose_workers_are_killed_from_outside_is_answered),
        cmocka_unit_test(without_isolation_it_is_the_same),
        cmocka_unit_test(settled_means_answering_or_out_of_hope),
    };
    if (getenv("TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
