/* SPDX-License-Identifier: Apache-2.0 */

/* What a worker consists of on the front's side before there is a process: memory, slots, lanes. */

#include "worker/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct el_status *make_lanes(struct el_worker *worker)
{
    const uint32_t count = worker->shm.lane_count;
    worker->lanes = calloc(count, sizeof *worker->lanes);
    worker->eventfds = calloc(count, sizeof *worker->eventfds);
    if (worker->lanes == NULL || worker->eventfds == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < count; i++)
        worker->eventfds[i] = -1;
    for (uint32_t i = 0; i < count; i++) {
        worker->lanes[i].worker = worker;
        worker->lanes[i].index = i;
        worker->eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (worker->eventfds[i] < 0)
            return el_status_errno(errno, "an eventfd cannot be made");
    }
    return NULL;
}

static struct el_status *make_slots(struct el_worker *worker)
{
    const uint32_t count = worker->shm.slot_count;
    worker->calls = calloc(count, sizeof *worker->calls);
    worker->free_slots = calloc(count, sizeof *worker->free_slots);
    if (worker->calls == NULL || worker->free_slots == NULL)
        return el_status_no_memory();
    /* The lowest is taken first, and again and again while one call at a time is made. */
    for (uint32_t i = 0; i < count; i++)
        worker->free_slots[i] = count - 1 - i;
    worker->free_count = count;
    return NULL;
}

struct el_status *el_worker_parts_new(struct el_worker *worker, uint32_t slots, uint32_t lanes, uint64_t arena_bytes,
                                      int *memory)
{
    EL_TRY(el_shm_create(slots, lanes, arena_bytes, &worker->shm, memory));
    struct el_status *status = el_tensor_arena_new(worker->shm.base + worker->shm.arena, worker->shm.arena_size,
                                                   &worker->arena);
    if (status == NULL)
        status = make_lanes(worker);
    if (status == NULL)
        status = make_slots(worker);
    if (status != NULL) {
        close(*memory);
        el_worker_parts_free(worker);
    }
    return status;
}

void el_worker_parts_free(struct el_worker *worker)
{
    for (uint32_t i = 0; worker->eventfds != NULL && i < worker->shm.lane_count; i++)
        if (worker->eventfds[i] >= 0)
            close(worker->eventfds[i]);
    free(worker->eventfds);
    free(worker->lanes);
    free(worker->calls);
    free(worker->free_slots);
    el_tensor_arena_destroy(worker->arena);
    el_shm_unmap(&worker->shm);
    worker->eventfds = NULL;
    worker->lanes = NULL;
    worker->calls = NULL;
    worker->free_slots = NULL;
    worker->arena = NULL;
}
