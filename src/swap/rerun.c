/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/rerun.h"

#include <string.h>

void el_rerun_unpin(struct el_request *request, struct el_servable **servable)
{
    if (*servable != NULL && el_servable_unpin(*servable))
        uv_async_send(&request->loop->swap->async);
    *servable = NULL;
}

void el_rerun_begin(struct el_request *request, enum el_signal signal, const struct el_status *status)
{
    request->replay_call = request->call;
    request->replay_from = request->servable;
    request->replay_signature = request->signature;
    request->replay_index = request->signature_index;
    request->replay_generation = request->generation;
    request->replay_status = status;
    request->signal = (uint8_t)signal;
    request->call = NULL;
    request->servable = NULL;
}

void el_rerun_drop(struct el_request *request)
{
    if (request->replay_call != NULL)
        el_call_end(request->replay_call);
    request->replay_call = NULL;
    request->replay_status = NULL;
    request->signal = EL_SIGNAL_GOOD;
    el_rerun_unpin(request, &request->replay_from);
}

const struct el_status *el_rerun_restore(struct el_request *request)
{
    if (request->call != NULL)
        el_call_end(request->call);
    el_rerun_unpin(request, &request->servable);
    const struct el_status *status = request->replay_status;
    request->call = request->replay_call;
    request->servable = request->replay_from;
    request->served_version = request->servable->version;
    request->signature = request->replay_signature;
    request->signature_index = request->replay_index;
    request->generation = request->replay_generation;
    request->replay_call = NULL;
    request->replay_from = NULL;
    request->replay_status = NULL;
    request->signal = EL_SIGNAL_GOOD;
    return status;
}

struct el_status *el_rerun_copy(struct el_request *request)
{
    const struct el_tensor *tensors;
    const uint32_t *indexes;
    uint32_t input_count = el_call_inputs(request->replay_call, &tensors, &indexes);
    for (uint32_t i = 0; i < input_count; i++) {
        void *data;
        EL_TRY(el_call_input(request->call, indexes[i], tensors[i].dtype, &tensors[i].shape, tensors[i].size, &data));
        if (tensors[i].size > 0)
            memcpy(data, tensors[i].data, tensors[i].size);
    }
    return NULL;
}

static bool is_same(const struct el_tensor_info *a, uint32_t a_count, const struct el_tensor_info *b, uint32_t b_count)
{
    if (a_count != b_count)
        return false;
    for (uint32_t i = 0; i < a_count; i++)
        if (a[i].dtype != b[i].dtype || strcmp(a[i].name, b[i].name) != 0)
            return false;
    return true;
}

bool el_rerun_fits(const struct el_request *request, const struct el_signature *signature)
{
    const struct el_signature *mine = request->replay_signature;
    return is_same(mine->inputs, mine->input_count, signature->inputs, signature->input_count) &&
           is_same(mine->outputs, mine->output_count, signature->outputs, signature->output_count);
}
