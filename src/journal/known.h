/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_JOURNAL_KNOWN_H
#define EL_JOURNAL_KNOWN_H

/*
 * What the journal holds in memory: models and notes. This header is the room's own.
 *
 * The loop's thread. A change that finds no memory changes nothing.
 */

#include "journal/database.h"

struct el_journal_note {
    const char *name, *text; /* owned */
};

/* As it was read; it stays until the journal is closed. */
struct el_journal_alert_read {
    int64_t id;
    char *receiver, *text;
};

struct el_known {
    struct el_journal_model **models; /* each owned: they stay where they are */
    size_t model_count;
    struct el_journal_note *notes;
    size_t note_count;
    struct el_journal_alert_read *alerts; /* what an earlier start left; by id */
    size_t alert_count;
};

struct el_journal_model *el_known_find(const struct el_known *known, const char *name);
struct el_status *el_known_model(struct el_known *known, const char *name, struct el_journal_model **model) EL_MUST_USE;

struct el_status *el_known_good(struct el_known *known, const char *model, int64_t version, const char *digest,
                                int64_t since_us) EL_MUST_USE;
struct el_status *el_known_pin(struct el_known *known, const char *model, int64_t version, const char *by,
                               const char *reason, int64_t since_us) EL_MUST_USE;
void el_known_unpin(struct el_known *known, const char *model);
struct el_status *el_known_bad(struct el_known *known, const char *model, const struct el_journal_bad *bad) EL_MUST_USE;
void el_known_forgive(struct el_known *known, const char *model, const char *digest);
struct el_status *el_known_broken(struct el_known *known, const char *model,
                                  const struct el_journal_broken_load *broken) EL_MUST_USE;
void el_known_mended(struct el_known *known, const char *model, int64_t version);
struct el_status *el_known_note(struct el_known *known, const char *name, const char *text) EL_MUST_USE;

/* Reads all of it from the file. */
struct el_status *el_known_read(struct el_known *known, sqlite3 *sqlite) EL_MUST_USE;

void el_known_free(struct el_known *known);

#endif
