/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_LOADER_H
#define EL_SWAP_LOADER_H

/*
 * From admission to READY: starts a worker per engine in question, probes each,
 * chooses the engine, asks the serving version where that is needed to be fair,
 * and measures latency beside it.
 *
 * Swap thread. Callbacks only note what happened; el_load_tick(), called by
 * el_manager_run(), takes the next step. Its end is a move of the version: READY with
 * a worker, or QUARANTINED with the reason.
 */

#include "swap/state.h"

/* ADMIT was done: starts the workers. The version is QUARANTINED at once where not even that works. */
void el_load_begin(struct el_version *version);

/* Takes the next step if there is one; version->load may be NULL afterwards. */
void el_load_tick(struct el_version *version, uint64_t now_ns);

/* Ends it: its workers are killed, and nothing comes of it. NULL is allowed. */
void el_load_end(struct el_load *load);

/* A worker to show in the status while it loads, or NULL. */
const struct el_hosted *el_load_hosted(const struct el_load *load);

#endif
