/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_ROLLOUT_H
#define EL_SWAP_ROLLOUT_H

/*
 * A rollout: a new version that is good by its probe comes to the requests that name no version step by step, while the old one
 * goes on beside it. Both are SERVING; el_model_serving() is the old one until the last step is over, when the guard takes over.
 *
 * Swap thread. Event loops share requests out (rollout_route.h) and count what comes of them; twice a second, and after each bad
 * answer, the counts of the step are judged (rollout_judge.h). A step ends when both versions have answered enough for long enough:
 * with the next one, or, if it is manual, with an operator's word. A step that finds too little to measure is paused: it goes on by
 * itself when there is more, or by an operator's word. A version that is measured to be worse is taken back and quarantined.
 *
 * The rollout belongs to the new version, of which there is one at a time in a model. Nothing of it is in the journal but its
 * events: until its end the old version is the last good one, so a server that starts again starts with that, and the rollout anew.
 */

#include "swap/state.h"

/* A version that is READY is to come step by step, not at once. */
bool el_rollout_is_due(const struct el_version *version);

/* It was led to SERVING for that. Without memory it answers everybody at once, which is told. */
void el_rollout_begin(struct el_version *version, uint64_t now_ns);

/* Once per look at its model, before routes are chosen: measures, goes on to the next step, takes it back. */
void el_rollout_tick(struct el_version *version, uint64_t now_ns);

/*
 * While routes are chosen: what else happened to the model may end it, or begin it anew. True: it is not there any more, and
 * requests are led elsewhere; the version answers everybody, or is WARM.
 */
bool el_rollout_look(struct el_model *model, uint64_t now_ns);

/* The version that is in rollout; NULL: none. */
struct el_version *el_rollout_of(const struct el_model *model);

/* True if its answers are looked into for a rollout: its own, or another's that is compared with it. */
bool el_rollout_watches(const struct el_version *version);

/* Its worker died, or was killed for a run that hangs. True: it was taken back for that. */
bool el_rollout_on_death(struct el_version *version, const struct el_status *why);

/* An operator's word: on to the next step, or to the end. The version is in rollout. */
void el_rollout_promote(struct el_version *version, bool to_the_end);

/* For el_model_roll_back(): requests are led elsewhere, and a rollout there was has ended. Nothing to do where there is none. */
void el_rollout_taken_back(struct el_version *version, const char *why);

/* An event loop has put a copy of a request aside: rollouts in shadow take theirs. */
void el_rollout_wake(struct el_swap *swap);

/* What the view of its model shows; texts are the rollout's. */
struct el_rollout_view el_rollout_show(const struct el_model *model);

/* NULL is allowed. */
void el_rollout_free(struct el_rollout *rollout);

#endif
