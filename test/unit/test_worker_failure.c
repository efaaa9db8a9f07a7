/* SPDX-License-Identifier: Apache-2.0 */

/* Workers that do not behave, and calls that are not answered: each way to fail, what is heard of it, and that nothing is left. */

#include "test_worker_support.h"

#include "worker/internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- loading ---- */

static void each_way_not_to_load_is_told(void **state)
{
    struct house *house = *state;
    static const struct {
        const char *orders;
        bool died; /* rather than failed */
        enum el_code code;
        const char *text;
    } ways[] = {
        { "open=fail\n", false, EL_FAILED_PRECONDITION, "told to fail when it opens" },
        { "open=abort\n", true, EL_UNAVAILABLE,
          "worker of digits version 2 was killed by signal 6 (Aborted) while loading" },
        { "open=segv\n", true, EL_UNAVAILABLE,
          "worker of digits version 2 was killed by signal 11 (Segmentation fault) while loading" },
        { "open=exit\n", true, EL_UNAVAILABLE,
          "worker of digits version 2 ended by itself with exit status 7 while loading" },
        { "open=hang\n", false, EL_DEADLINE_EXCEEDED,
          "digits version 2 was not loaded within 300 ms and was given up" },
        { "signatures=fail\n", false, EL_INTERNAL, "told to fail when asked for signatures" },
        { "signatures=garbage\n", false, EL_INTERNAL,
          "the engine gives an input or output without a name or with rank 40" },
        { "signatures=unsorted\n", false, EL_INTERNAL, "the engine gives signatures without names or not sorted" },
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct subject subject;
        struct el_worker_options options = house_options(house, ways[i].orders);
        options.load_timeout_ms = strcmp(ways[i].orders, "open=hang\n") == 0 ? 300 : 30000;
        house_start(house, &subject, &options);
        free((void *)(uintptr_t)options.path);
        house_wait(house, ways[i].died ? &subject.died : &subject.failed);
        assert_string_equal(subject.text, ways[i].text);
        assert_int_equal(subject.code, ways[i].code);
        house_bury(&subject);
        assert_int_equal(subject.events, 2);
        assert_false(subject.loaded);
    }
}

static void too_many_signatures_are_a_failure_to_load(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "signatures=too-many\n");
    house_start(house, &subject, &options);
    free((void *)(uintptr_t)options.path);
    house_wait(house, &subject.failed);
    assert_non_null(strstr(subject.text, "the engine gives signatures that cannot be used"));
    house_bury(&subject);
}

static void a_missing_engine_is_named(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "");
    options.engine = "missing";
    for (int i = 0; i < 2; i++) {
        options.isolation = i == 0 ? EL_ISOLATION_PROCESS : EL_ISOLATION_NONE;
        house_start(house, &subject, &options);
        house_wait(house, &subject.failed);
        assert_int_equal(subject.code, EL_FAILED_PRECONDITION);
        assert_non_null(
            strstr(subject.text, "engine missing: " TEST_ENGINE_DIR "/engine_missing.so cannot be read: No such file"));
        assert_non_null(strstr(subject.text, "type `make`"));
        house_bury(&subject);
    }
    options.engine = "../etc/passwd";
    house_start(house, &subject, &options);
    house_wait(house, &subject.failed);
    assert_int_equal(subject.code, EL_INVALID_ARGUMENT);
    house_bury(&subject);
    free((void *)(uintptr_t)options.path);
}

