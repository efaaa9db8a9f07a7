/* SPDX-License-Identifier: Apache-2.0 */
#include "api/infer.h"
#include "api/predict.h"

#include <stdlib.h>
#include <string.h>

struct el_infer *el_infer_new(struct el_api_loop *loop, size_t task_count)
{
    struct el_infer *infer = calloc(1, sizeof *infer);
    if (infer == NULL)
        return NULL;
    infer->tasks = calloc(task_count > 0 ? task_count : 1, sizeof *infer->tasks);
    if (infer->tasks == NULL) {
        free(infer);
        return NULL;
    }
    infer->loop = loop;
    infer->task_count = task_count;
    for (size_t i = 0; i < task_count; i++)
        infer->tasks[i].infer = infer;
    return infer;
}

void el_infer_free(struct el_infer *infer)
{
    for (size_t i = 0; i < infer->task_count; i++) {
        if (infer->tasks[i].request.loop != NULL)
            el_request_end(&infer->tasks[i].request);
        el_status_free(infer->tasks[i].status);
    }
    free(infer->tasks);
    el_examples_free(&infer->examples);
    free(infer);
}

static struct el_status *no_signature(const char *name, size_t size)
{
    return el_status_new(EL_INVALID_ARGUMENT, "No signature was found with the name: %.*s", (int)size, name);
}

static struct el_status *fill(struct el_request *request, struct el_call *call, const struct el_signature *signature,
                              uint32_t *outputs, uint32_t *output_count)
{
    struct el_infer_task *task = (struct el_infer_task *)request;
    struct el_infer *infer = task->infer;
    if (infer->cancelled)
        return el_status_new(EL_CANCELLED, "the client is gone");
    uint32_t wanted[2];
    EL_TRY(el_infer_check(task->method, signature, infer->loop->api->options.check_method_names, wanted, output_count));
    memcpy(outputs, wanted, *output_count * sizeof *outputs); /* not more than the signature has */
    size_t size;
    EL_TRY(el_examples_size(&infer->examples, EL_API_MAX_INPUT_BYTES, &size));
    const struct el_shape shape = { .rank = 1, .dims = { (int64_t)el_examples_count(&infer->examples) } };
    void *data;
    EL_TRY(el_call_input(call, 0, EL_STRING, &shape, size, &data));
    el_examples_pack(&infer->examples, data);
    return NULL;
}

static void finish(struct el_infer *infer)
{
    const struct el_status *status = NULL;
    for (size_t i = 0; status == NULL && i < infer->task_count; i++)
        status = infer->tasks[i].status;
    infer->done(infer, status);
}

static void task_done(struct el_request *request, const struct el_status *status)
{
    struct el_infer_task *task = (struct el_infer_task *)request;
    task->status = el_status_copy(status);
    if (--task->infer->running == 0)
        finish(task->infer);
}

void el_infer_start(struct el_infer *infer, const struct el_request *spec)
{
    infer->running = infer->task_count + 1; /* one for this loop: a task may end before the next has begun */
    for (size_t i = 0; i < infer->task_count; i++) {
        struct el_infer_task *task = &infer->tasks[i];
        task->request = *spec;
        task->request.loop = infer->loop->swap_loop;
        task->request.signature_name = task->signature_name.data;
        task->request.signature_name_size = task->signature_name.size;
        task->request.fill = fill;
        task->request.done = task_done;
        task->request.no_signature = no_signature;
        el_request_start(&task->request);
    }
    if (--infer->running == 0)
        finish(infer);
}

void el_infer_cancel(struct el_infer *infer)
{
    infer->cancelled = true;
    infer->running++; /* the last task's end frees it all: not before this loop is through */
    for (size_t i = 0; i < infer->task_count; i++)
        el_request_cancel(&infer->tasks[i].request);
    if (--infer->running == 0)
        finish(infer);
}
