/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_RERUN_H
#define EL_SWAP_RERUN_H

/*
 * A request that is run a second time: its first call stays, for the inputs that lie in it.
 *
 * Two occasions. The worker died: whoever can read the inputs goes on with them, and waits for a worker if need be. Or a version
 * under guard failed (el_rerun_is_second_opinion()): another version that answers now is asked the same; if it cannot do it either, the
 * first answer stands, so that call stays whole until the second one has come.
 *
 * Event loop's thread. The call of replay_call and the pin of replay_from are the request's.
 */

#include "swap/request.h"
#include "swap/signals.h"

/* Gives back a version that was pinned for the request; NULL is allowed. */
void el_rerun_unpin(struct el_request *request, struct el_servable **servable);

/* Puts the call that just ended aside; the request has none then. signal: EL_SIGNAL_GOOD where the worker died. */
void el_rerun_begin(struct el_request *request, enum el_signal signal, const struct el_status *status);

static inline bool el_rerun_is_second_opinion(const struct el_request *request)
{
    return request->signal != EL_SIGNAL_GOOD;
}

/* Copies the inputs into the request's new call. */
struct el_status *el_rerun_copy(struct el_request *request) EL_MUST_USE;

/* The first call is not needed any more. Nothing to do where there is none. */
void el_rerun_drop(struct el_request *request);

/* The first answer stands: it is the request's call again, and what it came to is returned. */
const struct el_status *el_rerun_restore(struct el_request *request);

/* True if that version reads and writes what the first call did: indexes mean the same. */
bool el_rerun_fits(const struct el_request *request, const struct el_signature *signature);

#endif
