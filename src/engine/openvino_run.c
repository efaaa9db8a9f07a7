/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hot path. No system call of ours; OpenVINO allocates a few small objects.
 *
 * Small inputs are copied into memory that the infer request keeps, because
 * telling it about other memory costs more than the copy (4 to 10 µs against
 * 0.1 µs for 3 kB); larger ones are used where they lie. Outputs are copied
 * out: where their dims are not fixed, their size is known only afterwards, and the memory that was lent
 * for one run must not be written to by the next, which may not want that output.
 */
#include "engine/openvino.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

#define COPY_UP_TO ((size_t)64 * 1024)

/* ---- requests ---- */

static struct ov_request *take_request(struct ov_engine_model *model, struct ov_signature *signature,
                                       const struct everlit_run *run)
{
    struct ov_request *free_one = NULL;
    pthread_mutex_lock(&model->lock);
    for (uint32_t i = 0; free_one == NULL && i < model->concurrency; i++)
        if (!signature->requests[i].busy)
            free_one = &signature->requests[i];
    if (free_one != NULL) {
        free_one->busy = true;
        free_one->cancelled = false;
        free_one->run = run;
    }
    pthread_mutex_unlock(&model->lock);
    return free_one;
}

static void give_back(struct ov_engine_model *model, struct ov_request *request)
{
    pthread_mutex_lock(&model->lock);
    request->busy = false;
    request->run = NULL;
    pthread_mutex_unlock(&model->lock);
}

static struct el_status *check_cancelled(struct ov_engine_model *model, const struct ov_signature *signature,
                                         const struct ov_request *request)
{
    pthread_mutex_lock(&model->lock);
    const bool cancelled = request->cancelled;
    pthread_mutex_unlock(&model->lock);
    return cancelled ? el_status_new(EL_CANCELLED, "signature \"%s\": was cancelled", signature->declared->name) : NULL;
}

static void cancel_in(const struct ov_engine_model *model, struct ov_signature *signature,
                      const struct everlit_run *run)
{
    for (uint32_t i = 0; signature->requests != NULL && i < model->concurrency; i++) {
        struct ov_request *request = &signature->requests[i];
        if (request->busy && request->run == run) {
            request->cancelled = true;
            ov_infer_request_cancel(request->infer);
        }
    }
}

/*
 * Under the lock, so that the request cannot be given back and start another run in between. OpenVINO looks for a cancel
 * between the ops of a graph; one that comes before it has begun, or during the last op, is seen by check_cancelled().
 */
void ov_engine_cancel(void *opaque, const struct everlit_run *run)
{
    struct ov_engine_model *model = opaque;
    if (run->signature >= model->model.count)
        return;
    struct ov_signature *signature = &model->signatures[run->signature];
    pthread_mutex_lock(&model->lock);
    if (signature->plan != NULL)
        signature = signature->network; /* NULL: what the plug-in does itself is short */
    if (signature != NULL) {
        cancel_in(model, signature, run);
        for (struct ov_signature *one = signature->shapes; one != NULL; one = one->next)
            cancel_in(model, one, run);
    }
    pthread_mutex_unlock(&model->lock);
}

/* ---- inputs ---- */

static bool fits(const struct everlit_tensor_info *info, const struct everlit_tensor *tensor)
{
    struct el_shape declared = { .rank = info->rank };
    memcpy(declared.dims, info->dims, sizeof declared.dims);
    const struct el_tensor given = el_plugin_tensor(tensor);
    return el_shape_fits(&declared, &given.shape);
}

static struct el_status *misfit(const struct everlit_signature *signature, const struct everlit_tensor *tensor)
{
    const struct everlit_tensor_info *info = &signature->inputs[tensor->index];
    struct el_shape declared = { .rank = info->rank };
    memcpy(declared.dims, info->dims, sizeof declared.dims);
    const struct el_tensor given = el_plugin_tensor(tensor);
    char found[400], expected[400];
    return el_status_new(EL_INVALID_ARGUMENT, "input \"%s\" of signature \"%s\" has the shape %s, %s is expected",
                         info->name, signature->name, el_shape_print(&given.shape, found, sizeof found),
                         el_shape_print(&declared, expected, sizeof expected));
}

