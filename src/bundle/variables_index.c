/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/variables_index.h"

#include "base/crc32c.h"
#include "bundle/proto_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC UINT64_C(0xdb4775248b80fb57)
#define FOOTER_SIZE 48
#define TRAILER_SIZE 5 /* after each block: its compression, and the checksum of both */
#define MAX_INDEX_BYTES ((size_t)256 << 20)
#define NAME "variables/variables.index"

/* A part of the file. */
struct block {
    size_t offset;
    size_t size;
};

struct table {
    const uint8_t *bytes;
    size_t size;
    struct el_variables_index *index;
    bool has_header;
};

static struct el_status *broken(size_t offset, const char *what)
{
    return el_status_new(EL_INVALID_ARGUMENT, NAME ": offset %zu: %s", offset, what);
}

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/* Reads one varint from *at on, which must end before limit. */
static struct el_status *read_varint(const struct table *table, size_t *at, size_t limit, uint64_t *value)
{
    const int n = el_proto_varint(table->bytes + *at, limit - *at, value);
    if (n <= 0)
        return broken(*at, "a number does not end where it should");
    *at += (size_t)n;
    return NULL;
}

/* Reads where a block lies, and checks that it is inside, uncompressed and unchanged. */
static struct el_status *read_handle(const struct table *table, size_t *at, size_t limit, struct block *block)
{
    const size_t start = *at;
    uint64_t offset = 0, size = 0;
    EL_TRY(read_varint(table, at, limit, &offset));
    EL_TRY(read_varint(table, at, limit, &size));
    const size_t room = table->size - FOOTER_SIZE;
    if (offset > room || size > room - (size_t)offset || room - (size_t)offset - (size_t)size < TRAILER_SIZE)
        return broken(start, "a block lies beyond the end");
    *block = (struct block){ .offset = (size_t)offset, .size = (size_t)size };
    return NULL;
}

static struct el_status *check_block(const struct table *table, struct block block)
{
    const uint8_t *trailer = table->bytes + block.offset + block.size;
    if (el_crc32c_masked(table->bytes + block.offset, block.size + 1) != read_u32(trailer + 1))
        return broken(block.offset, "the checksum of a block does not fit its content");
    if (trailer[0] != 0)
        return el_status_new(EL_UNIMPLEMENTED, NAME ": offset %zu: a block is compressed (method %d)", block.offset,
                             (int)trailer[0]);
    if (block.size < 4)
        return broken(block.offset, "a block is shorter than 4 bytes");
    return NULL;
}

/* ---- entries ---- */

static struct el_status *read_header(struct table *table, struct el_proto *message)
{
    uint64_t shards = 0;
    struct el_proto_field field;
    struct el_status *status = NULL;
    while (el_proto_next(message, &field, &status)) {
        if (field.number == 1 && field.wire == EL_PROTO_VARINT)
            shards = field.value;
        else if (field.number == 2 && field.wire == EL_PROTO_VARINT && field.value != 0)
            return broken(field.offset, "the variables are big-endian");
    }
    EL_TRY(status);
    if (shards > EL_MAX_SHARDS)
        return broken(message->base, "there are too many data files");
    if (table->has_header)
        return broken(message->base, "there is a second header");
    table->has_header = true;
    table->index->shard_bytes = calloc(shards == 0 ? 1 : (size_t)shards, sizeof *table->index->shard_bytes);
    if (table->index->shard_bytes == NULL)
        return el_status_no_memory();
    table->index->shard_count = (uint32_t)shards;
    return NULL;
}

static struct el_status *read_tensor(struct table *table, struct el_proto *message)
{
    struct el_variables_index *index = table->index;
    uint64_t shard = 0, offset = 0, size = 0, end;
    struct el_proto_field field;
    struct el_status *status = NULL;
    while (el_proto_next(message, &field, &status)) {
        if (field.wire != EL_PROTO_VARINT)
            continue;
        if (field.number == 3)
            shard = field.value;
        else if (field.number == 4)
            offset = field.value;
        else if (field.number == 5)
            size = field.value;
    }
    EL_TRY(status);
    if (shard >= index->shard_count)
        return broken(message->base, "a variable lies in a data file that is not counted");
    if (__builtin_add_overflow(offset, size, &end) || end > INT64_MAX ||
        __builtin_add_overflow(index->bytes, size, &index->bytes))
        return broken(message->base, "a variable has an impossible size");
    if (end > index->shard_bytes[shard])
        index->shard_bytes[shard] = end;
    index->entry_count++;
    return NULL;
}

