/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_PROTO_H
#define EL_BUNDLE_PROTO_H

/*
 * Reading and writing the Protocol Buffers wire format in memory, for the few
 * messages of a version directory.
 *
 * Pure; any thread. Views into the bytes that the caller owns. Messages say at
 * which offset of the bytes something is wrong; the caller puts the file before it.
 */

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum el_proto_wire { EL_PROTO_VARINT = 0, EL_PROTO_FIXED64 = 1, EL_PROTO_BYTES = 2, EL_PROTO_FIXED32 = 5 };

/* A message being read. Start with {.start = bytes, .at = 0, .size = size, .base = 0}. */
struct el_proto {
    const uint8_t *start;
    size_t at;   /* next byte to read */
    size_t size; /* end of the message */
    size_t base; /* offset of start in the whole file, for messages */
};

struct el_proto_field {
    uint32_t number;
    enum el_proto_wire wire;
    uint64_t value;       /* varint and fixed values */
    const uint8_t *bytes; /* EL_PROTO_BYTES */
    size_t size;          /* of bytes */
    size_t offset;        /* of the value in the whole file */
};

/* Reads the next field. False at the end of the message, or when *status was set to what is wrong. */
bool el_proto_next(struct el_proto *message, struct el_proto_field *field, struct el_status **status);

/* The message inside a field; INVALID_ARGUMENT if the field is not of wire type BYTES. what: for the text. */
struct el_status *el_proto_open(const struct el_proto_field *field, const char *what,
                                struct el_proto *message) EL_MUST_USE;

/* Replaces *text with a copy of the field's string. Refuses other wire types and strings with a NUL inside. */
struct el_status *el_proto_take_text(const struct el_proto_field *field, const char *what, char **text) EL_MUST_USE;

/* Refuses a field that is not of the wire type wanted. */
struct el_status *el_proto_want(const struct el_proto_field *field, enum el_proto_wire wire,
                                const char *what) EL_MUST_USE;

/* Reads one varint of at most size bytes. Bytes read; 0: the bytes end before it does; -1: it is longer than ten. */
int el_proto_varint(const uint8_t *bytes, size_t size, uint64_t *value);

void el_proto_put_varint(struct el_buf *buf, uint64_t value);
void el_proto_put_number(struct el_buf *buf, uint32_t number, uint64_t value);
void el_proto_put_bytes(struct el_buf *buf, uint32_t number, const void *bytes, size_t size);

#endif
