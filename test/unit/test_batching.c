/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Batches in real workers. The model notes how many rows each run has, and a gate keeps a run from going on, so that the
 * requests behind it are known to wait together.
 */

#include "test_worker_support.h"
#include "worker/batch_stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scene {
    struct house *house;
    struct subject subject;
    char gate[128], rows[128];
};

static const struct el_batching four = { .on = true, .max_rows = 4, .execution_rows = 4, .max_enqueued = 100 };

/* ---- the scene ---- */

static void close_gate(const struct scene *scene)
{
    FILE *file = fopen(scene->gate, "we");
    assert_non_null(file);
    fclose(file);
}

static void open_gate(const struct scene *scene)
{
    unlink(scene->gate);
}

/* The rows of each run so far, as "1 4 2". */
static const char *runs(const struct scene *scene)
{
    static char text[4096];
    FILE *file = fopen(scene->rows, "re");
    const size_t size = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
    if (file != NULL)
        fclose(file);
    text[size] = '\0';
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\n')
            *at = at[1] == '\0' ? '\0' : ' ';
    return text;
}

static void wait_for_runs(const struct scene *scene, const char *expected)
{
    for (int i = 0; i < 10000 && strcmp(runs(scene), expected) != 0; i++)
        house_turn(scene->house, 1);
    assert_string_equal(runs(scene), expected);
}

static void begin(struct scene *scene, struct house *house, const struct el_batching *batching, uint32_t concurrency,
                  enum el_isolation isolation, const char *orders)
{
    scene->house = house;
    snprintf(scene->gate, sizeof scene->gate, "%s/gate", house->dir);
    snprintf(scene->rows, sizeof scene->rows, "%s/rows", house->dir);
    char text[512];
    snprintf(text, sizeof text, "gate=%s\nrows=%s\n%s", scene->gate, scene->rows, orders);
    struct el_worker_options options = house_options(house, text);
    options.batching = batching;
    options.concurrency = concurrency;
    options.isolation = isolation;
    house_start(house, &scene->subject, &options);
    free((void *)(uintptr_t)options.path);
    house_wait(house, &scene->subject.loaded);
    scene->subject.may_batch = true;
}

static void end(struct scene *scene)
{
    house_stop(&scene->subject);
    assert_false(scene->subject.died);
    unlink(scene->gate);
    unlink(scene->rows);
}

/* Keeps the one runner busy: what comes now waits until the gate is opened. */
static void occupy(struct scene *scene, struct asked *first)
{
    close_gate(scene);
    house_ask(&scene->subject, first, 1, 1000, EL_NEVER_NS);
    wait_for_runs(scene, "1");
}

/* For a call that no worker answers: the loop's turn in which its time is up may sleep before it ends. */
static void wait_given_up(struct asked *asked)
{
    while (!asked->done)
        house_turn(asked->house, 1);
}

static void expect_own(struct asked *asked, float number)
{
    house_wait(asked->house, &asked->done);
    if (asked->code != EL_OK)
        fail_msg("%s", asked->text);
    assert_true(asked->sum == 6 + number);
    const struct el_tensor *outputs;
    el_call_outputs(asked->call, &outputs);
    const float *cells = outputs[0].data;
    for (int64_t row = 0; row < outputs[0].shape.dims[0]; row++)
        assert_true(cells[row * outputs[0].shape.dims[1]] == 6 + number);
    house_end(asked);
}

static struct el_status *try(struct scene *scene, struct asked *asked, uint32_t rows)
{
    float data[64] = { 0 };
    const struct el_shape shape = { .rank = 2, .dims = { rows, 4 } };
    return house_send(&scene->subject, asked, "serving_default", EL_FLOAT, &shape, data, (size_t)rows * 16,
                      EL_NEVER_NS);
}

static void refused(struct el_status *status, enum el_code code, const char *text)
{
    assert_int_equal(el_status_code(status), code);
    assert_string_equal(el_status_text(status), text);
    el_status_free(status);
}

/* ---- stories ---- */

