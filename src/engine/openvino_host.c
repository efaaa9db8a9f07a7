/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A signature in two parts: the plan's steps are the plug-in's, its network is compiled by OpenVINO as a signature of its own, from a
 * view of the directory to which the plan's nodes were added.
 *
 * Only where OpenVINO was forced: with `auto`, TensorFlow has it all.
 */
#include "engine/openvino.h"

#include "bundle/proto_file.h"
#include "bundle/rename_signature.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_GRAPH ((size_t)256 << 20)

enum { META_GRAPH_GRAPH = 2 };

/* ---- what OpenVINO has ---- */

static enum host_has has_type(enum el_dtype dtype)
{
    if (ov_type((int32_t)dtype) == DYNAMIC && dtype != EL_RESOURCE && dtype != EL_VARIANT)
        return HOST_HAS_NOT;
    return dtype == EL_DOUBLE ? HOST_HAS_ROUGHLY : HOST_HAS;
}

bool ov_host_is_wanted(const struct everlit_signature *declared)
{
    for (uint32_t i = 0; i < declared->input_count + declared->output_count; i++) {
        const struct everlit_tensor_info *info = i < declared->input_count
                                                     ? &declared->inputs[i]
                                                     : &declared->outputs[i - declared->input_count];
        if (has_type((enum el_dtype)info->dtype) != HOST_HAS || (i < declared->input_count && info->rank < 0))
            return true;
    }
    return false;
}

/* ---- opening ---- */

static struct el_status *read_graph_from(int fd, const char *name, const struct el_meta_graph *meta,
                                         struct el_buf *graph)
{
    struct el_proto_file file;
    EL_TRY(el_proto_file_open(fd, name, &file));
    struct el_proto_span span = { meta->offset, meta->offset + meta->size };
    struct el_proto_part part;
    struct el_status *status = span.end > file.size
                                   ? el_status_new(EL_ABORTED, "%s: has changed since its signatures were read", name)
                                   : NULL;
    /* One that comes twice is one with the content of both. */
    while (status == NULL && el_proto_file_next(&file, &span, &part, &status))
        if (part.number == META_GRAPH_GRAPH && part.wire == EL_PROTO_BYTES)
            status = el_proto_file_read(&file, part.span, MAX_GRAPH, graph);
    el_proto_file_close(&file);
    return status;
}

static char *join(const char *directory, const char *name)
{
    struct el_buf buf = { 0 };
    el_buf_printf(&buf, "%s/%s", directory, name);
    return el_buf_take_text(&buf);
}

static struct el_status *read_graph(struct ov_engine_model *model, const char *path)
{
    if (model->graph.size > 0)
        return NULL;
    char *name = join(path, "saved_model.pb");
    if (name == NULL)
        return el_status_no_memory();
    const int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct el_status *status = fd < 0 ? el_status_errno(errno, "%s: cannot be opened", name)
                                      : read_graph_from(fd, name, model->model.graph, &model->graph);
    if (fd >= 0)
        close(fd);
    free(name);
    return status;
}

static struct el_status *read_network(const struct ov_engine_model *model, const struct everlit_open_options *options,
                                      struct host_plan *plan, ov_model_t **read)
{
    struct el_buf entry = { 0 }, nodes = { 0 };
    if (options->scratch_path == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "no scratch directory was given, which is needed to read it");
    char *view = join(options->scratch_path, "view");
    struct el_status *status = view == NULL ? el_status_no_memory() : host_write(plan, &entry, &nodes);
    if (status == NULL && mkdir(view, 0700) != 0) {
        status = el_status_errno(errno, "%s: cannot be created", view);
    } else if (status == NULL) {
        status = el_rename_signature_to(options->path, model->model.graph, &entry, &nodes, view);
        if (status == NULL)
            status = ov_signature_read(model->core, view, read);
        el_rename_signature_remove(view);
    }
    free(view);
    el_buf_free(&entry);
    el_buf_free(&nodes);
    return status;
}

