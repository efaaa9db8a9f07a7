/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_GRAPH_H
#define EL_BUNDLE_GRAPH_H

/*
 * The GraphDef of a meta graph, walked through once: its ops are counted, and who leads to whom is noted. The room's own; for
 * saved_model.c, on its thread.
 */

#include "bundle/proto_file.h"
#include "bundle/reach.h"
#include "bundle/saved_model.h"

/* Counts what part (graph_def) holds into graph, and notes it in reach, whose texts are those of graph->ops. */
struct el_status *el_graph_read(struct el_proto_file *file, const struct el_proto_part *part,
                                struct el_meta_graph *graph, struct el_reach *reach) EL_MUST_USE;

/* When signatures and graph are known: sets graph->state_op. */
struct el_status *el_graph_find_state(struct el_meta_graph *graph, struct el_reach *reach) EL_MUST_USE;

/* Replaces *text by the string in part, of at most 64 KiB and without a NUL. what: for the text of an error. */
struct el_status *el_proto_file_text(struct el_proto_file *file, const struct el_proto_part *part, const char *what,
                                     char **text) EL_MUST_USE;

#endif
