/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runs that never end.
 *
 * A call is answered at its deadline, whatever its worker does; but the run goes on, and where it never ends, the runner is
 * lost, and with the last runner the version: it looks healthy and answers nobody. So a run that goes on for
 * hang_timeout_ms after its deadline has its worker killed. What else the worker had is then replayed like after any death.
 *
 * A call that only waits behind others hangs with nobody: it is the run at the runner that counts, which says so in the slot
 * (started). A worker in which a call is overdue and that runs nothing at all has stopped taking calls: that counts, too.
 */

#include "worker/internal.h"

#include "base/clock.h"

#define LOOK_AGAIN_NS (1 * EL_NS_PER_S)

uint64_t el_call_hung_ns(const struct el_call *call)
{
    const struct el_worker_options *options = &call->worker->options;
    if (options->hang_timeout_ms == 0 || (call->deadline_ns == EL_NEVER_NS && options->max_run_ms == 0))
        return EL_NEVER_NS;
    const uint64_t deadline_ns = call->deadline_ns != EL_NEVER_NS
                                     ? call->deadline_ns
                                     : el_after_ns(call->submitted_ns, options->max_run_ms * EL_NS_PER_MS);
    return el_after_ns(deadline_ns, options->hang_timeout_ms * EL_NS_PER_MS);
}

/* When its run began; 0: it has not. A worker that lies about it only lets its own calls wait. */
static uint64_t started_ns(const struct el_call *call)
{
    struct el_shm_slot *slot = &call->worker->shm.slots[call->slot];
    /* Acquire: the time is that of this generation. */
    const uint32_t started = atomic_load_explicit(&slot->started, memory_order_acquire);
    const uint64_t expected = atomic_load_explicit(&call->expected, memory_order_relaxed);
    if (started == 0 || (uint32_t)expected != started)
        return 0;
    return atomic_load_explicit(&slot->started_ns, memory_order_relaxed);
}

static bool runs_nothing(const struct el_worker *worker)
{
    for (uint32_t i = 0; i < worker->shm.slot_count; i++)
        if (started_ns(&worker->calls[i]) != 0)
            return false;
    return true;
}

static struct el_status *reason(const struct el_call *call, bool run)
{
    const struct el_worker *worker = call->worker;
    const char *name = call->signature < worker->signatures.count ? worker->signatures.list[call->signature].name
                                                                  : "(tensors by name)";
    const uint32_t grace_ms = worker->options.hang_timeout_ms;
    if (!run)
        return el_status_new(
            EL_DEADLINE_EXCEEDED,
            "a call of signature \"%s\" was not even begun %u ms after its deadline (hang_timeout_ms), and "
            "nothing else ran",
            name, grace_ms);
    if (call->deadline_ns != EL_NEVER_NS)
        return el_status_new(EL_DEADLINE_EXCEEDED,
                             "a run of signature \"%s\" had not ended %u ms after its deadline (hang_timeout_ms)", name,
                             grace_ms);
    return el_status_new(EL_DEADLINE_EXCEEDED,
                         "a run of signature \"%s\" without a deadline had not ended after %u ms (max_run_ms and "
                         "hang_timeout_ms)",
                         name, worker->options.max_run_ms + grace_ms);
}

uint64_t el_call_watch(struct el_call *call, uint64_t now_ns)
{
    struct el_worker *worker = call->worker;
    if (call->lane->dead)
        return EL_NEVER_NS;
    uint64_t hung_ns = el_call_hung_ns(call);
    if (now_ns < hung_ns)
        return hung_ns;
    const uint64_t began_ns = started_ns(call);
    if (began_ns == 0 && !runs_nothing(worker))
        return el_after_ns(now_ns, LOOK_AGAIN_NS);
    /* A run without a deadline has its time from its beginning on, however long it waited for its turn. */
    if (began_ns > call->submitted_ns && call->deadline_ns == EL_NEVER_NS)
        hung_ns = el_after_ns(hung_ns, began_ns - call->submitted_ns);
    if (now_ns < hung_ns)
        return hung_ns - now_ns < LOOK_AGAIN_NS ? hung_ns : el_after_ns(now_ns, LOOK_AGAIN_NS);
    el_worker_kill(worker, reason(call, began_ns != 0));
    return EL_NEVER_NS;
}