static void requests_that_wait_run_together(void **state)
{
    struct scene scene;
    begin(&scene, *state, &four, 1, EL_ISOLATION_PROCESS, "");
    struct asked first, others[7];
    static const uint32_t rows[] = { 1, 3, 2, 1, 1, 3, 3 };
    occupy(&scene, &first);
    for (uint32_t i = 0; i < 7; i++)
        house_ask(&scene.subject, &others[i], rows[i], (float)i, EL_NEVER_NS);
    open_gate(&scene);
    expect_own(&first, 1000);
    for (uint32_t i = 0; i < 7; i++)
        expect_own(&others[i], (float)i);
    assert_string_equal(runs(&scene), "1 4 4 3 3");

    struct asked alone;
    house_ask(&scene.subject, &alone, 2, 5, EL_NEVER_NS); /* nobody is waited for */
    expect_own(&alone, 5);
    assert_string_equal(runs(&scene), "1 4 4 3 3 2");
    const struct el_batch_stats *stats = el_workers_batch_stats(scene.house->workers);
    assert_int_equal(stats->runs, 6);
    assert_int_equal(stats->input.sum, 17);
    assert_int_equal(stats->processed.sum, 17);
    end(&scene);
}

static void only_requests_that_ask_the_same_share_a_batch(void **state)
{
    struct scene scene;
    begin(&scene, *state, &four, 1, EL_ISOLATION_PROCESS, "");
    struct asked first, one, other, text;
    occupy(&scene, &first);
    house_ask(&scene.subject, &one, 1, 1, EL_NEVER_NS);
    const struct el_shape shape = { .rank = 2, .dims = { 1, 4 } };
    static const float row[] = { 1, 2, 3, 4 };
    assert_null(house_send(&scene.subject, &other, "features", EL_FLOAT, &shape, row, sizeof row, EL_NEVER_NS));
    static const struct {
        uint64_t offsets[2];
        char bytes[8];
    } word = { { 16, 19 }, "one" };
    const struct el_shape single = { .rank = 1, .dims = { 1 } };
    assert_null(house_send(&scene.subject, &text, "text", EL_STRING, &single, &word, 19, EL_NEVER_NS));
    struct asked wrong, again;
    const struct el_shape odd = { .rank = 2, .dims = { 1, 2 } }; /* the model takes 4 columns: this one fails, alone */
    assert_null(house_send(&scene.subject, &wrong, "serving_default", EL_FLOAT, &odd, row, 8, EL_NEVER_NS));
    house_ask(&scene.subject, &again, 1, 2, EL_NEVER_NS);
    open_gate(&scene);
    expect_own(&first, 1000);
    expect_own(&one, 1);
    expect_own(&again, 2);
    house_wait(scene.house, &other.done);
    assert_true(other.sum == 2);
    house_end(&other);
    house_wait(scene.house, &text.done);
    const struct el_tensor *outputs;
    el_call_outputs(text.call, &outputs);
    size_t length;
    assert_memory_equal(el_tensor_string(&outputs[0], 0, &length), "one!", 4);
    house_end(&text);
    house_wait(scene.house, &wrong.done);
    assert_int_equal(wrong.code, EL_INVALID_ARGUMENT);
    house_end(&wrong);
    assert_string_equal(runs(&scene), "1 2 1 1 1");
    end(&scene);
}

static void strings_are_batched(void **state)
{
    struct scene scene;
    begin(&scene, *state, &four, 1, EL_ISOLATION_PROCESS, "");
    struct asked first, others[3];
    occupy(&scene, &first);
    const struct el_shape shape = { .rank = 1, .dims = { 1 } };
    for (unsigned i = 0; i < 3; i++) {
        struct {
            uint64_t offsets[2];
            char bytes[16];
        } word = { { 16, 16 + i * 3 }, "abcdefghi" };
        assert_null(house_send(&scene.subject, &others[i], "text", EL_STRING, &shape, &word, 16 + i * 3, EL_NEVER_NS));
    }
    open_gate(&scene);
    expect_own(&first, 1000);
    for (unsigned i = 0; i < 3; i++) {
        house_wait(scene.house, &others[i].done);
        const struct el_tensor *outputs;
        el_call_outputs(others[i].call, &outputs);
        size_t length;
        const char *text = el_tensor_string(&outputs[0], 0, &length);
        assert_int_equal(length, i * 3 + 1);
        assert_memory_equal(text, "abcdefghi", i * 3);
        assert_int_equal(text[length - 1], '!');
        house_end(&others[i]);
    }
    assert_string_equal(runs(&scene), "1 3");
    end(&scene);
}

