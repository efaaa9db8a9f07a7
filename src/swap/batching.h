/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_BATCHING_H
#define EL_SWAP_BATCHING_H

/*
 * How the requests to a version are batched, as the worker room takes it. Swap thread. Of what there is, this counts, the
 * first first:
 *
 *     update { batching { } } of its model
 *     the file that the version brings along, with --enable_per_model_batching_parameters
 *     the server's parameters, with --enable_batching
 */

#include "swap/state.h"

/*
 * What the version in directory path brings along; *own is NULL where that is nothing, else the caller's to free(). It reads
 * one small file, which the check of the version's files has just seen. An error ends the load.
 */
struct el_status *el_batching_of_version(const struct el_swap *swap, const char *path,
                                         struct el_batching **own) EL_MUST_USE;

/*
 * For a version of model that brings along own (or NULL). batching->on is false where it is not batched. *threads: how many
 * batches may run at the same time; 0: as the worker chooses.
 */
void el_batching_choose(const struct el_swap *swap, const struct el_model *model, const struct el_batching *own,
                        struct el_batching *batching, uint32_t *threads);

/* Tells the workers of model (NULL: of all models), for the requests from now on; those that wait are answered in any case. */
void el_batching_changed(struct el_swap *swap, const struct el_model *model);

#endif
