/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first two bytes choose the dtypes of two inputs, a and b (or of one, x); the
 * rest is a body of `:predict`: refused, or tensors that pass the check. What can
 * be written is written and must be JSON again.
 */
#include "tensor/predict_json.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
    const char *name;
} one[] = { { "x" } }, two[] = { { "a" }, { "b" } };

static void write_again(const struct el_predict_json *request, const struct el_named_tensor *outputs, uint32_t count)
{
    struct el_buf buf = { 0 };
    struct el_json json;
    struct el_status *status = el_predict_json_write(&buf, request->form, outputs, count);
    if (status == NULL) {
        status = el_json_scan((const char *)buf.data, buf.size, &json);
        if (status != NULL || json.end != json.text + buf.size)
            abort();
    }
    el_status_free(status);
    el_buf_free(&buf);
}

static void decode(struct el_predict_json *request)
{
    struct el_tensor tensors[2];
    struct el_named_tensor outputs[2];
    uint32_t count = request->input_count;
    for (uint32_t i = 0; i < count; i++) {
        struct el_predict_json_input *input = &request->inputs[i];
        if (input->size > MAX_BYTES)
            abort();
        input->data = malloc(input->size == 0 ? 1 : input->size);
        if (input->data == NULL)
            abort();
    }
    struct el_status *status = el_predict_json_decode(request);
    for (uint32_t i = 0; status == NULL && i < count; i++) {
        const struct el_predict_json_input *input = &request->inputs[i];
        tensors[i] = (struct el_tensor){ input->dtype, input->shape, input->data, input->size };
        outputs[i] = (struct el_named_tensor){ count == 1 ? one[i].name : two[i].name, &tensors[i] };
        struct el_status *check = el_tensor_check(&tensors[i]);
        if (check != NULL)
            abort();
    }
    if (status == NULL)
        write_again(request, outputs, count);
    else if (el_status_code(status) == EL_INTERNAL)
        abort();
    el_status_free(status);
    for (uint32_t i = 0; i < count; i++)
        free(request->inputs[i].data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint32_t count = data[0] & 1 ? 2 : 1;
    enum el_dtype dtypes[2] = { (enum el_dtype)(data[0] / 2 % 24), (enum el_dtype)(data[1] / 2 % 24) };
    struct el_predict_signature signature;
    memset(&signature, 0, sizeof signature);
    signature.inputs = count == 1 ? EL_NAMES(one, 1, name) : EL_NAMES(two, 2, name);
    signature.input_tensors = signature.inputs;

    char *body = malloc(size); /* a copy of its own: reading beyond it is seen */
    struct el_predict_json request;
    if (body == NULL)
        return 0;
    memcpy(body, data + 2, size - 2);
    struct el_status *status = el_predict_json_open(body, size - 2, &request);
    if (status == NULL)
        status = el_predict_json_begin(&request, &signature);
    if (status == NULL) {
        for (uint32_t i = 0; i < count; i++)
            request.inputs[i].dtype = dtypes[i];
        status = el_predict_json_plan(&request, &signature, MAX_BYTES);
    }
    if (status == NULL)
        decode(&request);
    else if (el_status_code(status) == EL_INTERNAL) /* the fast way and the slow way disagree on what is wrong */
        abort();
    el_status_free(status);
    el_predict_json_free(&request);
    free(body);
    return 0;
}
