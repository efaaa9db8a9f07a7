/* SPDX-License-Identifier: Apache-2.0 */
#include "journal/writer.h"

#include "base/clock.h"
#include "base/constant.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 500
#define RETRY_MS 3000
#define QUEUE_BYTES ((size_t)16 << 20)
#define TRIM_EVERY 256 /* transactions */

struct el_writer {
    const struct el_log *log;
    char *directory;
    uint32_t history_kept;
    pthread_t thread;
    uv_async_t async;
    char shown[512];                 /* the loop's copy of trouble */
    void (*changed)(void *argument); /* the loop's, like all that follows */
    void *changed_argument;
    bool told_trouble;

    struct el_database database; /* the thread's */
    uint32_t written;            /* the thread's: transactions since the last trim */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    struct el_journal_entry *first, **last;   /* to be written */
    struct el_journal_entry *done, **done_at; /* whose then is to be called */
    size_t bytes;
    bool urgent; /* something in the queue is not an event */
    bool ending;
    char trouble[512];
    uint64_t lost;
};

void el_journal_entry_free(struct el_journal_entry *entry)
{
    if (entry == NULL)
        return;
    for (size_t i = 0; i < EL_JOURNAL_VALUES; i++)
        el_free_constant(entry->values[i].text);
    el_status_free(entry->status);
    free(entry);
}

/* ---- the loop ---- */

static void on_async(uv_async_t *async)
{
    struct el_writer *writer = async->data;
    pthread_mutex_lock(&writer->lock);
    struct el_journal_entry *entry = writer->done;
    writer->done = NULL;
    writer->done_at = &writer->done;
    const bool trouble = writer->trouble[0] != '\0';
    pthread_mutex_unlock(&writer->lock);
    el_journal_entries_end(entry, NULL);
    if (trouble == writer->told_trouble)
        return;
    writer->told_trouble = trouble;
    if (writer->changed != NULL)
        writer->changed(writer->changed_argument);
}

void el_writer_on_trouble(struct el_writer *writer, void (*changed)(void *argument), void *argument)
{
    writer->changed = changed;
    writer->changed_argument = argument;
    writer->told_trouble = *el_writer_trouble(writer) != '\0';
}

static void append(struct el_writer *writer, struct el_journal_entry *entry)
{
    entry->next = NULL;
    *writer->last = entry;
    writer->last = &entry->next;
    writer->bytes += entry->bytes;
}

static bool may_go(const struct el_journal_entry *entry)
{
    return entry->then == NULL && (entry->statement == EL_JOURNAL_EVENT || entry->statement == EL_JOURNAL_ALERT);
}

/* The oldest events and alerts go until what waits is small enough. Only while nothing can be written. */
static void drop_events(struct el_writer *writer)
{
    struct el_journal_entry **at = &writer->first;
    while (*at != NULL && writer->bytes > QUEUE_BYTES) {
        struct el_journal_entry *entry = *at;
        if (!may_go(entry)) {
            at = &entry->next;
            continue;
        }
        *at = entry->next;
        writer->bytes -= entry->bytes;
        writer->lost++;
        el_journal_entry_free(entry);
    }
    for (writer->last = &writer->first; *writer->last != NULL;)
        writer->last = &(*writer->last)->next;
}

void el_writer_put(struct el_writer *writer, struct el_journal_entry *entry)
{
    pthread_mutex_lock(&writer->lock);
    if (writer->bytes > QUEUE_BYTES)
        drop_events(writer);
    append(writer, entry);
    writer->urgent = writer->urgent || entry->statement != EL_JOURNAL_EVENT || entry->then != NULL;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->lock);
}

const char *el_writer_trouble(struct el_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    memcpy(writer->shown, writer->trouble, sizeof writer->shown);
    pthread_mutex_unlock(&writer->lock);
    return writer->shown;
}

uint64_t el_writer_lost(struct el_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    const uint64_t lost = writer->lost;
    pthread_mutex_unlock(&writer->lock);
    return lost;
}

void el_writer_count_lost(struct el_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->lost++;
    pthread_mutex_unlock(&writer->lock);
}

/* ---- the thread ---- */

/* Until the span is over or the journal ends; or, with until_urgent, something urgent came. */
static void wait_ms(struct el_writer *writer, uint64_t span_ms, bool until_urgent)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const uint64_t at = (uint64_t)until.tv_nsec + span_ms * EL_NS_PER_MS;
    until.tv_sec += (time_t)(at / EL_NS_PER_S);
    until.tv_nsec = (long)(at % EL_NS_PER_S);
    int code = 0;
    while (code != ETIMEDOUT && !writer->ending && !(until_urgent && writer->urgent))
        code = pthread_cond_timedwait(&writer->wake, &writer->lock, &until);
}

/* Whose then waits: they are told, with status copied. The others go. */
static void finish(struct el_writer *writer, struct el_journal_entry *entries)
{
    while (entries != NULL) {
        struct el_journal_entry *next = entries->next;
        entries->next = NULL;
        if (entries->then == NULL) {
            el_journal_entry_free(entries);
        } else {
            *writer->done_at = entries;
            writer->done_at = &entries->next;
        }
        entries = next;
    }
}

/*
 * Back to the front of the queue. Those with a then are told now, by a stand-in: whoever waits for the disk waits no longer. Without memory
 * for one he waits until it works.
 */
