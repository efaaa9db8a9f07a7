/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_OPERATE_RULES_H
#define EL_SWAP_OPERATE_RULES_H

/* What an operator may ask for, of one version of a model as it is now. Changes nothing; swap thread. */

#include "swap/state.h"

/* NOT_FOUND, with the numbers that there are: it is not on disk, and nothing is known of it. */
struct el_status *el_rule_is_known(const struct el_model *model, int64_t version) EL_MUST_USE;

/* It is loaded; or it is whole on disk and nothing is known against it. NOT_FOUND or FAILED_PRECONDITION with why. */
struct el_status *el_rule_can_be_loaded(const struct el_model *model, int64_t version) EL_MUST_USE;

/* The newest version below before that can be loaded. FAILED_PRECONDITION: there is none, or nothing answers. */
struct el_status *el_rule_last_good_before(const struct el_model *model, int64_t before, int64_t *version) EL_MUST_USE;

/* It serves, or is one publication away from it. */
bool el_rule_answers_at_once(const struct el_model *model, int64_t version);

/* The quarantine of its content, by its digest or, where that is not known, the number under which it was found; NULL: none. */
const struct el_journal_bad *el_rule_bad(const struct el_model *model, int64_t version);

#endif
