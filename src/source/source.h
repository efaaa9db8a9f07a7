/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SOURCE_SOURCE_H
#define EL_SOURCE_SOURCE_H

/*
 * The room's door: a source says which versions of a model exist, and which of
 * them are whole and quiet, so that they may be taken.
 *
 * The one source here is a directory. It is scanned on a timer, and at once when
 * inotify says that something changed (a network mount never says so: there the
 * timer alone works). A version is taken once two scans, at least quiet_ms
 * apart, saw the same whole files; one that stays incomplete and silent for
 * incomplete_ms is called bad until its files change.
 *
 * Threads: every function is called on the thread of uv_loop, and on_change
 * comes there. The file system is only touched by the thread pool, so that a
 * mount that hangs stalls its own model and no other.
 *
 * A base path that cannot be read keeps the versions found before: that is an
 * error text (el_source_error), never the news that all versions are gone.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct el_source;
struct el_watcher; /* watch.h */

enum el_source_state {
    EL_SOURCE_ARRIVING, /* not whole yet, or not quiet yet: text says what is waited for */
    EL_SOURCE_WHOLE,    /* may be taken */
    EL_SOURCE_BAD,      /* cannot become a model by waiting, or was incomplete for too long: text says why */
};

struct el_source_version {
    int64_t version;
    char *path; /* the version's directory */
    enum el_source_state state;
    char *text;           /* NULL for WHOLE */
    enum el_code code;    /* BAD: TensorFlow's for it */
    char *said;           /* BAD: what TensorFlow Serving says of it, word for word; NULL: nothing that clients know */
    uint64_t fingerprint; /* another number means other files */
    uint64_t whole_since_ns; /* when the files were first seen as they are now */
    uint64_t bytes;          /* of all its files */
    char *state_op;          /* an op by which a run changes what later ones see; NULL: none */

    /* The source's own. */
    enum { EL_SEEN_NOT_YET, EL_SEEN_WHOLE, EL_SEEN_BAD } seen;
    char *seen_text;
};

struct el_source_options {
    uv_loop_t *uv_loop;
    const char *model; /* for messages; copied, like base_path */
    const char *base_path;
    int64_t poll_wait_ms; /* > 0: period; 0: until each version is decided once; < 0: never */
    uint32_t quiet_ms;
    uint32_t incomplete_ms;
    struct el_watcher *watcher;        /* shared; outlives the source; NULL: only the timer sees changes */
    void (*on_change)(void *argument); /* after each scan that saw something new; may call el_source_close() */
    void *argument;
};

/* Starts to scan at once. */
struct el_status *el_source_open(const struct el_source_options *options, struct el_source **source) EL_MUST_USE;

/* What the last good scan saw, descending; valid until the loop runs again. */
const struct el_source_version *el_source_versions(const struct el_source *source, size_t *count);

/* True once a first scan has ended, well or badly. */
bool el_source_scanned(const struct el_source *source);

/* Why the last scan failed, and what it found odd ("" : nothing); valid until the loop runs again. */
const char *el_source_error(const struct el_source *source);
const char *el_source_warning(const struct el_source *source);

/* False where some of its directories are not watched, as far as the last scan knows: there the timer alone sees changes. */
bool el_source_is_watched(const struct el_source *source);

/* Scans now, whatever the timer says. */
void el_source_poke(struct el_source *source);

/* No on_change from now on; closed comes when thread pool and loop have let go of it, and it is freed then. */
void el_source_close(struct el_source *source, void (*closed)(void *argument), void *argument);

#endif
