/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/host.h"

#include "base/clock.h"
#include "bundle/signature.h"
#include "worker/batch.h"
#include "worker/doorbell.h"
#include "worker/host_internal.h"
#include "worker/priority.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_TAGS 16
#define SIGNATURES_PART 32768

static void tell(struct el_host *host, struct el_buf *packet)
{
    /* A front that does not listen any more is found by the control thread. */
    el_status_free(el_send(host->setup.control, packet, NULL, 0));
    el_buf_free(packet);
}

static void tell_failed(struct el_host *host, struct el_status *status)
{
    struct el_buf packet = { 0 };
    el_packet_u32(&packet, EL_MESSAGE_FAILED);
    el_packet_u32(&packet, el_status_code(status));
    el_packet_text(&packet, el_status_text(status));
    tell(host, &packet);
    el_status_free(status);
}

/* What an engine says about an error, as a status. */
static struct el_status *engine_status(int code, struct everlit_error *error)
{
    error->text[sizeof error->text - 1] = '\0';
    return el_status_new(code > 0 && code < EL_CODES ? (enum el_code)code : EL_INTERNAL, "%s",
                         error->text[0] == '\0' ? "the engine gave no reason" : error->text);
}

static struct el_status *open_model(struct el_host *host)
{
    const struct el_start *start = &host->start;
    char *tags = strdup(start->tags);
    if (tags == NULL)
        return el_status_no_memory();
    const char *list[MAX_TAGS];
    uint32_t count = 0;
    char *rest = tags;
    for (char *tag = strsep(&rest, ","); tag != NULL && count < MAX_TAGS; tag = strsep(&rest, ","))
        if (*tag != '\0')
            list[count++] = tag;
    const struct everlit_open_options options = {
        .struct_size = sizeof options,
        .path = start->path,
        .tags = list,
        .tag_count = count,
        .concurrency = start->concurrency,
        .intra_op_threads = start->intra_op_threads,
        .inter_op_threads = start->inter_op_threads,
        .precision = start->precision,
        .scratch_path = start->scratch_path,
        .prefer_tflite = start->prefer_tflite != 0,
        .alone = start->alone != 0,
    };
    struct everlit_error error = { .text = "" };
    const int code = host->engine->open(&options, &host->model, &error);
    free(tags);
    return code == 0 ? NULL : engine_status(code, &error);
}

/* The default's bytes are checked with all the rest, when what is sent is read back. */
static struct el_status *copy_default(const struct everlit_tensor_info *from, struct el_tensor_info *to)
{
    if (from->default_value == NULL)
        return NULL;
    if (from->default_size > EL_SIGNATURES_MAX)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "the default of input \"%s\" takes %llu bytes, at most %u",
                             from->name, (unsigned long long)from->default_size, EL_SIGNATURES_MAX);
    to->default_size = (size_t)from->default_size;
    to->default_value = malloc(to->default_size + 1);
    if (to->default_value == NULL)
        return el_status_no_memory();
    memcpy(to->default_value, from->default_value, to->default_size);
    return NULL;
}

static struct el_status *copy_tensors(const struct everlit_tensor_info *from, uint32_t count,
                                      struct el_tensor_info **list, uint32_t *list_count)
{
    if (count > EL_MAX_SIGNATURE_TENSORS)
        return el_status_new(EL_INTERNAL, "the engine gives a signature with %u inputs or outputs, at most %d", count,
                             EL_MAX_SIGNATURE_TENSORS);
    *list = calloc(count == 0 ? 1 : count, sizeof **list);
    if (*list == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        struct el_tensor_info *to = &(*list)[i];
        *list_count = i + 1;
        if (i > 0 && from[i].name != NULL && strcmp(from[i - 1].name, from[i].name) >= 0)
            return el_status_new(EL_INTERNAL, "the engine gives inputs or outputs that are not sorted: \"%s\"",
                                 from[i].name);
        if (from[i].name == NULL || from[i].rank < -1 || from[i].rank > EL_MAX_RANK)
            return el_status_new(EL_INTERNAL, "the engine gives an input or output without a name or with rank %d",
                                 (int)from[i].rank);
        to->name = strdup(from[i].name);
        to->tensor_name = strdup(from[i].tensor_name == NULL ? "" : from[i].tensor_name);
        to->dtype = (enum el_dtype)from[i].dtype;
        to->shape.rank = from[i].rank;
        for (int32_t d = 0; d < from[i].rank; d++)
            to->shape.dims[d] = from[i].dims[d];
        if (to->name == NULL || to->tensor_name == NULL)
            return el_status_no_memory();
        EL_TRY(copy_default(&from[i], to));
    }
    return NULL;
}

