/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runners: threads that take requests from the ring and let the engine run them, one by one (run.c) or, with batching,
 * in batches (batch.c).
 *
 * A runner that runs dry spins, if requests have been following each other closely, and then sleeps: see doorbell.h.
 */

#include "base/clock.h"
#include "base/tsan.h"
#include "worker/batch.h"
#include "worker/doorbell.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

/* ---- waiting ---- */

static bool take(struct el_host *host, uint64_t *message)
{
    if (!el_ring_take_shared(host->shm.requests, host->shm.ring_size, &host->shm.header->head, message))
        return false;
    el_tsan_acquire(host); /* see el_run_complete() */
    return true;
}

/* Looks for a while, if that is worth it. */
static bool look(struct el_host *host, uint64_t *message)
{
    if (atomic_exchange_explicit(&host->spinning, 1, memory_order_acquire) != 0)
        return false;
    uint64_t now = el_now_ns();
    const uint64_t span = el_spin_is_off(&host->spin, now) ? 0 : el_spin_time(&host->spin);
    bool found = false;
    if (span > 0) {
        const uint64_t until = now + span;
        do {
            for (int i = 0; i < 32 && !found; i++) {
                found = take(host, message);
                if (!found)
                    el_cpu_relax();
            }
            if (!found)
                now = el_spin_offer(&host->spin, now);
        } while (!found && now < until && !atomic_load_explicit(&host->stopping, memory_order_relaxed));
        el_spin_result(&host->spin, found);
    }
    atomic_store_explicit(&host->spinning, 0, memory_order_release);
    return found;
}

/* When a runner has to look at the batches again, whether a message comes or not. */
struct watch {
    uint64_t due_ns;
    uint32_t changes; /* the batcher's, when it last looked */
};

static bool has_changed(const struct el_host *host, const struct watch *watch)
{
    return atomic_load(&host->batcher->changes) != watch->changes;
}

/* The next message, or 0: it is time to look at the batches. False: the host stops. */
static bool next(struct el_host *host, const struct watch *watch, uint64_t *message)
{
    if (take(host, message))
        return true;
    bool found = watch->due_ns == EL_NEVER_NS && look(host, message);
    while (!found) {
        if (atomic_load_explicit(&host->stopping, memory_order_acquire))
            return false;
        el_doorbell_enter(host->shm.header);
        found = take(host, message);
        const bool changed = has_changed(host, watch);
        if (found || changed)
            el_doorbell_leave(host->shm.header);
        else
            el_doorbell_wait(host->shm.header, watch->due_ns);
        if (!found)
            found = take(host, message);
        if (!found && (changed || has_changed(host, watch) || watch->due_ns != EL_NEVER_NS)) {
            *message = 0; /* what stands there may be one that another runner took */
            return true;
        }
    }
    el_spin_learn(&host->spin, host->shm.slots[el_ring_slot(*message)].think_ns);
    return true;
}

static void run(struct el_runner *runner, uint32_t slot, uint32_t generation)
{
    struct el_host *host = runner->host;
    const struct el_shm_slot *shared = &host->shm.slots[slot];
    if (shared->batch == 0) {
        el_run_call(runner, slot, generation, NULL);
    } else if (atomic_load_explicit(&host->batching, memory_order_relaxed)) {
        el_batcher_add(host, slot, generation);
    } else {
        el_batch_taken(host, shared->signature, shared->batch);
        el_run_call(runner, slot, generation, NULL);
    }
}

static void act(struct el_runner *runner, uint64_t message)
{
    struct el_host *host = runner->host;
    const uint32_t slot = el_ring_slot(message);
    const uint32_t generation = el_ring_generation(message);
    if (message == 0)
        return;
    switch (el_ring_op(message)) {
    case EL_RING_RUN:
        run(runner, slot, generation);
        break;
    case EL_RING_DELIVER:
        el_run_deliver(host, slot, generation);
        break;
    case EL_RING_DROP:
        el_run_drop(host, slot, generation);
        break;
    default:
        break;
    }
}

