/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The front's end of the zygotes: one per engine, started when its first worker is.
 *
 * Each worker that waits to be forked is in its zygote's list. A zygote that could not open its engine says why:
 * those that wait have failed with that text, and the next worker makes another attempt. One that dies later is
 * started again for those that wait, at once the first time, then with a pause that doubles up to 10 s for as long as
 * it keeps dying within 10 s; a worker that three zygotes died on is given up.
 */

#include "worker/internal.h"
#include "worker/zygote_process.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIES 3
#define FIRST_PAUSE_MS 100
#define LONGEST_PAUSE_MS 10000
#define LONG_LIFE_NS (10 * EL_NS_PER_S)

struct el_zygote {
    struct el_workers *workers;
    struct el_zygote *next;
    struct el_worker *pending; /* through next_pending, oldest first */
    uv_poll_t poll;            /* in use while socket >= 0, until closed */
    uv_timer_t retry;
    int socket; /* -1: not running */
    pid_t pid;
    bool closing_poll;
    unsigned open_handles;
    bool ready;               /* its engine is open */
    struct el_status *broken; /* what it said before it ended */
    uint64_t started_ns;
    uint64_t pause_ms; /* before the next start */
    char engine[];
};

static void start(struct el_zygote *zygote);

/* ---- the list of those that wait ---- */

static void append_pending(struct el_zygote *zygote, struct el_worker *worker)
{
    struct el_worker **at = &zygote->pending;
    while (*at != NULL)
        at = &(*at)->next_pending;
    *at = worker;
    worker->next_pending = NULL;
    worker->pending = true;
}

static void remove_pending(struct el_zygote *zygote, struct el_worker *worker)
{
    for (struct el_worker **at = &zygote->pending; *at != NULL; at = &(*at)->next_pending) {
        if (*at != worker)
            continue;
        *at = worker->next_pending;
        break;
    }
    worker->pending = false;
}

static void fail_pending(struct el_zygote *zygote, const struct el_status *status)
{
    while (zygote->pending != NULL) {
        struct el_worker *worker = zygote->pending;
        remove_pending(zygote, worker);
        worker->zygote = NULL;
        el_worker_fail(worker, el_status_copy(status));
    }
}

void el_zygote_forget(struct el_worker *worker)
{
    if (worker->zygote != NULL)
        remove_pending(worker->zygote, worker);
    worker->zygote = NULL;
}

/* ---- asking for a fork ---- */

static struct el_status *ask(struct el_zygote *zygote, struct el_worker *worker)
{
    int fds[EL_PACKET_FDS];
    fds[0] = worker->peer_control;
    fds[1] = worker->memory;
    for (uint32_t i = 0; i < worker->shm.lane_count; i++)
        fds[2 + i] = worker->eventfds[i];
    char name[16];
    snprintf(name, sizeof name, "el:%.8s/%lld", worker->model, (long long)worker->options.version);
    struct el_buf packet = { 0 };
    el_packet_u32(&packet, EL_MESSAGE_SPAWN);
    el_packet_u64(&packet, worker->id);
    el_packet_text(&packet, name);
    struct el_status *status = el_send(zygote->socket, &packet, fds, 2 + worker->shm.lane_count);
    el_buf_free(&packet);
    return status;
}

static void ask_or_fail(struct el_zygote *zygote, struct el_worker *worker)
{
    struct el_status *status = NULL;
    if (++worker->spawn_tries > TRIES)
        status = el_status_new(EL_UNAVAILABLE, "it died %d times", TRIES);
    else
        status = ask(zygote, worker);
    /* EPIPE: it has died, which its socket is about to say; then it is asked again. */
    if (status == NULL || (worker->spawn_tries <= TRIES && el_status_code(status) == EL_UNAVAILABLE)) {
        el_status_free(status);
        return;
    }
    remove_pending(zygote, worker);
    worker->zygote = NULL;
    el_worker_fail(worker, el_status_prefix(status, "the zygote of engine %s cannot start a worker for %s version %lld",
                                            zygote->engine, worker->model, (long long)worker->options.version));
}

static void ask_all(struct el_zygote *zygote)
{
    struct el_worker *next;
    for (struct el_worker *worker = zygote->pending; worker != NULL; worker = next) {
        next = worker->next_pending;
        ask_or_fail(zygote, worker);
    }
}

/* ---- its answers ---- */

static struct el_worker *find_pending(struct el_zygote *zygote, uint64_t id)
{
    struct el_worker *worker = zygote->pending;
    while (worker != NULL && worker->id != id)
        worker = worker->next_pending;
    return worker;
}