static void sizes_that_are_not_allowed_are_padded(void **state)
{
    static const struct el_batching allowed = {
        .on = true, .max_rows = 8, .execution_rows = 8, .max_enqueued = 100, .allowed_count = 3, .allowed = { 2, 4, 8 }
    };
    struct scene scene;
    begin(&scene, *state, &allowed, 1, EL_ISOLATION_PROCESS, "");
    struct asked first, others[3], none;
    close_gate(&scene);
    house_ask(&scene.subject, &first, 1, 1000, EL_NEVER_NS);
    wait_for_runs(&scene, "2");
    for (unsigned i = 0; i < 3; i++)
        house_ask(&scene.subject, &others[i], i + 1, (float)i, EL_NEVER_NS);
    open_gate(&scene);
    expect_own(&first, 1000);
    for (unsigned i = 0; i < 3; i++)
        expect_own(&others[i], (float)i);
    assert_string_equal(runs(&scene), "2 8");
    assert_null(try(&scene, &none, 0)); /* nothing to repeat: it is run as it is */
    house_wait(scene.house, &none.done);
    assert_int_equal(none.code, EL_OK);
    house_end(&none);
    assert_string_equal(runs(&scene), "2 8 0");
    const struct el_batch_stats *stats = el_workers_batch_stats(scene.house->workers);
    assert_int_equal(stats->paddings[0].execution_batch_size, 2);
    assert_int_equal(stats->paddings[0].padding.sum, 1);
    assert_int_equal(stats->paddings[1].padding.sum, 2);
    end(&scene);
}

static void what_no_batch_takes_is_refused(void **state)
{
    struct scene scene;
    begin(&scene, *state, &four, 1, EL_ISOLATION_PROCESS, "");
    struct asked asked;
    refused(try(&scene, &asked, 5), EL_INVALID_ARGUMENT, "Task size 5 is larger than maximum input batch size 4");
    const struct el_shape scalar = { .rank = 0 };
    const int64_t count = 3;
    refused(house_send(&scene.subject, &asked, "wide", EL_INT64, &scalar, &count, 8, EL_NEVER_NS), EL_INVALID_ARGUMENT,
            "Batching Run() input tensors must have at least one dimension");
    scene.subject.may_batch = false; /* a probe: it is no business of batching */
    assert_null(try(&scene, &asked, 5));
    house_wait(scene.house, &asked.done);
    assert_int_equal(asked.code, EL_OK);
    house_end(&asked);
    end(&scene);
}

static void a_full_queue_refuses_at_once(void **state)
{
    static const struct el_batching two = { .on = true, .max_rows = 2, .execution_rows = 2, .max_enqueued = 2 };
    struct scene scene;
    begin(&scene, *state, &two, 1, EL_ISOLATION_PROCESS, "");
    struct asked first, others[4], late;
    occupy(&scene, &first);
    for (unsigned i = 0; i < 4; i++)
        house_ask(&scene.subject, &others[i], 1, (float)i, EL_NEVER_NS);
    refused(try(&scene, &late, 1), EL_UNAVAILABLE,
            "The batch scheduling queue to which this task was submitted is full; currently 2 batches enqueued and "
            "max_enqueued_batches is 2");
    open_gate(&scene);
    expect_own(&first, 1000);
    for (unsigned i = 0; i < 4; i++)
        expect_own(&others[i], (float)i);
    house_ask(&scene.subject, &late, 2, 9, EL_NEVER_NS); /* and there is room again */
    expect_own(&late, 9);
    assert_string_equal(runs(&scene), "1 2 2 2");
    end(&scene);
}

