/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PredictionService.MultiInference: one input, several signatures of one
 * version. TensorFlow Serving fetches all outputs in one run; here each task is a
 * run of its own, all at the same time. The version is chosen once, by the first
 * task's model spec, and the others are held to its number.
 */
#include "api/generation.h"
#include "api/grpc_infer.h"
#include "api/log_records.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

/* The message, in place. */
struct message {
    struct el_buf tasks; /* of struct el_inference_task */
    struct el_infer *infer;
};

static size_t task_count(const struct message *message)
{
    return message->tasks.size / sizeof(struct el_inference_task);
}

static struct el_inference_task task_at(const struct message *message, size_t i)
{
    struct el_inference_task task;
    memcpy(&task, message->tasks.data + i * sizeof task, sizeof task);
    return task;
}

/* ---- the checks, in TensorFlow Serving's order (multi_inference.cc) ---- */

static struct el_status *check_repeated(const struct message *message, size_t i, struct el_span name)
{
    for (size_t j = 0; j < i; j++) {
        struct el_span other = message->infer->tasks[j].signature_name;
        if (el_span_equal(other, name))
            return el_status_new(EL_INVALID_ARGUMENT, "Duplicate evaluation of signature: %.*s", (int)name.size,
                                 name.data);
    }
    return NULL;
}

/* Fills task number i; signatures are those of the version that was chosen. */
static struct el_status *check_task(const struct message *message, size_t i, const struct el_signatures *signatures)
{
    const struct el_inference_task task = task_at(message, i), first = task_at(message, 0);
    struct el_infer *infer = message->infer;
    if (task.spec.name.size == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "Found ModelSpec with an empty model name.");
    if (!el_span_equal(task.spec.name, first.spec.name))
        return el_status_new(EL_INVALID_ARGUMENT,
                             "All ModelSpecs in a MultiInferenceRequest must access the same model name.");
    const struct el_span name = task.spec.signature_name.size > 0 ? task.spec.signature_name
                                                                  : el_span_text("serving_default");
    EL_TRY(check_repeated(message, i, name));
    const struct el_signature *signature = signatures == NULL
                                               ? NULL
                                               : el_signatures_find(signatures, name.data, name.size, NULL);
    if (signature == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "Requested signature not found in model graph: %.*s", (int)name.size,
                             name.data);
    struct el_infer_task *to = &infer->tasks[i];
    to->signature_name = name;
    if (el_span_equal(task.method_name, el_span_text(el_infer_method_name(EL_CLASSIFY))))
        to->method = EL_CLASSIFY;
    else if (el_span_equal(task.method_name, el_span_text(el_infer_method_name(EL_REGRESS))))
        to->method = EL_REGRESS;
    else
        return el_status_new(EL_UNIMPLEMENTED, "Unsupported signature method_name: %.*s", (int)task.method_name.size,
                             task.method_name.data);
    uint32_t outputs[2], output_count;
    return el_infer_check(to->method, signature, infer->loop->api->options.check_method_names, outputs, &output_count);
}

/* Every task is of another signature, and there are EL_MAX_SIGNATURES at most: what is beyond is refused by the checks anyway. */
static struct el_status *make_tasks(const struct message *message)
{
    struct el_infer *infer = message->infer;
    size_t count = task_count(message);
    if (count > EL_MAX_SIGNATURES + 1)
        count = EL_MAX_SIGNATURES + 1;
    free(infer->tasks);
    infer->tasks = calloc(count > 0 ? count : 1, sizeof *infer->tasks);
    if (infer->tasks == NULL)
        return el_status_no_memory();
    infer->task_count = count;
    for (size_t i = 0; i < count; i++)
        infer->tasks[i].infer = infer;
    return NULL;
}