static void on_spawned(struct el_zygote *zygote, struct el_packet *packet, int pidfd)
{
    const uint64_t id = el_packet_read_u64(packet);
    const uint32_t pid = el_packet_read_u32(packet);
    struct el_worker *worker = find_pending(zygote, id);
    if (!el_packet_read_done(packet) || worker == NULL || pidfd < 0) {
        /* Forgotten meanwhile: the process sees the end of its control socket and ends. */
        if (pidfd >= 0)
            close(pidfd);
        return;
    }
    remove_pending(zygote, worker);
    worker->forked_pid = (pid_t)pid;
    el_worker_spawned(worker, (pid_t)pid, pidfd);
}

static void on_spawn_failed(struct el_zygote *zygote, struct el_packet *packet)
{
    const uint64_t id = el_packet_read_u64(packet);
    const uint32_t error = el_packet_read_u32(packet);
    struct el_worker *worker = find_pending(zygote, id);
    if (!el_packet_read_done(packet) || worker == NULL)
        return;
    remove_pending(zygote, worker);
    worker->zygote = NULL;
    el_worker_fail(worker, el_status_errno((int)error, "a process for %s version %lld cannot be started", worker->model,
                                           (long long)worker->options.version));
}

static void on_exited(struct el_zygote *zygote, struct el_packet *packet)
{
    const uint32_t pid = el_packet_read_u32(packet);
    const uint32_t status = el_packet_read_u32(packet);
    if (!el_packet_read_done(packet))
        return;
    for (struct el_worker *worker = zygote->workers->list; worker != NULL; worker = worker->next) {
        if (worker->zygote == zygote && worker->forked_pid == (pid_t)pid && !worker->exited) {
            el_worker_exited(worker, (int)status);
            return;
        }
    }
}

static void on_broken(struct el_zygote *zygote, struct el_packet *packet)
{
    const uint32_t code = el_packet_read_u32(packet);
    char *text = el_packet_read_text(packet);
    if (el_packet_read_done(packet) && code > 0 && code < EL_CODES && zygote->broken == NULL)
        zygote->broken = el_status_new((enum el_code)code, "%s", text);
    free(text);
}

/* ---- its end ---- */

static void on_retry(uv_timer_t *timer)
{
    start(timer->data);
}

/* One of its two handles is closed; uv gives no order to that. */
static void handle_closed(struct el_zygote *zygote)
{
    struct el_workers *workers = zygote->workers;
    if (--zygote->open_handles == 0) {
        el_status_free(zygote->broken);
        free(zygote);
    }
    el_workers_handle_closed(workers);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct el_zygote *zygote = handle->data;
    zygote->closing_poll = false;
    close(zygote->socket);
    zygote->socket = -1;
    if (!zygote->workers->freeing && zygote->pending != NULL)
        uv_timer_start(&zygote->retry, on_retry, zygote->pause_ms, 0);
    handle_closed(zygote);
}

static void on_end(struct el_zygote *zygote)
{
    const int status = el_zygote_process_ended(&zygote->pid);
    for (struct el_worker *worker = zygote->workers->list; worker != NULL; worker = worker->next)
        if (worker->zygote == zygote && !worker->pending)
            el_worker_zygote_lost(worker);
    const bool refused = zygote->broken != NULL; /* an orderly end, of which a pause makes nothing better */
    struct el_status *why = zygote->broken != NULL
                                ? zygote->broken
                                : el_zygote_process_cause(zygote->workers, zygote->engine, status, zygote->ready);
    zygote->broken = NULL;
    el_log(zygote->workers->log, EL_LOG_WARNING, "zygote_ended", el_str("engine", zygote->engine),
           el_str("reason", el_status_text(why)));
    if (!zygote->ready)
        fail_pending(zygote, why);
    el_status_free(why);
    const bool lived_long = el_now_ns() - zygote->started_ns > LONG_LIFE_NS;
    const uint64_t doubled = zygote->pause_ms == 0 ? FIRST_PAUSE_MS : zygote->pause_ms * 2;
    zygote->pause_ms = lived_long || refused ? 0 : doubled < LONGEST_PAUSE_MS ? doubled : LONGEST_PAUSE_MS;
    zygote->closing_poll = true;
    uv_close((uv_handle_t *)&zygote->poll, on_poll_closed);
}

