/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_REQUEST_LOOK_H
#define EL_SWAP_REQUEST_LOOK_H

/*
 * One look of a request at the view: which version it means, which worker takes it, or what it waits for.
 *
 * Event loop's thread, on the hot path: no allocation, no system call beyond what the worker's ring does.
 */

#include "swap/request.h"

/* What a look at the view came to. */
struct el_look {
    struct el_status *status; /* the request ends with it */
    struct el_lobby *lobby;   /* it waits, its seat taken */
    uint64_t wait_ns;         /* for so long, where it has no deadline */
    struct el_call *call;     /* it runs */
};

/* Inside the read section: from its end on the call keeps the worker alive, and the pin the servable. */
void el_request_look(struct el_request *request, struct el_look *look);

/* Its client names no version and no generation: another one may answer. */
static inline bool el_request_may_go_elsewhere(const struct el_request *request)
{
    return !request->has_version && request->label == NULL && request->wanted_generation == 0;
}

#endif
