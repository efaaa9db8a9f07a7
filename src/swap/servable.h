/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_SERVABLE_H
#define EL_SWAP_SERVABLE_H

/*
 * A servable: what a request is led to. It is one life of one version as event
 * loops see it: its signatures, its counters, and the worker that answers for it now.
 *
 * Made and freed on the swap thread. Owners are the version and the views that
 * show it; pins are requests that started with it. It is freed when it has neither.
 * A pin is taken inside an RCU read section, from a view; so once
 * the views that show a servable are gone, pins only fall.
 *
 * The worker pointer is read inside a read section, up to and including
 * el_call_begin(): from there on the call keeps the worker alive. A worker is freed a grace period
 * after it was taken out of here.
 */

#include "bundle/signature.h"
#include "swap/list.h"
#include "swap/reservoir.h"
#include "swap/swap.h"

#include <stdatomic.h>
#include <stdbool.h>

struct el_shadow_queue;

struct el_servable {
    int64_t version;
    unsigned owners;             /* swap thread */
    struct el_list in_lingering; /* swap thread; owners is 0 and pins are left */
    bool has_signatures;         /* set before any request is led here */
    bool keeps_state;            /* likewise; only clients may run it while it serves */
    _Atomic uint8_t watch; /* enum el_watch (signals.h): written by the swap thread, read by event loops, relaxed */
    struct el_signatures signatures;
    struct el_reservoir *reservoir;           /* set before any request is led here; owned; NULL: none is kept */
    _Atomic(struct el_shadow_queue *) shadow; /* shadow.h; owned; NULL: it never was shadowed */
    struct el_version_stats stats;
    _Atomic(struct el_worker *) worker; /* NULL: it died and another is being started */
    _Atomic uint64_t pins;              /* requests; the highest bit says that a fall to 0 is waited for */
};

struct el_servable *el_servable_new(int64_t version);

/* Takes a copy of what a worker can be asked. Swap thread, once, before the servable is routed to. */
struct el_status *el_servable_learn(struct el_servable *servable, const struct el_signatures *signatures) EL_MUST_USE;

/* FAILED_PRECONDITION unless signatures are the ones it has learned: another worker may go on for it. path: for the message. */
struct el_status *el_servable_expect(const struct el_servable *servable, const struct el_signatures *signatures,
                                     const char *path) EL_MUST_USE;

void el_servable_own(struct el_servable *servable);

/* The last owner's goodbye frees it, or leaves it in lingering until el_servable_sweep() finds it without pins. */
void el_servable_disown(struct el_servable *servable, struct el_list *lingering);
void el_servable_sweep(struct el_list *lingering);

/* Inside a read section; any thread. */
void el_servable_pin(struct el_servable *servable);

/* Any thread. True if that was the last pin and somebody waits for it: wake the swap thread. servable may be gone then. */
bool el_servable_unpin(struct el_servable *servable);

/* Swap thread: from now on unpin tells when it is the last. True if no pin is left already. */
bool el_servable_await_idle(struct el_servable *servable);
bool el_servable_is_idle(const struct el_servable *servable);

/* ---- the lobby of a model: how many requests wait for a worker ---- */

#define EL_LOBBY_SEATS 512 /* what a worker's queue takes at once when it is there */

/* Owned by the model and by those who wait: it goes with the last of them. */
struct el_lobby {
    _Atomic uint32_t waiting; /* and EL_LOBBY_MODEL while the model exists */
};

struct el_lobby *el_lobby_new(void);
void el_lobby_close(struct el_lobby *lobby); /* the model's goodbye; swap thread, after a grace period */

/* Inside a read section. False: full. */
bool el_lobby_enter(struct el_lobby *lobby);
void el_lobby_leave(struct el_lobby *lobby);

#endif
