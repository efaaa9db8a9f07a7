/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SOURCE_WATCH_H
#define EL_SOURCE_WATCH_H

/*
 * Inotify for all sources: one instance (a user may have 128 of them, and a server a thousand models), which knows whose
 * directories its watches are, so that what happens in one model's directories wakes that model's source and no other.
 *
 * struct el_watcher is the instance, on a loop; struct el_watch the part of one source: its base path, and the version
 * directories with their immediate subdirectories, where a copy under way makes itself heard.
 *
 * el_watch_begin/add/end are called by a source's scan, on a thread of the pool, one scan of a source at a time
 * (inotify_add_watch looks up a path, which may hang: no lock is held meanwhile). Everything else is called on the loop's
 * thread. What a watch says is only "look again": a lost or late message costs time until the next timer, never correctness.
 */

#include "base/status.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#define EL_MAX_WATCHES 256 /* per source; what lies beyond is seen by the timer */

struct el_watcher;

struct el_watched {
    int wd;
    bool seen;
};

struct el_watch {
    struct el_watcher *watcher; /* NULL: no inotify */
    void (*heard)(void *argument);
    void *argument;
    struct el_watched *list; /* the scan's own */
    size_t count, room;
    atomic_bool refused; /* a directory is not watched: too many are (fs.inotify.max_user_watches) */

    bool called; /* the watcher's own: in its list of those that are to hear */
    struct el_watch *next_called;
};

/* UNAVAILABLE where the kernel gives no instance (its limits are per user). */
struct el_status *el_watcher_open(uv_loop_t *loop, struct el_watcher **watcher) EL_MUST_USE;

/* No watch uses it any more. closed comes when the loop has let go of it. */
void el_watcher_close(struct el_watcher *watcher, void (*closed)(void *argument), void *argument);

/* heard comes on the loop's thread when something happened that may change a scan's result. watcher NULL: never. */
void el_watch_open(struct el_watch *watch, struct el_watcher *watcher, void (*heard)(void *argument), void *argument);
void el_watch_close(struct el_watch *watch);

/* One scan: begin, add every directory that matters, end drops the watches that were not added again. */
void el_watch_begin(struct el_watch *watch);
void el_watch_add(struct el_watch *watch, const char *path);
void el_watch_end(struct el_watch *watch);

#endif
