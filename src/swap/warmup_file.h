/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_WARMUP_FILE_H
#define EL_SWAP_WARMUP_FILE_H

/*
 * A file of warm-up records, read in pieces on libuv's pool. For warmup.c, on the swap thread, except while `reading`: then all but
 * `reading` is the pool's. The warm-up owns it; the records of a piece are there until the next one is read.
 */

#include "base/buf.h"
#include "base/status.h"
#include "bundle/tfrecord.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define EL_WARMUP_PIECE 64 /* records, at most; fewer where they are large */

struct el_warmup_file {
    char *path; /* owned */
    struct el_tfrecord_reader reader;
    uv_work_t work;
    bool reading;
    bool opened;
    bool end; /* the last piece is here */
    struct el_status *failed;
    struct el_buf bytes;
    size_t sizes[EL_WARMUP_PIECE];
    size_t count, next, next_offset;
    void (*done)(void *argument);
    void *argument;
};

/* Reads the next piece; done comes when it is there, or failed is. */
void el_warmup_file_read(struct el_warmup_file *file, uv_loop_t *uv_loop, void (*done)(void *argument), void *argument);

/* The piece at hand has a record that was not taken yet. */
bool el_warmup_file_has_next(const struct el_warmup_file *file);
const uint8_t *el_warmup_file_next(struct el_warmup_file *file, size_t *size);

/* Takes what went wrong, with TensorFlow Serving's text. */
struct el_status *el_warmup_file_failed(struct el_warmup_file *file) EL_MUST_USE;

/* Not while reading. */
void el_warmup_file_close(struct el_warmup_file *file);

#endif
