/* SPDX-License-Identifier: Apache-2.0 */
/* One run: the steps before the network, the network, the steps after it; of each only what the outputs asked for need. */
#include "engine/host_plan.h"

#include <stdlib.h>
#include <string.h>

struct running {
    const struct host_plan *plan;
    struct host_value *values;
    bool *needed; /* by value */
    bool engine_needed;
};

static bool gives_needed(const struct running *running, const struct host_step *step)
{
    for (uint32_t i = 0; i < step->output_count; i++)
        if (running->needed[step->first_output + i])
            return true;
    return false;
}

static void need_for_steps(struct running *running, bool after)
{
    const struct host_plan *plan = running->plan;
    for (uint32_t i = plan->step_count; i-- > 0;) {
        const struct host_step *step = &plan->steps[i];
        if (step->after != after || !gives_needed(running, step))
            continue;
        for (uint32_t in = 0; in < step->input_count; in++)
            running->needed[step->inputs[in]] = true;
    }
}

/* Backwards, from the outputs that were asked for. */
static void find_needed(struct running *running, const struct everlit_run *run)
{
    const struct host_plan *plan = running->plan;
    for (uint32_t i = 0; i < run->output_count; i++)
        running->needed[plan->outputs[run->outputs[i]]] = true;
    need_for_steps(running, true);
    for (uint32_t i = 0; i < plan->from_count; i++)
        running->engine_needed = running->engine_needed || running->needed[plan->from_engine[i].value];
    for (uint32_t i = 0; running->engine_needed && i < plan->to_count; i++)
        running->needed[plan->to_engine[i].value] = true;
    need_for_steps(running, false);
}

static void take_inputs(struct running *running, const struct everlit_run *run)
{
    const struct host_plan *plan = running->plan;
    for (uint32_t i = 0; i < plan->value_count; i++)
        if (plan->constants[i].owned != NULL)
            running->values[i] = host_value_view(&plan->constants[i].tensor);
    for (uint32_t i = 0; i < run->input_count; i++) {
        const struct everlit_tensor *given = &run->inputs[i];
        struct el_tensor tensor = { .dtype = (enum el_dtype)given->dtype,
                                    .shape = { .rank = given->rank },
                                    .data = given->data,
                                    .size = (size_t)given->size };
        memcpy(tensor.shape.dims, given->dims, sizeof tensor.shape.dims);
        running->values[given->index] = host_value_view(&tensor);
    }
}

static struct el_status *call_op(const struct running *running, const struct host_step *step,
                                 const struct host_value **inputs)
{
    for (uint32_t i = 0; i < step->input_count; i++)
        inputs[i] = &running->values[step->inputs[i]];
    const enum el_dtype type = step->input_count == 0 ? EL_DTYPE_INVALID : inputs[0]->tensor.dtype;
    if (step->first_type != EL_DTYPE_INVALID && type != step->first_type)
        return el_status_new(EL_INVALID_ARGUMENT, "it is given %s, %s is expected", el_dtype_short_name(type),
                             el_dtype_short_name(step->first_type));
    const struct host_call call = { .state = step->table != NULL ? (const void *)step->table : step->state,
                                    .inputs = inputs,
                                    .input_count = step->input_count,
                                    .outputs = &running->values[step->first_output],
                                    .output_count = step->output_count };
    return step->op->run(&call);
}

static struct el_status *run_step(const struct running *running, const struct host_step *step)
{
    const struct host_value **inputs = calloc((size_t)step->input_count + 1, sizeof *inputs);
    if (inputs == NULL)
        return el_status_no_memory();
    struct el_status *status = call_op(running, step, inputs);
    free(inputs);
    return status == NULL ? NULL : host_graph_error(&running->plan->graph, step->node, status);
}

static struct el_status *run_steps(const struct running *running, bool after)
{
    const struct host_plan *plan = running->plan;
    for (uint32_t i = 0; i < plan->step_count; i++)
        if (plan->steps[i].after == after && gives_needed(running, &plan->steps[i]))
            EL_TRY(run_step(running, &plan->steps[i]));
    return NULL;
}

static struct el_status *run_engine(const struct running *running, host_engine *engine, void *closure)
{
    const struct host_plan *plan = running->plan;
    const struct host_value **inputs = calloc((size_t)plan->to_count + 1, sizeof *inputs);
    if (inputs == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < plan->to_count; i++)
        inputs[i] = &running->values[plan->to_engine[i].value];
    /* The values that it answers are one after the other. */
    struct el_status *status = engine(closure, inputs, &running->values[plan->from_engine[0].value]);
    free(inputs);
    return status;
}

static struct el_status *give_output(const struct running *running, const struct everlit_run *run, uint32_t index)
{
    const struct everlit_tensor_info *info = &running->plan->declared->outputs[index];
    const struct el_tensor *from = &running->values[running->plan->outputs[index]].tensor;
    if ((int32_t)from->dtype != info->dtype)
        return el_status_new(EL_INTERNAL, "output \"%s\" is %s, %s is declared", info->name, el_dtype_name(from->dtype),
                             el_dtype_name((enum el_dtype)info->dtype));
    struct everlit_tensor tensor = {
        .index = index, .dtype = info->dtype, .rank = from->shape.rank, .size = from->size
    };
    memcpy(tensor.dims, from->shape.dims, sizeof tensor.dims);
    void *to = run->output(run->host, &tensor);
    if (to == NULL)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "output \"%s\": there is no memory for its %zu bytes", info->name,
                             from->size);
    if (from->size > 0)
        memcpy(to, from->data, from->size);
    return NULL;
}

static struct el_status *run_all(struct running *running, const struct everlit_run *run, host_engine *engine,
                                 void *closure)
{
    take_inputs(running, run);
    find_needed(running, run);
    EL_TRY(run_steps(running, false));
    if (running->engine_needed)
        EL_TRY(run_engine(running, engine, closure));
    EL_TRY(run_steps(running, true));
    for (uint32_t i = 0; i < run->output_count; i++)
        EL_TRY(give_output(running, run, run->outputs[i]));
    return NULL;
}

struct el_status *host_run(const struct host_plan *plan, const struct everlit_run *run, host_engine *engine,
                           void *closure)
{
    struct running running = {
        .plan = plan,
        .values = calloc((size_t)plan->value_count + 1, sizeof *running.values),
        .needed = calloc((size_t)plan->value_count + 1, sizeof *running.needed),
    };
    struct el_status *status = running.values == NULL || running.needed == NULL
                                   ? el_status_no_memory()
                                   : run_all(&running, run, engine, closure);
    for (uint32_t i = 0; running.values != NULL && i < plan->value_count; i++)
        host_value_free(&running.values[i]);
    free(running.values);
    free(running.needed);
    return status;
}
