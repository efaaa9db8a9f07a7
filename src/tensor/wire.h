/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_WIRE_H
#define EL_TENSOR_WIRE_H

/*
 * Protocol Buffers on the wire, for the hot path: a cursor that reads fields in
 * place, and appends to a buffer.
 *
 * Pure; any thread. A reader never leaves [at, end): every function returns
 * false on what protobuf's own parser refuses (an overlong varint, a length
 * beyond the end, field number 0, an unmatched group, nesting beyond 100), and
 * the cursor is then of no further use. Spans point into the bytes read.
 *
 * https://protobuf.dev/programming-guides/encoding/
 */

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Some bytes of somebody else's; not terminated. */
struct el_span {
    const char *data;
    size_t size;
};

struct el_wire {
    const uint8_t *at;
    const uint8_t *end;
};

enum el_wire_type {
    EL_WIRE_VARINT = 0,
    EL_WIRE_FIXED64 = 1,
    EL_WIRE_BYTES = 2,
    EL_WIRE_GROUP = 3,
    EL_WIRE_END_GROUP = 4,
    EL_WIRE_FIXED32 = 5,
};

/* The varint that goes on for more than one byte; el_wire_varint() calls it. */
bool el_wire_varint_long(struct el_wire *wire, uint64_t *value);

static inline bool el_wire_varint(struct el_wire *wire, uint64_t *value)
{
    if (wire->at < wire->end && *wire->at < 0x80) {
        *value = *wire->at++;
        return true;
    }
    return el_wire_varint_long(wire, value);
}

static inline struct el_wire el_wire_of(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    return (struct el_wire){ at, size == 0 ? at : at + size };
}

static inline bool el_wire_done(const struct el_wire *wire)
{
    return wire->at == wire->end;
}

/* The next field's number and type. */
bool el_wire_tag(struct el_wire *wire, uint32_t *field, enum el_wire_type *type);

/* A length-delimited value: inside is what it holds, wire goes on behind it. */
bool el_wire_bytes(struct el_wire *wire, struct el_wire *inside);

/* The same as a span; and as text, which proto3 wants to be valid UTF-8. */
bool el_wire_span(struct el_wire *wire, struct el_span *span);
bool el_wire_text(struct el_wire *wire, struct el_span *span);

/* Passes over the value of a field whose tag has been read. */
bool el_wire_skip(struct el_wire *wire, uint32_t field, enum el_wire_type type);

/* True if the bytes are UTF-8 as proto3 wants it: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
bool el_utf8_valid(const void *bytes, size_t size);

/* Bytes that value takes as a varint: 1 to 10. */
size_t el_wire_varint_size(uint64_t value);

/* Writes value to at, which has room for el_wire_varint_size(value); returns the byte behind it. */
uint8_t *el_wire_put_varint_at(uint8_t *at, uint64_t value);

/* Appends. A failed allocation shows in buf (base/buf.h). */
void el_wire_put_varint(struct el_buf *buf, uint64_t value);
void el_wire_put_tag(struct el_buf *buf, uint32_t field, enum el_wire_type type);
void el_wire_put_length(struct el_buf *buf, uint32_t field, size_t size); /* tag and length; the bytes follow */
void el_wire_put_bytes(struct el_buf *buf, uint32_t field, const void *bytes, size_t size);
void el_wire_put_text(struct el_buf *buf, uint32_t field, const char *text);
void el_wire_put_uint(struct el_buf *buf, uint32_t field, uint64_t value); /* also for int64: cast */

/* True if both hold the same bytes. */
bool el_span_equal(struct el_span a, struct el_span b);
struct el_span el_span_text(const char *text);

#endif
