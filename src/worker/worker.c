/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The life of one worker, as the front sees it: all on the swap thread.
 *
 * What happens (messages, deaths, timers, other threads' letters) only notes what is now true; el_worker_step() looks
 * at all of it and does what follows, in this order:
 *
 *     it could not load            → FAILED, and it is told to end
 *     stop was asked, no call left → it is told to end (its control socket ends)
 *     the process is gone          → once the zygote has said how it ended, each lane's loop takes the last answers and ends the other calls; those of loops that are
 *                                    gone themselves are ended here
 *     and nobody had asked for it  → DIED, once the zygote has said how it ended
 *     lanes and calls are gone too → the handles are closed, then GONE
 */

#include "worker/internal.h"

#include "base/clock.h"
#include "worker/priority.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILED_GRACE_MS 2000 /* for a process that could not load to end by itself */
#define CAUSE_WAIT_MS 3000   /* how long the zygote may take to say how a worker ended */

static bool inside(const struct el_worker *worker)
{
    return worker->options.isolation == EL_ISOLATION_NONE;
}

static void signal_process(const struct el_worker *worker, int number)
{
    if (worker->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, worker->pidfd, number, NULL, 0);
}

void el_worker_notify(struct el_worker *worker)
{
    el_mailbox_post(&worker->workers->mailbox, &worker->letter);
}

static void on_letter(struct el_letter *letter)
{
    el_worker_step((struct el_worker *)(void *)((char *)letter - offsetof(struct el_worker, letter)));
}

static void emit(struct el_worker *worker, enum el_worker_event_type type, const struct el_status *status)
{
    const struct el_worker_event event = { .type = type,
                                           .status = status,
                                           .load_ms = (double)(el_now_ns() - worker->started_ns) / 1e6 };
    worker->on_event(worker, &event, worker->argument);
}

/* ---- what has happened ---- */

void el_worker_fail(struct el_worker *worker, struct el_status *status)
{
    if (worker->failure != NULL || worker->loaded) {
        el_status_free(status);
        return;
    }
    worker->failure = status;
    el_worker_notify(worker);
}

/* The process (or the host inside) has ended: nothing is written to the shared memory any more. */
static void note_gone(struct el_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    if (!worker->gone) {
        worker->gone = true;
        worker->accepting = false;
        worker->last_words = worker->kill_reason != NULL
                                 ? el_status_new(EL_UNAVAILABLE, "the worker of %s version %lld was killed: %s",
                                                 worker->model, (long long)worker->options.version,
                                                 el_status_text(worker->kill_reason))
                                 : el_status_new(EL_UNAVAILABLE,
                                                 "the worker of %s version %lld ended while it ran the request",
                                                 worker->model, (long long)worker->options.version);
    }
    pthread_mutex_unlock(&worker->lock);
    atomic_store(&worker->pid, 0);
    uv_timer_stop(&worker->watch_timer);
    el_worker_notify(worker);
}

static void on_timer(uv_timer_t *timer)
{
    struct el_worker *worker = timer->data;
    if (worker->ended || worker->gone) {
        worker->cause_late = true;
        el_worker_notify(worker);
    } else if (worker->stopping) {
        worker->forced = true;
        signal_process(worker, SIGKILL);
        if (inside(worker))
            note_gone(worker); /* its threads keep their own mapping and end when the engine lets them */
        el_worker_notify(worker);
    } else {
        el_worker_fail(
            worker, el_status_new(EL_DEADLINE_EXCEEDED, "%s version %lld was not loaded within %u ms and was given up",
                                  worker->model, (long long)worker->options.version, worker->options.load_timeout_ms));
        worker->forced = true;
    }
}

static void on_pidfd(uv_poll_t *poll, int error, int events)
{
    struct el_worker *worker = poll->data;
    (void)error;
    (void)events;
    uv_poll_stop(poll);
    worker->ended = true;
    el_worker_read_control(worker); /* its last message may say why */
    note_gone(worker);
    uv_timer_start(&worker->timer, on_timer, CAUSE_WAIT_MS, 0);
}

static void on_control(uv_poll_t *poll, int error, int events)
{
    (void)error;
    (void)events;
    el_worker_read_control(poll->data);
}

void el_worker_hung_up(struct el_worker *worker)
{
    uv_poll_stop(&worker->control_poll);
    worker->hung_up = true;
    if (inside(worker))
        note_gone(worker);
    else
        signal_process(worker, SIGKILL); /* usually it is gone already; one that only stopped talking is of no use */
}

void el_worker_ready(struct el_worker *worker)
{
    if (worker->ended || worker->failure != NULL)
        return; /* it died or was given up in the same moment */
    worker->loaded = true;
    if (worker->stopping)
        return;
    uv_timer_stop(&worker->timer);
    pthread_mutex_lock(&worker->lock);
    worker->accepting = !worker->killed;
    const bool accepting = worker->accepting;
    pthread_mutex_unlock(&worker->lock);
    el_watch_start(worker);
    if (accepting)
        emit(worker, EL_WORKER_LOADED, NULL);
}

void el_worker_spawned(struct el_worker *worker, pid_t pid, int pidfd)
{
    close(worker->peer_control);
    close(worker->memory);
    worker->peer_control = -1;
    worker->memory = -1;
    worker->memory_at_fork = el_watch_private_bytes(pid);
    worker->oom_kills_at_fork = el_watch_oom_kills();
    pthread_mutex_lock(&worker->lock);
    worker->pidfd = pidfd;
    const bool killed = worker->killed;
    pthread_mutex_unlock(&worker->lock);
    atomic_store(&worker->pid, pid);
    if (killed || worker->forced || worker->hung_up) /* before we knew whom to signal */
        signal_process(worker, SIGKILL);
    const int error = uv_poll_init(worker->workers->uv_loop, &worker->pidfd_poll, pidfd);
    if (error != 0) {
        el_worker_kill(worker, el_status_errno(-error, "its end cannot be watched"));
        signal_process(worker, SIGKILL);
        note_gone(worker);
        return;
    }
    worker->pidfd_poll.data = worker;
    worker->pidfd_polled = true;
    worker->open_handles++;
    uv_poll_start(&worker->pidfd_poll, UV_READABLE, on_pidfd);
    uv_poll_start(&worker->control_poll, UV_READABLE, on_control);
    el_watch_start(worker);
}

void el_worker_exited(struct el_worker *worker, int wait_status)
{
    worker->exited = true;
    worker->wait_status = wait_status;
    el_worker_notify(worker);
}

void el_worker_zygote_lost(struct el_worker *worker)
{
    worker->zygote = NULL;
    el_worker_notify(worker);
}

/* ---- what follows ---- */

static void tell_to_end(struct el_worker *worker)
{
    if (worker->told_to_end)
        return;
    worker->told_to_end = true;
    shutdown(worker->control, SHUT_WR);
    if (worker->pending) {
        el_zygote_forget(worker);
        note_gone(worker);
    }
}

static void tell_lanes(struct el_worker *worker)
{
    worker->lanes_told = true;
    pthread_mutex_lock(&worker->lock);
    for (uint32_t i = 0; i < worker->shm.lane_count; i++)
        if (worker->lanes[i].open)
            el_mailbox_post(&worker->lanes[i].completions->mailbox, &worker->lanes[i].death);
    pthread_mutex_unlock(&worker->lock);
}

static struct el_status *cause_of_death(const struct el_worker *worker)
{
    const char *model = worker->model;
    const long long version = (long long)worker->options.version;
    const char *when = worker->loaded ? "running" : "loading";
    if (worker->kill_reason != NULL)
        return el_status_new(el_status_code(worker->kill_reason), "worker of %s version %lld was killed while %s: %s",
                             model, version, when, el_status_text(worker->kill_reason));
    const int status = worker->wait_status;
    if (worker->exited && WIFSIGNALED(status))
        return el_status_new(EL_UNAVAILABLE, "worker of %s version %lld was killed by signal %d (%s) while %s", model,
                             version, WTERMSIG(status), strsignal(WTERMSIG(status)), when);
    if (worker->exited)
        return el_status_new(EL_UNAVAILABLE, "worker of %s version %lld ended by itself with exit status %d while %s",
                             model, version, WEXITSTATUS(status), when);
    return el_status_new(EL_UNAVAILABLE, "worker of %s version %lld ended while %s, nobody saw how", model, version,
                         when);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct el_worker *worker = handle->data;
    if (--worker->open_handles == 0)
        emit(worker, EL_WORKER_GONE, NULL);
}

static void close_handles(struct el_worker *worker)
{
    worker->closing = true;
    if (worker->zygote != NULL)
        el_zygote_forget(worker);
    uv_close((uv_handle_t *)&worker->control_poll, on_handle_closed);
    uv_close((uv_handle_t *)&worker->timer, on_handle_closed);
    uv_close((uv_handle_t *)&worker->watch_timer, on_handle_closed);
    if (worker->pidfd_polled)
        uv_close((uv_handle_t *)&worker->pidfd_poll, on_handle_closed);
}

/* Nobody waits for these calls: only what they hold is given back. The last one notifies. */
static void bury_abandoned(struct el_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->abandoned = 0;
    pthread_mutex_unlock(&worker->lock);
    for (uint32_t i = 0; i < worker->shm.lane_count; i++)
        if (worker->lanes[i].at_worker > 0)
            el_lane_bury(&worker->lanes[i]);
}

/* One that hung up is sent the signal, too (el_worker_hung_up()), but sockets close after a process has begun to end: it comes too late
 * to be what is reported. */
static bool was_killed_outside(const struct el_worker *worker)
{
    return worker->kill_reason == NULL && !worker->forced && worker->exited && WIFSIGNALED(worker->wait_status) &&
           WTERMSIG(worker->wait_status) == SIGKILL && el_watch_oom_kills() == worker->oom_kills_at_fork;
}

static void step_gone(struct el_worker *worker, bool nothing_left)
{
    const bool expected = worker->kill_reason == NULL && (worker->failed_told || worker->told_to_end || worker->forced);
    const bool cause_known = worker->exited || worker->zygote == NULL || worker->cause_late;
    if (!expected && !cause_known && worker->kill_reason == NULL)
        return;
    if (!worker->lanes_told) {
        worker->killed_outside = was_killed_outside(worker);
        tell_lanes(worker); /* with their lock it hands on what was just written */
        return;             /* each lane notifies when it is closed; with none open the next step goes on */
    }
    if (!expected && !worker->died_told) {
        worker->died_told = true;
        struct el_status *cause = cause_of_death(worker);
        emit(worker, EL_WORKER_DIED, cause);
        el_status_free(cause);
    }
    if (nothing_left)
        close_handles(worker);
}

void el_worker_step(struct el_worker *worker)
{
    if (worker->closing)
        return;
    pthread_mutex_lock(&worker->lock);
    const bool gone = worker->gone;
    const bool killed = worker->killed;
    const uint32_t calls = worker->shm.slot_count - worker->free_count;
    const uint32_t abandoned = worker->abandoned;
    const bool no_lanes = worker->open_lanes == 0;
    pthread_mutex_unlock(&worker->lock);
    if (worker->failure != NULL && !worker->failed_told && !killed) {
        worker->failed_told = true;
        emit(worker, EL_WORKER_FAILED, worker->failure);
        tell_to_end(worker);
        worker->stopping = true;
        uv_timer_start(&worker->timer, on_timer, FAILED_GRACE_MS, 0);
        if (worker->forced || worker->peer_control >= 0) {
            /* Given up in the middle of loading, or never started. */
            signal_process(worker, SIGKILL);
            if (inside(worker) || worker->pidfd < 0)
                note_gone(worker);
        }
    }
    if (killed && !gone && (inside(worker) || worker->pending)) {
        tell_to_end(worker);
        note_gone(worker);
    }
    if (worker->stopping && calls == abandoned)
        tell_to_end(worker);
    if (gone && no_lanes && abandoned > 0) {
        bury_abandoned(worker);
    } else if (gone) {
        const bool told = worker->lanes_told;
        step_gone(worker, calls == 0 && no_lanes);
        if (!told && worker->lanes_told)
            el_worker_notify(worker);
    }
}

/* ---- what others ask for ---- */

void el_worker_kill(struct el_worker *worker, struct el_status *status)
{
    pthread_mutex_lock(&worker->lock);
    if (worker->gone || worker->killed) {
        el_status_free(status);
    } else {
        worker->killed = true;
        worker->accepting = false;
        worker->kill_reason = status;
        signal_process(worker, SIGKILL);
        el_worker_notify(worker);
    }
    pthread_mutex_unlock(&worker->lock);
}

void el_worker_stop(struct el_worker *worker, uint32_t grace_ms)
{
    if (worker->stopping || worker->closing)
        return;
    worker->stopping = true;
    pthread_mutex_lock(&worker->lock);
    worker->accepting = false;
    const bool gone = worker->gone;
    pthread_mutex_unlock(&worker->lock);
    if (!gone)
        uv_timer_start(&worker->timer, on_timer, grace_ms, 0);
    el_worker_notify(worker);
}

void el_worker_promote(struct el_worker *worker)
{
    const pid_t pid = el_worker_pid(worker);
    if (!worker->options.idle_priority || worker->gone || (pid == 0 && !inside(worker)))
        return;
    worker->options.idle_priority = false;
    el_priority_normal(pid, worker->threads_before, worker->threads_before_count);
    el_watch_start(worker);
}

void el_worker_set_batching(struct el_worker *worker, const struct el_batching *batching)
{
    worker->batching = *batching;
    struct el_buf packet = { 0 };
    el_packet_u32(&packet, EL_MESSAGE_BATCHING);
    el_packet_batching(&packet, batching);
    pthread_mutex_lock(&worker->lock);
    /* One that is not told goes on as it was told before; what the front refuses is what counts for callers. */
    if (worker->control >= 0)
        el_status_free(el_send(worker->control, &packet, NULL, 0));
    pthread_mutex_unlock(&worker->lock);
    el_buf_free(&packet);
    el_admission_set(&worker->admission, batching);
}

const struct el_signatures *el_worker_signatures(const struct el_worker *worker)
{
    return &worker->signatures;
}

const char *el_worker_engine(const struct el_worker *worker)
{
    return worker->engine;
}

const char *el_worker_engine_version(const struct el_worker *worker)
{
    return worker->engine_version;
}

pid_t el_worker_pid(const struct el_worker *worker)
{
    return atomic_load(&worker->pid);
}

struct el_status *el_worker_listen(struct el_worker *worker)
{
    uv_loop_t *loop = worker->workers->uv_loop;
    const int error = uv_poll_init(loop, &worker->control_poll, worker->control);
    if (error != 0)
        return el_status_errno(-error, "a worker's socket cannot be watched");
    uv_timer_init(loop, &worker->timer);
    uv_timer_init(loop, &worker->watch_timer);
    worker->control_poll.data = worker;
    worker->timer.data = worker;
    worker->watch_timer.data = worker;
    worker->open_handles = 3;
    worker->letter.open = on_letter;
    if (inside(worker)) /* a process may be ready before the zygote says which one it is: only then it is listened to */
        uv_poll_start(&worker->control_poll, UV_READABLE, on_control);
    if (worker->options.load_timeout_ms > 0)
        uv_timer_start(&worker->timer, on_timer, worker->options.load_timeout_ms, 0);
    return NULL;
}
