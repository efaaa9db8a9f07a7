/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Workers that lie. Whatever they write, the front neither crashes nor hangs nor reads outside; it says what the lie
 * was, kills the worker, and its calls end as those of a worker that died.
 */

#include "test_worker_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 16
#define ARENA (1u << 20)

static struct el_worker_options tell(struct house *house, const char *lie)
{
    struct el_worker_options options = house_options(house, "");
    options.engine = "hostile";
    options.queue_slots = SLOTS;
    options.arena_bytes = ARENA;
    char path[256];
    snprintf(path, sizeof path, "%s/lie.txt", options.path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "%s %d 1 %u\n", lie, SLOTS, ARENA);
    fclose(file);
    return options;
}

static int hostile_setup(void **state)
{
    struct house *house = malloc(sizeof *house);
    assert_non_null(house);
    house_open(house, TEST_HOSTILE_DIR);
    *state = house;
    return 0;
}

static struct el_status *ask(struct subject *subject, struct asked *asked, const char *signature)
{
    const float data[] = { 1, 2 };
    const struct el_shape shape = { .rank = 1, .dims = { 2 } };
    return house_send(subject, asked, signature, EL_FLOAT, &shape, data, sizeof data, EL_NEVER_NS);
}

static void each_lie_is_found(void **state)
{
    struct house *house = *state;
    static const struct {
        const char *lie;
        const char *signature;
        const char *text;
    } lies[] = {
        { "slot-free", "numbers", "an answer to a call that was not made" },
        { "slot-beyond", "numbers", "an answer for a slot that is not there" },
        { "generation", "numbers", "an answer to a call that was not made" },
        { "generation-zero", "numbers", "an answer to a call that was not made" },
        { "op", "numbers", "a message of no known kind" },
        { "op-run", "numbers", "a message of no known kind" },
        { "code", "numbers", "a status code that is none" },
        { "offset-beyond", "numbers", "an output outside the memory that was granted for it" },
        { "offset-far", "numbers", "an output outside the memory that was granted for it" },
        { "offset-header", "numbers", "an output outside the memory that was granted for it" },
        { "offset-input", "numbers", "an output outside the memory that was granted for it" },
        { "offset-odd", "numbers", "an output outside the memory that was granted for it" },
        { "size", "numbers", "an output outside the memory that was granted for it" },
        { "size-far", "numbers", "an output outside the memory that was granted for it" },
        { "size-shape", "numbers", "an output whose size or strings do not follow from its shape" },
        { "dtype", "numbers", "an output with a dtype that its signature does not declare" },
        { "dtype-resource", "numbers", "an output with a dtype that its signature does not declare" },
        { "rank", "numbers", "an output with an impossible rank" },
        { "rank-negative", "numbers", "an output with an impossible rank" },
        { "dims", "numbers", "an output whose size or strings do not follow from its shape" },
        { "dims-overflow", "numbers", "an output whose size or strings do not follow from its shape" },
        { "need-less", "numbers", "a need for memory that makes no sense" },
        { "need-twice", "numbers", "a need for memory that makes no sense" },
        { "strings", "texts", "an output whose size or strings do not follow from its shape" },
        { "flood", "numbers", "it kept waking the server without an answer" },
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct subject subject;
        struct asked asked;
        const struct el_worker_options options = tell(house, lies[i].lie);
        house_start(house, &subject, &options);
        free((void *)(uintptr_t)options.path);
        house_wait(house, &subject.loaded);
        assert_null(ask(&subject, &asked, lies[i].signature));
        house_wait(house, &asked.done);
        if (asked.code != EL_UNAVAILABLE || !asked.died || strstr(asked.text, lies[i].text) == NULL)
            fail_msg("%s: %s", lies[i].lie, asked.text);
        house_end(&asked);
        house_bury(&subject);
        assert_true(subject.died);
        assert_int_equal(subject.code, EL_INTERNAL);
        assert_non_null(strstr(subject.text, lies[i].text));
    }
}

static void an_answer_given_twice_is_found(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct asked asked;
    const struct el_worker_options options = tell(house, "twice");
    house_start(house, &subject, &options);
    free((void *)(uintptr_t)options.path);
    house_wait(house, &subject.loaded);
    assert_null(ask(&subject, &asked, "numbers"));
    house_wait(house, &asked.done);
    assert_int_equal(asked.code, EL_OK); /* the first is believed */
    house_end(&asked);
    house_bury(&subject);
    assert_non_null(strstr(subject.text, "an answer to a call that was not made"));
}

