/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plug-in for TensorFlow: the reference. Every op, every signature, every
 * dtype. TensorFlow loads the SavedModel (variables, assets, the init op), and
 * its own texts come out where it refuses something.
 */
#include "engine/tensorflow.h"

#include "bundle/proto.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READS (1u << EL_FORMAT_SAVED_MODEL | 1u << EL_FORMAT_SAVED_MODEL_TEXT)

/* TensorFlow's codes are gRPC's. */
_Static_assert((int)TF_CANCELLED == (int)EL_CANCELLED && (int)TF_INVALID_ARGUMENT == (int)EL_INVALID_ARGUMENT &&
                   (int)TF_RESOURCE_EXHAUSTED == (int)EL_RESOURCE_EXHAUSTED && (int)TF_DATA_LOSS == (int)EL_DATA_LOSS &&
                   (int)TF_UNAUTHENTICATED == (int)EL_UNAUTHENTICATED,
               "codes have gRPC's numbers");

struct el_status *tf_status(const TF_Status *status)
{
    const TF_Code code = TF_GetCode(status);
    if (code == TF_OK)
        return NULL;
    return el_status_new((int)code > 0 && (int)code < EL_CODES ? (enum el_code)code : EL_UNKNOWN, "%s",
                         TF_Message(status));
}

/* ---- signatures ---- */

bool tf_find_output(TF_Graph *graph, const char *tensor_name, TF_Output *output, int *output_count)
{
    const char *colon = strrchr(tensor_name, ':');
    char *end = NULL;
    const unsigned long index = colon == NULL ? 0 : strtoul(colon + 1, &end, 10);
    *output_count = 0;
    if (colon != NULL && (colon[1] < '0' || colon[1] > '9' || *end != '\0'))
        return false;
    char *name = colon == NULL ? strdup(tensor_name) : strndup(tensor_name, (size_t)(colon - tensor_name));
    if (name == NULL)
        return false;
    TF_Operation *operation = TF_GraphOperationByName(graph, name);
    free(name);
    if (operation == NULL)
        return false;
    *output_count = TF_OperationNumOutputs(operation);
    if (index >= (unsigned long)*output_count)
        return false;
    *output = (TF_Output){ .oper = operation, .index = (int)index };
    return true;
}

/* An operation that has no output, as that of __saved_model_init_op. */
static bool is_operation(TF_Graph *graph, const char *tensor_name)
{
    TF_Operation *operation = TF_GraphOperationByName(graph, tensor_name);
    return operation != NULL && TF_OperationNumOutputs(operation) == 0;
}

/* What TensorFlow Serving's clients are told of it. */
static char *operation_reason(const char *name)
{
    struct el_buf text = { 0 };
    el_buf_printf(
        &text,
        "Tried to fetch data for '%s', which has no outputs.  To run to a node but not fetch any data, pass '%s' as an "
        "argument to the 'target_node_names' argument of the Session::Run API.",
        name, name);
    return el_buf_take_text(&text);
}

/* Sets the signature's reason to why the tensors cannot be fed or fetched, if that is so. */
static struct el_status *find_tensors(TF_Graph *graph, const char *name, const struct everlit_tensor_info *infos,
                                      uint32_t count, TF_Output *outputs, struct tf_signature *signature)
{
    for (uint32_t i = 0; i < count && signature->reason == NULL; i++) {
        const char *why = NULL;
        int unused;
        if (is_operation(graph, infos[i].tensor_name)) {
            signature->is_operation = true;
            signature->reason = operation_reason(infos[i].tensor_name);
            return signature->reason != NULL ? NULL : el_status_no_memory();
        }
        if (infos[i].tensor_name[0] == '\0')
            why = "is in an encoding (sparse or composite) that cannot be run";
        else if (!el_dtype_is_data((enum el_dtype)infos[i].dtype))
            why = "is of a dtype that holds no values";
        else if (!tf_find_output(graph, infos[i].tensor_name, &outputs[i], &unused))
            why = "names a tensor that is not in the graph";
        if (why == NULL)
            continue;
        struct el_buf text = { 0 };
        el_buf_printf(&text, "\"%s\" (\"%s\") of signature \"%s\" %s", infos[i].name, infos[i].tensor_name, name, why);
        signature->reason = el_buf_take_text(&text);
        if (signature->reason == NULL)
            return el_status_no_memory();
    }
    return NULL;
}

