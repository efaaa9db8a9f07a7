/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema, version EL_SCHEMA (kept in SQLite's user_version):
 *
 *     model   one row for each that had a good version or has a pin
 *     bad     quarantine: one row for each content that is never to answer
 *     load    loads that have begun and not ended; `running` until the server starts again, `times` counts such starts
 *     note    texts by name
 *     event   the history; `details` is JSON
 *     alert   what is to be told to a receiver and is not yet
 *
 * A transaction is on the disk before it is told as done (synchronous=FULL): what is written last before the power goes is what decides
 * whether a version is tried again.
 */
#include "journal/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define EL_SCHEMA "1"
#define LOCK_FILE "lock"
#define BUSY_MS 2000 /* for a reader that checkpoints, or a copy that is being taken */

static const char schema[] =
    "CREATE TABLE model (name TEXT PRIMARY KEY, good_version INTEGER, good_digest TEXT, good_since_us INTEGER,"
    " pin_version INTEGER, pin_by TEXT, pin_reason TEXT, pin_since_us INTEGER) WITHOUT ROWID;"
    "CREATE TABLE bad (model TEXT NOT NULL, digest TEXT NOT NULL, version INTEGER NOT NULL, code INTEGER NOT NULL,"
    " reason TEXT NOT NULL, by TEXT NOT NULL, since_us INTEGER NOT NULL, PRIMARY KEY (model, digest)) WITHOUT ROWID;"
    "CREATE TABLE load (model TEXT NOT NULL, version INTEGER NOT NULL, fingerprint INTEGER NOT NULL,"
    " times INTEGER NOT NULL, running INTEGER NOT NULL, PRIMARY KEY (model, version)) WITHOUT ROWID;"
    "CREATE TABLE note (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, model TEXT NOT NULL,"
    " version INTEGER NOT NULL, event TEXT NOT NULL, by TEXT NOT NULL, text TEXT NOT NULL, details TEXT NOT NULL);"
    "CREATE INDEX event_of_model ON event (model, id);"
    "CREATE TABLE alert (id INTEGER PRIMARY KEY, receiver TEXT NOT NULL, text TEXT NOT NULL);";

static const char *const statement_texts[EL_JOURNAL_STATEMENTS] = {
    [EL_JOURNAL_GOOD] = "INSERT INTO model (name, good_version, good_digest, good_since_us) VALUES (?1, ?2, ?3, ?4)"
                        " ON CONFLICT (name) DO UPDATE SET good_version = ?2, good_digest = ?3, good_since_us = ?4",
    [EL_JOURNAL_PIN] =
        "INSERT INTO model (name, pin_version, pin_by, pin_reason, pin_since_us) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (name) DO UPDATE SET pin_version = ?2, pin_by = ?3, pin_reason = ?4, pin_since_us = ?5",
    [EL_JOURNAL_UNPIN] = "UPDATE model SET pin_version = NULL, pin_by = NULL, pin_reason = NULL, pin_since_us = NULL"
                         " WHERE name = ?1",
    [EL_JOURNAL_BAD] = "INSERT OR REPLACE INTO bad (model, digest, version, code, reason, by, since_us)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [EL_JOURNAL_FORGIVE] = "DELETE FROM bad WHERE model = ?1 AND digest = ?2",
    [EL_JOURNAL_LOAD_BEGINS] =
        "INSERT INTO load (model, version, fingerprint, times, running) VALUES (?1, ?2, ?3, 0, 1)"
        " ON CONFLICT (model, version) DO UPDATE SET"
        " times = CASE WHEN fingerprint = ?3 THEN times ELSE 0 END, fingerprint = ?3, running = 1",
    [EL_JOURNAL_LOAD_ENDED] = "DELETE FROM load WHERE model = ?1 AND version = ?2",
    [EL_JOURNAL_NOTE] = "INSERT OR REPLACE INTO note (name, text) VALUES (?1, ?2)",
    [EL_JOURNAL_UNNOTE] = "DELETE FROM note WHERE name = ?1",
    [EL_JOURNAL_EVENT] = "INSERT INTO event (time_us, model, version, event, by, text, details)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    [EL_JOURNAL_ALERT] = "INSERT OR REPLACE INTO alert (id, receiver, text) VALUES (?1, ?2, ?3)",
    [EL_JOURNAL_ALERT_GONE] = "DELETE FROM alert WHERE id = ?1",
};

struct el_status *el_database_error(sqlite3 *sqlite, const char *doing)
{
    const int code = sqlite3_extended_errcode(sqlite);
    const int system = sqlite3_system_errno(sqlite);
    const bool full = (code & 0xff) == SQLITE_FULL;
    return el_status_new(full ? EL_RESOURCE_EXHAUSTED : EL_UNAVAILABLE, "%s: %s%s%s", doing, sqlite3_errmsg(sqlite),
                         system != 0 && !full ? ": " : "", system != 0 && !full ? strerror(system) : "");
}

/* ---- opening ---- */

/* The lock is the server's as long as it lives, and no longer: the kernel gives it back. */
static struct el_status *take_lock(const char *directory, struct el_database *database)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/" LOCK_FILE, directory);
    database->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (database->lock < 0) {
        database->read_only = true; /* whoever cannot write disturbs nobody */
        return NULL;
    }
    if (flock(database->lock, LOCK_EX | LOCK_NB) == 0) {
        char text[32];
        const int size = snprintf(text, sizeof text, "%lld\n", (long long)getpid());
        if (ftruncate(database->lock, 0) != 0 || pwrite(database->lock, text, (size_t)size, 0) != size) {
            /* A full disk: only the number that others would name in their message is missing. */
        }
        return NULL;
    }
    if (errno != EWOULDBLOCK)
        return NULL; /* a file system without locks: nothing better can be had */
    char owner[32] = "";
    const ssize_t n = pread(database->lock, owner, sizeof owner - 1, 0);
    owner[n > 0 ? (size_t)n : 0] = '\0';
    owner[strcspn(owner, "\n")] = '\0';
    close(database->lock);
    database->lock = -1;
    return el_status_new(EL_FAILED_PRECONDITION,
                         "%s is the state directory of another server that is running%s%s; expected one of its own for "
                         "each server",
                         directory, owner[0] != '\0' ? ": process " : "", owner);
}

