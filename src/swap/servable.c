/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/servable.h"

#include "swap/shadow.h"

#include <stdlib.h>
#include <string.h>

#define AWAITED (UINT64_C(1) << 63)
#define LOBBY_MODEL (UINT32_C(1) << 31)

struct el_servable *el_servable_new(int64_t version)
{
    struct el_servable *servable = calloc(1, sizeof *servable);
    if (servable == NULL)
        return NULL;
    servable->version = version;
    servable->owners = 1;
    return servable;
}

struct el_status *el_servable_learn(struct el_servable *servable, const struct el_signatures *signatures)
{
    struct el_buf bytes = { 0 };
    struct el_status *status = el_signatures_encode(signatures, &bytes);
    if (status == NULL)
        status = el_signatures_decode(bytes.data, bytes.size, &servable->signatures);
    el_buf_free(&bytes);
    servable->has_signatures = status == NULL;
    return status;
}

struct el_status *el_servable_expect(const struct el_servable *servable, const struct el_signatures *signatures,
                                     const char *path)
{
    struct el_buf was = { 0 }, is = { 0 };
    struct el_status *status = el_signatures_encode(&servable->signatures, &was);
    if (status == NULL)
        status = el_signatures_encode(signatures, &is);
    if (status == NULL && (was.size != is.size || memcmp(was.data, is.data, is.size) != 0))
        status = el_status_new(EL_FAILED_PRECONDITION,
                               "the files in %s have other signatures now than when they were loaded", path);
    el_buf_free(&was);
    el_buf_free(&is);
    return status;
}

static void servable_free(struct el_servable *servable)
{
    if (servable->has_signatures)
        el_signatures_free(&servable->signatures);
    el_reservoir_free(servable->reservoir);
    el_shadow_queue_free(atomic_load_explicit(&servable->shadow, memory_order_relaxed));
    free(servable);
}

void el_servable_own(struct el_servable *servable)
{
    servable->owners++;
}

bool el_servable_is_idle(const struct el_servable *servable)
{
    /* Acquire: what the last request did with the servable comes before it is freed. */
    return (atomic_load_explicit(&servable->pins, memory_order_acquire) & ~AWAITED) == 0;
}

bool el_servable_await_idle(struct el_servable *servable)
{
    uint64_t before = atomic_fetch_or_explicit(&servable->pins, AWAITED, memory_order_acq_rel);
    return (before & ~AWAITED) == 0;
}

void el_servable_disown(struct el_servable *servable, struct el_list *lingering)
{
    if (--servable->owners > 0)
        return;
    if (el_servable_await_idle(servable))
        servable_free(servable);
    else
        el_list_add_before(&servable->in_lingering, lingering);
}

void el_servable_sweep(struct el_list *lingering)
{
    struct el_servable *servable, *next;
    el_list_each_safe(servable, next, lingering, in_lingering)
    {
        if (!el_servable_is_idle(servable))
            continue;
        el_list_remove(&servable->in_lingering);
        servable_free(servable);
    }
}

void el_servable_pin(struct el_servable *servable)
{
    /* Relaxed: the read section orders it before the grace period that a reader of pins has waited for. */
    atomic_fetch_add_explicit(&servable->pins, 1, memory_order_relaxed);
}

bool el_servable_unpin(struct el_servable *servable)
{
    /* Release: the swap thread that then finds 0 may free what this request used. */
    return atomic_fetch_sub_explicit(&servable->pins, 1, memory_order_acq_rel) == (AWAITED | 1);
}

struct el_lobby *el_lobby_new(void)
{
    struct el_lobby *lobby = calloc(1, sizeof *lobby);
    if (lobby != NULL)
        atomic_store_explicit(&lobby->waiting, LOBBY_MODEL, memory_order_relaxed);
    return lobby;
}

static void leave(struct el_lobby *lobby, uint32_t count)
{
    if (atomic_fetch_sub_explicit(&lobby->waiting, count, memory_order_acq_rel) == count)
        free(lobby);
}

void el_lobby_close(struct el_lobby *lobby)
{
    leave(lobby, LOBBY_MODEL);
}

bool el_lobby_enter(struct el_lobby *lobby)
{
    uint32_t before = atomic_fetch_add_explicit(&lobby->waiting, 1, memory_order_relaxed);
    if ((before & ~LOBBY_MODEL) < EL_LOBBY_SEATS)
        return true;
    leave(lobby, 1);
    return false;
}

void el_lobby_leave(struct el_lobby *lobby)
{
    leave(lobby, 1);
}
