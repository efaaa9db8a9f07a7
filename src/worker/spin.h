/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_SPIN_H
#define EL_WORKER_SPIN_H

/*
 * How long to look before sleeping.
 *
 * Waking a thread that sleeps costs some 50 µs where its CPU went to sleep with it (a virtual machine); looking costs
 * the CPU. Who waits learns how long it has been waiting lately (a moving average over about 8 waits) and looks for
 * up to twice that, if the average is within a limit. Where looking was in vain, say because the other side gets no
 * CPU while we look, it sleeps at once the next time, then the next 2, 4... 64 times, until looking succeeds again.
 *
 * Two sides that sleep see each other as slow, and would for ever: so what a runner learns is not how long it waited
 * but how long the front took from its last answer to the next request, which leaves the time that waking takes out.
 *
 * The limit is for the same reason well above what a client takes that finds everybody awake: the wake-ups of the client and of
 * the front's loop must fit, or who once slept would sleep for ever.
 *
 * Looking must not keep the others from their work: the client or the front's loop may be waiting for this very CPU. So
 * who looks offers it between looks (sched_yield), on both sides. Where somebody takes it for longer than a client or a loop
 * needs, the machine is busy with something else: who sleeps is woken before such a one, who offered his CPU waits behind it. Then
 * nobody looks for a while.
 *
 * Relaxed atomics: estimates, which several runners may change at once.
 */

#include "base/clock.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct el_spin {
    uint64_t limit_ns; /* constant */
    _Atomic uint64_t average_ns;
    _Atomic uint32_t skip;         /* waits during which it does not look */
    _Atomic uint32_t penalty;      /* how many were skipped the last time */
    _Atomic uint64_t off_until_ns; /* no looking before */
};

#define EL_SPIN_PENALTY_MAX 64
#define EL_SPIN_AWAY_NS 1000000 /* one who took the CPU for that long does not belong to us */
#define EL_SPIN_OFF_NS 200000000

/* CPUs that this process may use. */
static inline unsigned el_spin_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    const int count = CPU_COUNT(&set);
    return count < 1 ? 1 : (unsigned)count;
}

/* With one CPU the other side cannot do anything while we look. */
static inline void el_spin_init(struct el_spin *spin)
{
    const unsigned cpus = el_spin_cpus();
    spin->limit_ns = cpus == 1 ? 0 : 300000;
    atomic_store_explicit(&spin->average_ns, spin->limit_ns, memory_order_relaxed);
    atomic_store_explicit(&spin->skip, 0, memory_order_relaxed);
    atomic_store_explicit(&spin->penalty, 0, memory_order_relaxed);
    atomic_store_explicit(&spin->off_until_ns, 0, memory_order_relaxed);
}

/* Takes one wait into account; a long one counts as four times the limit, so that one pause does not end looking for long. */
static inline void el_spin_learn(struct el_spin *spin, uint64_t wait_ns)
{
    const uint64_t capped = wait_ns < spin->limit_ns * 4 ? wait_ns : spin->limit_ns * 4;
    const uint64_t before = atomic_load_explicit(&spin->average_ns, memory_order_relaxed);
    atomic_store_explicit(&spin->average_ns, before - before / 8 + capped / 8, memory_order_relaxed);
}

/* Lets others of this CPU run before the next look. now_ns: the time now. The time afterwards; EL_NEVER_NS: look no more. */
static inline uint64_t el_spin_offer(struct el_spin *spin, uint64_t now_ns)
{
    sched_yield();
    const uint64_t after = el_now_ns();
    if (after - now_ns < EL_SPIN_AWAY_NS)
        return after;
    atomic_store_explicit(&spin->off_until_ns, after + EL_SPIN_OFF_NS, memory_order_relaxed);
    return EL_NEVER_NS;
}

/* True while looking is left off. */
static inline bool el_spin_is_off(struct el_spin *spin, uint64_t now_ns)
{
    return now_ns < atomic_load_explicit(&spin->off_until_ns, memory_order_relaxed);
}

/* How long to look now; 0: sleep at once. Called once for each wait. */
static inline uint64_t el_spin_time(struct el_spin *spin)
{
    const uint64_t average = atomic_load_explicit(&spin->average_ns, memory_order_relaxed);
    if (average >= spin->limit_ns)
        return 0;
    const uint32_t skip = atomic_load_explicit(&spin->skip, memory_order_relaxed);
    if (skip > 0) {
        atomic_store_explicit(&spin->skip, skip - 1, memory_order_relaxed);
        return 0;
    }
    return average * 2 + 5000;
}

/* Whether looking found what it looked for. */
static inline void el_spin_result(struct el_spin *spin, bool found)
{
    uint32_t penalty = 0;
    if (!found) {
        penalty = atomic_load_explicit(&spin->penalty, memory_order_relaxed) * 2;
        if (penalty == 0)
            penalty = 1;
        if (penalty > EL_SPIN_PENALTY_MAX)
            penalty = EL_SPIN_PENALTY_MAX;
    }
    atomic_store_explicit(&spin->penalty, penalty, memory_order_relaxed);
    atomic_store_explicit(&spin->skip, penalty, memory_order_relaxed);
}

#endif
