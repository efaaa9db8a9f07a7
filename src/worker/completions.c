/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Where answers reach an event loop.
 *
 * While calls are at workers, two hooks of the loop are active: "prepare" runs before the loop would sleep, "check"
 * after it slept. Prepare takes the answers that are there. If none is, but one is expected soon, it looks for a few
 * microseconds more and has the loop only peek at its sockets (an active idle handle makes epoll return at once), so
 * that spinning delays nothing that comes from the network. Otherwise it says in each lane's shared memory that the
 * loop is parked, looks once more, and lets the loop sleep; the worker that answers next writes that lane's eventfd.
 * With no call at any worker nothing is active: an idle loop costs nothing.
 *
 * Each lane has its own eventfd, so that no worker can swallow what wakes another's answers. A worker that wakes the
 * loop over and over without an answer loses our patience and is killed.
 *
 * One timer serves all deadlines: it is set to the earliest one known and looks at all calls when it fires, which
 * under steady load happens once in the time that a deadline is away.
 */

#include "worker/internal.h"

#include "base/clock.h"
#include "worker/doorbell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEEK_NS 3000 /* how long prepare looks before the sockets get a turn */
#define PATIENCE 1024

/* ---- taking answers ---- */

static uint32_t drain_all(struct el_completions *completions)
{
    uint32_t count = 0;
    struct el_lane *next;
    for (struct el_lane *lane = completions->active; lane != NULL && !completions->closing; lane = next) {
        next = lane->next_active; /* callbacks may add lanes in front; only draining a lane takes it out */
        count += el_lane_drain(lane);
    }
    return count;
}

static void set_parked(struct el_completions *completions, uint32_t parked)
{
    for (struct el_lane *lane = completions->active; lane != NULL; lane = lane->next_active)
        atomic_store(&lane->worker->shm.header->lanes[lane->index].parked, parked);
    completions->parked = parked != 0;
}

/* Until when an answer is expected so soon that sleeping would take longer; 0: none is. */
static uint64_t look_until(const struct el_completions *completions)
{
    uint64_t until = 0;
    for (const struct el_lane *lane = completions->active; lane != NULL; lane = lane->next_active)
        if (lane->look_until > until && !lane->lied)
            until = lane->look_until;
    return until;
}

/* Tells each lane that was looked at whether that was of use. */
static void looked(struct el_completions *completions, bool found)
{
    for (struct el_lane *lane = completions->active; lane != NULL; lane = lane->next_active) {
        if (lane->look_until != 0)
            el_spin_result(&lane->spin, found);
        lane->look_until = 0;
    }
}

static void on_idle(uv_idle_t *idle)
{
    /* Being active is all it is for, and prepare decides about that while there are calls. */
    const struct el_completions *completions = idle->data;
    if (completions->active == NULL)
        uv_idle_stop(idle);
}

static void peek_only(struct el_completions *completions, bool peek)
{
    if (peek)
        uv_idle_start(&completions->idle, on_idle);
    else
        uv_idle_stop(&completions->idle);
}

/* Takes answers, or looks for one as long as the sockets can wait. Parks the loop when there is no use in looking. */
static uint32_t take_or_park(struct el_completions *completions)
{
    uint32_t count = drain_all(completions);
    uint64_t until = look_until(completions);
    uint64_t now = until == 0 ? 0 : el_now_ns();
    if (el_spin_is_off(&completions->offers, now))
        until = 0;
    const uint64_t peek = now + PEEK_NS < until ? now + PEEK_NS : until;
    while (count == 0 && now < peek) {
        for (int i = 0; i < 16; i++)
            el_cpu_relax();
        count = drain_all(completions);
        now = el_now_ns();
    }
    if (count == 0 && now < until)
        now = el_spin_offer(&completions->offers, now);
    if (count > 0 || now < until)
        return count;
    looked(completions, false);
    set_parked(completions, 1);
    count = drain_all(completions);
    if (count > 0 && !completions->closing)
        set_parked(completions, 0);
    return count;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct el_completions *completions = prepare->data;
    const uint32_t count = take_or_park(completions);
    /*
     * Answers were taken or are near: only a glance at the sockets. After the last answer too: whoever turns the loop
     * (uv_stop, UV_RUN_ONCE) must come to see what it changed before the loop sleeps.
     */
    if (!completions->closing)
        peek_only(completions, count > 0 || (completions->active != NULL && !completions->parked));
}

static void on_check(uv_check_t *check)
{
    struct el_completions *completions = check->data;
    if (!completions->parked)
        return;
    set_parked(completions, 0);
    drain_all(completions);
}

