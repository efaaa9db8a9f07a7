/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.health.v1.Health, Check and Watch (grpc/health/v1/health.proto).
 *
 * A service is "" (the server: every model has a version that answers), one of the
 * two names that TensorFlow Serving registers (without their package), or the name of a
 * model.
 */
#include "api/internal.h"

#include "tensor/wire.h"

#include <stdlib.h>
#include <string.h>

enum serving_status { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

#define SERVICE_BYTES 1024

/* HealthCheckRequest: string service = 1. The last one counts; longer than any model's name is unknown. */
static struct el_status *read_service(struct el_grpc_call *call, char service[SERVICE_BYTES])
{
    size_t size;
    const uint8_t *message = el_grpc_message(call, &size);
    struct el_wire wire = el_wire_of(message, size);
    service[0] = 0;
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        struct el_span name;
        if (!el_wire_tag(&wire, &number, &type))
            return el_status_new(EL_INTERNAL, "%s", ""); /* what gRPC's own parser answers */
        if (number != 1 || type != EL_WIRE_BYTES) {
            if (!el_wire_skip(&wire, number, type))
                return el_status_new(EL_INTERNAL, "%s", "");
            continue;
        }
        if (!el_wire_text(&wire, &name))
            return el_status_new(EL_INTERNAL, "%s", "");
        if (name.size >= SERVICE_BYTES)
            return el_status_new(EL_NOT_FOUND, "service name unknown");
        memcpy(service, name.data, name.size);
        service[name.size] = 0;
    }
    return NULL;
}

static enum serving_status status_of(struct el_api *api, const char *service)
{
    static const char *const services[] = { "", "PredictionService", "ModelService" };
    const struct el_view *view = el_view_get(api->options.swap);
    enum serving_status status = SERVICE_UNKNOWN;
    const struct el_model_view *model = el_view_model(view, service, strlen(service));
    if (model != NULL) {
        status = model->serving >= 0 ? SERVING : NOT_SERVING;
    } else {
        for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
            /* Of the server, "", readiness; a service is there as long as it answers, as TensorFlow Serving has it. */
            if (strcmp(service, services[i]) == 0)
                status = *service != 0 || el_api_all_serving(view) ? SERVING : NOT_SERVING;
        }
    }
    el_view_put(api->options.swap, view);
    if (status == SERVING && !atomic_load_explicit(&api->ready, memory_order_relaxed))
        return NOT_SERVING;
    return status;
}

static void write_status(struct el_grpc_call *call, enum serving_status status)
{
    el_wire_put_uint(el_grpc_reply_buf(call), 1, (uint64_t)status);
}

void el_api_grpc_health_check(struct el_grpc_call *call, void *api)
{
    char service[SERVICE_BYTES];
    struct el_status *status = read_service(call, service);
    if (status == NULL) {
        const enum serving_status serving = status_of(api, service);
        if (serving != SERVICE_UNKNOWN) {
            write_status(call, serving);
            el_grpc_reply(call);
            return;
        }
        status = el_status_new(EL_NOT_FOUND, "service name unknown");
    }
    el_grpc_fail(call, status);
    el_status_free(status);
}

/* ---- Watch: the status now, and again whenever it changes ---- */

struct watch {
    struct el_api_watcher watcher; /* first: a watcher is a watch */
    struct el_api_loop *loop;
    struct el_grpc_call *call;
    enum serving_status last;
    char service[SERVICE_BYTES];
};

static void watch_changed(struct el_api_watcher *watcher)
{
    struct watch *watch = (struct watch *)watcher;
    const enum serving_status now = status_of(watch->loop->api, watch->service);
    if (now == watch->last)
        return;
    watch->last = now;
    write_status(watch->call, now);
    el_grpc_send(watch->call);
}

static void watch_drained(struct el_api_watcher *watcher)
{
    struct watch *watch = (struct watch *)watcher;
    struct el_grpc_call *call = watch->call;
    el_api_unwatch(watch->loop, watcher);
    free(watch);
    struct el_status *status = el_status_new(EL_UNAVAILABLE, "the server is stopping");
    el_grpc_fail(call, status);
    el_status_free(status);
}

static void watch_ended(struct el_grpc_call *call, void *user)
{
    (void)call;
    struct watch *watch = user;
    el_api_unwatch(watch->loop, &watch->watcher);
    free(watch);
}

void el_api_grpc_health_watch(struct el_grpc_call *call, void *api)
{
    (void)api;
    struct el_status *status;
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        status = el_status_no_memory();
    } else {
        status = read_service(call, watch->service);
        if (status == NULL) {
            watch->loop = el_api_grpc_loop(call);
            watch->call = call;
            watch->watcher.changed = watch_changed;
            watch->watcher.end = watch_drained;
            el_grpc_set_user(call, watch);
            el_grpc_on_cancel(call, watch_ended);
            el_api_watch(watch->loop, &watch->watcher);
            watch_changed(&watch->watcher);
            return;
        }
        free(watch);
    }
    el_grpc_fail(call, status);
    el_status_free(status);
}
