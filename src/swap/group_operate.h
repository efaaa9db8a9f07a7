/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_GROUP_OPERATE_H
#define EL_SWAP_GROUP_OPERATE_H

/*
 * What an operator's rollback of one model means for the others of its group: they go back to what they were in the same
 * generation, and are pinned there like it; and `unpin` of one lets all go on that were rolled back.
 *
 * Swap thread. Models without a group: nothing is done.
 */

#include "swap/group.h"
#include "swap/operate.h"

#define EL_ROLLED_BACK_BY "rolled back by " /* the beginning of such a pin's reason */

/* The version that a rollback without one goes to, by the last generation in which the model's was older; false: none is known. */
bool el_group_rollback_version(const struct el_model *model, int64_t from, int64_t *version);

/*
 * Pins the others. extra (size bytes): what becomes of them, to be appended to the answer; "": nothing. FAILED_PRECONDITION: one of them
 * cannot go there, and nothing is changed.
 */
struct el_status *el_group_pin_others(struct el_model *model, const struct el_operation *operation, int64_t version,
                                      char *extra, size_t size) EL_MUST_USE;

/* Unpins the others that were rolled back. */
struct el_status *el_group_unpin_others(struct el_model *model, const struct el_operation *operation, char *extra,
                                        size_t size) EL_MUST_USE;

#endif
