/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenVINO reads only `serving_default`, so every other signature is read from
 * a view of the directory in which it has that name (bundle/rename_signature.h).
 */
#include "engine/openvino.h"

#include "bundle/rename_signature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- reading and compiling ---- */

/* TensorFlow Lite and ONNX: OpenVINO reads the file, whose only signatures are those of its one graph. */
static struct el_status *read_file(const ov_core_t *core, const struct el_plugin_model *model, const char *path,
                                   ov_model_t **read)
{
    struct el_buf buf = { 0 };
    el_buf_printf(&buf, "%s/%s", path, el_model_file_name(model->format));
    char *file = el_buf_take_text(&buf);
    if (file == NULL)
        return el_status_no_memory();
    struct el_status *status = ov_status(ov_core_read_model(core, file, NULL, read), EL_UNIMPLEMENTED,
                                         "cannot be converted");
    free(file);
    return status;
}

static bool can_be_read_in_place(const struct el_plugin_model *model, const char *signature)
{
    return strcmp(signature, "serving_default") == 0 && model->saved.graph_count == 1 && model->graph->tag_count == 1 &&
           strcmp(model->graph->tags[0], "serve") == 0;
}

struct el_status *ov_signature_read(const ov_core_t *core, const char *path, ov_model_t **read)
{
    return ov_status(ov_core_read_model(core, path, NULL, read), EL_UNIMPLEMENTED, "cannot be converted");
}

/* only_cut: not if no input lies inside the graph. */
static struct el_status *read_view(const struct ov_engine_model *model, const struct everlit_open_options *options,
                                   const char *signature, bool only_cut, ov_model_t **read)
{
    const char *scratch = options->scratch_path;
    bool cut = false;
    if (scratch == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "no scratch directory was given, which is needed to read it");
    struct el_buf buf = { 0 };
    el_buf_printf(&buf, "%s/view", scratch);
    char *view = el_buf_take_text(&buf);
    if (view == NULL)
        return el_status_no_memory();
    struct el_status *status;
    if (mkdir(view, 0700) != 0) {
        status = el_status_errno(errno, "%s: cannot be created", view);
    } else {
        status = el_rename_signature(options->path, model->model.graph, signature, view, &cut);
        if (status == NULL && only_cut && !cut)
            status = el_status_new(EL_UNIMPLEMENTED, "no input lies inside the graph");
        if (status == NULL)
            status = ov_signature_read(model->core, view, read);
        el_rename_signature_remove(view);
    }
    free(view);
    return status;
}

struct el_status *ov_signature_compile(const struct ov_engine_model *model, const ov_model_t *read,
                                       struct ov_signature *signature)
{
    const ov_property_t properties[] = {
        { ov_property_key_hint_inference_precision, model->settings.precision },
        { ov_property_key_hint_performance_mode, "LATENCY" },
        { ov_property_key_num_streams, model->settings.streams },
        { ov_property_key_inference_num_threads, model->settings.threads },
        /* Many workers share the processors: a thread that is tied to one of them would wait for its neighbour. */
        { ov_property_key_hint_enable_cpu_pinning, "NO" },
    };
    return ov_status(ov_core_compile_model_props(model->core, read, "CPU", sizeof properties / sizeof properties[0],
                                                 properties, &signature->compiled),
                     EL_UNIMPLEMENTED, "cannot be compiled");
}

/* ---- requests ---- */

/* OpenVINO's own memory for one input, empty to start with, with as many dims as the signature says. */
static struct el_status *open_feed(const struct everlit_tensor_info *info, const struct ov_port *port,
                                   struct ov_feed *feed)
{
    feed->rank = info->rank < 0 ? 1 : info->rank;
    for (int32_t i = 0; i < info->rank; i++)
        feed->dims[i] = info->dims[i] < 0 ? 0 : info->dims[i];
    const ov_shape_t shape = { .rank = feed->rank, .dims = feed->dims };
    return ov_status(ov_tensor_create(port->type, shape, &feed->own), EL_RESOURCE_EXHAUSTED, "an input cannot be made");
}

static struct el_status *open_request(const struct ov_signature *signature, struct ov_request *request)
{
    const struct everlit_signature *declared = signature->declared;
    request->feeds = calloc(declared->input_count == 0 ? 1 : declared->input_count, sizeof *request->feeds);
    if (request->feeds == NULL)
        return el_status_no_memory();
    EL_TRY(ov_status(ov_compiled_model_create_infer_request(signature->compiled, &request->infer),
                     EL_RESOURCE_EXHAUSTED, "an infer request cannot be made"));
    for (uint32_t i = 0; i < declared->input_count; i++)
        if (signature->inputs[i].used)
            EL_TRY(open_feed(&declared->inputs[i], &signature->inputs[i], &request->feeds[i]));
    return NULL;
}

