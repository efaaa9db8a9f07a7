/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over edges with a stack of its own: a graph may be as deep as it is long. A node is opened (its inputs are looked up, a call
 * gets its function), then its inputs are walked, then it is closed: it goes into the order, and its inputs are no aliases any more.
 */
#include "engine/host_graph.h"

#include <stdlib.h>
#include <string.h>

enum { NEW, OPEN, CLOSED };

struct frame {
    uint32_t node, next;
};

struct walk {
    struct host_graph *graph;
    struct frame *stack;
    uint32_t depth, capacity;
};

/* ---- opening ---- */

static struct el_status *add_input(struct host_node *node, struct host_ref ref)
{
    struct host_ref *grown = reallocarray(node->inputs, (size_t)node->input_count + 1, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    node->inputs = grown;
    grown[node->input_count++] = ref;
    return NULL;
}

static struct el_status *add_control(struct host_node *node, uint32_t before)
{
    uint32_t *grown = reallocarray(node->controls, (size_t)node->control_count + 1, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    node->controls = grown;
    grown[node->control_count++] = before;
    return NULL;
}

static struct el_status *find_inputs(struct host_graph *graph, uint32_t number)
{
    struct host_node *node = &graph->nodes[number];
    struct el_proto at = node->def.body;
    struct host_input input;
    while (host_def_next_input(&at, &input)) {
        struct host_ref ref;
        EL_TRY(host_scope_find(graph, node->scope, &input, &ref));
        EL_TRY(input.control ? add_control(node, ref.node) : add_input(node, ref));
    }
    return NULL;
}

/* What an op does that hands on as many of its inputs. */
static struct el_status *look_through(struct host_node *node, uint32_t count)
{
    if (node->input_count < count)
        return el_status_new(EL_INVALID_ARGUMENT, "node \"%.*s\" has no input", (int)node->def.name.size,
                             node->def.name.data);
    node->aliases = calloc((size_t)count + 1, sizeof *node->aliases);
    if (node->aliases == NULL)
        return el_status_no_memory();
    if (count > 0)
        memcpy(node->aliases, node->inputs, count * sizeof *node->aliases);
    node->alias_count = count;
    node->role = HOST_ROLE_ALIAS;
    return NULL;
}

static struct el_status *open_node(struct host_graph *graph, uint32_t number)
{
    static const char *const same[] = { "Identity", "StopGradient", "PreventGradient", "Snapshot",
                                        "PlaceholderWithDefault" };
    if (graph->nodes[number].role != HOST_ROLE_OP)
        return NULL;
    EL_TRY(find_inputs(graph, number));
    struct host_node *node = &graph->nodes[number];
    const struct el_span op = node->def.op;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (host_text_is(op, same[i]))
            return look_through(node, 1);
    if (host_text_is(op, "IdentityN"))
        return look_through(node, node->input_count);
    if (host_text_is(op, "PartitionedCall") || host_text_is(op, "StatefulPartitionedCall"))
        return host_scope_open_call(graph, number, host_attr_function(&node->def, "f"));
    return NULL;
}

/* ---- walking ---- */

/* What is walked next of a node: of an alias what it stands for, of others their inputs; then what runs before. */
static bool next_child(const struct host_node *node, uint32_t at, uint32_t *child)
{
    const struct host_ref *refs = node->role == HOST_ROLE_ALIAS ? node->aliases : node->inputs;
    const uint32_t count = node->role == HOST_ROLE_ALIAS ? node->alias_count : node->input_count;
    if (at >= count + node->control_count)
        return false;
    *child = at < count ? refs[at].node : node->controls[at - count];
    return true;
}

static struct el_status *push(struct walk *walk, uint32_t number)
{
    struct host_graph *graph = walk->graph;
    if (graph->nodes[number].state == CLOSED)
        return NULL;
    if (graph->nodes[number].state == OPEN)
        return el_status_new(EL_UNIMPLEMENTED, "the graph has a loop");
    if (walk->depth == walk->capacity) {
        const uint32_t capacity = walk->capacity == 0 ? 64 : 2 * walk->capacity;
        struct frame *grown = reallocarray(walk->stack, capacity, sizeof *grown);
        if (grown == NULL)
            return el_status_no_memory();
        walk->stack = grown;
        walk->capacity = capacity;
    }
    graph->nodes[number].state = OPEN;
    walk->stack[walk->depth++] = (struct frame){ .node = number };
    return open_node(graph, number);
}

/* What an alias stands for; its own aliases are none any more. */
static struct el_status *see_through(const struct host_graph *graph, struct host_ref *ref)
{
    const struct host_node *node = &graph->nodes[ref->node];
    if (node->role != HOST_ROLE_ALIAS)
        return NULL;
    if (ref->output >= node->alias_count)
        return el_status_new(EL_INVALID_ARGUMENT, "node \"%.*s\" has %u outputs, number %u is used",
                             (int)node->def.name.size, node->def.name.data, node->alias_count, ref->output);
    *ref = node->aliases[ref->output];
    return NULL;
}

static struct el_status *close_node(struct host_graph *graph, uint32_t number)
{
    struct host_node *node = &graph->nodes[number];
    for (uint32_t i = 0; i < node->alias_count; i++)
        EL_TRY(see_through(graph, &node->aliases[i]));
    for (uint32_t i = 0; node->role == HOST_ROLE_OP && i < node->input_count; i++)
        EL_TRY(see_through(graph, &node->inputs[i]));
    node->state = CLOSED;
    if ((graph->order_count & (graph->order_count - 1)) == 0) {
        const size_t room = graph->order_count == 0 ? 1 : 2 * (size_t)graph->order_count;
        uint32_t *grown = reallocarray(graph->order, room, sizeof *grown);
        if (grown == NULL)
            return el_status_no_memory();
        graph->order = grown;
    }
    graph->order[graph->order_count++] = number;
    return NULL;
}

static struct el_status *walk_from(struct walk *walk, uint32_t number)
{
    EL_TRY(push(walk, number));
    while (walk->depth > 0) {
        struct frame *top = &walk->stack[walk->depth - 1];
        uint32_t child;
        if (next_child(&walk->graph->nodes[top->node], top->next, &child)) {
            top->next++;
            EL_TRY(push(walk, child));
        } else {
            EL_TRY(close_node(walk->graph, top->node));
            walk->depth--;
        }
    }
    return NULL;
}

static struct el_status *read_graph(struct walk *walk, const void *bytes, size_t size, const char *const *fetches,
                                    uint32_t fetch_count, struct host_ref *fetched)
{
    struct host_graph *graph = walk->graph;
    EL_TRY(host_scope_open_graph(graph, bytes, size));
    for (uint32_t i = 0; i < fetch_count; i++) {
        const struct host_input input = host_input_parse(el_span_text(fetches[i]));
        EL_TRY(host_scope_find(graph, 0, &input, &fetched[i]));
        EL_TRY(walk_from(walk, fetched[i].node));
        EL_TRY(see_through(graph, &fetched[i]));
    }
    return NULL;
}

struct el_status *host_graph_read(const void *bytes, size_t size, const char *const *feeds, uint32_t feed_count,
                                  const char *const *fetches, uint32_t fetch_count, struct host_graph *graph,
                                  struct host_ref *fetched)
{
    *graph = (struct host_graph){ .feeds = feeds, .feed_count = feed_count };
    struct walk walk = { .graph = graph };
    struct el_status *status = read_graph(&walk, bytes, size, fetches, fetch_count, fetched);
    free(walk.stack);
    return status;
}

struct el_status *host_graph_walk(struct host_graph *graph, uint32_t node)
{
    struct walk walk = { .graph = graph };
    struct el_status *status = walk_from(&walk, node);
    free(walk.stack);
    return status;
}

void host_graph_free(struct host_graph *graph)
{
    for (uint32_t i = 0; i < graph->node_count; i++) {
        free(graph->nodes[i].inputs);
        free(graph->nodes[i].controls);
        free(graph->nodes[i].aliases);
    }
    for (uint32_t i = 0; i < graph->scope_count; i++)
        free(graph->scopes[i].by_name);
    free(graph->nodes);
    free(graph->scopes);
    free(graph->functions);
    free(graph->order);
    *graph = (struct host_graph){ 0 };
}

struct el_status *host_graph_error(const struct host_graph *graph, uint32_t node, struct el_status *status)
{
    const struct host_node *at = &graph->nodes[node];
    const struct el_span function = graph->scopes[at->scope].function;
    struct el_status *told = function.size == 0
                                 ? el_status_new(el_status_code(status), "%s\n\t [[{{node %.*s}}]]",
                                                 el_status_text(status), (int)at->def.name.size, at->def.name.data)
                                 : el_status_new(el_status_code(status),
                                                 "%s\n\t [[{{function_node %.*s}}{{node %.*s}}]]",
                                                 el_status_text(status), (int)function.size, function.data,
                                                 (int)at->def.name.size, at->def.name.data);
    el_status_free(status);
    return told;
}
