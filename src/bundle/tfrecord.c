/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/tfrecord.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

struct el_status *el_tfrecord_open(const char *path, struct el_tfrecord_reader *reader)
{
    *reader = (struct el_tfrecord_reader){ .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) };
    if (reader->fd < 0)
        return el_status_errno(errno, "%s", path);
    struct stat about;
    struct el_status *status = NULL;
    if (fstat(reader->fd, &about) != 0)
        status = el_status_errno(errno, "%s", path);
    else if (!S_ISREG(about.st_mode))
        status = el_status_new(EL_INVALID_ARGUMENT, "%s: expected a regular file", path);
    if (status != NULL) {
        el_tfrecord_close(reader);
        return status;
    }
    reader->size = (uint64_t)about.st_size;
    return NULL;
}

void el_tfrecord_close(struct el_tfrecord_reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
}

/* Reads size bytes at offset; *got is less at the end of the file. */
static struct el_status *read_at(const struct el_tfrecord_reader *reader, uint64_t offset, void *to, size_t size,
                                 size_t *got)
{
    *got = 0;
    while (*got < size) {
        const ssize_t n = pread(reader->fd, (uint8_t *)to + *got, size - *got, (off_t)(offset + *got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return el_status_errno(errno, "reading a record at %" PRIu64, offset);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return NULL;
}

static struct el_status *truncated(const struct el_tfrecord_reader *reader)
{
    return el_status_new(EL_DATA_LOSS, "truncated record at %" PRIu64 "' failed with Read less bytes than requested",
                         reader->offset);
}

static struct el_status *read_data(const struct el_tfrecord_reader *reader, uint64_t length, uint8_t *to)
{
    size_t got;
    const size_t whole = (size_t)length + EL_TFRECORD_FOOTER;
    EL_TRY(read_at(reader, reader->offset + EL_TFRECORD_HEADER, to, whole, &got));
    if (got < whole)
        return truncated(reader);
    if (get_u32(to + length) != el_crc32c_masked(to, (size_t)length))
        return el_status_new(EL_DATA_LOSS, "corrupted record at %" PRIu64, reader->offset + EL_TFRECORD_HEADER);
    return NULL;
}

struct el_status *el_tfrecord_read(struct el_tfrecord_reader *reader, struct el_buf *record, bool *end)
{
    uint8_t header[EL_TFRECORD_HEADER];
    size_t got;
    *end = false;
    EL_TRY(read_at(reader, reader->offset, header, sizeof header, &got));
    if (got < sizeof header) {
        *end = true;
        return NULL;
    }
    if (get_u32(header + 8) != el_crc32c_masked(header, 8))
        return el_status_new(EL_DATA_LOSS, "corrupted record at %" PRIu64 " (Is this even a TFRecord file?)",
                             reader->offset);
    const uint64_t length = (uint64_t)get_u32(header) | (uint64_t)get_u32(header + 4) << 32;
    const uint64_t frame = EL_TFRECORD_HEADER + EL_TFRECORD_FOOTER;
    if (reader->size < frame || reader->offset > reader->size - frame || length > reader->size - frame - reader->offset)
        return truncated(reader);
    if (length > EL_TFRECORD_MAX_BYTES)
        return el_status_new(EL_DATA_LOSS, "the record at %" PRIu64 " has %" PRIu64 " bytes; %zu are the most",
                             reader->offset, length, EL_TFRECORD_MAX_BYTES);
    uint8_t *to = el_buf_reserve(record, (size_t)length + EL_TFRECORD_FOOTER);
    if (to == NULL)
        return el_buf_status(record);
    EL_TRY(read_data(reader, length, to));
    record->size += (size_t)length;
    reader->offset += frame + length;
    return NULL;
}

void el_tfrecord_frame(const void *data, size_t size, uint8_t header[EL_TFRECORD_HEADER],
                       uint8_t footer[EL_TFRECORD_FOOTER])
{
    const uint64_t length = size;
    put_u32(header, (uint32_t)length);
    put_u32(header + 4, (uint32_t)(length >> 32));
    put_u32(header + 8, el_crc32c_masked(header, 8));
    put_u32(footer, el_crc32c_masked(data, size));
}
