/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each node has a place where it belongs by its op and dtypes. Then the signature's outputs are asked for, backwards: who needs a
 * node's output needs it on his side. A node that the engine could compute is computed by the host where only the host needs it and all that
 * it comes from is known before the network runs (the sizes that strings are tiled by).
 */
#include "engine/host_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct making {
    struct host_plan *plan;
    host_types *engine_has;
    const struct host_assets *assets;
};

/* ---- places ---- */

/* INVALID for what the engine computes: it has the dtype. */
static enum el_dtype type_of(const struct host_plan *plan, struct host_ref ref)
{
    const struct host_node *node = node_of(plan, ref.node);
    const struct host_part *part = &plan->parts[ref.node];
    if (part->place == FEED)
        return (enum el_dtype)plan->declared->inputs[node->feed].dtype;
    if (part->place == CONSTANT)
        return host_attr_type(&node->def, "dtype", EL_DTYPE_INVALID);
    return part->place == HOST ? host_op_type(part->op, &node->def, ref.output) : EL_DTYPE_INVALID;
}

/* The worst of what goes in and comes out. */
static enum host_has worst_type(const struct making *making, const struct host_node *node, const struct host_op *op,
                                enum el_dtype *type)
{
    enum host_has worst = HOST_HAS;
    const uint32_t outputs = op == NULL ? 0 : host_op_outputs(op, &node->def);
    for (uint32_t i = 0; i < node->input_count + outputs; i++) {
        const enum el_dtype one = i < node->input_count ? type_of(making->plan, node->inputs[i])
                                                        : host_op_type(op, &node->def, i - node->input_count);
        const enum host_has has = one == EL_DTYPE_INVALID ? HOST_HAS : making->engine_has(one);
        if (has > worst) {
            worst = has;
            *type = one;
        }
    }
    return worst;
}

static struct el_status *make_early(struct host_plan *plan, uint32_t number)
{
    struct host_part *part = &plan->parts[number];
    const struct host_node *node = node_of(plan, number);
    part->early = part->place != ENGINE || part->op != NULL;
    for (uint32_t i = 0; i < node->input_count; i++)
        part->early = part->early && plan->parts[node->inputs[i].node].early;
    if (!part->early || part->place != ENGINE || part->op->make == NULL)
        return NULL;
    /* An op that the host has, but not for these dtypes, is the engine's. */
    void *state = NULL;
    struct el_status *status = part->op->make(&node->def, &state);
    if (status == NULL)
        (part->op->end != NULL ? part->op->end : free)(state);
    else if (el_status_code(status) != EL_UNIMPLEMENTED)
        return status;
    part->early = status == NULL;
    el_status_free(status);
    return NULL;
}

static struct el_status *find_place(const struct making *making, uint32_t number)
{
    struct host_plan *plan = making->plan;
    struct host_part *part = &plan->parts[number];
    const struct host_node *node = node_of(plan, number);
    if (node->role != HOST_ROLE_OP) {
        part->place = FEED;
        part->early = true;
        return NULL;
    }
    if (host_text_is(node->def.op, "Const")) {
        part->place = CONSTANT;
        part->early = true;
        return NULL;
    }
    part->place = ENGINE;
    part->op = host_op_find(node->def.op);
    enum el_dtype type = EL_DTYPE_INVALID;
    const enum host_has has = worst_type(making, node, part->op, &type);
    if (part->op == NULL && has == HOST_HAS_NOT)
        return el_status_new(EL_UNIMPLEMENTED,
                             "node \"%.*s\": the op %.*s of %s runs neither in OpenVINO nor beside it",
                             (int)node->def.name.size, node->def.name.data, (int)node->def.op.size, node->def.op.data,
                             el_dtype_name(type));
    if (part->op != NULL && (part->op->always || has == HOST_HAS_NOT))
        part->place = HOST;
    EL_TRY(make_early(plan, number));
    if (part->op != NULL && has == HOST_HAS_ROUGHLY && part->early)
        part->place = HOST;
    if (part->place == HOST && node->input_count < part->op->inputs)
        return el_status_new(EL_INVALID_ARGUMENT, "node \"%.*s\" has %u inputs, %u are expected",
                             (int)node->def.name.size, node->def.name.data, node->input_count, part->op->inputs);
    return NULL;
}

/* ---- demands ---- */