static struct el_status *run(sqlite3 *sqlite, const char *sql, const char *doing)
{
    return sqlite3_exec(sqlite, sql, NULL, NULL, NULL) == SQLITE_OK ? NULL : el_database_error(sqlite, doing);
}

/* The first column of the first row, as a text; "" where there is none. */
static struct el_status *ask(sqlite3 *sqlite, const char *sql, char *answer, size_t size)
{
    sqlite3_stmt *statement = NULL;
    answer[0] = '\0';
    if (sqlite3_prepare_v2(sqlite, sql, -1, &statement, NULL) != SQLITE_OK)
        return el_database_error(sqlite, sql);
    const int code = sqlite3_step(statement);
    struct el_status *status = code == SQLITE_ROW || code == SQLITE_DONE ? NULL : el_database_error(sqlite, sql);
    const char *text = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    snprintf(answer, size, "%s", text != NULL ? text : "");
    sqlite3_finalize(statement);
    return status;
}

static int open_file(const char *directory, bool read_only, sqlite3 **sqlite)
{
    char path[4200];
    /* A read-only place has no room for the files beside the database: immutable does without, and without what is only in the log. */
    snprintf(path, sizeof path, "file:%s/" EL_JOURNAL_FILE "%s", directory, read_only ? "?immutable=1" : "");
    const int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW |
                      (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    return sqlite3_open_v2(path, sqlite, flags, NULL);
}

static struct el_status *prepare_all(struct el_database *database)
{
    for (int i = 0; i < EL_JOURNAL_STATEMENTS && !database->read_only; i++)
        if (sqlite3_prepare_v3(database->sqlite, statement_texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &database->statements[i], NULL) != SQLITE_OK)
            return el_database_error(database->sqlite, "preparing a statement");
    return NULL;
}

/* Whether the file is what it should be. *broken: what is wrong with what is in it; the status: what else hindered. */
static struct el_status *check(struct el_database *database, char *broken, size_t broken_size)
{
    sqlite3 *sqlite = database->sqlite;
    char version[32] = "", found[256] = "";
    sqlite3_busy_timeout(sqlite, BUSY_MS);
    struct el_status *status = ask(sqlite, "PRAGMA user_version", version, sizeof version);
    if (status == NULL && strcmp(version, "0") != 0 && strcmp(version, EL_SCHEMA) != 0) {
        snprintf(broken, broken_size, "its schema has the number %s; expected " EL_SCHEMA, version);
        return NULL;
    }
    if (status == NULL)
        status = ask(sqlite, "PRAGMA quick_check(1)", found, sizeof found);
    if (status == NULL && strcmp(found, "ok") != 0) {
        snprintf(broken, broken_size, "%s", found);
        return NULL;
    }
    if (status == NULL && database->read_only)
        return strcmp(version, "0") == 0 ? el_status_new(EL_NOT_FOUND, "nothing was ever written there") : NULL;
    if (status == NULL)
        status = run(sqlite, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
                     "setting up");
    if (status == NULL && strcmp(version, "0") == 0) {
        status = run(sqlite, "BEGIN IMMEDIATE", "making the tables");
        if (status == NULL)
            status = run(sqlite, schema, "making the tables");
        if (status == NULL)
            status = run(sqlite, "PRAGMA user_version = " EL_SCHEMA "; COMMIT", "making the tables");
    }
    if (status == NULL)
        status = prepare_all(database); /* fails where the tables are not those of the schema */
    if (status == NULL)
        status = run(sqlite, "UPDATE load SET times = times + 1, running = 0 WHERE running = 1", "counting loads");
    const int code = sqlite3_errcode(sqlite) & 0xff;
    if (status != NULL && (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR)) {
        snprintf(broken, broken_size, "%s", el_status_text(status));
        el_status_free(status);
        return NULL;
    }
    return status;
}

static void close_file(struct el_database *database)
{
    for (int i = 0; i < EL_JOURNAL_STATEMENTS; i++) {
        sqlite3_finalize(database->statements[i]);
        database->statements[i] = NULL;
    }
    sqlite3_close(database->sqlite);
    database->sqlite = NULL;
}

/* Moves the file and what belongs to it out of the way; nothing is deleted. */
static struct el_status *set_aside(const char *directory, const char *broken, char **aside)
{
    static const char *const parts[] = { "", "-wal", "-shm" };
    struct timespec now;
    struct tm utc;
    char stamp[32] = "";
    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &utc) != NULL)
        strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%S", &utc);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char from[4200], to[4300];
        snprintf(from, sizeof from, "%s/" EL_JOURNAL_FILE "%s", directory, parts[i]);
        snprintf(to, sizeof to, "%s/" EL_JOURNAL_FILE ".aside-%s.%03ld%s", directory, stamp, now.tv_nsec / 1000000,
                 parts[i]);
        if (rename(from, to) != 0 && errno != ENOENT)
            return el_status_errno(errno, "%s: cannot be renamed", from);
    }
    if (asprintf(aside,
                 "%s/" EL_JOURNAL_FILE " cannot be used (%s): it lies beside as " EL_JOURNAL_FILE
                 ".aside-%s.%03ld, and the server begins with an empty one",
                 directory, broken, stamp, now.tv_nsec / 1000000) < 0)
        *aside = NULL;
    return NULL;
}

