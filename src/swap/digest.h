/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_DIGEST_H
#define EL_SWAP_DIGEST_H

/*
 * The digest of a version's content, by which the journal knows it again: under another number, after a restart, in a copy.
 *
 * Swap thread; the files are read by the thread pool. Asked for when a version may be loaded, and before it is: what
 * was read stays in the page cache for the load that follows.
 */

#include "swap/state.h"

/* True if version->digest is there, of the files as they are. Otherwise it is on its way, and el_manager_run() will come again. */
bool el_digest_known(struct el_version *version);

/* Its version goes: nobody waits any more. NULL is allowed. */
void el_digest_abandon(struct el_digesting *digesting);

#endif
