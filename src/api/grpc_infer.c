/* SPDX-License-Identifier: Apache-2.0 */
/* PredictionService.Classify and .Regress: one task on one model. */
#include "api/grpc_infer.h"
#include "api/generation.h"
#include "api/log_records.h"
#include "api/origin.h"

#include "base/clock.h"

static void reply(struct el_infer *infer, const struct el_status *status)
{
    struct el_grpc_call *call = infer->owner;
    const struct el_request *request = &infer->tasks[0].request;
    const uint64_t ran_ns = status == NULL ? el_now_ns() - request->started_ns : 0;
    struct el_infer_result result;
    struct el_status *failure = status == NULL ? el_infer_result(&infer->tasks[0], &result) : NULL;
    if (status == NULL && failure == NULL) {
        struct el_buf *buf = el_grpc_reply_buf(call);
        el_infer_put_proto(buf, 1, &result);
        el_infer_put_spec(buf, 2, &infer->tasks[0]);
        failure = el_buf_status(buf);
    }
    el_api_count_request(infer->loop,
                         infer->tasks[0].method == EL_CLASSIFY ? EL_COUNT_GRPC_CLASSIFY : EL_COUNT_GRPC_REGRESS,
                         (struct el_span){ request->model, request->model_size },
                         el_status_code(status != NULL ? status : failure), request->started_ns, ran_ns);
    if (status == NULL && failure == NULL)
        el_log_grpc(infer->loop, request,
                    infer->tasks[0].method == EL_CLASSIFY ? EL_PREDICTION_CLASSIFY : EL_PREDICTION_REGRESS, call);
    el_api_put_grpc_generation(call, request);
    if (status == NULL && failure == NULL)
        el_grpc_reply(call);
    else
        el_grpc_fail(call, status != NULL ? status : failure);
    el_status_free(failure);
}

static void done(struct el_infer *infer, const struct el_status *status)
{
    if (!infer->cancelled)
        reply(infer, status);
    el_infer_free(infer);
}

static void cancelled(struct el_grpc_call *call, void *user)
{
    (void)call;
    el_infer_cancel(user);
}

void el_grpc_infer_refuse(struct el_infer *infer, struct el_grpc_call *call, struct el_status *status)
{
    el_grpc_fail(call, status);
    el_status_free(status);
    if (infer != NULL)
        el_infer_free(infer);
}

void el_grpc_infer_start(struct el_infer *infer, struct el_grpc_call *call, const struct el_model_spec *spec)
{
    struct el_request request = el_api_request_of(spec);
    struct el_status *status = el_api_read_generation(el_grpc_metadata(call, EL_GENERATION_HEADER),
                                                      &request.wanted_generation);
    if (status != NULL) {
        el_grpc_infer_refuse(infer, call, status);
        return;
    }
    el_api_grpc_origin(&request, call);
    request.deadline_ns = el_grpc_deadline_ns(call);
    infer->owner = call;
    el_grpc_set_user(call, infer);
    el_grpc_on_cancel(call, cancelled);
    el_infer_start(infer, &request);
}

static void infer_one(struct el_grpc_call *call, enum el_infer_method method)
{
    struct el_infer *infer = el_infer_new(el_api_grpc_loop(call), 1);
    if (infer == NULL) {
        el_grpc_infer_refuse(NULL, call, el_status_no_memory());
        return;
    }
    struct el_model_spec spec = { 0 };
    size_t size;
    const uint8_t *bytes = el_grpc_message(call, &size);
    if (!el_inference_request_read(el_wire_of(bytes, size), &spec, NULL, &infer->examples)) {
        /* Without a text: what gRPC's own parser answers. */
        el_grpc_infer_refuse(infer, call,
                             el_examples_failed(&infer->examples) ? el_status_no_memory()
                                                                  : el_status_new(EL_INTERNAL, "%s", ""));
        return;
    }
    if (!spec.present) {
        el_api_count_request(infer->loop, method == EL_CLASSIFY ? EL_COUNT_GRPC_CLASSIFY : EL_COUNT_GRPC_REGRESS,
                             el_span_text(""), EL_INVALID_ARGUMENT, 0, 0);
        el_grpc_infer_refuse(infer, call, el_status_new(EL_INVALID_ARGUMENT, "Missing ModelSpec"));
        return;
    }
    infer->done = done;
    infer->tasks[0].method = method;
    infer->tasks[0].signature_name = spec.signature_name;
    el_grpc_infer_start(infer, call, &spec);
}

void el_api_grpc_classify(struct el_grpc_call *call, void *api)
{
    (void)api;
    infer_one(call, EL_CLASSIFY);
}

void el_api_grpc_regress(struct el_grpc_call *call, void *api)
{
    (void)api;
    infer_one(call, EL_REGRESS);
}
