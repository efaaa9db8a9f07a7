/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/proto.h"

#include <stdlib.h>
#include <string.h>

int el_proto_varint(const uint8_t *bytes, size_t size, uint64_t *value)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < 10; i++) {
        if (i == size)
            return 0;
        sum |= (uint64_t)(bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] < 0x80) {
            *value = sum;
            return (int)i + 1;
        }
    }
    return -1;
}

static struct el_status *read_varint(struct el_proto *message, uint64_t *value)
{
    int n = el_proto_varint(message->start + message->at, message->size - message->at, value);
    if (n > 0) {
        message->at += (size_t)n;
        return NULL;
    }
    if (n == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: a number is cut off by the end of its message",
                             message->base + message->at);
    return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: a number is longer than 10 bytes",
                         message->base + message->at);
}

static struct el_status *read_fixed(struct el_proto *message, size_t size, uint64_t *value)
{
    if (message->size - message->at < size)
        return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: %zu bytes of a number are expected, %zu are left",
                             message->base + message->at, size, message->size - message->at);
    *value = 0;
    for (size_t i = size; i-- > 0;)
        *value = *value << 8 | message->start[message->at + i];
    message->at += size;
    return NULL;
}

static struct el_status *read_bytes(struct el_proto *message, struct el_proto_field *field)
{
    uint64_t size = 0;
    EL_TRY(read_varint(message, &size));
    if (size > message->size - message->at)
        return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: field %u claims %llu bytes, its message has %zu left",
                             message->base + message->at, field->number, (unsigned long long)size,
                             message->size - message->at);
    field->offset = message->base + message->at;
    field->bytes = message->start + message->at;
    field->size = (size_t)size;
    message->at += field->size;
    return NULL;
}

static struct el_status *read_field(struct el_proto *message, struct el_proto_field *field)
{
    const size_t start = message->base + message->at;
    uint64_t key = 0;
    EL_TRY(read_varint(message, &key));
    if (key >> 3 == 0 || key > UINT32_MAX)
        return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: %llu is no field number", start,
                             (unsigned long long)(key >> 3));
    *field = (struct el_proto_field){ .number = (uint32_t)(key >> 3), .offset = message->base + message->at };
    switch (key & 7) {
    case EL_PROTO_VARINT:
        field->wire = EL_PROTO_VARINT;
        return read_varint(message, &field->value);
    case EL_PROTO_FIXED64:
        field->wire = EL_PROTO_FIXED64;
        return read_fixed(message, 8, &field->value);
    case EL_PROTO_BYTES:
        field->wire = EL_PROTO_BYTES;
        return read_bytes(message, field);
    case EL_PROTO_FIXED32:
        field->wire = EL_PROTO_FIXED32;
        return read_fixed(message, 4, &field->value);
    default:
        return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: field %u has the wire type %u, which is not in use",
                             start, field->number, (unsigned)(key & 7));
    }
}

bool el_proto_next(struct el_proto *message, struct el_proto_field *field, struct el_status **status)
{
    if (message->at >= message->size)
        return false;
    *status = read_field(message, field);
    return *status == NULL;
}

struct el_status *el_proto_want(const struct el_proto_field *field, enum el_proto_wire wire, const char *what)
{
    if (field->wire == wire)
        return NULL;
    return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: %s has the wire type %d, %d is expected", field->offset,
                         what, (int)field->wire, (int)wire);
}

struct el_status *el_proto_open(const struct el_proto_field *field, const char *what, struct el_proto *message)
{
    EL_TRY(el_proto_want(field, EL_PROTO_BYTES, what));
    *message = (struct el_proto){ .start = field->bytes, .size = field->size, .base = field->offset };
    return NULL;
}

struct el_status *el_proto_take_text(const struct el_proto_field *field, const char *what, char **text)
{
    EL_TRY(el_proto_want(field, EL_PROTO_BYTES, what));
    if (field->size > 0 && memchr(field->bytes, 0, field->size) != NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: %s has a NUL byte inside", field->offset, what);
    char *copy = malloc(field->size + 1);
    if (copy == NULL)
        return el_status_no_memory();
    if (field->size > 0)
        memcpy(copy, field->bytes, field->size);
    copy[field->size] = '\0';
    free(*text);
    *text = copy;
    return NULL;
}

void el_proto_put_varint(struct el_buf *buf, uint64_t value)
{
    uint8_t bytes[10];
    size_t n = 0;
    while (value >= 0x80) {
        bytes[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[n++] = (uint8_t)value;
    el_buf_append(buf, bytes, n);
}

void el_proto_put_number(struct el_buf *buf, uint32_t number, uint64_t value)
{
    el_proto_put_varint(buf, (uint64_t)number << 3 | EL_PROTO_VARINT);
    el_proto_put_varint(buf, value);
}

void el_proto_put_bytes(struct el_buf *buf, uint32_t number, const void *bytes, size_t size)
{
    el_proto_put_varint(buf, (uint64_t)number << 3 | EL_PROTO_BYTES);
    el_proto_put_varint(buf, size);
    el_buf_append(buf, bytes, size);
}
