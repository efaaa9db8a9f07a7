/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SOURCE_LISTING_H
#define EL_SOURCE_LISTING_H

/*
 * Which children of a base path are versions, by TensorFlow Serving's rules: the
 * whole name is a number, whatever it is the name of. What cannot be a model (a
 * stray file called "7", a negative number) is listed, too: its status says so.
 *
 * Blocking (readdir, stat): for a thread of the pool. No state.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EL_MAX_LISTED 4096 /* versions under one base path; more is refused, not half done */

struct el_listed {
    int64_t version;
    char *name;     /* under the base path */
    bool directory; /* or a link to one */
};

struct el_listing {
    struct el_listed *list; /* descending by version, no version twice */
    size_t count;
    char *warning; /* owned; NULL: none. About numbers that exist twice. */
};

/* Reads a name as absl::SimpleAtoi<int64_t> does: blanks around, a sign and leading zeros are allowed. */
bool el_listing_number(const char *name, int64_t *number);

/*
 * Lists base_path. A base path that cannot be read is an error whose text is TensorFlow Serving's. Of several names with
 * the same number the bytewise last wins and a warning says so.
 */
struct el_status *el_listing_read(const char *model, const char *base_path, struct el_listing *listing) EL_MUST_USE;

void el_listing_free(struct el_listing *listing);

#endif
