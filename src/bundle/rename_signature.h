/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_RENAME_SIGNATURE_H
#define EL_BUNDLE_RENAME_SIGNATURE_H

/*
 * A second view of a version directory in which another signature has the name
 * `serving_default`, for an engine that looks for no other name, and its inputs are where the graph begins (cut_inputs.h).
 *
 * Called by an engine while it opens a model; blocking. Only saved_model.pb is copied (skipping through it, so
 * that 2 GB need no memory); variables/ and assets/ are symbolic links to the originals, which therefore
 * must stay where they are as long as the view is used. The caller removes the view.
 */

#include "base/status.h"
#include "bundle/saved_model.h"

/*
 * Makes the view in the directory `to`, which exists and is empty. `from` is the version's directory, and graph the meta
 * graph in it that counts: the view has no other, its tag is "serve", and of its signatures only those that are not
 * called serving_default remain beside the one called signature, which is NOT_FOUND when there is none. *was_cut: an input lay inside the
 * graph (cut_inputs.h).
 */
struct el_status *el_rename_signature(const char *from, const struct el_meta_graph *graph, const char *signature,
                                      const char *to, bool *was_cut) EL_MUST_USE;

/*
 * The same with an only signature that the caller has written (an entry of signature_def), about nodes that he has written, too (a
 * graph_def): these are beside the graph's own.
 */
struct el_status *el_rename_signature_to(const char *from, const struct el_meta_graph *graph,
                                         const struct el_buf *entry, const struct el_buf *nodes,
                                         const char *to) EL_MUST_USE;

/* Removes what el_rename_signature or the other made in `to`, and `to` itself. What is not there is no error. */
void el_rename_signature_remove(const char *to);

#endif