static void a_broken_engine_library_is_named(void **state)
{
    (void)state;
    struct house house;
    char dir[] = "/tmp/everlit-engines-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char path[64];
    snprintf(path, sizeof path, "%s/engine_test.so", dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs("this is no library", file);
    fclose(file);
    house_open(&house, dir);
    struct subject subject;
    struct el_worker_options options = house_options(&house, "");
    house_start(&house, &subject, &options);
    free((void *)(uintptr_t)options.path);
    house_wait(&house, &subject.failed);
    assert_int_equal(subject.code, EL_FAILED_PRECONDITION);
    assert_non_null(strstr(subject.text, path));
    assert_non_null(strstr(subject.text, "cannot be loaded"));
    assert_non_null(strstr(subject.text, "type `make`"));
    house_bury(&subject);
    house_close(&house);
    unlink(path);
    rmdir(dir);
}

static void an_engine_that_cannot_start_is_told(void **state)
{
    struct house *house = *state;
    char *path = house_version(house, "start=fail\n");
    char name[256];
    snprintf(name, sizeof name, "%s/test_engine.txt", path);
    setenv("EVERLIT_TEST_ENGINE", name, 1);
    struct subject subject;
    struct el_worker_options options = house_options(house, "");
    house_start(house, &subject, &options);
    house_wait(house, &subject.failed);
    if (strstr(subject.text, "cannot start: told to fail when it starts") == NULL)
        fail_msg("%s", subject.text);
    house_bury(&subject);

    house_order(path, "start=abort\n");
    house_start(house, &subject, &options);
    house_wait(house, &subject.failed);
    assert_non_null(
        strstr(subject.text, "the zygote of engine test was killed by signal 6 (Aborted) while it opened the engine"));
    house_bury(&subject);

    unsetenv("EVERLIT_TEST_ENGINE"); /* repaired: the next worker makes another attempt */
    house_start(house, &subject, &options);
    house_wait(house, &subject.loaded);
    house_expect(&subject, 1, 1);
    house_stop(&subject);
    free((void *)(uintptr_t)options.path);
    free(path);
}

static void a_worker_beyond_its_memory_is_killed(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "memory=1000\n");
    options.memory_limit_bytes = 200 << 20;
    house_start(house, &subject, &options);
    house_wait(house, &subject.gone);
    if (!subject.died || strstr(subject.text, "was killed while loading: it took ") == NULL)
        fail_msg("%s", subject.text);
    assert_int_equal(subject.code, EL_RESOURCE_EXHAUSTED);
    assert_non_null(strstr(subject.text, " MiB of memory, its limit is 200 MiB"));
    house_bury(&subject);

    house_order(options.path, "memory=16\n"); /* within the limit */
    house_start(house, &subject, &options);
    house_wait(house, &subject.loaded);
    house_expect(&subject, 1, 1);
    house_stop(&subject);
    free((void *)(uintptr_t)options.path);
}

/* ---- calls ---- */

static void each_way_not_to_answer_is_told(void **state)
{
    struct house *house = *state;
    static const struct {
        const char *orders;
        enum el_code code;
        const char *text;
    } ways[] = {
        { "run=fail\n", EL_INTERNAL, "told to fail when it runs" },
        { "run=missing\n", EL_INTERNAL, "the engine did not give output \"prediction\"" },
        { "run=dtype\n", EL_INTERNAL,
          "the engine gave output \"prediction\" as DT_INT32, its signature says DT_FLOAT" },
        { "run=twice\n", EL_INTERNAL, "the engine gave an output twice" },
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct subject subject;
        house_load(house, &subject, ways[i].orders);
        for (int again = 0; again < 3; again++) {
            struct asked asked;
            house_ask(&subject, &asked, 1, 4, EL_NEVER_NS);
            house_wait(house, &asked.done);
            assert_int_equal(asked.code, ways[i].code);
            assert_string_equal(asked.text, ways[i].text);
            assert_false(asked.died);
            house_end(&asked);
        }
        house_stop(&subject);
    }
}

static void a_death_under_load_leaves_the_inputs(void **state)
{
    struct house *house = *state;
    static const struct {
        const char *orders;
        const char *text;
    } ways[] = {
        { "run=abort\n", "worker of digits version 2 was killed by signal 6 (Aborted) while running" },
        { "run=segv\n", "worker of digits version 2 was killed by signal 11 (Segmentation fault) while running" },
        { "run=exit\n", "worker of digits version 2 ended by itself with exit status 7 while running" },
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct subject subject;
        house_load(house, &subject, ways[i].orders);
        struct asked asked[16];
        for (int j = 0; j < 16; j++)
            house_ask(&subject, &asked[j], 2, (float)j, EL_NEVER_NS);
        for (int j = 0; j < 16; j++) {
            house_wait(house, &asked[j].done);
            assert_int_equal(asked[j].code, EL_UNAVAILABLE);
            assert_true(asked[j].died);
            assert_false(el_call_worker_was_killed(asked[j].call));
            assert_string_equal(asked[j].text, "the worker of digits version 2 ended while it ran the request");
            const struct el_tensor *inputs;
            const uint32_t *indexes;
            assert_int_equal(el_call_inputs(asked[j].call, &inputs, &indexes), 1);
            assert_int_equal(indexes[0], 0);
            assert_int_equal(inputs[0].shape.dims[0], 2);
            assert_true(((const float *)inputs[0].data)[7] == (float)j);
        }
        house_wait(house, &subject.died);
        assert_string_equal(subject.text, ways[i].text);
        house_turn(house, 20);
        assert_false(subject.gone); /* the inputs are still being read */
        for (int j = 0; j < 16; j++)
            house_end(&asked[j]);
        house_bury(&subject);
    }
}

