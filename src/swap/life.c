/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One row per state, one column per event; a hole is a move that must not
 * happen. Read a row to know all that can become of a version from there.
 *
 * Three rules shape it. A version that answers clients (SERVING) is never taken
 * away by its own source: only the route table moves it, and the route table
 * moves only towards a version that is READY or WARM. There is no way from
 * QUARANTINED back to NEW: repaired files are another version life, because
 * they have another fingerprint. And what may have a worker ends by way of
 * DRAINING, so that END means that its memory is back.
 */
#include "swap/life.h"

#include <assert.h>
#include <stddef.h>

#define TO(state) (EL_LIFE_##state + 1) /* 0, the hole, means "not allowed" */

/* clang-format off */
static const unsigned char moves[EL_LIFE_STATES][EL_LIFE_EVENTS] = {
    [EL_LIFE_NEW]         = { [EL_LIFE_PASS] = TO(VERIFYING), [EL_LIFE_RETIRE] = TO(END) },
    [EL_LIFE_VERIFYING]   = { [EL_LIFE_ADMIT] = TO(LOADING), [EL_LIFE_FAIL] = TO(QUARANTINED), [EL_LIFE_RETIRE] = TO(END) },
    [EL_LIFE_LOADING]     = { [EL_LIFE_PASS] = TO(PROBING), [EL_LIFE_FAIL] = TO(QUARANTINED), [EL_LIFE_RETIRE] = TO(DRAINING) },
    [EL_LIFE_PROBING]     = { [EL_LIFE_PASS] = TO(READY), [EL_LIFE_FAIL] = TO(QUARANTINED), [EL_LIFE_RETIRE] = TO(DRAINING) },
    [EL_LIFE_READY]       = { [EL_LIFE_ROUTE] = TO(SERVING), [EL_LIFE_FAIL] = TO(QUARANTINED), [EL_LIFE_RETIRE] = TO(DRAINING) },
    [EL_LIFE_SERVING]     = { [EL_LIFE_UNROUTE] = TO(WARM) },
    [EL_LIFE_WARM]        = { [EL_LIFE_ROUTE] = TO(SERVING), [EL_LIFE_FAIL] = TO(QUARANTINED), [EL_LIFE_RETIRE] = TO(DRAINING) },
    [EL_LIFE_DRAINING]    = { [EL_LIFE_IDLE] = TO(END) },
    [EL_LIFE_QUARANTINED] = { [EL_LIFE_RETIRE] = TO(END) },
};
/* clang-format on */

static const char *const state_names[EL_LIFE_STATES] = {
    [EL_LIFE_NEW] = "new",         [EL_LIFE_VERIFYING] = "verifying", [EL_LIFE_LOADING] = "loading",
    [EL_LIFE_PROBING] = "probing", [EL_LIFE_READY] = "ready",         [EL_LIFE_SERVING] = "serving",
    [EL_LIFE_WARM] = "warm",       [EL_LIFE_DRAINING] = "draining",   [EL_LIFE_QUARANTINED] = "quarantined",
    [EL_LIFE_END] = "end",
};

static const char *const event_names[EL_LIFE_EVENTS] = {
    [EL_LIFE_ADMIT] = "admit",     [EL_LIFE_PASS] = "pass",     [EL_LIFE_FAIL] = "fail", [EL_LIFE_ROUTE] = "route",
    [EL_LIFE_UNROUTE] = "unroute", [EL_LIFE_RETIRE] = "retire", [EL_LIFE_IDLE] = "idle",
};

bool el_life_step(enum el_life_state *state, enum el_life_event event)
{
    assert(*state < EL_LIFE_STATES && event < EL_LIFE_EVENTS);
    unsigned to = moves[*state][event];
    if (to == 0)
        return false;
    *state = (enum el_life_state)(to - 1);
    return true;
}

const char *el_life_name(enum el_life_state state)
{
    return state < EL_LIFE_STATES ? state_names[state] : "unknown";
}

const char *el_life_event_name(enum el_life_event event)
{
    return event < EL_LIFE_EVENTS ? event_names[event] : "unknown";
}
