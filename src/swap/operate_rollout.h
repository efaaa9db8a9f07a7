/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_OPERATE_ROLLOUT_H
#define EL_SWAP_OPERATE_ROLLOUT_H

/* An operator's word on a rollout, for el_operate() and el_operate_outcome(). Swap thread. */

#include "swap/operate.h"
#include "swap/wishes.h"

struct el_status *el_operate_promote(struct el_model *model, struct el_operation *operation) EL_MUST_USE;
struct el_status *el_operate_abort(struct el_model *model, struct el_operation *operation) EL_MUST_USE;

/* True once it is decided what came of it. */
bool el_operate_promoted(const struct el_model *model, struct el_operation *operation, struct el_status **status);
bool el_operate_aborted(const struct el_model *model, struct el_operation *operation);

/* operate.c's: kind is put in force for operation->version, unless nothing else could answer then. */
struct el_status *el_operate_let_go(struct el_model *model, struct el_operation *operation,
                                    enum el_wish_kind kind) EL_MUST_USE;

#endif
