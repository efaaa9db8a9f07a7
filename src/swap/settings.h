/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_SETTINGS_H
#define EL_SWAP_SETTINGS_H

/*
 * The swapper's own copy of one model's configuration, so that the caller's may
 * go, and the question what must happen when it is replaced by another.
 */

#include "config/config.h"

/* A deep copy with the defaults of update filled in where the caller left zeros. */
struct el_status *el_settings_copy(const struct el_model_config *from, struct el_model_config *to) EL_MUST_USE;
void el_settings_free(struct el_model_config *settings);

/* True if both watch the same directory in the same way: the source can stay. */
bool el_settings_same_source(const struct el_model_config *a, const struct el_model_config *b);

/* True if both lead requests to the same versions of that directory. */
bool el_settings_same_choice(const struct el_model_config *a, const struct el_model_config *b);

/* True if a worker that was started with one is what the other asks for: loaded versions can stay. */
bool el_settings_same_worker(const struct el_model_config *a, const struct el_model_config *b);

#endif
