/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_RECONFIGURE_H
#define EL_SWAP_RECONFIGURE_H

/*
 * Another config takes the place of the one in force, for all models at once or not at all: el_swap_reconfigure() of swap.h.
 *
 * Swap thread. Everything that can fail is made aside first; models that stay keep their versions.
 */

#include "swap/state.h"

/* Frees models that nothing hangs on yet, and closes their sources. */
void el_models_drop(struct el_list *models);

#endif
