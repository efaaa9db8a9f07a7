/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_COMPATIBILITY_H
#define EL_SWAP_COMPATIBILITY_H

/*
 * Whether a new version can take over from the one that serves: what clients ask
 * today must still be understood. Pure; any thread.
 */

#include "bundle/signature.h"

/*
 * NULL if every signature of old, with each of its inputs and outputs, is in new with the same dtype and a shape that takes
 * what the old one took, and nothing more is required. Otherwise FAILED_PRECONDITION whose text lists the differences like a
 * diff: `serving_default: - input "input" float [?,784], + input "pixels" float [?,784]`.
 */
struct el_status *el_compatible(const struct el_signatures *old, int64_t old_version, const struct el_signatures *new_,
                                int64_t new_version) EL_MUST_USE;

#endif
