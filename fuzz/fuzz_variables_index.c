/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a variables.index. Because checksums stop nearly all of them at
 * the first block, the bytes are also put into a table with right checksums:
 * once as its data block, once as its index block.
 */
#include "bundle/variables_index.h"

#include "bundle/proto.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t masked_crc(const uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void put_u32(struct el_buf *buf, uint32_t value)
{
    const uint8_t bytes[] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24) };
    el_buf_append(buf, bytes, sizeof bytes);
}

/* Appends a block of content, with what stands behind each block; returns its offset. */
static size_t put_block(struct el_buf *table, const void *content, size_t size)
{
    const size_t offset = table->size;
    el_buf_append(table, content, size);
    el_buf_byte(table, 0);
    put_u32(table, masked_crc(table->data + offset, size + 1));
    return offset;
}

static void put_footer(struct el_buf *table, size_t index_offset, size_t index_size)
{
    const size_t start = table->size;
    el_proto_put_varint(table, 0);
    el_proto_put_varint(table, 0);
    el_proto_put_varint(table, index_offset);
    el_proto_put_varint(table, index_size);
    while (table->size < start + 40)
        el_buf_byte(table, 0);
    el_buf_append(table, "\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8);
}

static void parse(const uint8_t *bytes, size_t size)
{
    struct el_variables_index index;
    struct el_status *status = el_variables_index_parse(bytes, size, &index);
    if (status == NULL) {
        for (uint32_t i = 0; i < index.shard_count; i++)
            if (index.shard_bytes[i] > INT64_MAX)
                abort();
        el_variables_index_free(&index);
    } else if (strncmp(el_status_text(status), "variables/variables.index: ", 27) != 0) {
        abort(); /* an error without its place */
    }
    el_status_free(status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct el_buf table = { 0 }, index = { 0 };
    parse(data, size);

    const size_t offset = put_block(&table, data, size);
    struct el_buf handle = { 0 };
    el_proto_put_varint(&handle, offset);
    el_proto_put_varint(&handle, size);
    el_proto_put_varint(&index, 0);
    el_proto_put_varint(&index, 1);
    el_proto_put_varint(&index, handle.size);
    el_buf_byte(&index, 'z');
    el_buf_append(&index, handle.data, handle.size);
    put_u32(&index, 0);
    put_u32(&index, 1);
    put_footer(&table, put_block(&table, index.data, index.size), index.size);
    parse(table.data, table.size);

    el_buf_clear(&table);
    put_footer(&table, put_block(&table, data, size), size);
    parse(table.data, table.size);
    el_buf_free(&table);
    el_buf_free(&index);
    el_buf_free(&handle);
    return 0;
}
