/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_INFLATE_H
#define EL_RPC_INFLATE_H

/*
 * gzip and deflate, for message bodies. Any thread; not on the hot path.
 */

#include "base/buf.h"

enum el_inflated {
    EL_INFLATED,
    EL_INFLATE_CORRUPT, /* or cut short */
    EL_INFLATE_TOO_BIG, /* more than limit bytes come out */
    EL_INFLATE_NO_MEMORY
};

/* Appends what size bytes at from (gzip or zlib, told apart by themselves) decompress to, at most limit bytes. */
enum el_inflated el_inflate(const uint8_t *from, size_t size, size_t limit, struct el_buf *to);

/* Appends the gzip of size bytes at from. False: no memory, nothing was appended. */
bool el_gzip(const uint8_t *from, size_t size, struct el_buf *to);

#endif