static void on_message(uv_poll_t *poll, int error, int events)
{
    struct el_zygote *zygote = poll->data;
    (void)error;
    (void)events;
    for (;;) {
        int pidfd = -1;
        size_t fd_count = 1;
        const long size = el_receive(zygote->socket, zygote->workers->packet, &pidfd, &fd_count, false);
        if (size < 0 && errno == EAGAIN)
            return;
        if (size <= 0) {
            on_end(zygote);
            return;
        }
        if (fd_count == 0)
            pidfd = -1;
        struct el_packet packet = el_packet_open(zygote->workers->packet, (size_t)size);
        const uint32_t type = el_packet_read_u32(&packet);
        if (type == EL_MESSAGE_SPAWNED) {
            on_spawned(zygote, &packet, pidfd);
            continue;
        }
        if (pidfd >= 0)
            close(pidfd);
        if (type == EL_MESSAGE_READY)
            zygote->ready = true;
        else if (type == EL_MESSAGE_BROKEN)
            on_broken(zygote, &packet);
        else if (type == EL_MESSAGE_SPAWN_FAILED)
            on_spawn_failed(zygote, &packet);
        else if (type == EL_MESSAGE_EXITED)
            on_exited(zygote, &packet);
    }
}

/* ---- its beginning ---- */

static struct el_status *try_start(struct el_zygote *zygote)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return el_status_errno(errno, "a socket to the zygote of engine %s cannot be made", zygote->engine);
    const int error = el_zygote_process_start(zygote->workers, zygote->engine, pair[1], &zygote->pid);
    close(pair[1]);
    if (error != 0) {
        close(pair[0]);
        zygote->pid = 0;
        return el_status_new(EL_FAILED_PRECONDITION,
                             "%s cannot be started: %s; type `make` in Everlit's source to build it, or install the "
                             "package again",
                             zygote->workers->helper_path, strerror(error));
    }
    zygote->socket = pair[0];
    const int poll_error = uv_poll_init(zygote->workers->uv_loop, &zygote->poll, zygote->socket);
    if (poll_error != 0) {
        el_zygote_process_kill(&zygote->pid);
        close(zygote->socket);
        zygote->socket = -1;
        return el_status_errno(-poll_error, "the zygote of engine %s cannot be watched", zygote->engine);
    }
    zygote->poll.data = zygote;
    zygote->workers->open_handles++;
    zygote->open_handles++;
    uv_poll_start(&zygote->poll, UV_READABLE, on_message);
    return NULL;
}

static void start(struct el_zygote *zygote)
{
    zygote->ready = false;
    zygote->started_ns = el_now_ns();
    struct el_status *status = try_start(zygote);
    if (status != NULL) {
        fail_pending(zygote, status);
        el_status_free(status);
        return;
    }
    ask_all(zygote);
}

static struct el_zygote *find_zygote(struct el_workers *workers, const char *engine)
{
    for (struct el_zygote *zygote = workers->zygotes; zygote != NULL; zygote = zygote->next)
        if (strcmp(zygote->engine, engine) == 0)
            return zygote;
    const size_t size = strlen(engine) + 1;
    struct el_zygote *made = calloc(1, sizeof *made + size);
    if (made == NULL)
        return NULL;
    memcpy(made->engine, engine, size);
    made->workers = workers;
    made->socket = -1;
    uv_timer_init(workers->uv_loop, &made->retry);
    made->retry.data = made;
    workers->open_handles++;
    made->open_handles++;
    made->next = workers->zygotes;
    workers->zygotes = made;
    return made;
}

void el_zygote_spawn(struct el_worker *worker)
{
    struct el_zygote *zygote = find_zygote(worker->workers, worker->engine_name);
    if (zygote == NULL) {
        el_worker_fail(worker, el_status_no_memory());
        return;
    }
    worker->zygote = zygote;
    append_pending(zygote, worker);
    if (zygote->socket >= 0 && !zygote->closing_poll) {
        ask_or_fail(zygote, worker);
    } else if (!zygote->closing_poll && !uv_is_active((const uv_handle_t *)&zygote->retry)) {
        const uint64_t earliest = el_after_ns(zygote->started_ns, zygote->pause_ms * EL_NS_PER_MS);
        const uint64_t now = el_now_ns();
        if (now >= earliest)
            start(zygote);
        else
            uv_timer_start(&zygote->retry, on_retry, (earliest - now) / EL_NS_PER_MS + 1, 0);
    }
}

static void on_retry_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

void el_zygotes_free(struct el_workers *workers)
{
    struct el_zygote *next;
    for (struct el_zygote *zygote = workers->zygotes; zygote != NULL; zygote = next) {
        next = zygote->next;
        if (zygote->socket >= 0 && !zygote->closing_poll)
            uv_close((uv_handle_t *)&zygote->poll, on_poll_closed);
        el_zygote_process_kill(&zygote->pid);
        uv_close((uv_handle_t *)&zygote->retry, on_retry_closed);
    }
    workers->zygotes = NULL;
}
