/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_graph.h"

#include "engine/host_output.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NODES 200000u
#define MAX_SCOPES 4096u
#define MAX_FUNCTIONS 65536u
#define MAX_DEPTH 64u

enum { GRAPH_NODE = 1, GRAPH_LIBRARY = 2, LIBRARY_FUNCTION = 1 };
enum { FUNCTION_SIGNATURE = 1, FUNCTION_NODE = 3, FUNCTION_RET = 4 };
enum { SIGNATURE_NAME = 1, SIGNATURE_INPUT = 2, SIGNATURE_OUTPUT = 3 };

static struct el_proto inside(const struct el_proto_field *field)
{
    return (struct el_proto){ .start = field->bytes, .size = field->size, .base = field->offset };
}

static int compare_text(struct el_span a, struct el_span b)
{
    const size_t both = a.size < b.size ? a.size : b.size;
    const int order = both == 0 ? 0 : memcmp(a.data, b.data, both);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* ---- growing ---- */

static struct el_status *add_node(struct host_graph *graph, const struct host_node *node)
{
    if (graph->node_count == graph->node_capacity) {
        const uint32_t capacity = graph->node_capacity == 0 ? 64 : 2 * graph->node_capacity;
        if (graph->node_count >= MAX_NODES)
            return el_status_new(EL_UNIMPLEMENTED, "the graph has more than %u nodes", MAX_NODES);
        struct host_node *grown = reallocarray(graph->nodes, capacity, sizeof *grown);
        if (grown == NULL)
            return el_status_no_memory();
        graph->nodes = grown;
        graph->node_capacity = capacity;
    }
    graph->nodes[graph->node_count++] = *node;
    return NULL;
}

static struct el_status *add_scope(struct host_graph *graph, struct el_span function, uint32_t depth)
{
    if (graph->scope_count >= MAX_SCOPES || depth > MAX_DEPTH)
        return el_status_new(EL_UNIMPLEMENTED,
                             "functions are called %u deep and %u times, at most %u and %u are expected", depth,
                             graph->scope_count, MAX_DEPTH, MAX_SCOPES);
    struct host_scope *grown = reallocarray(graph->scopes, (size_t)graph->scope_count + 1, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    graph->scopes = grown;
    grown[graph->scope_count++] = (struct host_scope){ .function = function, .depth = depth };
    return NULL;
}

static struct el_status *add_def(struct host_graph *graph, const struct el_proto_field *field, uint32_t scope)
{
    struct host_node node = { .scope = scope };
    const struct el_proto body = inside(field);
    EL_TRY(host_def_read(&body, &node.def));
    return add_node(graph, &node);
}

static int compare_nodes(const void *a, const void *b, void *opaque)
{
    const struct host_node *nodes = opaque;
    return compare_text(nodes[*(const uint32_t *)a].def.name, nodes[*(const uint32_t *)b].def.name);
}

/* The scope's nodes are those from first on. */
static struct el_status *sort_scope(struct host_graph *graph, uint32_t scope, uint32_t first)
{
    const uint32_t count = graph->node_count - first;
    uint32_t *by_name = calloc((size_t)count + 1, sizeof *by_name);
    if (by_name == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < count; i++)
        by_name[i] = first + i;
    if (count > 0)
        qsort_r(by_name, count, sizeof *by_name, compare_nodes, graph->nodes);
    graph->scopes[scope].by_name = by_name;
    graph->scopes[scope].count = count;
    return NULL;
}

/* ---- the graph ---- */

static int compare_functions(const void *a, const void *b)
{
    return compare_text(((const struct host_function *)a)->name, ((const struct host_function *)b)->name);
}

/* The signature of a function: the OpDef. */
static struct el_status *read_signature(const struct el_proto *function, struct el_proto *signature)
{
    struct el_proto message = *function;
    struct el_proto_field field;
    struct el_status *status = NULL;
    *signature = (struct el_proto){ 0 };
    while (el_proto_next(&message, &field, &status))
        if (field.number == FUNCTION_SIGNATURE && field.wire == EL_PROTO_BYTES)
            *signature = inside(&field);
    return status;
}

static struct el_status *read_name(struct el_proto message, struct el_span *name)
{
    struct el_proto_field field;
    struct el_status *status = NULL;
    *name = (struct el_span){ "", 0 };
    while (el_proto_next(&message, &field, &status))
        if (field.number == SIGNATURE_NAME && field.wire == EL_PROTO_BYTES)
            *name = (struct el_span){ (const char *)field.bytes, field.size };
    return status;
}

static struct el_status *add_function(struct host_graph *graph, const struct el_proto_field *field)
{
    struct host_function function = { .body = inside(field) };
    struct el_proto signature;
    EL_TRY(read_signature(&function.body, &signature));
    EL_TRY(read_name(signature, &function.name));
    if (graph->function_count == MAX_FUNCTIONS)
        return el_status_new(EL_UNIMPLEMENTED, "the graph has more than %u functions", MAX_FUNCTIONS);
    if ((graph->function_count & (graph->function_count - 1)) == 0) {
        const size_t room = graph->function_count == 0 ? 1 : 2 * (size_t)graph->function_count;
        struct host_function *grown = reallocarray(graph->functions, room, sizeof *grown);
        if (grown == NULL)
            return el_status_no_memory();
        graph->functions = grown;
    }
    graph->functions[graph->function_count++] = function;
    return NULL;
}

static struct el_status *read_library(struct host_graph *graph, const struct el_proto_field *library)
{
    struct el_proto message = inside(library);
    struct el_proto_field field;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(&message, &field, &status))
        if (field.number == LIBRARY_FUNCTION && field.wire == EL_PROTO_BYTES)
            status = add_function(graph, &field);
    return status;
}

struct el_status *host_scope_open_graph(struct host_graph *graph, const void *bytes, size_t size)
{
    struct el_proto message = { .start = bytes, .size = size };
    struct el_proto_field field;
    struct el_status *status = NULL;
    for (uint32_t i = 0; i < graph->feed_count; i++)
        EL_TRY(add_node(graph, &(struct host_node){ .role = HOST_ROLE_FEED, .feed = i }));
    EL_TRY(add_scope(graph, (struct el_span){ "", 0 }, 0));
    while (status == NULL && el_proto_next(&message, &field, &status)) {
        if (field.number == GRAPH_NODE && field.wire == EL_PROTO_BYTES)
            status = add_def(graph, &field, 0);
        else if (field.number == GRAPH_LIBRARY && field.wire == EL_PROTO_BYTES)
            status = read_library(graph, &field);
    }
    EL_TRY(status);
    if (graph->function_count > 0)
        qsort(graph->functions, graph->function_count, sizeof *graph->functions, compare_functions);
    return sort_scope(graph, 0, graph->feed_count);
}

/* ---- names ---- */

static bool find_node(const struct host_graph *graph, uint32_t scope, struct el_span name, uint32_t *node)
{
    const struct host_scope *in = &graph->scopes[scope];
    uint32_t from = 0, to = in->count;
    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        const int order = compare_text(name, graph->nodes[in->by_name[middle]].def.name);
        if (order == 0) {
            *node = in->by_name[middle];
            return true;
        }
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return false;
}

static bool find_feed(const struct host_graph *graph, const struct host_input *input, uint32_t *feed)
{
    for (uint32_t i = 0; i < graph->feed_count; i++) {
        const struct host_input fed = host_input_parse(el_span_text(graph->feeds[i]));
        if (fed.index == input->index && el_span_equal(fed.node, input->node)) {
            *feed = i;
            return true;
        }
    }
    return false;
}

struct el_status *host_scope_find(const struct host_graph *graph, uint32_t scope, const struct host_input *input,
                                  struct host_ref *ref)
{
    uint32_t feed;
    *ref = (struct host_ref){ .output = input->index };
    if (scope == 0 && !input->control && find_feed(graph, input, &feed)) {
        *ref = (struct host_ref){ .node = feed }; /* the feeds are the first nodes */
        return NULL;
    }
    if (!find_node(graph, scope, input->node, &ref->node))
        return el_status_new(EL_NOT_FOUND, "the graph has no node \"%.*s\"", (int)input->node.size, input->node.data);
    if (input->output.size == 0 || graph->nodes[ref->node].role != HOST_ROLE_OP)
        return NULL;
    return host_output_number(&graph->nodes[ref->node].def, input->output, input->index, &ref->output);
}

/* ---- a call ---- */

static struct el_status *find_function(const struct host_graph *graph, struct el_span name, struct el_proto *body)
{
    const struct host_function wanted = { .name = name };
    const struct host_function *found = graph->function_count == 0
                                            ? NULL
                                            : bsearch(&wanted, graph->functions, graph->function_count,
                                                      sizeof *graph->functions, compare_functions);
    if (found == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "the graph has no function \"%.*s\"", (int)name.size, name.data);
    *body = found->body;
    return NULL;
}

/* The function's arguments, each another name of what the caller gives. */
static struct el_status *add_arguments(struct host_graph *graph, const struct el_proto *signature, uint32_t caller,
                                       uint32_t scope)
{
    struct el_proto message = *signature;
    struct el_proto_field field;
    struct el_status *status = NULL;
    uint32_t number = 0;
    while (status == NULL && el_proto_next(&message, &field, &status)) {
        if (field.number != SIGNATURE_INPUT || field.wire != EL_PROTO_BYTES)
            continue;
        struct host_node node = { .scope = scope, .role = HOST_ROLE_ALIAS };
        EL_TRY(read_name(inside(&field), &node.def.name));
        if (number >= graph->nodes[caller].input_count)
            return el_status_new(EL_INVALID_ARGUMENT, "a function is called with %u inputs, it wants more", number);
        node.aliases = malloc(sizeof *node.aliases);
        if (node.aliases == NULL)
            return el_status_no_memory();
        node.aliases[0] = graph->nodes[caller].inputs[number++];
        node.alias_count = 1;
        status = add_node(graph, &node);
        if (status != NULL)
            free(node.aliases);
    }
    return status;
}

static struct el_status *add_body(struct host_graph *graph, const struct el_proto *function, uint32_t scope)
{
    struct el_proto message = *function;
    struct el_proto_field field;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(&message, &field, &status))
        if (field.number == FUNCTION_NODE && field.wire == EL_PROTO_BYTES)
            status = add_def(graph, &field, scope);
    return status;
}