/* Chooses the version, checks every task; spec is then what all are to be led to. */
static struct el_status *check(const struct message *message, const char *generation, struct el_model_spec *spec)
{
    struct el_swap *swap = message->infer->loop->api->options.swap;
    if (task_count(message) > 0)
        *spec = task_at(message, 0).spec;
    struct el_request wanted = el_api_request_of(spec);
    EL_TRY(el_api_read_generation(generation, &wanted.wanted_generation));
    const struct el_view *view = el_view_get(swap);
    const struct el_version_view *version;
    struct el_status *status = el_view_resolve(swap, view, &wanted, &version);
    if (status == NULL)
        status = make_tasks(message);
    for (size_t i = 0; status == NULL && i < message->infer->task_count; i++)
        status = check_task(message, i, version->signatures);
    if (status == NULL && wanted.wanted_generation == 0) { /* a generation holds them to one as well */
        spec->has_label = false;
        spec->has_version = true;
        spec->version = version->version;
    }
    el_view_put(swap, view);
    return status;
}

/* ---- the answer ---- */

static struct el_status *put_results(struct el_infer *infer, struct el_buf *buf)
{
    struct el_buf inside = { 0 };
    struct el_status *status = NULL;
    for (size_t i = 0; status == NULL && i < infer->task_count; i++) {
        struct el_infer_result result;
        status = el_infer_result(&infer->tasks[i], &result);
        if (status != NULL)
            break;
        el_buf_clear(&inside);
        el_infer_put_spec(&inside, 1, &infer->tasks[i]);
        el_infer_put_proto(&inside, result.method == EL_CLASSIFY ? 2 : 3, &result);
        el_wire_put_bytes(buf, 1, inside.data, inside.size);
    }
    if (status == NULL && inside.failed)
        status = el_status_no_memory();
    el_buf_free(&inside);
    return status != NULL ? status : el_buf_status(buf);
}

static void count(const struct el_infer *infer)
{
    const struct el_request *request = &infer->tasks[0].request;
    const struct el_counted counted = {
        .name = request->model,
        .name_size = request->model_size,
        .call = EL_COUNT_GRPC_MULTI_INFERENCE,
        .took_ns = el_now_ns() - request->started_ns,
        .examples = el_examples_count(&infer->examples),
    };
    el_counts_add(&infer->loop->counts, &counted);
}

static void done(struct el_infer *infer, const struct el_status *status)
{
    if (!infer->cancelled) {
        struct el_grpc_call *call = infer->owner;
        struct el_status *failure = status == NULL ? put_results(infer, el_grpc_reply_buf(call)) : NULL;
        if (status == NULL && failure == NULL && infer->task_count > 0) {
            count(infer);
            el_log_grpc(infer->loop, &infer->tasks[0].request, EL_PREDICTION_MULTI_INFERENCE, call);
        }
        if (infer->task_count > 0)
            el_api_put_grpc_generation(call, &infer->tasks[0].request);
        if (status == NULL && failure == NULL)
            el_grpc_reply(call);
        else
            el_grpc_fail(call, status != NULL ? status : failure);
        el_status_free(failure);
    }
    el_infer_free(infer);
}

void el_api_grpc_multi_inference(struct el_grpc_call *call, void *api)
{
    (void)api;
    struct message message = { .infer = el_infer_new(el_api_grpc_loop(call), 0) };
    if (message.infer == NULL) {
        el_grpc_infer_refuse(NULL, call, el_status_no_memory());
        return;
    }
    size_t size;
    const uint8_t *bytes = el_grpc_message(call, &size);
    struct el_model_spec spec = { .name = { "", 0 } };
    struct el_status *status = NULL;
    if (!el_inference_request_read(el_wire_of(bytes, size), NULL, &message.tasks, &message.infer->examples))
        status = message.tasks.failed || el_examples_failed(&message.infer->examples)
                     ? el_status_no_memory()
                     : el_status_new(EL_INTERNAL, "%s", ""); /* what gRPC's own parser answers */
    if (status == NULL)
        status = check(&message, el_grpc_metadata(call, EL_GENERATION_HEADER), &spec);
    el_buf_free(&message.tasks);
    if (status != NULL) {
        el_grpc_infer_refuse(message.infer, call, status);
        return;
    }
    message.infer->done = done;
    el_grpc_infer_start(message.infer, call, &spec);
}
