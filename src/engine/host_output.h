/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_HOST_OUTPUT_H
#define EL_ENGINE_HOST_OUTPUT_H

/*
 * The number of an output that a function's body names ("values:1" of "node:values:1"). Pure; any thread.
 *
 * Which names an op's outputs have is not in the graph. Known are the ops that the plug-in runs itself and those that
 * networks are made of; another op's first output is known by the names that such have.
 */

#include "engine/host_node.h"

/* UNIMPLEMENTED for what is not known. */
struct el_status *host_output_number(const struct host_def *def, struct el_span name, uint32_t index,
                                     uint32_t *number) EL_MUST_USE;

#endif