/* The tensor that the function answers as the output called name. */
static struct el_status *find_return(const struct el_proto *function, struct el_span name, struct el_span *tensor)
{
    struct el_proto message = *function;
    struct el_proto_field field;
    struct el_status *status = NULL;
    while (el_proto_next(&message, &field, &status)) {
        if (field.number != FUNCTION_RET || field.wire != EL_PROTO_BYTES)
            continue;
        struct el_proto entry = inside(&field);
        struct el_proto_field part;
        struct el_span key = { "", 0 }, value = { "", 0 };
        while (status == NULL && el_proto_next(&entry, &part, &status))
            if (part.wire == EL_PROTO_BYTES)
                *(part.number == 1 ? &key : &value) = (struct el_span){ (const char *)part.bytes, part.size };
        if (status != NULL)
            return status;
        if (el_span_equal(key, name)) {
            *tensor = value;
            return NULL;
        }
    }
    return status != NULL ? status
                          : el_status_new(EL_INVALID_ARGUMENT, "a function does not say what its output \"%.*s\" is",
                                          (int)name.size, name.data);
}

static struct el_status *add_returns(struct host_graph *graph, const struct el_proto *function,
                                     const struct el_proto *signature, uint32_t caller, uint32_t scope)
{
    struct el_proto message = *signature;
    struct el_proto_field field;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(&message, &field, &status)) {
        if (field.number != SIGNATURE_OUTPUT || field.wire != EL_PROTO_BYTES)
            continue;
        struct host_node *node = &graph->nodes[caller];
        struct el_span name, tensor;
        EL_TRY(read_name(inside(&field), &name));
        EL_TRY(find_return(function, name, &tensor));
        struct host_ref *grown = reallocarray(node->aliases, (size_t)node->alias_count + 1, sizeof *grown);
        if (grown == NULL)
            return el_status_no_memory();
        node->aliases = grown;
        const struct host_input input = host_input_parse(tensor);
        status = host_scope_find(graph, scope, &input, &grown[node->alias_count]);
        node->alias_count += status == NULL;
    }
    return status;
}

struct el_status *host_scope_open_call(struct host_graph *graph, uint32_t caller, struct el_span name)
{
    struct el_proto function, signature;
    EL_TRY(find_function(graph, name, &function));
    EL_TRY(read_signature(&function, &signature));
    const uint32_t scope = graph->scope_count, first = graph->node_count;
    EL_TRY(add_scope(graph, name, graph->scopes[graph->nodes[caller].scope].depth + 1));
    EL_TRY(add_arguments(graph, &signature, caller, scope));
    EL_TRY(add_body(graph, &function, scope));
    EL_TRY(sort_scope(graph, scope, first));
    graph->nodes[caller].role = HOST_ROLE_ALIAS;
    return add_returns(graph, &function, &signature, caller, scope);
}