static struct el_status *copy_signatures(const struct everlit_signature *from, uint32_t count, struct el_signatures *to)
{
    if (count > EL_MAX_SIGNATURES)
        return el_status_new(EL_INTERNAL, "the engine gives %u signatures, at most %d", count, EL_MAX_SIGNATURES);
    to->list = calloc(count == 0 ? 1 : count, sizeof *to->list);
    if (to->list == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        struct el_signature *signature = &to->list[i];
        to->count = i + 1;
        if (from[i].name == NULL || (i > 0 && strcmp(from[i - 1].name, from[i].name) >= 0))
            return el_status_new(EL_INTERNAL, "the engine gives signatures without names or not sorted");
        signature->name = strdup(from[i].name);
        signature->method_name = strdup(from[i].method_name == NULL ? "" : from[i].method_name);
        if (signature->name == NULL || signature->method_name == NULL)
            return el_status_no_memory();
        EL_TRY(copy_tensors(from[i].inputs, from[i].input_count, &signature->inputs, &signature->input_count));
        EL_TRY(copy_tensors(from[i].outputs, from[i].output_count, &signature->outputs, &signature->output_count));
    }
    return NULL;
}

static struct el_status *send_signatures(struct el_host *host)
{
    struct everlit_error error = { .text = "" };
    const int code = host->engine->signatures(host->model, &host->signatures, &host->signature_count, &error);
    if (code != 0)
        return engine_status(code, &error);
    struct el_signatures signatures = { 0 };
    struct el_buf bytes = { 0 };
    struct el_status *status = copy_signatures(host->signatures, host->signature_count, &signatures);
    if (status == NULL)
        status = el_signatures_encode(&signatures, &bytes);
    el_signatures_free(&signatures);
    if (status == NULL && bytes.size > EL_SIGNATURES_MAX)
        status = el_status_new(EL_RESOURCE_EXHAUSTED, "the signatures take %zu bytes, at most %u", bytes.size,
                               EL_SIGNATURES_MAX);
    /* What the front would refuse is said here, as a failure to load and not as a lie. */
    if (status == NULL) {
        status = el_signatures_decode(bytes.data, bytes.size, &signatures);
        if (status == NULL)
            el_signatures_free(&signatures);
        status = el_status_prefix(status, "the engine gives signatures that cannot be used");
    }
    for (size_t at = 0; status == NULL && at < bytes.size; at += SIGNATURES_PART) {
        struct el_buf packet = { 0 };
        el_packet_u32(&packet, EL_MESSAGE_SIGNATURES);
        el_packet_u32(&packet, (uint32_t)bytes.size);
        const size_t left = bytes.size - at;
        el_buf_append(&packet, bytes.data + at, left < SIGNATURES_PART ? left : SIGNATURES_PART);
        status = el_send(host->setup.control, &packet, NULL, 0);
        el_buf_free(&packet);
    }
    el_buf_free(&bytes);
    return status;
}

static struct el_status *load(struct el_host *host)
{
    if (host->start.idle_priority)
        el_priority_idle(el_priority_can_return());
    EL_TRY(open_model(host));
    struct el_status *status = send_signatures(host);
    if (status == NULL)
        status = el_runners_start(host);
    if (status != NULL && !host->setup.own_process) {
        host->engine->close(host->model);
        host->model = NULL;
    }
    return status;
}

static void *loader(void *argument)
{
    struct el_host *host = argument;
    struct el_status *status = load(host);
    if (status != NULL) {
        tell_failed(host, status);
        return NULL;
    }
    struct el_buf packet = { 0 };
    el_packet_u32(&packet, EL_MESSAGE_LOADED);
    el_packet_u32(&packet, host->engine->cancel != NULL);
    el_packet_text(&packet, host->engine->name);
    el_packet_text(&packet, host->engine->version);
    tell(host, &packet);
    return NULL;
}

/* Waits for the first message. NULL and an untouched start: the front is gone. */
static struct el_status *receive_start(struct el_host *host, uint8_t *bytes, bool *gone)
{
    const long size = el_receive(host->setup.control, bytes, NULL, NULL, true);
    *gone = size <= 0;
    if (*gone)
        return NULL;
    struct el_packet packet = el_packet_open(bytes, (size_t)size);
    if (el_packet_read_u32(&packet) != EL_MESSAGE_START || !el_packet_read_start(&packet, &host->start))
        return el_status_new(EL_INTERNAL, "the message that says what to host is broken");
    if (host->start.lanes != host->setup.lanes)
        return el_status_new(EL_INTERNAL, "%u event loops, but descriptors for %u", host->start.lanes,
                             host->setup.lanes);
    el_batcher_set(host->batcher, &host->start.batching);
    atomic_store_explicit(&host->batching, host->start.batching.on, memory_order_relaxed);
    return el_shm_map(host->setup.memory, host->start.slots, host->start.lanes, host->start.arena_bytes, &host->shm);
}

