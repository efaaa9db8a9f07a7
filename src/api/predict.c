/* SPDX-License-Identifier: Apache-2.0 */
#include "api/predict.h"

#include <stdlib.h>
#include <string.h>

struct el_status *el_api_check_predict_method(const struct el_api_loop *loop, const struct el_signature *signature)
{
    static const char *const methods[] = { "tensorflow/serving/predict", "tensorflow/serving/classify",
                                           "tensorflow/serving/regress" };
    if (!loop->api->options.check_method_names)
        return NULL;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(signature->method_name, methods[i]) == 0)
            return NULL;
    return el_status_new(EL_INTERNAL, "Expected prediction signature method_name to be one of {%s, %s, %s}. Was: %s",
                         methods[0], methods[1], methods[2], signature->method_name);
}

struct el_status *el_api_put_default(const struct el_signature *signature, uint32_t index, struct el_call *call)
{
    struct el_tensor_proto tensor;
    EL_TRY(el_predict_default(signature, index, EL_API_MAX_INPUT_BYTES, &tensor));
    void *data;
    EL_TRY(el_call_input(call, index, tensor.dtype, &tensor.shape, tensor.size, &data));
    el_tensor_proto_decode(&tensor, data);
    return NULL;
}

struct el_status *el_api_named_outputs(const struct el_request *request, struct el_named_tensor few[EL_API_FEW_OUTPUTS],
                                       struct el_named_tensor **outputs, uint32_t *count)
{
    const struct el_tensor *tensors;
    const uint32_t n = el_call_outputs(request->call, &tensors);
    *outputs = n <= EL_API_FEW_OUTPUTS ? few : calloc(n, sizeof **outputs);
    if (*outputs == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < n; i++) {
        (*outputs)[i].name = request->signature->outputs[request->outputs[i]].name;
        (*outputs)[i].tensor = &tensors[i];
    }
    *count = n;
    return NULL;
}

void el_api_free_outputs(struct el_named_tensor few[EL_API_FEW_OUTPUTS], struct el_named_tensor *outputs)
{
    if (outputs != few)
        free(outputs);
}
