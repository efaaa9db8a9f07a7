/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_REMEMBER_H
#define EL_SWAP_REMEMBER_H

/*
 * What the swapper keeps in its journal (journal/journal.h), and what it asks of it.
 *
 * Swap thread. Where the journal finds no memory, that is told, and the swap goes on.
 */

#include "journal/journal.h"
#include "swap/state.h"

/* Why a version that may be loaded is not: its content is quarantined, or loading it ended the server before. NULL: it is. */
struct el_status *el_remember_verdict(const struct el_version *version) EL_MUST_USE;

/* True if its content is quarantined, and remembered as such. */
bool el_remember_is_bad(const struct el_version *version);

/* Its content is never to answer again, under whatever number. by: who says so. */
void el_remember_bad(const struct el_version *version, const struct el_status *why, const char *by);

/* It answers. */
void el_remember_good(const struct el_version *version);

/* The version that answered when the server ended last; false: none is known. */
bool el_remember_last_good(const struct el_model *model, int64_t *version);

/* True if its content is what answered then. Its digest is known. */
bool el_remember_is_last_good(const struct el_version *version);

/* The word of an operator that this version and no other is to answer; false: there is none. */
bool el_remember_pin(const struct el_model *model, int64_t *version);

/* True if that version is this one. */
static inline bool el_remember_pins(const struct el_version *version)
{
    int64_t pinned;
    return el_remember_pin(version->model, &pinned) && pinned == version->number;
}

#endif
