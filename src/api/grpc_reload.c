/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ModelService.HandleReloadConfigRequest: the request is read here, the config in
 * it by the swap thread, who knows the one in force.
 *
 * metric_names are answered with an increase of zero each: the counters that
 * TensorFlow names there are not Everlit's.
 */
#include "api/internal.h"
#include "api/reload.h"

#include "tensor/wire.h"

#include <stdlib.h>

#define MAX_WAITING 64 /* reloads at the same time; each waits for those before it */

static void free_reload(struct el_api_reload *reload)
{
    el_buf_free(&reload->config);
    el_buf_free(&reload->metrics);
    el_status_free(reload->status);
    free(reload);
}

static void put_metric(struct el_buf *buf, struct el_span name)
{
    struct el_buf inside = { 0 };
    if (name.size > 0)
        el_wire_put_bytes(&inside, 1, name.data, name.size);
    el_wire_put_bytes(buf, 2, inside.data, inside.size);
    buf->failed = buf->failed || inside.failed;
    el_buf_free(&inside);
}

/* False: malformed. A config that comes twice is merged: its bytes are joined. */
static bool parse(struct el_grpc_call *call, struct el_api_reload *reload)
{
    size_t size;
    const uint8_t *bytes = el_grpc_message(call, &size);
    struct el_wire wire = el_wire_of(bytes, size);
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        struct el_span span;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (number == 1 && type == EL_WIRE_BYTES) {
            if (!el_wire_span(&wire, &span))
                return false;
            el_buf_append(&reload->config, span.data, span.size);
        } else if (number == 2 && type == EL_WIRE_BYTES) {
            if (!el_wire_text(&wire, &span))
                return false;
            put_metric(&reload->metrics, span);
        } else if (!el_wire_skip(&wire, number, type)) {
            return false;
        }
    }
    return true;
}

static void answer(struct el_api_reload *reload)
{
    if (reload->call == NULL)
        return;
    if (reload->status != NULL) {
        el_grpc_fail(reload->call, reload->status);
        return;
    }
    struct el_buf *buf = el_grpc_reply_buf(reload->call);
    el_wire_put_bytes(buf, 1, NULL, 0); /* status: OK */
    el_buf_append(buf, reload->metrics.data, reload->metrics.size);
    el_grpc_reply(reload->call);
}

void el_api_reloads_answer(struct el_api_loop *loop)
{
    struct el_api *api = loop->api;
    pthread_mutex_lock(&api->mutex);
    struct el_api_reload *reload = loop->reloads;
    loop->reloads = NULL;
    pthread_mutex_unlock(&api->mutex);
    while (reload != NULL) {
        struct el_api_reload *next = reload->next;
        answer(reload);
        free_reload(reload);
        reload = next;
    }
}

void el_api_reload_done(struct el_api_reload *reload, struct el_status *status)
{
    struct el_api *api = reload->api;
    reload->status = status;
    pthread_mutex_lock(&api->mutex);
    api->reload_count--;
    struct el_api_loop *loop = api->loops[reload->loop];
    if (loop != NULL) {
        reload->next = loop->reloads;
        loop->reloads = reload;
        uv_async_send(&loop->wake); /* under the lock: the loop is not closed meanwhile */
    }
    pthread_mutex_unlock(&api->mutex);
    if (loop == NULL)
        free_reload(reload);
}

static void cancelled(struct el_grpc_call *call, void *user)
{
    (void)call;
    struct el_api_reload *reload = user;
    reload->call = NULL; /* the config is put in force all the same */
}

static struct el_status *take_place(struct el_api *api)
{
    pthread_mutex_lock(&api->mutex);
    const bool full = api->reload_count == MAX_WAITING;
    if (!full)
        api->reload_count++;
    pthread_mutex_unlock(&api->mutex);
    return full ? el_status_new(EL_RESOURCE_EXHAUSTED, "%d config reloads wait already", MAX_WAITING) : NULL;
}

static struct el_status *start(struct el_api *api, struct el_grpc_call *call, struct el_api_reload *reload)
{
    if (!parse(call, reload))
        return el_status_new(EL_INTERNAL, "%s", ""); /* what gRPC's own parser answers */
    EL_TRY(el_buf_status(&reload->config));
    EL_TRY(el_buf_status(&reload->metrics));
    EL_TRY(take_place(api));
    reload->api = api;
    reload->loop = el_api_grpc_loop(call)->index;
    reload->call = call;
    el_grpc_set_user(call, reload);
    el_grpc_on_cancel(call, cancelled);
    api->options.reload(reload, api->options.reload_argument);
    return NULL;
}

void el_api_grpc_reload_config(struct el_grpc_call *call, void *argument)
{
    struct el_api *api = argument;
    struct el_api_reload *reload = calloc(1, sizeof *reload);
    struct el_status *status = reload == NULL ? el_status_no_memory() : start(api, call, reload);
    if (status == NULL)
        return;
    el_grpc_fail(call, status);
    el_status_free(status);
    if (reload != NULL)
        free_reload(reload);
}
