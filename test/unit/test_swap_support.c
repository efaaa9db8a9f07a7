/* SPDX-License-Identifier: Apache-2.0 */
#include "test_swap_support.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_NS (SLOWNESS * 60 * EL_NS_PER_S)

/* ---- files ---- */

void stage_shell(struct stage *stage, const char *format, ...)
{
    char command[2048];
    int at = snprintf(command, sizeof command, "cd %s && ", stage->dir);
    va_list args;
    va_start(args, format);
    vsnprintf(command + at, sizeof command - (size_t)at, format, args);
    va_end(args);
    assert_int_equal(system(command), 0); /* NOLINT: a shell is what tests use for files */
}

static void write_orders(const char *path, const char *orders)
{
    char name[256], fresh[256];
    snprintf(name, sizeof name, "%s/test_engine.txt", path);
    snprintf(fresh, sizeof fresh, "%s/test_engine.new", path);
    FILE *file = fopen(fresh, "we");
    assert_non_null(file);
    fputs(orders, file);
    fclose(file);
    assert_int_equal(rename(fresh, name), 0);
}

void stage_put(struct stage *stage, int64_t version, const char *orders)
{
    char path[128], final[128];
    snprintf(path, sizeof path, "%s/.put", stage->dir);
    snprintf(final, sizeof final, "%s/m/%lld", stage->dir, (long long)version);
    stage_shell(stage, "cp -r %s/half_plus_two/1 .put; if [ -d extra ]; then cp -r extra .put/assets.extra; fi",
                TEST_MODELS);
    char text[256];
    snprintf(text, sizeof text, "%s%svalue=%lld\n", orders, orders[0] != '\0' ? "\n" : "", (long long)version);
    write_orders(path, text);
    assert_int_equal(rename(path, final), 0);
}

void stage_orders(struct stage *stage, int64_t version, const char *orders)
{
    char path[128], text[256];
    snprintf(path, sizeof path, "%s/m/%lld", stage->dir, (long long)version);
    snprintf(text, sizeof text, "%s%svalue=%lld\n", orders, orders[0] != '\0' ? "\n" : "", (long long)version);
    write_orders(path, text);
}

void stage_remove(struct stage *stage, int64_t version)
{
    stage_shell(stage, "rm -r m/%lld", (long long)version);
}

/* ---- the swapper ---- */

void stage_open(struct stage *stage)
{
    memset(stage, 0, sizeof *stage);
    snprintf(stage->dir, sizeof stage->dir, "/tmp/everlit-swap-XXXXXX");
    assert_non_null(mkdtemp(stage->dir));
    stage_shell(stage, "mkdir m");
    stage->log = (struct el_log){ .fd = STDERR_FILENO,
                                  .least = getenv("TEST_LOG") != NULL ? EL_LOG_DEBUG : EL_LOG_ERROR + 1 };
    stage->loops = 1;
    stage->options = (struct el_swap_options){ .poll_wait_ms = 200, .incomplete_ms = 500 };
    stage->policy = (struct el_version_policy){ .type = EL_POLICY_LATEST, .latest = 1 };
    static char test[] = "test";
    stage->update = (struct el_update_config){ .engine = test,
                                               .quiet_ms = 20,
                                               .keep_warm_ms = 100,
                                               .load_timeout_ms = 60000,
                                               .probe_timeout_ms = 10000,
                                               .max_latency_ratio = 10,
                                               .tolerance = 1e-3,
                                               .hang_timeout_ms = 10000,
                                               .max_run_ms = 120000,
                                               .probe = el_probe_defaults() };
    assert_int_equal(uv_loop_init(&stage->loop), 0);
    uv_timer_init(&stage->loop, &stage->wait);
}

void stage_config(struct stage *stage, struct el_config *config, struct el_model_config *model)
{
    static char name[] = "m", base_path[80];
    snprintf(base_path, sizeof base_path, "%s/m", stage->dir);
    *model = (struct el_model_config){
        .name = name, .base_path = base_path, .policy = stage->policy, .update = stage->update
    };
    *config = (struct el_config){ .models = model, .model_count = 1 };
}

