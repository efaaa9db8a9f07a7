/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_JOURNAL_DATABASE_H
#define EL_JOURNAL_DATABASE_H

/*
 * The file: its lock, its schema, its statements. This header is the room's own.
 *
 * One thread at a time. Blocking.
 */

#include "journal/journal.h"

#include <sqlite3.h>

#define EL_JOURNAL_FILE "journal.db"

/* What can be written; the texts are in database.c. */
enum el_journal_statement {
    EL_JOURNAL_GOOD,
    EL_JOURNAL_PIN,
    EL_JOURNAL_UNPIN,
    EL_JOURNAL_BAD,
    EL_JOURNAL_FORGIVE,
    EL_JOURNAL_LOAD_BEGINS,
    EL_JOURNAL_LOAD_ENDED,
    EL_JOURNAL_NOTE,
    EL_JOURNAL_UNNOTE,
    EL_JOURNAL_EVENT,
    EL_JOURNAL_ALERT,
    EL_JOURNAL_ALERT_GONE,
    EL_JOURNAL_STATEMENTS
};

#define EL_JOURNAL_VALUES 8

struct el_journal_value {
    const char *text; /* an entry's own; NULL: number is meant */
    int64_t number;
};

/* Something to be written. */
struct el_journal_entry {
    struct el_journal_entry *next;
    enum el_journal_statement statement;
    struct el_journal_value values[EL_JOURNAL_VALUES]; /* as many as the statement has */
    size_t bytes;
    el_journal_then *then;
    void *argument;
    struct el_status *status; /* for then */
};

struct el_database {
    sqlite3 *sqlite; /* NULL: not open */
    sqlite3_stmt *statements[EL_JOURNAL_STATEMENTS];
    int lock; /* of the directory; -1: none */
    bool read_only;
};

/*
 * Opens what is in directory, for writing if that can be done. *aside (owned; NULL: nothing was) tells what was set aside and
 * why. FAILED_PRECONDITION: another server has it.
 */
struct el_status *el_database_open(const char *directory, struct el_database *database, char **aside) EL_MUST_USE;
void el_database_close(struct el_database *database);

/* Runs each statement of the list, as one transaction: all or none. */
struct el_status *el_database_write(struct el_database *database, const struct el_journal_entry *entries) EL_MUST_USE;

/* Keeps the newest so many events. */
struct el_status *el_database_trim(struct el_database *database, uint32_t history_kept) EL_MUST_USE;

/* The text of what SQLite said last, with the name of the file in front. */
struct el_status *el_database_error(sqlite3 *sqlite, const char *doing) EL_MUST_USE EL_NEVER_NULL;

#endif
