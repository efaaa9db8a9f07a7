/* SPDX-License-Identifier: Apache-2.0 */
#include "api/internal.h"
#include "api/request_log.h"

#include "base/clock.h"

#include <stdlib.h>

struct el_status *el_api_new(const struct el_api_options *options, struct el_api **api)
{
    struct el_api *new = calloc(1, sizeof *new);
    if (new == NULL)
        return el_status_no_memory();
    if (pthread_mutex_init(&new->mutex, NULL) != 0) {
        free(new);
        return el_status_new(EL_INTERNAL, "the API cannot make its lock");
    }
    struct el_status *status = el_request_log_new(options->log, &new->request_log);
    if (status != NULL) {
        pthread_mutex_destroy(&new->mutex);
        free(new);
        return status;
    }
    new->options = *options;
    new->started_ns = el_now_ns();
    const struct el_grpc_method methods[EL_API_METHODS] = {
        { "/tensorflow.serving.PredictionService/Predict", el_api_grpc_predict, new, false },
        { "/tensorflow.serving.PredictionService/Classify", el_api_grpc_classify, new, false },
        { "/tensorflow.serving.PredictionService/Regress", el_api_grpc_regress, new, false },
        { "/tensorflow.serving.PredictionService/MultiInference", el_api_grpc_multi_inference, new, false },
        { "/tensorflow.serving.PredictionService/GetModelMetadata", el_api_grpc_get_model_metadata, new, false },
        { "/tensorflow.serving.ModelService/GetModelStatus", el_api_grpc_get_model_status, new, false },
        { "/tensorflow.serving.ModelService/HandleReloadConfigRequest", el_api_grpc_reload_config, new, false },
        { "/tensorflow.serving.SessionService/SessionRun", el_api_grpc_session_run, new, false },
        { "/grpc.health.v1.Health/Check", el_api_grpc_health_check, new, false },
        { "/grpc.health.v1.Health/Watch", el_api_grpc_health_watch, new, false },
        { "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", el_api_grpc_reflection, new, true },
        { "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", el_api_grpc_reflection, new, true },
    };
    for (size_t i = 0; i < EL_API_METHODS; i++)
        new->methods[i] = methods[i];
    *api = new;
    return NULL;
}

void el_api_free(struct el_api *api)
{
    el_request_log_free(api->request_log);
    pthread_mutex_destroy(&api->mutex);
    free(api->config);
    free(api);
}

const struct el_grpc_method *el_api_methods(const struct el_api *api, size_t *count)
{
    *count = EL_API_METHODS;
    return api->methods;
}

/* ---- loops ---- */

static void on_wake(uv_async_t *wake)
{
    struct el_api_loop *loop = wake->data;
    struct el_api_watcher *next;
    el_api_reloads_answer(loop);
    el_api_operations_answer(loop);
    for (struct el_api_watcher *watcher = loop->watchers; watcher != NULL; watcher = next) {
        next = watcher->next; /* a watcher may go while it is asked */
        watcher->changed(watcher);
    }
}

struct el_status *el_api_loop_start(struct el_rpc_loop *loop, void *argument)
{
    const struct el_api_place *place = argument;
    struct el_api *api = place->api;
    struct el_api_loop *mine = calloc(1, sizeof *mine);
    if (mine == NULL)
        return el_status_no_memory();
    struct el_status *status = el_counts_init(&mine->counts);
    if (status != NULL) {
        free(mine);
        return status;
    }
    mine->api = api;
    mine->index = place->first_index + loop->index;
    status = el_completions_new(api->options.workers, mine->index, &loop->uv, &mine->completions);
    if (status == NULL) {
        status = el_swap_attach_loop(api->options.swap, mine->completions, &loop->uv, &mine->swap_loop);
        if (status != NULL)
            el_completions_close(mine->completions, NULL, NULL);
    }
    if (status != NULL) {
        el_counts_free(&mine->counts);
        free(mine);
        return status;
    }
    uv_async_init(&loop->uv, &mine->wake, on_wake);
    uv_unref((uv_handle_t *)&mine->wake);
    mine->wake.data = mine;
    loop->user = mine;
    pthread_mutex_lock(&api->mutex);
    api->loops[mine->index] = mine;
    pthread_mutex_unlock(&api->mutex);
    return NULL;
}

/* What goes on for ever would hold the end up. */
void el_api_loop_drain(struct el_rpc_loop *loop, void *argument)
{
    (void)argument;
    struct el_api_loop *mine = loop->user;
    while (mine->watchers != NULL)
        mine->watchers->end(mine->watchers);
}