static void large_requests_are_split_and_put_together(void **state)
{
    static const struct el_batching split = {
        .on = true, .split = true, .max_rows = 16, .execution_rows = 4, .max_enqueued = 100
    };
    struct scene scene;
    begin(&scene, *state, &split, 2, EL_ISOLATION_PROCESS, "");
    float data[64];
    for (int i = 0; i < 64; i++)
        data[i] = (float)i;
    const struct el_shape shape = { .rank = 2, .dims = { 16, 4 } };
    struct asked asked;
    assert_null(house_send(&scene.subject, &asked, "features", EL_FLOAT, &shape, data, sizeof data, EL_NEVER_NS));
    house_wait(scene.house, &asked.done);
    assert_int_equal(asked.code, EL_OK);
    const struct el_tensor *outputs;
    el_call_outputs(asked.call, &outputs);
    assert_int_equal(outputs[0].shape.dims[0], 16);
    for (int i = 0; i < 64; i++)
        assert_true(((const float *)outputs[0].data)[i] == (float)i * 2);
    house_end(&asked);
    assert_string_equal(runs(&scene), "4 4 4 4");
    assert_int_equal(el_workers_batch_stats(scene.house->workers)->runs, 4);
    end(&scene);
}

static void a_split_request_shares_its_first_and_last_batch(void **state)
{
    static const struct el_batching split = {
        .on = true, .split = true, .max_rows = 16, .execution_rows = 4, .max_enqueued = 100
    };
    struct scene scene;
    begin(&scene, *state, &split, 1, EL_ISOLATION_PROCESS, "run=picky\n");
    struct asked first, one, large, last, bad;
    occupy(&scene, &first);
    house_ask(&scene.subject, &one, 1, 1, EL_NEVER_NS);
    house_ask(&scene.subject, &large, 9, 2, EL_NEVER_NS);
    house_ask(&scene.subject, &last, 1, 3, EL_NEVER_NS);
    /* The first row is good, the last is not: it fails as a whole, and its neighbours do not. */
    float rows[24] = { 0 };
    rows[20] = -1;
    const struct el_shape shape = { .rank = 2, .dims = { 6, 4 } };
    assert_null(house_send(&scene.subject, &bad, "serving_default", EL_FLOAT, &shape, rows, sizeof rows, EL_NEVER_NS));
    open_gate(&scene);
    expect_own(&first, 1000);
    expect_own(&one, 1);
    expect_own(&large, 2);
    expect_own(&last, 3);
    house_wait(scene.house, &bad.done);
    assert_int_equal(bad.code, EL_INVALID_ARGUMENT);
    assert_string_equal(bad.text, "a row begins with a negative number");
    house_end(&bad);
    end(&scene);
}

static void a_bad_request_fails_alone(void **state)
{
    struct scene scene;
    begin(&scene, *state, &four, 1, EL_ISOLATION_PROCESS, "run=picky\n");
    struct asked first, good, bad, fine;
    occupy(&scene, &first);
    house_ask(&scene.subject, &good, 1, 1, EL_NEVER_NS);
    const struct el_shape shape = { .rank = 2, .dims = { 1, 4 } };
    static const float row[] = { -1, 2, 3, 4 };
    assert_null(house_send(&scene.subject, &bad, "serving_default", EL_FLOAT, &shape, row, sizeof row, EL_NEVER_NS));
    house_ask(&scene.subject, &fine, 1, 2, EL_NEVER_NS);
    open_gate(&scene);
    expect_own(&first, 1000);
    expect_own(&good, 1);
    expect_own(&fine, 2);
    house_wait(scene.house, &bad.done);
    assert_int_equal(bad.code, EL_INVALID_ARGUMENT);
    assert_string_equal(bad.text, "a row begins with a negative number");
    house_end(&bad);
    assert_string_equal(runs(&scene), "1 3 1 1 1");
    end(&scene);
}

