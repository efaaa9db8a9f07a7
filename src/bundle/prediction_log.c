/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/prediction_log.h"
#include "bundle/prediction_list.h"

#include <stdlib.h>
#include <string.h>

#define MAX_STREAMED 1000u /* messages of one streamed Predict, as there may be so many records in a file */

/* ---- parsing ---- */

/* Field `wanted`, a message, of a message whose other fields are passed over; the last one, as protobuf takes it. */
static bool find_message(struct el_wire wire, uint32_t wanted, struct el_wire *found)
{
    *found = el_wire_of("", 0);
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (number == wanted && type == EL_WIRE_BYTES ? !el_wire_bytes(&wire, found)
                                                      : !el_wire_skip(&wire, number, type))
            return false;
    }
    return true;
}

static bool read_inference(struct el_prediction *prediction)
{
    if (prediction->kind == EL_PREDICTION_MULTI_INFERENCE)
        return el_inference_request_read(prediction->request, NULL, &prediction->tasks, &prediction->examples);
    struct el_inference_task task = { .spec = { .name = { "", 0 }, .signature_name = { "", 0 } },
                                      .method_name = { "", 0 } };
    if (!el_inference_request_read(prediction->request, &task.spec, NULL, &prediction->examples))
        return false;
    el_buf_append(&prediction->tasks, &task, sizeof task);
    return !prediction->tasks.failed;
}

/* NamedTensorProto: name = 1, tensor = 2. */
static bool read_feed(struct el_wire wire, struct el_predict_input *feed)
{
    *feed = (struct el_predict_input){ .name = { "", 0 } };
    if (!el_tensor_proto_scan("", 0, &feed->tensor))
        return false;
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        struct el_wire inside;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (number == 1 && type == EL_WIRE_BYTES) {
            if (!el_wire_text(&wire, &feed->name))
                return false;
        } else if (number == 2 && type == EL_WIRE_BYTES) {
            if (!el_wire_bytes(&wire, &inside) ||
                !el_tensor_proto_scan(inside.at, (size_t)(inside.end - inside.at), &feed->tensor))
                return false;
        } else if (!el_wire_skip(&wire, number, type)) {
            return false;
        }
    }
    return true;
}

/* SessionRunRequest: model_spec = 1, repeated feed = 2, repeated fetch = 3. */
static bool read_session_run(struct el_prediction *prediction)
{
    struct el_wire wire = prediction->request, inside;
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (number == 2 && type == EL_WIRE_BYTES) {
            struct el_predict_input feed;
            if (el_prediction_count(&prediction->feeds, sizeof feed) == EL_PREDICT_MAX_INPUTS ||
                !el_wire_bytes(&wire, &inside) || !read_feed(inside, &feed))
                return false;
            el_buf_append(&prediction->feeds, &feed, sizeof feed);
        } else if (number == 3 && type == EL_WIRE_BYTES) {
            struct el_span fetch;
            if (el_prediction_count(&prediction->fetches, sizeof fetch) == EL_PREDICT_MAX_INPUTS ||
                !el_wire_text(&wire, &fetch))
                return false;
            el_buf_append(&prediction->fetches, &fetch, sizeof fetch);
        } else if (!el_wire_skip(&wire, number, type)) {
            return false;
        }
    }
    return !prediction->feeds.failed && !prediction->fetches.failed;
}

static bool add_predict(struct el_prediction *prediction, struct el_wire request)
{
    struct el_predict_request *to = &prediction->predicts[prediction->predict_count++];
    struct el_status *status = el_predict_request_parse(request.at, (size_t)(request.end - request.at), to);
    el_status_free(status);
    return status == NULL;
}

static bool read_predict(struct el_prediction *prediction)
{
    prediction->predicts = calloc(1, sizeof *prediction->predicts);
    return prediction->predicts != NULL && add_predict(prediction, prediction->request);
}

/* PredictStreamedLog: repeated request = 1. They are counted, then read. */
static bool read_streamed(struct el_prediction *prediction, struct el_wire log)
{
    for (int reading = 0; reading < 2; reading++) {
        struct el_wire wire = log, inside;
        size_t count = 0;
        while (!el_wire_done(&wire)) {
            uint32_t number;
            enum el_wire_type type;
            if (!el_wire_tag(&wire, &number, &type))
                return false;
            if (number != 1 || type != EL_WIRE_BYTES) {
                if (!el_wire_skip(&wire, number, type))
                    return false;
                continue;
            }
            if (++count > MAX_STREAMED || !el_wire_bytes(&wire, &inside) ||
                (reading == 1 && !add_predict(prediction, inside)))
                return false;
        }
        if (reading == 1)
            break;
        prediction->predicts = calloc(count + 1, sizeof *prediction->predicts);
        if (prediction->predicts == NULL)
            return false;
    }
    return true;
}

