/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/journal.h"

#include "base/clock.h"
#include "journal/known.h"
#include "journal/writer.h"

#include <stdlib.h>
#include <string.h>

#define HISTORY_KEPT 100000

struct el_journal {
    struct el_known known;
    struct el_writer *writer; /* NULL: without a directory */
    uv_async_t async;         /* without a directory: for those who wait */
    struct el_journal_entry *waiting, **waiting_at;
    uint64_t lost;
};

/* ---- opening, closing ---- */

static void on_async(uv_async_t *async)
{
    struct el_journal *journal = async->data;
    struct el_journal_entry *entry = journal->waiting;
    journal->waiting = NULL;
    journal->waiting_at = &journal->waiting;
    el_journal_entries_end(entry, NULL);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct el_status *open_directory(const struct el_journal_options *options, struct el_journal *journal)
{
    struct el_database database;
    char *aside = NULL;
    struct el_status *status = el_database_open(options->directory, &database, &aside);
    if (el_status_code(status) == EL_FAILED_PRECONDITION) /* another server's */
        return status;
    if (aside != NULL)
        el_log(options->log, EL_LOG_ERROR, "journal_set_aside", el_str("state_dir", options->directory),
               el_str("reason", aside));
    free(aside);
    if (status == NULL)
        status = el_known_read(&journal->known, database.sqlite);
    if (status == NULL && database.read_only)
        status = el_status_new(EL_PERMISSION_DENIED,
                               "%s cannot be written to: what it says is used, and nothing is added",
                               options->directory);
    const uint32_t kept = options->history_kept != 0 ? options->history_kept : HISTORY_KEPT;
    struct el_status *failed = el_writer_start(options->uv_loop, options->log, options->directory, &database, status,
                                               kept, &journal->writer);
    el_status_free(status);
    if (failed != NULL)
        el_database_close(&database);
    return failed;
}

struct el_status *el_journal_open(const struct el_journal_options *options, struct el_journal **made)
{
    struct el_journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL || uv_async_init(options->uv_loop, &journal->async, on_async) != 0) {
        free(journal);
        return el_status_no_memory();
    }
    journal->async.data = journal;
    journal->waiting_at = &journal->waiting;
    uv_unref((uv_handle_t *)&journal->async);
    struct el_status *status = options->directory != NULL ? open_directory(options, journal) : NULL;
    if (status != NULL)
        el_journal_close(journal);
    else
        *made = journal;
    return status;
}

void el_journal_close(struct el_journal *journal)
{
    if (journal == NULL)
        return;
    if (journal->writer != NULL)
        el_writer_end(journal->writer);
    el_journal_entries_end(journal->waiting, NULL);
    el_known_free(&journal->known);
    uv_close((uv_handle_t *)&journal->async, on_closed);
}

const char *el_journal_trouble(struct el_journal *journal)
{
    return journal->writer != NULL ? el_writer_trouble(journal->writer) : "";
}

uint64_t el_journal_lost(struct el_journal *journal)
{
    return journal->lost + (journal->writer != NULL ? el_writer_lost(journal->writer) : 0);
}

/* ---- asking ---- */

const struct el_journal_model *el_journal_model(const struct el_journal *journal, const char *name)
{
    return el_known_find(&journal->known, name);
}

const struct el_journal_bad *el_journal_find_bad(const struct el_journal *journal, const char *name, const char *digest)
{
    const struct el_journal_model *model = el_known_find(&journal->known, name);
    for (size_t i = 0; model != NULL && i < model->bad_count; i++)
        if (strcmp(model->bad[i].digest, digest) == 0)
            return &model->bad[i];
    return NULL;
}

uint32_t el_journal_broken_loads(const struct el_journal *journal, const char *name, int64_t version,
                                 uint64_t fingerprint)
{
    const struct el_journal_model *model = el_known_find(&journal->known, name);
    for (size_t i = 0; model != NULL && i < model->broken_count; i++)
        if (model->broken[i].version == version && model->broken[i].fingerprint == fingerprint)
            return model->broken[i].times;
    return 0;
}