static void a_killed_worker_is_noticed_at_once(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "run=hang\n");
    struct asked asked;
    house_ask(&subject, &asked, 1, 4, EL_NEVER_NS);
    house_turn(house, 20);
    const uint64_t start = el_now_ns();
    kill(el_worker_pid(subject.worker), SIGKILL);
    house_wait(house, &asked.done);
    assert_true(el_now_ns() - start < EL_NS_PER_S);
    assert_true(asked.died);
    assert_true(el_call_worker_was_killed(asked.call));
    struct el_call *call;
    struct el_status *status = el_call_begin(subject.worker, house->completions, 0, &call);
    assert_int_equal(el_status_code(status), EL_UNAVAILABLE);
    el_status_free(status);
    house_end(&asked);
    house_bury(&subject);
    assert_string_equal(subject.text, "worker of digits version 2 was killed by signal 9 (Killed) while running");
}

static void a_call_begun_before_the_death_is_refused_after_it(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "");
    struct el_call *call;
    assert_null(el_call_begin(subject.worker, house->completions, 1, &call));
    const struct el_shape shape = { .rank = 2, .dims = { 1, 4 } };
    void *data;
    assert_null(el_call_input(call, 0, EL_FLOAT, &shape, 16, &data));
    kill(el_worker_pid(subject.worker), SIGKILL);
    house_wait(house, &subject.died);
    struct el_status *status = el_call_submit(call, (const uint32_t[]){ 0 }, 1, EL_NEVER_NS, NULL, NULL);
    assert_int_equal(el_status_code(status), EL_UNAVAILABLE);
    assert_true(el_call_worker_died(call));
    el_status_free(status);
    el_call_end(call);
    house_bury(&subject);
}

static void killing_says_why(void **state)
{
    struct house *house = *state;
    struct subject subject;
    struct el_worker_options options = house_options(house, "run=hang\n");
    for (int i = 0; i < 2; i++) {
        options.isolation = i == 0 ? EL_ISOLATION_PROCESS : EL_ISOLATION_NONE;
        if (i == 1)
            house_order(options.path, "run=slow 200\n"); /* its thread must come to an end */
        house_start(house, &subject, &options);
        house_wait(house, &subject.loaded);
        struct asked asked;
        house_ask(&subject, &asked, 1, 4, EL_NEVER_NS);
        el_worker_kill(subject.worker, el_status_new(EL_INTERNAL, "the guard found NaN"));
        house_wait(house, &asked.done);
        assert_true(asked.died);
        assert_string_equal(asked.text, "the worker of digits version 2 was killed: the guard found NaN");
        house_end(&asked);
        house_bury(&subject);
        assert_true(subject.died);
        assert_string_equal(subject.text, "worker of digits version 2 was killed while running: the guard found NaN");
    }
    free((void *)(uintptr_t)options.path);
    house_turn(house, 400); /* until the host inside has let go of what it holds */
}

/* ---- deadlines and cancelling ---- */

static void a_deadline_ends_a_call_that_hangs(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "run=hang\n");
    struct asked asked[3];
    const uint64_t start = el_now_ns();
    /* Running; waiting behind it; and one whose time is over already. */
    house_ask(&subject, &asked[0], 1, 4, start + 50 * EL_NS_PER_MS);
    house_ask(&subject, &asked[1], 1, 4, start + 80 * EL_NS_PER_MS);
    house_ask(&subject, &asked[2], 1, 4, start);
    for (int i = 0; i < 3; i++) {
        house_wait(house, &asked[i].done);
        assert_int_equal(asked[i].code, EL_DEADLINE_EXCEEDED);
        assert_false(asked[i].died);
    }
    assert_true(el_now_ns() - start >= 80 * EL_NS_PER_MS);
    assert_true(el_now_ns() - start < 5 * EL_NS_PER_S);
    for (int i = 0; i < 3; i++)
        house_end(&asked[i]); /* their slots stay with the worker */
    kill(el_worker_pid(subject.worker), SIGKILL);
    house_bury(&subject);
}

