/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_SIGNALS_H
#define EL_SWAP_SIGNALS_H

/*
 * What the guard learns from each answer: whether the version is to blame for it.
 *
 * On the event loop that the answer comes to, on the hot path: nothing for a model without a guard; a counter for one answer in
 * eight of a version that stands (what the next one is held against); all answers of a version under guard, of each output
 * the first 16 KiB.
 */

#include "swap/servable.h"

enum el_watch { EL_WATCH_NOT, EL_WATCH_SOME, EL_WATCH_ALL };

enum el_signal { EL_SIGNAL_GOOD, EL_SIGNAL_FAULT, EL_SIGNAL_NON_FINITE };

/*
 * Of an answer that has come. A fault is a status that only the model or its server can be to blame for: not what the request
 * may have deserved (INVALID_ARGUMENT), nor what load explains (DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE).
 * look: into its outputs, whatever the servable's watch says.
 */
enum el_signal el_signal_of(struct el_servable *servable, const struct el_call *call, const struct el_status *status,
                            bool look);

/*
 * Whether a signal counts without another version's answer to the same: ops answer with the other codes for what a client sent, too
 * (Cast of a text: UNIMPLEMENTED; a table without the key: FAILED_PRECONDITION).
 */
bool el_signal_is_certain(enum el_signal signal, const struct el_status *status);

/* It is the version's own fault. confirmed: another version was asked the same, and did it well. shared: by a rollout. */
void el_signal_blame(struct el_servable *servable, enum el_signal signal, bool confirmed, bool shared);

static inline bool el_signal_watched(const struct el_servable *servable, enum el_watch watch)
{
    return atomic_load_explicit(&servable->watch, memory_order_relaxed) == watch;
}

#endif
