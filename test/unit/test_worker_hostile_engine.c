/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An engine that knows the layout of the shared memory and lies through it: engine_hostile.so, for
 * test_worker_hostile.c only.
 *
 * The lie stands in the file lie.txt in the version's directory, with the numbers that the test made the worker with:
 *
 *     NAME SLOTS LANES ARENA_BYTES
 */

#include "engine/test_hostile.h"
#include "everlit/engine.h"
#include "worker/doorbell.h"
#include "worker/ring.h"
#include "worker/wire.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct model {
    char lie[64];
    struct el_shm shm;
};

static const struct everlit_tensor_info input = {
    .name = "input", .tensor_name = "", .dtype = 1, .rank = 1, .dims = { -1 }
};
static const struct everlit_tensor_info numbers = {
    .name = "output", .tensor_name = "", .dtype = 1, .rank = 1, .dims = { -1 }
};
static const struct everlit_tensor_info texts = {
    .name = "output", .tensor_name = "", .dtype = 7, .rank = 1, .dims = { -1 }
};
static const struct everlit_signature signatures[] = {
    { "numbers", "", &input, &numbers, 1, 1 },
    { "texts", "", &input, &texts, 1, 1 },
};

/* A descriptor of this process whose link starts with text, the index-th of them; -1: none. */
static int find_fd(const char *text, int index)
{
    for (int fd = 3; fd < 1024; fd++) {
        char path[64];
        char link[256];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const ssize_t length = readlink(path, link, sizeof link - 1);
        if (length <= 0)
            continue;
        link[length] = '\0';
        if (strncmp(link, text, strlen(text)) == 0 && index-- == 0)
            return fd;
    }
    return -1;
}

static int start(struct everlit_error *error)
{
    (void)error;
    return 0;
}

static int complain(struct everlit_error *error, const char *text)
{
    snprintf(error->text, sizeof error->text, "%s", text);
    return 13;
}

/* What can be done to the front while it waits for us to load. */
static void lie_while_loading(const char *lie)
{
    const int socket = find_fd("socket:", 0);
    struct el_buf packet = { 0 };
    if (strcmp(lie, "load-garbage") == 0) {
        el_buf_text(&packet, "garbage");
    } else if (strcmp(lie, "load-signatures") == 0) {
        el_packet_u32(&packet, EL_MESSAGE_SIGNATURES);
        el_packet_u32(&packet, 5);
        el_buf_text(&packet, "more than five");
    } else if (strcmp(lie, "load-proto") == 0) {
        el_packet_u32(&packet, EL_MESSAGE_SIGNATURES);
        el_packet_u32(&packet, 5);
        el_buf_text(&packet, "proto");
        el_status_free(el_send(socket, &packet, NULL, 0));
        el_buf_clear(&packet);
        el_packet_u32(&packet, EL_MESSAGE_LOADED);
        el_packet_u32(&packet, 0);
        el_packet_text(&packet, "hostile");
        el_packet_text(&packet, "1");
    } else if (strcmp(lie, "load-code") == 0) {
        el_packet_u32(&packet, EL_MESSAGE_FAILED);
        el_packet_u32(&packet, 99);
        el_packet_text(&packet, "why");
    } else if (strcmp(lie, "load-empty") == 0) {
        el_buf_append(&packet, "", 0);
    } else if (strcmp(lie, "load-close") == 0) {
        shutdown(socket, SHUT_RDWR);
    } else {
        return;
    }
    if (strcmp(lie, "load-close") != 0)
        el_status_free(el_send(socket, &packet, NULL, 0));
    el_buf_free(&packet);
    for (;;)
        pause();
}

static int open_model(const struct everlit_open_options *options, void **opened, struct everlit_error *error)
{
    el_hostile_begin();
    struct model *model = calloc(1, sizeof *model);
    char path[512];
    snprintf(path, sizeof path, "%s/lie.txt", options->path);
    FILE *file = fopen(path, "re");
    unsigned slots = 0;
    unsigned lanes = 0;
    unsigned long long arena = 0;
    const bool told = model != NULL && file != NULL &&
                      fscanf(file, "%63s %u %u %llu", model->lie, &slots, &lanes, &arena) == 4;
    if (file != NULL)
        fclose(file);
    if (!told) {
        free(model);
        return complain(error, "no lie.txt");
    }
    lie_while_loading(model->lie);
    struct el_status *status = el_shm_map(find_fd("/memfd:everlit", 0), slots, lanes, arena, &model->shm);
    if (status != NULL) {
        free(model);
        return complain(error, el_status_text(status));
    }
    *opened = model;
    return 0;
}

static int give_signatures(void *model, const struct everlit_signature **list, uint32_t *count,
                           struct everlit_error *error)
{
    (void)model;
    (void)error;
    *list = signatures;
    *count = 2;
    return 0;
}

/* Puts a completion and wakes the loop, whether it is parked or not. */
static void put(struct model *model, uint32_t lane, uint64_t message)
{
    struct el_shm_lane *home = &model->shm.header->lanes[lane];
    el_ring_put(el_shm_completions(&model->shm, lane), model->shm.ring_size, &home->tail, message);
    const uint64_t one = 1;
    if (write(find_fd("anon_inode:[eventfd]", (int)lane), &one, sizeof one) < 0)
        perror("hostile: eventfd");
}

