/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_BATCHING_H
#define EL_SWAP_BATCHING_H

/*
 * How the requests to a version are batched: the server's parameters, or with --enable_per_model_batching_parameters those
 * that the version brings along, as the worker room takes them. Swap thread.
 */

#include "swap/state.h"

/*
 * For the version in directory path. batching->on is false where it is not batched. *threads: how many batches may run at
 * the same time; 0: as the worker chooses. With parameters per model it reads one small file, which the check of the
 * version's files has just seen. An error ends the load.
 */
struct el_status *el_batching_find(const struct el_swap *swap, const char *path, struct el_batching *batching,
                                   uint32_t *threads) EL_MUST_USE;

#endif