bool el_prediction_parse(const void *bytes, size_t size, struct el_prediction *prediction)
{
    *prediction = (struct el_prediction){ .kind = EL_PREDICTION_NONE, .golden = el_wire_of("", 0) };
    struct el_wire wire = el_wire_of(bytes, size), log = el_wire_of("", 0);
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (type == EL_WIRE_BYTES && number == EL_PREDICTION_GOLDEN_FIELD) {
            if (!el_wire_bytes(&wire, &prediction->golden))
                return false;
            continue;
        }
        if (type != EL_WIRE_BYTES || number < EL_PREDICTION_CLASSIFY || number > EL_PREDICTION_PREDICT_STREAMED) {
            if (!el_wire_skip(&wire, number, type))
                return false;
            continue;
        }
        if (!el_wire_bytes(&wire, &log))
            return false;
        prediction->kind = (enum el_prediction_kind)number;
    }
    if (!find_message(log, 1, &prediction->request) || !find_message(log, 2, &prediction->response))
        return false;
    switch (prediction->kind) {
    case EL_PREDICTION_CLASSIFY:
    case EL_PREDICTION_REGRESS:
    case EL_PREDICTION_MULTI_INFERENCE:
        return read_inference(prediction);
    case EL_PREDICTION_SESSION_RUN:
        return read_session_run(prediction);
    case EL_PREDICTION_PREDICT:
        return read_predict(prediction);
    case EL_PREDICTION_PREDICT_STREAMED:
        return read_streamed(prediction, log);
    case EL_PREDICTION_NONE:
        break;
    }
    return true;
}

void el_prediction_free(struct el_prediction *prediction)
{
    for (size_t i = 0; i < prediction->run_count; i++)
        free(prediction->runs[i].outputs);
    free(prediction->runs);
    for (size_t i = 0; i < prediction->predict_count; i++)
        el_predict_request_free(&prediction->predicts[i]);
    free(prediction->predicts);
    el_examples_free(&prediction->examples);
    el_buf_free(&prediction->tasks);
    el_buf_free(&prediction->feeds);
    el_buf_free(&prediction->fetches);
    *prediction = (struct el_prediction){ .kind = EL_PREDICTION_NONE };
}

/* ---- inputs ---- */

static bool find_feed(const struct el_prediction *prediction, const struct el_prediction_run *run, uint32_t index,
                      struct el_tensor_proto *tensor)
{
    if (prediction->kind == EL_PREDICTION_SESSION_RUN) {
        struct el_predict_input feed;
        el_prediction_at(&prediction->feeds, index, &feed, sizeof feed); /* one for each input, ascending */
        *tensor = feed.tensor;
        return true;
    }
    const struct el_predict_request *predict = &prediction->predicts[run->predict];
    for (uint32_t i = 0; i < predict->input_count; i++) {
        if (predict->inputs[i].index == index) {
            *tensor = predict->inputs[i].tensor;
            return true;
        }
    }
    return false;
}

bool el_prediction_infers(const struct el_prediction *prediction)
{
    return prediction->kind >= EL_PREDICTION_CLASSIFY && prediction->kind <= EL_PREDICTION_MULTI_INFERENCE;
}

struct el_status *el_prediction_input(const struct el_prediction *prediction, const struct el_prediction_run *run,
                                      uint32_t index, struct el_prediction_input *input)
{
    if (!el_prediction_infers(prediction)) {
        if (!find_feed(prediction, run, index, &input->tensor))
            EL_TRY(el_predict_default(run->signature, index, prediction->max_bytes, &input->tensor));
        input->dtype = input->tensor.dtype;
        input->shape = input->tensor.shape;
        input->size = input->tensor.size;
        return NULL;
    }
    input->dtype = EL_STRING;
    input->shape = (struct el_shape){ .rank = 1, .dims = { (int64_t)el_examples_count(&prediction->examples) } };
    return el_examples_size(&prediction->examples, prediction->max_bytes, &input->size);
}

void el_prediction_write(const struct el_prediction *prediction, const struct el_prediction_input *input, void *data)
{
    if (el_prediction_infers(prediction))
        el_examples_pack(&prediction->examples, data);
    else
        el_tensor_proto_decode(&input->tensor, data);
}

/* ---- writing ---- */

void el_prediction_put(struct el_buf *buf, enum el_prediction_kind kind, const struct el_buf *metadata,
                       struct el_span request, struct el_span response)
{
    const size_t inside = 1 + el_wire_varint_size(request.size) + request.size + 1 +
                          el_wire_varint_size(response.size) + response.size;
    el_wire_put_bytes(buf, 1, metadata->data, metadata->size);
    el_wire_put_length(buf, (uint32_t)kind, inside);
    el_wire_put_bytes(buf, 1, request.data, request.size);
    el_wire_put_bytes(buf, 2, response.data, response.size);
    buf->failed = buf->failed || metadata->failed;
}
