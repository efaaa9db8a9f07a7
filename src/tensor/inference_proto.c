/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/inference_proto.h"

/* An InferenceTask into task, which holds "" where the bytes say nothing. */
static bool read_task(struct el_wire wire, struct el_inference_task *task)
{
    struct el_wire inside;
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (number == 1 && type == EL_WIRE_BYTES) {
            if (!el_wire_bytes(&wire, &inside) || !el_model_spec_merge(inside, &task->spec))
                return false;
        } else if (number == 2 && type == EL_WIRE_BYTES) {
            if (!el_wire_text(&wire, &task->method_name))
                return false;
        } else if (!el_wire_skip(&wire, number, type)) {
            return false;
        }
    }
    return true;
}

static bool append_task(struct el_wire wire, struct el_buf *tasks)
{
    struct el_inference_task task = { .spec = { .name = { "", 0 }, .signature_name = { "", 0 } },
                                      .method_name = { "", 0 } };
    if (!read_task(wire, &task))
        return false;
    el_buf_append(tasks, &task, sizeof task);
    return !tasks->failed;
}

bool el_inference_request_read(struct el_wire wire, struct el_model_spec *spec, struct el_buf *tasks,
                               struct el_examples *examples)
{
    const uint8_t *bytes = wire.at;
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        struct el_wire inside;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (type != EL_WIRE_BYTES || number == 0 || number > 2) {
            if (!el_wire_skip(&wire, number, type))
                return false;
            continue;
        }
        if (!el_wire_bytes(&wire, &inside))
            return false;
        if (!(number == 2    ? el_examples_read_input(examples, bytes, inside)
              : spec != NULL ? el_model_spec_merge(inside, spec)
                             : append_task(inside, tasks)))
            return false;
    }
    return true;
}
