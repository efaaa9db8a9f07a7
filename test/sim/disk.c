/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in for the journal's thread (writer.c): entries wait, are written as one transaction some time later, and who waits for
 * the disk is told then. SQLite and all above it are the real ones; the file is in memory and outlives the server.
 *
 * A power-off forgets what waits. What was written is kept a second time, in sim->shadow, by other code: after a restart the journal
 * has to say the same.
 */
#include "sim.h"

#include "journal/writer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS_WAIT_MS 500
#define RETRY_MS 3000

struct el_writer {
    struct el_database database;
    struct el_journal_entry *first, **last;
    struct el_journal_entry *told, **told_at; /* whose then is to be called */
    struct sim_event *write, *tell;
    char trouble[128];
    void (*changed)(void *argument);
    void *changed_argument;
    uint64_t lost;
};

static char directory[64];
static sqlite3 *keeper; /* keeps the file alive while no server has it open */
static struct el_writer *current;

const char *sim_disk_directory(void)
{
    return directory;
}

void sim_disk_open(void)
{
    if (directory[0] == '\0') {
        snprintf(directory, sizeof directory, "/tmp/everlit-sim-XXXXXX");
        if (mkdtemp(directory) == NULL) {
            fprintf(stderr, "no directory can be made in /tmp\n");
            exit(2);
        }
        sqlite3_vfs_register(sqlite3_vfs_find("memdb"), 1);
    }
    char name[128];
    snprintf(name, sizeof name, "file:%s/" EL_JOURNAL_FILE, directory);
    if (sqlite3_open_v2(name, &keeper, SQLITE_OPEN_URI | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
        abort();
    sqlite3_exec(keeper, "PRAGMA user_version", NULL, NULL, NULL);
}

void sim_disk_close(void)
{
    sqlite3_close(keeper);
    keeper = NULL;
}

void sim_disk_remove(void)
{
    char name[128];
    snprintf(name, sizeof name, "%s/lock", directory);
    unlink(name);
    rmdir(directory);
}

void sim_disk_forget(void)
{
    directory[0] = '\0';
}

/* ---- the shadow ---- */

static uint32_t model_of(const char *name)
{
    for (uint32_t i = 0; i < sim->model_count; i++)
        if (strcmp(sim->models[i].name, name) == 0)
            return i;
    return 0;
}

static void shadow_forgive(const char *model, const char *digest)
{
    struct sim_shadow *shadow = &sim->shadow;
    for (size_t i = 0; i < shadow->bad_count; i++)
        if (strcmp(shadow->bad[i].model, model) == 0 && strcmp(shadow->bad[i].digest, digest) == 0)
            shadow->bad[i--] = shadow->bad[--shadow->bad_count];
}

static void shadow_bad(const char *model, const char *digest)
{
    struct sim_shadow *shadow = &sim->shadow;
    shadow_forgive(model, digest);
    if (shadow->bad_count == sizeof shadow->bad / sizeof shadow->bad[0])
        abort();
    struct sim_shadow_bad *bad = &shadow->bad[shadow->bad_count++];
    snprintf(bad->model, sizeof bad->model, "%s", model);
    snprintf(bad->digest, sizeof bad->digest, "%s", digest);
}

static void shadow_take(const struct el_journal_entry *entry)
{
    const struct el_journal_value *values = entry->values;
    struct sim_shadow *shadow = &sim->shadow;
    switch (entry->statement) {
    case EL_JOURNAL_GOOD: {
        const uint32_t i = model_of(values[0].text);
        shadow->models[i].has_good = true;
        shadow->models[i].good = values[1].number;
        snprintf(shadow->models[i].good_digest, sizeof shadow->models[i].good_digest, "%s", values[2].text);
        break;
    }
    case EL_JOURNAL_PIN:
        shadow->models[model_of(values[0].text)].pinned = true;
        shadow->models[model_of(values[0].text)].pin = values[1].number;
        break;
    case EL_JOURNAL_UNPIN:
        shadow->models[model_of(values[0].text)].pinned = false;
        break;
    case EL_JOURNAL_BAD:
        shadow_bad(values[0].text, values[1].text);
        break;
    case EL_JOURNAL_FORGIVE:
        shadow_forgive(values[0].text, values[1].text);
        break;
    default:
        break;
    }
}

/* ---- writer.h ---- */

void el_journal_entry_free(struct el_journal_entry *entry)
{
    if (entry == NULL)
        return;
    for (size_t i = 0; i < EL_JOURNAL_VALUES; i++)
        free((void *)(uintptr_t)entry->values[i].text);
    el_status_free(entry->status);
    free(entry);
}

void el_journal_entries_end(struct el_journal_entry *entry, const struct el_status *why)
{
    while (entry != NULL) {
        struct el_journal_entry *following = entry->next;
        if (entry->then != NULL)
            entry->then(entry->argument, why != NULL ? why : entry->status);
        el_journal_entry_free(entry);
        entry = following;
    }
}

static void on_tell(void *argument)
{
    struct el_writer *writer = argument;
    writer->tell = NULL;
    struct el_journal_entry *told = writer->told;
    writer->told = NULL;
    writer->told_at = &writer->told;
    el_journal_entries_end(told, NULL);
}

static void tell_later(struct el_writer *writer, struct el_journal_entry *entry)
{
    entry->next = NULL;
    *writer->told_at = entry;
    writer->told_at = &entry->next;
    if (writer->tell == NULL)
        writer->tell = sim_after(SIM_SWAP, sim_below(&sim->random, 500000), on_tell, writer);
}

static void schedule(struct el_writer *writer, uint64_t span_ns);

/* What is written cannot be: it waits, and those who wait for it are told why. */
static void on_full(struct el_writer *writer)
{
    snprintf(writer->trouble, sizeof writer->trouble, "the disk is full");
    for (struct el_journal_entry *entry = writer->first; entry != NULL; entry = entry->next) {
        if (entry->then == NULL)
            continue;
        struct el_journal_entry *told = calloc(1, sizeof *told);
        if (told == NULL)
            abort();
        told->then = entry->then;
        told->argument = entry->argument;
        told->status = el_status_new(EL_RESOURCE_EXHAUSTED, "the disk is full");
        entry->then = NULL;
        tell_later(writer, told);
    }
    schedule(writer, RETRY_MS * SIM_MS);
}

static void write_out(struct el_writer *writer)
{
    struct el_journal_entry *entry = writer->first;
    writer->first = NULL;
    writer->last = &writer->first;
    writer->trouble[0] = '\0';
    struct el_status *status = el_database_write(&writer->database, entry);
    if (status != NULL)
        sim_violated("the journal is written", "%s", el_status_text(status));
    while (entry != NULL) {
        struct el_journal_entry *following = entry->next;
        shadow_take(entry);
        if (entry->then != NULL)
            tell_later(writer, entry);
        else
            el_journal_entry_free(entry);
        entry = following;
    }
}

static void on_write(void *argument)
{
    struct el_writer *writer = argument;
    writer->write = NULL;
    if (sim->disk_full)
        on_full(writer);
    else
        write_out(writer);
}

static void schedule(struct el_writer *writer, uint64_t span_ns)
{
    if (writer->write == NULL)
        writer->write = sim_after(SIM_CLIENT, span_ns, on_write, writer);
}

void el_writer_put(struct el_writer *writer, struct el_journal_entry *entry)
{
    if (sim->dying || writer->database.sqlite == NULL) {
        el_journal_entry_free(entry); /* whoever waits for it dies with the server */
        return;
    }
    const bool urgent = entry->statement != EL_JOURNAL_EVENT || entry->then != NULL;
    entry->next = NULL;
    *writer->last = entry;
    writer->last = &entry->next;
    if (urgent && writer->trouble[0] == '\0') {
        sim_cancel(writer->write);
        writer->write = NULL;
    }
    if (entry->then != NULL && sim_mutation == SIM_ACKNOWLEDGE_EARLY) {
        struct el_journal_entry *told = calloc(1, sizeof *told);
        if (told == NULL)
            abort();
        told->then = entry->then;
        told->argument = entry->argument;
        entry->then = NULL;
        tell_later(writer, told);
    }
    schedule(writer, urgent ? sim_below(&sim->random, sim->disk_ns) : EVENTS_WAIT_MS * SIM_MS);
}

struct el_status *el_writer_start(uv_loop_t *uv_loop, const struct el_log *log, const char *path,
                                  struct el_database *database, const struct el_status *trouble, uint32_t history_kept,
                                  struct el_writer **made)
{
    (void)uv_loop;
    (void)log;
    (void)path;
    (void)history_kept;
    if (trouble != NULL)
        sim_violated("the journal opens", "%s", el_status_text(trouble));
    struct el_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL)
        abort();
    writer->database = *database;
    *database = (struct el_database){ .lock = -1 };
    writer->last = &writer->first;
    writer->told_at = &writer->told;
    current = *made = writer;
    return NULL;
}

void sim_disk_power_off(void)
{
    if (current == NULL)
        return;
    sim_cancel(current->write);
    current->write = NULL;
    uint32_t lost = 0;
    for (const struct el_journal_entry *entry = current->first; entry != NULL; entry = entry->next)
        lost += entry->statement != EL_JOURNAL_EVENT;
    if (lost > 0)
        sim_story("disk", "%u journal records beside events are lost", lost);
    while (current->first != NULL) {
        struct el_journal_entry *entry = current->first;
        current->first = entry->next;
        el_journal_entry_free(entry);
    }
    current->last = &current->first;
}

void el_writer_on_trouble(struct el_writer *writer, void (*changed)(void *argument), void *argument)
{
    writer->changed = changed;
    writer->changed_argument = argument;
}

const char *el_writer_trouble(struct el_writer *writer)
{
    return writer->trouble;
}

uint64_t el_writer_lost(struct el_writer *writer)
{
    return writer->lost;
}

void el_writer_count_lost(struct el_writer *writer)
{
    writer->lost++;
}

void el_writer_end(struct el_writer *writer)
{
    sim_cancel(writer->write);
    if (writer->first != NULL && !sim->disk_full)
        write_out(writer);
    sim_cancel(writer->tell);
    struct el_status *given_up = el_status_new(EL_CANCELLED, "the journal is closed, and this is not written");
    el_journal_entries_end(writer->told, NULL);
    el_journal_entries_end(writer->first, given_up);
    el_status_free(given_up);
    el_database_close(&writer->database);
    if (current == writer)
        current = NULL;
    free(writer);
}
