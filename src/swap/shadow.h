/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_SHADOW_H
#define EL_SWAP_SHADOW_H

/*
 * Shadow: copies of requests that the old version has answered well are asked of the new one, and its answers are compared and
 * thrown away.
 *
 * Two halves. The queue belongs to the old version's servable: event loops put a part of their requests there, with the answer and
 * the time that it took. They only try its lock, and what finds it full is not copied: a client never waits for a copy. The
 * shadow belongs to the rollout, on the swap thread: it takes from the queue, asks a few at a time, and counts.
 */

#include "swap/guard_judge.h"
#include "swap/servable.h"
#include "swap/state.h"

struct el_shadow_queue;
struct el_shadow;

/* Copies of `percent` of the requests that old answers are asked of version. Owns old meanwhile. NULL: no memory. */
struct el_shadow *el_shadow_new(struct el_version *version, struct el_servable *old, uint32_t percent);
void el_shadow_free(struct el_shadow *shadow); /* NULL is allowed */

/* What was compared since el_shadow_restart(), and spells of it for el_rollout_window(): ended by a look half a second after its begin. */
struct el_shadow_counts {
    struct el_guard_counts differs, drifted, windows;
    uint64_t slow_ns, window_ns;
    struct el_guard_counts window[2]; /* of the new version, the old one; bad: slow */
};

/* slow_ns: what an answer may take; UINT64_MAX: whatever it likes. */
void el_shadow_restart(struct el_shadow *shadow, uint64_t slow_ns, uint64_t now_ns);
const struct el_shadow_counts *el_shadow_look(struct el_shadow *shadow, uint64_t now_ns);

/* Takes what is in the queue, as far as there is room. Called when an event loop has woken the swap thread. */
void el_shadow_pump(struct el_shadow *shadow);

void el_shadow_queue_free(struct el_shadow_queue *queue); /* NULL is allowed; the servable's end */

/*
 * Offers a request that was answered well; random is any number of the loop's. True: the swap thread is to be woken. On the hot path:
 * without a shadow one comparison.
 */
bool el_shadow_take(struct el_shadow_queue *queue, uint64_t random, uint32_t signature, const struct el_call *call,
                    const uint32_t *outputs, uint32_t output_count, uint64_t took_ns);

#endif