/* *signature: which of them runs, as it is declared or compiled for other shapes. TensorFlow does not look at declared shapes. */
static struct el_status *choose_shapes(struct ov_engine_model *model, const struct everlit_run *run,
                                       struct ov_signature **signature)
{
    const struct everlit_signature *declared = (*signature)->declared;
    const struct everlit_tensor *other = NULL;
    for (uint32_t i = 0; i < run->input_count; i++) {
        const struct everlit_tensor *tensor = &run->inputs[i];
        const struct everlit_tensor_info *info = &declared->inputs[tensor->index];
        if (tensor->dtype != info->dtype)
            return el_status_new(EL_INVALID_ARGUMENT, "Expects arg[%u] to be %s but %s is provided", tensor->index,
                                 el_dtype_short_name((enum el_dtype)info->dtype),
                                 el_dtype_short_name((enum el_dtype)tensor->dtype)); /* in TensorFlow's words */
        if (other == NULL && !fits(info, tensor))
            other = tensor;
    }
    if (other == NULL && (*signature)->compiled != NULL)
        return ov_shapes_check(model, *signature, run);
    if (other != NULL && (*signature)->read == NULL)
        return misfit(declared, other);
    struct el_status *status = ov_shapes_find(model, *signature, run, signature);
    if (el_status_code(status) != EL_UNIMPLEMENTED || other == NULL)
        return status;
    struct el_status *told = misfit(declared, other);
    struct el_status *why = el_status_new(EL_INVALID_ARGUMENT, "%s (%s)", el_status_text(told), el_status_text(status));
    el_status_free(told);
    el_status_free(status);
    return why;
}

static struct el_status *copy_input(struct ov_request *request, const struct ov_port *port, struct ov_feed *feed,
                                    const struct everlit_tensor *tensor)
{
    const size_t dims_size = (size_t)tensor->rank * sizeof tensor->dims[0];
    if (feed->rank != tensor->rank || memcmp(feed->dims, tensor->dims, dims_size) != 0) {
        feed->own_is_set = false;
        feed->rank = tensor->rank;
        memcpy(feed->dims, tensor->dims, dims_size);
        const ov_shape_t shape = { .rank = feed->rank, .dims = feed->dims };
        EL_TRY(ov_status(ov_tensor_set_shape(feed->own, shape), EL_INVALID_ARGUMENT, "its shape"));
    }
    void *to = NULL;
    EL_TRY(ov_status(ov_tensor_data(feed->own, &to), EL_INTERNAL, "its memory"));
    if (tensor->size > 0)
        memcpy(to, tensor->data, (size_t)tensor->size);
    if (feed->own_is_set)
        return NULL;
    EL_TRY(ov_status(ov_infer_request_set_input_tensor_by_index(request->infer, port->number, feed->own),
                     EL_INVALID_ARGUMENT, "its tensor"));
    feed->own_is_set = true;
    return NULL;
}

static struct el_status *lend_input(struct ov_request *request, const struct ov_port *port, struct ov_feed *feed,
                                    const struct everlit_tensor *tensor)
{
    ov_tensor_t *lent = NULL;
    int64_t dims[EVERLIT_MAX_RANK];
    /* OpenVINO's type is for memory that it may also write to; to an input it does not. */
    union {
        const void *given;
        void *taken;
    } memory = { .given = tensor->data };
    memcpy(dims, tensor->dims, sizeof dims);
    const ov_shape_t shape = { .rank = tensor->rank, .dims = dims };
    EL_TRY(ov_status(ov_tensor_create_from_host_ptr(port->type, shape, memory.taken, &lent), EL_RESOURCE_EXHAUSTED,
                     "its tensor"));
    feed->own_is_set = false;
    const ov_status_e result = ov_infer_request_set_input_tensor_by_index(request->infer, port->number, lent);
    ov_tensor_free(lent);
    return ov_status(result, EL_INVALID_ARGUMENT, "its tensor");
}

static struct el_status *set_inputs(const struct ov_signature *signature, struct ov_request *request,
                                    const struct everlit_run *run)
{
    for (uint32_t i = 0; i < run->input_count; i++) {
        const struct everlit_tensor *tensor = &run->inputs[i];
        const struct ov_port *port = &signature->inputs[tensor->index];
        if (!port->used)
            continue;
        struct ov_feed *feed = &request->feeds[tensor->index];
        struct el_status *status = tensor->size <= COPY_UP_TO ? copy_input(request, port, feed, tensor)
                                                              : lend_input(request, port, feed, tensor);
        EL_TRY(el_status_prefix(status, "input \"%s\" of signature \"%s\"",
                                signature->declared->inputs[tensor->index].name, signature->declared->name));
    }
    return NULL;
}

/* ---- outputs ---- */

/* OpenVINO's C API refuses to tell the shape of a tensor without dims: one with a single element has such a shape then. */
static struct el_status *read_shape(const ov_tensor_t *from, struct everlit_tensor *tensor)
{
    ov_shape_t shape = { 0 };
    size_t elements = 0;
    const ov_status_e result = ov_tensor_get_shape(from, &shape);
    if (result != OK && ov_tensor_get_size(from, &elements) == OK && elements == 1)
        return NULL;
    EL_TRY(ov_status(result, EL_INTERNAL, "its shape"));
    const int64_t rank = shape.rank;
    const bool fits = rank >= 0 && rank <= EVERLIT_MAX_RANK;
    for (int64_t i = 0; fits && i < rank; i++)
        tensor->dims[i] = shape.dims[i];
    ov_shape_free(&shape);
    if (!fits)
        return el_status_new(EL_UNIMPLEMENTED, "it has %" PRId64 " dimensions, at most %d are possible", rank,
                             EVERLIT_MAX_RANK);
    tensor->rank = (int32_t)rank;
    return NULL;
}

