/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_CUT_INPUTS_H
#define EL_BUNDLE_CUT_INPUTS_H

/*
 * A graph_def in which each input of a signature is a Placeholder: a signature may feed any tensor, such as what a parser of
 * tf.Examples gives, but an engine that converts the graph must find there where it begins.
 *
 * Called by rename_signature.c; blocking, skips through the file. A tensor that is not the first output of its node stays as it is.
 */

#include "base/status.h"
#include "bundle/proto_file.h"
#include "bundle/signature.h"

/* The bytes of the graph_def in span after the change; *changed: there is one. */
struct el_status *el_cut_inputs_size(struct el_proto_file *file, struct el_proto_span span,
                                     const struct el_signature *signature, uint64_t *size, bool *changed) EL_MUST_USE;

/* Writes exactly those bytes to the file descriptor `to`. */
struct el_status *el_cut_inputs_copy(struct el_proto_file *file, struct el_proto_span span,
                                     const struct el_signature *signature, int to) EL_MUST_USE;

#endif
