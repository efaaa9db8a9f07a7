/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_REQUEST_H
#define EL_SWAP_REQUEST_H

/*
 * Requests on their event loop's thread: choosing a version, running, waiting
 * for a worker, replaying. This header is the room's own.
 *
 * A waiting request belongs to its loop's list and is looked at again whenever
 * the swap thread has published a view or given a servable a worker; it
 * wakes every loop then. Because a request looks before it joins the list, and
 * the wake-up is handled on the same thread afterwards, none is missed.
 */

#include "swap/state.h"

#include <uv.h>

struct el_request_list {
    struct el_request *first, *last;
    size_t count;
};

struct el_swap_loop {
    struct el_list in_swap; /* guarded by swap->loops_lock */
    struct el_swap *swap;
    struct el_completions *completions;
    uv_loop_t *uv_loop;
    uv_async_t wake;
    uint64_t random;  /* for tickets; never 0 */
    uv_timer_t timer; /* to the first give_up_ns of waiting */
    uint64_t timer_ns;
    struct el_request_list waiting;  /* for a worker */
    struct el_request_list retrying; /* taken from waiting, being looked at again */
    unsigned open_handles;
    void (*closed)(void *argument);
    void *closed_argument;
};

enum el_request_state {
    EL_REQUEST_IDLE,
    EL_REQUEST_WAITING,
    EL_REQUEST_RETRYING,
    EL_REQUEST_RUNNING,
    EL_REQUEST_DONE,
};

/* Chooses, and runs or waits or ends. */
void el_request_run(struct el_request *request);

/* Ends it with status (taken over). */
void el_request_finish(struct el_request *request, struct el_status *status);

/* Joins the waiting list until give_up_ns; its seat in the lobby is taken already. */
void el_request_wait(struct el_request *request, struct el_lobby *lobby, uint64_t give_up_ns);

/* Leaves whichever list it is in, and the lobby. */
void el_request_leave(struct el_request *request);

/* Swap thread: every loop looks at its waiting requests again. */
void el_loops_wake(struct el_swap *swap);

/* Like el_view_resolve(); *version is NULL without an error when the model's requests are held for a version on its way. */
struct el_status *el_route_choose(const struct el_view *view, const struct el_request *spec,
                                  const struct el_model_view **model,
                                  const struct el_version_view **version) EL_MUST_USE;

#endif
