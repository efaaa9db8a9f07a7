/* SPDX-License-Identifier: Apache-2.0 */
/* One call to a worker by the swapper itself. */
#include "base/clock.h"
#include "swap/probe.h"

#include <stdlib.h>
#include <string.h>

/* Lives until its call is done, even when nobody waits for it any more. */
struct el_pass_call {
    struct el_call *call;
    uint64_t started_ns;
    el_pass_done *done; /* NULL: abandoned */
    void *argument;
    uint32_t outputs[]; /* all of them */
};

static void on_done(struct el_call *call, const struct el_status *status, void *argument)
{
    struct el_pass_call *pass = argument;
    uint64_t took_ns = el_now_ns() - pass->started_ns;
    if (pass->done != NULL) {
        const struct el_tensor *outputs = NULL;
        uint32_t count = status == NULL ? el_call_outputs(call, &outputs) : 0;
        pass->done(pass->argument, status, outputs, count, status != NULL && el_call_worker_died(call), took_ns);
    }
    el_call_end(call);
    free(pass);
}

static struct el_status *fill_and_submit(struct el_pass_call *pass, const struct el_signature *signature,
                                         const struct el_probe_inputs *inputs, uint64_t deadline_ns)
{
    for (uint32_t i = 0; i < inputs->count; i++) {
        const struct el_tensor *input = &inputs->list[i];
        void *data;
        EL_TRY(el_call_input(pass->call, i, input->dtype, &input->shape, input->size, &data));
        if (input->size > 0)
            memcpy(data, input->data, input->size);
    }
    for (uint32_t i = 0; i < signature->output_count; i++)
        pass->outputs[i] = i;
    pass->started_ns = el_now_ns();
    return el_call_submit(pass->call, pass->outputs, signature->output_count, deadline_ns, on_done, pass);
}

struct el_status *el_pass_start(struct el_swap *swap, struct el_worker *worker, uint32_t index,
                                const struct el_signature *signature, const struct el_probe_inputs *inputs,
                                uint64_t deadline_ns, el_pass_done *done, void *argument, struct el_pass_call **call)
{
    struct el_pass_call *pass = calloc(1, sizeof *pass + signature->output_count * sizeof pass->outputs[0]);
    if (pass == NULL)
        return el_status_no_memory();
    struct el_status *status = el_call_begin(worker, swap->completions, index, &pass->call);
    if (status == NULL) {
        status = fill_and_submit(pass, signature, inputs, deadline_ns);
        if (status != NULL)
            el_call_end(pass->call);
    }
    if (status != NULL) {
        free(pass);
        return status;
    }
    pass->done = done;
    pass->argument = argument;
    *call = pass;
    return NULL;
}

void el_pass_abandon(struct el_pass_call *pass)
{
    pass->done = NULL;
    el_call_cancel(pass->call);
}
