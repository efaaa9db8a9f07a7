/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's part as nodes beside the graph's own: copies of those nodes with other names, whose inputs are each other and, at the
 * border, Placeholders. What has no input and lies in the graph itself (constants, variables) is used where it is: its name may
 * matter to who reads the weights.
 */
#include "engine/host_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_NAME = 1, NODE_OP = 2, NODE_INPUT = 3, NODE_ATTR = 5 };

static bool stays(const struct host_plan *plan, uint32_t number)
{
    const struct host_node *node = &plan->graph.nodes[number];
    return node->scope == 0 && node->input_count == 0;
}

/* The node's name in the engine's part. */
static void put_name(const struct host_plan *plan, uint32_t number, struct el_buf *buf)
{
    const struct host_node *node = &plan->graph.nodes[number];
    if (stays(plan, number))
        el_buf_append(buf, node->def.name.data, node->def.name.size);
    else
        el_buf_printf(buf, "everlit/%" PRIu32, number);
}

static void put_input(const struct host_plan *plan, struct host_ref ref, struct el_buf *buf)
{
    for (uint32_t i = 0; i < plan->to_count; i++) {
        if (plan->to_engine[i].ref.node != ref.node || plan->to_engine[i].ref.output != ref.output)
            continue;
        el_buf_printf(buf, "everlit/%s", plan->to_engine[i].name);
        return;
    }
    put_name(plan, ref.node, buf);
    if (ref.output > 0)
        el_buf_printf(buf, ":%" PRIu32, ref.output);
}

static void put_message(struct el_buf *to, uint32_t field, struct el_buf *message)
{
    to->failed |= message->failed;
    el_proto_put_bytes(to, field, message->data, message->size);
    el_buf_free(message);
}

static struct el_status *put_node(const struct host_plan *plan, uint32_t number, struct el_buf *nodes)
{
    const struct host_node *node = &plan->graph.nodes[number];
    struct el_buf copy = { 0 }, name = { 0 };
    put_name(plan, number, &name);
    put_message(&copy, NODE_NAME, &name);
    el_proto_put_bytes(&copy, NODE_OP, node->def.op.data, node->def.op.size);
    for (uint32_t i = 0; i < node->input_count; i++) {
        put_input(plan, node->inputs[i], &name);
        put_message(&copy, NODE_INPUT, &name);
    }
    struct el_proto body = node->def.body;
    struct el_proto_field field;
    struct el_status *status = NULL;
    while (el_proto_next(&body, &field, &status))
        if (field.number == NODE_ATTR && field.wire == EL_PROTO_BYTES)
            el_proto_put_bytes(&copy, NODE_ATTR, field.bytes, field.size);
    put_message(nodes, 1, &copy);
    return status;
}

static void put_shape(struct el_buf *to, uint32_t field, const struct everlit_tensor_info *info)
{
    struct el_buf shape = { 0 };
    for (int32_t i = 0; i < info->rank; i++) {
        struct el_buf dim = { 0 };
        el_proto_put_number(&dim, 1, (uint64_t)info->dims[i]);
        put_message(&shape, 2, &dim);
    }
    if (info->rank < 0)
        el_proto_put_number(&shape, 3, 1); /* unknown_rank */
    put_message(to, field, &shape);
}

static void put_attribute(struct el_buf *node, const char *key, struct el_buf *value)
{
    struct el_buf entry = { 0 };
    el_proto_put_bytes(&entry, 1, key, strlen(key));
    put_message(&entry, 2, value);
    put_message(node, NODE_ATTR, &entry);
}

static void put_placeholder(struct el_buf *nodes, const struct host_border *border)
{
    struct el_buf node = { 0 }, name = { 0 }, type = { 0 }, shape = { 0 };
    el_buf_printf(&name, "everlit/%s", border->name);
    put_message(&node, NODE_NAME, &name);
    el_proto_put_bytes(&node, NODE_OP, "Placeholder", strlen("Placeholder"));
    el_proto_put_number(&type, 6, (uint64_t)border->info.dtype);
    put_attribute(&node, "dtype", &type);
    put_shape(&shape, 7, &border->info);
    put_attribute(&node, "shape", &shape);
    put_message(nodes, 1, &node);
}

