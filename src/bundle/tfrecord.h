/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_TFRECORD_H
#define EL_BUNDLE_TFRECORD_H

/*
 * TFRecord files: records one after another, each with its length and checksums.
 *
 *     u64 length | u32 masked crc32c of the length | data | u32 masked crc32c of the data     (little-endian)
 *
 * Read for warm-up (the swapper, on libuv's pool), written by the request log (its own thread). Blocking; a reader or a
 * header belongs to one thread at a time. What is read is untrusted: a length is believed only as far as the
 * file reaches, so no allocation is larger than the file.
 *
 * Errors have TensorFlow's codes and texts (core/lib/io/record_reader.cc): DATA_LOSS "corrupted record at 12",
 * "truncated record at 21' failed with Read less bytes than requested". As there, a header that is cut off ends the file.
 */

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EL_TFRECORD_HEADER 12
#define EL_TFRECORD_FOOTER 4
#define EL_TFRECORD_MAX_BYTES ((size_t)INT32_MAX) /* of one record: what Protocol Buffers can parse */

struct el_tfrecord_reader {
    int fd;          /* owned; -1: closed */
    uint64_t offset; /* of the next record */
    uint64_t size;   /* of the file when it was opened */
};

/* NOT_FOUND if there is no such file; INVALID_ARGUMENT if it is no regular one. */
struct el_status *el_tfrecord_open(const char *path, struct el_tfrecord_reader *reader) EL_MUST_USE;

/* The next record to the end of record; *end: there is none left, and record is as it was. */
struct el_status *el_tfrecord_read(struct el_tfrecord_reader *reader, struct el_buf *record, bool *end) EL_MUST_USE;

void el_tfrecord_close(struct el_tfrecord_reader *reader);

/* ---- writing ---- */

/* What goes before and behind the data. */
void el_tfrecord_frame(const void *data, size_t size, uint8_t header[EL_TFRECORD_HEADER],
                       uint8_t footer[EL_TFRECORD_FOOTER]);

#endif
