/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_JOURNAL_JOURNAL_H
#define EL_JOURNAL_JOURNAL_H

/*
 * The room's door: what the server remembers from one start to the next, in --state_dir.
 *
 * For each model: the last good version, a pin, what is quarantined (by the digest of its content), loads that were under way when
 * the server ended. Beside it, notes by name (the config that a client put in force) and the history of everything that happened.
 *
 * All of it but the history is also held in memory, and memory is what is asked: a disk that is full, slow or gone makes the
 * server forget at its end, and hinders nothing before.
 *
 * Threads. Everything is called on the thread of uv_loop, but for el_journal_history(), which blocks and may come from any thread.
 * A thread of the journal's own writes to SQLite: what came meanwhile is one transaction, in the order in which it came. What cannot be
 * written is kept and tried again; what is said of it is said once, and once when it works again.
 *
 * File: journal.db in the directory, an SQLite 3 database in WAL mode; schema in database.c. A file that is broken or written by
 * a newer server is set aside under another name, and the server begins anew. A directory belongs to one server at a time.
 */

#include "base/log.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct el_journal;

struct el_journal_options {
    uv_loop_t *uv_loop;
    const struct el_log *log;
    const char *directory; /* there, with its parents; NULL: remembers until the process ends */
    uint32_t history_kept; /* events; 0: 100,000. The oldest go */
};

/* Content that is never to answer. What is handed over is copied; what is found is the journal's. */
struct el_journal_bad {
    const char *digest; /* of the content: see el_version_digest() */
    int64_t version;    /* the number under which it was found */
    enum el_code code;
    const char *reason, *by; /* why, and who said so: "everlit" or a user */
    int64_t since_us;        /* calendar */
};

/* A load that had begun and not ended when the server did. */
struct el_journal_broken_load {
    int64_t version;
    uint64_t fingerprint; /* of its files: see el_version_fingerprint() */
    uint32_t times;       /* in a row */
};

/* What is known of a model. */
struct el_journal_model {
    const char *name;
    bool has_good;
    int64_t good_version;
    const char *good_digest;
    int64_t good_since_us;
    bool pinned;
    int64_t pin_version;
    const char *pin_by, *pin_reason;
    int64_t pin_since_us;
    struct el_journal_bad *bad; /* oldest first */
    size_t bad_count;
    struct el_journal_broken_load *broken;
    size_t broken_count;
};

/* What is on record of one event. */
struct el_journal_event {
    int64_t id; /* grows; 0 when it is handed over */
    int64_t time_us;
    const char *model; /* "": the server */
    int64_t version;   /* -1: about the model */
    const char *event;
    const char *by; /* "": the server itself */
    const char *text;
    const char *details; /* a JSON document; "": none */
};

/*
 * Opens directory, locks it, reads what is there. FAILED_PRECONDITION: another server has the directory. Whatever else is wrong
 * with the directory or the file (full, read-only, broken) is told in the log and by el_journal_trouble(), and a journal comes of it all the same.
 */
struct el_status *el_journal_open(const struct el_journal_options *options, struct el_journal **journal) EL_MUST_USE;

/* Why nothing is written just now: "" if it is, and if there is no directory. Valid until the loop runs again. */
const char *el_journal_trouble(struct el_journal *journal);

/* Writes what is left, tells whoever still waits, unlocks; handles are closed, so the loop has to run once more. NULL is allowed. */
void el_journal_close(struct el_journal *journal);

/* NULL: nothing is known of it. Valid until the next call that changes something. */
const struct el_journal_model *el_journal_model(const struct el_journal *journal, const char *name);

/* NULL: not known as bad. The same validity. */
const struct el_journal_bad *el_journal_find_bad(const struct el_journal *journal, const char *model,
                                                 const char *digest);

/* How often the server ended while these very files were loaded, since a load of them ended otherwise. */
uint32_t el_journal_broken_loads(const struct el_journal *journal, const char *model, int64_t version,
                                 uint64_t fingerprint);

/*
 * Comes on the loop, later, when the change is on the disk; or at the first failure to bring it there, with why (borrowed): it
 * is still tried again then. Without a directory it comes too. It comes in any case: what is left when the journal is closed is told
 * by el_journal_close(), with CANCELLED where it was not written.
 */
typedef void el_journal_then(void *argument, const struct el_status *status);

/*
 * Changes. In memory at once; to the disk soon. RESOURCE_EXHAUSTED: no memory, and nothing is changed. then may be NULL.
 */
struct el_status *el_journal_good(struct el_journal *journal, const char *model, int64_t version,
                                  const char *digest) EL_MUST_USE;
struct el_status *el_journal_pin(struct el_journal *journal, const char *model, int64_t version, const char *by,
                                 const char *reason, el_journal_then *then, void *argument) EL_MUST_USE;
struct el_status *el_journal_unpin(struct el_journal *journal, const char *model, el_journal_then *then,
                                   void *argument) EL_MUST_USE;
struct el_status *el_journal_quarantine(struct el_journal *journal, const char *model, const struct el_journal_bad *bad,
                                        el_journal_then *then, void *argument) EL_MUST_USE;
struct el_status *el_journal_forgive(struct el_journal *journal, const char *model, const char *digest,
                                     el_journal_then *then, void *argument) EL_MUST_USE;
struct el_status *el_journal_load_begins(struct el_journal *journal, const char *model, int64_t version,
                                         uint64_t fingerprint, el_journal_then *then, void *argument) EL_MUST_USE;
struct el_status *el_journal_load_ended(struct el_journal *journal, const char *model, int64_t version) EL_MUST_USE;

/* A note by name: "" or NULL takes it away. Returned: valid until it is changed; NULL: none. */
struct el_status *el_journal_note(struct el_journal *journal, const char *name, const char *text, el_journal_then *then,
                                  void *argument) EL_MUST_USE;
const char *el_journal_noted(const struct el_journal *journal, const char *name);

/*
 * Alerts that wait for their receiver. id: above every one that el_journal_alerts() told of, and unlike any other. While the disk cannot
 * be written, the oldest may be dropped, as with events.
 */
void el_journal_alert(struct el_journal *journal, int64_t id, const char *receiver, const char *text);
void el_journal_alert_gone(struct el_journal *journal, int64_t id);

/* Those that were there when the journal was opened, oldest first. The strings live until it is closed. */
void el_journal_alerts(const struct el_journal *journal,
                       void (*each)(int64_t id, const char *receiver, const char *text, void *argument),
                       void *argument);

/* changed comes on the loop when el_journal_trouble() begins to say something, and when it ends. One watcher; NULL: none. */
void el_journal_on_trouble(struct el_journal *journal, void (*changed)(void *argument), void *argument);

/* To the history; written within a second. Nothing is kept of it in memory. One that finds no memory is counted as lost. */
void el_journal_event(struct el_journal *journal, const struct el_journal_event *event);

/* Events that are not in the history: no memory, or the disk could not be written for too long. */
uint64_t el_journal_lost(struct el_journal *journal);

struct el_journal_query {
    const char *directory;
    const char *model;    /* NULL: all */
    const char *event;    /* NULL: all */
    int64_t version;      /* -1: all */
    int64_t before;       /* only ids below; 0: all */
    uint32_t limit;       /* the newest so many */
    bool without_details; /* their texts can be long */
};

/* Newest first. Any thread; blocks; opens the file for itself. NOT_FOUND: there is none. each's strings are its own for the call. */
struct el_status *el_journal_history(const struct el_journal_query *query,
                                     void (*each)(const struct el_journal_event *event, void *argument),
                                     void *argument) EL_MUST_USE;

#endif
