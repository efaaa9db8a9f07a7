/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a graph_def: divided between OpenVINO and the plug-in, written as OpenVINO gets it, and run, with strings, tf.Examples
 * and numbers. The network, which is not there, answers one number. An error or an answer, no crash and no leak.
 */
#include "engine/host_plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum host_has has_type(enum el_dtype dtype)
{
    return dtype == EL_STRING || dtype == EL_COMPLEX64 || dtype == EL_COMPLEX128 ? HOST_HAS_NOT
           : dtype == EL_DOUBLE                                                  ? HOST_HAS_ROUGHLY
                                                                                 : HOST_HAS;
}

static struct el_status *network(void *closure, const struct host_value *const *inputs, struct host_value *outputs)
{
    const struct host_plan *plan = closure;
    (void)inputs;
    for (uint32_t i = 0; i < plan->from_count; i++) {
        void *number;
        struct el_status *status = host_value_make(i % 2 == 0 ? EL_FLOAT : EL_INT32, &(struct el_shape){ 0 },
                                                   &outputs[i], &number);
        if (status != NULL)
            return status;
        memset(number, 0, sizeof(float));
    }
    return NULL;
}

static void *output(void *host, const struct everlit_tensor *tensor)
{
    struct el_buf *memory = host;
    el_buf_clear(memory);
    return el_buf_reserve(memory, tensor->size + 1);
}

static void run(const struct host_plan *plan)
{
    static const union {
        struct {
            uint64_t offsets[3];
            char bytes[26];
        } parts;
        uint8_t all[50];
    } strings = { { { 24, 29, 50 }, "12.5 \n\023\n\021\n\003age\022\n\022\010\n\006\000\000\200?\000\000" } };
    static const float numbers[] = { 1.5f, -1 };
    static const int64_t wholes[] = { 0, 2 };
    const struct everlit_tensor inputs[] = {
        { .index = 0, .dtype = EL_STRING, .rank = 1, .dims = { 2 }, .data = &strings, .size = sizeof strings.all },
        { .index = 1, .dtype = EL_FLOAT, .rank = 1, .dims = { 2 }, .data = numbers, .size = sizeof numbers },
        { .index = 2, .dtype = EL_INT64, .rank = 1, .dims = { 2 }, .data = wholes, .size = sizeof wholes },
    };
    static const uint32_t first[] = { 0 };
    struct el_buf memory = { 0 };
    const struct everlit_run asked = { .struct_size = sizeof asked,
                                       .inputs = inputs,
                                       .input_count = 3,
                                       .outputs = first,
                                       .output_count = 1,
                                       .host = &memory,
                                       .output = output };
    /* The closure is the plan, which network() only reads. */
    union {
        const struct host_plan *plan;
        void *closure;
    } view = { .plan = plan };
    el_status_free(host_run(plan, &asked, network, view.closure));
    el_buf_free(&memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const fetches[] = { "y", "classes:0", "upper", "length", "number", "ids", "PartitionedCall" };
    static const int32_t types[] = { EL_STRING, EL_FLOAT, EL_INT64, EL_INT32 };
    static const struct everlit_tensor_info inputs[] = {
        { .name = "a", .tensor_name = "text:0", .dtype = EL_STRING, .rank = 1, .dims = { -1 } },
        { .name = "b", .tensor_name = "x:0", .dtype = EL_FLOAT, .rank = -1 },
        { .name = "c", .tensor_name = "count:0", .dtype = EL_INT64, .rank = 1, .dims = { -1 } },
    };
    for (size_t i = 0; i < sizeof fetches / sizeof fetches[0]; i++) {
        const struct everlit_tensor_info outputs[] = {
            { .name = "out", .tensor_name = fetches[i], .dtype = types[i % 4], .rank = -1 },
        };
        const struct everlit_signature signature = {
            .name = "fuzz", .method_name = "", .inputs = inputs, .outputs = outputs, .input_count = 3, .output_count = 1
        };
        struct host_plan *plan;
        struct el_status *status = host_plan_make(data, size, &signature, has_type, &(struct host_assets){ 0 }, &plan);
        if (status == NULL) {
            struct el_buf entry = { 0 }, nodes = { 0 };
            el_status_free(host_write(plan, &entry, &nodes));
            el_buf_free(&entry);
            el_buf_free(&nodes);
            run(plan);
            host_plan_free(plan);
        } else if (el_status_text(status)[0] == '\0') {
            abort();
        }
        el_status_free(status);
    }
    return 0;
}
