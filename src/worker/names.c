/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/names.h"

#include "worker/worker.h"

#include <string.h>

size_t el_shm_names_size(const struct el_call_tensors *tensors)
{
    const struct el_signature *names = &tensors->names;
    size_t size = sizeof tensors->target_count;
    for (uint32_t i = 0; i < names->input_count; i++)
        size += strlen(names->inputs[i].name) + 1;
    for (uint32_t i = 0; i < names->output_count; i++)
        size += strlen(names->outputs[i].name) + 1;
    for (uint32_t i = 0; i < tensors->target_count; i++)
        size += strlen(tensors->targets[i]) + 1;
    return size;
}

static uint8_t *put(uint8_t *to, const char *name)
{
    const size_t size = strlen(name) + 1;
    memcpy(to, name, size);
    return to + size;
}

void el_shm_names_write(const struct el_call_tensors *tensors, uint8_t *to)
{
    const struct el_signature *names = &tensors->names;
    memcpy(to, &tensors->target_count, sizeof tensors->target_count);
    to += sizeof tensors->target_count;
    for (uint32_t i = 0; i < names->input_count; i++)
        to = put(to, names->inputs[i].name);
    for (uint32_t i = 0; i < names->output_count; i++)
        to = put(to, names->outputs[i].name);
    for (uint32_t i = 0; i < tensors->target_count; i++)
        to = put(to, tensors->targets[i]);
}