static struct el_status *add_border(struct host_border **list, uint32_t *count, const char *prefix, struct host_ref ref)
{
    for (uint32_t i = 0; i < *count; i++)
        if ((*list)[i].ref.node == ref.node && (*list)[i].ref.output == ref.output)
            return NULL;
    struct host_border *grown = host_grow(*list, *count, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    *list = grown;
    struct host_border border = { .ref = ref };
    /* As many digits as there may be: their order as texts is their order. */
    snprintf(border.name, sizeof border.name, "%s%06u", prefix, *count);
    grown[(*count)++] = border;
    return NULL;
}

/* The host needs it. */
static struct el_status *for_host(struct host_plan *plan, struct host_ref ref)
{
    struct host_part *part = &plan->parts[ref.node];
    if (part->place != ENGINE || (part->early && part->op != NULL)) {
        part->on_host = true;
        return NULL;
    }
    part->on_engine = true;
    return add_border(&plan->from_engine, &plan->from_count, "out", ref);
}

static struct el_status *for_engine(struct host_plan *plan, struct host_ref ref)
{
    struct host_part *part = &plan->parts[ref.node];
    if (part->place == CONSTANT || part->place == ENGINE) {
        part->on_engine = true;
        return NULL;
    }
    part->on_host = part->on_host || part->place == HOST;
    return add_border(&plan->to_engine, &plan->to_count, "in", ref);
}

/* Each node after all that need it. */
static struct el_status *spread(struct host_plan *plan)
{
    for (uint32_t i = plan->graph.order_count; i-- > 0;) {
        const uint32_t number = plan->graph.order[i];
        const struct host_part *part = &plan->parts[number];
        const struct host_node *node = node_of(plan, number);
        for (uint32_t in = 0; node->role == HOST_ROLE_OP && in < node->input_count; in++) {
            if (part->on_host)
                EL_TRY(for_host(plan, node->inputs[in]));
            if (part->on_engine)
                EL_TRY(for_engine(plan, node->inputs[in]));
        }
        plan->uses_engine = plan->uses_engine || (part->on_engine && part->place == ENGINE);
    }
    return NULL;
}

/* An output of the signature is taken where it is computed. */
static struct el_status *for_signature(struct host_plan *plan)
{
    for (uint32_t i = 0; i < plan->declared->output_count; i++) {
        struct host_part *part = &plan->parts[plan->fetched[i].node];
        if (part->place != ENGINE) {
            part->on_host = true;
            continue;
        }
        part->on_engine = true;
        EL_TRY(add_border(&plan->from_engine, &plan->from_count, "out", plan->fetched[i]));
    }
    return NULL;
}

/* What the engine is given, and that it is there before it runs. */
static struct el_status *describe_borders(const struct making *making)
{
    struct host_plan *plan = making->plan;
    for (uint32_t i = 0; i < plan->to_count; i++) {
        struct host_border *border = &plan->to_engine[i];
        const struct host_part *part = &plan->parts[border->ref.node];
        const struct host_node *node = node_of(plan, border->ref.node);
        const enum el_dtype type = type_of(plan, border->ref);
        if (part->after)
            return el_status_new(EL_UNIMPLEMENTED, "node \"%.*s\", which follows the network, is needed by it",
                                 (int)node->def.name.size, node->def.name.data);
        if (making->engine_has(type) == HOST_HAS_NOT)
            return el_status_new(EL_UNIMPLEMENTED, "the network is given %s", el_dtype_name(type));
        EL_TRY(host_value_number(plan, border->ref, &border->value));
        struct el_shape shape = { .rank = -1 };
        if (part->place == FEED) {
            const struct everlit_tensor_info *info = &plan->declared->inputs[node->feed];
            shape.rank = info->rank;
            memcpy(shape.dims, info->dims, sizeof shape.dims);
        } else {
            shape = host_op_shape(part->op, &node->def, border->ref.output);
        }
        border->info = (struct everlit_tensor_info){ .dtype = (int32_t)type, .rank = shape.rank };
        memcpy(border->info.dims, shape.dims, sizeof shape.dims);
    }
    return NULL;
}

/* The shape of what goes in, where the op that gives it changes none: of a feed, through such ops. */
static void see_shapes(struct host_plan *plan)
{
    for (uint32_t i = 0; i < plan->to_count; i++) {
        struct host_border *border = &plan->to_engine[i];
        struct host_ref ref = border->ref;
        while (border->info.rank < 0 && plan->parts[ref.node].place == HOST && plan->parts[ref.node].op->shape_of > 0) {
            ref = node_of(plan, ref.node)->inputs[plan->parts[ref.node].op->shape_of - 1];
            const struct host_part *part = &plan->parts[ref.node];
            struct el_shape shape = { .rank = -1 };
            if (part->place == HOST)
                shape = host_op_shape(part->op, &node_of(plan, ref.node)->def, ref.output);
            if (part->place == FEED) {
                const struct everlit_tensor_info *info = &plan->declared->inputs[node_of(plan, ref.node)->feed];
                shape.rank = info->rank;
                memcpy(shape.dims, info->dims, sizeof shape.dims);
            }
            border->info.rank = shape.rank;
            memcpy(border->info.dims, shape.dims, sizeof shape.dims);
        }
    }
}

/* ---- the whole ---- */

static struct el_status *read_graph(struct host_plan *plan, const void *bytes, size_t size)
{
    const struct everlit_signature *declared = plan->declared;
    plan->feed_names = calloc((size_t)declared->input_count + 1, sizeof *plan->feed_names);
    plan->fetch_names = calloc((size_t)declared->output_count + 1, sizeof *plan->fetch_names);
    plan->fetched = calloc((size_t)declared->output_count + 1, sizeof *plan->fetched);
    plan->outputs = calloc((size_t)declared->output_count + 1, sizeof *plan->outputs);
    if (plan->feed_names == NULL || plan->fetch_names == NULL || plan->fetched == NULL || plan->outputs == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < declared->input_count; i++)
        plan->feed_names[i] = declared->inputs[i].tensor_name;
    for (uint32_t i = 0; i < declared->output_count; i++)
        plan->fetch_names[i] = declared->outputs[i].tensor_name;
    return host_graph_read(bytes, size, plan->feed_names, declared->input_count, plan->fetch_names,
                           declared->output_count, &plan->graph, plan->fetched);
}

static struct el_status *fill_plan(const struct making *making, const void *bytes, size_t size)
{
    struct host_plan *plan = making->plan;
    EL_TRY(read_graph(plan, bytes, size));
    EL_TRY(host_tables_make(plan, making->assets));
    plan->parts = calloc((size_t)plan->graph.node_count + 1, sizeof *plan->parts);
    if (plan->parts == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < plan->graph.order_count; i++)
        if (node_of(plan, plan->graph.order[i])->role != HOST_ROLE_ALIAS)
            EL_TRY(find_place(making, plan->graph.order[i]));
    EL_TRY(for_signature(plan));
    EL_TRY(spread(plan));
    EL_TRY(host_steps_make(plan));
    EL_TRY(describe_borders(making));
    see_shapes(plan);
    for (uint32_t i = 0; i < plan->declared->output_count; i++)
        EL_TRY(host_value_number(plan, plan->fetched[i], &plan->outputs[i]));
    return NULL;
}

struct el_status *host_plan_make(const void *bytes, size_t size, const struct everlit_signature *declared,
                                 host_types *engine_has, const struct host_assets *assets, struct host_plan **plan)
{
    *plan = NULL;
    struct host_plan *made = calloc(1, sizeof *made);
    if (made == NULL)
        return el_status_no_memory();
    made->declared = declared;
    const struct making making = { made, engine_has, assets };
    struct el_status *status = fill_plan(&making, bytes, size);
    if (status == NULL)
        *plan = made;
    else
        host_plan_free(made);
    return status;
}

void host_plan_free(struct host_plan *plan)
{
    for (uint32_t i = 0; i < plan->step_count; i++) {
        const struct host_step *step = &plan->steps[i];
        (step->op->end != NULL ? step->op->end : free)(step->state);
        free(step->inputs);
    }
    for (uint32_t i = 0; plan->constants != NULL && i < plan->value_count; i++)
        host_value_free(&plan->constants[i]);
    host_tables_free(plan);
    free(plan->steps);
    free(plan->constants);
    free(plan->parts);
    free(plan->feed_names);
    free(plan->fetch_names);
    free(plan->fetched);
    free(plan->outputs);
    free(plan->to_engine);
    free(plan->from_engine);
    free(plan->engine_infos);
    host_graph_free(&plan->graph);
    free(plan);
}

bool host_plan_on_engine(const struct host_plan *plan, uint32_t node)
{
    return plan->parts[node].on_engine && plan->parts[node].place != FEED && plan->parts[node].place != HOST;
}
