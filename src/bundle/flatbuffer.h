/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_FLATBUFFER_H
#define EL_BUNDLE_FLATBUFFER_H

/*
 * Reading single values out of a FlatBuffers file (flatbuffers.dev, "FlatBuffer internals") without holding it.
 *
 *     table   at p: int32, the distance back to its vtable; uint16 at vtable: its size, the table's size, then where
 *             each field lies in the table, 0 for one that is not there
 *     vector  uint32 length, then elements; string: a vector of bytes
 *     reference  uint32, the distance forward from where it stands
 *
 * The file is read with pread, because somebody may cut it short at any moment. What lies beyond its end is DATA_LOSS (it may
 * still be being copied), what cannot be is INVALID_ARGUMENT. Nothing is followed twice, so nothing can run in a circle
 * but what the caller repeats. Blocking; one thread.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_flat {
    int fd;           /* the caller's */
    const char *name; /* for messages; not owned */
    uint64_t size;    /* when it was opened */
};

struct el_flat_table {
    uint64_t at;
    uint64_t vtable;
    uint16_t vtable_size;
    uint16_t size;
};

struct el_flat_vector {
    uint64_t at; /* of the first element; 0: the vector is not there */
    uint32_t count;
};

struct el_status *el_flat_open(int fd, const char *name, struct el_flat *flat) EL_MUST_USE;

/* The root table of a file with that identifier of four letters. */
struct el_status *el_flat_root(const struct el_flat *flat, const char identifier[4],
                               struct el_flat_table *table) EL_MUST_USE;

/* A number of 1, 2, 4 or 8 bytes; otherwise where the field is not there. */
struct el_status *el_flat_number(const struct el_flat *flat, const struct el_flat_table *table, unsigned field,
                                 unsigned bytes, uint64_t otherwise, uint64_t *value) EL_MUST_USE;

/* The vector of a field, of elements of that many bytes, which lies in the file from end to end. */
struct el_status *el_flat_vector(const struct el_flat *flat, const struct el_flat_table *table, unsigned field,
                                 unsigned bytes, struct el_flat_vector *vector) EL_MUST_USE;

/* Element of a vector: an int32; a table. index is below its count. */
struct el_status *el_flat_int_at(const struct el_flat *flat, const struct el_flat_vector *vector, uint32_t index,
                                 int32_t *value) EL_MUST_USE;
struct el_status *el_flat_table_at(const struct el_flat *flat, const struct el_flat_vector *vector, uint32_t index,
                                   struct el_flat_table *table) EL_MUST_USE;

/* The string of a field: to free(); "" where it is not there. Without NUL inside, at most limit bytes. */
struct el_status *el_flat_text(const struct el_flat *flat, const struct el_flat_table *table, unsigned field,
                               uint32_t limit, char **text) EL_MUST_USE;

#endif
