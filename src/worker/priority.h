/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_PRIORITY_H
#define EL_WORKER_PRIORITY_H

/*
 * Loading at idle priority: SCHED_IDLE and idle I/O while a version loads, so
 * that it takes only what serving leaves; back to normal when it is ready.
 *
 * Priorities belong to threads and are inherited by the threads they start, so the thread that loads goes idle, and
 * at the end each thread of the process is lifted. Leaving SCHED_IDLE needs CAP_SYS_NICE or RLIMIT_NICE of 20 and
 * more ("ulimit -e 20", systemd "LimitNICE=0"); where neither is there, el_priority_can_return() says so and loads
 * keep the normal CPU priority (and still use idle I/O): a version that could never leave idle priority would serve
 * badly for ever.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Tries it on a short-lived thread, which sleeps meanwhile: on a machine that is never idle, too, this takes some 100 µs. */
bool el_priority_can_return(void);

/* Makes the calling thread idle. cpu: also its CPU priority. What the system refuses stays as it is. */
void el_priority_idle(bool cpu);

/* Thread ids of a process; 0: this one. A list to free(), *count long; NULL when there is none. */
pid_t *el_priority_threads(pid_t pid, size_t *count);

/* Lifts every idle thread of a process to a modest share (nice 10: a tenth of a normal thread's). Returns how many. */
size_t el_priority_modest(pid_t pid);

/*
 * Lifts every idle or modest thread of a process (0: this one) to normal, except those listed. Threads that appear
 * meanwhile are found by looking again. Returns how many were lifted.
 */
size_t el_priority_normal(pid_t pid, const pid_t *except, size_t except_count);

#endif