/* An entry of a SignatureDef's inputs (field 1) or outputs (2). */
static void put_tensor(struct el_buf *signature, uint32_t field, const struct host_border *border)
{
    struct el_buf entry = { 0 }, info = { 0 };
    el_proto_put_bytes(&entry, 1, border->name, strlen(border->name));
    el_proto_put_bytes(&info, 1, border->tensor_name, strlen(border->tensor_name));
    if (border->info.dtype != EL_DTYPE_INVALID)
        el_proto_put_number(&info, 2, (uint64_t)border->info.dtype);
    put_shape(&info, 3, &border->info);
    put_message(&entry, 2, &info);
    put_message(signature, field, &entry);
}

static struct el_status *name_borders(struct host_plan *plan)
{
    for (uint32_t i = 0; i < plan->to_count; i++) {
        struct host_border *border = &plan->to_engine[i];
        snprintf(border->tensor_name, sizeof border->tensor_name, "everlit/%s:0", border->name);
    }
    for (uint32_t i = 0; i < plan->from_count; i++) {
        struct host_border *border = &plan->from_engine[i];
        if (stays(plan, border->ref.node))
            return el_status_new(EL_UNIMPLEMENTED, "an output comes from no input");
        snprintf(border->tensor_name, sizeof border->tensor_name, "everlit/%" PRIu32 ":%" PRIu32, border->ref.node,
                 border->ref.output);
        border->info.rank = -1;
    }
    return NULL;
}

static struct el_status *set_engine(struct host_plan *plan)
{
    plan->engine_infos = calloc((size_t)plan->to_count + plan->from_count + 1, sizeof *plan->engine_infos);
    if (plan->engine_infos == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < plan->to_count + plan->from_count; i++) {
        const struct host_border *border = i < plan->to_count ? &plan->to_engine[i]
                                                              : &plan->from_engine[i - plan->to_count];
        plan->engine_infos[i] = border->info;
        plan->engine_infos[i].name = border->name;
        plan->engine_infos[i].tensor_name = border->tensor_name;
    }
    plan->engine = (struct everlit_signature){ .name = plan->declared->name,
                                               .method_name = plan->declared->method_name,
                                               .inputs = plan->engine_infos,
                                               .outputs = plan->engine_infos + plan->to_count,
                                               .input_count = plan->to_count,
                                               .output_count = plan->from_count };
    return NULL;
}

struct el_status *host_write(struct host_plan *plan, struct el_buf *signature, struct el_buf *nodes)
{
    EL_TRY(name_borders(plan));
    EL_TRY(set_engine(plan));
    for (uint32_t i = 0; i < plan->to_count; i++)
        put_placeholder(nodes, &plan->to_engine[i]);
    for (uint32_t i = 0; i < plan->graph.order_count; i++) {
        const uint32_t number = plan->graph.order[i];
        if (host_plan_on_engine(plan, number) && !stays(plan, number))
            EL_TRY(put_node(plan, number, nodes));
    }
    struct el_buf body = { 0 };
    for (uint32_t i = 0; i < plan->to_count; i++)
        put_tensor(&body, 1, &plan->to_engine[i]);
    for (uint32_t i = 0; i < plan->from_count; i++)
        put_tensor(&body, 2, &plan->from_engine[i]);
    el_proto_put_bytes(&body, 3, plan->declared->method_name, strlen(plan->declared->method_name));
    el_proto_put_bytes(signature, 1, "serving_default", strlen("serving_default"));
    put_message(signature, 2, &body);
    EL_TRY(el_buf_status(nodes));
    return el_buf_status(signature);
}
