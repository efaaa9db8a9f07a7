/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST :predict. The body is checked before the model is looked up, as
 * TensorFlow Serving does; its numbers go straight into the worker's arena. Bodies
 * and answers that are arrays of NumPy: rest_npy.c.
 */
#include "api/generation.h"
#include "api/internal.h"
#include "api/log_records.h"
#include "api/origin.h"
#include "api/predict.h"
#include "api/rest_npy.h"

#include "base/clock.h"
#include "tensor/predict_json.h"

#include <stdlib.h>

#define JSON "application/json"

struct rest_predict {
    struct el_request request;    /* first: a request is a rest_predict */
    struct el_http_request *http; /* NULL: the client is gone */
    struct el_rest_target target; /* owned copy */
    uint64_t arrived_ns;
    struct el_predict_json json; /* points into the body; empty where that is an array */
    struct el_rest_npy npy;
};

void el_api_rest_fail_as(struct el_http_request *request, unsigned http_code, const struct el_status *status)
{
    struct el_buf *buf = el_http_reply_buf(request);
    el_buf_clear(buf);
    el_json_put_error(buf, el_status_text(status));
    el_http_reply(request, http_code, JSON);
}

void el_api_rest_fail(struct el_http_request *request, const struct el_status *status)
{
    el_api_rest_fail_as(request, el_api_http_code(el_status_code(status)), status);
}

static void release(struct rest_predict *predict)
{
    el_predict_json_free(&predict->json);
    el_rest_npy_free(&predict->npy);
    free(predict->target.model);
    free(predict->target.label);
    free(predict);
}

static struct el_status *give_memory(struct el_predict_json *json, struct el_call *call)
{
    for (uint32_t i = 0; i < json->input_count; i++) {
        struct el_predict_json_input *input = &json->inputs[i];
        if (input->present)
            EL_TRY(el_call_input(call, i, input->dtype, &input->shape, input->size, &input->data));
    }
    return NULL;
}

static struct el_status *fill_json(struct el_predict_json *json, const struct el_signature *signature,
                                   struct el_call *call)
{
    const struct el_predict_signature names = el_predict_names(signature);
    EL_TRY(el_predict_json_begin(json, &names));
    for (uint32_t i = 0; i < json->input_count; i++)
        json->inputs[i].dtype = signature->inputs[i].dtype;
    EL_TRY(el_predict_json_plan(json, &names, EL_API_MAX_INPUT_BYTES));
    EL_TRY(give_memory(json, call));
    return el_predict_json_decode(json);
}

static struct el_status *fill(struct el_request *request, struct el_call *call, const struct el_signature *signature,
                              uint32_t *outputs, uint32_t *output_count)
{
    struct rest_predict *predict = (struct rest_predict *)request;
    if (predict->http == NULL)
        return el_status_new(EL_CANCELLED, "the client is gone");
    EL_TRY(el_api_check_predict_method(el_api_http_loop(predict->http), signature));
    EL_TRY(predict->npy.question ? el_rest_npy_fill(&predict->npy, signature, call)
                                 : fill_json(&predict->json, signature, call));
    if (predict->npy.answer) {
        *output_count = 1;
        return el_rest_npy_output(&predict->npy, signature, outputs);
    }
    for (uint32_t i = 0; i < signature->output_count; i++)
        outputs[i] = i;
    *output_count = signature->output_count;
    return NULL;
}

static struct el_status *no_signature(const char *name, size_t name_size)
{
    return el_status_new(EL_INVALID_ARGUMENT, "Serving signature name: \"%.*s\" not found in signature def",
                         (int)name_size, name);
}

static struct el_status *write_json(struct rest_predict *predict)
{
    struct el_named_tensor few[EL_API_FEW_OUTPUTS], *outputs;
    uint32_t count;
    EL_TRY(el_api_named_outputs(&predict->request, few, &outputs, &count));
    struct el_buf *buf = el_http_reply_buf(predict->http);
    struct el_status *status = el_predict_json_write(buf, predict->json.form, outputs, count);
    el_api_free_outputs(few, outputs);
    return status != NULL ? status : el_buf_status(buf);
}

static struct el_status *write_npy(const struct rest_predict *predict)
{
    const struct el_tensor *tensors;
    el_call_outputs(predict->request.call, &tensors);
    const char *name = predict->request.signature->outputs[predict->request.outputs[0]].name;
    return el_status_prefix(el_npy_write(el_http_reply_buf(predict->http), "it", &tensors[0]), "output \"%s\"", name);
}

