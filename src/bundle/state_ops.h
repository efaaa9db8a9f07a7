/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_STATE_OPS_H
#define EL_BUNDLE_STATE_OPS_H

/* Which ops leave something behind that a later run of the graph can see. Pure; any thread. */

#include <stdbool.h>

bool el_op_changes_state(const char *op);

#endif
