/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_RCU_H
#define EL_SWAP_RCU_H

/*
 * Read-copy-update, as the swapper uses it: readers pin what they see between
 * read_lock and read_unlock (short, never across a callback); the swap thread
 * publishes with one atomic store, waits until no reader can still see the old
 * thing, and frees it.
 *
 * Flavour: liburcu-bp, on sys_membarrier. QSBR's readers are free of cost, but every
 * event loop would have to go offline around its epoll_wait, and a program
 * that embeds the library and forgets to would stop all reclamation; memb wants
 * each thread registered. bp registers a thread at its first read, so that
 * any thread may look at a view, for one predictable branch per request.
 *
 * ThreadSanitizer does not see into the uninstrumented liburcu: it cannot know
 * that a grace period orders a reader's last read before the free. The two
 * annotations say so; they are nothing in other builds.
 */

#include "base/tsan.h"

#include <urcu/urcu-bp.h>

static inline void el_rcu_read_lock(void)
{
    urcu_bp_read_lock();
}

/* mark: any address that readers and the freeing thread share: the swapper's own. */
static inline void el_rcu_read_unlock(void *mark)
{
    el_tsan_release(mark);
    urcu_bp_read_unlock();
}

/* Returns when every reader that was inside is outside. Not inside a read section. */
static inline void el_rcu_wait(void *mark)
{
    urcu_bp_synchronize_rcu();
    el_tsan_acquire(mark);
}

#endif
