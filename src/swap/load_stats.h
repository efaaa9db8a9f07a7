/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_LOAD_STATS_H
#define EL_SWAP_LOAD_STATS_H

/*
 * What loads, probes and switches came to and how long each took, counted where a version moves from state to state.
 *
 * Swap thread. The numbers of a version lie in its el_version_stats, where scrapes read them, and go on from one life of its
 * number to the next; those of a model go with each view.
 */

#include "swap/state.h"

/* version has just come from state `before` to its present one. */
void el_load_stats_moved(struct el_version *version, enum el_life_state before);

/* It has been warmed with its records, within took_ns; code: how that ended. */
void el_load_stats_warmed(struct el_version *version, uint64_t took_ns, enum el_code code);

/* A new life goes on counting where the one before it is. */
void el_load_stats_inherit(struct el_version *version, const struct el_version *before);

#endif
