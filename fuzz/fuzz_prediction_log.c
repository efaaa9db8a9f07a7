/* SPDX-License-Identifier: Apache-2.0 */
/* A PredictionLog against a version with two signatures: what is not refused becomes tensors that pass the check. */
#include "bundle/prediction_log.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char inputs_name[] = "inputs", x_name[] = "x", scores_name[] = "scores", outputs_name[] = "outputs",
            y_name[] = "y";
static char example_tensor[] = "tf_example:0", x_tensor[] = "x:0", y_tensor[] = "y:0";
static char classify_name[] = "classify", regress_name[] = "regress", predict_name[] = "serving_default",
            method[] = "m";

static void run(struct el_prediction *prediction, const struct el_prediction_run *run)
{
    for (uint32_t i = 0; i < run->signature->input_count; i++) {
        struct el_prediction_input input;
        struct el_status *status = el_prediction_input(prediction, run, i, &input);
        if (status != NULL) {
            el_status_free(status);
            return;
        }
        if (input.size > MAX_BYTES)
            abort();
        void *bytes = malloc(input.size > 0 ? input.size : 1);
        if (bytes == NULL)
            abort();
        el_prediction_write(prediction, &input, bytes);
        const struct el_tensor tensor = { input.dtype, input.shape, bytes, input.size };
        status = el_tensor_check(&tensor);
        if (status != NULL)
            abort();
        free(bytes);
    }
    for (uint32_t i = 0; i < run->output_count; i++)
        if (run->outputs[i] >= run->signature->output_count || (i > 0 && run->outputs[i] <= run->outputs[i - 1]))
            abort();
}

/* The answer that a golden record expects. */
static void expected(const struct el_prediction *prediction)
{
    struct el_prediction_golden golden;
    if (el_prediction_golden(prediction, &golden) &&
        !(golden.absolute >= 0 && golden.relative >= 0 && golden.top1 <= 1))
        abort();
    struct el_wire at = prediction->response;
    struct el_span name;
    struct el_tensor_proto proto;
    while (el_prediction_next_output(&at, &name, &proto)) {
        struct el_status *status = el_tensor_proto_head(&proto, name.data, name.size, MAX_BYTES);
        if (status == NULL) {
            if (proto.size > MAX_BYTES)
                abort();
            void *bytes = malloc(proto.size > 0 ? proto.size : 1);
            if (bytes == NULL)
                abort();
            el_tensor_proto_decode(&proto, bytes);
            const struct el_tensor tensor = { proto.dtype, proto.shape, bytes, proto.size };
            status = el_tensor_check(&tensor);
            if (status != NULL)
                abort();
            free(bytes);
        }
        el_status_free(status);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct el_tensor_info examples = {
        .name = inputs_name, .tensor_name = example_tensor, .dtype = EL_STRING, .shape = { .rank = 1, .dims = { -1 } }
    };
    struct el_tensor_info x = { .name = x_name, .tensor_name = x_tensor, .dtype = EL_FLOAT, .shape = { .rank = -1 } };
    struct el_tensor_info scores = {
        .name = scores_name, .tensor_name = y_tensor, .dtype = EL_FLOAT, .shape = { .rank = -1 }
    };
    struct el_tensor_info outputs = scores, y = scores;
    outputs.name = outputs_name;
    y.name = y_name;
    struct el_signature list[] = {
        { .name = classify_name,
          .method_name = method,
          .inputs = &examples,
          .outputs = &scores,
          .input_count = 1,
          .output_count = 1 },
        { .name = regress_name,
          .method_name = method,
          .inputs = &examples,
          .outputs = &outputs,
          .input_count = 1,
          .output_count = 1 },
        { .name = predict_name,
          .method_name = method,
          .inputs = &x,
          .outputs = &y,
          .input_count = 1,
          .output_count = 1 },
    };
    const char *no_defaults[1] = { NULL };
    for (size_t i = 0; i < 3; i++)
        list[i].defaults = no_defaults;
    const struct el_signatures signatures = { list, 3 };
    struct el_prediction prediction;
    if (el_prediction_parse(data, size, &prediction)) {
        expected(&prediction);
        struct el_status *status = el_prediction_plan(&prediction, &signatures, MAX_BYTES);
        for (size_t i = 0; status == NULL && i < prediction.run_count; i++)
            run(&prediction, &prediction.runs[i]);
        el_status_free(status);
    }
    el_prediction_free(&prediction);
    return 0;
}