static void close_request(const struct ov_signature *signature, struct ov_request *request)
{
    if (request->infer != NULL)
        ov_infer_request_free(request->infer);
    for (uint32_t i = 0; request->feeds != NULL && i < signature->declared->input_count; i++)
        if (request->feeds[i].own != NULL)
            ov_tensor_free(request->feeds[i].own);
    free(request->feeds);
}

void ov_signature_close(struct ov_signature *signature, uint32_t concurrency)
{
    ov_host_close(signature, concurrency);
    free(signature->given_back);
    for (uint32_t i = 0; signature->requests != NULL && i < concurrency; i++)
        close_request(signature, &signature->requests[i]);
    free(signature->requests);
    free(signature->inputs);
    free(signature->outputs);
    free(signature->reason);
    free(signature->ranks);
    free(signature->sizes);
    if (signature->compiled != NULL)
        ov_compiled_model_free(signature->compiled);
    if (signature->read != NULL)
        ov_model_free(signature->read);
    while (signature->shapes != NULL) {
        struct ov_signature *one = signature->shapes;
        signature->shapes = one->next;
        ov_signature_close(one, concurrency); /* has no shapes of its own: no deeper */
        free(one);
    }
    *signature = (struct ov_signature){ 0 };
}

/* ---- a signature ---- */

static struct el_status *check_types(const struct everlit_tensor_info *infos, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (ov_type(infos[i].dtype) == DYNAMIC)
            return el_status_new(EL_UNIMPLEMENTED, "\"%s\" is %s, which OpenVINO's C API does not take and give",
                                 infos[i].name, el_dtype_name((enum el_dtype)infos[i].dtype));
    return NULL;
}

static struct el_status *allocate(struct ov_signature *signature, uint32_t concurrency)
{
    const struct everlit_signature *declared = signature->declared;
    signature->inputs = calloc(declared->input_count == 0 ? 1 : declared->input_count, sizeof *signature->inputs);
    signature->outputs = calloc(declared->output_count == 0 ? 1 : declared->output_count, sizeof *signature->outputs);
    signature->requests = calloc(concurrency, sizeof *signature->requests);
    if (signature->inputs == NULL || signature->outputs == NULL || signature->requests == NULL)
        return el_status_no_memory();
    return NULL;
}

static bool is_by_tensor(const struct ov_engine_model *model)
{
    return model->model.format != EL_FORMAT_SAVED_MODEL;
}

const char *ov_input_name(const struct ov_engine_model *model, const struct everlit_tensor_info *info)
{
    return is_by_tensor(model) ? info->tensor_name : info->name;
}

struct el_status *ov_signature_finish(const struct ov_engine_model *model, struct ov_signature *signature)
{
    EL_TRY(allocate(signature, model->concurrency));
    EL_TRY(ov_ports_map_inputs(signature->compiled, is_by_tensor(model), signature));
    EL_TRY(ov_ports_map_outputs(signature->compiled, is_by_tensor(model), signature));
    for (uint32_t i = 0; i < model->concurrency; i++)
        EL_TRY(open_request(signature, &signature->requests[i]));
    return NULL;
}

static bool has_unknown_rank(const struct everlit_signature *declared)
{
    for (uint32_t i = 0; i < declared->input_count; i++)
        if (declared->inputs[i].rank < 0)
            return true;
    return false;
}

/* What is compiled only when it is known which ranks it is asked with. */
static struct el_status *finish_later(const struct ov_engine_model *model, struct ov_signature *signature)
{
    EL_TRY(allocate(signature, model->concurrency));
    for (uint32_t i = 0; i < signature->declared->input_count; i++) {
        ov_output_const_port_t *port = NULL;
        const char *name = ov_input_name(model, &signature->declared->inputs[i]);
        signature->inputs[i].used = ov_model_const_input_by_name(signature->read, name, &port) == OK;
        if (port != NULL)
            ov_output_const_port_free(port);
    }
    return NULL;
}

struct el_status *ov_signature_make(const struct ov_engine_model *model, ov_model_t *read,
                                    struct ov_signature *signature)
{
    const bool later = model->any_shape && has_unknown_rank(signature->declared);
    struct el_status *status = later ? NULL : ov_signature_compile(model, read, signature);
    if (status == NULL && model->any_shape)
        signature->read = read;
    else
        ov_model_free(read);
    if (status != NULL)
        return status;
    return later ? finish_later(model, signature) : ov_signature_finish(model, signature);
}