/* Moves what is in the ring into batches and runs one that is ready. False: none is; watch says when to look again. */
static bool run_batch(struct el_runner *runner, struct watch *watch)
{
    struct el_host *host = runner->host;
    uint64_t message;
    while (take(host, &message))
        act(runner, message);
    bool more;
    watch->changes = atomic_load(&host->batcher->changes);
    struct el_batch *batch = el_batcher_take(host->batcher, &watch->due_ns, &more);
    if (batch == NULL)
        return false;
    /* While this one is busy another has to mind what is left. */
    if (more || watch->due_ns != EL_NEVER_NS)
        el_doorbell_ring(host->shm.header);
    el_batch_run(runner, batch);
    return true;
}

static bool has_batches(const struct el_host *host)
{
    return atomic_load_explicit(&host->batching, memory_order_relaxed) || atomic_load(&host->batcher->waiting) > 0;
}

static void *runner_main(void *argument)
{
    struct el_runner *runner = argument;
    struct el_host *host = runner->host;
    char name[16];
    snprintf(name, sizeof name, "el-run-%u", runner->index);
    prctl(PR_SET_NAME, name);
    uint64_t message;
    struct watch watch;
    do {
        watch = (struct watch){ .due_ns = EL_NEVER_NS, .changes = atomic_load(&host->batcher->changes) };
        message = 0;
        if (has_batches(host) && run_batch(runner, &watch))
            continue;
        if (!next(host, &watch, &message))
            break;
        act(runner, message);
    } while (true);
    return NULL;
}

/* ---- the group ---- */

struct el_status *el_runners_start(struct el_host *host)
{
    const uint32_t count = host->start.concurrency;
    el_spin_init(&host->spin);
    host->kept = calloc(host->shm.slot_count, sizeof(struct el_kept *));
    host->runners = calloc(count, sizeof *host->runners);
    if (host->kept == NULL || host->runners == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        struct el_runner *runner = &host->runners[i];
        runner->host = host;
        runner->index = i;
        pthread_mutex_init(&runner->lock, NULL);
        const int error = pthread_create(&runner->thread, NULL, runner_main, runner);
        if (error != 0) {
            pthread_mutex_destroy(&runner->lock);
            el_runners_stop(host);
            return el_status_errno(error, "%u threads to run the model cannot be started", count);
        }
        atomic_store_explicit(&host->runner_count, i + 1, memory_order_release);
    }
    return NULL;
}

void el_runners_stop(struct el_host *host)
{
    const uint32_t count = atomic_load_explicit(&host->runner_count, memory_order_acquire);
    atomic_store_explicit(&host->stopping, true, memory_order_release);
    if (count > 0)
        el_doorbell_wake(host->shm.header, count, INT_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct el_runner *runner = &host->runners[i];
        pthread_join(runner->thread, NULL);
        pthread_mutex_destroy(&runner->lock);
        free(runner->inputs);
        free(runner->outputs.list);
        free(runner->wanted);
        free(runner->rows);
        free(runner->called);
        free(runner->share.list);
        free(runner->merged);
    }
    atomic_store_explicit(&host->runner_count, 0, memory_order_release);
    for (uint32_t slot = 0; host->kept != NULL && slot < host->shm.slot_count; slot++) {
        if (host->kept[slot] == NULL)
            continue;
        el_kept_free(host->kept[slot]);
    }
    free(host->kept);
    host->kept = NULL;
    free(host->runners);
    host->runners = NULL;
}

/* A run is cancelled when nobody waits for it any more: the front says so in the slot before it sends the message. */
static bool all_cancelled(const struct el_host *host, const struct el_runner *runner)
{
    for (uint32_t i = 0; i < runner->member_count; i++) {
        const struct el_member *member = &runner->members[i];
        if (atomic_load_explicit(&host->shm.slots[member->slot].cancelled, memory_order_relaxed) != member->generation)
            return false;
    }
    return true;
}

static bool is_for(const struct el_runner *runner, uint32_t slot, uint32_t generation)
{
    for (uint32_t i = 0; i < runner->member_count; i++)
        if (runner->members[i].slot == slot && runner->members[i].generation == generation)
            return true;
    return false;
}

void el_runners_cancel(struct el_host *host, uint32_t slot, uint32_t generation)
{
    const uint32_t count = atomic_load_explicit(&host->runner_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        struct el_runner *runner = &host->runners[i];
        pthread_mutex_lock(&runner->lock);
        if (runner->run != NULL && is_for(runner, slot, generation) && all_cancelled(host, runner))
            host->engine->cancel(host->model, runner->run);
        pthread_mutex_unlock(&runner->lock);
    }
}
