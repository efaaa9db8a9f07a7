/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SOURCE_SHELF_H
#define EL_SOURCE_SHELF_H

/*
 * The shelf: a folder of our own with one copy of the last good version of each model, for when the base path has none.
 *
 *     SHELF/MODEL/VERSION.SHA256/...     the files, as they were
 *     SHELF/MODEL/.new-...               one that is being made; what a kill left of it goes with the next
 *
 * A copy has its name only when all of it is on the disk and its content's digest is that of the original; it is read whole and
 * compared with the digest in its name before it is handed out. Model names are written with %XX for what is not plain.
 *
 * Blocking, and for threads of their own: one writes, others read. No state.
 */

#include "base/status.h"
#include "bundle/completeness.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct el_shelf_user {
    const char *shelf; /* the folder; its parent is there */
    const char *model;
    bool (*proceed)(void *argument); /* asked now and then; false ends it with CANCELLED */
    void *argument;
};

struct el_shelf_put {
    int64_t version;
    const char *digest; /* of its content, in hexadecimal digits */
    const char *from;
    uint64_t most_bytes; /* of all copies of all models */
    const char *spare;   /* a copy that somebody uses, which stays; NULL: none */
    char *text;          /* out: for people, what was done; to free(). NULL: it was there already */
};

/* Makes it, or finds that it is there as it should be; then the model's other copies are removed. */
struct el_status *el_shelf_put(const struct el_shelf_user *user, struct el_shelf_put *put) EL_MUST_USE;

struct el_shelf_item {
    int64_t version;
    char digest[2 * EL_DIGEST_SIZE + 1];
    char *path;
    uint64_t fingerprint, bytes;
    char *state_op;
};

struct el_shelf_choice {
    const char *first;      /* the digest that is wanted before all others; "": none */
    const char *const *bad; /* digests that are never handed out */
    size_t bad_count;
    char *refused; /* out: copies that are there and not what they were, for people; to free(). NULL: none */
};

/* A copy that is what it was when it was made: the one that is wanted first, else the highest version. NOT_FOUND: none. */
struct el_status *el_shelf_find(const struct el_shelf_user *user, struct el_shelf_choice *choice,
                                struct el_shelf_item *item) EL_MUST_USE;
void el_shelf_item_free(struct el_shelf_item *item);

/* Removes the copies with that content; all of the model's where digest is NULL. */
void el_shelf_drop(const struct el_shelf_user *user, const char *digest);

/* Removes what belongs to models that are not among these. */
void el_shelf_keep_only(const char *shelf, const char *const *models, size_t count);

#endif