static struct el_status *copy_output(const struct everlit_run *run, const ov_tensor_t *from, ov_element_type_e type,
                                     const struct everlit_tensor_info *info, uint32_t index)
{
    struct everlit_tensor tensor = { .index = index, .dtype = info->dtype };
    if (info->dtype == EL_DTYPE_INVALID) /* a plan's network: the signature does not say */
        tensor.dtype = (int32_t)ov_dtype(type);
    size_t told = 0;
    void *data = NULL;
    EL_TRY(read_shape(from, &tensor));
    EL_TRY(ov_status(ov_tensor_get_byte_size(from, &told), EL_INTERNAL, "its size"));
    const size_t size = told;
    if (size > 0)
        EL_TRY(ov_status(ov_tensor_data(from, &data), EL_INTERNAL, "its memory"));
    if (size > 0 && data == NULL)
        return el_status_new(EL_INTERNAL, "OpenVINO has no memory for its %zu bytes", size);
    tensor.size = size;
    void *to = run->output(run->host, &tensor);
    if (to == NULL)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "there is no memory for its %zu bytes", size);
    if (size > 0)
        memcpy(to, data, size);
    return NULL;
}

static struct el_status *get_outputs(const struct ov_signature *signature, const struct ov_request *request,
                                     const struct everlit_run *run)
{
    for (uint32_t i = 0; i < run->output_count; i++) {
        const uint32_t index = run->outputs[i];
        const struct everlit_tensor_info *info = &signature->declared->outputs[index];
        ov_tensor_t *tensor = NULL;
        struct el_status *status = ov_status(
            ov_infer_request_get_output_tensor_by_index(request->infer, signature->outputs[index].number, &tensor),
            EL_INTERNAL, "it cannot be read");
        if (status == NULL)
            status = copy_output(run, tensor, signature->outputs[index].type, info, index);
        if (tensor != NULL)
            ov_tensor_free(tensor);
        EL_TRY(el_status_prefix(status, "output \"%s\" of signature \"%s\"", info->name, signature->declared->name));
    }
    return NULL;
}

/* ---- run ---- */

static struct el_status *infer(struct ov_engine_model *model, const struct ov_signature *signature,
                               struct ov_request *request, const struct everlit_run *run)
{
    EL_TRY(set_inputs(signature, request, run));
    EL_TRY(check_cancelled(model, signature, request));
    /* In other shapes than declared it is the client's: sizes that do not go together. */
    const enum el_code code = signature->ranks != NULL ? EL_INVALID_ARGUMENT : EL_INTERNAL;
    EL_TRY(el_status_prefix(ov_status(ov_infer_request_infer(request->infer), code, "the inference"),
                            "signature \"%s\"", signature->declared->name));
    EL_TRY(check_cancelled(model, signature, request));
    return get_outputs(signature, request, run);
}

struct el_status *ov_signature_run(struct ov_engine_model *model, struct ov_signature *signature,
                                   const struct everlit_run *run, const struct everlit_run *outer)
{
    EL_TRY(choose_shapes(model, run, &signature));
    struct ov_request *request = take_request(model, signature, outer);
    if (request == NULL)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "more than %" PRIu32 " runs at the same time", model->concurrency);
    struct el_status *status = infer(model, signature, request, run);
    give_back(model, request);
    return status;
}

static bool asks_for(const struct ov_signature *signature, const struct everlit_run *run, const char *tensor)
{
    for (uint32_t i = 0; i < run->output_count; i++)
        if (strcmp(signature->declared->outputs[run->outputs[i]].tensor_name, tensor) == 0)
            return true;
    return false;
}

static struct el_status *run_signature(struct ov_engine_model *model, struct ov_signature *signature,
                                       const struct everlit_run *run)
{
    if (signature->reason != NULL)
        return el_status_new(EL_UNIMPLEMENTED, "%s", signature->reason);
    if (run->deadline_ns != UINT64_MAX && el_now_ns() >= run->deadline_ns)
        return el_status_new(EL_DEADLINE_EXCEEDED, "signature \"%s\": the deadline had passed before it was run",
                             signature->declared->name);
    if (signature->given_back != NULL && asks_for(signature, run, signature->given_back))
        return el_status_new(EL_INVALID_ARGUMENT, "%s is both fed and fetched.", signature->given_back);
    if (signature->plan != NULL)
        return ov_host_run(model, signature, run);
    return ov_signature_run(model, signature, run, run);
}

int ov_engine_run(void *opaque, const struct everlit_run *run, struct everlit_error *error)
{
    struct ov_engine_model *model = opaque;
    struct el_status *status = el_plugin_check_run(&model->model, run);
    if (status == NULL)
        status = run_signature(model, &model->signatures[run->signature], run);
    return el_plugin_result(status, error);
}
