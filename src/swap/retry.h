/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_RETRY_H
#define EL_SWAP_RETRY_H

/*
 * Loads that failed for no fault of the version: another try may succeed with the very same files.
 *
 * Pure; any thread.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * True for: out of memory, descriptors or space; no permission; a worker that was killed from outside (signal 9) or whose zygote
 * ended; a time-out, where the machine was busy. Not for what the version did itself: an error of the engine, a crash, its own
 * limit of memory, a failed probe.
 */
bool el_retry_may_help(const struct el_status *why, bool busy);

/*
 * True if files of the version are not there any more: its directory is being removed, which the source tells soon; or the store is away
 * for a while. That says nothing about the content, and passes by itself.
 */
bool el_retry_files_are_gone(const struct el_status *why);

/* True when more threads want to run than there are CPUs, and have for a while (getloadavg). */
bool el_retry_machine_is_busy(void);

/* The pause before try number n (from 1): 5 s, doubling up to the interval; jitter is a random number. At least 0.1 s. */
uint64_t el_retry_delay_ns(unsigned n, uint64_t interval_ms, uint32_t jitter);

#endif