static void assert_ok(struct el_status *status)
{
    if (status != NULL)
        fail_msg("%s: %s", el_code_name(el_status_code(status)), el_status_text(status));
}

static void on_settled(void *argument)
{
    ((struct stage *)argument)->settled = true;
}

void stage_start(struct stage *stage)
{
    const struct el_workers_options options = { .uv_loop = &stage->loop,
                                                .log = &stage->log,
                                                .helper_path = TEST_HELPER,
                                                .engine_dir = TEST_ENGINE_DIR,
                                                .loops = stage->loops + 1 };
    assert_ok(el_workers_new(&options, &stage->workers));
    struct el_config config;
    struct el_model_config model;
    stage_config(stage, &config, &model);
    stage->options.uv_loop = &stage->loop;
    stage->options.log = &stage->log;
    stage->options.workers = stage->workers;
    if (stage->options.config == NULL)
        stage->options.config = &config;
    stage->options.completions_index = stage->loops;
    assert_ok(el_swap_new(&stage->options, &stage->swap));
    stage->options.config = NULL;
    el_swap_on_settled(stage->swap, on_settled, stage);
    el_swap_start(stage->swap);
}

static void on_stopped(void *argument)
{
    ((struct stage *)argument)->stopped = true;
}

static void on_wait(uv_timer_t *timer)
{
    (void)timer;
}

void stage_run_for(struct stage *stage, unsigned ms)
{
    uint64_t end = el_now_ns() + ms * EL_NS_PER_MS;
    uv_timer_start(&stage->wait, on_wait, 1, 5);
    while (el_now_ns() < end)
        uv_run(&stage->loop, UV_RUN_ONCE);
    uv_timer_stop(&stage->wait);
}

void stage_end_swap(struct stage *stage)
{
    if (stage->has_client)
        client_end(stage);
    if (stage->swap != NULL) {
        el_swap_stop(stage->swap, on_stopped, stage);
        uint64_t end = el_now_ns() + LIMIT_NS;
        uv_timer_start(&stage->wait, on_wait, 1, 5);
        while (!stage->stopped && el_now_ns() < end)
            uv_run(&stage->loop, UV_RUN_ONCE);
        uv_timer_stop(&stage->wait);
        assert_true(stage->stopped);
        el_swap_free(stage->swap);
    }
    if (stage->journal != NULL)
        el_journal_close(stage->journal);
    if (stage->workers != NULL)
        el_workers_free(stage->workers);
    stage->swap = NULL;
    stage->workers = NULL;
    stage->has_client = stage->stopped = stage->settled = false;
}

void stage_close(struct stage *stage)
{
    stage_end_swap(stage);
    uv_close((uv_handle_t *)&stage->wait, NULL);
    uv_run(&stage->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage->loop), 0);
    stage_shell(stage, "rm -rf %s", stage->dir);
}

/* ---- looking ---- */

struct seen stage_see(struct stage *stage, int64_t version)
{
    struct seen seen = { .state = EL_LIFE_STATES, .serving = -1 };
    const struct el_view *view = el_view_get(stage->swap);
    const struct el_model_view *model = el_view_model(view, "m", 1);
    if (model != NULL) {
        seen.serving = model->serving;
        for (size_t i = 0; i < model->version_count; i++) {
            const struct el_version_view *at = &model->versions[i];
            if (at->version != version)
                continue;
            seen.state = at->state;
            seen.code = at->code;
            seen.pid = at->pid;
            snprintf(seen.reason, sizeof seen.reason, "%s", at->reason);
            snprintf(seen.engine, sizeof seen.engine, "%s", at->engine);
            snprintf(seen.probe, sizeof seen.probe, "%s", at->probe);
            snprintf(seen.engine_reason, sizeof seen.engine_reason, "%s", at->engine_reason);
            seen.deaths = atomic_load(&at->stats->worker_deaths);
            seen.replayed = atomic_load(&at->stats->replayed);
            seen.errors = atomic_load(&at->stats->errors);
            seen.requests = atomic_load(&at->stats->requests);
        }
    }
    el_view_put(stage->swap, view);
    return seen;
}

