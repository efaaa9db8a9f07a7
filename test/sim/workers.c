/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that are structs: what stands in for the worker room, by the promises of worker.h. A worker reads its files at some
 * moment of its load, so what it serves is what was there then; what it does is its content's trait.
 *
 * A death is heard of in any order: by calls at once, by the swap thread a little later.
 */
#include "sim.h"

#include "base/clock.h"
#include "worker/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct el_workers {
    int unused;
};

/* ---- what they can be asked ---- */

static char name_x[] = "x", name_y[] = "y", name_z[] = "z", name_default[] = "serving_default", name_none[] = "";
static char name_predict[] = "tensorflow/serving/predict";
static struct el_tensor_info input_x = {
    .name = name_x, .tensor_name = name_none, .dtype = EL_FLOAT, .shape = { .rank = 1, .dims = { -1 } }
};
static struct el_tensor_info input_z = {
    .name = name_z, .tensor_name = name_none, .dtype = EL_FLOAT, .shape = { .rank = 1, .dims = { -1 } }
};
static struct el_tensor_info output_y = {
    .name = name_y, .tensor_name = name_none, .dtype = EL_FLOAT, .shape = { .rank = 1, .dims = { -1 } }
};
static struct el_signature predict_x = { .name = name_default,
                                         .method_name = name_predict,
                                         .inputs = &input_x,
                                         .outputs = &output_y,
                                         .input_count = 1,
                                         .output_count = 1 };
static struct el_signature predict_z = { .name = name_default,
                                         .method_name = name_predict,
                                         .inputs = &input_z,
                                         .outputs = &output_y,
                                         .input_count = 1,
                                         .output_count = 1 };
static const struct el_signatures usual = { .list = &predict_x, .count = 1 };
static const struct el_signatures other = { .list = &predict_z, .count = 1 };

const struct el_signatures *el_worker_signatures(const struct el_worker *worker)
{
    return worker->content->trait == SIM_OTHER_INPUTS ? &other : &usual;
}

/* ---- the end ---- */

static void emit(struct el_worker *worker, enum el_worker_event_type type, const struct el_status *status)
{
    const struct el_worker_event event = { .type = type,
                                           .status = status,
                                           .load_ms = (double)(el_now_ns() - worker->started_ns) / 1e6 };
    worker->on_event(worker, &event, worker->argument);
}

static void on_grace(void *argument);

static void on_gone(void *argument)
{
    struct el_worker *worker = argument;
    worker->step = NULL;
    emit(worker, EL_WORKER_GONE, NULL);
}

void sim_worker_settle(struct el_worker *worker)
{
    if (worker->stopping && worker->state == SIM_LOADED && el_list_empty(&worker->calls)) {
        sim_cancel(worker->step);
        worker->step = sim_after(SIM_SWAP, sim_below(&sim->random, SIM_MS), on_grace, worker);
    }
    const bool told = worker->state == SIM_DEAD &&
                      (worker->died_told || (worker->why == NULL && worker->failed == NULL));
    if (!told || worker->step != NULL || !el_list_empty(&worker->calls))
        return;
    worker->state = SIM_GONE;
    worker->step = sim_after(SIM_SWAP, sim_below(&sim->random, SIM_MS), on_gone, worker);
}

static void on_dead(void *argument)
{
    struct el_worker *worker = argument;
    worker->step = NULL;
    worker->died_told = true;
    if (worker->failed != NULL)
        emit(worker, EL_WORKER_FAILED, worker->failed);
    else if (worker->why != NULL)
        emit(worker, EL_WORKER_DIED, worker->why);
    sim_worker_settle(worker);
}

static void end(struct el_worker *worker, struct el_status *failed, struct el_status *why)
{
    if (worker->state >= SIM_DEAD) {
        el_status_free(failed);
        el_status_free(why);
        return;
    }
    sim_cancel(worker->step);
    sim_cancel(worker->hang);
    worker->hang = NULL;
    worker->state = SIM_DEAD;
    if (worker->content != NULL && !sim->stopping)
        worker->content->kills = 0;
    worker->failed = failed;
    worker->why = worker->stopping ? NULL : why;
    if (worker->stopping)
        el_status_free(why);
    if (failed != NULL || worker->why != NULL)
        sim_excuse(worker->model);
    if (failed != NULL || worker->why != NULL)
        sim_story("worker", "%s/%lld process %d: %s", worker->model, (long long)worker->version, (int)worker->pid,
                  el_status_text(failed != NULL ? failed : why));
    sim_calls_died(worker);
    worker->step = sim_after(SIM_SWAP, sim_below(&sim->random, sim_chance(&sim->random, 10) ? 300 * SIM_MS : SIM_MS),
                             on_dead, worker);
}