static void on_cancel(struct el_host *host, struct el_packet *packet)
{
    const uint32_t slot = el_packet_read_u32(packet);
    const uint32_t generation = el_packet_read_u32(packet);
    if (el_packet_read_done(packet))
        el_runners_cancel(host, slot, generation);
}

static void on_batching(struct el_host *host, struct el_packet *packet)
{
    struct el_batching batching;
    if (!el_packet_read_batching(packet, &batching) || !el_packet_read_done(packet))
        return;
    el_batcher_set(host->batcher, &batching);
    atomic_store_explicit(&host->batching, batching.on, memory_order_relaxed);
    el_doorbell_ring(host->shm.header); /* for what waits in batches that will not be filled any more */
}

/* Until the front closes its end. */
static void serve_control(struct el_host *host, uint8_t *bytes)
{
    for (;;) {
        const long size = el_receive(host->setup.control, bytes, NULL, NULL, true);
        if (size <= 0)
            return;
        struct el_packet packet = el_packet_open(bytes, (size_t)size);
        switch (el_packet_read_u32(&packet)) {
        case EL_MESSAGE_CANCEL:
            on_cancel(host, &packet);
            break;
        case EL_MESSAGE_BATCHING:
            on_batching(host, &packet);
            break;
        default:
            break;
        }
    }
}

/*
 * A hard stop far above the limit that the front watches: between two looks of the front a model could otherwise take
 * all memory of the machine. Private memory that is only reserved counts too (thread stacks, allocators' reserves),
 * hence the distance.
 */
static void limit_data(uint64_t bytes)
{
    if (bytes == 0)
        return;
    uint64_t data_kb = 0;
    FILE *status = fopen("/proc/self/status", "re");
    if (status == NULL)
        return;
    char line[128];
    while (data_kb == 0 && fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmData:", 7) == 0)
            data_kb = strtoull(line + 7, NULL, 10);
    fclose(status);
    const uint64_t distance = el_after_ns(el_after_ns(bytes, bytes), UINT64_C(2) << 30); /* saturating sums */
    const rlim_t most = el_after_ns(data_kb * 1024, distance);
    const struct rlimit limit = { .rlim_cur = most, .rlim_max = most };
    setrlimit(RLIMIT_DATA, &limit);
}

static void release(struct el_host *host)
{
    if (host->model != NULL && !atomic_load_explicit(&host->setup.engine->leave_open, memory_order_relaxed))
        host->engine->close(host->model);
    for (uint32_t i = 0; i < host->setup.lanes; i++)
        close(host->setup.eventfds[i]);
    free(host->setup.eventfds);
    close(host->setup.memory);
    el_shm_unmap(&host->shm);
    el_start_free(&host->start);
    el_engine_release(host->setup.engine);
    close(host->setup.control);
    el_batcher_end(host->batcher);
    free(host->batcher);
    free(host);
}

static void run(struct el_host *host, uint8_t *bytes)
{
    bool gone;
    struct el_status *status = receive_start(host, bytes, &gone);
    pthread_t thread;
    if (status == NULL && !gone) {
        if (host->setup.own_process)
            limit_data(host->start.memory_limit_bytes);
        const int error = pthread_create(&thread, NULL, loader, host);
        if (error != 0)
            status = el_status_errno(error, "a thread to load the model cannot be started");
        else if (host->setup.own_process)
            pthread_detach(thread); /* the process may end in the middle of loading */
    }
    const bool loading = status == NULL && !gone;
    if (status != NULL)
        tell_failed(host, status);
    if (!gone)
        serve_control(host, bytes);
    if (host->setup.own_process)
        _exit(0);
    if (loading)
        pthread_join(thread, NULL);
    el_runners_stop(host);
}

void el_host_run(const struct el_host_setup *setup)
{
    struct el_host *host = calloc(1, sizeof *host);
    uint8_t *bytes = malloc(EL_PACKET_MAX);
    struct el_batcher *batcher = calloc(1, sizeof *batcher);
    if (host == NULL || bytes == NULL || batcher == NULL) {
        /* Closing the socket without a word: the front says that the worker ended. */
        free(host);
        free(bytes);
        free(batcher);
        if (setup->own_process)
            _exit(1);
        for (uint32_t i = 0; i < setup->lanes; i++)
            close(setup->eventfds[i]);
        free(setup->eventfds);
        close(setup->memory);
        el_engine_release(setup->engine);
        close(setup->control);
        return;
    }
    host->setup = *setup;
    host->engine = setup->engine->table;
    host->batcher = batcher;
    el_batcher_init(batcher);
    run(host, bytes);
    free(bytes);
    release(host);
}
