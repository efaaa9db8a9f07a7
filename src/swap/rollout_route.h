/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_ROLLOUT_ROUTE_H
#define EL_SWAP_ROLLOUT_ROUTE_H

/*
 * A request that names no version, of a model with a rollout: does the old version answer it, or the new one?
 *
 * Event loop's thread, on the hot path, inside the read section; no lock, no allocation. A model without a rollout pays one comparison.
 */

#include "swap/request.h"
#include "swap/view.h"

/* serving, or the version in rollout: by chance, or by what the request is sticky by. The same each time it is asked of one request. */
const struct el_version_view *el_rollout_choose(struct el_request *request, const struct el_model_view *model,
                                                const struct el_version_view *serving);

/* A number of the loop's by chance. */
uint64_t el_rollout_draw(struct el_swap_loop *loop);

static inline bool el_rollout_shares(const struct el_model_view *model, const struct el_request *request)
{
    return model->rollout.share > 0 && !request->has_version && request->label == NULL;
}

#endif
