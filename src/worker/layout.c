/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE UINT64_C(4096)

static uint64_t round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* The numbers are bounded before anything is multiplied, so nothing here overflows. */
static struct el_status *lay_out(uint32_t slots, uint32_t lanes, uint64_t arena_bytes, struct el_shm *shm)
{
    if (slots == 0 || slots > EL_MAX_QUEUE_SLOTS)
        return el_status_new(EL_INVALID_ARGUMENT, "queue_slots: %u is not between 1 and %u", slots,
                             (unsigned)EL_MAX_QUEUE_SLOTS);
    if (lanes == 0 || lanes > EL_MAX_LANES)
        return el_status_new(EL_INVALID_ARGUMENT, "loops: %u is not between 1 and %u", lanes, (unsigned)EL_MAX_LANES);
    if (arena_bytes == 0 || arena_bytes > EL_MAX_ARENA_BYTES)
        return el_status_new(EL_INVALID_ARGUMENT, "arena_bytes: %llu is not between 1 and %llu",
                             (unsigned long long)arena_bytes, (unsigned long long)EL_MAX_ARENA_BYTES);
    uint32_t ring = 1;
    while (ring < slots)
        ring *= 2;
    const uint64_t ring_bytes = round_up(ring * sizeof(struct el_shm_cell), EL_SHM_ALIGN);
    const uint64_t slots_at = round_up(sizeof(struct el_shm_header), PAGE);
    const uint64_t requests_at = slots_at + round_up(slots * sizeof(struct el_shm_slot), PAGE);
    const uint64_t completions_at = requests_at + ring_bytes;
    memset(shm, 0, sizeof *shm);
    shm->slot_count = slots;
    shm->lane_count = lanes;
    shm->ring_size = ring;
    shm->arena = round_up(completions_at + lanes * ring_bytes, PAGE);
    shm->arena_size = round_up(arena_bytes, PAGE);
    shm->size = shm->arena + shm->arena_size;
    return NULL;
}

static struct el_status *map(int fd, struct el_shm *shm)
{
    void *base = mmap(NULL, shm->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return el_status_errno(errno, "%zu bytes of shared memory cannot be mapped", shm->size);
    const uint64_t slots_at = round_up(sizeof(struct el_shm_header), PAGE);
    const uint64_t requests_at = slots_at + round_up(shm->slot_count * sizeof(struct el_shm_slot), PAGE);
    shm->base = base;
    shm->header = base;
    shm->slots = (struct el_shm_slot *)(void *)(shm->base + slots_at);
    shm->requests = (struct el_shm_cell *)(void *)(shm->base + requests_at);
    shm->completions = shm->requests + shm->ring_size;
    return NULL;
}

struct el_status *el_shm_create(uint32_t slots, uint32_t lanes, uint64_t arena_bytes, struct el_shm *shm, int *fd)
{
    EL_TRY(lay_out(slots, lanes, arena_bytes, shm));
    int made = memfd_create("everlit", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made < 0)
        return el_status_errno(errno, "shared memory cannot be created");
    struct el_status *status = NULL;
    if (ftruncate(made, (off_t)shm->size) != 0)
        status = el_status_errno(errno, "shared memory cannot be made %zu bytes large", shm->size);
    else if (fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        status = el_status_errno(errno, "the size of shared memory cannot be sealed");
    else
        status = map(made, shm);
    if (status != NULL) {
        close(made);
        memset(shm, 0, sizeof *shm);
        return status;
    }
    /* Fresh memory is zero, which is what rings expect: see ring.h. */
    *fd = made;
    return NULL;
}

struct el_status *el_shm_map(int fd, uint32_t slots, uint32_t lanes, uint64_t arena_bytes, struct el_shm *shm)
{
    EL_TRY(lay_out(slots, lanes, arena_bytes, shm));
    struct stat info;
    if (fstat(fd, &info) != 0)
        return el_status_errno(errno, "shared memory cannot be examined");
    if (info.st_size < 0 || (uint64_t)info.st_size != shm->size)
        return el_status_new(EL_INTERNAL, "shared memory has %lld bytes, expected %zu", (long long)info.st_size,
                             shm->size);
    return map(fd, shm);
}

void el_shm_unmap(struct el_shm *shm)
{
    if (shm->base != NULL)
        munmap(shm->base, shm->size);
    memset(shm, 0, sizeof *shm);
}

void el_shm_read(void *to, const void *from, size_t size)
{
    uint64_t *words = to;
    const volatile uint64_t *shared = from;
    for (size_t i = 0; i < size / sizeof *words; i++)
        words[i] = shared[i];
}
