/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_HOST_GRAPH_H
#define EL_ENGINE_HOST_GRAPH_H

/*
 * The part of a graph_def that some tensors are computed from, flat: functions that are called stand in place of their calls, and what
 * only hands a tensor on (Identity and its like) is looked through. It begins where the feeds are.
 *
 * Called while a model is opened. Views into the bytes of the graph_def, which must outlive it. The bytes are a file's:
 * what is malformed is INVALID_ARGUMENT; loops, calls too deep and too many nodes are UNIMPLEMENTED.
 *
 *     host_graph.c        walks from the fetches to the feeds
 *     host_graph_scope.c  the names of the graph and of each call of a function
 */

#include "engine/host_node.h"

struct host_ref {
    uint32_t node;
    uint32_t output;
};

enum host_role {
    HOST_ROLE_OP,
    HOST_ROLE_FEED,  /* number feed of the feeds */
    HOST_ROLE_ALIAS, /* its outputs are the refs in aliases */
};

struct host_node {
    struct host_def def;
    enum host_role role;
    uint32_t feed;
    uint32_t scope;
    struct host_ref *inputs; /* of nodes in the graph's order: no alias */
    uint32_t input_count;
    uint32_t *controls; /* nodes that run before it */
    uint32_t control_count;
    struct host_ref *aliases;
    uint32_t alias_count;
    uint8_t state; /* of the walk */
};

/* The graph (number 0), or one call of a function. */
struct host_scope {
    struct el_span function; /* empty: the graph */
    uint32_t *by_name;       /* its nodes, sorted by name */
    uint32_t count, depth;
};

struct host_function {
    struct el_span name;
    struct el_proto body; /* of the FunctionDef */
};

struct host_graph {
    struct host_node *nodes;
    uint32_t node_count, node_capacity;
    struct host_scope *scopes;
    uint32_t scope_count;
    struct host_function *functions; /* sorted by name */
    uint32_t function_count;
    const char *const *feeds; /* names of tensors; the caller's */
    uint32_t feed_count;
    uint32_t *order; /* what the fetches need, and what runs before it: each after its inputs */
    uint32_t order_count;
};

/*
 * fetched: one ref for each of the fetches, none of them an alias. host_graph_free() also after a failure. NOT_FOUND: a name is not in
 * the graph.
 */
struct el_status *host_graph_read(const void *bytes, size_t size, const char *const *feeds, uint32_t feed_count,
                                  const char *const *fetches, uint32_t fetch_count, struct host_graph *graph,
                                  struct host_ref *fetched) EL_MUST_USE;
void host_graph_free(struct host_graph *graph);

/* Goes on from one more node. */
struct el_status *host_graph_walk(struct host_graph *graph, uint32_t node) EL_MUST_USE;

/* "\n\t [[{{node NAME}}]]", as TensorFlow ends the text of an op's error. */
struct el_status *host_graph_error(const struct host_graph *graph, uint32_t node,
                                   struct el_status *status) EL_MUST_USE EL_NEVER_NULL;

/* ---- host_graph_scope.c, for host_graph.c ---- */

/* Reads the graph_def's nodes into scope 0, after the feeds, and its functions. */
struct el_status *host_scope_open_graph(struct host_graph *graph, const void *bytes, size_t size) EL_MUST_USE;

/* Makes a scope for the function that the node calls and sets the node's aliases; its inputs are known. */
struct el_status *host_scope_open_call(struct host_graph *graph, uint32_t caller, struct el_span function) EL_MUST_USE;

/* What an input names in a scope. */
struct el_status *host_scope_find(const struct host_graph *graph, uint32_t scope, const struct host_input *input,
                                  struct host_ref *ref) EL_MUST_USE;

#endif