const char *el_journal_noted(const struct el_journal *journal, const char *name)
{
    for (size_t i = 0; i < journal->known.note_count; i++)
        if (strcmp(journal->known.notes[i].name, name) == 0)
            return journal->known.notes[i].text;
    return NULL;
}

/* ---- changing: the entry is made first, then memory is changed, then the entry goes its way; so neither happens without the other ---- */

/* values ends where the statement's do; texts are copied. NULL: no memory. */
static struct el_journal_entry *entry_new(enum el_journal_statement statement, const struct el_journal_value *values,
                                          size_t count, el_journal_then *then, void *argument)
{
    struct el_journal_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL)
        return NULL;
    entry->statement = statement;
    entry->then = then;
    entry->argument = argument;
    entry->bytes = sizeof *entry;
    for (size_t i = 0; i < count; i++) {
        entry->values[i].number = values[i].number;
        if (values[i].text == NULL)
            continue;
        entry->values[i].text = strdup(values[i].text);
        if (entry->values[i].text == NULL) {
            el_journal_entry_free(entry);
            return NULL;
        }
        entry->bytes += strlen(values[i].text);
    }
    return entry;
}

static struct el_journal_value text(const char *value)
{
    return (struct el_journal_value){ .text = value != NULL ? value : "" }; /* copied by entry_new() */
}

static struct el_journal_value number(int64_t value)
{
    return (struct el_journal_value){ .number = value };
}

static void hand_over(struct el_journal *journal, struct el_journal_entry *entry)
{
    if (journal->writer != NULL) {
        el_writer_put(journal->writer, entry);
    } else if (entry->then != NULL) {
        *journal->waiting_at = entry;
        journal->waiting_at = &entry->next;
        uv_async_send(&journal->async);
    } else {
        el_journal_entry_free(entry);
    }
}

#define ENTRY(statement, then, argument, ...)                                                                   \
    entry_new(statement, (const struct el_journal_value[]){ __VA_ARGS__ },                                      \
              sizeof((const struct el_journal_value[]){ __VA_ARGS__ }) / sizeof(struct el_journal_value), then, \
              argument)

/* Ends a change: status is what became of it in memory. */
static struct el_status *settle(struct el_journal *journal, struct el_journal_entry *entry, struct el_status *status)
{
    if (status != NULL)
        el_journal_entry_free(entry);
    else
        hand_over(journal, entry);
    return status;
}

struct el_status *el_journal_good(struct el_journal *journal, const char *model, int64_t version, const char *digest)
{
    const int64_t now_us = el_calendar_us();
    struct el_journal_entry *entry = ENTRY(EL_JOURNAL_GOOD, NULL, NULL, text(model), number(version), text(digest),
                                           number(now_us));
    if (entry == NULL)
        return el_status_no_memory();
    return settle(journal, entry, el_known_good(&journal->known, model, version, digest, now_us));
}

struct el_status *el_journal_pin(struct el_journal *journal, const char *model, int64_t version, const char *by,
                                 const char *reason, el_journal_then *then, void *argument)
{
    const int64_t now_us = el_calendar_us();
    struct el_journal_entry *entry = ENTRY(EL_JOURNAL_PIN, then, argument, text(model), number(version), text(by),
                                           text(reason), number(now_us));
    if (entry == NULL)
        return el_status_no_memory();
    return settle(journal, entry, el_known_pin(&journal->known, model, version, by, reason, now_us));
}

struct el_status *el_journal_unpin(struct el_journal *journal, const char *model, el_journal_then *then, void *argument)
{
    struct el_journal_entry *entry = ENTRY(EL_JOURNAL_UNPIN, then, argument, text(model));
    if (entry == NULL)
        return el_status_no_memory();
    el_known_unpin(&journal->known, model);
    return settle(journal, entry, NULL);
}

