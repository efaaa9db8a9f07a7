/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorFlow Serving's classifier.cc and regressor.cc, check by check.
 */
#include "bundle/infer_rules.h"

#include "base/buf.h"

#include <inttypes.h>
#include <string.h>

#define INPUTS "inputs"
#define CLASSES "classes"
#define SCORES "scores"
#define OUTPUTS "outputs"
#define SHAPE_TEXT 400 /* what el_shape_print() needs */

const char *el_infer_method_name(enum el_infer_method method)
{
    return method == EL_CLASSIFY ? "tensorflow/serving/classify" : "tensorflow/serving/regress";
}

/* ---- the signature ---- */

static struct el_status *signature_error(const char *text, const struct el_signature *signature)
{
    struct el_buf debug = { 0 };
    el_signature_debug(&debug, signature);
    struct el_status *status = debug.failed ? el_status_no_memory()
                                            : el_status_new(EL_INVALID_ARGUMENT, "%s%.*s", text, (int)debug.size,
                                                            (const char *)debug.data);
    el_buf_free(&debug);
    return status;
}

static int find(const struct el_tensor_info *list, uint32_t count, const char *name)
{
    return el_tensor_info_find(list, count, name, strlen(name));
}

static struct el_status *check_classify(const struct el_signature *signature, uint32_t outputs[2],
                                        uint32_t *output_count)
{
    if (signature->output_count != 1 && signature->output_count != 2)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected one or two output Tensors, found %u",
                             signature->output_count);
    if (find(signature->inputs, signature->input_count, INPUTS) < 0)
        return signature_error("No classification inputs found in SignatureDef: ", signature);
    const int classes = find(signature->outputs, signature->output_count, CLASSES);
    const int scores = find(signature->outputs, signature->output_count, SCORES);
    *output_count = 0;
    if (classes >= 0)
        outputs[(*output_count)++] = (uint32_t)classes;
    if (scores >= 0)
        outputs[(*output_count)++] = (uint32_t)scores; /* sorted by name: behind classes */
    if (*output_count == 0)
        return signature_error("Expected classification signature outputs to contain at least one of \"" CLASSES
                               "\" or \"" SCORES "\". Signature was: ",
                               signature);
    return NULL;
}

static struct el_status *check_regress(const struct el_signature *signature, uint32_t outputs[2],
                                       uint32_t *output_count)
{
    if (signature->output_count != 1)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected one output Tensor.");
    if (find(signature->inputs, signature->input_count, INPUTS) < 0)
        return signature_error("No regression inputs found in SignatureDef: ", signature);
    if (find(signature->outputs, signature->output_count, OUTPUTS) < 0)
        return signature_error("No regression outputs found in SignatureDef: ", signature);
    outputs[0] = 0;
    *output_count = 1;
    return NULL;
}

struct el_status *el_infer_check(enum el_infer_method method, const struct el_signature *signature, bool check_method,
                                 uint32_t outputs[2], uint32_t *output_count)
{
    const char *name = el_infer_method_name(method);
    if (check_method && strcmp(signature->method_name, name) != 0)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected %s signature method_name to be %s. Was: %s",
                             method == EL_CLASSIFY ? "classification" : "regression", name, signature->method_name);
    if (signature->input_count != 1)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected one input Tensor.");
    return method == EL_CLASSIFY ? check_classify(signature, outputs, output_count)
                                 : check_regress(signature, outputs, output_count);
}

/* ---- the outputs ---- */

static struct el_status *check_column(const struct el_tensor *tensor, const char *name, enum el_dtype dtype,
                                      size_t count)
{
    char text[SHAPE_TEXT];
    if (tensor->shape.rank != 2)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected Tensor shape: [batch_size num_classes] but got %s",
                             el_shape_print(&tensor->shape, text, sizeof text));
    if (tensor->dtype != dtype)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected %s Tensor of %s. Got: %s", name, el_dtype_name(dtype),
                             el_dtype_name(tensor->dtype));
    if ((uint64_t)tensor->shape.dims[0] != count)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected %s output batch size of %zu. Got: %" PRId64, name, count,
                             tensor->shape.dims[0]);
    return NULL;
}

static struct el_status *classify_result(struct el_infer_result *result)
{
    if (result->classes != NULL)
        EL_TRY(check_column(result->classes, CLASSES, EL_STRING, result->count));
    if (result->scores != NULL)
        EL_TRY(check_column(result->scores, SCORES, EL_FLOAT, result->count));
    const struct el_tensor *any = result->classes != NULL ? result->classes : result->scores;
    if (any == NULL)
        return el_status_new(EL_INTERNAL, "a Classify was run without " CLASSES " and without " SCORES);
    if (result->classes != NULL && result->scores != NULL && any->shape.dims[1] != result->scores->shape.dims[1])
        return el_status_new(EL_INVALID_ARGUMENT,
                             "Tensors class and score should match in dim_size(1). Got %" PRId64 " vs. %" PRId64,
                             any->shape.dims[1], result->scores->shape.dims[1]);
    result->columns = (size_t)any->shape.dims[1];
    return NULL;
}

static struct el_status *regress_result(struct el_infer_result *result)
{
    const struct el_tensor *tensor = result->scores;
    const struct el_shape *shape = &tensor->shape;
    char text[SHAPE_TEXT];
    if (shape->rank != 1 && (shape->rank != 2 || shape->dims[1] != 1))
        return el_status_new(EL_INVALID_ARGUMENT,
                             "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got %s",
                             el_shape_print(shape, text, sizeof text));
    if ((uint64_t)shape->dims[0] != result->count)
        return el_status_new(EL_INVALID_ARGUMENT, "Input batch size did not match output batch size: %zu vs. %" PRId64,
                             result->count, shape->dims[0]);
    if (tensor->dtype != EL_FLOAT)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected output Tensor of DT_FLOAT.  Got: %s",
                             el_dtype_name(tensor->dtype));
    result->columns = 1;
    return NULL;
}

struct el_status *el_infer_result_of(enum el_infer_method method, size_t example_count,
                                     const struct el_signature *signature, const uint32_t *indexes,
                                     const struct el_tensor *tensors, uint32_t count, struct el_infer_result *result)
{
    *result = (struct el_infer_result){ .method = method, .count = example_count };
    for (uint32_t i = 0; i < count; i++) {
        const bool classes = strcmp(signature->outputs[indexes[i]].name, CLASSES) == 0;
        if (method == EL_CLASSIFY && classes)
            result->classes = &tensors[i];
        else
            result->scores = &tensors[i];
    }
    return method == EL_CLASSIFY ? classify_result(result) : regress_result(result);
}

struct el_predict_signature el_predict_names(const struct el_signature *signature)
{
    return (struct el_predict_signature){
        .inputs = EL_NAMES(signature->inputs, signature->input_count, name),
        .input_tensors = EL_NAMES(signature->inputs, signature->input_count, tensor_name),
        .defaults = { signature->defaults, sizeof signature->defaults[0], signature->default_count },
        .outputs = EL_NAMES(signature->outputs, signature->output_count, name),
    };
}

struct el_status *el_predict_default(const struct el_signature *signature, uint32_t input, size_t max_bytes,
                                     struct el_tensor_proto *tensor)
{
    const struct el_tensor_info *info = &signature->inputs[input];
    if (!el_tensor_proto_scan(info->default_value, info->default_size, tensor))
        return el_status_new(EL_INTERNAL, "the default of input \"%s\" is no tensor", info->name);
    return el_tensor_proto_head(tensor, info->name, strlen(info->name), max_bytes);
}