static void outputs_that_are_no_batch_are_an_error_of_each(void **state)
{
    struct scene scene;
    begin(&scene, *state, &four, 1, EL_ISOLATION_PROCESS, "run=short\n");
    struct asked asked[3];
    close_gate(&scene);
    house_ask(&scene.subject, &asked[0], 2, 0, EL_NEVER_NS);
    wait_for_runs(&scene, "2");
    house_ask(&scene.subject, &asked[1], 1, 0, EL_NEVER_NS);
    house_ask(&scene.subject, &asked[2], 2, 0, EL_NEVER_NS);
    open_gate(&scene);
    for (unsigned i = 0; i < 3; i++) {
        house_wait(scene.house, &asked[i].done);
        assert_int_equal(asked[i].code, EL_FAILED_PRECONDITION);
        assert_string_equal(asked[i].text, "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                                           "dimension sizes of the input tensors");
        house_end(&asked[i]);
    }
    assert_string_equal(runs(&scene), "2 3");
    end(&scene);
}

static void an_open_batch_waits_for_the_timeout_or_for_company(void **state)
{
    struct el_batching patient = four;
    patient.timeout_us = UINT64_C(3600) * 1000000;
    struct scene scene;
    begin(&scene, *state, &patient, 2, EL_ISOLATION_PROCESS, "");
    struct asked asked[4];
    for (unsigned i = 0; i < 4; i++)
        house_ask(&scene.subject, &asked[i], 1, (float)i, EL_NEVER_NS);
    for (unsigned i = 0; i < 4; i++)
        expect_own(&asked[i], (float)i);
    assert_string_equal(runs(&scene), "4");

    /* New parameters: what waits for company under the old ones is not forgotten. */
    house_ask(&scene.subject, &asked[0], 1, 7, EL_NEVER_NS);
    static const struct el_batching off = { .on = false };
    el_worker_set_batching(scene.subject.worker, &off);
    expect_own(&asked[0], 7);
    house_ask(&scene.subject, &asked[0], 9, 8, EL_NEVER_NS); /* no limit any more */
    expect_own(&asked[0], 8);
    patient.timeout_us = 2000;
    el_worker_set_batching(scene.subject.worker, &patient);
    house_ask(&scene.subject, &asked[0], 3, 9, EL_NEVER_NS);
    expect_own(&asked[0], 9);
    refused(try(&scene, &asked[0], 5), EL_INVALID_ARGUMENT, "Task size 5 is larger than maximum input batch size 4");
    end(&scene);
}

static void who_does_not_wait_any_longer_is_left_out(void **state)
{
    struct scene scene;
    begin(&scene, *state, &four, 1, EL_ISOLATION_PROCESS, "");
    struct asked first, cancelled, late, other;
    occupy(&scene, &first);
    house_ask(&scene.subject, &cancelled, 1, 1, EL_NEVER_NS);
    house_ask(&scene.subject, &late, 1, 2, el_now_ns() + EL_NS_PER_MS);
    house_ask(&scene.subject, &other, 1, 3, EL_NEVER_NS);
    el_call_cancel(cancelled.call);
    wait_given_up(&cancelled);
    wait_given_up(&late);
    assert_int_equal(cancelled.code, EL_CANCELLED);
    assert_int_equal(late.code, EL_DEADLINE_EXCEEDED);
    house_end(&cancelled);
    house_end(&late);
    open_gate(&scene);
    expect_own(&first, 1000);
    expect_own(&other, 3);
    assert_string_equal(runs(&scene), "1 1");
    end(&scene);
}

static void a_run_ends_early_when_nobody_waits_for_it(void **state)
{
    struct scene scene;
    begin(&scene, *state, &four, 1, EL_ISOLATION_PROCESS, "run=slow 3600000\n");
    struct asked asked[2];
    house_ask(&scene.subject, &asked[0], 1, 1, EL_NEVER_NS);
    wait_for_runs(&scene, "1");
    house_ask(&scene.subject, &asked[1], 1, 2, EL_NEVER_NS);
    struct asked third;
    house_ask(&scene.subject, &third, 1, 3, EL_NEVER_NS);
    el_call_cancel(asked[0].call);
    wait_for_runs(&scene, "1 2");
    el_call_cancel(asked[1].call);
    wait_given_up(&asked[1]);
    assert_int_equal(asked[1].code, EL_CANCELLED);
    assert_false(third.done);
    el_call_cancel(third.call);
    house_end(&asked[0]);
    house_end(&asked[1]);
    wait_given_up(&third);
    house_end(&third);
    end(&scene); /* within its 10 s: the run is over */
}

static void answers_of_a_batch_larger_than_foreseen_are_delivered(void **state)
{
    struct scene scene;
    begin(&scene, *state, &four, 1, EL_ISOLATION_PROCESS, "run=need-more\n");
    struct asked first, others[3];
    occupy(&scene, &first);
    for (unsigned i = 0; i < 3; i++)
        house_ask(&scene.subject, &others[i], 1, (float)i, EL_NEVER_NS);
    open_gate(&scene);
    expect_own(&first, 1000);
    for (unsigned i = 0; i < 3; i++)
        expect_own(&others[i], (float)i);
    assert_string_equal(runs(&scene), "1 3");
    end(&scene);
}

/* Many at once, of all sizes, over several runners: each answer is its own. */
static void hammer(struct house *house, enum el_isolation isolation)
{
    static struct asked asked[HOUSE_CALLS];
    struct el_batching busy = {
        .on = true, .split = true, .max_rows = 12, .execution_rows = 8, .timeout_us = 100, .max_enqueued = 10000
    };
    struct scene scene;
    begin(&scene, house, &busy, 3, isolation, "");
    for (unsigned round = 0; round < 20; round++) {
        busy.timeout_us = round % 3 * 100;
        busy.pad_inputs = round % 2 == 1;
        busy.split = round % 5 != 0;
        busy.execution_rows = busy.split ? 8 : 12;
        el_worker_set_batching(scene.subject.worker, &busy);
        for (unsigned i = 0; i < 200; i++)
            house_ask(&scene.subject, &asked[i], 1 + (i * 7 + round) % 12, (float)(round * 200 + i), EL_NEVER_NS);
        for (unsigned i = 0; i < 200; i += 50)
            el_call_cancel(asked[i].call);
        for (unsigned i = 0; i < 200; i++) {
            house_wait(house, &asked[i].done);
            if (i % 50 == 0)
                house_end(&asked[i]);
            else
                expect_own(&asked[i], (float)(round * 200 + i));
        }
    }
    end(&scene);
}

static void many_requests_each_get_their_own(void **state)
{
    hammer(*state, EL_ISOLATION_PROCESS);
}

static void many_requests_inside_this_process(void **state)
{
    hammer(*state, EL_ISOLATION_NONE);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, house_setup, house_teardown)
    const struct CMUnitTest tests[] = {
        STORY(requests_that_wait_run_together),
        STORY(only_requests_that_ask_the_same_share_a_batch),
        STORY(strings_are_batched),
        STORY(sizes_that_are_not_allowed_are_padded),
        STORY(what_no_batch_takes_is_refused),
        STORY(a_full_queue_refuses_at_once),
        STORY(large_requests_are_split_and_put_together),
        STORY(a_split_request_shares_its_first_and_last_batch),
        STORY(a_bad_request_fails_alone),
        STORY(outputs_that_are_no_batch_are_an_error_of_each),
        STORY(an_open_batch_waits_for_the_timeout_or_for_company),
        STORY(who_does_not_wait_any_longer_is_left_out),
        STORY(a_run_ends_early_when_nobody_waits_for_it),
        STORY(answers_of_a_batch_larger_than_foreseen_are_delivered),
        STORY(many_requests_each_get_their_own),
        STORY(many_requests_inside_this_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