static void print_event(const struct el_event *event, void *argument)
{
    (void)argument;
    fprintf(stderr, "  %llu %s version=%lld %s\n", (unsigned long long)event->id, event->event,
            (long long)event->version, event->text);
}

static void wait_for(struct stage *stage, bool (*holds)(struct stage *stage, const void *argument),
                     const void *argument, const char *what, int64_t version)
{
    uint64_t end = el_now_ns() + LIMIT_NS;
    uv_timer_start(&stage->wait, on_wait, 1, 2);
    while (!holds(stage, argument)) {
        if (el_now_ns() >= end) {
            el_swap_events(stage->swap, 0, print_event, NULL);
            struct seen seen = stage_see(stage, version);
            fail_msg("waited too long for %s of version %lld; it is %s (%s), serving is %lld; client: %llu answered, "
                     "%llu failed: %s",
                     what, (long long)version, el_life_name(seen.state), seen.reason, (long long)seen.serving,
                     (unsigned long long)stage->client.answered, (unsigned long long)stage->client.failed,
                     stage->client.first_failure);
        }
        uv_run(&stage->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&stage->wait);
}

struct wanted {
    int64_t version;
    enum el_life_state state;
    const char *event, *part;
    uint64_t count;
    unsigned found;
};

static bool in_state(struct stage *stage, const void *argument)
{
    const struct wanted *wanted = argument;
    return stage_see(stage, wanted->version).state == wanted->state;
}

void stage_wait_state(struct stage *stage, int64_t version, enum el_life_state state)
{
    const struct wanted wanted = { .version = version, .state = state };
    wait_for(stage, in_state, &wanted, el_life_name(state), version);
}

static bool is_serving(struct stage *stage, const void *argument)
{
    const struct wanted *wanted = argument;
    return stage_see(stage, wanted->version).serving == wanted->version;
}

void stage_wait_serving(struct stage *stage, int64_t version)
{
    const struct wanted wanted = { .version = version };
    wait_for(stage, is_serving, &wanted, "the default", version);
}

static void match_event(const struct el_event *event, void *argument)
{
    struct wanted *wanted = argument;
    if (strcmp(event->event, wanted->event) == 0 && (wanted->version == -2 || event->version == wanted->version) &&
        strstr(event->text, wanted->part) != NULL)
        wanted->found++;
}

static bool has_event(struct stage *stage, const void *argument)
{
    struct wanted wanted = *(const struct wanted *)argument;
    el_swap_events(stage->swap, 0, match_event, &wanted);
    return wanted.found > 0;
}

void stage_wait_event(struct stage *stage, const char *event, int64_t version, const char *part)
{
    const struct wanted wanted = { .version = version, .event = event, .part = part };
    wait_for(stage, has_event, &wanted, event, version);
}

unsigned stage_count_events(struct stage *stage, const char *event, int64_t version)
{
    struct wanted wanted = { .version = version, .event = event, .part = "" };
    el_swap_events(stage->swap, 0, match_event, &wanted);
    return wanted.found;
}

/* ---- the client ---- */

struct asking {
    struct el_request request; /* first: a request is an asking */
    struct client *client;
    bool busy;
    float row[784];
    uint64_t began_ns;
};

static struct el_status *fill(struct el_request *request, struct el_call *call, const struct el_signature *signature,
                              uint32_t *outputs, uint32_t *output_count)
{
    struct asking *asking = (struct asking *)(void *)request;
    int input = el_tensor_info_find(signature->inputs, signature->input_count, "input", 5);
    if (input < 0)
        return el_status_new(EL_INTERNAL, "no input");
    const struct el_shape shape = { .rank = 2, .dims = { 1, asking->client->columns } };
    void *data;
    EL_TRY(el_call_input(call, (uint32_t)input, EL_FLOAT, &shape, asking->client->columns * sizeof(float), &data));
    memcpy(data, asking->row, asking->client->columns * sizeof(float));
    outputs[0] = 0;
    *output_count = 1;
    return NULL;
}

/* Probabilities of ten digits. */
static bool are_probabilities(const struct asking *asking)
{
    const struct el_tensor *outputs;
    float answer[10], sum = 0;
    if (el_call_outputs(asking->request.call, &outputs) != 1 || outputs[0].size != sizeof answer)
        return false;
    memcpy(answer, outputs[0].data, sizeof answer);
    for (int i = 0; i < 10; i++)
        sum += answer[i];
    return sum > 0.99f && sum < 1.01f;
}

/* The test engine answers with the sum of the row and the version's number. */
static bool is_right(const struct asking *asking)
{
    const struct el_tensor *outputs;
    if (asking->client->columns == 784)
        return are_probabilities(asking);
    if (el_call_outputs(asking->request.call, &outputs) != 1 || outputs[0].size != 2 * sizeof(float))
        return false;
    float answer[2];
    memcpy(answer, outputs[0].data, sizeof answer);
    float sum = asking->row[0] + asking->row[1] + asking->row[2] + asking->row[3];
    return answer[0] == sum && (int64_t)answer[1] == asking->request.served_version;
}

static void done(struct el_request *request, const struct el_status *status)
{
    struct asking *asking = (struct asking *)(void *)request;
    struct client *client = asking->client;
    uint64_t took_ns = el_now_ns() - asking->began_ns;
    if (took_ns > client->slowest_ns)
        client->slowest_ns = took_ns;
    if (status != NULL) {
        if (client->failed == 0)
            snprintf(client->first_failure, sizeof client->first_failure, "%s: %s",
                     el_code_name(el_status_code(status)), el_status_text(status));
        client->failed++;
    } else {
        client->wrong += !is_right(asking);
        if (request->served_version < 64)
            client->by_version[request->served_version]++;
        client->last_version = request->served_version;
        client->answered++;
    }
    el_request_end(request);
    asking->busy = false;
    client->under_way--;
}

static void ask(struct client *client, struct asking *asking)
{
    const unsigned patience_ms = client->stage->patience_ms;
    asking->busy = true;
    asking->client = client;
    asking->began_ns = el_now_ns();
    for (unsigned i = 0; i < 4; i++)
        asking->row[i] = (float)((asking->began_ns >> (4 * i)) & 15);
    asking->request = (struct el_request){ .loop = client->swap_loop,
                                           .model = client->model,
                                           .model_size = strlen(client->model),
                                           .deadline_ns = patience_ms == 0
                                                              ? EL_NEVER_NS
                                                              : asking->began_ns + patience_ms * EL_NS_PER_MS,
                                           .fill = fill,
                                           .done = done };
    client->under_way++;
    el_request_start(&asking->request);
}

static void count_closed(uv_handle_t *handle)
{
    ((struct client *)handle->data)->open_handles--;
}

static void completions_closed(void *argument)
{
    struct client *client = argument;
    uv_close((uv_handle_t *)&client->wake, count_closed);
    uv_close((uv_handle_t *)&client->beat, count_closed);
    uv_close((uv_handle_t *)&client->prepare, count_closed);
}

static void loop_detached(void *argument)
{
    struct client *client = argument;
    el_completions_close(client->completions, completions_closed, client);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct client *client = prepare->data;
    if (client->order == 0) {
        for (unsigned i = 0; i < client->at_once; i++)
            if (!client->asking[i].busy)
                ask(client, &client->asking[i]);
    } else if (client->order == 2 && client->under_way == 0 && client->swap_loop != NULL) {
        el_swap_detach_loop(client->swap_loop, loop_detached, client);
        client->swap_loop = NULL;
    }
}

static void on_beat(uv_timer_t *timer)
{
    (void)timer; /* so that what failed at once is asked again */
}

static void on_wake(uv_async_t *async)
{
    (void)async;
}

static void *client_main(void *argument)
{
    struct client *client = argument;
    uv_loop_init(&client->loop);
    uv_async_init(&client->loop, &client->wake, on_wake);
    uv_timer_init(&client->loop, &client->beat);
    uv_prepare_init(&client->loop, &client->prepare);
    client->open_handles = 3;
    client->wake.data = client->beat.data = client->prepare.data = client;
    struct el_status *status = el_completions_new(client->stage->workers, client->index, &client->loop,
                                                  &client->completions);
    if (status == NULL)
        status = el_swap_attach_loop(client->stage->swap, client->completions, &client->loop, &client->swap_loop);
    if (status != NULL)
        abort();
    uv_timer_start(&client->beat, on_beat, 1, 1);
    uv_prepare_start(&client->prepare, on_prepare);
    uv_run(&client->loop, UV_RUN_DEFAULT);
    uv_loop_close(&client->loop);
    return NULL;
}

void client_start(struct stage *stage, unsigned at_once)
{
    struct client *client = &stage->client;
    memset(client, 0, sizeof *client);
    client->stage = stage;
    client->model = "m";
    client->at_once = at_once;
    client->columns = stage->columns > 0 ? stage->columns : 4;
    client->asking = calloc(at_once, sizeof *client->asking);
    assert_non_null(client->asking);
    stage->has_client = true;
    assert_int_equal(pthread_create(&client->thread, NULL, client_main, client), 0);
}

static bool has_answers(struct stage *stage, const void *argument)
{
    return stage->client.answered >= ((const struct wanted *)argument)->count;
}

void client_wait_answers(struct stage *stage, uint64_t more)
{
    const struct wanted wanted = { .count = stage->client.answered + more };
    wait_for(stage, has_answers, &wanted, "answers", 0);
}

static bool has_version(struct stage *stage, const void *argument)
{
    const struct wanted *wanted = argument;
    return stage->client.by_version[wanted->version] > wanted->count;
}

void client_wait_version(struct stage *stage, int64_t version)
{
    const struct wanted wanted = { .version = version, .count = stage->client.by_version[version] };
    wait_for(stage, has_version, &wanted, "answers", version);
}

void client_end(struct stage *stage)
{
    struct client *client = &stage->client;
    client->order = 2;
    /* What waits for a worker needs this loop to turn; the thread ends when nothing is under way. */
    uint64_t end = el_now_ns() + LIMIT_NS;
    uv_timer_start(&stage->wait, on_wait, 1, 2);
    while (client->under_way > 0 && el_now_ns() < end)
        uv_run(&stage->loop, UV_RUN_ONCE);
    uv_timer_stop(&stage->wait);
    pthread_join(client->thread, NULL);
    free(client->asking);
    stage->has_client = false;
}

void client_end_without_failure(struct stage *stage)
{
    client_end(stage);
    const struct client *client = &stage->client;
    if (client->failed > 0)
        fail_msg("%llu of %llu requests failed, the first with %s", (unsigned long long)client->failed,
                 (unsigned long long)(client->failed + client->answered), client->first_failure);
    assert_int_equal(client->wrong, 0);
    assert_true(client->answered > 0);
}

struct el_status *stage_fill_row(struct el_call *call, const float row[4], uint32_t *outputs, uint32_t *output_count)
{
    const struct el_shape shape = { .rank = 2, .dims = { 1, 4 } };
    void *data;
    EL_TRY(el_call_input(call, 0, EL_FLOAT, &shape, 4 * sizeof *row, &data));
    memcpy(data, row, 4 * sizeof *row);
    outputs[0] = 0;
    *output_count = 1;
    return NULL;
}

struct el_status *stage_wait_outcome(struct stage *stage, struct el_operation *operation)
{
    struct el_status *status = NULL;
    const uint64_t end = el_now_ns() + 60 * EL_NS_PER_S;
    while (!el_operate_outcome(stage->swap, operation, &status)) {
        if (el_now_ns() > end)
            fail_msg("%s of version %lld is not decided; serving is %lld", el_operation_name(operation->kind),
                     (long long)operation->version, (long long)stage_see(stage, 1).serving);
        stage_run_for(stage, 2);
    }
    return status;
}
