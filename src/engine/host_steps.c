/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_part.h"

#include <stdio.h>
#include <string.h>

static struct el_status *add_values(struct host_plan *plan)
{
    plan->value_count = plan->declared->input_count;
    for (uint32_t i = 0; i < plan->graph.order_count; i++) {
        struct host_part *part = &plan->parts[plan->graph.order[i]];
        const struct host_node *node = node_of(plan, plan->graph.order[i]);
        part->value = part->place == FEED ? node->feed : plan->value_count;
        if (part->place != FEED && part->on_host)
            plan->value_count += part->place == CONSTANT ? 1 : host_op_outputs(part->op, &node->def);
    }
    for (uint32_t i = 0; i < plan->from_count; i++)
        plan->from_engine[i].value = plan->value_count++;
    plan->constants = calloc((size_t)plan->value_count + 1, sizeof *plan->constants);
    return plan->constants == NULL ? el_status_no_memory() : NULL;
}

struct el_status *host_value_number(const struct host_plan *plan, struct host_ref ref, uint32_t *value)
{
    const struct host_part *part = &plan->parts[ref.node];
    const struct host_node *node = node_of(plan, ref.node);
    const uint32_t outputs = part->place == HOST || (part->op != NULL && part->on_host)
                                 ? host_op_outputs(part->op, &node->def)
                                 : 1;
    if (part->on_host || part->place == FEED) {
        if (ref.output >= outputs)
            return el_status_new(EL_INVALID_ARGUMENT, "node \"%.*s\" has %u outputs, number %u is used",
                                 (int)node->def.name.size, node->def.name.data, outputs, ref.output);
        *value = part->value + ref.output;
        return NULL;
    }
    for (uint32_t i = 0; i < plan->from_count; i++)
        if (plan->from_engine[i].ref.node == ref.node && plan->from_engine[i].ref.output == ref.output)
            *value = plan->from_engine[i].value;
    return NULL;
}

static struct el_status *add_constant(struct host_plan *plan, uint32_t number)
{
    const struct host_node *node = node_of(plan, number);
    struct el_span tensor;
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)(node->def.name.size < 255 ? node->def.name.size : 255),
             node->def.name.data);
    if (!host_attr_tensor(&node->def, "value", &tensor))
        return el_status_new(EL_INVALID_ARGUMENT, "constant \"%s\" has no value", name);
    struct host_value *value = &plan->constants[plan->parts[number].value];
    EL_TRY(host_value_from_proto(tensor.data, tensor.size, name, value));
    if (value->tensor.dtype != host_attr_type(&node->def, "dtype", EL_DTYPE_INVALID))
        return el_status_new(EL_INVALID_ARGUMENT, "constant \"%s\" is %s, which it does not say", name,
                             el_dtype_name(value->tensor.dtype));
    return NULL;
}

static struct el_status *add_step(struct host_plan *plan, uint32_t number)
{
    struct host_part *part = &plan->parts[number];
    const struct host_node *node = node_of(plan, number);
    struct host_step *grown = host_grow(plan->steps, plan->step_count, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    plan->steps = grown;
    struct host_step *step = &grown[plan->step_count];
    *step = (struct host_step){ .op = part->op, .node = number, .first_output = part->value };
    step->inputs = calloc((size_t)node->input_count + 1, sizeof *step->inputs);
    if (step->inputs == NULL)
        return el_status_no_memory();
    plan->step_count++;
    step->input_count = node->input_count;
    step->output_count = host_op_outputs(part->op, &node->def);
    step->first_type = part->op->first_attr != NULL ? host_attr_type(&node->def, part->op->first_attr, EL_DTYPE_INVALID)
                                                    : part->op->first_type;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct host_part *input = &plan->parts[node->inputs[i].node];
        EL_TRY(host_value_number(plan, node->inputs[i], &step->inputs[i]));
        part->after = part->after || (input->on_host ? input->after : input->place == ENGINE);
    }
    step->after = part->after;
    if (part->op->end == host_table_end && step->input_count > 0) {
        const struct host_table *table;
        EL_TRY(host_tables_find(plan, node->inputs[0].node, &table));
        step->table = table;
    }
    struct el_status *status = part->op->make == NULL ? NULL : part->op->make(&node->def, &step->state);
    return el_status_prefix(status, "node \"%.*s\"", (int)node->def.name.size, node->def.name.data);
}

static struct el_status *add_steps(struct host_plan *plan)
{
    for (uint32_t i = 0; i < plan->graph.order_count; i++) {
        const uint32_t number = plan->graph.order[i];
        const struct host_part *part = &plan->parts[number];
        if (!part->on_host || part->place == FEED)
            continue;
        EL_TRY(part->place == CONSTANT ? add_constant(plan, number) : add_step(plan, number));
    }
    return NULL;
}

struct el_status *host_steps_make(struct host_plan *plan)
{
    EL_TRY(add_values(plan));
    return add_steps(plan);
}
