/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/flatbuffer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VTABLE_HEAD 4 /* its own size and the table's */

struct el_status *el_flat_open(int fd, const char *name, struct el_flat *flat)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return el_status_errno(errno, "%s: its size cannot be read", name);
    if (!S_ISREG(info.st_mode))
        return el_status_new(EL_INVALID_ARGUMENT, "%s: is no regular file", name);
    *flat = (struct el_flat){ .fd = fd, .name = name, .size = (uint64_t)info.st_size };
    return NULL;
}

static struct el_status *cut_off(const struct el_flat *flat, uint64_t at)
{
    return el_status_new(EL_DATA_LOSS,
                         "%s: offset %" PRIu64 ": what is there leads beyond the end at %" PRIu64 ": it is cut off",
                         flat->name, at, flat->size);
}

static struct el_status *read_bytes(const struct el_flat *flat, uint64_t at, void *bytes, size_t size)
{
    if (at > flat->size || size > flat->size - at)
        return cut_off(flat, at);
    uint8_t *to = bytes;
    while (size > 0) {
        const ssize_t n = pread(flat->fd, to, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return el_status_errno(errno, "%s: cannot be read", flat->name);
        if (n == 0)
            return cut_off(flat, at);
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return NULL;
}

/* Little-endian, whatever this machine is. */
static struct el_status *read_number(const struct el_flat *flat, uint64_t at, unsigned bytes, uint64_t *value)
{
    uint8_t raw[8] = { 0 };
    EL_TRY(read_bytes(flat, at, raw, bytes));
    *value = 0;
    for (unsigned i = 0; i < bytes; i++)
        *value |= (uint64_t)raw[i] << (8 * i);
    return NULL;
}

/* What the reference at that place leads to. Offsets are below 2^32 and the file is below 2^63: no overflow. */
static struct el_status *follow(const struct el_flat *flat, uint64_t at, uint64_t *to)
{
    uint64_t distance;
    EL_TRY(read_number(flat, at, 4, &distance));
    if (distance == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %" PRIu64 ": a reference leads to itself", flat->name,
                             at);
    *to = at + distance;
    return *to >= flat->size ? cut_off(flat, at) : NULL;
}

static struct el_status *open_table(const struct el_flat *flat, uint64_t at, struct el_flat_table *table)
{
    uint64_t back, vtable_size, size;
    EL_TRY(read_number(flat, at, 4, &back));
    const int64_t vtable = (int64_t)at - (int32_t)(uint32_t)back;
    if (vtable < 0)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %" PRIu64 ": a table's vtable lies before the file",
                             flat->name, at);
    EL_TRY(read_number(flat, (uint64_t)vtable, 2, &vtable_size));
    EL_TRY(read_number(flat, (uint64_t)vtable + 2, 2, &size));
    if (vtable_size < VTABLE_HEAD || size < 4)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "%s: offset %" PRIu64 ": a vtable of %" PRIu64 " bytes for a table of %" PRIu64,
                             flat->name, (uint64_t)vtable, vtable_size, size);
    *table = (struct el_flat_table){
        .at = at, .vtable = (uint64_t)vtable, .vtable_size = (uint16_t)vtable_size, .size = (uint16_t)size
    };
    return NULL;
}

struct el_status *el_flat_root(const struct el_flat *flat, const char identifier[4], struct el_flat_table *table)
{
    char found[4];
    uint64_t root;
    if (flat->size == 0)
        return el_status_new(EL_DATA_LOSS, "%s: is empty", flat->name);
    EL_TRY(read_bytes(flat, 4, found, sizeof found));
    if (memcmp(found, identifier, sizeof found) != 0)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: does not have \"%.4s\" at offset 4", flat->name, identifier);
    EL_TRY(follow(flat, 0, &root));
    return open_table(flat, root, table);
}

/* Where a field of that many bytes lies; 0: it is not there. */
static struct el_status *place(const struct el_flat *flat, const struct el_flat_table *table, unsigned field,
                               unsigned bytes, uint64_t *at)
{
    const uint64_t entry = VTABLE_HEAD + 2 * (uint64_t)field;
    uint64_t offset = 0;
    *at = 0;
    if (entry + 2 > table->vtable_size)
        return NULL;
    EL_TRY(read_number(flat, table->vtable + entry, 2, &offset));
    if (offset == 0)
        return NULL;
    if (offset < 4 || offset + bytes > table->size)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %" PRIu64 ": field %u lies outside of its table",
                             flat->name, table->at, field);
    *at = table->at + offset;
    return NULL;
}

struct el_status *el_flat_number(const struct el_flat *flat, const struct el_flat_table *table, unsigned field,
                                 unsigned bytes, uint64_t otherwise, uint64_t *value)
{
    uint64_t at;
    *value = otherwise;
    EL_TRY(place(flat, table, field, bytes, &at));
    return at == 0 ? NULL : read_number(flat, at, bytes, value);
}

struct el_status *el_flat_vector(const struct el_flat *flat, const struct el_flat_table *table, unsigned field,
                                 unsigned bytes, struct el_flat_vector *vector)
{
    uint64_t at, start, count;
    *vector = (struct el_flat_vector){ 0 };
    EL_TRY(place(flat, table, field, 4, &at));
    if (at == 0)
        return NULL;
    EL_TRY(follow(flat, at, &start));
    EL_TRY(read_number(flat, start, 4, &count));
    start += 4;
    if (count * bytes > flat->size - start) /* start was read up to: it is not beyond the end */
        return cut_off(flat, start);
    *vector = (struct el_flat_vector){ .at = start, .count = (uint32_t)count };
    return NULL;
}

struct el_status *el_flat_int_at(const struct el_flat *flat, const struct el_flat_vector *vector, uint32_t index,
                                 int32_t *value)
{
    uint64_t number;
    EL_TRY(read_number(flat, vector->at + 4 * (uint64_t)index, 4, &number));
    *value = (int32_t)(uint32_t)number;
    return NULL;
}

struct el_status *el_flat_table_at(const struct el_flat *flat, const struct el_flat_vector *vector, uint32_t index,
                                   struct el_flat_table *table)
{
    uint64_t at;
    EL_TRY(follow(flat, vector->at + 4 * (uint64_t)index, &at));
    return open_table(flat, at, table);
}

struct el_status *el_flat_text(const struct el_flat *flat, const struct el_flat_table *table, unsigned field,
                               uint32_t limit, char **text)
{
    struct el_flat_vector bytes;
    EL_TRY(el_flat_vector(flat, table, field, 1, &bytes));
    if (bytes.count > limit)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "%s: offset %" PRIu64 ": a text of %" PRIu32 " bytes, at most %" PRIu32, flat->name,
                             bytes.at, bytes.count, limit);
    char *made = calloc(1, (size_t)bytes.count + 1);
    if (made == NULL)
        return el_status_no_memory();
    struct el_status *status = bytes.count == 0 ? NULL : read_bytes(flat, bytes.at, made, bytes.count);
    if (status == NULL && strlen(made) != bytes.count)
        status = el_status_new(EL_INVALID_ARGUMENT, "%s: offset %" PRIu64 ": a text has a NUL byte inside", flat->name,
                               bytes.at);
    if (status != NULL)
        free(made);
    else
        *text = made;
    return status;
}
