/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_LAYOUT_H
#define EL_WORKER_LAYOUT_H

/*
 * What lies where in the memory that the front shares with one worker.
 *
 *     header | slots | request ring | completion ring of each lane | arena
 *
 * The front creates it as a memfd, sizes it and seals the size (el_shm_create), so that no worker can cut it off
 * under the front. Both sides compute the same offsets from the same three numbers. Used by the front and by the host.
 *
 * Trust: the worker believes what the front wrote; the front reads each word that the worker can write once
 * (el_shm_read) and checks what it read. Nothing in here is the front's only copy of what it relies on.
 *
 * A slot belongs to one call at a time. Who may write it: the front from begin to submit, the worker from the request
 * message to the completion message, then the front again. The ring messages order those writes.
 */

#include "base/status.h"
#include "everlit/engine.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define EL_SHM_ALIGN 64    /* of tensors; a cache line */
#define EL_SLOT_TENSORS 12 /* descriptors inside the slot; a call with more has its table in the arena */
#define EL_SLOT_ERROR_SIZE 1984
#define EL_SHM_BY_TENSORS UINT32_MAX /* in place of a signature: the call names tensors of the graph */
#define EL_SLOT_RUNS 4
#define EL_BATCH_QUEUES 64 /* counters of batches: signature modulo this */
#define EL_MAX_QUEUE_SLOTS 32768
#define EL_MAX_LANES 64
#define EL_MAX_ARENA_BYTES (UINT64_C(1) << 40)

/* One input (written by the front) or output (index by the front, the rest by the worker) of a call. */
struct el_shm_tensor {
    uint64_t offset; /* of the data, from the start of the memory */
    uint64_t size;
    uint32_t index; /* which input or output of the signature */
    int32_t dtype;
    int32_t rank;
    uint32_t unused;
    int64_t dims[EVERLIT_MAX_RANK];
};

/* Runs of the same size; each batch is told of in the slot of one of its calls, so that the front can count them. */
struct el_shm_runs {
    uint32_t count;
    uint32_t rows;
    uint32_t padding;
};

struct el_shm_slot {
    /* Written by the front before a request message. */
    uint64_t deadline_ns;
    uint64_t think_ns;      /* from the last answer that the lane took to this request; see spin.h */
    uint64_t table;         /* offset of input_count + output_count descriptors */
    uint64_t output_offset; /* the memory granted for outputs, 64-byte aligned */
    uint64_t output_size;
    uint64_t names; /* EL_SHM_BY_TENSORS: offset of the names; see names.h */
    uint32_t signature;
    uint32_t input_count;
    uint32_t output_count;
    uint32_t lane;                           /* which completion ring the answer goes to */
    _Alignas(64) _Atomic uint32_t cancelled; /* the generation that the front does not want any more; 0: none */
    uint32_t batch;        /* may be run with others: the number of the enqueued batch it counts to; 0: by itself */
    uint32_t submitted_us; /* when, in microseconds that wrap around; for requests that may be run with others */
    /* Written by the worker before a completion message. */
    uint64_t need;               /* NEED: bytes that the outputs take */
    uint64_t completed_ns;       /* when; only a hint for how long to spin */
    uint32_t code;               /* DONE: a gRPC code; other than 0: error says why */
    _Atomic uint32_t started;    /* the generation that a runner has begun to run */
    _Atomic uint64_t started_ns; /* and when: hints about who hangs */
    uint32_t queued_us; /* of a request that may be run with others: from submitted_us until it was taken to be run */
    _Alignas(8) char error[EL_SLOT_ERROR_SIZE];
    struct el_shm_tensor tensors[EL_SLOT_TENSORS];
    struct el_shm_runs runs[EL_SLOT_RUNS]; /* the runs that this call led; the front clears what the worker counts up */
};
_Static_assert(sizeof(struct el_shm_tensor) == 160, "descriptors are packed");
_Static_assert(sizeof(struct el_shm_slot) % 64 == 0 && sizeof(struct el_shm_slot) <= 4096, "a hot slot is one page");

/* A message in a ring: see ring.h. */
struct el_shm_cell {
    _Atomic uint64_t turn;
    _Atomic uint64_t message;
};

/* Where the answers to one event loop wait. */
struct el_shm_lane {
    _Alignas(64) _Atomic uint32_t parked; /* the loop sleeps: who completes next writes its eventfd */
    _Alignas(64) _Atomic uint64_t tail;   /* the worker's: next cell to fill */
};

struct el_shm_header {
    /* Runners that sleep, and wake-ups on the way to them: see doorbell.h. */
    _Alignas(64) _Atomic uint32_t tokens;
    _Atomic uint32_t sleepers;
    _Alignas(64) _Atomic uint64_t head; /* the worker's: next cell of the request ring to take */
    struct el_shm_lane lanes[EL_MAX_LANES];
    /* The worker's: for each queue, the number of the last enqueued batch that it took. The front's count: see admission.h. */
    _Alignas(64) _Atomic uint32_t batches_taken[EL_BATCH_QUEUES];
};

/* One mapping of the memory. */
struct el_shm {
    uint8_t *base;
    size_t size;
    struct el_shm_header *header;
    struct el_shm_slot *slots;
    struct el_shm_cell *requests;    /* ring_size cells */
    struct el_shm_cell *completions; /* ring_size cells for each lane */
    uint32_t slot_count;
    uint32_t lane_count;
    uint32_t ring_size; /* a power of two, at least slot_count */
    uint64_t arena;     /* offset, page aligned */
    uint64_t arena_size;
};

/* Creates the memory, sealed against resizing, maps it and fills what is not zero. The descriptor is the caller's. */
struct el_status *el_shm_create(uint32_t slots, uint32_t lanes, uint64_t arena_bytes, struct el_shm *shm,
                                int *fd) EL_MUST_USE;

/* Maps memory that another process created with the same numbers. */
struct el_status *el_shm_map(int fd, uint32_t slots, uint32_t lanes, uint64_t arena_bytes,
                             struct el_shm *shm) EL_MUST_USE;

void el_shm_unmap(struct el_shm *shm);

static inline struct el_shm_cell *el_shm_completions(const struct el_shm *shm, uint32_t lane)
{
    return shm->completions + (size_t)lane * shm->ring_size;
}

static inline uint64_t el_shm_inline_table(const struct el_shm *shm, uint32_t slot)
{
    return (uint64_t)((const uint8_t *)shm->slots[slot].tensors - shm->base);
}

/*
 * Copies words that the other side may be changing: each is loaded once, so that what was checked is what is used.
 * size is a multiple of 8, both addresses are aligned to 8.
 */
void el_shm_read(void *to, const void *from, size_t size);

/* The same for one number. */
#define EL_READ_ONCE(word) (*(const volatile __typeof__(word) *)&(word))

#endif