static struct el_status *open_signatures(struct tf_engine_model *model)
{
    const uint32_t count = model->model.count;
    model->signatures = calloc(count == 0 ? 1 : count, sizeof *model->signatures);
    if (model->signatures == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        const struct everlit_signature *declared = &model->model.signatures[i];
        struct tf_signature *signature = &model->signatures[i];
        signature->inputs = calloc((size_t)declared->input_count + 1, sizeof *signature->inputs);
        signature->outputs = calloc((size_t)declared->output_count + 1, sizeof *signature->outputs);
        if (signature->inputs == NULL || signature->outputs == NULL)
            return el_status_no_memory();
        EL_TRY(find_tensors(model->graph, declared->name, declared->inputs, declared->input_count, signature->inputs,
                            signature));
        EL_TRY(find_tensors(model->graph, declared->name, declared->outputs, declared->output_count, signature->outputs,
                            signature));
    }
    return NULL;
}

/* ---- the session ---- */

/*
 * ConfigProto: intra_op_parallelism_threads = 2, inter_op_parallelism_threads = 5, gpu_options = 6 { allow_growth = 4 },
 * allow_soft_placement = 7, use_per_session_threads = 9.
 *
 * A GPU's memory is taken as needed, because several workers share it. Threads belong to the session, so that they end
 * with it and another model in this process has its own.
 */
static void put_config(const struct everlit_open_options *options, bool small, struct el_buf *config)
{
    const uint32_t intra = options->intra_op_threads != 0 ? options->intra_op_threads : small ? 1 : 0;
    const uint32_t inter = options->inter_op_threads != 0 ? options->inter_op_threads : small ? 1 : 0;
    if (intra != 0)
        el_proto_put_number(config, 2, intra);
    if (inter != 0)
        el_proto_put_number(config, 5, inter);
    el_proto_put_bytes(config, 6, "\x20\x01", 2);
    el_proto_put_number(config, 7, 1);
    el_proto_put_number(config, 9, 1);
}

static struct el_status *load_session(const struct everlit_open_options *options, const TF_SessionOptions *settings,
                                      TF_Status *answer, struct tf_engine_model *model)
{
    static const char *const serve[] = { "serve" };
    const char *const *tags = options->tag_count == 0 ? serve : options->tags;
    const uint32_t tag_count = options->tag_count == 0 ? 1 : options->tag_count;
    model->graph = TF_NewGraph();
    if (model->graph == NULL)
        return el_status_no_memory();
    model->session = TF_LoadSessionFromSavedModel(settings, NULL, options->path, tags, (int)tag_count, model->graph,
                                                  NULL, answer);
    return el_status_prefix(tf_status(answer), "%s", options->path);
}

static struct el_status *open_session(const struct everlit_open_options *options, struct tf_engine_model *model)
{
    if (options->intra_op_threads > INT_MAX || options->inter_op_threads > INT_MAX)
        return el_status_new(EL_INVALID_ARGUMENT, "too many threads are asked for");
    if (options->precision != NULL && strcmp(options->precision, "f32") != 0)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "the precision \"%s\" is unknown to the engine tensorflow: it runs a "
                             "model in the precision that it was saved in (f32)",
                             options->precision);
    const bool small = el_plugin_is_small(options);
    struct el_buf config = { 0 };
    put_config(options, small, &config);
    model->in_callers_thread = options->inter_op_threads == 1 || (options->inter_op_threads == 0 && small);

    TF_SessionOptions *settings = TF_NewSessionOptions();
    TF_Status *answer = TF_NewStatus();
    struct el_status *status = el_buf_status(&config);
    if (status == NULL && (settings == NULL || answer == NULL))
        status = el_status_no_memory();
    if (status == NULL) {
        TF_SetConfig(settings, config.data, config.size, answer);
        status = el_status_prefix(tf_status(answer), "the session's settings");
    }
    if (status == NULL)
        status = load_session(options, settings, answer, model);
    if (settings != NULL)
        TF_DeleteSessionOptions(settings);
    if (answer != NULL)
        TF_DeleteStatus(answer);
    el_buf_free(&config);
    return status;
}

