/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_DOORBELL_H
#define EL_WORKER_DOORBELL_H

/*
 * How runners sleep until a request comes, and how the front wakes them with a
 * system call only when one sleeps that nobody has woken yet.
 *
 * A runner that found nothing counts itself in `sleepers`, looks once more, and waits (futex) until it can take a
 * token. Whoever put a request adds a token and wakes one, unless there are as many tokens as sleepers already: then
 * each sleeper is on its way and will look at the ring. See ring.h for why no request is overlooked.
 *
 * Both words are shared memory. The front reads them as hints: whatever stands there, it makes at most one futex call.
 */

#include "worker/layout.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline void el_doorbell_wake(struct el_shm_header *header, uint32_t tokens, int runners)
{
    atomic_fetch_add(&header->tokens, tokens);
    syscall(SYS_futex, &header->tokens, FUTEX_WAKE, runners, NULL, NULL, 0);
}

/* After el_ring_put(). */
static inline void el_doorbell_ring(struct el_shm_header *header)
{
    /* sleepers first: a sleeper that goes away in between makes for a token too many, never for one too few. */
    const uint32_t sleepers = atomic_load(&header->sleepers);
    if (sleepers == 0 || atomic_load(&header->tokens) >= sleepers)
        return;
    el_doorbell_wake(header, 1, 1);
}

/* A runner's announcement; after it, it looks at the ring again and then calls el_doorbell_wait() or el_doorbell_leave(). */
static inline void el_doorbell_enter(struct el_shm_header *header)
{
    atomic_fetch_add(&header->sleepers, 1);
}

static inline void el_doorbell_leave(struct el_shm_header *header)
{
    atomic_fetch_sub(&header->sleepers, 1);
}

/*
 * Sleeps until a token can be taken, or until until_ns (UINT64_MAX: for ever). Whoever gives up on time looks for a token
 * once more: one that was meant for it would otherwise keep the next sleeper from being woken.
 */
static inline void el_doorbell_wait(struct el_shm_header *header, uint64_t until_ns)
{
    const struct timespec until = { .tv_sec = (time_t)(until_ns / 1000000000),
                                    .tv_nsec = (long)(until_ns % 1000000000) };
    bool late = false;
    for (;;) {
        uint32_t tokens = atomic_load(&header->tokens);
        while (tokens > 0) {
            if (atomic_compare_exchange_weak(&header->tokens, &tokens, tokens - 1)) {
                el_doorbell_leave(header);
                return;
            }
        }
        if (late) {
            el_doorbell_leave(header);
            return;
        }
        /* With FUTEX_WAIT_BITSET the time is a point on the monotonic clock. */
        late = syscall(SYS_futex, &header->tokens, FUTEX_WAIT_BITSET, 0, until_ns == UINT64_MAX ? NULL : &until, NULL,
                       FUTEX_BITSET_MATCH_ANY) != 0 &&
               errno == ETIMEDOUT;
    }
}

static inline void el_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

#endif
