/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_INTERNAL_H
#define EL_API_INTERNAL_H

/* What the files of this room share. */

#include "api/api.h"
#include "api/counts.h"

#include "tensor/predict_proto.h"
#include "tensor/wire.h"

#include <pthread.h>
#include <stdatomic.h>

struct el_api_watcher; /* a Health.Watch call or a follower of events, on one loop */

/* One event loop's part: in el_rpc_loop.user. Its own thread's, but for `wake`. */
struct el_api_loop {
    struct el_api *api;
    struct el_completions *completions;
    struct el_swap_loop *swap_loop;
    uv_async_t wake;                   /* el_api_notify() to this loop */
    struct el_api_watcher *watchers;   /* asked on each wake-up */
    struct el_request *idle_predicts;  /* memory of ended gRPC Predicts, for the next ones */
    struct el_api_reload *reloads;     /* decided, to be answered; guarded by api->mutex */
    struct el_api_operate *operations; /* the same */
    uint32_t index;                    /* in api->loops */
    uint64_t log_random;               /* draws the requests that are logged; 0: not seeded yet */
    struct el_counts counts;           /* this thread's to change */
};

/* Counts a request that is about to be answered: the name is the client's. ran_ns 0: it did not run. */
void el_api_count_request(struct el_api_loop *loop, enum el_count_call call, struct el_span name, enum el_code code,
                          uint64_t arrived_ns, uint64_t ran_ns);

/* Gives that memory back. */
void el_api_free_predicts(struct el_api_loop *loop);

#define EL_API_METHODS 12

struct el_api {
    struct el_api_options options;
    struct el_grpc_method methods[EL_API_METHODS];
    struct el_request_log *request_log;
    _Atomic bool ready;
    uint64_t started_ns;

    pthread_mutex_t mutex; /* guards what follows; held for a few instructions */
    const struct el_rpc_server *server;
    uint16_t grpc_port, rest_port;
    struct el_api_loop *loops[EL_MAX_LOOPS];
    unsigned reload_count;    /* handed over and not decided */
    unsigned operation_count; /* likewise */
    char *config;             /* owned: the config in force, as text; NULL before it is known */
    const char *config_from;
};

/* ---- watchers: somebody who wants to hear of changes, on a loop's thread ---- */

struct el_api_watcher {
    void (*changed)(struct el_api_watcher *watcher);
    void (*end)(struct el_api_watcher *watcher); /* the server drains: unwatch, and end the call or request */
    struct el_api_watcher *next, *previous;
};

void el_api_watch(struct el_api_loop *loop, struct el_api_watcher *watcher);
void el_api_unwatch(struct el_api_loop *loop, struct el_api_watcher *watcher);

static inline struct el_api_loop *el_api_grpc_loop(struct el_grpc_call *call)
{
    return el_grpc_loop(call)->user;
}

static inline struct el_api_loop *el_api_http_loop(struct el_http_request *request)
{
    return el_http_loop(request)->user;
}

