/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_VERSION_COPY_H
#define EL_BUNDLE_VERSION_COPY_H

/*
 * Copies a version's directory to where it stays when the original goes.
 *
 * A file is cloned (FICLONE: it shares blocks until one of the two is written to) where the file system can do that. Otherwise one
 * that nobody may write to, and that belongs to us or to root, becomes a second name of the same file: only its owner
 * could rewrite it in place. Every other file is copied byte by byte.
 *
 * Blocking: for a thread of its own. No state.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct el_version_copying {
    const char *from, *to;           /* to: must not exist; its parent is ours alone */
    bool (*proceed)(void *argument); /* asked now and then; false ends it with CANCELLED. NULL: it is not asked */
    void *argument;

    /* What was done. */
    uint32_t cloned, linked, copied; /* files */
    uint64_t bytes;                  /* of all files */
};

/*
 * All of it is on the disk when this returns NULL; on failure what there is of `to` is left for the caller to remove. A copy by
 * bytes leaves a tenth of the file system, or 64 MiB if that is less, to others: RESOURCE_EXHAUSTED where that is not there.
 */
struct el_status *el_version_copy(struct el_version_copying *copying) EL_MUST_USE;

#endif
