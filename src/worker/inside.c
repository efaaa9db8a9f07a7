/* SPDX-License-Identifier: Apache-2.0 */

/*
 * EL_ISOLATION_NONE: the host on threads of this process.
 *
 * It gets its own descriptors, its own mapping of the shared memory and its own reference to the engine, as a worker
 * process would. So a host whose engine hangs can be left behind: the front forgets it, and it cleans up by itself if
 * its engine ever returns. What cannot be had without a process: surviving a crash, a limit on memory, an end by
 * force.
 */

#include "worker/internal.h"

#include "worker/host.h"
#include "worker/priority.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void *host_main(void *argument)
{
    struct el_host_setup *setup = argument;
    el_host_run(setup);
    free(setup);
    return NULL;
}

static void give_up(struct el_host_setup *setup)
{
    for (uint32_t i = 0; setup->eventfds != NULL && i < setup->lanes; i++)
        if (setup->eventfds[i] >= 0)
            close(setup->eventfds[i]);
    free(setup->eventfds);
    el_engine_release(setup->engine);
    free(setup);
}

static struct el_status *copy_eventfds(const struct el_worker *worker, struct el_host_setup *setup)
{
    setup->eventfds = malloc(setup->lanes * sizeof *setup->eventfds);
    if (setup->eventfds == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < setup->lanes; i++)
        setup->eventfds[i] = -1;
    for (uint32_t i = 0; i < setup->lanes; i++) {
        setup->eventfds[i] = fcntl(worker->eventfds[i], F_DUPFD_CLOEXEC, 0);
        if (setup->eventfds[i] < 0)
            return el_status_errno(errno, "an eventfd cannot be duplicated");
    }
    return NULL;
}

struct el_status *el_worker_start_inside(struct el_worker *worker)
{
    struct el_host_setup *setup = calloc(1, sizeof *setup);
    if (setup == NULL)
        return el_status_no_memory();
    setup->lanes = worker->shm.lane_count;
    struct el_status *status = el_workers_engine(worker->workers, worker->engine_name, &setup->engine);
    if (status == NULL)
        status = copy_eventfds(worker, setup);
    if (status != NULL) {
        give_up(setup);
        return status;
    }
    setup->control = worker->peer_control;
    setup->memory = worker->memory;
    /* A process with many models has many threads: they are only listed where el_worker_promote() will ask for them. */
    if (worker->options.idle_priority)
        worker->threads_before = el_priority_threads(0, &worker->threads_before_count);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_t thread;
    const int error = pthread_create(&thread, &attributes, host_main, setup);
    pthread_attr_destroy(&attributes);
    if (error != 0) {
        give_up(setup);
        return el_status_errno(error, "a thread to host %s cannot be started", worker->model);
    }
    /* They are the host's now. */
    worker->peer_control = -1;
    worker->memory = -1;
    return NULL;
}
