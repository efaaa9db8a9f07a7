/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_RESERVOIR_H
#define EL_SWAP_RESERVOIR_H

/*
 * Some of the requests that a version answered lately, with its answers: what the next version is asked before it takes over.
 *
 * In memory only. Event loops offer every request that was answered well; but for the first ones only one in 128, by chance, is
 * copied, so that the hot path pays a comparison. Each takes the place of one at random: what is kept is of the last some
 * thousands. One owner, the servable; samples are counted, so that a replay may go on with what it took.
 */

#include "bundle/signature.h"
#include "worker/worker.h"

#include <pthread.h>
#include <stdatomic.h>

/* One request and its answer: one block of memory. Immutable. */
struct el_sample {
    _Atomic uint32_t owners;
    uint32_t signature; /* index in the version's signatures */
    uint32_t input_count, output_count;
    struct el_tensor *inputs, *outputs; /* checked */
    uint32_t *input_indexes, *output_indexes;
    size_t size; /* of the block */
};

struct el_reservoir {
    _Atomic uint64_t next; /* the request that is taken next: changed under the lock, looked at without */
    pthread_mutex_t lock;  /* guards what follows; event loops only try it, and let the request go */
    struct el_sample **samples;
    uint32_t count, room;
    uint64_t bytes, most_bytes;
    uint64_t random;
};

/* NULL: no memory, or nothing is to be kept. */
struct el_reservoir *el_reservoir_new(uint32_t records, uint64_t most_bytes);
void el_reservoir_free(struct el_reservoir *reservoir); /* NULL is allowed */

/* Forgets what it has, and takes nothing any more. NULL is allowed; any thread. */
void el_reservoir_stop(struct el_reservoir *reservoir);

/* Copies the call, which was answered well, with the outputs that it asked for. Any thread. */
void el_reservoir_take(struct el_reservoir *reservoir, uint64_t number, uint32_t signature, const struct el_call *call,
                       const uint32_t *outputs, uint32_t output_count);

/* Offers request `number` of a version, counted from 0. reservoir may be NULL. Any thread; the hot path. */
static inline void el_reservoir_offer(struct el_reservoir *reservoir, uint64_t number, uint32_t signature,
                                      const struct el_call *call, const uint32_t *outputs, uint32_t output_count)
{
    /* Relaxed: one request more or less does not matter. */
    if (reservoir != NULL && number >= atomic_load_explicit(&reservoir->next, memory_order_relaxed))
        el_reservoir_take(reservoir, number, signature, call, outputs, output_count);
}

/* The call, which was answered well, as a sample; NULL: no memory, or it is larger than that. Any thread. */
struct el_sample *el_sample_copy(uint32_t signature, const struct el_call *call, const uint32_t *output_indexes,
                                 uint32_t output_count, uint64_t most_bytes);

/* The samples, each owned once more by the caller, who frees the list; NULL: there are none, or no memory. Any thread. */
struct el_sample **el_reservoir_get(struct el_reservoir *reservoir, uint32_t *count);
void el_sample_disown(struct el_sample *sample);

#endif
