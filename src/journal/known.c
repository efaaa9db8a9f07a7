/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/known.h"

#include "base/constant.h"

#include <stdlib.h>
#include <string.h>

/* Copies text to *copy; what was there is freed. */
static struct el_status *put_text(const char **copy, const char *text)
{
    char *made = strdup(text != NULL ? text : "");
    if (made == NULL)
        return el_status_no_memory();
    el_free_constant(*copy);
    *copy = made;
    return NULL;
}

struct el_journal_model *el_known_find(const struct el_known *known, const char *name)
{
    for (size_t i = 0; i < known->model_count; i++)
        if (strcmp(known->models[i]->name, name) == 0)
            return known->models[i];
    return NULL;
}

struct el_status *el_known_model(struct el_known *known, const char *name, struct el_journal_model **model)
{
    *model = el_known_find(known, name);
    if (*model != NULL)
        return NULL;
    struct el_journal_model **models = reallocarray(known->models, known->model_count + 1, sizeof *models);
    if (models == NULL)
        return el_status_no_memory();
    known->models = models;
    struct el_journal_model *made = calloc(1, sizeof *made);
    struct el_status *status = made == NULL ? el_status_no_memory() : put_text(&made->name, name);
    if (status != NULL) {
        free(made);
        return status;
    }
    models[known->model_count++] = made;
    *model = made;
    return NULL;
}

struct el_status *el_known_good(struct el_known *known, const char *name, int64_t version, const char *digest,
                                int64_t since_us)
{
    struct el_journal_model *model;
    EL_TRY(el_known_model(known, name, &model));
    EL_TRY(put_text(&model->good_digest, digest));
    model->has_good = true;
    model->good_version = version;
    model->good_since_us = since_us;
    return NULL;
}

struct el_status *el_known_pin(struct el_known *known, const char *name, int64_t version, const char *by,
                               const char *reason, int64_t since_us)
{
    struct el_journal_model *model;
    EL_TRY(el_known_model(known, name, &model));
    EL_TRY(put_text(&model->pin_by, by));
    EL_TRY(put_text(&model->pin_reason, reason));
    model->pinned = true;
    model->pin_version = version;
    model->pin_since_us = since_us;
    return NULL;
}

void el_known_unpin(struct el_known *known, const char *name)
{
    struct el_journal_model *model = el_known_find(known, name);
    if (model != NULL)
        model->pinned = false;
}

static void free_bad(struct el_journal_bad *bad)
{
    el_free_constant(bad->digest);
    el_free_constant(bad->reason);
    el_free_constant(bad->by);
    *bad = (struct el_journal_bad){ 0 };
}

void el_known_forgive(struct el_known *known, const char *name, const char *digest)
{
    struct el_journal_model *model = el_known_find(known, name);
    for (size_t i = 0; model != NULL && i < model->bad_count; i++) {
        if (strcmp(model->bad[i].digest, digest) != 0)
            continue;
        free_bad(&model->bad[i]);
        memmove(&model->bad[i], &model->bad[i + 1], (model->bad_count - i - 1) * sizeof *model->bad);
        model->bad_count--;
        return;
    }
}

struct el_status *el_known_bad(struct el_known *known, const char *name, const struct el_journal_bad *bad)
{
    struct el_journal_model *model;
    EL_TRY(el_known_model(known, name, &model));
    struct el_journal_bad *all = reallocarray(model->bad, model->bad_count + 1, sizeof *all);
    if (all == NULL)
        return el_status_no_memory();
    model->bad = all;
    struct el_journal_bad made = { .version = bad->version, .code = bad->code, .since_us = bad->since_us };
    struct el_status *status = put_text(&made.digest, bad->digest);
    if (status == NULL)
        status = put_text(&made.reason, bad->reason);
    if (status == NULL)
        status = put_text(&made.by, bad->by);
    if (status != NULL) {
        free_bad(&made);
        return status;
    }
    el_known_forgive(known, name, made.digest);
    all[model->bad_count++] = made;
    return NULL;
}

struct el_status *el_known_broken(struct el_known *known, const char *name, const struct el_journal_broken_load *broken)
{
    struct el_journal_model *model;
    EL_TRY(el_known_model(known, name, &model));
    struct el_journal_broken_load *all = reallocarray(model->broken, model->broken_count + 1, sizeof *all);
    if (all == NULL)
        return el_status_no_memory();
    model->broken = all;
    all[model->broken_count++] = *broken;
    return NULL;
}

void el_known_mended(struct el_known *known, const char *name, int64_t version)
{
    struct el_journal_model *model = el_known_find(known, name);
    for (size_t i = 0; model != NULL && i < model->broken_count; i++) {
        if (model->broken[i].version != version)
            continue;
        model->broken[i] = model->broken[--model->broken_count];
        return;
    }
}

