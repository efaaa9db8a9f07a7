/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_HOST_H
#define EL_WORKER_HOST_H

/*
 * The side that runs the model: opens one version with an engine and runs what
 * comes through the request ring.
 *
 * The same code in a worker process (where it is all there is) and, with EL_ISOLATION_NONE, on threads of the front.
 * Threads of a host: the control thread (the caller of el_host_run), which reads the control socket and passes on
 * cancellations; the loader, which opens the model and ends; `concurrency` runners.
 */

#include "worker/engine_open.h"

#include <stdbool.h>
#include <stdint.h>

struct el_host_setup {
    struct el_engine *engine; /* a reference, taken over */
    int control;              /* taken over, as are the next two */
    int memory;
    int *eventfds; /* malloc'ed; one for each lane */
    uint32_t lanes;
    bool own_process; /* ends by _exit: what the model holds goes with the process */
};

/*
 * Hosts until the control socket ends. In a process of its own it does not return. Otherwise it returns when the
 * model is closed and its threads have ended; the last thing it does is to close its end of the control socket.
 */
void el_host_run(const struct el_host_setup *setup);

#endif