/* A counter's value now: a reader wants recent figures, not an instant's. */
static inline uint64_t el_api_count(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* A request to what spec names; the rest of it is zero. spec's texts stay whose they are. */
static inline struct el_request el_api_request_of(const struct el_model_spec *spec)
{
    return (struct el_request){
        .model = spec->name.data,
        .model_size = spec->name.size,
        .has_version = spec->has_version,
        .version = spec->version,
        .label = spec->has_label ? spec->label.data : NULL,
        .label_size = spec->label.size,
    };
}

/* For json_dump_callback(): appends to the el_buf; what is lost shows there. */
static inline int el_api_append_json(const char *text, size_t size, void *buf)
{
    el_buf_append(buf, text, size);
    return 0;
}

/* TensorFlow Serving's ModelVersionStatus.State for a state of ours. */
enum el_tfs_state {
    EL_TFS_UNKNOWN = 0,
    EL_TFS_START = 10,
    EL_TFS_LOADING = 20,
    EL_TFS_AVAILABLE = 30,
    EL_TFS_UNLOADING = 40,
    EL_TFS_END = 50
};
enum el_tfs_state el_tfs_state(enum el_life_state state);
const char *el_tfs_state_name(enum el_tfs_state state);

/* True if every model of the view has a version that answers. */
bool el_api_all_serving(const struct el_view *view);

/* ---- gRPC handlers; argument: the el_api ---- */
void el_api_grpc_predict(struct el_grpc_call *call, void *api);
void el_api_grpc_classify(struct el_grpc_call *call, void *api);
void el_api_grpc_regress(struct el_grpc_call *call, void *api);
void el_api_grpc_multi_inference(struct el_grpc_call *call, void *api);
void el_api_grpc_get_model_metadata(struct el_grpc_call *call, void *api);
void el_api_grpc_get_model_status(struct el_grpc_call *call, void *api);
void el_api_grpc_session_run(struct el_grpc_call *call, void *api);
void el_api_grpc_reload_config(struct el_grpc_call *call, void *api);
void el_api_grpc_health_check(struct el_grpc_call *call, void *api);
void el_api_grpc_health_watch(struct el_grpc_call *call, void *api);
void el_api_grpc_reflection(struct el_grpc_call *call, void *api);

/* Answers the reloads that came back to the loop. Its thread. */
void el_api_reloads_answer(struct el_api_loop *loop);

/* The same of operations. */
void el_api_operations_answer(struct el_api_loop *loop);

/* ---- REST ---- */

/* What a URL of the REST API names; pieces are decoded and owned by the struct. */
struct el_rest_target {
    char *model; /* NULL: none */
    size_t model_size;
    bool has_version;
    int64_t version;
    char *label; /* NULL: none */
    size_t label_size;
};

/* The first two take the texts of target over and count themselves; the others return what they answered. */
void el_api_rest_predict(struct el_http_request *request, struct el_api *api, struct el_rest_target *target);
void el_api_rest_infer(struct el_http_request *request, struct el_api *api, struct el_rest_target *target,
                       bool regress);
enum el_code el_api_rest_status(struct el_http_request *request, struct el_api *api,
                                const struct el_rest_target *target);
enum el_code el_api_rest_metadata(struct el_http_request *request, struct el_api *api,
                                  const struct el_rest_target *target);
/* True if the path, up to end, is that of the metrics with TensorFlow Serving's names, and is answered. */
bool el_api_monitoring(struct el_http_request *request, struct el_api *api, const char *path, const char *end);
void el_api_metrics(struct el_http_request *request, struct el_api *api);
/* Appends what it answers. */
void el_api_put_metrics(struct el_buf *out, struct el_api *api);
/* Appends what came of new versions (swap_metrics.c). */
void el_api_put_swaps(struct el_buf *out, const struct el_view *view);
/* Appends the metrics of runs (run_metrics.c). */
void el_api_put_runs(struct el_buf *out, const struct el_workers *workers);
/* Appends the metrics of batches (batch_metrics.c). */
void el_api_put_batching(struct el_buf *out, const struct el_batch_stats *stats);

/* True if the path is /livez, /readyz or /readyz/MODEL, and is answered (ready.c). */
bool el_api_ready(struct el_http_request *request, struct el_api *api, const char *path, const char *end);

/* Answers {"error": "..."} with the HTTP status of status's code. Ends the request; status stays the caller's. */
void el_api_rest_fail(struct el_http_request *request, const struct el_status *status);
void el_api_rest_fail_as(struct el_http_request *request, unsigned http_code, const struct el_status *status);
unsigned el_api_http_code(enum el_code code);

/* A copy of text with %XX replaced; a `%` that starts none stays; a zero byte behind it. NULL without memory. */
char *el_api_percent_decode(const char *text, size_t size, size_t *decoded_size);

/* True if target was one of the admin API's and is answered. */
bool el_api_admin(struct el_http_request *request, struct el_api *api);

#endif
