/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_NAMES_H
#define EL_WORKER_NAMES_H

/*
 * The names of a run past all signatures (EL_SHM_BY_TENSORS) on their way through shared memory: the number of targets
 * (uint32_t), then the names of the inputs, of the outputs wanted and of the targets, each ended by a zero byte.
 *
 * Written by the front, read by the host, which believes it: see layout.h. The outputs of such a run are all of
 * tensors->names.outputs, in their order.
 */

#include "worker/layout.h"

struct el_call_tensors;

/* Front: bytes of the names, and the names, into so many. */
size_t el_shm_names_size(const struct el_call_tensors *tensors);
void el_shm_names_write(const struct el_call_tensors *tensors, uint8_t *to);

/* Host: the names as arrays, one allocation: free(names->all). They point into shared memory. */
struct el_shm_names {
    const char **all; /* owned */
    const char *const *inputs;
    const char *const *outputs;
    const char *const *targets;
    uint32_t target_count;
};
struct el_status *el_shm_names_read(const struct el_shm *shm, const struct el_shm_slot *slot,
                                    struct el_shm_names *names) EL_MUST_USE;

#endif
