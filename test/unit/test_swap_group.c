/* SPDX-License-Identifier: Apache-2.0 */
/* Models that change together: "m" and "n" of group "pair", with real workers; each view that is published is looked into. */
#include "swap/operate.h"
#include "test_swap_support.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pair {
    struct stage stage;
    char n_path[80];
    struct el_model_config models[2];
    struct el_config config;
    unsigned mixed; /* views that showed a generation with versions of another one */
    struct el_completions *completions;
    struct el_swap_loop *loop;
    bool closed;
};

static struct pair pair;

/* ---- the stage ---- */

/* A version of both, numbered alike: a view in which they differ is a mixed one. */
static void put_m(int64_t version, const char *orders)
{
    stage_put(&pair.stage, version, orders);
}

static void put_n(int64_t version, const char *orders)
{
    stage_shell(&pair.stage, "mkdir aside && if [ -e m/%d ]; then mv m/%d aside; fi", (int)version, (int)version);
    stage_put(&pair.stage, version, orders);
    stage_shell(&pair.stage, "mv m/%d n/ && if [ -e aside/%d ]; then mv aside/%d m/; fi; rmdir aside", (int)version,
                (int)version, (int)version);
}

static void configure(void)
{
    static char m[] = "m", n[] = "n", group[] = "pair";
    pair.stage.update.group = group;
    stage_config(&pair.stage, &pair.config, &pair.models[0]);
    pair.models[1] = pair.models[0];
    pair.models[0].name = m;
    pair.models[1].name = n;
    pair.models[1].base_path = pair.n_path;
    pair.config = (struct el_config){ .models = pair.models, .model_count = 2 };
}

static void open_pair(void)
{
    memset(&pair, 0, sizeof pair);
    stage_open(&pair.stage);
    snprintf(pair.n_path, sizeof pair.n_path, "%s/n", pair.stage.dir);
    stage_shell(&pair.stage, "mkdir n");
    pair.stage.update.keep_warm_ms = 600000;
    pair.stage.update.group_wait_ms = 600000;
    pair.stage.update.max_latency_ratio = -1; /* whatever the machine is busy with */
    pair.stage.update.probe.replay_records = 0;
}

struct both {
    int64_t m, n;
    uint64_t m_generation, n_generation; /* 0: none */
    size_t known;                        /* generations that can be asked for */
};

static struct both see(void)
{
    struct both both = { .m = -1, .n = -1 };
    const struct el_view *view = el_view_get(pair.stage.swap);
    const struct el_model_view *m = el_view_model(view, "m", 1), *n = el_view_model(view, "n", 1);
    if (m != NULL && n != NULL) {
        both.m = m->serving;
        both.n = n->serving;
        both.known = m->generation_count;
        both.m_generation = m->generation_count > 0 ? m->generations[0].number : 0;
        both.n_generation = n->generation_count > 0 ? n->generations[0].number : 0;
    }
    el_view_put(pair.stage.swap, view);
    return both;
}

static void look(void *argument)
{
    (void)argument;
    const struct both both = see();
    if (both.m > 0 && both.n > 0 && (both.m != both.n || both.m_generation != both.n_generation))
        pair.mixed++;
}

static void start_pair(void)
{
    configure();
    pair.stage.options.config = &pair.config;
    stage_start(&pair.stage);
    assert_null(el_completions_new(pair.stage.workers, 0, &pair.stage.loop, &pair.completions));
    assert_null(el_swap_attach_loop(pair.stage.swap, pair.completions, &pair.stage.loop, &pair.loop));
}

static void on_completions_closed(void *argument)
{
    (void)argument;
    pair.closed = true;
}

static void on_detached(void *argument)
{
    el_completions_close(pair.completions, on_completions_closed, argument);
}

static void end_swap(void)
{
    pair.closed = false;
    el_swap_on_event(pair.stage.swap, NULL, NULL);
    el_swap_detach_loop(pair.loop, on_detached, NULL);
    while (!pair.closed)
        stage_run_for(&pair.stage, 2);
    stage_end_swap(&pair.stage);
    pair.stage.journal = NULL; /* closed */
}

static void close_pair(void)
{
    end_swap();
    stage_close(&pair.stage);
}

static void wait_both(int64_t m, int64_t n)
{
    const uint64_t end = el_now_ns() + 40 * SLOWNESS * EL_NS_PER_S;
    struct both both;
    while ((both = see()).m != m || both.n != n) {
        if (el_now_ns() > end)
            fail_msg("m answers with version %lld and n with %lld; expected %lld and %lld", (long long)both.m,
                     (long long)both.n, (long long)m, (long long)n);
        stage_run_for(&pair.stage, 2);
    }
}

static void start_with(int64_t version)
{
    put_m(version, "");
    put_n(version, "");
    start_pair();
    wait_both(version, version);
    el_swap_on_event(pair.stage.swap, look, NULL);
}

/* ---- requests ---- */

