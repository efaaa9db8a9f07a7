/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/prediction_log.h"

#include <stdlib.h>
#include <string.h>

static size_t count_of(const struct el_buf *list, size_t size)
{
    return list->size / size;
}

static void at_of(const struct el_buf *list, size_t i, void *to, size_t size)
{
    memcpy(to, list->data + i * size, size);
}

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

static struct el_inference_task no_task(void)
{
    return (struct el_inference_task){ .spec = { .name = { "", 0 }, .signature_name = { "", 0 } },
                                       .method_name = { "", 0 } };
}

/* ClassificationRequest, RegressionRequest: model_spec = 1, input = 2. MultiInferenceRequest: repeated tasks = 1, input = 2. */
static bool read_examples(struct el_prediction *prediction)
{
    const uint8_t *bytes = prediction->request.at;
    struct el_wire wire = prediction->request, inside;
    struct el_inference_task task = no_task();
    const bool many = prediction->kind == EL_PREDICTION_MULTI_INFERENCE;
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (type != EL_WIRE_BYTES || number == 0 || number > 2) {
            if (!el_wire_skip(&wire, number, type))
                return false;
            continue;
        }
        if (!el_wire_bytes(&wire, &inside))
            return false;
        if (number == 2) {
            if (!el_examples_read_input(&prediction->examples, bytes, inside))
                return false;
        } else if (many) {
            task = no_task();
            if (!el_inference_task_read(inside, &task))
                return false;
            el_buf_append(&prediction->tasks, &task, sizeof task);
        } else if (!el_model_spec_merge(inside, &task.spec)) {
            return false;
        }
    }
    if (!many)
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
            if (count_of(&prediction->feeds, sizeof feed) == EL_PREDICT_MAX_INPUTS || !el_wire_bytes(&wire, &inside) ||
                !read_feed(inside, &feed))
                return false;
            el_buf_append(&prediction->feeds, &feed, sizeof feed);
        } else if (number == 3 && type == EL_WIRE_BYTES) {
            struct el_span fetch;
            if (count_of(&prediction->fetches, sizeof fetch) == EL_PREDICT_MAX_INPUTS || !el_wire_text(&wire, &fetch))
                return false;
            el_buf_append(&prediction->fetches, &fetch, sizeof fetch);
        } else if (!el_wire_skip(&wire, number, type)) {
            return false;
        }
    }
    return !prediction->feeds.failed && !prediction->fetches.failed;
}

static bool read_predict(struct el_prediction *prediction)
{
    const struct el_wire *request = &prediction->request;
    struct el_status *status = el_predict_request_parse(request->at, (size_t)(request->end - request->at),
                                                        &prediction->predict);
    el_status_free(status);
    return status == NULL;
}

bool el_prediction_parse(const void *bytes, size_t size, struct el_prediction *prediction)
{
    *prediction = (struct el_prediction){ .kind = EL_PREDICTION_NONE };
    struct el_wire wire = el_wire_of(bytes, size), log = el_wire_of("", 0);
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (type != EL_WIRE_BYTES || number < EL_PREDICTION_CLASSIFY || number > EL_PREDICTION_PREDICT_STREAMED) {
            if (!el_wire_skip(&wire, number, type))
                return false;
            continue;
        }
        if (!el_wire_bytes(&wire, &log))
            return false;
        prediction->kind = (enum el_prediction_kind)number;
    }
    if (!find_message(log, 1, &prediction->request))
        return false;
    switch (prediction->kind) {
    case EL_PREDICTION_CLASSIFY:
    case EL_PREDICTION_REGRESS:
    case EL_PREDICTION_MULTI_INFERENCE:
        return read_examples(prediction);
    case EL_PREDICTION_SESSION_RUN:
        return read_session_run(prediction);
    case EL_PREDICTION_PREDICT:
        return read_predict(prediction);
    case EL_PREDICTION_PREDICT_STREAMED:
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
    if (prediction->kind == EL_PREDICTION_PREDICT)
        el_predict_request_free(&prediction->predict);
    el_examples_free(&prediction->examples);
    el_buf_free(&prediction->tasks);
    el_buf_free(&prediction->feeds);
    el_buf_free(&prediction->fetches);
    *prediction = (struct el_prediction){ .kind = EL_PREDICTION_NONE };
}

/* ---- planning ---- */

static struct el_status *make_runs(struct el_prediction *prediction, size_t count)
{
    prediction->runs = calloc(count > 0 ? count : 1, sizeof *prediction->runs);
    return prediction->runs == NULL ? el_status_no_memory() : NULL;
}

