/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients on an event loop of their own: they ask without naming a version, now and then with one, and check what comes back.
 *
 * A request that fails needs an excuse: something that happened to its model while it was under way, or shortly before (a worker that
 * died, a run that was bad, nobody to answer). Where everything was good all the time, so must the answer be.
 */
#include "sim.h"

#include "base/clock.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

#define MOST_ASKED 128
#define RECENT_NS (12 * SIM_S) /* a worker that died is replaced within it */

struct asking {
    struct el_request request; /* first: a request is an asking */
    bool busy;
    bool names_version;
    uint32_t model;
    float value;
    uint64_t began_ns;
};

static struct {
    uv_loop_t uv_loop;
    struct el_completions *completions;
    struct el_swap_loop *loop;
    struct asking asking[MOST_ASKED];
    uint32_t busy;
    uint64_t gap_ns;
    bool up, closed;
} clients;

static struct el_status *fill(struct el_request *request, struct el_call *call, const struct el_signature *signature,
                              uint32_t *outputs, uint32_t *output_count)
{
    const struct asking *asking = (const struct asking *)(const void *)request;
    if (strcmp(signature->inputs[0].name, "x") != 0) {
        sim_excuse(sim->models[asking->model].name);
        return el_status_new(EL_INVALID_ARGUMENT, "there is no input x");
    }
    const struct el_shape shape = { .rank = 1, .dims = { 1 } };
    void *data;
    EL_TRY(el_call_input(call, 0, EL_FLOAT, &shape, sizeof asking->value, &data));
    memcpy(data, &asking->value, sizeof asking->value);
    outputs[0] = 0;
    *output_count = 1;
    return NULL;
}

static void check_failure(const struct asking *asking, const struct el_status *status)
{
    const struct sim_model *model = &sim->models[asking->model];
    if (asking->names_version || !model->configured || !model->served || model->gave_up ||
        model->excuse_ns + RECENT_NS >= asking->began_ns)
        return;
    sim_violated("a good version answers", "%s: a request that began at %.6f s failed: %s: %s", model->name,
                 (double)asking->began_ns / 1e9, el_code_name(el_status_code(status)), el_status_text(status));
}

static void done(struct el_request *request, const struct el_status *status)
{
    struct asking *asking = (struct asking *)(void *)request;
    if (!sim->stopping && status == NULL) {
        const struct el_tensor *outputs;
        float answer = 0;
        el_call_outputs(request->call, &outputs);
        memcpy(&answer, outputs[0].data, sizeof answer);
        if (answer == answer && answer != 0.5f * asking->value + 2.0f) /* NaN is another matter */
            sim_violated("answers are right", "%s version %lld answers %g to %g", sim->models[asking->model].name,
                         (long long)request->served_version, (double)answer, (double)asking->value);
        sim->answered++;
        sim->models[asking->model].answered++;
    } else if (!sim->stopping) {
        sim->failed++;
        check_failure(asking, status);
    }
    el_request_end(request);
    asking->busy = false;
    clients.busy--;
}

void sim_ask(uint32_t model, uint64_t patience_ms, bool poison)
{
    struct asking *asking = NULL;
    for (size_t i = 0; i < MOST_ASKED && asking == NULL; i++)
        if (!clients.asking[i].busy)
            asking = &clients.asking[i];
    if (!clients.up || asking == NULL)
        return;
    const struct sim_model *of = &sim->models[model];
    *asking = (struct asking){ .busy = true, .model = model, .began_ns = el_now_ns() };
    asking->value = poison ? 666.0f : (float)sim_below(&sim->random, 100);
    asking->names_version = sim_chance(&sim->random, 5);
    asking->request = (struct el_request){
        .loop = clients.loop,
        .model = of->name,
        .model_size = strlen(of->name),
        .has_version = asking->names_version,
        .version = (int64_t)sim_between(&sim->random, 1, (uint64_t)of->dir.last + 1),
        .deadline_ns = patience_ms == 0 ? EL_NEVER_NS : asking->began_ns + patience_ms * EL_NS_PER_MS,
        .fill = fill,
        .done = done,
    };
    sim->asked++;
    clients.busy++;
    el_request_start(&asking->request);
}

static void on_beat(void *argument)
{
    (void)argument;
    sim_after(SIM_WORLD, sim_below(&sim->random, 2 * clients.gap_ns) + 1, on_beat, NULL);
    sim_ask((uint32_t)sim_below(&sim->random, sim->model_count),
            sim_chance(&sim->random, 10) ? 0 : sim_between(&sim->random, 200, 15000), false);
}

void sim_clients_open(void)
{
    memset(&clients, 0, sizeof clients);
    clients.gap_ns = sim_between(&sim->random, 10, 150) * SIM_MS;
    sim_after(SIM_WORLD, 0, on_beat, NULL);
}

static void fatal(struct el_status *status)
{
    if (status != NULL)
        sim_violated("clients start", "%s", el_status_text(status));
}

void sim_clients_start(void)
{
    fatal(el_completions_new(NULL, 1, &clients.uv_loop, &clients.completions));
    fatal(el_swap_attach_loop(sim->swap, clients.completions, &clients.uv_loop, &clients.loop));
    clients.up = true;
}

static void on_closed(void *argument)
{
    (void)argument;
    clients.closed = true;
}

static void on_detached(void *argument)
{
    (void)argument;
    el_completions_close(clients.completions, on_closed, NULL);
}

void sim_clients_stop(void)
{
    clients.up = clients.closed = false;
    for (size_t i = 0; i < MOST_ASKED; i++)
        if (clients.asking[i].busy)
            el_request_cancel(&clients.asking[i].request);
    while (clients.busy > 0 && sim_step(UINT64_MAX, true))
        ;
    if (clients.busy > 0)
        sim_violated("requests end", "%u requests are left without an end", clients.busy);
    el_swap_detach_loop(clients.loop, on_detached, NULL);
    while (!clients.closed && sim_step(UINT64_MAX, true))
        ;
}
