/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Classify and Regress ask of a signature and make of its outputs:
 * TensorFlow Serving's classifier.cc and regressor.cc, check by check.
 */
#include "api/infer.h"

#include "tensor/predict_proto.h"

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

struct el_status *el_infer_result(const struct el_infer_task *task, struct el_infer_result *result)
{
    const struct el_request *request = &task->request;
    const struct el_tensor *tensors;
    const uint32_t count = el_call_outputs(request->call, &tensors);
    *result = (struct el_infer_result){ .method = task->method, .count = el_examples_count(&task->infer->examples) };
    for (uint32_t i = 0; i < count; i++) {
        const bool classes = strcmp(request->signature->outputs[request->outputs[i]].name, CLASSES) == 0;
        if (task->method == EL_CLASSIFY && classes)
            result->classes = &tensors[i];
        else
            result->scores = &tensors[i];
    }
    return task->method == EL_CLASSIFY ? classify_result(result) : regress_result(result);
}

/* ---- writing ---- */

static float score_at(const struct el_infer_result *result, size_t i)
{
    float score = 0;
    if (result->scores != NULL)
        memcpy(&score, (const uint8_t *)result->scores->data + i * sizeof score, sizeof score);
    return score;
}

static const char *label_at(const struct el_infer_result *result, size_t i, size_t *size)
{
    *size = 0;
    return result->classes != NULL ? el_tensor_string(result->classes, i, size) : "";
}

/* A float as field `field`; left out where it is +0, as proto3 does. */
static size_t float_size(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits == 0 ? 0 : 1 + sizeof bits;
}

static void put_float(struct el_buf *buf, uint32_t field, float value)
{
    if (float_size(value) == 0)
        return;
    el_wire_put_tag(buf, field, EL_WIRE_FIXED32);
    el_buf_append(buf, &value, sizeof value); /* little-endian, as every machine this runs on */
}

static size_t class_size(const struct el_infer_result *result, size_t i)
{
    size_t label;
    label_at(result, i, &label);
    return (label == 0 ? 0 : 1 + el_wire_varint_size(label) + label) + float_size(score_at(result, i));
}

/* A Classifications: one example's classes. */
static void put_classes(struct el_buf *buf, const struct el_infer_result *result, size_t row)
{
    size_t total = 0;
    for (size_t i = row * result->columns; i < (row + 1) * result->columns; i++) {
        const size_t size = class_size(result, i);
        total += 1 + el_wire_varint_size(size) + size;
    }
    el_wire_put_length(buf, 1, total);
    for (size_t i = row * result->columns; i < (row + 1) * result->columns; i++) {
        size_t label_size;
        const char *label = label_at(result, i, &label_size);
        el_wire_put_length(buf, 1, class_size(result, i));
        if (label_size > 0)
            el_wire_put_bytes(buf, 1, label, label_size);
        put_float(buf, 2, score_at(result, i));
    }
}

void el_infer_put_proto(struct el_buf *buf, uint32_t field, const struct el_infer_result *result)
{
    struct el_buf inside = { 0 };
    for (size_t row = 0; row < result->count; row++) {
        if (result->method == EL_CLASSIFY) {
            put_classes(&inside, result, row);
        } else {
            el_wire_put_length(&inside, 1, float_size(score_at(result, row)));
            put_float(&inside, 1, score_at(result, row));
        }
    }
    el_wire_put_bytes(buf, field, inside.data, inside.size);
    buf->failed = buf->failed || inside.failed;
    el_buf_free(&inside);
}

static void put_json_row(struct el_buf *buf, const struct el_infer_result *result, size_t row)
{
    el_buf_byte(buf, '[');
    for (size_t column = 0; column < result->columns; column++) {
        size_t size;
        const size_t i = row * result->columns + column;
        const char *label = label_at(result, i, &size);
        el_buf_text(buf, column == 0 ? "[" : ", [");
        el_json_put_string(buf, label, size);
        el_buf_text(buf, ", ");
        el_json_put_float(buf, score_at(result, i));
        el_buf_byte(buf, ']');
    }
    el_buf_byte(buf, ']');
}

void el_infer_put_json(struct el_buf *buf, const struct el_infer_result *result)
{
    el_buf_text(buf, "{\n    \"results\": [");
    for (size_t row = 0; row < result->count; row++) {
        if (row > 0)
            el_buf_text(buf, ", ");
        if (result->method == EL_CLASSIFY)
            put_json_row(buf, result, row);
        else
            el_json_put_float(buf, score_at(result, row));
    }
    el_buf_text(buf, result->method == EL_CLASSIFY ? "\n    ]\n}" : "]\n}");
}

void el_infer_put_spec(struct el_buf *buf, uint32_t field, const struct el_infer_task *task)
{
    const struct el_request *request = &task->request;
    struct el_buf name = { 0 };
    el_buf_append(&name, request->model, request->model_size);
    el_buf_byte(&name, 0);
    if (!name.failed)
        el_model_spec_write(buf, field, (const char *)name.data, request->served_version, request->signature->name);
    buf->failed = buf->failed || name.failed;
    el_buf_free(&name);
}
