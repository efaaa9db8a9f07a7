/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_PROTO_FILE_H
#define EL_BUNDLE_PROTO_FILE_H

/*
 * Walking through a Protocol Buffers file of up to 2 GB without holding it: what
 * is not looked at is skipped by its length.
 *
 * The file is read with pread through a window of 64 KiB and not mapped,
 * because somebody may cut it short at any moment, and that must be an error, not a signal.
 * Blocking; one thread. The file descriptor belongs to the caller.
 *
 * A message that claims more bytes than what holds it has ended early: that is DATA_LOSS ("cut off": it may
 * still be being copied). Everything else that is wrong is INVALID_ARGUMENT.
 */

#include "base/buf.h"
#include "base/status.h"
#include "bundle/proto.h"

#include <stdbool.h>
#include <stdint.h>

#define EL_PROTO_FILE_MAX UINT64_C(0x7fffffff) /* a Protocol Buffers message cannot be larger */

struct el_proto_file {
    int fd;
    const char *name; /* for messages; not owned */
    uint64_t size;    /* when it was opened */
    uint8_t *window;  /* owned */
    uint64_t window_at;
    size_t window_used;
};

/* A message in the file: from `at` on, to `end`. Reading moves `at`. */
struct el_proto_span {
    uint64_t at;
    uint64_t end;
};

struct el_proto_part {
    uint32_t number;
    enum el_proto_wire wire;
    uint64_t value;            /* varint and fixed values */
    struct el_proto_span span; /* EL_PROTO_BYTES: the content; otherwise empty, after the value */
    uint64_t start;            /* of the field with its key */
};

/* fd: an open regular file. name must live as long as file. */
struct el_status *el_proto_file_open(int fd, const char *name, struct el_proto_file *file) EL_MUST_USE;
void el_proto_file_close(struct el_proto_file *file);

/* Reads the key (and number) of the next field and skips its bytes. False at the end or when *status was set. */
bool el_proto_file_next(struct el_proto_file *file, struct el_proto_span *message, struct el_proto_part *part,
                        struct el_status **status);

/* Refuses a part that is not of the wire type BYTES. what: for the text. */
struct el_status *el_proto_file_want_bytes(const struct el_proto_file *file, const struct el_proto_part *part,
                                           const char *what) EL_MUST_USE;

/* Appends the bytes of span to buf; more than limit are INVALID_ARGUMENT. */
struct el_status *el_proto_file_read(struct el_proto_file *file, struct el_proto_span span, size_t limit,
                                     struct el_buf *buf) EL_MUST_USE;

/* Writes bytes to the file descriptor `to`, all of them. */
struct el_status *el_proto_file_put(int to, const uint8_t *bytes, size_t size) EL_MUST_USE;

/* Writes the bytes of span to the file descriptor `to`. */
struct el_status *el_proto_file_copy(struct el_proto_file *file, struct el_proto_span span, int to) EL_MUST_USE;

#endif
