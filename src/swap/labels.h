/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_LABELS_H
#define EL_SWAP_LABELS_H

/*
 * Labels that move: where each label of a model leads.
 *
 * A config may give a label to a version that it brings itself. Until that version serves, the label goes on leading to the
 * one that it led to before (its former version), which is kept serving for so long, whatever the policy says; it moves in
 * the publication in which the new version starts to serve. Should the new one stop serving later, the label falls back to
 * the former one if that serves.
 *
 * On the swap thread.
 */

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>

struct el_model;

/* settings will be the model's next ones: says of each of their labels where it leads meanwhile. */
void el_labels_move(const struct el_model *model, struct el_model_config *settings);

/* The version that one of the model's labels leads to now; whether it serves is the caller's question. */
int64_t el_label_leads(const struct el_model *model, const struct el_version_label *label);

/* True if a label that has not moved yet still leads to this version, which therefore goes on serving. */
bool el_labels_need(const struct el_model *model, int64_t number);

#endif
