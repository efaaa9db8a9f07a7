/* SPDX-License-Identifier: Apache-2.0 */
#include "api/log_records.h"

#include "api/predict.h"
#include "tensor/predict_json.h"

#include <stdlib.h>
#include <string.h>

static struct el_span span_of(const struct el_buf *buf)
{
    return (struct el_span){ (const char *)buf->data, buf->size };
}

void el_log_grpc(struct el_api_loop *loop, const struct el_request *request, enum el_prediction_kind kind,
                 struct el_grpc_call *call)
{
    if (!el_request_log_takes(loop, request))
        return;
    size_t size;
    const uint8_t *message = el_grpc_message(call, &size);
    el_request_log_add(loop, request, kind, (struct el_span){ (const char *)message, size },
                       span_of(el_grpc_reply_buf(call)));
}

/* ---- REST ---- */

/* The ModelSpec that the URL and the body mean, as field 1: name = 1, version = 2, signature_name = 3, version_label = 4. */
static void put_spec(struct el_buf *buf, const struct el_request *request)
{
    struct el_buf spec = { 0 };
    el_wire_put_bytes(&spec, 1, request->model, request->model_size);
    if (request->has_version) {
        el_wire_put_length(&spec, 2, 1 + el_wire_varint_size((uint64_t)request->version));
        el_wire_put_tag(&spec, 1, EL_WIRE_VARINT);
        el_wire_put_varint(&spec, (uint64_t)request->version);
    }
    if (request->signature_name_size > 0)
        el_wire_put_bytes(&spec, 3, request->signature_name, request->signature_name_size);
    if (request->label != NULL)
        el_wire_put_bytes(&spec, 4, request->label, request->label_size);
    el_wire_put_bytes(buf, 1, spec.data, spec.size);
    buf->failed = buf->failed || spec.failed;
    el_buf_free(&spec);
}

/* An entry of PredictRequest.inputs, field 2: key = 1, value = 2. */
static void put_input(struct el_buf *buf, const char *name, const struct el_tensor *tensor)
{
    const size_t name_size = strlen(name), size = el_tensor_proto_size(tensor, EL_TENSOR_AS_VALUES);
    el_wire_put_length(buf, 2, 1 + el_wire_varint_size(name_size) + name_size + 1 + el_wire_varint_size(size) + size);
    el_wire_put_bytes(buf, 1, name, name_size);
    el_wire_put_length(buf, 2, size);
    el_tensor_proto_write(buf, tensor, EL_TENSOR_AS_VALUES);
}

static struct el_status *decode(struct el_predict_json *json, const struct el_signature *signature)
{
    const struct el_predict_signature names = el_predict_names(signature);
    EL_TRY(el_predict_json_begin(json, &names));
    for (uint32_t i = 0; i < json->input_count; i++)
        json->inputs[i].dtype = signature->inputs[i].dtype;
    EL_TRY(el_predict_json_plan(json, &names, EL_REQUEST_LOG_QUEUE_BYTES));
    for (uint32_t i = 0; i < json->input_count; i++) {
        struct el_predict_json_input *input = &json->inputs[i];
        if (!input->present)
            continue;
        input->data = malloc(input->size > 0 ? input->size : 1);
        if (input->data == NULL)
            return el_status_no_memory();
    }
    return el_predict_json_decode(json);
}

static struct el_status *put_json_inputs(struct el_buf *buf, struct el_http_request *http,
                                         const struct el_signature *signature)
{
    size_t size;
    const uint8_t *body = el_http_body(http, &size);
    struct el_predict_json json;
    struct el_status *status = el_predict_json_open((const char *)body, size, &json);
    if (status == NULL)
        status = decode(&json, signature);
    for (uint32_t i = 0; i < json.input_count; i++) {
        const struct el_predict_json_input *input = &json.inputs[i];
        const struct el_tensor tensor = { input->dtype, input->shape, input->data, input->size };
        if (status == NULL && input->present)
            put_input(buf, signature->inputs[i].name, &tensor);
        free(input->data);
    }
    el_predict_json_free(&json);
    return status;
}

/* PredictRequest: model_spec = 1, inputs = 2. */
static struct el_status *put_predict(struct el_buf *buf, const struct el_request *request, struct el_http_request *http,
                                     const struct el_rest_npy *npy)
{
    const struct el_signature *signature = request->signature;
    put_spec(buf, request);
    if (npy->question) {
        const struct el_npy *array = &npy->array;
        const struct el_tensor tensor = { array->dtype, array->shape, array->data,
                                          array->elements * el_dtype_size(array->dtype) };
        put_input(buf, signature->inputs[0].name, &tensor);
    } else {
        EL_TRY(put_json_inputs(buf, http, signature));
    }
    return el_buf_status(buf);
}

static struct el_status *put_predicted(struct el_buf *buf, const struct el_request *request)
{
    struct el_named_tensor few[EL_API_FEW_OUTPUTS], *outputs;
    uint32_t count;
    char *name = strndup(request->model, request->model_size);
    if (name == NULL)
        return el_status_no_memory();
    struct el_status *status = el_api_named_outputs(request, few, &outputs, &count);
    if (status == NULL) {
        el_predict_response_write(buf, outputs, count, EL_TENSOR_AS_VALUES, name, request->served_version,
                                  request->signature->name);
        el_api_free_outputs(few, outputs);
        status = el_buf_status(buf);
    }
    free(name);
    return status;
}

/* Takes both buffers and status over. */
static void hand_over(struct el_api_loop *loop, const struct el_request *request, enum el_prediction_kind kind,
                      struct el_buf *question, struct el_buf *answer, struct el_status *status)
{
    if (status != NULL)
        el_request_log_lose(loop, request, status);
    else
        el_request_log_add(loop, request, kind, span_of(question), span_of(answer));
    el_buf_free(question);
    el_buf_free(answer);
}

void el_log_rest_predict(struct el_api_loop *loop, const struct el_request *request, struct el_http_request *http,
                         const struct el_rest_npy *npy)
{
    if (!el_request_log_takes(loop, request))
        return;
    struct el_buf question = { 0 }, answer = { 0 };
    struct el_status *status = put_predict(&question, request, http, npy);
    if (status == NULL)
        status = put_predicted(&answer, request);
    hand_over(loop, request, EL_PREDICTION_PREDICT, &question, &answer, status);
}

void el_log_rest_infer(struct el_api_loop *loop, const struct el_infer_task *task, const struct el_infer_result *result)
{
    const struct el_request *request = &task->request;
    if (!el_request_log_takes(loop, request))
        return;
    struct el_buf question = { 0 }, answer = { 0 };
    put_spec(&question, request);
    el_examples_put_input(&question, 2, &task->infer->examples);
    el_infer_put_proto(&answer, 1, result);
    el_infer_put_spec(&answer, 2, task);
    struct el_status *status = el_buf_status(&question);
    if (status == NULL)
        status = el_buf_status(&answer);
    hand_over(loop, request, task->method == EL_CLASSIFY ? EL_PREDICTION_CLASSIFY : EL_PREDICTION_REGRESS, &question,
              &answer, status);
}
