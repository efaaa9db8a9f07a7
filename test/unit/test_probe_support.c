/* SPDX-License-Identifier: Apache-2.0 */
#include "test_probe_support.h"

static char input_name[] = "input", prediction_name[] = "prediction", empty[] = "", default_name[] = "serving_default";

struct el_tensor_info probe_info(char *name, enum el_dtype dtype, int64_t rows, int64_t columns)
{
    return (struct el_tensor_info){
        .name = name, .tensor_name = empty, .dtype = dtype, .shape = { .rank = 2, .dims = { rows, columns } }
    };
}

struct el_signature probe_signature(struct el_tensor_info *input, struct el_tensor_info *output)
{
    return (struct el_signature){ .name = default_name,
                                  .method_name = empty,
                                  .inputs = input,
                                  .outputs = output,
                                  .input_count = 1,
                                  .output_count = output != NULL ? 1 : 0 };
}

void probe_good_answer(struct answer *answer)
{
    answer->input = probe_info(input_name, EL_FLOAT, -1, 784);
    answer->output = probe_info(prediction_name, EL_FLOAT, -1, 10);
    answer->signature = probe_signature(&answer->input, &answer->output);
    answer->signatures = (struct el_signatures){ .list = &answer->signature, .count = 1 };
    for (int i = 0; i < 10; i++)
        answer->numbers[i] = 0.5F;
    answer->tensor = (struct el_tensor){ .dtype = EL_FLOAT,
                                         .shape = { .rank = 2, .dims = { 1, 10 } },
                                         .data = answer->numbers,
                                         .size = sizeof answer->numbers };
    answer->pass = (struct el_pass){ .batch = 1, .outputs = &answer->tensor, .output_count = 1 };
    answer->judged = (struct el_judged){ .signatures = &answer->signatures, .passes = &answer->pass, .pass_count = 1 };
}