static void put_back(struct el_writer *writer, struct el_journal_entry *entries, const struct el_status *why)
{
    struct el_journal_entry *first = entries, *entry;
    struct el_journal_entry **end = &first;
    for (entry = entries; entry != NULL; entry = entry->next) {
        writer->bytes += entry->bytes;
        end = &entry->next;
        struct el_journal_entry *told = entry->then != NULL ? calloc(1, sizeof *told) : NULL;
        if (told == NULL)
            continue;
        told->then = entry->then;
        told->argument = entry->argument;
        told->status = el_status_copy(why);
        entry->then = NULL;
        finish(writer, told);
    }
    *end = writer->first;
    if (writer->first == NULL)
        writer->last = end;
    writer->first = first;
}

/* Once when it begins, once when it is over. */
static void set_trouble(struct el_writer *writer, const struct el_status *status)
{
    const bool had = writer->trouble[0] != '\0';
    snprintf(writer->trouble, sizeof writer->trouble, "%s", el_status_text(status));
    if (!had && status != NULL)
        el_log(writer->log, EL_LOG_ERROR, "journal_not_written", el_str("state_dir", writer->directory),
               el_str("reason", el_status_text(status)),
               el_str("effect", "serving goes on; what changes is lost if the server ends before this is mended"));
    if (had && status == NULL)
        el_log(writer->log, EL_LOG_INFO, "journal_written_again", el_str("state_dir", writer->directory),
               el_int("events_lost", (int64_t)writer->lost));
}

static struct el_status *reopen(struct el_writer *writer)
{
    char *aside = NULL;
    el_database_close(&writer->database);
    struct el_status *status = el_database_open(writer->directory, &writer->database, &aside);
    if (aside != NULL)
        el_log(writer->log, EL_LOG_ERROR, "journal_set_aside", el_str("reason", aside));
    free(aside);
    return status;
}

static struct el_status *write_out(struct el_writer *writer, const struct el_journal_entry *entries)
{
    if (writer->database.sqlite == NULL || writer->database.read_only)
        EL_TRY(reopen(writer));
    EL_TRY(el_status_prefix(el_database_write(&writer->database, entries), "%s/" EL_JOURNAL_FILE, writer->directory));
    if (++writer->written >= TRIM_EVERY) {
        writer->written = 0;
        el_status_free(el_database_trim(&writer->database, writer->history_kept)); /* the next time then */
    }
    return NULL;
}

static void *run(void *argument)
{
    struct el_writer *writer = argument;
    bool failed = writer->trouble[0] != '\0';
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        if (writer->first == NULL && !writer->ending) {
            pthread_cond_wait(&writer->wake, &writer->lock);
            continue;
        }
        wait_ms(writer, failed ? RETRY_MS : WAIT_MS, !failed);
        if (writer->first == NULL)
            break;
        const bool last = writer->ending;
        struct el_journal_entry *entries = writer->first;
        writer->first = NULL;
        writer->last = &writer->first;
        writer->bytes = 0;
        writer->urgent = false;
        pthread_mutex_unlock(&writer->lock);
        struct el_status *status = write_out(writer, entries);
        pthread_mutex_lock(&writer->lock);
        failed = status != NULL;
        if (failed)
            put_back(writer, entries, status);
        else
            finish(writer, entries);
        set_trouble(writer, status);
        el_status_free(status);
        uv_async_send(&writer->async);
        if (failed && last)
            break;
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

/* ---- life ---- */

struct el_status *el_writer_start(uv_loop_t *loop, const struct el_log *log, const char *directory,
                                  struct el_database *database, const struct el_status *trouble, uint32_t history_kept,
                                  struct el_writer **made)
{
    struct el_writer *writer = calloc(1, sizeof *writer);
    char *copy = strdup(directory);
    if (writer == NULL || copy == NULL || uv_async_init(loop, &writer->async, on_async) != 0) {
        free(writer);
        free(copy);
        return el_status_no_memory();
    }
    writer->log = log;
    writer->directory = copy;
    writer->history_kept = history_kept;
    writer->async.data = writer;
    uv_unref((uv_handle_t *)&writer->async);
    writer->last = &writer->first;
    writer->done_at = &writer->done;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    set_trouble(writer, trouble);
    writer->database = *database;
    *database = (struct el_database){ .lock = -1 };
    const int error = pthread_create(&writer->thread, NULL, run, writer);
    if (error != 0) {
        writer->ending = true;
        *database = writer->database;
        writer->database = (struct el_database){ .lock = -1 };
        el_writer_end(writer);
        return el_status_errno(error, "the journal's thread cannot be started");
    }
    *made = writer;
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct el_writer *writer = handle->data;
    free(writer->directory);
    free(writer);
}

void el_journal_entries_end(struct el_journal_entry *entry, const struct el_status *why)
{
    while (entry != NULL) {
        struct el_journal_entry *next = entry->next;
        if (entry->then != NULL)
            entry->then(entry->argument, why != NULL ? why : entry->status);
        el_journal_entry_free(entry);
        entry = next;
    }
}

void el_writer_end(struct el_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    const bool started = !writer->ending;
    writer->ending = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->lock);
    if (started)
        pthread_join(writer->thread, NULL);
    struct el_status *given_up = el_status_new(EL_CANCELLED, "the journal is closed, and this is not written");
    el_journal_entries_end(writer->done, NULL);
    el_journal_entries_end(writer->first, given_up);
    el_status_free(given_up);
    el_database_close(&writer->database);
    pthread_cond_destroy(&writer->wake);
    pthread_mutex_destroy(&writer->lock);
    uv_close((uv_handle_t *)&writer->async, on_closed);
}
