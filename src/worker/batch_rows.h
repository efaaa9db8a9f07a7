/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_BATCH_ROWS_H
#define EL_WORKER_BATCH_ROWS_H

/*
 * Rows of tensors: putting those of several together, and cutting some out.
 *
 * Pure functions over memory that the caller owns; any thread. A row is what stands under one index of the first dim.
 * Tensors are as engines take and give them (everlit/engine.h), were checked before (el_tensor_check), have a rank of
 * at least 1, and those that are put together have the same dtype and rank.
 *
 * Where they differ in dims after the first, each row is padded at the end of those dims with the first element of the
 * tensor that it is from, as TensorFlow Serving does (pad_variable_length_inputs).
 */

#include "everlit/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct el_rows {
    struct everlit_tensor tensor;
    uint64_t first;
    uint64_t count;
};

/*
 * What the rows of list become together: dtype, rank, dims and size of merged. extra: as many rows more, each the first
 * row of the last of list (which has one then). False: more than memory can hold.
 */
bool el_rows_plan(const struct el_rows *list, uint32_t count, uint64_t extra, struct everlit_tensor *merged);

/* Puts them there: merged as planned, data has merged->size bytes. */
void el_rows_merge(const struct el_rows *list, uint32_t count, uint64_t extra, const struct everlit_tensor *merged,
                   void *data);

/* True if rows of both can stand below each other without padding. */
bool el_rows_alike(const struct everlit_tensor *a, const struct everlit_tensor *b);

/* What is wrong with an output of a run over so many rows, in TensorFlow Serving's words; NULL: nothing. */
const char *el_rows_output_wrong(int32_t rank, const int64_t *dims, uint64_t rows);

#endif