static void what_is_late_is_not_run(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "run=slow 60\n");
    struct asked first;
    struct asked second;
    house_ask(&subject, &first, 1, 4, EL_NEVER_NS);
    house_ask(&subject, &second, 1, 4, el_now_ns() + 20 * EL_NS_PER_MS);
    house_wait(house, &second.done);
    assert_int_equal(second.code, EL_DEADLINE_EXCEEDED);
    assert_false(first.done);
    house_end(&second);
    house_wait(house, &first.done);
    assert_int_equal(first.code, EL_OK);
    house_end(&first);
    house_stop(&subject);
}

static void cancelling_ends_a_call_and_frees_the_runner(void **state)
{
    struct house *house = *state;
    struct subject subject;
    house_load(house, &subject, "run=slow 30000\nreread=1\n");
    struct asked running;
    struct asked waiting;
    house_ask(&subject, &running, 1, 4, EL_NEVER_NS);
    house_ask(&subject, &waiting, 1, 4, EL_NEVER_NS);
    house_turn(house, 30);
    assert_false(running.done || waiting.done);
    el_call_cancel(waiting.call);
    el_call_cancel(running.call);
    el_call_cancel(running.call);
    assert_false(running.done || waiting.done); /* never from inside */
    house_wait(house, &running.done);
    house_wait(house, &waiting.done);
    assert_int_equal(running.code, EL_CANCELLED);
    assert_int_equal(waiting.code, EL_CANCELLED);
    house_end(&running);
    house_end(&waiting);
    /* The runner is free again long before the 30 s are over: the engine was told. */
    char path[128];
    snprintf(path, sizeof path, "%s/1", house->dir);
    house_order(path, "reread=1\n");
    house_expect(&subject, 4, 1);
    house_stop(&subject);
}

/* A server ends: its event loops first, while a worker is deaf to the cancelling of what it runs. */
static void deaf_worker_story(struct house *house, enum el_isolation isolation)
{
    char gate[96];
    snprintf(gate, sizeof gate, "%s/gate", house->dir);
    FILE *file = fopen(gate, "we");
    assert_non_null(file);
    fclose(file);
    char orders[128];
    snprintf(orders, sizeof orders, "gate=%s\n", gate);
    struct subject subject;
    struct el_worker_options options = house_options(house, orders);
    options.isolation = isolation;
    house_start(house, &subject, &options);
    free((void *)(uintptr_t)options.path);
    house_wait(house, &subject.loaded);
    struct asked running;
    struct asked waiting;
    house_ask(&subject, &running, 1, 4, EL_NEVER_NS);
    house_ask(&subject, &waiting, 1, 4, EL_NEVER_NS);
    el_call_cancel(running.call);
    el_call_cancel(waiting.call);
    house_wait(house, &running.done);
    house_wait(house, &waiting.done);
    house_end(&running);
    house_end(&waiting);
    house_close_loop(house);
    el_worker_stop(subject.worker, 50);
    house_bury(&subject);
    assert_false(subject.died);
    assert_int_equal(remove(gate), 0);
}

static void a_loop_may_end_before_the_calls_that_it_cancelled(void **state)
{
    deaf_worker_story(*state, EL_ISOLATION_PROCESS);
}

static void and_without_processes(void **state)
{
    struct house *house = *state;
    deaf_worker_story(house, EL_ISOLATION_NONE);
    house_turn(house, 400); /* until the host inside has let go of what it holds */
}

/* ---- zygotes ---- */

static pid_t parent_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    int parent = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d (%*[^)]) %*c %d", &parent), 1);
    fclose(file);
    return (pid_t)parent;
}

static void workers_outlive_their_zygote(void **state)
{
    struct house *house = *state;
    struct subject first;
    struct subject second;
    house_load(house, &first, "value=1\n");
    house->log.fd = -1; /* it will be said that the zygote died */
    const pid_t zygote = parent_of(el_worker_pid(first.worker));
    assert_int_equal(kill(zygote, SIGKILL), 0);
    house_expect(&first, 4, 1);
    house_load(house, &second, "value=2\n");
    assert_int_not_equal(parent_of(el_worker_pid(second.worker)), zygote);
    house_expect(&first, 4, 1);
    house_expect(&second, 4, 2);
    /* Nobody sees how the orphan ends, but that it does is noticed all the same. */
    kill(el_worker_pid(first.worker), SIGKILL);
    house_wait(house, &first.died);
    assert_string_equal(first.text, "worker of digits version 2 ended while running, nobody saw how");
    house_bury(&first);
    house_stop(&second);
}

