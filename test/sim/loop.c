/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of events, and as much of libuv as the swap core uses on top of it.
 *
 * One event is one callback of some thread. The swap thread's prepare callbacks run after each of its events, as they do before
 * it sleeps; now and then two events come in one turn. Events of other threads come in between turns, never inside one: what is finer than that
 * is for ThreadSanitizer.
 */
#include "sim.h"

#include <assert.h>
#include <stdlib.h>

struct sim_event {
    uint64_t due_ns;
    uint64_t tie;
    enum sim_thread thread;
    void (*run)(void *argument);
    void *argument;
    size_t at; /* in the heap */
};

static struct {
    struct sim_event **heap;
    size_t count, room;
    uv_prepare_t *prepare;
    size_t open_handles;
} loop;

/* ---- the heap ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->tie < b->tie;
}

static void set(size_t at, struct sim_event *event)
{
    loop.heap[at] = event;
    event->at = at;
}

static void sift(size_t at)
{
    struct sim_event *event = loop.heap[at];
    while (at > 0 && before(event, loop.heap[(at - 1) / 2])) {
        set(at, loop.heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= loop.count)
            break;
        if (child + 1 < loop.count && before(loop.heap[child + 1], loop.heap[child]))
            child++;
        if (!before(loop.heap[child], event))
            break;
        set(at, loop.heap[child]);
        at = child;
    }
    set(at, event);
}

struct sim_event *sim_after(enum sim_thread thread, uint64_t span_ns, void (*run)(void *argument), void *argument)
{
    struct sim_event *event = malloc(sizeof *event);
    if (loop.count == loop.room) {
        loop.room = loop.room == 0 ? 256 : loop.room * 2;
        loop.heap = realloc(loop.heap, loop.room * sizeof *loop.heap);
    }
    if (event == NULL || loop.heap == NULL)
        abort();
    *event = (struct sim_event){ .due_ns = sim->now_ns + span_ns,
                                 .tie = sim_next(&sim->random),
                                 .thread = thread,
                                 .run = run,
                                 .argument = argument };
    set(loop.count, event);
    sift(loop.count++);
    return event;
}

void sim_cancel(struct sim_event *event)
{
    if (event == NULL)
        return;
    const size_t at = event->at;
    struct sim_event *last = loop.heap[--loop.count];
    if (last != event) {
        set(at, last);
        sift(at);
    }
    free(event);
}

static struct sim_event *first(bool server_only)
{
    struct sim_event *found = NULL;
    if (!server_only)
        return loop.count > 0 ? loop.heap[0] : NULL;
    for (size_t i = 0; i < loop.count; i++)
        if (loop.heap[i]->thread != SIM_WORLD && (found == NULL || before(loop.heap[i], found)))
            found = loop.heap[i];
    return found;
}

static void prepare(void)
{
    if (loop.prepare != NULL)
        loop.prepare->prepare_cb(loop.prepare);
    if (sim->swap != NULL && !sim->dying)
        sim_rules_turn();
}

static void turn_ends(void *argument)
{
    (void)argument; /* the prepare callbacks follow */
}

bool sim_step(uint64_t until_ns, bool server_only)
{
    struct sim_event *event = first(server_only);
    if (event == NULL || event->due_ns > until_ns)
        return false;
    const struct sim_event copy = *event;
    sim_cancel(event);
    if (copy.due_ns > sim->now_ns)
        sim->now_ns = copy.due_ns;
    sim->events++;
    copy.run(copy.argument);
    sim->now_ns += sim_below(&sim->random, 5000); /* it took some microseconds */
    sim->trace = (sim->trace ^ sim->now_ns ^ sim->random.state) * UINT64_C(0x100000001b3);
    if (copy.thread == SIM_SWAP && (copy.run == turn_ends || sim_below(&sim->random, 8) != 0))
        prepare();
    else if (copy.thread == SIM_SWAP)
        sim_after(SIM_SWAP, sim_below(&sim->random, 20000), turn_ends, NULL);
    return true;
}

void sim_loop_open(void)
{
    loop.prepare = NULL;
    loop.open_handles = 0;
}

void sim_loop_close(void)
{
    while (loop.count > 0)
        sim_cancel(loop.heap[0]);
    if (loop.open_handles != 0)
        sim_violated("handles are closed", "%zu handles of the event loop are open at the end", loop.open_handles);
    free(loop.heap);
    loop.heap = NULL;
    loop.room = 0;
}

/* ---- libuv ---- */

/* Where a handle keeps its event. */
#define EVENT_OF(handle) ((handle)->u.reserved[0])

static enum sim_thread thread_of(const uv_loop_t *uv_loop)
{
    return uv_loop == &sim->loop ? SIM_SWAP : SIM_CLIENT;
}

static void open_handle(uv_loop_t *uv_loop, uv_handle_t *handle, uv_handle_type type)
{
    handle->loop = uv_loop;
    handle->type = type;
    EVENT_OF(handle) = NULL;
    loop.open_handles++;
}

