/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_HOST_PART_H
#define EL_ENGINE_HOST_PART_H

/* Between host_plan.c, which says who computes a node, and host_steps.c, which makes the host's steps of that. No one else's. */

#include "engine/host_plan.h"

#include <stdlib.h>

enum host_place { CONSTANT, FEED, HOST, ENGINE };

struct host_part {
    enum host_place place;
    const struct host_op *op;
    bool early;              /* the host can have it before the network runs */
    bool on_host, on_engine; /* somebody there needs it */
    bool after;              /* on the host: it needs the network's answer */
    uint32_t value;          /* on the host: of its first output */
};

static inline struct host_node *node_of(const struct host_plan *plan, uint32_t number)
{
    return &plan->graph.nodes[number];
}

/* Room for one more than count of a list that grows by doubling; NULL: out of memory, and list stays. */
static inline void *host_grow(void *list, uint32_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return list;
    return reallocarray(list, count == 0 ? 1 : 2 * (size_t)count, size);
}

/* The tables of the graph, from the assets and constants that fill them. */
struct el_status *host_tables_make(struct host_plan *plan, const struct host_assets *assets) EL_MUST_USE;
void host_tables_free(struct host_plan *plan);

/* The table that a step looks up in, whose handle the node is. UNIMPLEMENTED: nothing known fills it. */
struct el_status *host_tables_find(const struct host_plan *plan, uint32_t node,
                                   const struct host_table **table) EL_MUST_USE;

/* Values are numbered, constants read, steps made. */
struct el_status *host_steps_make(struct host_plan *plan) EL_MUST_USE;

/* The number of the value that the host knows ref by. */
struct el_status *host_value_number(const struct host_plan *plan, struct host_ref ref, uint32_t *value) EL_MUST_USE;

#endif
