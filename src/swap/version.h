/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_VERSION_H
#define EL_SWAP_VERSION_H

/*
 * One life of one version: made when the policy first wants it, moved by the
 * table of life.h only, each move an event and a log line.
 *
 * Swap thread.
 */

#include "swap/state.h"

/* A new life, in NEW, in its model's list in place of an ended one. NULL: no memory. */
struct el_version *el_version_new(struct el_model *model, const struct el_source_version *seen);

/* Takes it out of its model and frees it; its worker is left to itself. Only in END, or when the swapper ends. */
void el_version_free(struct el_version *version);

/* The life of that number, ended or not; NULL: none. */
struct el_version *el_version_find(const struct el_model *model, int64_t number);

/*
 * Moves it by event. why (taken over, may be NULL) becomes its code and reason. tell is the name of the event for people,
 * format its text. False, and an error in the log, if the table does not allow the move.
 */
bool el_version_move(struct el_version *version, enum el_life_event event, struct el_status *why, const char *tell,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/* FAIL with why, whatever it is doing: its load is ended and its worker goes. */
void el_version_quarantine(struct el_version *version, struct el_status *why);

/* The same for a load that failed: where another try may help (retry.h), it will be loaded again after a while. */
void el_version_load_failed(struct el_version *version, struct el_status *why);

/* RETIRE: nobody wants it. From LOADING, PROBING, READY and WARM it drains and its worker ends; then it is END. */
void el_version_retire(struct el_version *version, const char *why);

/* Changes what status shows as the reason, without a move. */
void el_version_set_reason(struct el_version *version, const char *text);

/* Gives its worker away after the next publication and grace period: nobody is led to it any more. */
void el_version_drain(struct el_version *version);

/* Leads requests to hosted, which has proved itself; from then on its death is respawn.h's. */
void el_version_host(struct el_version *version, struct el_hosted *hosted);

bool el_version_is_over(const struct el_version *version); /* END or QUARANTINED */
bool el_version_is_gone(const struct el_version *version); /* END, and nothing of it is left: a new life may begin */

#endif
