/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenVINO reads only `serving_default`, so every other signature is read from
 * a view of the directory in which it has that name (bundle/rename_signature.h).
 *
 * Ports carry the signature's keys as names, with two exceptions that
 * OpenVINO's optimisations make: an input that no output depends on has no port, and an output
 * that is an input unchanged has lost its own name for the input's. So names
 * are trusted only where they are no input's, and one output that is left over belongs to
 * the one port that is left over; more than one cannot be told apart, and the
 * signature is refused rather than answered with its outputs exchanged.
 */
#include "engine/openvino.h"

#include "bundle/rename_signature.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_PORTS (2 * (size_t)EL_MAX_SIGNATURE_TENSORS)

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

static struct el_status *read_path(const ov_core_t *core, const char *path, ov_model_t **read)
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
            status = read_path(model->core, view, read);
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

/* ---- ports ---- */

typedef ov_status_e get_port(const ov_compiled_model_t *compiled, size_t number, ov_output_const_port_t **port);
typedef ov_status_e get_named_port(const ov_compiled_model_t *compiled, const char *name,
                                   ov_output_const_port_t **port);

/* Inputs or outputs of a compiled model. */
struct side {
    get_port *by_number;
    get_named_port *by_name;
    bool by_tensor; /* ports are named as the graph's tensors, not as the signature's keys: all but SavedModels */
    size_t count;
    char **names; /* any one of each port's names; ports of one side share none */
};

static const char *port_name(const struct side *side, const struct everlit_tensor_info *info)
{
    return side->by_tensor ? info->tensor_name : info->name;
}

static void side_close(struct side *side)
{
    for (size_t i = 0; side->names != NULL && i < side->count; i++)
        ov_free(side->names[i]);
    free(side->names);
}

static char *name_of(ov_output_const_port_t *port)
{
    char *name = NULL;
    return port != NULL && ov_port_get_any_name(port, &name) == OK ? name : NULL;
}

/* side->count is set; side_close() also after a failure. */
static struct el_status *side_open(const ov_compiled_model_t *compiled, struct side *side)
{
    if (side->count > MAX_PORTS)
        return el_status_new(EL_UNIMPLEMENTED, "OpenVINO makes %zu ports of it, at most %zu are expected", side->count,
                             MAX_PORTS);
    side->names = calloc(side->count == 0 ? 1 : side->count, sizeof *side->names);
    if (side->names == NULL)
        return el_status_no_memory();
    for (size_t i = 0; i < side->count; i++) {
        ov_output_const_port_t *port = NULL;
        EL_TRY(ov_status(side->by_number(compiled, i, &port), EL_INTERNAL, "its ports cannot be listed"));
        side->names[i] = name_of(port);
        ov_output_const_port_free(port);
    }
    return NULL;
}

/* The port that has this name among its names; -1 when there is none. */
static int side_find(const struct side *side, const ov_compiled_model_t *compiled, const char *name)
{
    ov_output_const_port_t *port = NULL;
    if (side->by_name(compiled, name, &port) != OK)
        return -1;
    char *any = name_of(port);
    ov_output_const_port_free(port);
    int found = -1;
    for (size_t i = 0; any != NULL && found < 0 && i < side->count; i++)
        if (side->names[i] != NULL && strcmp(side->names[i], any) == 0)
            found = (int)i;
    ov_free(any);
    return found;
}

/* Sets the port of one input or output, whose type must be what the signature says. */
static struct el_status *set_port(const struct side *side, const ov_compiled_model_t *compiled, int number,
                                  const struct everlit_tensor_info *info, struct ov_port *port)
{
    ov_output_const_port_t *found = NULL;
    ov_element_type_e type = DYNAMIC;
    ov_status_e result = side->by_number(compiled, (size_t)number, &found);
    if (result == OK)
        result = ov_port_get_element_type(found, &type);
    ov_output_const_port_free(found);
    EL_TRY(ov_status(result, EL_INTERNAL, "the type of a port cannot be read"));
    if (type != ov_type(info->dtype))
        return el_status_new(EL_UNIMPLEMENTED,
                             "OpenVINO has another type (number %d of its list) for \"%s\", which "
                             "the signature declares as %s",
                             (int)type, info->name, el_dtype_name((enum el_dtype)info->dtype));
    *port = (struct ov_port){ .used = true, .number = (size_t)number, .type = type };
    return NULL;
}

static struct el_status *map_inputs(const ov_compiled_model_t *compiled, bool by_tensor, struct ov_signature *signature)
{
    struct side side = { .by_number = ov_compiled_model_input_by_index,
                         .by_name = ov_compiled_model_input_by_name,
                         .by_tensor = by_tensor };
    EL_TRY(ov_status(ov_compiled_model_inputs_size(compiled, &side.count), EL_INTERNAL, "its inputs cannot be read"));
    const struct everlit_signature *declared = signature->declared;
    size_t mapped = 0;
    struct el_status *status = side_open(compiled, &side);
    for (uint32_t i = 0; status == NULL && i < declared->input_count; i++) {
        const int number = side_find(&side, compiled, port_name(&side, &declared->inputs[i]));
        if (number < 0)
            continue;
        status = set_port(&side, compiled, number, &declared->inputs[i], &signature->inputs[i]);
        mapped++;
    }
    if (status == NULL && mapped != side.count)
        status = el_status_new(EL_UNIMPLEMENTED, "OpenVINO wants %zu inputs, %zu of them are declared", side.count,
                               mapped);
    side_close(&side);
    return status;
}

