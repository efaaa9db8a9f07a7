/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PredictionService.Predict: the hot path.
 *
 * The message is read in place; inputs go straight from it into the worker's
 * arena, outputs straight from there into the connection's buffer. Memory: one
 * struct per call, kept for the next call of the loop.
 */
#include "api/generation.h"
#include "api/internal.h"
#include "api/log_records.h"
#include "api/origin.h"
#include "api/predict.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define SHORT_NAME 256 /* a model name below it needs no allocation */

struct predict {
    struct el_request request; /* first: a request is a predict */
    struct el_api_loop *loop;
    struct el_grpc_call *call;         /* NULL: the client is gone */
    struct el_predict_request message; /* points into the call's message */
};

static void release(struct predict *predict)
{
    el_predict_request_free(&predict->message);
    predict->request.next = predict->loop->idle_predicts;
    predict->loop->idle_predicts = &predict->request;
}

static struct predict *take(struct el_api_loop *loop)
{
    struct el_request *idle = loop->idle_predicts;
    if (idle == NULL)
        return malloc(sizeof(struct predict));
    loop->idle_predicts = idle->next;
    return (struct predict *)idle;
}

void el_api_free_predicts(struct el_api_loop *loop)
{
    while (loop->idle_predicts != NULL) {
        struct el_request *idle = loop->idle_predicts;
        loop->idle_predicts = idle->next;
        free((struct predict *)idle);
    }
}

static struct el_status *fill(struct el_request *request, struct el_call *call, const struct el_signature *signature,
                              uint32_t *outputs, uint32_t *output_count)
{
    struct predict *predict = (struct predict *)request;
    if (predict->call == NULL)
        return el_status_new(EL_CANCELLED, "the client is gone");
    EL_TRY(el_api_check_predict_method(predict->loop, signature));
    struct el_predict_request *message = &predict->message;
    const struct el_predict_signature names = el_predict_names(signature);
    EL_TRY(el_predict_request_match(message, &names, EL_API_MAX_INPUT_BYTES, outputs, output_count));
    uint32_t next = 0; /* the request's inputs, sorted as the signature's are */
    for (uint32_t i = 0; i < signature->input_count; i++) {
        if (next == message->input_count || message->inputs[next].index != i) {
            EL_TRY(el_api_put_default(signature, i, call)); /* matched: it has one */
            continue;
        }
        const struct el_predict_input *input = &message->inputs[next++];
        void *data;
        EL_TRY(el_call_input(call, i, input->tensor.dtype, &input->tensor.shape, input->tensor.size, &data));
        el_tensor_proto_decode(&input->tensor, data);
    }
    return NULL;
}

static struct el_status *write_response(struct predict *predict, const struct el_named_tensor *outputs, uint32_t count)
{
    const struct el_request *request = &predict->request;
    char few[SHORT_NAME];
    char *name = request->model_size < SHORT_NAME ? few : malloc(request->model_size + 1);
    if (name == NULL)
        return el_status_no_memory();
    memcpy(name, request->model, request->model_size);
    name[request->model_size] = 0;
    struct el_buf *buf = el_grpc_reply_buf(predict->call);
    const enum el_tensor_proto_form form = predict->loop->api->options.outputs_as_content ? EL_TENSOR_AS_CONTENT
                                                                                          : EL_TENSOR_AS_VALUES;
    el_predict_response_write(buf, outputs, count, form, name, request->served_version, request->signature->name);
    if (name != few)
        free(name);
    return el_buf_status(buf);
}

static void count_request(const struct predict *predict, const struct el_status *status, uint64_t ran_ns)
{
    const struct el_request *request = &predict->request;
    el_api_count_request(predict->loop, EL_COUNT_GRPC_PREDICT, (struct el_span){ request->model, request->model_size },
                         el_status_code(status), request->started_ns, ran_ns);
}

static void answer(struct predict *predict, const struct el_status *status)
{
    const uint64_t ran_ns = status == NULL ? el_now_ns() - predict->request.started_ns : 0;
    struct el_named_tensor few[EL_API_FEW_OUTPUTS], *outputs = few;
    uint32_t count = 0;
    struct el_status *failure = NULL;
    if (status == NULL) {
        failure = el_api_named_outputs(&predict->request, few, &outputs, &count);
        status = failure;
    }
    if (status == NULL) {
        failure = write_response(predict, outputs, count);
        status = failure;
    }
    count_request(predict, status, ran_ns); /* the name lies in the message, which goes with the answer */
    if (status == NULL)
        el_log_grpc(predict->loop, &predict->request, EL_PREDICTION_PREDICT, predict->call);
    el_api_put_grpc_generation(predict->call, &predict->request);
    if (status == NULL)
        el_grpc_reply(predict->call);
    else
        el_grpc_fail(predict->call, status);
    if (outputs != NULL)
        el_api_free_outputs(few, outputs);
    el_status_free(failure);
}

static void done(struct el_request *request, const struct el_status *status)
{
    struct predict *predict = (struct predict *)request;
    if (predict->call != NULL)
        answer(predict, status);
    el_request_end(request);
    release(predict);
}

static void cancelled(struct el_grpc_call *call, void *user)
{
    (void)call;
    struct predict *predict = user;
    predict->call = NULL;
    el_request_cancel(&predict->request);
}

static void start(struct predict *predict, uint64_t generation)
{
    const struct el_model_spec *spec = &predict->message.spec;
    predict->request = el_api_request_of(spec);
    predict->request.wanted_generation = generation;
    el_api_grpc_origin(&predict->request, predict->call);
    predict->request.loop = predict->loop->swap_loop;
    predict->request.signature_name = spec->signature_name.data;
    predict->request.signature_name_size = spec->signature_name.size;
    predict->request.deadline_ns = el_grpc_deadline_ns(predict->call);
    predict->request.fill = fill;
    predict->request.done = done;
    el_grpc_set_user(predict->call, predict);
    el_grpc_on_cancel(predict->call, cancelled);
    el_request_start(&predict->request);
}

void el_api_grpc_predict(struct el_grpc_call *call, void *api)
{
    (void)api;
    struct el_api_loop *loop = el_api_grpc_loop(call);
    struct predict *predict = take(loop);
    if (predict == NULL) {
        struct el_status *status = el_status_no_memory();
        el_grpc_fail(call, status);
        return;
    }
    predict->loop = loop;
    predict->call = call;
    size_t size;
    const uint8_t *bytes = el_grpc_message(call, &size);
    struct el_status *status = el_predict_request_parse(bytes, size, &predict->message);
    if (status == NULL && !predict->message.spec.present)
        status = el_status_new(EL_INVALID_ARGUMENT, "Missing ModelSpec");
    uint64_t generation = 0;
    if (status == NULL)
        status = el_api_read_generation(el_grpc_metadata(call, EL_GENERATION_HEADER), &generation);
    if (status == NULL) {
        start(predict, generation);
        return;
    }
    if (el_status_code(status) == EL_INVALID_ARGUMENT) /* what is no message is not counted, as there */
        el_api_count_request(loop, EL_COUNT_GRPC_PREDICT, predict->message.spec.name, EL_INVALID_ARGUMENT, 0, 0);
    el_grpc_fail(call, status);
    el_status_free(status);
    release(predict);
}
