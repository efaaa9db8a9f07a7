/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_TOGETHER_H
#define EL_SWAP_TOGETHER_H

/*
 * What one reload changes becomes visible in one publication: a client never sees half of it.
 *
 * A reload may lead several models to other versions: models whose base path, policy or labels change, models that are new, models
 * that are gone. What they bring is loaded beside what answers. Until each of them has all that its config asks for,
 * or nothing left to try, none of them is switched, and those that are gone go on answering; then all switch in one view.
 *
 * Nobody waits for what may never come: a version whose files are not whole, one that was refused, one for which there is no
 * memory (perhaps because of a model that has to go), and anything that takes longer than the longest load_timeout_ms
 * of the models concerned. A model that fails so keeps what it had.
 *
 * Swap thread.
 */

#include "swap/state.h"

/* A reload was put in force, and has marked the models that it changes. */
void el_together_begin(struct el_swap *swap);

/* At the beginning of each look: whether it is time. The models are touched then, and so are all looked at in that look. */
void el_together_look(struct el_swap *swap, uint64_t now_ns);

/* True while its new versions have to wait for those of other models. */
bool el_together_holds(const struct el_model *model);

#endif