static void flood(struct model *model)
{
    (void)model;
    const uint64_t one = 1;
    const int fd = find_fd("anon_inode:[eventfd]", 0);
    for (;;) {
        if (write(fd, &one, sizeof one) < 0)
            usleep(10); /* the counter is full: only if the front does not read */
    }
}

/* Tells the lie about the call that came last. */
static void lie(struct model *model, const struct everlit_run *run)
{
    struct el_shm *shm = &model->shm;
    const char *name = model->lie;
    const uint64_t head = atomic_load(&shm->header->head);
    const uint64_t asked = atomic_load(&shm->requests[(head - 1) & (shm->ring_size - 1)].message);
    const uint32_t slot = el_ring_slot(asked);
    const uint32_t generation = el_ring_generation(asked);
    struct el_shm_slot *shared = &shm->slots[slot];
    struct el_shm_tensor *output = (struct el_shm_tensor *)(void *)(shm->base + shared->table) + shared->input_count;
    const bool text = run->signature == 1;
    *output = (struct el_shm_tensor){
        .offset = shared->output_offset, .size = text ? 24 : 8, .dtype = text ? 7 : 1, .rank = 1, .dims = { 2 }
    };
    uint64_t *data = (uint64_t *)(void *)(shm->base + output->offset);
    shared->code = 0;
    uint64_t message = el_ring_message(EL_RING_DONE, slot, generation);
    uint32_t lane = shared->lane;

    if (strcmp(name, "flood") == 0)
        flood(model);
    if (strcmp(name, "slot-free") == 0)
        message = el_ring_message(EL_RING_DONE, slot + 1, generation);
    if (strcmp(name, "slot-beyond") == 0)
        message = el_ring_message(EL_RING_DONE, 0xffffff, generation);
    if (strcmp(name, "generation") == 0)
        message = el_ring_message(EL_RING_DONE, slot, generation + 1);
    if (strcmp(name, "generation-zero") == 0)
        message = el_ring_message(EL_RING_DONE, slot + 1, 0);
    if (strcmp(name, "op") == 0)
        message = el_ring_message((enum el_ring_op)77, slot, generation);
    if (strcmp(name, "op-run") == 0)
        message = el_ring_message(EL_RING_RUN, slot, generation);
    if (strcmp(name, "twice") == 0)
        put(model, lane, message);
    if (strcmp(name, "code") == 0)
        shared->code = 99;
    if (strcmp(name, "offset-beyond") == 0)
        output->offset = shm->size;
    if (strcmp(name, "offset-far") == 0)
        output->offset = UINT64_MAX - 63;
    if (strcmp(name, "offset-header") == 0)
        output->offset = 0;
    if (strcmp(name, "offset-input") == 0)
        output->offset = (uint64_t)((const uint8_t *)run->inputs[0].data - shm->base) % shm->size;
    if (strcmp(name, "offset-odd") == 0)
        output->offset += 8;
    if (strcmp(name, "size") == 0)
        output->size = shared->output_size + 64;
    if (strcmp(name, "size-far") == 0)
        output->size = UINT64_MAX;
    if (strcmp(name, "size-shape") == 0)
        output->size = 4;
    if (strcmp(name, "dtype") == 0)
        output->dtype = 9;
    if (strcmp(name, "dtype-resource") == 0)
        output->dtype = 20;
    if (strcmp(name, "rank") == 0)
        output->rank = 1000000;
    if (strcmp(name, "rank-negative") == 0)
        output->rank = -1;
    if (strcmp(name, "dims") == 0)
        output->dims[0] = -2;
    if (strcmp(name, "dims-overflow") == 0) {
        output->rank = 3;
        output->dims[0] = output->dims[1] = output->dims[2] = INT64_C(1) << 31;
    }
    if (strcmp(name, "need-less") == 0) {
        shared->need = 1;
        message = el_ring_message(EL_RING_NEED, slot, generation);
    }
    if (strcmp(name, "need-twice") == 0) {
        shared->need = shared->output_size + 1;
        message = el_ring_message(EL_RING_NEED, slot, generation);
        put(model, lane, message);
        shared->need = shared->output_size + 4096;
    }
    if (text) {
        data[0] = 24;
        data[1] = strcmp(name, "strings") == 0 ? UINT64_MAX : 24;
        data[2] = 24;
    }
    put(model, lane, message);
    if (strcmp(name, "strings-later") == 0) /* good when they are checked, bad when they are read */
        for (;;)
            for (int i = 0; i < 3; i++)
                ((volatile uint64_t *)data)[i] = i == 1 ? UINT64_MAX : 24;
    for (;;)
        pause();
}

static int run_model(void *model, const struct everlit_run *run, struct everlit_error *error)
{
    (void)error;
    lie(model, run);
    return 0;
}

static void close_model(void *model)
{
    el_shm_unmap(&((struct model *)model)->shm);
    free(model);
}

static void stop(void)
{
}

__attribute__((visibility("default"))) const struct everlit_engine *everlit_engine_get(uint32_t major)
{
    static const struct everlit_engine engine = {
        .major = EVERLIT_ENGINE_MAJOR,
        .minor = EVERLIT_ENGINE_MINOR,
        .struct_size = sizeof engine,
        .name = "hostile",
        .version = "1.0",
        .start = start,
        .open = open_model,
        .signatures = give_signatures,
        .run = run_model,
        .close = close_model,
        .stop = stop,
    };
    return major == EVERLIT_ENGINE_MAJOR ? &engine : NULL;
}
