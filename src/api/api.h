/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_API_H
#define EL_API_API_H

/*
 * The room's door: what clients and operators speak. One file per surface:
 *
 *     grpc_predict.c   PredictionService.Predict
 *     grpc_infer.c     PredictionService.Classify, Regress; grpc_multi_inference.c: MultiInference
 *     grpc_model.c     PredictionService.GetModelMetadata, ModelService.GetModelStatus
 *     grpc_reload.c    ModelService.HandleReloadConfigRequest
 *     grpc_session.c   SessionService.SessionRun
 *     grpc_health.c    grpc.health.v1.Health; grpc_reflection.c: grpc.reflection.v1 and v1alpha
 *     rest.c           which URL means what; rest_predict.c, rest_infer.c, rest_model.c answer
 *     metrics.c        /metrics; monitoring.c: the same with TensorFlow Serving's names
 *     admin.c          /admin/v1/..., on the Unix socket, and with a token on --admin_port; admin_*.c answer
 *
 * Handlers run on the event-loop thread of their connection. An el_api is made
 * and freed on the main thread, before the servers start and after they ended;
 * in between it is read only, but for counters.
 */

#include "base/status.h"
#include "rpc/rpc.h"
#include "swap/swap.h"
#include "worker/worker.h"

#include <stdint.h>

struct el_api;
struct el_api_reload;  /* reload.h */
struct el_api_operate; /* operate.h */

struct el_api_options {
    struct el_swap *swap;
    struct el_workers *workers;
    const struct el_log *log;
    uint32_t rest_timeout_ms;    /* of a REST inference; 0: none */
    const char *monitoring_path; /* of the metrics with TensorFlow Serving's names; NULL: none. Outlives the api */
    bool allow_origins;          /* --rest_api_enable_cors_support */
    bool outputs_as_content;     /* --enable_serialization_as_tensor_content */
    bool check_method_names;     /* --enable_signature_method_name_check */
    /* Takes a config that a client wants in force; ends it with el_api_reload_done(). Called on event loops. */
    void (*reload)(struct el_api_reload *reload, void *argument);
    void *reload_argument;
    /* Takes an operation that an operator asks for; ends it with el_api_operate_done(). Called on event loops. */
    void (*operate)(struct el_api_operate *asked, void *argument);
    void *operate_argument;
    const char *state_dir; /* where the history is; NULL: none is kept. Outlives the api */
    const char
        *admin_token; /* that the admin API on a TCP port asks for; NULL: there is no such port. Outlives the api */
};

struct el_status *el_api_new(const struct el_api_options *options, struct el_api **api) EL_MUST_USE;
void el_api_free(struct el_api *api);

/*
 * What each event loop of a server needs before it answers: completions and swap loop, kept in loop->user. first_index: of the
 * completion queue of the server's loop 0. For el_rpc_options.on_loop_start, on_loop_drain and on_loop_stop, with an el_api_place as argument.
 */
struct el_api_place {
    struct el_api *api;
    uint32_t first_index;
};
struct el_status *el_api_loop_start(struct el_rpc_loop *loop, void *place);
void el_api_loop_drain(struct el_rpc_loop *loop, void *place);
void el_api_loop_stop(struct el_rpc_loop *loop, void *place);

/* The gRPC methods, for el_rpc_options; they live as long as api. */
const struct el_grpc_method *el_api_methods(const struct el_api *api, size_t *count);

/* Handlers for el_listener, with the el_api as argument: REST and /metrics; and the same with the admin API beside them. */
void el_api_http(struct el_http_request *request, void *api);
void el_api_admin_http(struct el_http_request *request, void *api);
/* The last, for a TCP port: only for who shows the token. */
void el_api_admin_port_http(struct el_http_request *request, void *api);

/* The public server, once it listens: for the admin status and /metrics. NULL again before it is joined. */
void el_api_set_server(struct el_api *api, const struct el_rpc_server *server, uint16_t grpc_port, uint16_t rest_port);

/* The models' config in force, for the admin API: text (taken over) in text format, and a constant that says where it is from. */
void el_api_set_config(struct el_api *api, char *text, const char *from);

/* Readiness: false while starting and draining; health says so, whatever the models do. */
void el_api_set_ready(struct el_api *api, bool ready);

/* Something changed in the swap (an event): wakes health watchers and followers. Swap thread. */
void el_api_notify(struct el_api *api);

#endif