struct order {
    struct el_request request; /* first */
    bool done;
    enum el_code code;
    char text[256];
    int64_t version;
    uint64_t generation;
};

static struct el_status *fill(struct el_request *request, struct el_call *call, const struct el_signature *signature,
                              uint32_t *outputs, uint32_t *output_count)
{
    (void)request;
    (void)signature;
    static const float row[] = { 9, 9, 9, 9 };
    return stage_fill_row(call, row, outputs, output_count);
}

static void done(struct el_request *request, const struct el_status *status)
{
    struct order *order = (struct order *)(void *)request;
    order->done = true;
    order->code = el_status_code(status);
    snprintf(order->text, sizeof order->text, "%s", el_status_text(status));
    order->version = request->served_version;
    order->generation = request->generation;
    el_request_end(request);
}

static struct order ask(const char *model, uint64_t generation)
{
    struct order order = { .request = { .loop = pair.loop,
                                        .model = model,
                                        .model_size = 1,
                                        .wanted_generation = generation,
                                        .deadline_ns = EL_NEVER_NS,
                                        .fill = fill,
                                        .done = done } };
    el_request_start(&order.request);
    const uint64_t end = el_now_ns() + SLOWNESS * 20 * EL_NS_PER_S;
    while (!order.done && el_now_ns() < end)
        stage_run_for(&pair.stage, 2);
    assert_true(order.done);
    return order;
}

static void expect_answer(const char *model, uint64_t generation, int64_t version)
{
    const struct order order = ask(model, generation);
    if (order.code != EL_OK || order.version != version)
        fail_msg("generation %llu of %s: %s, version %lld; expected an answer of version %lld",
                 (unsigned long long)generation, model, order.code != EL_OK ? order.text : "answered",
                 (long long)order.version, (long long)version);
    if (generation != 0)
        assert_int_equal(order.generation, generation);
}

/* ---- stories ---- */

static void new_versions_of_both_answer_from_one_view_on(void **unused)
{
    (void)unused;
    open_pair();
    start_with(1);
    const uint64_t first = see().m_generation;
    assert_int_not_equal(first, 0);
    put_m(2, "");
    stage_wait_state(&pair.stage, 2, EL_LIFE_READY);
    stage_run_for(&pair.stage, 50); /* it is ready, and waits for the other one's */
    assert_int_equal(see().m, 1);
    put_n(2, "open=slow 100");
    wait_both(2, 2);
    assert_int_equal(pair.mixed, 0);
    const uint64_t second = see().m_generation;
    assert_int_equal(second, first + 1);
    expect_answer("m", 0, 2);
    expect_answer("m", first, 1); /* warm: whoever began with the first generation goes on with it */
    expect_answer("n", first, 1);
    expect_answer("n", second, 2);
    assert_int_equal(ask("n", 0).generation, second);
    const struct order unknown = ask("n", second + 7);
    assert_int_equal(unknown.code, EL_FAILED_PRECONDITION);
    assert_non_null(strstr(unknown.text, "begin again"));
    close_pair();
}

static void who_waits_long_enough_goes_alone(void **unused)
{
    (void)unused;
    open_pair();
    pair.stage.update.group_wait_ms = 50;
    pair.stage.update.keep_warm_ms = 200;
    start_with(1);
    const uint64_t first = see().n_generation;
    put_n(2, "");
    wait_both(1, 2);
    const struct both both = see();
    assert_int_equal(both.m_generation, both.n_generation);
    assert_int_equal(both.m_generation, first + 1);
    expect_answer("m", first, 1);
    expect_answer("n", first, 1);
    while (see().known > 1)
        stage_run_for(&pair.stage, 5); /* version 1 of n is gone, and with it the generation */
    assert_int_equal(ask("n", first).code, EL_FAILED_PRECONDITION);
    assert_int_equal(ask("m", first).code, EL_FAILED_PRECONDITION); /* though its version goes on */
    close_pair();
}

static void a_refused_version_holds_the_group_until_there_is_a_better_one(void **unused)
{
    (void)unused;
    open_pair();
    pair.stage.update.group_wait_ms = 0;
    start_with(1);
    put_n(2, "run=fail");
    stage_wait_event(&pair.stage, "quarantined", 2, "");
    put_m(2, "");
    stage_wait_event(&pair.stage, "group_held", 2, "version 2 was refused");
    assert_int_equal(stage_see(&pair.stage, 2).state, EL_LIFE_READY);
    assert_int_equal(see().m, 1);
    put_m(3, "");
    stage_wait_state(&pair.stage, 3, EL_LIFE_READY);
    assert_int_equal(see().m, 1);
    put_n(3, "");
    wait_both(3, 3);
    assert_int_equal(pair.mixed, 0);
    assert_int_equal(stage_count_events(&pair.stage, "group_held", 2), 1);
    close_pair();
}