static struct el_status *read_value(struct table *table, size_t key_size, size_t offset, size_t size)
{
    struct el_proto message = { .start = table->bytes + offset, .size = size, .base = offset };
    if (key_size == 0)
        return el_status_prefix(read_header(table, &message), NAME);
    if (!table->has_header)
        return broken(offset, "there is no header before the first variable");
    return el_status_prefix(read_tensor(table, &message), NAME);
}

typedef struct el_status *on_entry(struct table *table, size_t key_size, size_t offset, size_t size);

/* Calls found for each entry of a block: shared key bytes, own key bytes, value bytes; key; value. */
static struct el_status *read_entries(struct table *table, struct block block, on_entry *found)
{
    const size_t end = block.offset + block.size;
    const uint32_t restarts = read_u32(table->bytes + end - 4);
    if (restarts > (block.size - 4) / 4)
        return broken(end - 4, "a block has more restarts than bytes");
    const size_t limit = end - 4 - 4 * (size_t)restarts;
    size_t at = block.offset, key_size = 0;
    while (at < limit) {
        uint64_t shared = 0, own = 0, value = 0;
        const size_t start = at;
        EL_TRY(read_varint(table, &at, limit, &shared));
        EL_TRY(read_varint(table, &at, limit, &own));
        EL_TRY(read_varint(table, &at, limit, &value));
        if (shared > key_size || own > limit - at || value > limit - at - (size_t)own)
            return broken(start, "an entry is longer than its block");
        key_size = (size_t)shared + (size_t)own;
        at += (size_t)own;
        EL_TRY(found(table, key_size, at, (size_t)value));
        at += (size_t)value;
    }
    return NULL;
}

/* An entry of the index block: where a data block lies. */
static struct el_status *read_data_block(struct table *table, size_t key_size, size_t offset, size_t size)
{
    (void)key_size;
    struct block block = { 0 };
    EL_TRY(read_handle(table, &offset, offset + size, &block));
    EL_TRY(check_block(table, block));
    return read_entries(table, block, read_value);
}

static struct el_status *read_table(struct table *table)
{
    if (table->size < FOOTER_SIZE)
        return el_status_new(EL_DATA_LOSS, NAME ": has %zu bytes, at least %d are expected", table->size, FOOTER_SIZE);
    size_t at = table->size - FOOTER_SIZE;
    const uint8_t *magic = table->bytes + table->size - 8;
    if (((uint64_t)read_u32(magic + 4) << 32 | read_u32(magic)) != MAGIC)
        return el_status_new(EL_DATA_LOSS, NAME ": does not end as an index does: it is cut off, or something else");
    struct block meta = { 0 }, index = { 0 };
    EL_TRY(read_handle(table, &at, table->size - 8, &meta));
    EL_TRY(read_handle(table, &at, table->size - 8, &index));
    EL_TRY(check_block(table, index));
    EL_TRY(read_entries(table, index, read_data_block));
    if (!table->has_header)
        return broken(0, "there is no header");
    return NULL;
}

struct el_status *el_variables_index_parse(const uint8_t *bytes, size_t size, struct el_variables_index *index)
{
    struct el_variables_index made = { 0 };
    struct table table = { .bytes = bytes, .size = size, .index = &made };
    struct el_status *status = read_table(&table);
    if (status != NULL)
        el_variables_index_free(&made);
    else
        *index = made;
    return status;
}

struct el_status *el_variables_index_read_at(int dir_fd, struct el_variables_index *index)
{
    const int fd = openat(dir_fd, NAME, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return el_status_errno(errno, NAME ": cannot be opened");
    struct el_proto_file file = { 0 };
    struct el_buf buf = { 0 };
    struct el_status *status = el_proto_file_open(fd, NAME, &file);
    if (status == NULL)
        status = el_proto_file_read(&file, (struct el_proto_span){ 0, file.size }, MAX_INDEX_BYTES, &buf);
    if (status == NULL)
        status = el_variables_index_parse(buf.data, buf.size, index);
    el_buf_free(&buf);
    el_proto_file_close(&file);
    close(fd);
    return status;
}

void el_variables_index_free(struct el_variables_index *index)
{
    free(index->shard_bytes);
    *index = (struct el_variables_index){ 0 };
}