/* A worker wrote the eventfd. */
static void on_wake(uv_poll_t *poll, int error, int events)
{
    struct el_lane *lane = poll->data;
    (void)error;
    (void)events;
    uint64_t count;
    if (read(lane->worker->eventfds[lane->index], &count, sizeof count) < 0 && errno == EAGAIN)
        return;
    if (lane->lied)
        return;
    /* An answer earns patience; a wake-up may come late, after its answer was found by looking. */
    if (el_lane_drain(lane) > 0 || lane->patience-- > 0)
        return;
    lane->lied = true;
    uv_poll_stop(&lane->poll);
    el_worker_kill(lane->worker, el_status_new(EL_INTERNAL, "it kept waking the server without an answer"));
}

/* ---- which lanes are active ---- */

void el_completions_sent(struct el_lane *lane)
{
    struct el_completions *completions = lane->completions;
    if (lane->active)
        return;
    if (completions->active == NULL) {
        uv_prepare_start(&completions->prepare, on_prepare);
        uv_check_start(&completions->check, on_check);
        /* A call begun by another prepare hook: ours comes in the loop's next turn only, so this one must not sleep. Else the
         * answer could come while no lane is parked, and nobody would wake the loop. */
        peek_only(completions, true);
    }
    lane->active = true;
    lane->previous_active = NULL;
    lane->next_active = completions->active;
    if (completions->active != NULL)
        completions->active->previous_active = lane;
    completions->active = lane;
    if (completions->parked)
        atomic_store(&lane->worker->shm.header->lanes[lane->index].parked, 1);
}

void el_completions_idle(struct el_lane *lane)
{
    struct el_completions *completions = lane->completions;
    if (!lane->active)
        return;
    lane->active = false;
    if (lane->previous_active != NULL)
        lane->previous_active->next_active = lane->next_active;
    else
        completions->active = lane->next_active;
    if (lane->next_active != NULL)
        lane->next_active->previous_active = lane->previous_active;
    atomic_store(&lane->worker->shm.header->lanes[lane->index].parked, 0);
    if (completions->active == NULL) {
        uv_prepare_stop(&completions->prepare);
        uv_check_stop(&completions->check);
        completions->parked = false;
    }
}

/* ---- deadlines ---- */

static void expire(struct el_call *call)
{
    if (call->cancelled)
        el_call_finish(call, el_status_new(EL_CANCELLED, "the call was cancelled"));
    else
        el_call_finish(call, el_status_new(EL_DEADLINE_EXCEEDED, "%s version %lld did not answer within the deadline",
                                           call->worker->model, (long long)call->worker->options.version));
}

/* Chains the calls that are due, and looks after those that hang; *next becomes the earliest time at which there is one more. */
static struct el_call *find_due(struct el_completions *completions, uint64_t now, uint64_t *next)
{
    struct el_call *due = NULL;
    *next = EL_NEVER_NS;
    for (struct el_lane *lane = completions->active; lane != NULL; lane = lane->next_active) {
        for (struct el_call *call = lane->calls; call != NULL; call = call->next) {
            const uint64_t watch_ns = el_call_watch(call, now);
            if (watch_ns < *next)
                *next = watch_ns;
            if (call->state != EL_CALL_WAITING)
                continue;
            if (call->cancelled || call->deadline_ns <= now) {
                call->next_due = due;
                due = call;
            } else if (call->deadline_ns < *next) {
                *next = call->deadline_ns;
            }
        }
    }
    return due;
}

static void on_timer(uv_timer_t *timer)
{
    struct el_completions *completions = timer->data;
    completions->timer_at_ns = EL_NEVER_NS;
    uint64_t next_ns;
    struct el_call *due = find_due(completions, el_now_ns(), &next_ns);
    el_completions_deadline(completions, next_ns);
    /* Callbacks may begin, cancel and end calls, but what is chained waits until its own turn here. */
    while (due != NULL) {
        struct el_call *call = due;
        due = call->next_due;
        expire(call);
    }
}

void el_completions_deadline(struct el_completions *completions, uint64_t at_ns)
{
    if (at_ns >= completions->timer_at_ns)
        return;
    completions->timer_at_ns = at_ns;
    const uint64_t now = el_now_ns();
    /* Rounded up: a timer that fires early would only be set again. */
    const uint64_t ms = at_ns <= now ? 0 : (at_ns - now + EL_NS_PER_MS - 1) / EL_NS_PER_MS;
    uv_update_time(completions->uv_loop);
    uv_timer_start(&completions->timer, on_timer, ms, 0);
}

/* ---- lanes come and go ---- */