/* The next run, on that signature, with room for all its outputs. */
static struct el_status *add_run(struct el_prediction *prediction, const struct el_signatures *signatures,
                                 const struct el_signature *signature, struct el_prediction_run **run)
{
    const size_t room = signature->output_count > 2 ? signature->output_count : 2;
    uint32_t *outputs = calloc(room, sizeof *outputs);
    if (outputs == NULL)
        return el_status_no_memory();
    *run = &prediction->runs[prediction->run_count++];
    **run = (struct el_prediction_run){ .signature = signature,
                                        .index = (uint32_t)(signature - signatures->list),
                                        .outputs = outputs };
    return NULL;
}

static struct el_span default_name(struct el_span name)
{
    return name.size > 0 ? name : el_span_text("serving_default");
}

static struct el_status *plan_predict(struct el_prediction *prediction, const struct el_signatures *signatures)
{
    const struct el_span name = default_name(prediction->predict.spec.signature_name);
    const struct el_signature *signature = el_signatures_find(signatures, name.data, name.size, NULL);
    struct el_prediction_run *run;
    if (signature == NULL)
        return el_status_new(EL_FAILED_PRECONDITION, "Serving signature key \"%.*s\" not found.", (int)name.size,
                             name.data);
    EL_TRY(make_runs(prediction, 1));
    EL_TRY(add_run(prediction, signatures, signature, &run));
    const struct el_predict_signature names = el_predict_names(signature);
    return el_predict_request_match(&prediction->predict, &names, prediction->max_bytes, run->outputs,
                                    &run->output_count);
}

static struct el_status *plan_infer(struct el_prediction *prediction, const struct el_signatures *signatures,
                                    enum el_infer_method method)
{
    struct el_inference_task task;
    at_of(&prediction->tasks, 0, &task, sizeof task);
    const struct el_span name = default_name(task.spec.signature_name);
    const struct el_signature *signature = el_signatures_find(signatures, name.data, name.size, NULL);
    struct el_prediction_run *run;
    if (signature == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "No signature was found with the name: %.*s", (int)name.size,
                             name.data);
    EL_TRY(make_runs(prediction, 1));
    EL_TRY(add_run(prediction, signatures, signature, &run));
    run->method = method;
    return el_infer_check(method, signature, false, run->outputs, &run->output_count);
}

static struct el_status *plan_task(struct el_prediction *prediction, const struct el_signatures *signatures, size_t i)
{
    struct el_inference_task task, first;
    at_of(&prediction->tasks, i, &task, sizeof task);
    at_of(&prediction->tasks, 0, &first, sizeof first);
    if (task.spec.name.size == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "Found ModelSpec with an empty model name.");
    if (!el_span_equal(task.spec.name, first.spec.name))
        return el_status_new(EL_INVALID_ARGUMENT,
                             "All ModelSpecs in a MultiInferenceRequest must access the same model name.");
    const struct el_span name = default_name(task.spec.signature_name);
    for (size_t j = 0; j < prediction->run_count; j++)
        if (el_span_equal(el_span_text(prediction->runs[j].signature->name), name))
            return el_status_new(EL_INVALID_ARGUMENT, "Duplicate evaluation of signature: %.*s", (int)name.size,
                                 name.data);
    const struct el_signature *signature = el_signatures_find(signatures, name.data, name.size, NULL);
    if (signature == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "Requested signature not found in model graph: %.*s", (int)name.size,
                             name.data);
    const bool classify = el_span_equal(task.method_name, el_span_text(el_infer_method_name(EL_CLASSIFY)));
    if (!classify && !el_span_equal(task.method_name, el_span_text(el_infer_method_name(EL_REGRESS))))
        return el_status_new(EL_UNIMPLEMENTED, "Unsupported signature method_name: %.*s", (int)task.method_name.size,
                             task.method_name.data);
    struct el_prediction_run *run;
    EL_TRY(add_run(prediction, signatures, signature, &run));
    run->method = classify ? EL_CLASSIFY : EL_REGRESS;
    return el_infer_check(run->method, signature, false, run->outputs, &run->output_count);
}

/* Every task is of another signature, so that there are not more than signatures. */
static struct el_status *plan_multi_inference(struct el_prediction *prediction, const struct el_signatures *signatures)
{
    const size_t count = count_of(&prediction->tasks, sizeof(struct el_inference_task));
    EL_TRY(make_runs(prediction, (size_t)signatures->count + 1));
    for (size_t i = 0; i < count; i++)
        EL_TRY(plan_task(prediction, signatures, i));
    return NULL;
}

static int find_tensor(const struct el_tensor_info *list, uint32_t count, struct el_span tensor_name)
{
    for (uint32_t i = 0; i < count; i++)
        if (el_span_equal(el_span_text(list[i].tensor_name), tensor_name))
            return (int)i;
    return -1;
}

