/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first byte chooses: an Input message (Classify, Regress, MultiInference), or a body of :classify. What is not
 * refused becomes packed strings that pass the tensor's check, each of them an Example.
 */
#include "tensor/examples.h"
#include "tensor/tensor.h"

#include <stdlib.h>
#include <string.h>

#define MAX_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pack(const struct el_examples *examples)
{
    size_t size;
    struct el_status *status = el_examples_size(examples, MAX_BYTES, &size);
    if (status != NULL) {
        el_status_free(status);
        return;
    }
    void *data = malloc(size);
    if (data == NULL)
        abort();
    el_examples_pack(examples, data);
    const size_t count = el_examples_count(examples);
    const struct el_tensor tensor = { EL_STRING, { .rank = 1, .dims = { (int64_t)count } }, data, size };
    if (el_tensor_check(&tensor) != NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        size_t length;
        const char *example = el_tensor_string(&tensor, i, &length);
        if (examples->bytes != NULL && !el_example_valid(el_wire_of(example, length)))
            abort();
    }
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct el_examples examples = { 0 };
    if (data[0] % 2 == 0) {
        if (el_examples_read_input(&examples, data + 1, el_wire_of(data + 1, size - 1)))
            pack(&examples);
    } else {
        struct el_json json;
        struct el_status *status = el_json_scan((const char *)data + 1, size - 1, &json);
        if (status == NULL)
            status = el_json_want_object(&json);
        if (status == NULL)
            status = el_examples_read_json(&examples, &json);
        if (status == NULL)
            pack(&examples);
        el_status_free(status);
    }
    el_examples_free(&examples);
    return 0;
}
