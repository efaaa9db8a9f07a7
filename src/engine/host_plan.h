/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_HOST_PLAN_H
#define EL_ENGINE_HOST_PLAN_H

/*
 * Who computes what of a signature: the network belongs to the engine, what the engine cannot express to the host's ops (host_op.h),
 * before the network and after it. There is one network: what needs the engine's answer to ask it again is UNIMPLEMENTED.
 *
 *     host_plan.c   divides the graph
 *     host_steps.c  makes the host's steps
 *     host_write.c  writes the engine's part as a graph of its own
 *     host_tables.c fills the tables that it looks up in
 *     host_run.c    runs
 *
 * Made when a model is opened, from views of the bytes of its graph_def, which must outlive the plan; then constant: host_run() is
 * called by several threads at once.
 */

#include "engine/host_graph.h"
#include "engine/host_op.h"
#include "everlit/engine.h"

/* A value of a run has a number: those of the feeds come first. */
struct host_step {
    const struct host_op *op;
    void *state;
    const struct host_table *table; /* of a lookup */
    uint32_t node;
    uint32_t *inputs; /* numbers of values */
    uint32_t input_count;
    uint32_t first_output, output_count;
    enum el_dtype first_type; /* that the first input must have; INVALID: any */
    bool after;               /* the network */
};

/* Where the parts meet. */
struct host_border {
    struct host_ref ref;
    uint32_t value;
    struct everlit_tensor_info info; /* name: "in0", "out0"; its dtype is INVALID for what the engine answers */
    char name[24], tensor_name[40];
};

/* Where the graph's assets lie: the tensor that is the path of each, and its file's name in the directory. */
struct host_assets {
    const char *directory; /* NULL: there are none */
    char *const *tensors, *const *files;
    uint32_t count;
};

struct host_plan {
    struct host_graph graph;
    const char **feed_names, **fetch_names;
    const struct everlit_signature *declared;
    struct host_part *parts; /* by node; host_plan.c's */
    struct host_step *steps; /* in the order in which they run */
    uint32_t step_count;
    struct host_table *tables; /* host_tables.c's */
    uint32_t *table_nodes;     /* the node that is the handle of each */
    uint32_t table_count;
    struct host_value *constants; /* by value number; without memory for all others */
    uint32_t value_count;
    struct host_ref *fetched;
    uint32_t *outputs; /* the values that the signature's outputs are */
    struct host_border *to_engine, *from_engine;
    uint32_t to_count, from_count;
    bool uses_engine;
    struct everlit_signature engine; /* its part; once host_write() was called */
    struct everlit_tensor_info *engine_infos;
};

/* Whether the engine computes with numbers of the dtype as TensorFlow does; DOUBLE and such may be told as no where the host can do better. */
enum host_has { HOST_HAS, HOST_HAS_ROUGHLY, HOST_HAS_NOT };
typedef enum host_has host_types(enum el_dtype dtype);

/* host_plan_free() for *plan, which is NULL after a failure. declared and bytes stay the caller's. */
struct el_status *host_plan_make(const void *bytes, size_t size, const struct everlit_signature *declared,
                                 host_types *engine_has, const struct host_assets *assets,
                                 struct host_plan **plan) EL_MUST_USE;
void host_plan_free(struct host_plan *plan);

/*
 * The engine's part: an entry of signature_def, called "serving_default", and nodes that are to be added to the graph_def. Also sets
 * plan->engine, whose inputs and outputs are sorted.
 */
struct el_status *host_write(struct host_plan *plan, struct el_buf *signature, struct el_buf *nodes) EL_MUST_USE;

/* Runs the engine's part: inputs and outputs as in plan->to_engine and from_engine. */
typedef struct el_status *host_engine(void *closure, const struct host_value *const *inputs,
                                      struct host_value *outputs);

/* The run as the signature declares it, which el_plugin_check_run() has taken. */
struct el_status *host_run(const struct host_plan *plan, const struct everlit_run *run, host_engine *engine,
                           void *closure) EL_MUST_USE;

/* ---- for host_write.c ---- */

bool host_plan_on_engine(const struct host_plan *plan, uint32_t node);

#endif
