/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_RING_H
#define EL_WORKER_RING_H

/*
 * The two rings through which a front and a worker hand slots to each other.
 *
 *     request ring      many event loops put (front)       many runners take (worker)
 *     completion ring   many runners put (worker)          one event loop takes (front)
 *
 * A message is one number: operation, slot and generation of the slot. Cell p of a ring with n cells carries the
 * messages number p, p + n, p + 2n...; message number q is there once the cell's turn is q + 1. Fresh memory is
 * zero: no message.
 *
 * Why nobody checks for "full". A slot has at most one message under way: its request until a runner took it, or its
 * completion until the loop took it, and the next message of the slot is put only after that. So there are never more
 * messages under way than slots, and a ring has at least as many cells. A cell is filled again only after its message
 * was taken, that is after `head` moved past it (requests) or the loop's private head did (completions).
 *
 * Why a taker reads before it claims. A runner reads a cell's message first and then moves head by compare-and-swap.
 * If the swap succeeds nobody else took the message, and, by the paragraph above, nobody overwrote it in between. If
 * runners claimed first, one that is stopped between claiming and reading would find its cell overwritten a lap
 * later.
 *
 * Memory order. Putting stores turn with seq_cst (which includes release: slot contents and message are visible to
 * who sees the turn) and taking loads it with seq_cst (includes acquire). Sequential consistency is needed for
 * sleeping: a side that is about to sleep announces it and looks at the ring once more, the other puts and then looks
 * for the announcement; in the single order of these four at least one sees the other.
 *
 * Trust. The front's positions (tail of requests, head of completions) are in private memory. What a worker writes
 * into turn, message, head or tail can make it miss its own requests or send nonsense, which el_answer checks; it
 * cannot make the front wait, loop or leave the ring.
 */

#include "worker/layout.h"

#include <stdbool.h>

enum el_ring_op {
    EL_RING_RUN = 1, /* front: run the call in the slot */
    EL_RING_DELIVER, /* front: copy the outputs that were kept into the memory now granted */
    EL_RING_DROP,    /* front: forget the outputs that were kept */
    EL_RING_DONE,    /* worker: code, error and outputs are in the slot */
    EL_RING_NEED,    /* worker: the outputs do not fit; need says how much they take */
};

static inline uint64_t el_ring_message(enum el_ring_op op, uint32_t slot, uint32_t generation)
{
    return (uint64_t)generation << 32 | (uint64_t)op << 24 | (slot & 0xffffff);
}

static inline uint32_t el_ring_op(uint64_t message)
{
    return (uint32_t)(message >> 24) & 0xff;
}

static inline uint32_t el_ring_slot(uint64_t message)
{
    return (uint32_t)message & 0xffffff;
}

static inline uint32_t el_ring_generation(uint64_t message)
{
    return (uint32_t)(message >> 32);
}

/* Puts a message at the end. tail is private to the side that puts, or shared among its threads. Any number of threads. */
static inline void el_ring_put(struct el_shm_cell *cells, uint32_t size, _Atomic uint64_t *tail, uint64_t message)
{
    /* Relaxed: it shares out the cells; turn publishes. */
    const uint64_t at = atomic_fetch_add_explicit(tail, 1, memory_order_relaxed);
    struct el_shm_cell *cell = &cells[at & (size - 1)];
    atomic_store_explicit(&cell->message, message, memory_order_relaxed);
    atomic_store(&cell->turn, at + 1);
}

/* Takes the oldest message; false if there is none. Many threads, which share head. */
static inline bool el_ring_take_shared(struct el_shm_cell *cells, uint32_t size, _Atomic uint64_t *head,
                                       uint64_t *message)
{
    uint64_t at = atomic_load_explicit(head, memory_order_relaxed);
    for (;;) {
        struct el_shm_cell *cell = &cells[at & (size - 1)];
        if (atomic_load(&cell->turn) != at + 1) {
            /* Empty, or another runner took this one a moment ago and head has moved. */
            const uint64_t now = atomic_load_explicit(head, memory_order_relaxed);
            if (now == at)
                return false;
            at = now;
            continue;
        }
        *message = atomic_load_explicit(&cell->message, memory_order_relaxed);
        /* Acquire and release, so that the reading above is over before the cell counts as taken. */
        if (atomic_compare_exchange_weak_explicit(head, &at, at + 1, memory_order_acq_rel, memory_order_relaxed))
            return true;
    }
}

/* Takes the oldest message; false if there is none. One thread, whose private position is *head. */
static inline bool el_ring_take(struct el_shm_cell *cells, uint32_t size, uint64_t *head, uint64_t *message)
{
    struct el_shm_cell *cell = &cells[*head & (size - 1)];
    if (atomic_load(&cell->turn) != *head + 1)
        return false;
    *message = atomic_load_explicit(&cell->message, memory_order_relaxed);
    *head += 1;
    return true;
}

#endif