static void on_lane_closed(uv_handle_t *handle)
{
    struct el_lane *lane = handle->data;
    struct el_worker *worker = lane->worker;
    struct el_completions *completions = lane->completions;
    pthread_mutex_lock(&worker->lock);
    worker->open_lanes--;
    worker->abandoned += lane->at_worker;
    el_worker_notify(worker);
    pthread_mutex_unlock(&worker->lock);
    if (--completions->open_handles == 0 && completions->closing) {
        el_mailbox_destroy(&completions->mailbox);
        if (completions->closed != NULL)
            completions->closed(completions->argument);
        free(completions);
    }
}

static void close_lane(struct el_lane *lane)
{
    struct el_completions *completions = lane->completions;
    el_completions_idle(lane);
    if (lane->previous != NULL)
        lane->previous->next = lane->next;
    else
        completions->lanes = lane->next;
    if (lane->next != NULL)
        lane->next->previous = lane->previous;
    uv_close((uv_handle_t *)&lane->poll, on_lane_closed);
}

static void on_death(struct el_letter *letter)
{
    struct el_lane *lane = (struct el_lane *)(void *)((char *)letter - offsetof(struct el_lane, death));
    el_lane_bury(lane);
    close_lane(lane);
}

struct el_status *el_lane_open(struct el_lane *lane, struct el_completions *completions)
{
    struct el_worker *worker = lane->worker;
    const int error = uv_poll_init(completions->uv_loop, &lane->poll, worker->eventfds[lane->index]);
    if (error != 0)
        return el_status_errno(-error, "an event loop cannot listen to the worker of %s", worker->model);
    lane->poll.data = lane;
    lane->completions = completions;
    lane->death.open = on_death;
    lane->patience = PATIENCE;
    el_spin_init(&lane->spin);
    lane->open = true;
    lane->previous = NULL;
    lane->next = completions->lanes;
    if (completions->lanes != NULL)
        completions->lanes->previous = lane;
    completions->lanes = lane;
    completions->open_handles++;
    worker->open_lanes++;
    worker->abandoned -= lane->at_worker; /* what an earlier loop with this number left */
    uv_poll_start(&lane->poll, UV_READABLE, on_wake);
    return NULL;
}

/* ---- the queue itself ---- */

static void on_closed(uv_handle_t *handle)
{
    struct el_completions *completions = handle->data;
    if (--completions->open_handles > 0)
        return;
    el_mailbox_destroy(&completions->mailbox);
    if (completions->closed != NULL)
        completions->closed(completions->argument);
    free(completions);
}

struct el_status *el_completions_new(struct el_workers *workers, uint32_t index, uv_loop_t *uv_loop,
                                     struct el_completions **completions)
{
    if (index >= workers->loops)
        return el_status_new(EL_INVALID_ARGUMENT, "completion queue number %u: there are to be %u", index,
                             workers->loops);
    struct el_completions *made = calloc(1, sizeof *made);
    if (made == NULL)
        return el_status_no_memory();
    made->workers = workers;
    made->index = index;
    made->uv_loop = uv_loop;
    made->timer_at_ns = EL_NEVER_NS;
    struct el_status *status = el_mailbox_init(&made->mailbox, uv_loop);
    if (status != NULL) {
        free(made);
        return status;
    }
    /* These four cannot fail. */
    uv_prepare_init(uv_loop, &made->prepare);
    uv_check_init(uv_loop, &made->check);
    uv_idle_init(uv_loop, &made->idle);
    uv_timer_init(uv_loop, &made->timer);
    made->mailbox.async.data = made;
    made->prepare.data = made;
    made->check.data = made;
    made->idle.data = made;
    made->timer.data = made;
    made->open_handles = 5;
    *completions = made;
    return NULL;
}

void el_completions_close(struct el_completions *completions, void (*closed)(void *argument), void *argument)
{
    completions->closing = true;
    completions->closed = closed;
    completions->argument = argument;
    while (completions->lanes != NULL) {
        struct el_lane *lane = completions->lanes;
        pthread_mutex_lock(&lane->worker->lock);
        lane->open = false; /* from here on nobody posts its death */
        pthread_mutex_unlock(&lane->worker->lock);
        el_mailbox_open(&completions->mailbox);
        if (completions->lanes == lane)
            close_lane(lane);
    }
    uv_close((uv_handle_t *)&completions->prepare, on_closed);
    uv_close((uv_handle_t *)&completions->check, on_closed);
    uv_close((uv_handle_t *)&completions->idle, on_closed);
    uv_close((uv_handle_t *)&completions->timer, on_closed);
    uv_close((uv_handle_t *)&completions->mailbox.async, on_closed);
}
