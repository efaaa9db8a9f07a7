/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_HOST_TABLE_H
#define EL_ENGINE_HOST_TABLE_H

/*
 * Tables of a graph: filled when the model is opened, by what its initializers say, then constant.
 *
 * The keys and values are those of a file in assets/ or of constants. Numbers and strings; looked up by their bytes.
 */

#include "engine/host_value.h"
#include "tensor/wire.h"

struct host_table {
    struct host_value keys, values;
    uint32_t *slots; /* of a power of two: number of a key + 1, or 0 */
    uint32_t slot_mask;
};

/* Takes over keys and values, as many of each. INVALID_ARGUMENT: a key has two values. host_table_free() also after a failure. */
struct el_status *host_table_make(struct host_value *keys, struct host_value *values,
                                  struct host_table *table) EL_MUST_USE;
void host_table_free(struct host_table *table);

/* The values of the keys; of those that are not there, otherwise's, which has one element or as many as keys. */
struct el_status *host_table_find(const struct host_table *table, const struct host_value *keys,
                                  const struct host_value *otherwise, struct host_value *found) EL_MUST_USE;

/* How InitializeTableFromTextFileV2 reads a line. */
struct host_text_table {
    enum el_dtype key_type, value_type;
    int64_t key_index, value_index; /* of the columns; -1: the line's number; -2: the whole line */
    int64_t most;                   /* lines; -1: all */
    int64_t skip;                   /* lines at the beginning */
    char delimiter;
};

/* name: of the file, for messages. */
struct el_status *host_table_read_text(const char *name, const void *bytes, size_t size,
                                       const struct host_text_table *how, struct host_table *table) EL_MUST_USE;

#endif
