/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_RESPAWN_H
#define EL_SWAP_RESPAWN_H

/*
 * The death of a worker that answers clients, and its replacement.
 *
 * The first replacement is started at once, the next ones after 100 ms, doubling to 10 s;
 * a worker that lived for 60 s makes it start over. A replacement opens the same
 * files with the same engine, must offer the same signatures, and shows with one
 * forward pass (a whole probe, where the files have changed; none, where a run
 * would leave something behind) that it answers; it does not queue behind loads. Requests wait meanwhile, in their loops.
 *
 * A version is given up for an older one when its workers keep dying: 3 deaths
 * within 60 s of becoming SERVING while another version is WARM, or 5
 * replacements in a row that did not live for a second while another version could be
 * loaded, or 2 runs that never ended (hang_timeout_ms) within ten minutes of each other while there is another version. With nothing to fall back on it is tried for ever.
 *
 * Swap thread.
 */

#include "swap/state.h"

/* The callback of a worker that hosts a SERVING or WARM version (el_version_host). owner: the version. */
void el_respawn_on_event(struct el_hosted *hosted, const struct el_worker_event *event, void *owner);

/* Takes the next step of a replacement, if one is due. */
void el_respawn_tick(struct el_version *version, uint64_t now_ns);

/* Kills the replacement. NULL is allowed. */
void el_respawn_end(struct el_respawn *respawn);

/* Pure: how long to wait before replacement number n (from 0). */
uint64_t el_respawn_delay_ns(unsigned n);

#endif
