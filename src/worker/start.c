/* SPDX-License-Identifier: Apache-2.0 */

/* The beginning and the end of a worker on the front's side: its options, what it is told, what is allocated and freed. Swap thread. */

#include "worker/internal.h"

#include "base/clock.h"
#include "worker/spin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEFAULT_SLOTS 512
#define DEFAULT_ARENA (UINT64_C(1) << 30)

static char *copy_text(const char *text, const char *otherwise)
{
    return strdup(text != NULL ? text : otherwise);
}

static struct el_status *copy_options(struct el_worker *worker, const struct el_worker_options *options)
{
    if (options->model == NULL || options->path == NULL || options->engine == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "a worker needs a model's name, a path and an engine");
    worker->options = *options;
    worker->model = strdup(options->model);
    worker->path = strdup(options->path);
    worker->engine_name = strdup(options->engine);
    worker->tags = copy_text(options->tags, worker->workers->tags);
    worker->precision = copy_text(options->precision, "f32");
    if (worker->model == NULL || worker->path == NULL || worker->engine_name == NULL || worker->tags == NULL ||
        worker->precision == NULL)
        return el_status_no_memory();
    struct el_worker_options *own = &worker->options;
    own->model = worker->model;
    own->path = worker->path;
    own->engine = worker->engine_name;
    own->tags = worker->tags;
    own->precision = worker->precision;
    own->batching = NULL;
    if (options->batching != NULL) {
        worker->batching = *options->batching;
        el_admission_set(&worker->admission, options->batching);
    }
    const unsigned cpus = el_spin_cpus();
    if (own->concurrency == 0)
        own->concurrency = cpus <= 2 ? 1 : cpus / 2;
    if (own->intra_op_threads == 0)
        own->intra_op_threads = worker->workers->intra_op_threads;
    if (own->inter_op_threads == 0)
        own->inter_op_threads = worker->workers->inter_op_threads;
    if (own->queue_slots == 0)
        own->queue_slots = DEFAULT_SLOTS;
    if (own->arena_bytes == 0)
        own->arena_bytes = DEFAULT_ARENA;
    return NULL;
}

static struct el_status *send_start(struct el_worker *worker)
{
    const struct el_worker_options *options = &worker->options;
    const struct el_start start = {
        .slots = options->queue_slots,
        .lanes = worker->workers->loops,
        .arena_bytes = options->arena_bytes,
        .memory_limit_bytes = options->memory_limit_bytes,
        .concurrency = options->concurrency,
        .intra_op_threads = options->intra_op_threads,
        .inter_op_threads = options->inter_op_threads,
        .idle_priority = options->idle_priority,
        .prefer_tflite = worker->workers->prefer_tflite,
        .alone = options->alone,
        .batching = worker->batching,
        .model = worker->model,
        .version = options->version,
        .path = worker->path,
        .tags = worker->tags,
        .precision = worker->precision,
        .scratch_path = worker->scratch_path,
    };
    struct el_buf packet = { 0 };
    el_packet_start(&packet, &start);
    struct el_status *status = el_send(worker->control, &packet, NULL, 0);
    el_buf_free(&packet);
    return status;
}

static struct el_status *prepare(struct el_worker *worker, const struct el_worker_options *options)
{
    EL_TRY(copy_options(worker, options));
    EL_TRY(el_scratch_new(worker->workers, &worker->scratch_path));
    EL_TRY(el_worker_parts_new(worker, worker->options.queue_slots, worker->workers->loops, worker->options.arena_bytes,
                               &worker->memory));
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return el_status_errno(errno, "a socket to the worker cannot be made");
    worker->control = pair[0];
    worker->peer_control = pair[1];
    EL_TRY(send_start(worker));
    return el_worker_listen(worker);
}

static void begin(struct el_worker *worker)
{
    struct el_workers *workers = worker->workers;
    worker->next = workers->list;
    workers->list = worker;
    if (worker->options.isolation == EL_ISOLATION_PROCESS) {
        el_zygote_spawn(worker);
        return;
    }
    struct el_status *status = el_worker_start_inside(worker);
    if (status != NULL)
        el_worker_fail(worker, status);
}

struct el_status *el_worker_start(struct el_workers *workers, const struct el_worker_options *options,
                                  el_worker_on_event *on_event, void *argument, struct el_worker **worker)
{
    struct el_worker *made = calloc(1, sizeof *made);
    if (made == NULL)
        return el_status_no_memory();
    pthread_mutex_init(&made->lock, NULL);
    made->workers = workers;
    made->id = ++workers->last_id;
    made->on_event = on_event;
    made->argument = argument;
    made->pidfd = -1;
    made->control = -1;
    made->peer_control = -1;
    made->memory = -1;
    made->started_ns = el_now_ns();
    struct el_status *status = prepare(made, options);
    if (status != NULL) {
        el_worker_destroy(made);
        return el_status_prefix(status, "%s version %lld", options->model == NULL ? "?" : options->model,
                                (long long)options->version);
    }
    *worker = made;
    begin(made);
    return NULL;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void el_worker_destroy(struct el_worker *worker)
{
    close_fd(worker->pidfd);
    close_fd(worker->control);
    close_fd(worker->peer_control);
    close_fd(worker->memory);
    el_scratch_remove(worker->scratch_path);
    el_worker_parts_free(worker);
    el_signatures_free(&worker->signatures);
    el_buf_free(&worker->signature_bytes);
    el_status_free(worker->failure);
    el_status_free(worker->kill_reason);
    el_status_free(worker->last_words);
    free(worker->learned);
    free(worker->engine);
    free(worker->engine_version);
    free(worker->threads_before);
    free(worker->scratch_path);
    free(worker->model);
    free(worker->path);
    free(worker->engine_name);
    free(worker->tags);
    free(worker->precision);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}

void el_worker_free(struct el_worker *worker)
{
    if (worker == NULL)
        return;
    struct el_workers *workers = worker->workers;
    for (struct el_worker **at = &workers->list; *at != NULL; at = &(*at)->next) {
        if (*at != worker)
            continue;
        *at = worker->next;
        break;
    }
    el_mailbox_withdraw(&workers->mailbox, &worker->letter);
    el_worker_destroy(worker);
}