static void free_loop(void *argument)
{
    struct el_api_loop *loop = argument;
    el_api_free_predicts(loop);
    el_counts_free(&loop->counts);
    free(loop);
}

static void close_completions(void *argument)
{
    struct el_api_loop *loop = argument;
    el_completions_close(loop->completions, free_loop, loop);
}

static void wake_closed(uv_handle_t *handle)
{
    struct el_api_loop *loop = handle->data;
    el_swap_detach_loop(loop->swap_loop, close_completions, loop);
}

void el_api_loop_stop(struct el_rpc_loop *loop, void *argument)
{
    (void)argument;
    struct el_api_loop *mine = loop->user;
    struct el_api *api = mine->api;
    pthread_mutex_lock(&api->mutex);
    api->loops[mine->index] = NULL;
    pthread_mutex_unlock(&api->mutex);
    loop->user = NULL;
    el_api_reloads_answer(mine); /* their calls are gone; none comes any more */
    el_api_operations_answer(mine);
    uv_close((uv_handle_t *)&mine->wake, wake_closed);
}

void el_api_notify(struct el_api *api)
{
    pthread_mutex_lock(&api->mutex);
    for (size_t i = 0; i < EL_MAX_LOOPS; i++) {
        if (api->loops[i] != NULL)
            uv_async_send(&api->loops[i]->wake);
    }
    pthread_mutex_unlock(&api->mutex);
}

void el_api_watch(struct el_api_loop *loop, struct el_api_watcher *watcher)
{
    watcher->previous = NULL;
    watcher->next = loop->watchers;
    if (loop->watchers != NULL)
        loop->watchers->previous = watcher;
    loop->watchers = watcher;
}

void el_api_unwatch(struct el_api_loop *loop, struct el_api_watcher *watcher)
{
    if (watcher->previous != NULL)
        watcher->previous->next = watcher->next;
    else
        loop->watchers = watcher->next;
    if (watcher->next != NULL)
        watcher->next->previous = watcher->previous;
}

void el_api_count_request(struct el_api_loop *loop, enum el_count_call call, struct el_span name, enum el_code code,
                          uint64_t arrived_ns, uint64_t ran_ns)
{
    const struct el_counted counted = {
        .name = name.data,
        .name_size = name.size,
        .call = call,
        .code = code,
        .counted = call != EL_COUNT_GRPC_MULTI_INFERENCE,
        .took_ns = el_now_ns() - arrived_ns,
        .runtime_ns = ran_ns,
    };
    el_counts_add(&loop->counts, &counted);
}

/* ---- state ---- */

void el_api_set_server(struct el_api *api, const struct el_rpc_server *server, uint16_t grpc_port, uint16_t rest_port)
{
    pthread_mutex_lock(&api->mutex);
    api->server = server;
    api->grpc_port = grpc_port;
    api->rest_port = rest_port;
    pthread_mutex_unlock(&api->mutex);
}

void el_api_set_ready(struct el_api *api, bool ready)
{
    atomic_store_explicit(&api->ready, ready, memory_order_relaxed);
    el_api_notify(api);
}

bool el_api_all_serving(const struct el_view *view)
{
    for (size_t i = 0; i < view->model_count; i++) {
        if (view->models[i]->serving < 0)
            return false;
    }
    return true;
}

enum el_tfs_state el_tfs_state(enum el_life_state state)
{
    switch (state) {
    case EL_LIFE_NEW:
    case EL_LIFE_VERIFYING:
        return EL_TFS_START;
    case EL_LIFE_LOADING:
    case EL_LIFE_PROBING:
    case EL_LIFE_READY:
        return EL_TFS_LOADING;
    case EL_LIFE_SERVING:
        return EL_TFS_AVAILABLE;
    case EL_LIFE_DRAINING:
        return EL_TFS_UNLOADING;
    case EL_LIFE_WARM: /* kept for the way back: no client can ask for it any more */
    case EL_LIFE_QUARANTINED:
    case EL_LIFE_END:
        return EL_TFS_END;
    case EL_LIFE_STATES:
        break;
    }
    return EL_TFS_UNKNOWN;
}

const char *el_tfs_state_name(enum el_tfs_state state)
{
    switch (state) {
    case EL_TFS_START:
        return "START";
    case EL_TFS_LOADING:
        return "LOADING";
    case EL_TFS_AVAILABLE:
        return "AVAILABLE";
    case EL_TFS_UNLOADING:
        return "UNLOADING";
    case EL_TFS_END:
        return "END";
    case EL_TFS_UNKNOWN:
        break;
    }
    return "UNKNOWN";
}
