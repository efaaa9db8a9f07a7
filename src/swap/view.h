/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_VIEW_H
#define EL_SWAP_VIEW_H

/*
 * Views: made on the swap thread from the models as they are, published with one
 * store, read by any thread under RCU. This is the switch: a request that looks
 * after the store goes to the new version.
 */

#include "swap/state.h"

/*
 * Makes a view of all models, laying out anew those that have changed, and publishes it, and has waiting requests look at it; the
 * older one is freed after a grace period. False when memory was short: the
 * older view stays and swap->unpublished is set, so that the manager tries again and frees nothing meanwhile.
 */
bool el_view_publish(struct el_swap *swap);

/* The set of models, or which of them are removed, has changed. Publishes nothing. */
void el_view_forget_order(struct el_swap *swap);

/* The model is freed: no reader sees it any more. */
void el_view_forget_model(struct el_model *model);

/* Ends the current view at the swapper's own end: no reader is left. */
void el_view_drop(struct el_swap *swap);

/* The version that requests without one go to: the highest SERVING that is not in rollout; NULL: none. */
struct el_version *el_model_serving(const struct el_model *model);

/* The published version called by number, or NULL. */
const struct el_version_view *el_view_version(const struct el_model_view *model, int64_t version);

/* True if requests may be led there: SERVING or WARM. */
bool el_view_answers(const struct el_version_view *version);

/* A client may ask for it by its number: one that is only kept warm is no more, like with TensorFlow Serving. */
bool el_view_can_be_named(const struct el_version_view *version);

#endif
