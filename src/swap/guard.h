/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_GUARD_H
#define EL_SWAP_GUARD_H

/*
 * The guard: for guard_ms after a version began to answer everybody, its live signals are held against those of the version that
 * answered before, which stays WARM for so long. A breach leads requests back in the same turn of the loop.
 *
 * Swap thread. Event loops count (signals.h) and wake it after each answer that the version is to blame for; slowness and memory
 * are looked at twice a second. What it decides is el_guard_judge()'s (guard_judge.h). It acts only while there is a version to go
 * back to; it runs for no version that answered before, unless its guard was cut short, nor for one that an operator has pinned.
 *
 * The guard belongs to its version, and ends with it.
 */

#include "swap/state.h"

/* version takes over from what answered before (published as told_serving): its guard begins, if there is to be one. */
void el_guard_begin(struct el_version *version, uint64_t now_ns);

/* Once per look at its model, before routes are chosen. */
void el_guard_tick(struct el_version *version, uint64_t now_ns);

/* Its worker died, or was killed for a run that hangs. True: it was taken back for that. */
bool el_guard_on_death(struct el_version *version, const struct el_status *why);

/* Its death is not to be held against it: an operator has pinned it, it was killed from outside, or back could be lost as well. */
bool el_guard_is_innocent(const struct el_version *version, const struct el_version *back, const struct el_status *why);

/* True while the guard of another version may need this WARM one. */
bool el_guard_keeps(const struct el_version *version);

/* Calendar time at which its guard will be over; 0: it has none. */
int64_t el_guard_until_us(const struct el_version *version);

/* NULL is allowed. */
void el_guard_free(struct el_guard *guard);

/* An event loop has counted something against a version: all models with a guard are looked at. */
void el_guard_wake(struct el_swap *swap);

/* It answers requests now, or not any more: whether its answers are looked into. */
void el_guard_watch(struct el_version *version);

#endif