struct el_status *el_journal_quarantine(struct el_journal *journal, const char *model, const struct el_journal_bad *bad,
                                        el_journal_then *then, void *argument)
{
    struct el_journal_entry *entry = ENTRY(EL_JOURNAL_BAD, then, argument, text(model), text(bad->digest),
                                           number(bad->version), number((int64_t)bad->code), text(bad->reason),
                                           text(bad->by), number(bad->since_us));
    if (entry == NULL)
        return el_status_no_memory();
    return settle(journal, entry, el_known_bad(&journal->known, model, bad));
}

struct el_status *el_journal_forgive(struct el_journal *journal, const char *model, const char *digest,
                                     el_journal_then *then, void *argument)
{
    struct el_journal_entry *entry = ENTRY(EL_JOURNAL_FORGIVE, then, argument, text(model), text(digest));
    if (entry == NULL)
        return el_status_no_memory();
    hand_over(journal, entry);
    el_known_forgive(&journal->known, model, digest); /* last: digest may be what it forgets */
    return NULL;
}

struct el_status *el_journal_load_begins(struct el_journal *journal, const char *model, int64_t version,
                                         uint64_t fingerprint, el_journal_then *then, void *argument)
{
    struct el_journal_entry *entry = ENTRY(EL_JOURNAL_LOAD_BEGINS, then, argument, text(model), number(version),
                                           number((int64_t)fingerprint));
    if (entry == NULL)
        return el_status_no_memory();
    hand_over(journal, entry);
    return NULL;
}

struct el_status *el_journal_load_ended(struct el_journal *journal, const char *model, int64_t version)
{
    struct el_journal_entry *entry = ENTRY(EL_JOURNAL_LOAD_ENDED, NULL, NULL, text(model), number(version));
    if (entry == NULL)
        return el_status_no_memory();
    el_known_mended(&journal->known, model, version);
    hand_over(journal, entry);
    return NULL;
}

struct el_status *el_journal_note(struct el_journal *journal, const char *name, const char *value,
                                  el_journal_then *then, void *argument)
{
    struct el_journal_entry *entry = value == NULL || value[0] == '\0'
                                         ? ENTRY(EL_JOURNAL_UNNOTE, then, argument, text(name))
                                         : ENTRY(EL_JOURNAL_NOTE, then, argument, text(name), text(value));
    if (entry == NULL)
        return el_status_no_memory();
    return settle(journal, entry, el_known_note(&journal->known, name, value));
}

void el_journal_alert(struct el_journal *journal, int64_t id, const char *receiver, const char *value)
{
    if (journal->writer == NULL)
        return;
    struct el_journal_entry *entry = ENTRY(EL_JOURNAL_ALERT, NULL, NULL, number(id), text(receiver), text(value));
    if (entry == NULL)
        journal->lost++;
    else
        hand_over(journal, entry);
}

void el_journal_alert_gone(struct el_journal *journal, int64_t id)
{
    if (journal->writer == NULL)
        return;
    struct el_journal_entry *entry = ENTRY(EL_JOURNAL_ALERT_GONE, NULL, NULL, number(id));
    if (entry != NULL) /* without memory it is told once more by the next start */
        hand_over(journal, entry);
}

void el_journal_alerts(const struct el_journal *journal,
                       void (*each)(int64_t id, const char *receiver, const char *text, void *argument), void *argument)
{
    for (size_t i = 0; i < journal->known.alert_count; i++)
        each(journal->known.alerts[i].id, journal->known.alerts[i].receiver, journal->known.alerts[i].text, argument);
}

void el_journal_on_trouble(struct el_journal *journal, void (*changed)(void *argument), void *argument)
{
    if (journal->writer != NULL)
        el_writer_on_trouble(journal->writer, changed, argument);
}

void el_journal_event(struct el_journal *journal, const struct el_journal_event *event)
{
    if (journal->writer == NULL)
        return;
    struct el_journal_entry *entry = ENTRY(EL_JOURNAL_EVENT, NULL, NULL, number(event->time_us), text(event->model),
                                           number(event->version), text(event->event), text(event->by),
                                           text(event->text), text(event->details));
    if (entry == NULL)
        journal->lost++;
    else
        hand_over(journal, entry);
}