static void on_timer(void *argument)
{
    uv_timer_t *timer = argument;
    EVENT_OF(timer) = NULL;
    timer->timer_cb(timer);
}

int uv_timer_init(uv_loop_t *uv_loop, uv_timer_t *timer)
{
    open_handle(uv_loop, (uv_handle_t *)timer, UV_TIMER);
    return 0;
}

/* The loop's time is in whole milliseconds, rounded down: a timer may come up to one too early, as libuv's do. */
int uv_timer_start(uv_timer_t *timer, uv_timer_cb callback, uint64_t timeout, uint64_t repeat)
{
    assert(repeat == 0);
    (void)repeat;
    sim_cancel(EVENT_OF(timer));
    timer->timer_cb = callback;
    const uint64_t due_ns = (sim->now_ns / SIM_MS + timeout) * SIM_MS;
    EVENT_OF(timer) = sim_after(thread_of(timer->loop), due_ns > sim->now_ns ? due_ns - sim->now_ns : 0, on_timer,
                                timer);
    return 0;
}

int uv_timer_stop(uv_timer_t *timer)
{
    sim_cancel(EVENT_OF(timer));
    EVENT_OF(timer) = NULL;
    return 0;
}

void uv_update_time(uv_loop_t *uv_loop)
{
    (void)uv_loop;
}

static void on_async(void *argument)
{
    uv_async_t *async = argument;
    EVENT_OF(async) = NULL;
    async->async_cb(async);
}

int uv_async_init(uv_loop_t *uv_loop, uv_async_t *async, uv_async_cb callback)
{
    open_handle(uv_loop, (uv_handle_t *)async, UV_ASYNC);
    async->async_cb = callback;
    return 0;
}

int uv_async_send(uv_async_t *async)
{
    if (EVENT_OF(async) == NULL)
        EVENT_OF(async) = sim_after(thread_of(async->loop), sim_below(&sim->random, 200000), on_async, async);
    return 0;
}

int uv_prepare_init(uv_loop_t *uv_loop, uv_prepare_t *handle)
{
    open_handle(uv_loop, (uv_handle_t *)handle, UV_PREPARE);
    return 0;
}

int uv_prepare_start(uv_prepare_t *handle, uv_prepare_cb callback)
{
    assert(loop.prepare == NULL && thread_of(handle->loop) == SIM_SWAP);
    handle->prepare_cb = callback;
    loop.prepare = handle;
    return 0;
}

int uv_prepare_stop(uv_prepare_t *handle)
{
    if (loop.prepare == handle)
        loop.prepare = NULL;
    return 0;
}

static void on_close(void *argument)
{
    uv_handle_t *handle = argument;
    loop.open_handles--;
    if (handle->close_cb != NULL)
        handle->close_cb(handle);
}

void uv_close(uv_handle_t *handle, uv_close_cb callback)
{
    sim_cancel(EVENT_OF(handle));
    EVENT_OF(handle) = NULL;
    if (loop.prepare == (uv_prepare_t *)handle)
        loop.prepare = NULL;
    handle->close_cb = callback;
    sim_after(thread_of(handle->loop), 0, on_close, handle);
}

void uv_unref(uv_handle_t *handle)
{
    (void)handle;
}

const char *uv_strerror(int error)
{
    (void)error;
    return "an error";
}

/* The thread pool. work_req.work: the event before the work is done. */

static void after_work(void *argument)
{
    uv_work_t *work = argument;
    work->after_work_cb(work, 0);
}

static void on_cancelled(void *argument)
{
    uv_work_t *work = argument;
    work->after_work_cb(work, UV_ECANCELED);
}

static void on_work(void *argument)
{
    uv_work_t *work = argument;
    work->reserved[0] = NULL;
    work->work_cb(work);
    sim_after(thread_of(work->loop), sim_below(&sim->random, 300000), after_work, work);
}

int uv_queue_work(uv_loop_t *uv_loop, uv_work_t *work, uv_work_cb callback, uv_after_work_cb after)
{
    work->loop = uv_loop;
    work->work_cb = callback;
    work->after_work_cb = after;
    /* Now and then the pool is busy, or the file system hangs. */
    const uint64_t slow_ns = sim_chance(&sim->random, 2) ? sim_below(&sim->random, 3 * SIM_S) : 0;
    work->reserved[0] = sim_after(SIM_CLIENT, slow_ns + sim_below(&sim->random, 5 * SIM_MS), on_work, work);
    return 0;
}

int uv_cancel(uv_req_t *request)
{
    uv_work_t *work = (uv_work_t *)request;
    if (work->reserved[0] == NULL)
        return UV_EBUSY;
    sim_cancel(work->reserved[0]);
    work->reserved[0] = NULL;
    sim_after(thread_of(work->loop), 0, on_cancelled, work);
    return 0;
}
