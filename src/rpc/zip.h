/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_ZIP_H
#define EL_RPC_ZIP_H

/*
 * gzip and deflate for messages and bodies, in steps: a small one is done at once, a large one goes on a step per turn of
 * the event loop, with all the others that are under way, so that no client's bytes hold up another client.
 *
 * Thread: the loop's. What an owner gets charged for is what has come out so far. A work belongs to its owner until
 * `done` was called or el_zip_cancel().
 */

#include "base/buf.h"
#include "rpc/loop.h"

enum el_zip_kind {
    EL_ZIP_INFLATE, /* gzip or zlib, told apart by themselves */
    EL_ZIP_GZIP,
    EL_ZIP_ZLIB /* what HTTP and gRPC call deflate */
};

enum el_zipped {
    EL_ZIPPED,
    EL_ZIP_CORRUPT, /* or cut short */
    EL_ZIP_TOO_BIG, /* more than limit bytes come out */
    EL_ZIP_NO_MEMORY,
    EL_ZIP_GOES_ON
};

struct el_zip;

struct el_zip_owner {
    bool (*charge)(void *owner, size_t bytes); /* false: it may not hold more. NULL: not asked */
    void (*uncharge)(void *owner, size_t bytes);
    /* whole: what came out, the owner's now; empty but for EL_ZIPPED */
    void (*done)(void *owner, enum el_zipped result, struct el_buf *whole);
};

/*
 * Begins on size bytes at from, which must stay. *whole gets the result when it is there at once; with EL_ZIP_GOES_ON,
 * *zip is the work. limit: bytes that may come out.
 */
enum el_zipped el_zip_begin(struct el_loop *loop, enum el_zip_kind kind, const uint8_t *from, size_t size, size_t limit,
                            const struct el_zip_owner *owner, void *argument, struct el_buf *whole,
                            struct el_zip **zip);

/* Gives a work up; NULL is allowed. What was charged for it stays so: the owner is at its end. */
void el_zip_cancel(struct el_zip *zip);

/* A turn's step; for loop.c, while el_loop.zips is not empty. */
void el_zip_turn(struct el_loop *loop);

/* All at once, for what is small. */
enum el_zipped el_zip_whole(enum el_zip_kind kind, const uint8_t *from, size_t size, size_t limit,
                            struct el_buf *whole);

/*
 * What size bytes may become, of at most `limit`: 64 MiB, or 200 times as much if that is more. Beyond that it is an
 * attack, or it need not be sent.
 */
size_t el_zip_limit(size_t size, size_t limit);

#endif
