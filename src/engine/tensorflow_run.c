/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot path: one TF_SessionRun with the outputs asked for.
 *
 * A model with few weights runs in the caller's thread (RunOptions'
 * inter_op_thread_pool = -1): no hand-over to another thread and back. The
 * deadline goes along as RunOptions' timeout_in_ms: TensorFlow then cancels the run; an op that does not heed
 * that is waited for.
 */
#include "engine/tensorflow.h"

#include "base/clock.h"
#include "bundle/proto.h"

#include <stdlib.h>
#include <string.h>

#define ON_STACK 32 /* inputs and outputs of a run for which no memory is allocated */

/* RunOptions: timeout_in_ms = 2, inter_op_thread_pool = 3. */
static void put_options(const struct tf_engine_model *model, uint64_t timeout_ms, struct el_buf *options)
{
    if (timeout_ms > 0)
        el_proto_put_number(options, 2, timeout_ms);
    if (model->in_callers_thread)
        el_proto_put_number(options, 3, UINT64_MAX); /* -1 */
}

/* False when the deadline has passed. 0: there is none. */
static bool timeout_of(uint64_t deadline_ns, uint64_t *timeout_ms)
{
    *timeout_ms = 0;
    if (deadline_ns == UINT64_MAX)
        return true;
    const uint64_t now = el_now_ns();
    if (now >= deadline_ns)
        return false;
    *timeout_ms = (deadline_ns - now + EL_NS_PER_MS - 1) / EL_NS_PER_MS;
    return true;
}

static struct el_status *make_inputs(const struct everlit_signature *declared, const struct tf_signature *signature,
                                     const struct everlit_run *run, struct tf_run *work)
{
    for (uint32_t i = 0; i < run->input_count; i++) {
        const uint32_t index = run->inputs[i].index;
        work->feeds[i] = signature->inputs[index];
        EL_TRY(el_status_prefix(tf_tensor_make(&run->inputs[i], &work->feed_values[i]),
                                "input \"%s\" of signature \"%s\"", declared->inputs[index].name, declared->name));
    }
    for (uint32_t i = 0; i < run->output_count; i++)
        work->fetches[i] = signature->outputs[run->outputs[i]];
    return NULL;
}

static struct el_status *give_outputs(const struct everlit_signature *declared, const struct everlit_run *run,
                                      const struct tf_run *work)
{
    for (uint32_t i = 0; i < run->output_count; i++) {
        const uint32_t index = run->outputs[i];
        if (work->fetch_values[i] == NULL)
            return el_status_new(EL_INTERNAL, "output \"%s\" of signature \"%s\": TensorFlow gave none",
                                 declared->outputs[index].name, declared->name);
        EL_TRY(el_status_prefix(tf_tensor_give(work->fetch_values[i], index, run), "output \"%s\" of signature \"%s\"",
                                declared->outputs[index].name, declared->name));
    }
    return NULL;
}

struct el_status *tf_run_session(const struct tf_engine_model *model, const struct everlit_run *run,
                                 struct tf_run *work)
{
    uint64_t timeout_ms;
    if (!timeout_of(run->deadline_ns, &timeout_ms))
        return el_status_new(EL_DEADLINE_EXCEEDED, "the deadline had passed before the model was run");
    struct el_buf options = { 0 };
    put_options(model, timeout_ms, &options);
    TF_Status *answer = TF_NewStatus();
    struct el_status *status = el_buf_status(&options);
    if (status == NULL && answer == NULL)
        status = el_status_no_memory();
    if (status == NULL) {
        const TF_Buffer buffer = { .data = options.data, .length = options.size };
        TF_SessionRun(model->session, options.size > 0 ? &buffer : NULL, work->feeds, work->feed_values,
                      (int)run->input_count, work->fetches, work->fetch_values, (int)run->output_count, work->targets,
                      work->target_count, NULL, answer);
        status = tf_status(answer);
    }
    if (answer != NULL)
        TF_DeleteStatus(answer);
    el_buf_free(&options);
    return status;
}

void tf_run_free_values(const struct everlit_run *run, struct tf_run *work)
{
    for (uint32_t i = 0; i < run->input_count; i++)
        if (work->feed_values[i] != NULL)
            TF_DeleteTensor(work->feed_values[i]);
    for (uint32_t i = 0; i < run->output_count; i++)
        if (work->fetch_values[i] != NULL)
            TF_DeleteTensor(work->fetch_values[i]);
}

static struct el_status *run_with(const struct tf_engine_model *model, const struct everlit_run *run,
                                  struct tf_run *work)
{
    const struct everlit_signature *declared = &model->model.signatures[run->signature];
    struct el_status *status = make_inputs(declared, &model->signatures[run->signature], run, work);
    if (status == NULL)
        status = tf_run_session(model, run, work);
    if (status == NULL)
        status = give_outputs(declared, run, work);
    tf_run_free_values(run, work);
    return status;
}

/* A run with many inputs or outputs. */
static struct el_status *run_on_heap(const struct tf_engine_model *model, const struct everlit_run *run)
{
    struct tf_run work = {
        .feeds = calloc((size_t)run->input_count + 1, sizeof *work.feeds),
        .feed_values = calloc((size_t)run->input_count + 1, sizeof(TF_Tensor *)),
        .fetches = calloc((size_t)run->output_count + 1, sizeof *work.fetches),
        .fetch_values = calloc((size_t)run->output_count + 1, sizeof(TF_Tensor *)),
    };
    struct el_status *status;
    if (work.feeds == NULL || work.feed_values == NULL || work.fetches == NULL || work.fetch_values == NULL)
        status = el_status_no_memory();
    else
        status = run_with(model, run, &work);
    free(work.feeds);
    free(work.feed_values);
    free(work.fetches);
    free(work.fetch_values);
    return status;
}

static struct el_status *run_on_stack(const struct tf_engine_model *model, const struct everlit_run *run)
{
    TF_Output feeds[ON_STACK], fetches[ON_STACK];
    TF_Tensor *feed_values[ON_STACK] = { 0 }, *fetch_values[ON_STACK] = { 0 };
    struct tf_run work = { feeds, feed_values, fetches, fetch_values, NULL, 0 };
    return run_with(model, run, &work);
}

int tf_engine_run(void *opaque, const struct everlit_run *run, struct everlit_error *error)
{
    const struct tf_engine_model *model = opaque;
    struct el_status *status = el_plugin_check_run(&model->model, run);
    if (status != NULL)
        return el_plugin_result(status, error);
    const char *reason = model->signatures[run->signature].reason;
    if (reason != NULL)
        return el_plugin_result(
            el_status_new(model->signatures[run->signature].is_operation ? EL_INVALID_ARGUMENT : EL_UNIMPLEMENTED, "%s",
                          reason),
            error);
    if (run->input_count <= ON_STACK && run->output_count <= ON_STACK)
        status = run_on_stack(model, run);
    else
        status = run_on_heap(model, run);
    return el_plugin_result(status, error);
}