static void a_guards_breach_takes_both_back(void **unused)
{
    (void)unused;
    open_pair();
    pair.stage.update.guard_ms = 60000;
    pair.stage.update.keep_warm_ms = 100;
    pair.stage.update.guard_max_error_rate = 1e-3;
    start_with(1);
    const uint64_t first = see().m_generation;
    put_m(2, "");
    put_n(2, "run=fail\nabove=4"); /* the request's row; the probe's never add up to so much */
    wait_both(2, 2);
    const uint64_t second = see().m_generation;
    const uint64_t end = el_now_ns() + 60 * SLOWNESS * EL_NS_PER_S;
    while (see().n == 2 && el_now_ns() < end) {
        const struct order order = ask("n", 0); /* the old version answers what the new one cannot, and says so */
        assert_int_equal(order.code, EL_OK);
        assert_int_equal(order.version, 1);
        assert_int_equal(order.generation, first);
    }
    wait_both(1, 1);
    assert_int_equal(pair.mixed, 0);
    assert_int_equal(see().m_generation, first); /* the same versions: the same generation */
    assert_int_equal(stage_see(&pair.stage, 2).state, EL_LIFE_WARM);
    stage_wait_event(&pair.stage, "group_rolled_back", 2, "version 2 of n was taken back");
    assert_int_equal(ask("m", second).code, EL_FAILED_PRECONDITION);
    stage_run_for(&pair.stage, 300); /* a poll: version 2 of m is wanted, and waits for a better one of n */
    assert_int_equal(see().m, 1);
    put_n(3, "");
    stage_wait_event(&pair.stage, "generation", -1, "m version 2, n version 3");
    assert_int_equal(see().m_generation, second + 1);
    close_pair();
}

static struct el_operation operate(enum el_operation_kind kind, const char *model, int64_t version)
{
    struct el_operation operation = { .kind = kind, .model = model, .version = version, .by = "ann", .reason = "" };
    struct el_status *status = el_operate(pair.stage.swap, &operation);
    if (status != NULL)
        fail_msg("%s of %s: %s", el_operation_name(kind), model, el_status_text(status));
    return operation;
}

static void a_rollback_by_hand_takes_the_group_along(void **unused)
{
    (void)unused;
    open_pair();
    start_with(1);
    put_m(2, "");
    put_n(2, "");
    wait_both(2, 2);
    struct el_operation operation = operate(EL_OPERATE_ROLLBACK, "n", EL_OPERATE_NO_VERSION);
    assert_int_equal(operation.to, 1);
    assert_non_null(strstr(operation.text, "its group goes along: m to version 1"));
    wait_both(1, 1);
    put_m(3, ""); /* both are pinned */
    put_n(3, "");
    stage_run_for(&pair.stage, 300);
    assert_int_equal(see().m, 1);
    operation = operate(EL_OPERATE_UNPIN, "n", EL_OPERATE_NO_VERSION);
    assert_non_null(strstr(operation.text, "with it of its group: m"));
    wait_both(3, 3);
    assert_int_equal(pair.mixed, 0);
    operation = operate(EL_OPERATE_PIN, "m", 1); /* a word about one of them is about that one, and waits for nobody */
    wait_both(1, 3);
    close_pair();
}

static void with_the_restart_the_same_versions_are_the_same_generation(void **unused)
{
    (void)unused;
    open_pair();
    char state[80];
    snprintf(state, sizeof state, "%s/state", pair.stage.dir);
    stage_shell(&pair.stage, "mkdir state");
    const struct el_journal_options journal = { .uv_loop = &pair.stage.loop,
                                                .log = &pair.stage.log,
                                                .directory = state };
    assert_null(el_journal_open(&journal, &pair.stage.journal));
    pair.stage.options.journal = pair.stage.journal;
    pair.stage.update.guard_ms = 60000;
    start_with(1);
    const uint64_t first = see().m_generation;
    put_m(2, "");
    put_n(2, "");
    wait_both(2, 2);
    const uint64_t second = see().m_generation;
    end_swap(); /* in the middle of the guard: version 2 of neither is good yet */

    assert_null(el_journal_open(&journal, &pair.stage.journal));
    pair.stage.options.journal = pair.stage.journal;
    pair.mixed = 0;
    start_pair();
    el_swap_on_event(pair.stage.swap, look, NULL);
    wait_both(1, 1);
    assert_int_equal(see().m_generation, first);
    wait_both(2, 2);
    assert_int_equal(see().m_generation, second);
    assert_int_equal(pair.mixed, 0);
    close_pair();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_versions_of_both_answer_from_one_view_on),
        cmocka_unit_test(who_waits_long_enough_goes_alone),
        cmocka_unit_test(a_refused_version_holds_the_group_until_there_is_a_better_one),
        cmocka_unit_test(a_guards_breach_takes_both_back),
        cmocka_unit_test(a_rollback_by_hand_takes_the_group_along),
        cmocka_unit_test(with_the_restart_the_same_versions_are_the_same_generation),
    };
    if (getenv("TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
