/* SPDX-License-Identifier: Apache-2.0 */
/* Event loops as the swapper knows them, and the requests that wait on each. */
#include "swap/request.h"

#include "base/clock.h"

#include <stdlib.h>

static void list_append(struct el_request_list *list, struct el_request *request)
{
    request->next = NULL;
    request->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = request;
    list->last = request;
    list->count++;
}

static void list_remove(struct el_request_list *list, struct el_request *request)
{
    *(request->previous != NULL ? &request->previous->next : &list->first) = request->next;
    *(request->next != NULL ? &request->next->previous : &list->last) = request->previous;
    request->next = request->previous = NULL;
    list->count--;
}

void el_request_leave(struct el_request *request)
{
    struct el_swap_loop *loop = request->loop;
    list_remove(request->state == EL_REQUEST_RETRYING ? &loop->retrying : &loop->waiting, request);
    el_lobby_leave(request->lobby);
    request->lobby = NULL;
}

static void give_up(struct el_request *request)
{
    el_request_leave(request);
    struct el_status *status = request->deadline_ns != EL_NEVER_NS
                                   ? el_status_new(EL_DEADLINE_EXCEEDED,
                                                   "deadline exceeded while model %.*s had no worker to run it",
                                                   (int)request->model_size, request->model)
                                   : el_status_new(EL_UNAVAILABLE,
                                                   "model %.*s has no worker that can run it; one is being started",
                                                   (int)request->model_size, request->model);
    el_request_finish(request, status);
}

static void on_timer(uv_timer_t *timer);

static void arm(struct el_swap_loop *loop, uint64_t at_ns)
{
    if (at_ns >= loop->timer_ns)
        return;
    loop->timer_ns = at_ns;
    uint64_t now = el_now_ns();
    uv_update_time(loop->uv_loop);
    uv_timer_start(&loop->timer, on_timer, at_ns <= now ? 0 : (at_ns - now) / EL_NS_PER_MS + 1, 0);
}

/* From the start each time: what give_up() calls back may change the list. */
static struct el_request *first_late(struct el_swap_loop *loop, uint64_t now, uint64_t *next_ns)
{
    *next_ns = EL_NEVER_NS;
    for (struct el_request *request = loop->waiting.first; request != NULL; request = request->next) {
        if (request->give_up_ns <= now)
            return request;
        if (request->give_up_ns < *next_ns)
            *next_ns = request->give_up_ns;
    }
    return NULL;
}

static void on_timer(uv_timer_t *timer)
{
    struct el_swap_loop *loop = timer->data;
    loop->timer_ns = EL_NEVER_NS;
    uint64_t now = el_now_ns(), next_ns;
    struct el_request *request;
    while ((request = first_late(loop, now, &next_ns)) != NULL)
        give_up(request);
    arm(loop, next_ns);
}

void el_request_wait(struct el_request *request, struct el_lobby *lobby, uint64_t give_up_ns)
{
    struct el_swap_loop *loop = request->loop;
    request->lobby = lobby;
    request->give_up_ns = give_up_ns;
    request->state = EL_REQUEST_WAITING;
    list_append(&loop->waiting, request);
    arm(loop, give_up_ns);
}

static void on_wake(uv_async_t *async)
{
    struct el_swap_loop *loop = async->data;
    struct el_request *request;
    while ((request = loop->waiting.first) != NULL) {
        list_remove(&loop->waiting, request);
        request->state = EL_REQUEST_RETRYING;
        list_append(&loop->retrying, request);
    }
    while ((request = loop->retrying.first) != NULL) {
        el_request_leave(request);
        request->state = EL_REQUEST_IDLE;
        el_request_run(request);
    }
}

void el_loops_wake(struct el_swap *swap)
{
    pthread_mutex_lock(&swap->loops_lock);
    struct el_swap_loop *loop;
    el_list_each (loop, &swap->loops, in_swap) {
        uv_async_send(&loop->wake);
    }
    pthread_mutex_unlock(&swap->loops_lock);
}

struct el_status *el_swap_attach_loop(struct el_swap *swap, struct el_completions *completions, uv_loop_t *uv_loop,
                                      struct el_swap_loop **made)
{
    struct el_swap_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return el_status_no_memory();
    loop->swap = swap;
    loop->completions = completions;
    loop->uv_loop = uv_loop;
    loop->random = (el_now_ns() ^ ((uint64_t)(uintptr_t)loop << 16)) | 1;
    loop->timer_ns = EL_NEVER_NS;
    int error = uv_async_init(uv_loop, &loop->wake, on_wake);
    if (error != 0) {
        free(loop);
        return el_status_new(EL_UNAVAILABLE, "making the wake-up of an event loop: %s", uv_strerror(error));
    }
    loop->wake.data = loop;
    uv_timer_init(uv_loop, &loop->timer);
    loop->timer.data = loop;
    loop->open_handles = 2;
    pthread_mutex_lock(&swap->loops_lock);
    el_list_add_before(&loop->in_swap, &swap->loops);
    pthread_mutex_unlock(&swap->loops_lock);
    *made = loop;
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct el_swap_loop *loop = handle->data;
    if (--loop->open_handles > 0)
        return;
    void (*closed)(void *) = loop->closed;
    void *argument = loop->closed_argument;
    free(loop);
    if (closed != NULL)
        closed(argument);
}

void el_swap_detach_loop(struct el_swap_loop *loop, void (*closed)(void *argument), void *argument)
{
    pthread_mutex_lock(&loop->swap->loops_lock);
    el_list_remove(&loop->in_swap);
    pthread_mutex_unlock(&loop->swap->loops_lock);
    loop->closed = closed;
    loop->closed_argument = argument;
    uv_close((uv_handle_t *)&loop->wake, on_closed);
    uv_close((uv_handle_t *)&loop->timer, on_closed);
}
