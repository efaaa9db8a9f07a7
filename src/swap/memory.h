/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_MEMORY_H
#define EL_SWAP_MEMORY_H

/*
 * Whether a version finds room in memory before it is loaded: what it needs (told by the config, or what the model's last version
 * took, or a guess from the size of its files) against what is free (MemAvailable, the control group's limit, the server's own).
 *
 * Swap thread. el_memory_read() reads a few small files of /proc and /sys, some 0.1 ms.
 */

#include "swap/state.h"

struct el_memory_room {
    uint64_t limit; /* what there is at most; UINT64_MAX: unknown */
    uint64_t free;  /* of it; UINT64_MAX: unknown */
};

/* root: "" or a directory in which proc/ and sys/ lie, for tests. Control groups of both versions. */
void el_memory_read(const char *root, struct el_memory_room *room);

/* What a version of file_bytes needs, where the last one had last_file_bytes and took last_taken (0: unknown). Pure. */
uint64_t el_memory_estimate(uint64_t file_bytes, uint64_t last_file_bytes, uint64_t last_taken);

/*
 * True if the version may be loaded now. Otherwise it waits, with the reason, and is asked about again; or it is quarantined,
 * because it needs more than there is at all.
 */
bool el_memory_admits(struct el_version *version, uint64_t now_ns);

/* The version is ready, on that worker: what it took is what the model's next one is expected to take. */
void el_memory_learn(struct el_version *version, const struct el_worker *worker);

#endif
