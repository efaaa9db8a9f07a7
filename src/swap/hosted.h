/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_HOSTED_H
#define EL_SWAP_HOSTED_H

/*
 * Workers as the swapper holds them: started for an owner, disowned when nobody
 * needs them, freed a grace period after they are gone.
 *
 * Swap thread. The owner's callback comes for LOADED, FAILED, DIED and GONE, and never after el_hosted_leave().
 */

#include "swap/state.h"

/* Starts a worker for version with engine. */
struct el_status *el_hosted_start(struct el_version *version, const char *engine, bool idle_priority,
                                  void (*on_event)(struct el_hosted *hosted, const struct el_worker_event *event,
                                                   void *owner),
                                  void *owner, struct el_hosted **hosted) EL_MUST_USE;

/* Nobody's any more: running calls are answered, for grace_ms at most, then it ends. NULL is allowed. */
void el_hosted_leave(struct el_hosted *hosted, uint32_t grace_ms);

/* The same, at once: a load that is not wanted any more, a worker that does not answer. */
void el_hosted_kill(struct el_hosted *hosted, struct el_status *why);

/* Resident memory of all workers of a model; 0 where unknown. */
uint64_t el_hosted_resident_bytes(const struct el_model *model);

#endif