struct el_status *ov_host_open(struct ov_engine_model *model, const struct everlit_open_options *options,
                               struct ov_signature *signature, bool *useful)
{
    EL_TRY(read_graph(model, options->path));
    char *directory = join(options->path, "assets");
    if (directory == NULL)
        return el_status_no_memory();
    const struct el_meta_graph *meta = model->model.graph;
    const struct host_assets assets = { directory, meta->asset_tensors, meta->assets, meta->asset_tensor_count };
    struct el_status *status = host_plan_make(model->graph.data, model->graph.size, signature->declared, has_type,
                                              &assets, &signature->plan);
    free(directory);
    EL_TRY(status);
    struct host_plan *plan = signature->plan;
    *useful = plan->step_count > 0 || !plan->uses_engine;
    if (!*useful || !plan->uses_engine)
        return NULL;
    signature->network = calloc(1, sizeof *signature->network);
    if (signature->network == NULL)
        return el_status_no_memory();
    ov_model_t *read = NULL;
    EL_TRY(read_network(model, options, plan, &read));
    signature->network->declared = &plan->engine;
    return ov_signature_make(model, read, signature->network);
}

void ov_host_close(struct ov_signature *signature, uint32_t concurrency)
{
    if (signature->network != NULL) {
        if (signature->network->declared != NULL)
            ov_signature_close(signature->network, concurrency); /* has no plan of its own: no deeper */
        free(signature->network);
    }
    if (signature->plan != NULL)
        host_plan_free(signature->plan);
    signature->network = NULL;
    signature->plan = NULL;
}

/* ---- a run ---- */

struct network_run {
    struct ov_engine_model *model;
    const struct ov_signature *signature;
    const struct everlit_run *outer;
    struct host_value *outputs;
};

/* The host of the network's run: memory for what it answers. */
static void *take_output(void *opaque, const struct everlit_tensor *tensor)
{
    const struct network_run *network = opaque;
    struct el_shape shape = { .rank = tensor->rank };
    void *data = NULL;
    memcpy(shape.dims, tensor->dims, sizeof shape.dims);
    struct host_value *value = &network->outputs[tensor->index];
    struct el_status *status = host_value_make((enum el_dtype)tensor->dtype, &shape, value, &data);
    const bool fits = status == NULL && value->tensor.size == tensor->size;
    el_status_free(status);
    return fits ? data : NULL;
}

static struct el_status *run_network(void *opaque, const struct host_value *const *inputs, struct host_value *outputs)
{
    struct network_run *network = opaque;
    const struct everlit_signature *engine = &network->signature->plan->engine;
    struct everlit_tensor *given = calloc((size_t)engine->input_count + 1, sizeof *given);
    uint32_t *wanted = calloc((size_t)engine->output_count + 1, sizeof *wanted);
    struct el_status *status = given == NULL || wanted == NULL ? el_status_no_memory() : NULL;
    for (uint32_t i = 0; status == NULL && i < engine->input_count; i++) {
        const struct el_tensor *from = &inputs[i]->tensor;
        given[i] = (struct everlit_tensor){
            .index = i, .dtype = (int32_t)from->dtype, .rank = from->shape.rank, .data = from->data, .size = from->size
        };
        memcpy(given[i].dims, from->shape.dims, sizeof given[i].dims);
    }
    for (uint32_t i = 0; status == NULL && i < engine->output_count; i++)
        wanted[i] = i;
    network->outputs = outputs;
    const struct everlit_run run = { .struct_size = sizeof run,
                                     .inputs = given,
                                     .input_count = engine->input_count,
                                     .outputs = wanted,
                                     .output_count = engine->output_count,
                                     .deadline_ns = network->outer->deadline_ns,
                                     .host = network,
                                     .output = take_output };
    if (status == NULL)
        status = ov_signature_run(network->model, network->signature->network, &run, network->outer);
    free(given);
    free(wanted);
    return status;
}

static struct el_status *check_types(const struct everlit_signature *declared, const struct everlit_run *run)
{
    for (uint32_t i = 0; i < run->input_count; i++) {
        const struct everlit_tensor_info *info = &declared->inputs[run->inputs[i].index];
        if (run->inputs[i].dtype != info->dtype)
            return el_status_new(EL_INVALID_ARGUMENT, "Expects arg[%u] to be %s but %s is provided",
                                 run->inputs[i].index, el_dtype_short_name((enum el_dtype)info->dtype),
                                 el_dtype_short_name((enum el_dtype)run->inputs[i].dtype)); /* in TensorFlow's words */
    }
    return NULL;
}

struct el_status *ov_host_run(struct ov_engine_model *model, const struct ov_signature *signature,
                              const struct everlit_run *run)
{
    EL_TRY(check_types(signature->declared, run));
    struct network_run network = { .model = model, .signature = signature, .outer = run };
    return host_run(signature->plan, run, run_network, &network);
}