void sim_worker_die(struct el_worker *worker, struct el_status *why)
{
    end(worker, NULL, why);
}

void el_worker_kill(struct el_worker *worker, struct el_status *status)
{
    end(worker, NULL, status);
}

static void on_grace(void *argument)
{
    struct el_worker *worker = argument;
    worker->step = NULL;
    end(worker, NULL, NULL);
}

/* No call is left, or it is forced: the process ends. */
void el_worker_stop(struct el_worker *worker, uint32_t grace_ms)
{
    if (worker->state >= SIM_DEAD || worker->stopping)
        return;
    worker->stopping = true;
    sim_cancel(worker->step);
    const uint64_t grace_ns = el_list_empty(&worker->calls) || worker->state == SIM_LOADING
                                  ? sim_below(&sim->random, 20 * SIM_MS)
                                  : grace_ms * SIM_MS;
    worker->step = sim_after(SIM_SWAP, grace_ns, on_grace, worker);
}

void el_worker_free(struct el_worker *worker)
{
    assert(worker->state == SIM_GONE && worker->step == NULL && el_list_empty(&worker->calls));
    el_list_remove(&worker->in_sim);
    el_status_free(worker->why);
    el_status_free(worker->failed);
    free(worker);
}

/* ---- the load ---- */

static void loaded(void *argument)
{
    struct el_worker *worker = argument;
    worker->step = NULL;
    worker->state = SIM_LOADED;
    sim_story("worker", "%s/%lld process %d is loaded: content %u, %s", worker->model, (long long)worker->version,
              (int)worker->pid, worker->content->id, sim_trait_name(worker->content->trait));
    emit(worker, EL_WORKER_LOADED, NULL);
}

static void too_long(void *argument)
{
    struct el_worker *worker = argument;
    worker->step = NULL;
    end(worker,
        el_status_new(EL_DEADLINE_EXCEEDED, "worker of %s version %lld did not load within %u ms", worker->model,
                      (long long)worker->version, worker->load_timeout_ms),
        NULL);
}

static void fails(void *argument)
{
    struct el_worker *worker = argument;
    worker->step = NULL;
    if (worker->content->trait == SIM_LOAD_PASSING)
        end(worker, el_status_new(EL_RESOURCE_EXHAUSTED, "no memory for %s", worker->path), NULL);
    else
        end(worker, el_status_new(EL_INTERNAL, "the graph in %s is broken", worker->path), NULL);
}

static void crashes(void *argument)
{
    struct el_worker *worker = argument;
    worker->step = NULL;
    end(worker, NULL,
        el_status_new(EL_UNAVAILABLE,
                      "worker of %s version %lld was killed by signal 11 (Segmentation fault) while "
                      "loading",
                      worker->model, (long long)worker->version));
}

static void kill_server(void *argument)
{
    struct el_worker *worker;
    const struct el_worker *loading = NULL;
    el_list_each (worker, &sim->workers, in_sim) {
        if (worker->pid == (pid_t)(intptr_t)argument && worker->state == SIM_LOADING)
            loading = worker;
    }
    if (loading == NULL || sim->swap == NULL || sim->stopping)
        return; /* it is not loaded any more */
    sim_story("machine", "a load takes the server down");
    sim_rules_killed(loading);
    sim_server_stop(true);
    sim_server_start();
}

static void read_files(void *argument)
{
    struct el_worker *worker = argument;
    worker->step = NULL;
    const struct sim_version_dir *found = sim_version_dir_find(worker->path);
    if (found == NULL || !found->whole) {
        end(worker, el_status_new(EL_NOT_FOUND, "%s: No such file or directory", worker->path), NULL);
        return;
    }
    struct sim_content *content = worker->content = found->content;
    content->loads++;
    void (*next)(void *argument) = loaded;
    uint64_t span_ns = content->load_ns / 2 + sim_below(&sim->random, content->load_ns);
    if (content->trait == SIM_LOAD_FAILS || (content->trait == SIM_LOAD_PASSING && content->loads <= content->after))
        next = fails;
    else if (content->trait == SIM_LOAD_CRASHES)
        next = crashes;
    else if (content->trait == SIM_LOAD_KILLS && !sim->calm)
        sim_after(SIM_WORLD, span_ns / 2, kill_server, (void *)(intptr_t)worker->pid);
    if ((content->trait == SIM_LOAD_KILLS && sim->calm) || content->trait == SIM_LOAD_HANGS ||
        (worker->load_timeout_ms > 0 && span_ns > worker->load_timeout_ms * SIM_MS)) {
        next = too_long;
        span_ns = worker->load_timeout_ms * SIM_MS;
    }
    worker->step = sim_after(SIM_SWAP, span_ns, next, worker);
}

