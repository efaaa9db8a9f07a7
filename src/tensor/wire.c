/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/wire.h"

#include <string.h>

#define MAX_GROUPS 100 /* protobuf's own limit on nesting */
#define MAX_VARINT 10

bool el_wire_varint_long(struct el_wire *wire, uint64_t *value)
{
    uint64_t sum = 0;
    const uint8_t *at = wire->at;
    for (unsigned shift = 0; shift < 7 * MAX_VARINT; shift += 7) {
        if (at == wire->end)
            return false;
        uint8_t byte = *at++;
        sum |= (uint64_t)(byte & 0x7f) << shift; /* protobuf drops what the tenth byte has too much, and so does this */
        if (byte < 0x80) {
            *value = sum;
            wire->at = at;
            return true;
        }
    }
    return false;
}

bool el_wire_tag(struct el_wire *wire, uint32_t *field, enum el_wire_type *type)
{
    uint64_t tag;
    if (!el_wire_varint(wire, &tag) || tag > UINT32_MAX || tag >> 3 == 0 || (tag & 7) > EL_WIRE_FIXED32)
        return false;
    *field = (uint32_t)(tag >> 3);
    *type = (enum el_wire_type)(tag & 7);
    return true;
}

bool el_wire_bytes(struct el_wire *wire, struct el_wire *inside)
{
    uint64_t size;
    if (!el_wire_varint(wire, &size) || size > (uint64_t)(wire->end - wire->at))
        return false;
    *inside = (struct el_wire){ wire->at, wire->at + size };
    wire->at += size;
    return true;
}

bool el_wire_span(struct el_wire *wire, struct el_span *span)
{
    struct el_wire inside;
    if (!el_wire_bytes(wire, &inside))
        return false;
    *span = (struct el_span){ (const char *)inside.at, (size_t)(inside.end - inside.at) };
    return true;
}

bool el_wire_text(struct el_wire *wire, struct el_span *span)
{
    return el_wire_span(wire, span) && el_utf8_valid(span->data, span->size);
}

static bool pass(struct el_wire *wire, size_t size)
{
    if (size > (size_t)(wire->end - wire->at))
        return false;
    wire->at += size;
    return true;
}

/* Passes over everything up to the end of the group `field`, whose tag has been read. */
static bool skip_group(struct el_wire *wire, uint32_t field)
{
    uint32_t open[MAX_GROUPS];
    size_t depth = 0;
    open[depth++] = field;
    while (depth > 0) {
        enum el_wire_type type;
        if (!el_wire_tag(wire, &field, &type))
            return false;
        if (type == EL_WIRE_GROUP) {
            if (depth == MAX_GROUPS)
                return false;
            open[depth++] = field;
        } else if (type == EL_WIRE_END_GROUP) {
            if (open[--depth] != field)
                return false;
        } else if (!el_wire_skip(wire, field, type)) {
            return false;
        }
    }
    return true;
}

bool el_wire_skip(struct el_wire *wire, uint32_t field, enum el_wire_type type)
{
    uint64_t value;
    struct el_wire inside;
    switch (type) {
    case EL_WIRE_VARINT:
        return el_wire_varint(wire, &value);
    case EL_WIRE_FIXED64:
        return pass(wire, 8);
    case EL_WIRE_BYTES:
        return el_wire_bytes(wire, &inside);
    case EL_WIRE_GROUP:
        return skip_group(wire, field);
    case EL_WIRE_FIXED32:
        return pass(wire, 4);
    case EL_WIRE_END_GROUP:
        break;
    }
    return false;
}

/* Bytes of the UTF-8 character at the beginning of size bytes; 0 if there is none. */
static size_t utf8_length(const uint8_t *at, size_t size)
{
    uint8_t lead = at[0];
    size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((lead == 0xe0 && at[1] < 0xa0) || (lead == 0xed && at[1] > 0x9f) || (lead == 0xf0 && at[1] < 0x90) ||
        (lead == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

bool el_utf8_valid(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    while (size > 0) {
        size_t length = utf8_length(at, size);
        if (length == 0)
            return false;
        at += length;
        size -= length;
    }
    return true;
}

size_t el_wire_varint_size(uint64_t value)
{
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    return (bits + 6) / 7;
}

uint8_t *el_wire_put_varint_at(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

void el_wire_put_varint(struct el_buf *buf, uint64_t value)
{
    uint8_t *at = el_buf_reserve(buf, MAX_VARINT);
    if (at != NULL)
        buf->size += (size_t)(el_wire_put_varint_at(at, value) - at);
}

void el_wire_put_tag(struct el_buf *buf, uint32_t field, enum el_wire_type type)
{
    el_wire_put_varint(buf, (uint64_t)field << 3 | type);
}

void el_wire_put_length(struct el_buf *buf, uint32_t field, size_t size)
{
    el_wire_put_tag(buf, field, EL_WIRE_BYTES);
    el_wire_put_varint(buf, size);
}

void el_wire_put_bytes(struct el_buf *buf, uint32_t field, const void *bytes, size_t size)
{
    el_wire_put_length(buf, field, size);
    el_buf_append(buf, bytes, size);
}

void el_wire_put_text(struct el_buf *buf, uint32_t field, const char *text)
{
    el_wire_put_bytes(buf, field, text, strlen(text));
}

void el_wire_put_uint(struct el_buf *buf, uint32_t field, uint64_t value)
{
    el_wire_put_tag(buf, field, EL_WIRE_VARINT);
    el_wire_put_varint(buf, value);
}

bool el_span_equal(struct el_span a, struct el_span b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

struct el_span el_span_text(const char *text)
{
    return (struct el_span){ text, strlen(text) };
}
