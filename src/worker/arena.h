/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_ARENA_H
#define EL_WORKER_ARENA_H

/*
 * Gives out the shared memory that tensors lie in.
 *
 * Used by the front only; what is taken and what is free stands in the front's private memory, so nothing that a worker
 * writes can mislead it. Any thread: one lock, held for the time of a few loads and stores.
 *
 * Blocks come back in the order last freed, first given, so that a front under steady load touches the same few pages
 * again and again. Memory that is free and was touched is kept up to 8 MiB; beyond that freed blocks of 64 KiB and
 * more give their pages back to the system. When nothing fits the answer is EL_ARENA_FULL at once: there is no
 * waiting.
 */

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define EL_ARENA_FULL UINT64_MAX

struct el_tensor_arena;

/* An arena over size bytes at base: page-aligned shared memory that stays the caller's. Sizes count in 64 KiB. */
struct el_status *el_tensor_arena_new(uint8_t *base, uint64_t size, struct el_tensor_arena **arena) EL_MUST_USE;

/* The offset of size bytes, 64-byte aligned, content undefined; EL_ARENA_FULL when there is no room. Size 0 counts as 1. */
uint64_t el_tensor_arena_alloc(struct el_tensor_arena *arena, uint64_t size);

/* Gives back what el_tensor_arena_alloc() gave. */
void el_tensor_arena_free(struct el_tensor_arena *arena, uint64_t offset);

/* How many bytes the block at offset has: at least what was asked for. */
uint64_t el_tensor_arena_block_size(struct el_tensor_arena *arena, uint64_t offset);

struct el_tensor_arena_usage {
    uint64_t taken_bytes; /* given out, rounded up to blocks */
    uint64_t kept_bytes;  /* free but touched: held by the system for us */
};
void el_tensor_arena_usage(struct el_tensor_arena *arena, struct el_tensor_arena_usage *usage);

void el_tensor_arena_destroy(struct el_tensor_arena *arena);

#endif
