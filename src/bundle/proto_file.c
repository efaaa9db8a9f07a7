/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/proto_file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_BYTES ((size_t)64 * 1024)
#define NUMBER_BYTES 10 /* the longest varint */

struct el_status *el_proto_file_open(int fd, const char *name, struct el_proto_file *file)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return el_status_errno(errno, "%s: cannot be examined", name);
    if (!S_ISREG(info.st_mode))
        return el_status_new(EL_INVALID_ARGUMENT, "%s: is not a regular file", name);
    if ((uint64_t)info.st_size > EL_PROTO_FILE_MAX)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: has %lld bytes, at most %llu are possible", name,
                             (long long)info.st_size, (unsigned long long)EL_PROTO_FILE_MAX);
    uint8_t *window = malloc(WINDOW_BYTES);
    if (window == NULL)
        return el_status_no_memory();
    *file = (struct el_proto_file){ .fd = fd, .name = name, .size = (uint64_t)info.st_size, .window = window };
    return NULL;
}

void el_proto_file_close(struct el_proto_file *file)
{
    free(file->window);
    file->window = NULL;
}

static struct el_status *pread_full(const struct el_proto_file *file, uint8_t *to, size_t size, uint64_t at)
{
    while (size > 0) {
        ssize_t n = pread(file->fd, to, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return el_status_errno(errno, "%s: offset %llu: cannot be read", file->name, (unsigned long long)at);
        if (n == 0)
            return el_status_new(EL_DATA_LOSS, "%s: was cut off at offset %llu while it was read; it had %llu bytes",
                                 file->name, (unsigned long long)at, (unsigned long long)file->size);
        to += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return NULL;
}

/* Sees to it that the window has the bytes from `at` on, as many as a number can have, or all up to the file's end. */
static struct el_status *look(struct el_proto_file *file, uint64_t at, const uint8_t **bytes, size_t *size)
{
    const uint64_t left = file->size - at;
    const size_t need = left < NUMBER_BYTES ? (size_t)left : NUMBER_BYTES;
    if (at < file->window_at || at - file->window_at > file->window_used ||
        file->window_used - (size_t)(at - file->window_at) < need) {
        const size_t fill = left < WINDOW_BYTES ? (size_t)left : WINDOW_BYTES;
        file->window_used = 0;
        EL_TRY(pread_full(file, file->window, fill, at));
        file->window_at = at;
        file->window_used = fill;
    }
    *bytes = file->window + (size_t)(at - file->window_at);
    *size = file->window_used - (size_t)(at - file->window_at);
    return NULL;
}

static struct el_status *cut_off(const struct el_proto_file *file, uint64_t at, uint64_t need, uint64_t left)
{
    return el_status_new(EL_DATA_LOSS, "%s: offset %llu: is cut off: %llu more bytes are expected, %llu are there",
                         file->name, (unsigned long long)at, (unsigned long long)need, (unsigned long long)left);
}

static struct el_status *read_number(struct el_proto_file *file, struct el_proto_span *message, uint64_t *value)
{
    const uint8_t *bytes = NULL;
    size_t size = 0;
    EL_TRY(look(file, message->at, &bytes, &size));
    if (size > message->end - message->at)
        size = (size_t)(message->end - message->at);
    int n = el_proto_varint(bytes, size, value);
    if (n == 0)
        return cut_off(file, message->at, size + 1, size);
    if (n < 0)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %llu: a number is longer than 10 bytes", file->name,
                             (unsigned long long)message->at);
    message->at += (uint64_t)n;
    return NULL;
}

static struct el_status *read_fixed(struct el_proto_file *file, struct el_proto_span *message, unsigned width,
                                    uint64_t *value)
{
    const uint8_t *bytes = NULL;
    size_t size = 0;
    if (message->end - message->at < width)
        return cut_off(file, message->at, width, message->end - message->at);
    EL_TRY(look(file, message->at, &bytes, &size));
    *value = 0;
    for (unsigned i = width; i-- > 0;)
        *value = *value << 8 | bytes[i];
    message->at += width;
    return NULL;
}

static struct el_status *read_part(struct el_proto_file *file, struct el_proto_span *message,
                                   struct el_proto_part *part)
{
    uint64_t key = 0, size = 0;
    *part = (struct el_proto_part){ .start = message->at };
    EL_TRY(read_number(file, message, &key));
    if (key >> 3 == 0 || key > UINT32_MAX)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %llu: %llu is no field number", file->name,
                             (unsigned long long)part->start, (unsigned long long)(key >> 3));
    part->number = (uint32_t)(key >> 3);
    part->wire = (enum el_proto_wire)(key & 7);
    switch (part->wire) {
    case EL_PROTO_VARINT:
        EL_TRY(read_number(file, message, &part->value));
        break;
    case EL_PROTO_FIXED64:
        EL_TRY(read_fixed(file, message, 8, &part->value));
        break;
    case EL_PROTO_FIXED32:
        EL_TRY(read_fixed(file, message, 4, &part->value));
        break;
    case EL_PROTO_BYTES:
        EL_TRY(read_number(file, message, &size));
        if (size > message->end - message->at)
            return cut_off(file, message->at, size, message->end - message->at);
        break;
    default:
        return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %llu: field %u has the wire type %u, which is not in use",
                             file->name, (unsigned long long)part->start, part->number, (unsigned)(key & 7));
    }
    part->span = (struct el_proto_span){ message->at, message->at + size };
    message->at += size;
    return NULL;
}

bool el_proto_file_next(struct el_proto_file *file, struct el_proto_span *message, struct el_proto_part *part,
                        struct el_status **status)
{
    if (message->at >= message->end)
        return false;
    *status = read_part(file, message, part);
    return *status == NULL;
}

struct el_status *el_proto_file_want_bytes(const struct el_proto_file *file, const struct el_proto_part *part,
                                           const char *what)
{
    if (part->wire == EL_PROTO_BYTES)
        return NULL;
    return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %llu: %s has the wire type %d, %d is expected", file->name,
                         (unsigned long long)part->start, what, (int)part->wire, (int)EL_PROTO_BYTES);
}

struct el_status *el_proto_file_read(struct el_proto_file *file, struct el_proto_span span, size_t limit,
                                     struct el_buf *buf)
{
    const uint64_t size = span.end - span.at;
    if (size > limit)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %llu: a part has %llu bytes, at most %zu are read",
                             file->name, (unsigned long long)span.at, (unsigned long long)size, limit);
    uint8_t *to = el_buf_reserve(buf, (size_t)size);
    if (to == NULL)
        return el_status_no_memory();
    EL_TRY(pread_full(file, to, (size_t)size, span.at));
    buf->size += (size_t)size;
    return NULL;
}

struct el_status *el_proto_file_put(int to, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(to, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return el_status_errno(errno, "a copy cannot be written");
        bytes += n;
        size -= (size_t)n;
    }
    return NULL;
}

struct el_status *el_proto_file_copy(struct el_proto_file *file, struct el_proto_span span, int to)
{
    while (span.at < span.end) {
        const size_t size = span.end - span.at < WINDOW_BYTES ? (size_t)(span.end - span.at) : WINDOW_BYTES;
        file->window_used = 0;
        EL_TRY(pread_full(file, file->window, size, span.at));
        EL_TRY(el_proto_file_put(to, file->window, size));
        span.at += size;
    }
    return NULL;
}
