/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/signals.h"

#define EACH 8u          /* of a version that stands, one answer in so many is looked into */
#define LOOKED_AT 16384u /* bytes of each output: a NaN spreads over what is computed from it */

static void add(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static bool is_fault(enum el_code code)
{
    return code == EL_UNKNOWN || code == EL_FAILED_PRECONDITION || code == EL_ABORTED || code == EL_UNIMPLEMENTED ||
           code == EL_INTERNAL || code == EL_DATA_LOSS;
}

static bool is_finite(const struct el_call *call)
{
    const struct el_tensor *outputs;
    const uint32_t count = el_call_outputs(call, &outputs);
    for (uint32_t i = 0; i < count; i++) {
        struct el_tensor part = outputs[i];
        if (part.size > LOOKED_AT)
            part.size = LOOKED_AT;
        if (el_tensor_first_nonfinite(&part) >= 0)
            return false;
    }
    return true;
}

enum el_signal el_signal_of(struct el_servable *servable, const struct el_call *call, const struct el_status *status,
                            bool look)
{
    const unsigned watch = atomic_load_explicit(&servable->watch, memory_order_relaxed);
    struct el_version_stats *stats = &servable->stats;
    if (watch == EL_WATCH_NOT && !look)
        return EL_SIGNAL_GOOD;
    if (status != NULL)
        return is_fault(el_status_code(status)) ? EL_SIGNAL_FAULT : EL_SIGNAL_GOOD;
    if (watch == EL_WATCH_SOME && !look && atomic_load_explicit(&stats->requests, memory_order_relaxed) % EACH != 0)
        return EL_SIGNAL_GOOD;
    add(&stats->checked);
    return is_finite(call) ? EL_SIGNAL_GOOD : EL_SIGNAL_NON_FINITE;
}

bool el_signal_is_certain(enum el_signal signal, const struct el_status *status)
{
    if (signal != EL_SIGNAL_FAULT)
        return signal == EL_SIGNAL_NON_FINITE;
    const enum el_code code = el_status_code(status);
    return code == EL_INTERNAL || code == EL_DATA_LOSS || code == EL_ABORTED;
}

void el_signal_blame(struct el_servable *servable, enum el_signal signal, bool confirmed, bool shared)
{
    struct el_version_stats *stats = &servable->stats;
    if (signal == EL_SIGNAL_FAULT) {
        add(&stats->faults);
        if (shared)
            add(&stats->rollout.faults);
    } else if (signal == EL_SIGNAL_NON_FINITE) {
        add(&stats->non_finite);
        if (shared)
            add(&stats->rollout.non_finite);
        if (confirmed)
            add(&stats->confirmed);
    }
}
