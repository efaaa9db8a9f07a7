/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_REACH_H
#define EL_BUNDLE_REACH_H

/*
 * Who leads to whom in a graph: does a run that fetches these tensors change what later runs see?
 *
 * A vertex is a node of the graph (it leads to its inputs, and to the functions that it calls) or a function (it leads to the functions
 * that its nodes call; of its nodes all count, since a function runs all that has an effect). Names are kept as numbers of 64
 * bits: 24 bytes for a vertex, 8 for an edge, with a limit on both; beyond it everything counts as reached.
 *
 * One thread; owned by who reads the graph.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_reach_vertex {
    uint64_t id;
    const char *op; /* NULL: changes nothing; borrowed */
    uint32_t first_edge, edge_count;
};

struct el_reach {
    struct el_reach_vertex *vertices;
    uint64_t *edges;
    uint32_t vertex_count, edge_count;
    bool too_large;
    const char *any_op; /* some op that changes state, anywhere */
};

/* What an input or a fetched tensor names: "^node", "node:1" and "node" are the same node. */
uint64_t el_reach_node(const char *name, size_t size);
uint64_t el_reach_function(const char *name, size_t size);

/* A vertex; what follows is about it. */
struct el_status *el_reach_begin(struct el_reach *reach) EL_MUST_USE;
void el_reach_name(struct el_reach *reach, uint64_t id);
struct el_status *el_reach_leads_to(struct el_reach *reach, uint64_t id) EL_MUST_USE;
void el_reach_changes(struct el_reach *reach, const char *op);

/* *op: one that is reached from there and changes state; NULL: none. Once, when every vertex is known: it sorts them. */
struct el_status *el_reach_find(struct el_reach *reach, const uint64_t *from, size_t count,
                                const char **op) EL_MUST_USE;

void el_reach_free(struct el_reach *reach);

#endif