static struct el_status *open_and_check(const char *directory, struct el_database *database, char *broken,
                                        size_t broken_size)
{
    broken[0] = '\0';
    if (open_file(directory, database->read_only, &database->sqlite) != SQLITE_OK) {
        struct el_status *status = el_database_error(database->sqlite, "opening it");
        if ((sqlite3_errcode(database->sqlite) & 0xff) == SQLITE_NOTADB)
            snprintf(broken, broken_size, "%s", el_status_text(status));
        close_file(database);
        return status;
    }
    struct el_status *status = check(database, broken, broken_size);
    if (status != NULL || broken[0] != '\0')
        close_file(database);
    return status;
}

struct el_status *el_database_open(const char *directory, struct el_database *database, char **aside)
{
    char broken[512];
    *database = (struct el_database){ .lock = -1 };
    *aside = NULL;
    EL_TRY(take_lock(directory, database));
    struct el_status *status = open_and_check(directory, database, broken, sizeof broken);
    if (broken[0] != '\0' && !database->read_only) {
        el_status_free(status);
        status = set_aside(directory, broken, aside);
        if (status == NULL)
            status = open_and_check(directory, database, broken, sizeof broken);
    }
    if (status == NULL && broken[0] != '\0')
        status = el_status_new(EL_DATA_LOSS, "%s", broken);
    return el_status_prefix(status, "%s/" EL_JOURNAL_FILE, directory);
}

void el_database_close(struct el_database *database)
{
    close_file(database);
    if (database->lock >= 0)
        close(database->lock);
    database->lock = -1;
}

/* ---- writing ---- */

static int step(sqlite3_stmt *statement, const struct el_journal_entry *entry)
{
    const int count = sqlite3_bind_parameter_count(statement);
    for (int i = 0; i < count; i++) {
        const struct el_journal_value *value = &entry->values[i];
        const int code = value->text != NULL ? sqlite3_bind_text(statement, i + 1, value->text, -1, SQLITE_STATIC)
                                             : sqlite3_bind_int64(statement, i + 1, value->number);
        if (code != SQLITE_OK)
            return code;
    }
    const int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return code;
}

struct el_status *el_database_write(struct el_database *database, const struct el_journal_entry *entries)
{
    if (database->sqlite == NULL || database->read_only)
        return el_status_new(EL_FAILED_PRECONDITION, "it cannot be written to");
    EL_TRY(run(database->sqlite, "BEGIN IMMEDIATE", "beginning to write"));
    struct el_status *status = NULL;
    for (const struct el_journal_entry *entry = entries; entry != NULL && status == NULL; entry = entry->next)
        if (step(database->statements[entry->statement], entry) != SQLITE_DONE)
            status = el_database_error(database->sqlite, "writing");
    if (status == NULL)
        status = run(database->sqlite, "COMMIT", "writing");
    if (status != NULL && sqlite3_get_autocommit(database->sqlite) == 0)
        sqlite3_exec(database->sqlite, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

struct el_status *el_database_trim(struct el_database *database, uint32_t history_kept)
{
    if (database->sqlite == NULL || database->read_only)
        return NULL;
    char sql[128];
    snprintf(sql, sizeof sql, "DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - %u", history_kept);
    return run(database->sqlite, sql, "forgetting old events");
}