static void a_zygote_that_dies_with_a_request_is_replaced(void **state)
{
    struct house *house = *state;
    house->log.fd = -1;
    struct subject subject;
    house_load(house, &subject, "");
    const pid_t zygote = parent_of(el_worker_pid(subject.worker));
    /* A stopped zygote does not answer; then it dies with the request unanswered. */
    assert_int_equal(kill(zygote, SIGSTOP), 0);
    struct subject waiting;
    struct el_worker_options options = house_options(house, "");
    house_start(house, &waiting, &options);
    house_turn(house, 20);
    assert_int_equal(waiting.events, 0);
    assert_int_equal(kill(zygote, SIGKILL), 0);
    house_wait(house, &waiting.loaded);
    house_expect(&waiting, 4, 1);
    house_stop(&waiting);
    house_stop(&subject);
    free((void *)(uintptr_t)options.path);
}

static void a_missing_helper_is_named(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct house house = { .log = { .fd = 2 } };
    (void)loop;
    snprintf(house.dir, sizeof house.dir, "/tmp/everlit-test-XXXXXX");
    assert_non_null(mkdtemp(house.dir));
    uv_loop_init(&house.loop);
    const struct el_workers_options options = {
        .uv_loop = &house.loop, .helper_path = "/nowhere/everlit-worker", .engine_dir = TEST_ENGINE_DIR, .loops = 1
    };
    assert_null(el_workers_new(&options, &house.workers));
    struct subject subject;
    struct el_worker_options worker = house_options(&house, "");
    house_start(&house, &subject, &worker);
    free((void *)(uintptr_t)worker.path);
    house_wait(&house, &subject.failed);
    assert_non_null(
        strstr(subject.text, "/nowhere/everlit-worker cannot be started: No such file or directory; type `make`"));
    house_bury(&subject);
    el_workers_free(house.workers);
    uv_run(&house.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&house.loop), 0);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", house.dir);
    assert_int_equal(system(command), 0);
}

/* ---- temporary files of a front that was killed ---- */

static void what_a_killed_front_left_behind_is_swept(void **unused)
{
    (void)unused;
    char place[] = "/tmp/everlit-sweep-XXXXXX", *before = getenv("TMPDIR"), *mine = NULL, command[128];
    assert_non_null(mkdtemp(place));
    if (before != NULL)
        before = strdup(before);
    setenv("TMPDIR", place, 1);
    static struct el_workers front; /* all that is used of it is its directory */
    const pid_t killed = fork();
    if (killed == 0) {
        char *path;
        _exit(el_scratch_new(&front, &path) == NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(killed, &status, 0), killed);
    assert_int_equal(status, 0);
    assert_null(el_scratch_new(&front, &mine));
    assert_int_equal(el_scratch_sweep(), 1); /* and not ours, which lives */
    assert_int_equal(access(mine, F_OK), 0);
    assert_int_equal(el_scratch_sweep(), 0);
    free(mine);
    el_scratch_end(&front);
    snprintf(command, sizeof command, "rmdir %s", place);
    assert_int_equal(system(command), 0); /* NOLINT: nothing is left in there */
    if (before != NULL)
        setenv("TMPDIR", before, 1);
    else
        unsetenv("TMPDIR");
    free(before);
}

int main(void)
{
#define STORY(name) cmocka_unit_test_setup_teardown(name, house_setup, house_teardown)
    const struct CMUnitTest tests[] = {
        STORY(each_way_not_to_load_is_told),
        STORY(too_many_signatures_are_a_failure_to_load),
        STORY(a_missing_engine_is_named),
        cmocka_unit_test(a_broken_engine_library_is_named),
        STORY(an_engine_that_cannot_start_is_told),
        STORY(a_worker_beyond_its_memory_is_killed),
        STORY(each_way_not_to_answer_is_told),
        STORY(a_death_under_load_leaves_the_inputs),
        STORY(a_killed_worker_is_noticed_at_once),
        STORY(a_call_begun_before_the_death_is_refused_after_it),
        STORY(killing_says_why),
        STORY(a_deadline_ends_a_call_that_hangs),
        STORY(what_is_late_is_not_run),
        STORY(cancelling_ends_a_call_and_frees_the_runner),
        STORY(a_loop_may_end_before_the_calls_that_it_cancelled),
        STORY(and_without_processes),
        STORY(workers_outlive_their_zygote),
        STORY(a_zygote_that_dies_with_a_request_is_replaced),
        cmocka_unit_test(a_missing_helper_is_named),
        cmocka_unit_test(what_a_killed_front_left_behind_is_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