static bool is_input(const struct side *side, const struct everlit_signature *signature, const char *name)
{
    for (uint32_t i = 0; i < signature->input_count; i++)
        if (strcmp(port_name(side, &signature->inputs[i]), name) == 0)
            return true;
    return false;
}

static struct el_status *map_outputs_of(const struct side *side, const ov_compiled_model_t *compiled,
                                        struct ov_signature *signature, bool *taken)
{
    const struct everlit_signature *declared = signature->declared;
    uint32_t left = 0, left_over = 0;
    for (uint32_t i = 0; i < declared->output_count; i++) {
        const char *name = port_name(side, &declared->outputs[i]);
        const int number = is_input(side, declared, name) ? -1 : side_find(side, compiled, name);
        if (number >= 0) {
            taken[number] = true;
            EL_TRY(set_port(side, compiled, number, &declared->outputs[i], &signature->outputs[i]));
        } else {
            left++;
            left_over = i;
        }
    }
    if (left == 0)
        return NULL;
    int free_port = -1, free_ports = 0;
    for (size_t i = 0; i < side->count; i++) {
        if (!taken[i]) {
            free_port = (int)i;
            free_ports++;
        }
    }
    if (left > 1 || free_ports != 1)
        return el_status_new(EL_UNIMPLEMENTED, "OpenVINO does not tell which of its outputs is \"%s\"",
                             declared->outputs[left_over].name);
    return set_port(side, compiled, free_port, &declared->outputs[left_over], &signature->outputs[left_over]);
}

static struct el_status *map_outputs(const ov_compiled_model_t *compiled, bool by_tensor,
                                     struct ov_signature *signature)
{
    struct side side = { .by_number = ov_compiled_model_output_by_index,
                         .by_name = ov_compiled_model_output_by_name,
                         .by_tensor = by_tensor };
    EL_TRY(ov_status(ov_compiled_model_outputs_size(compiled, &side.count), EL_INTERNAL, "its outputs cannot be read"));
    struct el_status *status = side_open(compiled, &side);
    bool *taken = calloc(side.count == 0 ? 1 : side.count, sizeof *taken);
    if (status == NULL && taken == NULL)
        status = el_status_no_memory();
    if (status == NULL && taken != NULL)
        status = map_outputs_of(&side, compiled, signature, taken);
    free(taken);
    side_close(&side);
    return status;
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
    for (uint32_t i = 0; signature->requests != NULL && i < concurrency; i++)
        close_request(signature, &signature->requests[i]);
    free(signature->requests);
    free(signature->inputs);
    free(signature->outputs);
    free(signature->reason);
    free(signature->ranks);
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

static struct el_status *read_and_compile(const struct ov_engine_model *model, struct el_status *read_status,
                                          ov_model_t *read, struct ov_signature *signature)
{
    if (read_status != NULL)
        return read_status;
    struct el_status *status = ov_signature_compile(model, read, signature);
    if (status == NULL && model->any_shape)
        signature->read = read;
    else
        ov_model_free(read);
    return status;
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
        return read_and_compile(model, status, read, signature);
    }
    if (!can_be_read_in_place(&model->model, name)) {
        status = read_view(model, options, name, false, &read);
        return read_and_compile(model, status, read, signature);
    }
    struct el_status *in_place = read_path(model->core, options->path, &read);
    in_place = read_and_compile(model, in_place, read, signature);
    if (in_place == NULL)
        return NULL;
    read = NULL;
    status = read_view(model, options, name, true, &read);
    status = read_and_compile(model, status, read, signature);
    struct el_status *const unwanted = status == NULL ? in_place : status;
    struct el_status *const told = status == NULL ? NULL : in_place;
    el_status_free(unwanted);
    return told;
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
    EL_TRY(map_inputs(signature->compiled, is_by_tensor(model), signature));
    EL_TRY(map_outputs(signature->compiled, is_by_tensor(model), signature));
    for (uint32_t i = 0; i < model->concurrency; i++)
        EL_TRY(open_request(signature, &signature->requests[i]));
    return NULL;
}

static struct el_status *open_signature(const struct ov_engine_model *model, const struct everlit_open_options *options,
                                        struct ov_signature *signature)
{
    const struct everlit_signature *declared = signature->declared;
    EL_TRY(check_types(declared->inputs, declared->input_count));
    EL_TRY(check_types(declared->outputs, declared->output_count));
    EL_TRY(compile_model(model, options, signature));
    return ov_signature_finish(model, signature);
}

struct el_status *ov_signature_open(struct ov_engine_model *model, const struct everlit_open_options *options,
                                    uint32_t number)
{
    struct ov_signature *signature = &model->signatures[number];
    signature->declared = &model->model.signatures[number];
    struct el_status *status = open_signature(model, options, signature);
    if (status == NULL)
        return NULL;
    const struct everlit_signature *declared = signature->declared;
    ov_signature_close(signature, model->concurrency);
    signature->declared = declared;
    return el_status_prefix(status, "%s: signature \"%s\"", options->path, declared->name);
}
