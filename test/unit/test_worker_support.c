/* SPDX-License-Identifier: Apache-2.0 */
#include "test_worker_support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

unsigned long house_count_fds(void)
{
    unsigned long count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

uint64_t house_resident(void)
{
    unsigned long size = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void expect_ok(struct el_status *status)
{
    if (status != NULL)
        fail_msg("%s: %s", el_code_name(el_status_code(status)), el_status_text(status));
}

void house_open(struct house *house, const char *engine_dir)
{
    house_open_loops(house, engine_dir, 1);
}

void house_open_loops(struct house *house, const char *engine_dir, uint32_t loops)
{
    memset(house, 0, sizeof *house);
    /* libuv's first loop opens two descriptors that stay open as long as the process. */
    assert_int_equal(uv_loop_init(&house->loop), 0);
    assert_int_equal(uv_loop_close(&house->loop), 0);
    house->open_fds = house_count_fds();
    house->log = (struct el_log){ .fd = 2, .least = EL_LOG_ERROR };
    snprintf(house->dir, sizeof house->dir, "/tmp/everlit-test-XXXXXX");
    assert_non_null(mkdtemp(house->dir));
    assert_int_equal(uv_loop_init(&house->loop), 0);
    const struct el_workers_options options = {
        .uv_loop = &house->loop,
        .log = &house->log,
        .helper_path = TEST_HELPER,
        .engine_dir = engine_dir != NULL ? engine_dir : TEST_ENGINE_DIR,
        .loops = loops,
    };
    expect_ok(el_workers_new(&options, &house->workers));
    expect_ok(el_completions_new(house->workers, loops - 1, &house->loop, &house->completions));
}

static void on_closed(void *argument)
{
    ((struct house *)argument)->closed = true;
}

void house_close_loop(struct house *house)
{
    if (house->closed)
        return;
    el_completions_close(house->completions, on_closed, house);
    house_wait(house, &house->closed);
}

void house_close(struct house *house)
{
    house_close_loop(house);
    el_workers_free(house->workers);
    uv_run(&house->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&house->loop), 0);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", house->dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(house_count_fds(), house->open_fds);
}

int house_setup(void **state)
{
    struct house *house = malloc(sizeof *house);
    assert_non_null(house);
    house_open(house, NULL);
    *state = house;
    return 0;
}

int house_teardown(void **state)
{
    house_close(*state);
    free(*state);
    return 0;
}

void house_order(const char *path, const char *orders)
{
    char name[256];
    char partial[256];
    snprintf(name, sizeof name, "%s/test_engine.txt", path);
    snprintf(partial, sizeof partial, "%s/partial", path);
    FILE *file = fopen(partial, "we");
    assert_non_null(file);
    fputs(orders, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(partial, name), 0);
}

char *house_version(struct house *house, const char *orders)
{
    char *path;
    assert_true(asprintf(&path, "%s/%u", house->dir, ++house->versions) > 0);
    assert_int_equal(mkdir(path, 0755), 0);
    house_order(path, orders);
    return path;
}

struct el_worker_options house_options(struct house *house, const char *orders)
{
    return (struct el_worker_options){
        .model = "digits",
        .version = 2,
        .path = house_version(house, orders),
        .engine = "test",
        .isolation = EL_ISOLATION_PROCESS,
        .arena_bytes = UINT64_C(256) << 20,
    };
}

static void on_event(struct el_worker *worker, const struct el_worker_event *event, void *argument)
{
    (void)worker;
    struct subject *subject = argument;
    subject->events++;
    assert_false(subject->gone);
    switch (event->type) {
    case EL_WORKER_LOADED:
        assert_false(subject->loaded || subject->failed || subject->died);
        subject->loaded = true;
        subject->load_ms = event->load_ms;
        break;
    case EL_WORKER_FAILED:
        assert_false(subject->loaded || subject->failed || subject->died);
        subject->failed = true;
        break;
    case EL_WORKER_DIED:
        assert_false(subject->failed || subject->died);
        subject->died = true;
        break;
    case EL_WORKER_GONE:
        subject->gone = true;
        break;
    }
    if (event->status != NULL) {
        subject->code = el_status_code(event->status);
        snprintf(subject->text, sizeof subject->text, "%s", el_status_text(event->status));
    }
}

void house_start(struct house *house, struct subject *subject, const struct el_worker_options *options)
{
    memset(subject, 0, sizeof *subject);
    subject->house = house;
    expect_ok(el_worker_start(house->workers, options, on_event, subject, &subject->worker));
    assert_int_equal(subject->events, 0); /* events never come from inside */
}

void house_load(struct house *house, struct subject *subject, const char *orders)
{
    const struct el_worker_options options = house_options(house, orders);
    house_start(house, subject, &options);
    free((void *)(uintptr_t)options.path);
    while (!subject->loaded) {
        uv_run(&house->loop, UV_RUN_ONCE);
        if (subject->failed || subject->died)
            fail_msg("%s", subject->text);
    }
}

void house_bury(struct subject *subject)
{
    house_wait(subject->house, &subject->gone);
    el_worker_free(subject->worker);
}

void house_stop(struct subject *subject)
{
    el_worker_stop(subject->worker, 10000);
    house_bury(subject);
}

static void on_too_late(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void on_timer_closed(uv_handle_t *handle)
{
    *(bool *)handle->data = true;
}

/* Turns the loop until the flag or the time; true if the flag. */
static bool turn(struct house *house, const bool *flag, unsigned ms)
{
    uv_timer_t timer;
    bool late = false;
    uv_timer_init(&house->loop, &timer);
    timer.data = &late;
    uv_update_time(&house->loop);
    uv_timer_start(&timer, on_too_late, ms, 0);
    while (!late && (flag == NULL || !*flag))
        uv_run(&house->loop, UV_RUN_ONCE);
    bool closed = false;
    timer.data = &closed;
    uv_close((uv_handle_t *)&timer, on_timer_closed);
    while (!closed)
        uv_run(&house->loop, UV_RUN_NOWAIT);
    return flag != NULL && *flag;
}

void house_wait(struct house *house, const bool *flag)
{
    if (!*flag && !turn(house, flag, 60000))
        fail_msg("nothing happened for 60 s");
}

void house_turn(struct house *house, unsigned ms)
{
    turn(house, NULL, ms);
}

uint32_t house_signature(const struct subject *subject, const char *name)
{
    uint32_t index = 0;
    assert_non_null(el_signatures_find(el_worker_signatures(subject->worker), name, strlen(name), &index));
    return index;
}

static void on_done(struct el_call *call, const struct el_status *status, void *argument)
{
    struct asked *asked = argument;
    asked->done = true;
    asked->done_count++;
    asked->code = el_status_code(status);
    asked->died = el_call_worker_died(call);
    snprintf(asked->text, sizeof asked->text, "%s", el_status_text(status));
    if (status != NULL)
        return;
    const struct el_tensor *outputs;
    assert_int_equal(el_call_outputs(call, &outputs), 1);
    assert_int_equal((uintptr_t)outputs[0].data % 64, 0);
    if (outputs[0].dtype == EL_FLOAT && outputs[0].size >= 2 * sizeof(float)) {
        asked->sum = ((const float *)outputs[0].data)[0];
        asked->value = ((const float *)outputs[0].data)[1];
    }
}

struct el_status *house_send(struct subject *subject, struct asked *asked, const char *signature, enum el_dtype dtype,
                             const struct el_shape *shape, const void *data, size_t size, uint64_t deadline_ns)
{
    memset(asked, 0, sizeof *asked);
    asked->house = subject->house;
    struct el_call *call;
    struct el_status *status = el_call_begin(subject->worker, subject->house->completions,
                                             house_signature(subject, signature), &call);
    if (status != NULL)
        return status;
    if (subject->may_batch)
        el_call_may_batch(call);
    void *memory;
    status = el_call_input(call, 0, dtype, shape, size, &memory);
    if (status == NULL) {
        assert_int_equal((uintptr_t)memory % 64, 0);
        memcpy(memory, data, size);
        status = el_call_submit(call, (const uint32_t[]){ 0 }, 1, deadline_ns, on_done, asked);
        assert_false(asked->done); /* never from inside */
    }
    if (status != NULL)
        el_call_end(call);
    else
        asked->call = call;
    return status;
}

void house_ask(struct subject *subject, struct asked *asked, uint32_t rows, float number, uint64_t deadline_ns)
{
    float *data = malloc(rows * 4 * sizeof *data);
    assert_non_null(data);
    for (uint32_t i = 0; i < rows; i++)
        memcpy(data + i * 4, (const float[]){ 1, 2, 3, number }, 4 * sizeof *data);
    const struct el_shape shape = { .rank = 2, .dims = { rows, 4 } };
    struct el_status *status = house_send(subject, asked, "serving_default", EL_FLOAT, &shape, data,
                                          rows * 4 * sizeof *data, deadline_ns);
    free(data);
    expect_ok(status);
}

void house_expect(struct subject *subject, float number, float value)
{
    struct asked asked;
    house_ask(subject, &asked, 1, number, EL_NEVER_NS);
    house_wait(subject->house, &asked.done);
    if (asked.code != EL_OK)
        fail_msg("%s", asked.text);
    assert_true(asked.sum == 6 + number);
    assert_true(asked.value == value);
    house_end(&asked);
}

void house_end(struct asked *asked)
{
    if (asked->call != NULL)
        el_call_end(asked->call);
    asked->call = NULL;
}
