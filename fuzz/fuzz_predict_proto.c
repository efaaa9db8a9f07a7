/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a PredictRequest: refused, or tensors that pass the check of what
 * comes from others, and that are the same once written and read again.
 */
#include "tensor/predict_proto.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes the tensor in the given form and reads it again. */
static void round_trip(const struct el_tensor *tensor, enum el_tensor_proto_form form)
{
    struct el_buf buf = { 0 };
    struct el_tensor_proto again;
    el_tensor_proto_write(&buf, tensor, form);
    if (buf.failed || buf.size != el_tensor_proto_size(tensor, form) ||
        !el_tensor_proto_scan(buf.data, buf.size, &again))
        abort();
    struct el_status *status = el_tensor_proto_head(&again, "again", 5, MAX_BYTES);
    if (status != NULL || again.size != tensor->size)
        abort();
    void *copy = malloc(again.size + 1);
    if (copy == NULL)
        abort();
    el_tensor_proto_decode(&again, copy);
    if (again.size > 0 && memcmp(copy, tensor->data, again.size) != 0)
        abort();
    free(copy);
    el_buf_free(&buf);
}

static void decode(struct el_predict_input *input)
{
    struct el_status *status = el_tensor_proto_head(&input->tensor, input->name.data, input->name.size, MAX_BYTES);
    if (status != NULL) {
        el_status_free(status);
        return;
    }
    void *data = malloc(input->tensor.size == 0 ? 1 : input->tensor.size);
    if (data == NULL)
        abort();
    el_tensor_proto_decode(&input->tensor, data);
    struct el_tensor tensor = { input->tensor.dtype, input->tensor.shape, data, input->tensor.size };
    status = el_tensor_check(&tensor);
    if (status != NULL)
        abort();
    el_tensor_first_nonfinite(&tensor);
    round_trip(&tensor, EL_TENSOR_AS_VALUES);
    round_trip(&tensor, EL_TENSOR_AS_CONTENT);
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct {
        const char *name;
    } names[] = { { "a" }, { "b" }, { "x" } };
    struct el_predict_signature signature = { .inputs = EL_NAMES(names, 3, name),
                                              .input_tensors = EL_NAMES(names, 3, name),
                                              .defaults = EL_NAMES(names, 2, name),
                                              .outputs = EL_NAMES(names, 3, name) };
    struct el_predict_request request;
    uint32_t outputs[3], output_count;
    struct el_status *status = el_predict_request_parse(data, size, &request);
    if (status == NULL) {
        for (uint32_t i = 0; i < request.input_count; i++)
            decode(&request.inputs[i]);
        status = el_predict_request_match(&request, &signature, MAX_BYTES, outputs, &output_count);
        if (status == NULL && output_count > 3)
            abort();
    }
    el_status_free(status);
    el_predict_request_free(&request);
    return 0;
}