/* ---- open and close ---- */

static void close_engine_model(void *opaque)
{
    struct tf_engine_model *model = opaque;
    for (uint32_t i = 0; model->signatures != NULL && i < model->model.count; i++) {
        free(model->signatures[i].inputs);
        free(model->signatures[i].outputs);
        free(model->signatures[i].reason);
    }
    free(model->signatures);
    if (model->session != NULL) {
        TF_Status *answer = TF_NewStatus();
        TF_CloseSession(model->session, answer);
        TF_DeleteSession(model->session, answer);
        TF_DeleteStatus(answer);
    }
    if (model->graph != NULL)
        TF_DeleteGraph(model->graph);
    el_plugin_model_close(&model->model);
    free(model);
}

static int open_engine_model(const struct everlit_open_options *options, void **opened, struct everlit_error *error)
{
    struct tf_engine_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return el_plugin_result(el_status_no_memory(), error);
    struct el_status *status = el_plugin_model_open(options, "tensorflow", READS, &model->model);
    if (status == NULL)
        status = open_session(options, model);
    if (status == NULL)
        status = open_signatures(model);
    if (status == NULL)
        *opened = model;
    else
        close_engine_model(model);
    return el_plugin_result(status, error);
}

static int signatures(void *opaque, const struct everlit_signature **list, uint32_t *count, struct everlit_error *error)
{
    (void)error;
    const struct tf_engine_model *model = opaque;
    *list = model->model.signatures;
    *count = model->model.count;
    return 0;
}

/* The devices' sizes are all that TensorFlow's C API tells, not what a model takes of them. */
static int memory(void *opaque, struct everlit_memory *answer, struct everlit_error *error)
{
    (void)opaque;
    (void)error;
    answer->host_bytes = 0;
    answer->device_bytes = 0;
    return 0;
}

/* ---- the table ---- */

/*
 * TensorFlow tells what processor it runs on, and more, with every model: errors are what a log wants. It reads
 * TF_CPP_MIN_LOG_LEVEL while it is loaded, which is before this function, so its log (Abseil's) is told directly. The
 * function has no C name; the one below is that of the release in engines.lock, and a test sees to it that it is right.
 */
static void quieten(void)
{
    void *library = dlopen("libtensorflow_framework.so.2", RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL)
        return;
    union {
        void *symbol;
        void (*set_min_log_level)(int level);
    } absl = { .symbol = dlsym(library, "_ZN4absl12lts_2025081414SetMinLogLevelENS0_18LogSeverityAtLeastE") };
    if (absl.symbol != NULL)
        absl.set_min_log_level(2);
    dlclose(library);
}

static int start(struct everlit_error *error)
{
    if (getenv("TF_CPP_MIN_LOG_LEVEL") != NULL)
        return 0;
    if (setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0) != 0)
        return el_plugin_result(el_status_no_memory(), error);
    quieten();
    return 0;
}

static void stop(void)
{
}

const struct everlit_engine *everlit_engine_get(uint32_t major)
{
    /* Written only here, before anybody has the table: the version is known by the library, not by the compiler. */
    static struct everlit_engine engine = {
        .major = EVERLIT_ENGINE_MAJOR,
        .minor = EVERLIT_ENGINE_MINOR,
        .struct_size = sizeof engine,
        .name = "tensorflow",
        .start = start,
        .open = open_engine_model,
        .signatures = signatures,
        .run = tf_engine_run,
        .cancel = NULL, /* the C API cannot; deadlines are kept by RunOptions */
        .memory = memory,
        .close = close_engine_model,
        .stop = stop,
        .run_tensors = tf_engine_run_tensors,
    };
    if (major != EVERLIT_ENGINE_MAJOR)
        return NULL;
    engine.version = TF_Version();
    return &engine;
}