struct el_status *el_worker_start(struct el_workers *workers, const struct el_worker_options *options,
                                  el_worker_on_event *on_event, void *argument, struct el_worker **made)
{
    (void)workers;
    struct el_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        abort();
    snprintf(worker->model, sizeof worker->model, "%s", options->model);
    snprintf(worker->path, sizeof worker->path, "%s", options->path);
    snprintf(worker->engine, sizeof worker->engine, "%s", options->engine);
    worker->version = options->version;
    worker->load_timeout_ms = options->load_timeout_ms;
    worker->hang_timeout_ms = options->hang_timeout_ms;
    worker->max_run_ms = options->max_run_ms;
    worker->memory_limit = options->memory_limit_bytes;
    worker->on_event = on_event;
    worker->argument = argument;
    worker->pid = ++sim->last_pid;
    worker->started_ns = el_now_ns();
    el_list_init(&worker->calls);
    el_list_add_before(&worker->in_sim, &sim->workers);
    sim_story("worker", "%s/%lld process %d begins to load with %s", worker->model, (long long)worker->version,
              (int)worker->pid, worker->engine);
    worker->step = sim_after(SIM_SWAP, sim_below(&sim->random, 100 * SIM_MS), read_files, worker);
    *made = worker;
    return NULL;
}

/* ---- what is asked of them beside ---- */

const char *el_worker_engine(const struct el_worker *worker)
{
    return worker->engine;
}

const char *el_worker_engine_version(const struct el_worker *worker)
{
    (void)worker;
    return "1";
}

void el_worker_promote(struct el_worker *worker)
{
    (void)worker;
}

void el_worker_set_batching(struct el_worker *worker, const struct el_batching *batching)
{
    (void)worker;
    (void)batching;
}

pid_t el_worker_pid(const struct el_worker *worker)
{
    return worker->pid;
}

uint64_t el_worker_taken_bytes(const struct el_worker *worker)
{
    if (worker->content == NULL || worker->state >= SIM_DEAD)
        return 0;
    return (worker->state == SIM_LOADING ? worker->content->taken / 2 : worker->content->taken) + worker->leaked;
}

uint64_t el_worker_peak_bytes(const struct el_worker *worker)
{
    return el_worker_taken_bytes(worker);
}

uint64_t el_worker_resident_bytes(const struct el_worker *worker)
{
    return el_worker_taken_bytes(worker);
}

void el_worker_memory(const struct el_worker *worker, struct el_worker_memory *memory)
{
    *memory = (struct el_worker_memory){ .private_bytes = el_worker_taken_bytes(worker),
                                         .resident_bytes = el_worker_taken_bytes(worker) };
}

uint64_t sim_memory_taken(void)
{
    uint64_t sum = 0;
    const struct el_worker *worker;
    el_list_each (worker, &sim->workers, in_sim) {
        sum += el_worker_taken_bytes(worker);
    }
    return sum;
}

struct el_worker *sim_worker_any(void)
{
    struct el_worker *worker, *found = NULL;
    uint64_t seen = 0;
    el_list_each (worker, &sim->workers, in_sim) {
        if (worker->state < SIM_DEAD && !worker->stopping && sim_below(&sim->random, ++seen) == 0)
            found = worker;
    }
    return found;
}

void sim_workers_close(void)
{
    if (!el_list_empty(&sim->workers)) {
        const struct el_worker *worker = EL_CONTAINER(sim->workers.next, struct el_worker, in_sim);
        sim_violated("workers end", "the worker of %s version %lld is left when the server has ended", worker->model,
                     (long long)worker->version);
    }
}

struct el_status *el_completions_new(struct el_workers *workers, uint32_t index, uv_loop_t *uv_loop,
                                     struct el_completions **made)
{
    (void)workers;
    (void)index;
    *made = calloc(1, sizeof **made);
    if (*made == NULL)
        return el_status_no_memory();
    (*made)->thread = uv_loop == &sim->loop ? SIM_SWAP : SIM_CLIENT;
    return NULL;
}

struct closing {
    struct el_completions *completions;
    void (*closed)(void *argument);
    void *argument;
};

static void on_completions_closed(void *argument)
{
    struct closing *closing = argument;
    if (closing->closed != NULL)
        closing->closed(closing->argument);
    free(closing->completions);
    free(closing);
}

void el_completions_close(struct el_completions *completions, void (*closed)(void *argument), void *argument)
{
    struct closing *closing = malloc(sizeof *closing);
    if (closing == NULL)
        abort();
    if (completions->calls > 0)
        sim_violated("calls are ended", "%u calls are left when their loop lets go of them", completions->calls);
    *closing = (struct closing){ .completions = completions, .closed = closed, .argument = argument };
    sim_after(completions->thread, 0, on_completions_closed, closing);
}
