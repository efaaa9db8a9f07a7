/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_output.h"

/* One output after the other; where an output is a list, `lists` names the attribute that says how long each is. */
struct known {
    const char *op;
    const char *outputs[8];
    const char *lengths[8]; /* an int, or a list whose length counts; NULL: one */
};

static const struct known ops[] = {
    { "TopKV2", { "values", "indices" }, { NULL } },
    { "TopK", { "values", "indices" }, { NULL } },
    { "Unique", { "y", "idx" }, { NULL } },
    { "UniqueV2", { "y", "idx" }, { NULL } },
    { "UniqueWithCounts", { "y", "idx", "count" }, { NULL } },
    { "FusedBatchNorm", { "y", "batch_mean", "batch_variance" }, { NULL } },
    { "FusedBatchNormV2", { "y", "batch_mean", "batch_variance" }, { NULL } },
    { "FusedBatchNormV3", { "y", "batch_mean", "batch_variance" }, { NULL } },
    { "StringSplit", { "indices", "values", "shape" }, { NULL } },
    { "StringSplitV2", { "indices", "values", "shape" }, { NULL } },
    { "SparseReshape", { "output_indices", "output_shape" }, { NULL } },
    { "NonMaxSuppressionV4", { "selected_indices", "valid_outputs" }, { NULL } },
    { "NonMaxSuppressionV5", { "selected_indices", "selected_scores", "valid_outputs" }, { NULL } },
    { "LSTMBlockCell", { "i", "cs", "f", "o", "ci", "co", "h" }, { NULL } },
    { "BlockLSTM", { "i", "cs", "f", "o", "ci", "co", "h" }, { NULL } },
    { "ParseExample",
      { "sparse_indices", "sparse_values", "sparse_shapes", "dense_values" },
      { "Nsparse", "Nsparse", "Nsparse", "Tdense" } },
    { "ParseExampleV2",
      { "sparse_indices", "sparse_values", "sparse_shapes", "dense_values", "ragged_values", "ragged_row_splits" },
      { "num_sparse", "num_sparse", "num_sparse", "Tdense", "ragged_value_types", "ragged_split_types" } },
};

/* Names that a first output has, whatever else the op has. */
static const char *const firsts[] = { "output",  "y",           "z",      "product",  "value",
                                      "values",  "activations", "handle", "out",      "components",
                                      "outputs", "tensors",     "loss",   "resource", "merged" };

static uint32_t length_of(const struct host_def *def, const char *attribute)
{
    uint32_t count;
    if (attribute == NULL)
        return 1;
    host_attr_types(def, attribute, NULL, 0, &count);
    if (count > 0)
        return count;
    const int64_t number = host_attr_int(def, attribute, 0);
    return number < 0 || number > UINT16_MAX ? 0 : (uint32_t)number;
}

struct el_status *host_output_number(const struct host_def *def, struct el_span name, uint32_t index, uint32_t *number)
{
    const struct known *known = NULL;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (host_text_is(def->op, ops[i].op))
            known = &ops[i];
    *number = index;
    for (size_t i = 0; known != NULL && i < 8 && known->outputs[i] != NULL; i++) {
        if (host_text_is(name, known->outputs[i]))
            return NULL;
        *number += length_of(def, known->lengths[i]);
    }
    for (size_t i = 0; known == NULL && i < sizeof firsts / sizeof firsts[0]; i++)
        if (host_text_is(name, firsts[i]))
            return NULL;
    return el_status_new(EL_UNIMPLEMENTED, "which output of the op %.*s is \"%.*s\" is not known", (int)def->op.size,
                         def->op.data, (int)name.size, name.data);
}
