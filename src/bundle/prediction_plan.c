/* SPDX-License-Identifier: Apache-2.0 */
/* Which runs a logged request asks of a version: el_prediction_plan(), with TensorFlow Serving's checks and texts. */
#include "bundle/prediction_list.h"
#include "bundle/prediction_log.h"

#include <stdlib.h>
#include <string.h>

static struct el_status *make_runs(struct el_prediction *prediction, size_t count)
{
    prediction->runs = calloc(count > 0 ? count : 1, sizeof *prediction->runs);
    prediction->run_count = 0;
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

/* One Predict: the only one, or a message of a streamed one. */
static struct el_status *plan_one(struct el_prediction *prediction, const struct el_signatures *signatures, size_t i)
{
    struct el_predict_request *predict = &prediction->predicts[i];
    const struct el_span name = default_name(predict->spec.signature_name);
    const struct el_signature *signature = el_signatures_find(signatures, name.data, name.size, NULL);
    struct el_prediction_run *run;
    if (signature == NULL)
        return el_status_new(EL_FAILED_PRECONDITION, "Serving signature key \"%.*s\" not found.", (int)name.size,
                             name.data);
    EL_TRY(add_run(prediction, signatures, signature, &run));
    run->predict = i;
    const struct el_predict_signature names = el_predict_names(signature);
    return el_predict_request_match(predict, &names, prediction->max_bytes, run->outputs, &run->output_count);
}

static struct el_status *plan_predict(struct el_prediction *prediction, const struct el_signatures *signatures)
{
    EL_TRY(make_runs(prediction, prediction->predict_count));
    for (size_t i = 0; i < prediction->predict_count; i++)
        EL_TRY(plan_one(prediction, signatures, i));
    return NULL;
}

static struct el_status *plan_infer(struct el_prediction *prediction, const struct el_signatures *signatures,
                                    enum el_infer_method method)
{
    struct el_inference_task task;
    el_prediction_at(&prediction->tasks, 0, &task, sizeof task);
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
    el_prediction_at(&prediction->tasks, i, &task, sizeof task);
    el_prediction_at(&prediction->tasks, 0, &first, sizeof first);
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
    const size_t count = el_prediction_count(&prediction->tasks, sizeof(struct el_inference_task));
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
    const size_t count = el_prediction_count(&prediction->feeds, sizeof feed);
    if (count != signature->input_count)
        return false;
    for (uint32_t i = 0; i < signature->input_count; i++) {
        size_t f = 0;
        for (; f < count; f++) {
            el_prediction_at(&prediction->feeds, f, &feed, sizeof feed);
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
    const size_t count = el_prediction_count(&prediction->fetches, sizeof fetch);
    for (size_t i = 0; i < count; i++) {
        el_prediction_at(&prediction->fetches, i, &fetch, sizeof fetch);
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
    const size_t count = el_prediction_count(&prediction->feeds, sizeof(struct el_predict_input));
    for (size_t i = 0; i < count; i++) {
        struct el_predict_input feed;
        el_prediction_at(&prediction->feeds, i, &feed, sizeof feed);
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
        const size_t fetches = el_prediction_count(&prediction->fetches, sizeof fetch);
        for (uint32_t o = 0; o < signature->output_count; o++) {
            bool wanted = false;
            for (size_t f = 0; f < fetches && !wanted; f++) {
                el_prediction_at(&prediction->fetches, f, &fetch, sizeof fetch);
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
    case EL_PREDICTION_PREDICT_STREAMED:
        return plan_predict(prediction, signatures);
    }
    return NULL;
}
