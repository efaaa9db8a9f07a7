/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_STARVED_H
#define EL_WORKER_STARVED_H

/*
 * Does a version that loads at idle priority get to run at all?
 *
 * On a machine that serving keeps wholly busy, idle priority may never be
 * served: the new version would not come, or be given up as too slow for no
 * fault of its own. The kernel counts for each thread how long it ran and how
 * long it waited for a processor (/proc/PID/task/TID/schedstat); a process that waited
 * nine times as long as it ran, over a second, is starved. One that sleeps is not.
 *
 * Called on the swap thread, about every 100 ms. Owns nothing.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Zero-initialise to start. */
struct el_starved {
    uint64_t since_ns;          /* when the span that is looked at began; 0: not yet */
    uint64_t ran_ns, waited_ns; /* of all threads, at that time */
};

/* True if pid was starved in the span that ends now; spans last a second. */
bool el_starved_look(struct el_starved *starved, pid_t pid);

#endif
