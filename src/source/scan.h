/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SOURCE_SCAN_H
#define EL_SOURCE_SCAN_H

/*
 * One look at a base path: lists the versions, watches their directories, and
 * asks of each whether it is whole.
 *
 * el_scan_run() blocks on the file system: a thread of the pool calls it, one scan
 * of a source at a time. Everything in the struct belongs to that thread while it runs and to the
 * source's thread before and after.
 */

#include "source/source.h"
#include "source/watch.h"

struct el_scan {
    const char *model, *base_path;          /* the source's */
    struct el_watch *watch;                 /* the source's */
    const struct el_source_version *before; /* the source's: what the scan before saw */
    size_t before_count;

    uint64_t started_ns;
    struct el_source_version *found; /* descending; seen, seen_text, fingerprint and path are filled */
    size_t found_count;
    struct el_status *error; /* NULL: found is what is there */
    char *warning;           /* NULL: none */
};

void el_scan_run(struct el_scan *scan);

void el_source_versions_free(struct el_source_version *versions, size_t count);

#endif