struct el_status *el_known_note(struct el_known *known, const char *name, const char *text)
{
    const bool gone = text == NULL || text[0] == '\0';
    for (size_t i = 0; i < known->note_count; i++) {
        if (strcmp(known->notes[i].name, name) != 0)
            continue;
        if (!gone)
            return put_text(&known->notes[i].text, text);
        el_free_constant(known->notes[i].name);
        el_free_constant(known->notes[i].text);
        known->notes[i] = known->notes[--known->note_count];
        return NULL;
    }
    if (gone)
        return NULL;
    struct el_journal_note *all = reallocarray(known->notes, known->note_count + 1, sizeof *all);
    if (all == NULL)
        return el_status_no_memory();
    known->notes = all;
    struct el_journal_note made = { 0 };
    struct el_status *status = put_text(&made.name, name);
    if (status == NULL)
        status = put_text(&made.text, text);
    if (status != NULL) {
        el_free_constant(made.name);
        return status;
    }
    all[known->note_count++] = made;
    return NULL;
}

/* ---- from the file ---- */

static const char *text_of(sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text != NULL ? text : "";
}

static struct el_status *read_model(struct el_known *known, sqlite3_stmt *row)
{
    const char *name = text_of(row, 0);
    if (sqlite3_column_type(row, 1) != SQLITE_NULL)
        EL_TRY(el_known_good(known, name, sqlite3_column_int64(row, 1), text_of(row, 2), sqlite3_column_int64(row, 3)));
    if (sqlite3_column_type(row, 4) != SQLITE_NULL)
        EL_TRY(el_known_pin(known, name, sqlite3_column_int64(row, 4), text_of(row, 5), text_of(row, 6),
                            sqlite3_column_int64(row, 7)));
    return NULL;
}

static struct el_status *read_bad(struct el_known *known, sqlite3_stmt *row)
{
    const int64_t code = sqlite3_column_int64(row, 3);
    const struct el_journal_bad bad = {
        .digest = text_of(row, 1),
        .version = sqlite3_column_int64(row, 2),
        .code = code > 0 && code < EL_CODES ? (enum el_code)code : EL_UNKNOWN,
        .reason = text_of(row, 4),
        .by = text_of(row, 5),
        .since_us = sqlite3_column_int64(row, 6),
    };
    return el_known_bad(known, text_of(row, 0), &bad);
}

static struct el_status *read_load(struct el_known *known, sqlite3_stmt *row)
{
    const int64_t times = sqlite3_column_int64(row, 3);
    const struct el_journal_broken_load broken = {
        .version = sqlite3_column_int64(row, 1),
        .fingerprint = (uint64_t)sqlite3_column_int64(row, 2),
        .times = times > 0 && times < UINT32_MAX ? (uint32_t)times : 1,
    };
    return el_known_broken(known, text_of(row, 0), &broken);
}

static struct el_status *read_note(struct el_known *known, sqlite3_stmt *row)
{
    return el_known_note(known, text_of(row, 0), text_of(row, 1));
}

static struct el_status *read_alert(struct el_known *known, sqlite3_stmt *row)
{
    struct el_journal_alert_read *grown = realloc(known->alerts, (known->alert_count + 1) * sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    known->alerts = grown;
    const struct el_journal_alert_read alert = { .id = sqlite3_column_int64(row, 0),
                                                 .receiver = strdup(text_of(row, 1)),
                                                 .text = strdup(text_of(row, 2)) };
    known->alerts[known->alert_count++] = alert;
    return alert.receiver == NULL || alert.text == NULL ? el_status_no_memory() : NULL;
}

static const struct {
    const char *sql;
    struct el_status *(*read)(struct el_known *known, sqlite3_stmt *row);
} tables[] = {
    { "SELECT name, good_version, good_digest, good_since_us, pin_version, pin_by, pin_reason, pin_since_us FROM model",
      read_model },
    { "SELECT model, digest, version, code, reason, by, since_us FROM bad ORDER BY since_us", read_bad },
    { "SELECT model, version, fingerprint, times FROM load WHERE times > 0", read_load },
    { "SELECT name, text FROM note", read_note },
    { "SELECT id, receiver, text FROM alert ORDER BY id", read_alert },
};

struct el_status *el_known_read(struct el_known *known, sqlite3 *sqlite)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        sqlite3_stmt *row = NULL;
        if (sqlite3_prepare_v2(sqlite, tables[i].sql, -1, &row, NULL) != SQLITE_OK)
            return el_database_error(sqlite, "reading");
        struct el_status *status = NULL;
        int code = SQLITE_DONE;
        while (status == NULL && (code = sqlite3_step(row)) == SQLITE_ROW)
            status = tables[i].read(known, row);
        if (status == NULL && code != SQLITE_DONE)
            status = el_database_error(sqlite, "reading");
        sqlite3_finalize(row);
        if (status != NULL)
            return status;
    }
    return NULL;
}

void el_known_free(struct el_known *known)
{
    for (size_t i = 0; i < known->model_count; i++) {
        struct el_journal_model *model = known->models[i];
        for (size_t k = 0; k < model->bad_count; k++)
            free_bad(&model->bad[k]);
        free(model->bad);
        free(model->broken);
        el_free_constant(model->good_digest);
        el_free_constant(model->pin_by);
        el_free_constant(model->pin_reason);
        el_free_constant(model->name);
        free(model);
    }
    for (size_t i = 0; i < known->note_count; i++) {
        el_free_constant(known->notes[i].name);
        el_free_constant(known->notes[i].text);
    }
    for (size_t i = 0; i < known->alert_count; i++) {
        free(known->alerts[i].receiver);
        free(known->alerts[i].text);
    }
    free(known->alerts);
    free(known->models);
    free(known->notes);
    *known = (struct el_known){ 0 };
}