static bool feeds_all(const struct el_prediction *prediction, const struct el_signature *signature)
{
    struct el_predict_input feed;
    const size_t count = count_of(&prediction->feeds, sizeof feed);
    if (count != signature->input_count)
        return false;
    for (uint32_t i = 0; i < signature->input_count; i++) {
        size_t f = 0;
        for (; f < count; f++) {
            at_of(&prediction->feeds, f, &feed, sizeof feed);
            if (el_span_equal(feed.name, el_span_text(signature->inputs[i].tensor_name)))
                break;
        }
        if (f == count)
            return false;
    }
    return true;
}

static bool has_fetches(const struct el_prediction *prediction, const struct el_signature *signature)
{
    struct el_span fetch;
    const size_t count = count_of(&prediction->fetches, sizeof fetch);
    for (size_t i = 0; i < count; i++) {
        at_of(&prediction->fetches, i, &fetch, sizeof fetch);
        if (find_tensor(signature->outputs, signature->output_count, fetch) < 0)
            return false;
    }
    return count > 0;
}

static int by_index(const void *a_, const void *b_)
{
    const struct el_predict_input *a = a_, *b = b_;
    return a->index < b->index ? -1 : a->index > b->index;
}

static struct el_status *plan_feeds(struct el_prediction *prediction, const struct el_signature *signature)
{
    const size_t count = count_of(&prediction->feeds, sizeof(struct el_predict_input));
    for (size_t i = 0; i < count; i++) {
        struct el_predict_input feed;
        at_of(&prediction->feeds, i, &feed, sizeof feed);
        feed.index = (uint32_t)find_tensor(signature->inputs, signature->input_count, feed.name);
        EL_TRY(el_tensor_proto_head(&feed.tensor, feed.name.data, feed.name.size, prediction->max_bytes));
        memcpy(prediction->feeds.data + i * sizeof feed, &feed, sizeof feed);
    }
    if (count > 1)
        qsort(prediction->feeds.data, count, sizeof(struct el_predict_input), by_index);
    return NULL;
}

static struct el_status *plan_session_run(struct el_prediction *prediction, const struct el_signatures *signatures)
{
    for (uint32_t s = 0; s < signatures->count; s++) {
        const struct el_signature *signature = &signatures->list[s];
        if (!feeds_all(prediction, signature) || !has_fetches(prediction, signature))
            continue;
        struct el_prediction_run *run;
        EL_TRY(make_runs(prediction, 1));
        EL_TRY(add_run(prediction, signatures, signature, &run));
        struct el_span fetch;
        const size_t fetches = count_of(&prediction->fetches, sizeof fetch);
        for (uint32_t o = 0; o < signature->output_count; o++) {
            bool wanted = false;
            for (size_t f = 0; f < fetches && !wanted; f++) {
                at_of(&prediction->fetches, f, &fetch, sizeof fetch);
                wanted = el_span_equal(fetch, el_span_text(signature->outputs[o].tensor_name));
            }
            if (wanted)
                run->outputs[run->output_count++] = o;
        }
        return plan_feeds(prediction, signature);
    }
    return el_status_new(EL_UNIMPLEMENTED, "Unsupported log_type for warmup: %d", EL_PREDICTION_SESSION_RUN);
}

struct el_status *el_prediction_plan(struct el_prediction *prediction, const struct el_signatures *signatures,
                                     size_t max_bytes)
{
    prediction->max_bytes = max_bytes;
    switch (prediction->kind) {
    case EL_PREDICTION_NONE:
        break;
    case EL_PREDICTION_CLASSIFY:
        return plan_infer(prediction, signatures, EL_CLASSIFY);
    case EL_PREDICTION_REGRESS:
        return plan_infer(prediction, signatures, EL_REGRESS);
    case EL_PREDICTION_MULTI_INFERENCE:
        return plan_multi_inference(prediction, signatures);
    case EL_PREDICTION_SESSION_RUN:
        return plan_session_run(prediction, signatures);
    case EL_PREDICTION_PREDICT:
        return plan_predict(prediction, signatures);
    case EL_PREDICTION_PREDICT_STREAMED:
        return el_status_new(EL_UNIMPLEMENTED, "Unsupported log_type for warmup: %d", (int)prediction->kind);
    }
    return NULL;
}

/* ---- inputs ---- */

static bool find_feed(const struct el_prediction *prediction, uint32_t index, struct el_tensor_proto *tensor)
{
    if (prediction->kind == EL_PREDICTION_SESSION_RUN) {
        struct el_predict_input feed;
        at_of(&prediction->feeds, index, &feed, sizeof feed); /* one for each input, ascending */
        *tensor = feed.tensor;
        return true;
    }
    for (uint32_t i = 0; i < prediction->predict.input_count; i++) {
        if (prediction->predict.inputs[i].index == index) {
            *tensor = prediction->predict.inputs[i].tensor;
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
        if (!find_feed(prediction, index, &input->tensor))
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