static void strings_that_change_after_the_check_lead_nowhere(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct asked asked;
    const struct el_worker_options options = tell(house, "strings-later");
    house_start(house, &subject, &options);
    free((void *)(uintptr_t)options.path);
    house_wait(house, &subject.loaded);
    assert_null(ask(&subject, &asked, "texts"));
    house_wait(house, &asked.done);
    if (asked.code == EL_OK) {
        const struct el_tensor *outputs;
        el_call_outputs(asked.call, &outputs);
        const uint8_t *data = outputs[0].data;
        for (int i = 0; i < 100000; i++) {
            for (size_t j = 0; j < 2; j++) {
                size_t length;
                const char *text = el_tensor_string(&outputs[0], j, &length);
                assert_true((const uint8_t *)text >= data);
                assert_true((const uint8_t *)text + length <= data + outputs[0].size);
            }
        }
    }
    house_end(&asked);
    el_worker_kill(subject.worker, el_status_new(EL_INTERNAL, "enough"));
    house_bury(&subject);
}

static void each_lie_while_loading_is_found(void **state)
{
    struct house *house = *state;
    static const struct {
        const char *lie;
        const char *text;
    } lies[] = {
        { "load-garbage", "was killed while loading: it sent a message of no known kind" },
        { "load-signatures", "was killed while loading: it sent signatures of a wrong size" },
        { "load-proto", "was killed while loading: it sent broken signatures" },
        { "load-code", "was killed while loading: it sent a broken message when it had failed" },
        { "load-empty", "was killed by signal 9 (Killed) while loading" },
        { "load-close", "while loading" }, /* it may end sooner than we kill it */
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct subject subject;
        const struct el_worker_options options = tell(house, lies[i].lie);
        house_start(house, &subject, &options);
        free((void *)(uintptr_t)options.path);
        house_wait(house, &subject.died);
        if (strstr(subject.text, lies[i].text) == NULL)
            fail_msg("%s: %s", lies[i].lie, subject.text);
        house_bury(&subject);
        assert_false(subject.loaded);
    }
}

/* Everything that is shared is overwritten all the time, while calls go on. Another worker notices nothing. */
static void scribbling_harms_only_the_scribbler(void **state)
{
    struct house *house = *state;
    struct subject good;
    house_load(house, &good, "value=2\n");
    for (int round = 0; round < 15; round++) {
        struct subject bad;
        struct el_worker_options options = house_options(house, "run=scribble\n");
        options.arena_bytes = 4 << 20;
        house_start(house, &bad, &options);
        free((void *)(uintptr_t)options.path);
        house_wait(house, &bad.loaded);
        struct asked asked[8];
        memset(asked, 0, sizeof asked);
        const uint64_t end = el_now_ns() + 100 * EL_NS_PER_MS;
        while (!bad.died && el_now_ns() < end) {
            for (int i = 0; i < 8; i++) {
                if (asked[i].call != NULL && !asked[i].done)
                    continue;
                house_end(&asked[i]);
                const float data[] = { 1, 2, 3, 4 };
                const struct el_shape shape = { .rank = 2, .dims = { 1, 4 } };
                el_status_free(house_send(&bad, &asked[i], "serving_default", EL_FLOAT, &shape, data, sizeof data,
                                          el_now_ns() + 20 * EL_NS_PER_MS));
            }
            house_expect(&good, (float)round, 2);
            uv_run(&house->loop, UV_RUN_NOWAIT);
        }
        el_worker_kill(bad.worker, el_status_new(EL_INTERNAL, "enough"));
        for (int i = 0; i < 8; i++) {
            if (asked[i].call != NULL)
                house_wait(house, &asked[i].done);
            house_end(&asked[i]);
        }
        house_bury(&bad);
        assert_true(bad.died);
    }
    house_expect(&good, 5, 2);
    house_stop(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_lie_is_found, hostile_setup, house_teardown),
        cmocka_unit_test_setup_teardown(an_answer_given_twice_is_found, hostile_setup, house_teardown),
        cmocka_unit_test_setup_teardown(strings_that_change_after_the_check_lead_nowhere, hostile_setup,
                                        house_teardown),
        cmocka_unit_test_setup_teardown(each_lie_while_loading_is_found, hostile_setup, house_teardown),
        cmocka_unit_test_setup_teardown(scribbling_harms_only_the_scribbler, house_setup, house_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
