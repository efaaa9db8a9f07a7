/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_VARIABLES_INDEX_H
#define EL_BUNDLE_VARIABLES_INDEX_H

/*
 * What a variables.index says about the data files: how many there are and how
 * long each must be at least; and what is in them, summed up.
 *
 * The file is untrusted. Pure but for the reading; any thread that may block.
 *
 * It is a table in LevelDB's format (tensorflow/core/lib/io/format.h, table.cc; tensor_bundle.proto): data
 * blocks of sorted keys and values, an index block, a footer of 48 bytes. The key "" has a BundleHeaderProto (num_shards=1,
 * endianness=2), each other key a BundleEntryProto (dtype=1, shape=2, shard_id=3, offset=4, size=5, slices=7).
 */

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define EL_MAX_SHARDS 100000 /* file names have five digits */

struct el_variables_index {
    uint32_t shard_count;
    uint64_t *shard_bytes; /* the least that each data file must have */
    uint64_t entry_count;  /* tensors and slices of tensors */
    uint64_t bytes;        /* of all tensors */
};

/* Reads bytes as an index. DATA_LOSS: cut off; INVALID_ARGUMENT: something else. Messages say the offset. */
struct el_status *el_variables_index_parse(const uint8_t *bytes, size_t size,
                                           struct el_variables_index *index) EL_MUST_USE;

/* Reads variables/variables.index below the directory dir_fd. */
struct el_status *el_variables_index_read_at(int dir_fd, struct el_variables_index *index) EL_MUST_USE;

void el_variables_index_free(struct el_variables_index *index);

#endif
