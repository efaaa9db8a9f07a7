/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_PLUGIN_H
#define EL_ENGINE_PLUGIN_H

/*
 * What the plug-ins share: the way from the core's status and signatures to the
 * structs of everlit/engine.h, and the checks of a run that do not depend on
 * the engine.
 *
 * Called on the threads that engine.h names for the function at hand.
 */

#include "base/status.h"
#include "bundle/model_file.h"
#include "everlit/engine.h"
#include "tensor/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A version's directory as its model's file describes it. */
struct el_plugin_model {
    enum el_model_format format;
    struct el_saved_model saved;
    const struct el_meta_graph *graph;    /* the one with the tags asked for; inside saved */
    struct everlit_signature *signatures; /* sorted by name; names point into graph */
    struct everlit_tensor_info *infos;    /* of all signatures */
    uint32_t count;
};

/*
 * Reads what options->path holds. Without tags it is the meta graph with the tag "serve". engine: its name. reads: the
 * formats that it takes, as bits; of another, FAILED_PRECONDITION says so, as where an engine is not there at all.
 */
struct el_status *el_plugin_model_open(const struct everlit_open_options *options, const char *engine, unsigned reads,
                                       struct el_plugin_model *model) EL_MUST_USE;
void el_plugin_model_close(struct el_plugin_model *model);

/*
 * Checks a run before it reaches the engine: the signature and the outputs exist, every input is there once,
 * and the data of each has the size that its shape says. Whether dtype and shape are the declared ones is left to the engine.
 */
struct el_status *el_plugin_check_run(const struct el_plugin_model *model, const struct everlit_run *run) EL_MUST_USE;

/* The tensor that the host handed over, as the core sees it. */
struct el_tensor el_plugin_tensor(const struct everlit_tensor *tensor);

/* True if the weights are so few that handing work to other threads costs more than it gains (4 MiB, measured). */
bool el_plugin_is_small(const struct everlit_open_options *options);

/* Processors that this process may use; at least 1. */
uint32_t el_plugin_processors(void);

/* Ends status, fills error with it and returns its code; 0 for NULL. */
int el_plugin_result(struct el_status *status, struct everlit_error *error);

#endif
