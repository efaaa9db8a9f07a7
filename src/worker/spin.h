/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_SPIN_H
#define EL_WORKER_SPIN_H

/*
 * How long to look before sleeping.
 *
 * Waking a thread that sleeps costs up to 45 µs where the CPU went to sleep with it; spinning costs the CPU. So each side learns
 * how long it has been waiting lately (a moving average over about 8 waits), spins up to twice that, and does not spin at all when
 * the average is beyond a limit. The limits are short where CPUs are few, because the other side may need the CPU.
 */

#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

/* CPUs that this process may use. */
static inline unsigned el_spin_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    const int count = CPU_COUNT(&set);
    return count < 1 ? 1 : (unsigned)count;
}

/* The most that a runner spins for a request. */
static inline uint64_t el_spin_limit_runner_ns(void)
{
    const unsigned cpus = el_spin_cpus();
    return cpus == 1 ? 0 : cpus == 2 ? 50000 : 100000;
}

/* The most that an event loop spins for an answer. */
static inline uint64_t el_spin_limit_loop_ns(void)
{
    const unsigned cpus = el_spin_cpus();
    return cpus == 1 ? 0 : cpus == 2 ? 50000 : 100000;
}

/* How long to spin, given the average wait (within the limit). */
static inline uint64_t el_spin_time(uint64_t average_ns, uint64_t limit_ns)
{
    const uint64_t twice = average_ns * 2 + 2000;
    return twice < limit_ns ? twice : limit_ns;
}

/* Takes one wait into account; long ones count as four times the limit, so that one pause does not end spinning for long. */
static inline void el_spin_learn(_Atomic uint64_t *average_ns, uint64_t wait_ns, uint64_t limit_ns)
{
    const uint64_t capped = wait_ns < limit_ns * 4 ? wait_ns : limit_ns * 4;
    const uint64_t before = atomic_load_explicit(average_ns, memory_order_relaxed);
    /* An update that two threads make at once may lose one of them: it is an average. */
    atomic_store_explicit(average_ns, before - before / 8 + capped / 8, memory_order_relaxed);
}

#endif
