/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SOURCE_WATCH_H
#define EL_SOURCE_WATCH_H

/*
 * The inotify watches of one source: its base path, and the version directories
 * with their immediate subdirectories, where a copy under way makes itself heard.
 *
 * el_watch_begin/add/end are called by the scan, on a thread of the pool, one
 * scan at a time (inotify_add_watch looks up a path, which may hang). The
 * descriptor itself is read by the source on the loop's thread; the kernel makes
 * both safe at once. What a watch says is only "look again": a lost or late
 * message costs time until the next timer, never correctness.
 */

#include <stdbool.h>
#include <stddef.h>

#define EL_MAX_WATCHES 256 /* per source; what lies beyond is seen by the timer */

struct el_watch {
    int fd; /* -1: no inotify */
    int wds[EL_MAX_WATCHES];
    bool seen[EL_MAX_WATCHES];
    size_t count;
};

/* fd stays -1 where inotify is refused (its limits are per user): the timer does then. */
void el_watch_open(struct el_watch *watch, bool no_inotify);
void el_watch_close(struct el_watch *watch);

/* One scan: begin, add every directory that matters, end drops the watches that were not added again. */
void el_watch_begin(struct el_watch *watch);
void el_watch_add(struct el_watch *watch, const char *path);
void el_watch_end(struct el_watch *watch);

/* Reads away what inotify has to say; true if it said anything that may change a scan's result. */
bool el_watch_drain(struct el_watch *watch);

#endif
