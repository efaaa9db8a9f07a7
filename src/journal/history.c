/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the history back, beside the writer: SQLite's WAL mode lets a reader see the last transaction while the next is written. */
#include "journal/database.h"

#include <stdio.h>
#include <unistd.h>

#define BUSY_MS 2000

static const char query_text[] =
    "SELECT id, time_us, model, version, event, by, text, CASE WHEN ?6 THEN '' ELSE details END FROM event"
    " WHERE (?1 IS NULL OR model = ?1) AND (?2 IS NULL OR event = ?2) AND (?3 < 0 OR version = ?3)"
    " AND (?4 = 0 OR id < ?4) ORDER BY id DESC LIMIT ?5";

static const char *text_of(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text != NULL ? text : "";
}

static struct el_status *read_rows(sqlite3 *sqlite, const struct el_journal_query *query,
                                   void (*each)(const struct el_journal_event *event, void *argument), void *argument)
{
    sqlite3_stmt *row = NULL;
    if (sqlite3_prepare_v2(sqlite, query_text, -1, &row, NULL) != SQLITE_OK)
        return el_database_error(sqlite, "reading the history");
    sqlite3_bind_text(row, 1, query->model, -1, SQLITE_STATIC); /* of a NULL pointer: NULL */
    sqlite3_bind_text(row, 2, query->event, -1, SQLITE_STATIC);
    sqlite3_bind_int64(row, 3, query->version);
    sqlite3_bind_int64(row, 4, query->before);
    sqlite3_bind_int64(row, 5, query->limit);
    sqlite3_bind_int(row, 6, query->without_details);
    int code;
    while ((code = sqlite3_step(row)) == SQLITE_ROW) {
        const struct el_journal_event event = {
            .id = sqlite3_column_int64(row, 0),
            .time_us = sqlite3_column_int64(row, 1),
            .model = text_of(row, 2),
            .version = sqlite3_column_int64(row, 3),
            .event = text_of(row, 4),
            .by = text_of(row, 5),
            .text = text_of(row, 6),
            .details = text_of(row, 7),
        };
        each(&event, argument);
    }
    struct el_status *status = code == SQLITE_DONE ? NULL : el_database_error(sqlite, "reading the history");
    sqlite3_finalize(row);
    return status;
}

struct el_status *el_journal_history(const struct el_journal_query *query,
                                     void (*each)(const struct el_journal_event *event, void *argument), void *argument)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/" EL_JOURNAL_FILE, query->directory);
    if (access(path, F_OK) != 0)
        return el_status_new(EL_NOT_FOUND, "%s: there is no journal there", path);
    sqlite3 *sqlite = NULL;
    struct el_status *status = NULL;
    if (sqlite3_open_v2(path, &sqlite, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL) !=
        SQLITE_OK)
        status = el_database_error(sqlite, "opening it");
    if (status == NULL) {
        sqlite3_busy_timeout(sqlite, BUSY_MS);
        status = read_rows(sqlite, query, each, argument);
    }
    sqlite3_close(sqlite);
    return el_status_prefix(status, "%s", path);
}
