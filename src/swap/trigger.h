/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_TRIGGER_H
#define EL_SWAP_TRIGGER_H

/*
 * What a life of a version was begun for, and by whom: for the swap report.
 *
 * Swap thread.
 */

#include "swap/state.h"

/* A life has begun; ended: the one before of the same number, or NULL. */
void el_trigger_begin(struct el_version *version, const struct el_version *ended);

/* Somebody has asked for another life of an ended or quarantined one: "tried again by ann". */
void el_trigger_revive(struct el_version *version, const char *text);

/* What led to the decision at hand: of a version that an operator has pinned, that; room: text's. */
const char *el_trigger_print(const struct el_version *version, char *text, size_t room);

#endif
