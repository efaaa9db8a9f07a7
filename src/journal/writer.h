/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_JOURNAL_WRITER_H
#define EL_JOURNAL_WRITER_H

/*
 * The thread that brings entries to the disk, in the order in which they came. This header is the room's own.
 *
 * What came while a transaction was written is the next one. Entries that are only events wait for others, WAIT_MS at most, so that a chatty
 * day does not wear out a flash card. A transaction that fails is tried again every RETRY_MS; meanwhile at most QUEUE_BYTES wait, and
 * the oldest events are dropped and counted.
 */

#include "journal/database.h"

struct el_writer;

/*
 * Takes database over, open or not: one that is not is opened when it can be. trouble: why it is not, or not for writing; NULL: it is.
 * Texts are copied; log outlives it.
 */
struct el_status *el_writer_start(uv_loop_t *loop, const struct el_log *log, const char *directory,
                                  struct el_database *database, const struct el_status *trouble, uint32_t history_kept,
                                  struct el_writer **writer) EL_MUST_USE;

/* Takes entry over. Its then comes on the loop. */
void el_writer_put(struct el_writer *writer, struct el_journal_entry *entry);

/* changed comes on the loop, after a transaction that failed or worked again. */
void el_writer_on_trouble(struct el_writer *writer, void (*changed)(void *argument), void *argument);

/* "": none. Valid until the loop runs again; on the loop's thread. */
const char *el_writer_trouble(struct el_writer *writer);
uint64_t el_writer_lost(struct el_writer *writer);
void el_writer_count_lost(struct el_writer *writer);

/* Writes what is left, or gives it up if that fails: whoever still waits is told. It is freed when the loop runs once more. */
void el_writer_end(struct el_writer *writer);

void el_journal_entry_free(struct el_journal_entry *entry);

/* Tells each that waits, with why where that is not NULL, and frees all. */
void el_journal_entries_end(struct el_journal_entry *entries, const struct el_status *why);

#endif