static struct el_status *write_answer(struct rest_predict *predict)
{
    return predict->npy.answer ? write_npy(predict) : write_json(predict);
}

static void count(const struct rest_predict *predict, const struct el_status *status, uint64_t ran_ns)
{
    el_api_count_request(el_api_http_loop(predict->http), EL_COUNT_REST_PREDICT,
                         (struct el_span){ predict->target.model, predict->target.model_size }, el_status_code(status),
                         predict->arrived_ns, ran_ns);
}

static void done(struct el_request *request, const struct el_status *status)
{
    struct rest_predict *predict = (struct rest_predict *)request;
    if (predict->http != NULL) {
        const uint64_t ran_ns = status == NULL ? el_now_ns() - request->started_ns : 0;
        struct el_status *failure = status == NULL ? write_answer(predict) : NULL;
        count(predict, status != NULL ? status : failure, ran_ns);
        if (status == NULL && failure == NULL)
            el_log_rest_predict(el_api_http_loop(predict->http), request, predict->http, &predict->npy);
        el_api_put_http_generation(predict->http, request);
        if (status == NULL && failure == NULL)
            el_http_reply(predict->http, 200, predict->npy.answer ? EL_NPY_CONTENT_TYPE : JSON);
        else
            el_api_fail_http_generation(predict->http, request, status != NULL ? status : failure);
        el_status_free(failure);
    }
    el_request_end(request);
    release(predict);
}

static void cancelled(struct el_http_request *http, void *user)
{
    (void)http;
    struct rest_predict *predict = user;
    predict->http = NULL;
    el_request_cancel(&predict->request);
}

static void start(struct rest_predict *predict, struct el_api_loop *loop, uint64_t generation)
{
    const struct el_rest_target *target = &predict->target;
    const struct el_span signature = predict->npy.signature_name != NULL ? el_span_text(predict->npy.signature_name)
                                                                         : predict->json.signature_name;
    const uint32_t timeout_ms = loop->api->options.rest_timeout_ms;
    predict->request = (struct el_request){
        .loop = loop->swap_loop,
        .model = target->model,
        .model_size = target->model_size,
        .has_version = target->has_version,
        .version = target->version,
        .label = target->label,
        .label_size = target->label_size,
        .wanted_generation = generation,
        .signature_name = signature.data,
        .signature_name_size = signature.size,
        .deadline_ns = timeout_ms == 0 ? EL_NEVER_NS : el_after_ns(el_now_ns(), timeout_ms * EL_NS_PER_MS),
        .fill = fill,
        .done = done,
        .no_signature = no_signature,
    };
    el_api_http_origin(&predict->request, predict->http);
    el_http_set_user(predict->http, predict);
    el_http_on_cancel(predict->http, cancelled);
    el_request_start(&predict->request);
}

/* An array has no text: what JSON would say keeps its defaults, and a JSON answer to it is in columns. */
static struct el_status *open_json(struct rest_predict *predict)
{
    if (predict->npy.question)
        return NULL;
    size_t size;
    const uint8_t *body = el_http_body(predict->http, &size);
    return el_predict_json_open((const char *)body, size, &predict->json);
}

void el_api_rest_predict(struct el_http_request *request, struct el_api *api, struct el_rest_target *target)
{
    (void)api;
    struct rest_predict *predict = malloc(sizeof *predict);
    if (predict == NULL) {
        struct el_status *status = el_status_no_memory();
        el_api_rest_fail(request, status);
        return;
    }
    el_predict_json_init(&predict->json);
    predict->http = request;
    predict->arrived_ns = el_now_ns();
    predict->target = *target;
    target->model = NULL; /* taken over */
    target->label = NULL;
    struct el_status *status = el_rest_npy_read(request, &predict->npy);
    if (status == NULL)
        status = open_json(predict);
    uint64_t generation = 0;
    if (status == NULL)
        status = el_api_read_generation(el_http_header(request, EL_GENERATION_HEADER), &generation);
    if (status == NULL) {
        start(predict, el_api_http_loop(request), generation);
        return;
    }
    count(predict, status, 0);
    el_api_rest_fail(request, status);
    el_status_free(status);
    release(predict);
}
