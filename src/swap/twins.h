/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_TWINS_H
#define EL_SWAP_TWINS_H

/*
 * Twins: the same content under several numbers of one model. What is found out about one holds for all of them.
 *
 * Swap thread. Content is known by its digest (digest.h): a version whose files were not read yet has no twins.
 */

#include "swap/state.h"

bool el_are_twins(const struct el_version *version, const struct el_version *other);

/*
 * The content of bad is never to answer again: its twins go, too, each as soon as another version answers in its place. Whose
 * word it is, and why, is told of them.
 */
void el_twins_condemn(const struct el_version *bad, const char *by, const char *reason);

/* Takes that back, as far as it has not happened yet. */
void el_twins_pardon(const struct el_version *version);

#endif
