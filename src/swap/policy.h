/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_POLICY_H
#define EL_SWAP_POLICY_H

/*
 * Version policies: which of the versions that exist are aspired.
 *
 * Pure; any thread. A version that is not usable (quarantined, or not whole yet)
 * does not count for "latest N": the next best one takes its place, so that a bad
 * new version never leaves the model with fewer versions than it could have.
 */

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_candidate {
    int64_t version;
    bool usable;
};

/*
 * candidates: descending by version, no version twice. Writes the aspired versions, descending, into aspired, which has room
 * for count entries, and returns their number.
 */
size_t el_policy_aspire(const struct el_version_policy *policy, const struct el_candidate *candidates, size_t count,
                        int64_t *aspired);

/* True if version is in the descending list. */
bool el_policy_has(const int64_t *versions, size_t count, int64_t version);

#endif