/* As it was before it was made. */
static void clear(struct ov_signature *signature, uint32_t concurrency)
{
    const struct everlit_signature *declared = signature->declared;
    ov_signature_close(signature, concurrency);
    signature->declared = declared;
}

/* In place if that can be: where an input lies inside the graph, only the view, whose graph begins there, can be converted. */
static struct el_status *compile_model(const struct ov_engine_model *model, const struct everlit_open_options *options,
                                       struct ov_signature *signature)
{
    const char *name = signature->declared->name;
    ov_model_t *read = NULL;
    struct el_status *status;
    if (model->model.format != EL_FORMAT_SAVED_MODEL) {
        status = read_file(model->core, &model->model, options->path, &read);
        return status != NULL ? status : ov_signature_make(model, read, signature);
    }
    if (!can_be_read_in_place(&model->model, name)) {
        status = read_view(model, options, name, false, &read);
        return status != NULL ? status : ov_signature_make(model, read, signature);
    }
    struct el_status *in_place = ov_signature_read(model->core, options->path, &read);
    if (in_place == NULL)
        in_place = ov_signature_make(model, read, signature);
    if (in_place == NULL)
        return NULL;
    clear(signature, model->concurrency);
    read = NULL;
    status = read_view(model, options, name, true, &read);
    if (status == NULL)
        status = ov_signature_make(model, read, signature);
    struct el_status *const unwanted = status == NULL ? in_place : status;
    struct el_status *const told = status == NULL ? NULL : in_place;
    el_status_free(unwanted);
    return told;
}

/* By OpenVINO alone. */
static struct el_status *open_signature(const struct ov_engine_model *model, const struct everlit_open_options *options,
                                        struct ov_signature *signature)
{
    const struct everlit_signature *declared = signature->declared;
    EL_TRY(check_types(declared->inputs, declared->input_count));
    EL_TRY(check_types(declared->outputs, declared->output_count));
    return compile_model(model, options, signature);
}

/*
 * Where another engine could be chosen, OpenVINO does a signature alone or not at all. Where there is none, the plug-in does its part
 * of what OpenVINO cannot.
 */
static struct el_status *open_either(struct ov_engine_model *model, const struct everlit_open_options *options,
                                     struct ov_signature *signature)
{
    struct el_status *host = NULL;
    const bool can_plan = model->alone && model->model.format == EL_FORMAT_SAVED_MODEL;
    const bool first = can_plan && ov_host_is_wanted(signature->declared);
    bool useful = false;
    if (first) {
        host = ov_host_open(model, options, signature, &useful);
        if (host == NULL && useful)
            return NULL;
        clear(signature, model->concurrency);
    }
    struct el_status *status = open_signature(model, options, signature);
    if (status != NULL && can_plan && !first && el_status_code(status) == EL_UNIMPLEMENTED) {
        clear(signature, model->concurrency);
        host = ov_host_open(model, options, signature, &useful);
        if (host == NULL && useful) {
            el_status_free(status);
            return NULL;
        }
    }
    /* Of two reasons the plan's: it knows of more ways. */
    struct el_status *const told = status == NULL || host == NULL ? status : host;
    el_status_free(told == host ? status : host);
    return told;
}

/* TensorFlow refuses to give back what it is given, whatever the engine could. */
static struct el_status *find_given_back(struct ov_signature *signature)
{
    const struct everlit_signature *declared = signature->declared;
    for (uint32_t o = 0; o < declared->output_count; o++) {
        const char *name = declared->outputs[o].tensor_name;
        for (uint32_t i = 0; name[0] != '\0' && i < declared->input_count; i++) {
            if (strcmp(declared->inputs[i].tensor_name, name) != 0)
                continue;
            signature->given_back = strdup(name);
            return signature->given_back == NULL ? el_status_no_memory() : NULL;
        }
    }
    return NULL;
}

struct el_status *ov_signature_open(struct ov_engine_model *model, const struct everlit_open_options *options,
                                    uint32_t number)
{
    struct ov_signature *signature = &model->signatures[number];
    signature->declared = &model->model.signatures[number];
    struct el_status *status = open_either(model, options, signature);
    if (status == NULL && model->model.format == EL_FORMAT_SAVED_MODEL)
        status = find_given_back(signature);
    if (status == NULL)
        return NULL;
    const struct everlit_signature *declared = signature->declared;
    ov_signature_close(signature, model->concurrency);
    signature->declared = declared;
    return el_status_prefix(status, "%s: signature \"%s\"", options->path, declared->name);
}
