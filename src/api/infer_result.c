/* SPDX-License-Identifier: Apache-2.0 */
/* What Classify and Regress answer, as messages and as JSON. */
#include "api/infer.h"

#include "tensor/predict_proto.h"

#include <string.h>

struct el_status *el_infer_result(const struct el_infer_task *task, struct el_infer_result *result)
{
    const struct el_request *request = &task->request;
    const struct el_tensor *tensors;
    const uint32_t count = el_call_outputs(request->call, &tensors);
    return el_infer_result_of(task->method, el_examples_count(&task->infer->examples), request->signature,
                              request->outputs, tensors, count, result);
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
