/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_WISHES_H
#define EL_SWAP_WISHES_H

/*
 * What an operator wants of single versions, beside the version policy: one to be loaded that the policy does not want, one to be
 * unloaded that it does, one to be quarantined as soon as another can answer in its place.
 *
 * They hold until the server ends, the version's directory goes, or another command takes their place; one wish a version. Swap thread.
 * A pin is no wish: it is the journal's, and comes before all of these.
 */

#include "swap/policy.h"
#include "swap/state.h"

enum el_wish_kind { EL_WISH_LOAD, EL_WISH_UNLOAD, EL_WISH_QUARANTINE };

struct el_wish {
    struct el_wish *next;
    enum el_wish_kind kind;
    int64_t version;
    char *by, *reason; /* owned */
};

const struct el_wish *el_wish_find(const struct el_model *model, int64_t version);

/* In place of the one that there was. RESOURCE_EXHAUSTED: no memory, and nothing is changed. */
struct el_status *el_wish_set(struct el_model *model, enum el_wish_kind kind, int64_t version, const char *by,
                              const char *reason) EL_MUST_USE;
void el_wish_drop(struct el_model *model, int64_t version);
void el_wishes_free(struct el_model *model);

/* What is to go is no candidate of the policy. */
void el_wishes_exclude(const struct el_model *model, struct el_candidate *candidates, size_t count);

/*
 * Adds what is to be loaded and can be (is usable among candidates) to numbers, which stay descending and have room for all
 * candidates; with to_verify also what is to be quarantined, whose content has to be known for that. below: only smaller numbers. Returns
 * how many there are.
 */
size_t el_wishes_include(const struct el_model *model, const struct el_candidate *candidates, size_t candidate_count,
                         bool to_verify, int64_t below, int64_t *numbers, size_t count);

/* After requests were led elsewhere: unloads and quarantines what does not answer any more, and tells of a pin that cannot be met. */
void el_wishes_look(struct el_model *model);

#endif
