/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/run.h"

#include "base/clock.h"
#include "base/tsan.h"
#include "tensor/tensor.h"
#include "worker/batch_rows.h"
#include "worker/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t align(uint64_t size)
{
    return (size + EL_SHM_ALIGN - 1) & ~(uint64_t)(EL_SHM_ALIGN - 1);
}

/* ---- answering ---- */

void el_run_complete(struct el_host *host, uint32_t slot, uint32_t generation, enum el_ring_op op)
{
    struct el_shm_slot *shared = &host->shm.slots[slot];
    const uint32_t lane = shared->lane;
    struct el_shm_lane *home = &host->shm.header->lanes[lane];
    shared->completed_ns = el_now_ns();
    /*
     * The slot and its memory go on to whichever runner takes the next request that the front puts there. The front takes
     * this message before it puts that request, which orders the two runners: through the front's process, where this
     * one's ThreadSanitizer sees nothing. Said like this, each request taken from now on counts as later, also those
     * of other slots; but what a runner writes after its completion is still found out.
     */
    el_tsan_release(host);
    el_ring_put(el_shm_completions(&host->shm, lane), host->shm.ring_size, &home->tail,
                el_ring_message(op, slot, generation));
    /* The exchange makes sure that of several runners one writes. */
    if (atomic_load(&home->parked) != 0 && atomic_exchange(&home->parked, 0) != 0) {
        const uint64_t one = 1;
        /* Cannot fail in a way that matters: a full counter wakes the loop as well. */
        if (write(host->setup.eventfds[lane], &one, sizeof one) < 0)
            return;
    }
}

void el_run_complete_error(struct el_host *host, uint32_t slot, uint32_t generation, enum el_code code,
                           const char *text)
{
    struct el_shm_slot *shared = &host->shm.slots[slot];
    shared->code = (uint32_t)code;
    snprintf(shared->error, sizeof shared->error, "%.*s", EL_SLOT_ERROR_SIZE - 1, text);
    el_run_complete(host, slot, generation, EL_RING_DONE);
}

/* ---- outputs ---- */

void *el_outputs_place(const struct el_host *host, const struct el_shm_slot *slot, struct el_outputs *outputs,
                       struct el_output *output, const struct everlit_tensor *tensor)
{
    const uint64_t room = align(tensor->size);
    if (room < tensor->size || el_after_ns(outputs->need, room) == EL_NEVER_NS) {
        outputs->broken = "the engine gave an output that is larger than memory";
        return NULL;
    }
    output->meta.dtype = tensor->dtype;
    output->meta.rank = tensor->rank;
    memcpy(output->meta.dims, tensor->dims, sizeof output->meta.dims);
    output->meta.size = tensor->size;
    output->kept = NULL;
    void *memory;
    if (slot != NULL && room <= slot->output_size - outputs->used) {
        output->meta.offset = slot->output_offset + outputs->used;
        outputs->used += room;
        memory = host->shm.base + output->meta.offset;
    } else {
        memory = aligned_alloc(EL_SHM_ALIGN, room == 0 ? EL_SHM_ALIGN : room);
        if (memory == NULL)
            return NULL;
        output->kept = memory;
        outputs->kept_some = true;
    }
    outputs->need += room;
    output->given = true;
    return memory;
}

static int by_index(const void *key, const void *element)
{
    const uint32_t index = *(const uint32_t *)key;
    const struct el_output *output = element;
    return (index > output->meta.index) - (index < output->meta.index);
}

void *el_outputs_take(const struct el_host *host, const struct el_shm_slot *slot, struct el_outputs *outputs,
                      const struct everlit_tensor *tensor)
{
    struct el_output *output = bsearch(&tensor->index, outputs->list, outputs->count, sizeof *output, by_index);
    if (output == NULL || output->given || tensor->rank < 0 || tensor->rank > EVERLIT_MAX_RANK) {
        outputs->broken = output == NULL  ? "the engine gave an output that was not asked for"
                          : output->given ? "the engine gave an output twice"
                                          : "the engine gave an output whose rank is not between 0 and 16";
        return NULL;
    }
    return el_outputs_place(host, slot, outputs, output, tensor);
}

/* Memory for one output: everlit_run.output. */
static void *give_memory(void *pointer, const struct everlit_tensor *tensor)
{
    struct el_runner *runner = pointer;
    return el_outputs_take(runner->host, runner->slot, &runner->outputs, tensor);
}

struct everlit_tensor el_output_tensor(const struct el_host *host, const struct el_output *output)
{
    struct everlit_tensor tensor = { .index = output->meta.index,
                                     .dtype = output->meta.dtype,
                                     .rank = output->meta.rank,
                                     .data = output->kept != NULL ? output->kept : host->shm.base + output->meta.offset,
                                     .size = output->meta.size };
    memcpy(tensor.dims, output->meta.dims, sizeof tensor.dims);
    return tensor;
}

void el_outputs_forget(struct el_outputs *outputs)
{
    for (uint32_t i = 0; i < outputs->count; i++) {
        free(outputs->list[i].kept);
        outputs->list[i].kept = NULL;
    }
}

static bool check_output(const struct el_host *host, uint32_t signature, const struct el_output *output, char *text,
                         size_t size)
{
    /* What a tensor of the graph is, nobody has declared. */
    const struct everlit_tensor_info fetched = { .name = "fetched", .dtype = output->meta.dtype };
    const struct everlit_tensor_info *declared = signature == EL_SHM_BY_TENSORS
                                                     ? &fetched
                                                     : &host->signatures[signature].outputs[output->meta.index];
    if (!output->given) {
        snprintf(text, size, "the engine did not give output \"%s\"", declared->name);
        return false;
    }
    if (output->meta.dtype != declared->dtype) {
        snprintf(text, size, "the engine gave output \"%s\" as %s, its signature says %s", declared->name,
                 el_dtype_name((enum el_dtype)output->meta.dtype), el_dtype_name((enum el_dtype)declared->dtype));
        return false;
    }
    struct el_tensor tensor = { .dtype = (enum el_dtype)output->meta.dtype,
                                .shape.rank = output->meta.rank,
                                .data = output->kept != NULL ? output->kept : host->shm.base + output->meta.offset,
                                .size = output->meta.size };
    memcpy(tensor.shape.dims, output->meta.dims, sizeof tensor.shape.dims);
    struct el_status *status = el_tensor_check(&tensor);
    if (status != NULL)
        snprintf(text, size, "the engine gave output \"%s\" broken: %s", declared->name, el_status_text(status));
    el_status_free(status);
    return status == NULL;
}

void el_run_hand_over(struct el_host *host, uint32_t slot, uint32_t generation, struct el_outputs *outputs)
{
    struct el_shm_slot *shared = &host->shm.slots[slot];
    if (!outputs->kept_some) {
        struct el_shm_tensor *table = el_run_table(host, shared) + shared->input_count;
        for (uint32_t i = 0; i < outputs->count; i++)
            table[i] = outputs->list[i].meta;
        shared->code = 0;
        el_run_complete(host, slot, generation, EL_RING_DONE);
        return;
    }
    const size_t size = outputs->count * sizeof(struct el_output);
    struct el_kept *kept = malloc(sizeof *kept + size);
    if (kept == NULL) {
        el_outputs_forget(outputs);
        el_run_complete_error(host, slot, generation, EL_RESOURCE_EXHAUSTED, "out of memory for the outputs");
        return;
    }
    kept->count = outputs->count;
    memcpy(kept->outputs, outputs->list, size);
    host->kept[slot] = kept;
    shared->need = outputs->need;
    el_run_complete(host, slot, generation, EL_RING_NEED);
}

/* ---- running ---- */

bool el_outputs_begin(const struct el_host *host, const struct el_shm_slot *slot, struct el_outputs *outputs)
{
    if (slot->output_count > outputs->room) {
        free(outputs->list);
        outputs->list = calloc(slot->output_count, sizeof *outputs->list);
        outputs->room = outputs->list == NULL ? 0 : slot->output_count;
        outputs->count = 0;
        if (outputs->list == NULL)
            return false;
    }
    const struct el_shm_tensor *table = el_run_table(host, slot) + slot->input_count;
    for (uint32_t i = 0; i < slot->output_count; i++)
        outputs->list[i] = (struct el_output){ .meta.index = table[i].index };
    outputs->count = slot->output_count;
    outputs->used = 0;
    outputs->need = 0;
    outputs->kept_some = false;
    outputs->broken = NULL;
    outputs->unsplittable = false;
    return true;
}

bool el_run_prepare(struct el_runner *runner, const struct el_shm_slot *slot)
{
    if (slot->input_count > runner->input_room) {
        free(runner->inputs);
        runner->inputs = calloc(slot->input_count, sizeof *runner->inputs);
        runner->input_room = runner->inputs == NULL ? 0 : slot->input_count;
    }
    if (slot->output_count > runner->wanted_room) {
        free(runner->wanted);
        runner->wanted = calloc(slot->output_count, sizeof *runner->wanted);
        runner->wanted_room = runner->wanted == NULL ? 0 : slot->output_count;
    }
    if (slot->input_count > runner->input_room || slot->output_count > runner->wanted_room ||
        !el_outputs_begin(runner->host, slot, &runner->outputs))
        return false;
    for (uint32_t i = 0; i < slot->output_count; i++)
        runner->wanted[i] = runner->outputs.list[i].meta.index;
    return true;
}

void el_run_input(const struct el_host *host, const struct el_shm_tensor *shared, struct everlit_tensor *input)
{
    input->index = shared->index;
    input->dtype = shared->dtype;
    input->rank = shared->rank;
    memcpy(input->dims, shared->dims, sizeof input->dims);
    input->data = host->shm.base + shared->offset;
    input->size = shared->size;
}

static void set_run(struct el_runner *runner, const struct everlit_run *run, const struct el_member *members,
                    uint32_t member_count)
{
    if (runner->host->engine->cancel == NULL)
        return;
    pthread_mutex_lock(&runner->lock);
    runner->run = run;
    runner->members = members;
    runner->member_count = member_count;
    pthread_mutex_unlock(&runner->lock);
}

enum el_code el_run_engine(struct el_runner *runner, const struct everlit_run *run, const struct el_member *members,
                           uint32_t member_count, struct everlit_error *error)
{
    const struct el_host *host = runner->host;
    error->text[0] = '\0';
    set_run(runner, run, members, member_count);
    const int code = run->input_names != NULL ? host->engine->run_tensors(host->model, run, error)
                                              : host->engine->run(host->model, run, error);
    set_run(runner, NULL, NULL, 0);
    error->text[sizeof error->text - 1] = '\0';
    if (code != 0 && error->text[0] == '\0')
        snprintf(error->text, sizeof error->text, "the engine gave no reason");
    return code < 0 || code >= EL_CODES ? EL_INTERNAL : (enum el_code)code;
}

bool el_run_unwanted(struct el_host *host, uint32_t slot, uint32_t generation)
{
    struct el_shm_slot *shared = &host->shm.slots[slot];
    if (atomic_load_explicit(&shared->cancelled, memory_order_relaxed) == generation) {
        el_run_complete_error(host, slot, generation, EL_CANCELLED, "the call was cancelled before it ran");
        return true;
    }
    if (shared->deadline_ns != EL_NEVER_NS && el_now_ns() >= shared->deadline_ns) {
        el_run_complete_error(host, slot, generation, EL_DEADLINE_EXCEEDED,
                              "the deadline passed while the call waited for its turn");
        return true;
    }
    atomic_store_explicit(&shared->started_ns, el_now_ns(), memory_order_relaxed);
    atomic_store_explicit(&shared->started, generation, memory_order_release);
    return false;
}

enum el_code el_run_check_outputs(const struct el_host *host, uint32_t signature, struct el_outputs *outputs,
                                  const uint64_t *rows, struct everlit_error *error)
{
    for (uint32_t i = 0; i < outputs->count; i++) {
        const struct el_output *output = &outputs->list[i];
        if (!check_output(host, signature, output, error->text, sizeof error->text))
            return EL_INTERNAL;
        const char *wrong = rows == NULL ? NULL : el_rows_output_wrong(output->meta.rank, output->meta.dims, *rows);
        if (wrong == NULL)
            continue;
        snprintf(error->text, sizeof error->text, "%s", wrong);
        outputs->unsplittable = true;
        return EL_FAILED_PRECONDITION;
    }
    return EL_OK;
}

/* The run of the slot, whose names (if it has some) are read; el_run_prepare() has been. */
static void run_named(struct el_runner *runner, uint32_t slot, uint32_t generation, const struct el_shm_names *names,
                      const uint64_t *rows)
{
    struct el_host *host = runner->host;
    const struct el_shm_tensor *table = el_run_table(host, runner->slot);
    for (uint32_t i = 0; i < runner->slot->input_count; i++)
        el_run_input(host, &table[i], &runner->inputs[i]);
    const struct everlit_run run = {
        .struct_size = sizeof run,
        .signature = names->all == NULL ? runner->slot->signature : 0,
        .inputs = runner->inputs,
        .input_count = runner->slot->input_count,
        .outputs = runner->wanted,
        .output_count = runner->outputs.count,
        .deadline_ns = runner->slot->deadline_ns,
        .host = runner,
        .output = give_memory,
        .input_names = names->inputs,
        .output_names = names->outputs,
        .target_names = names->targets,
        .target_count = names->target_count,
    };
    const struct el_member self = { slot, generation };
    struct everlit_error error;
    enum el_code code = el_run_engine(runner, &run, &self, 1, &error);
    if (runner->outputs.broken != NULL) {
        code = EL_INTERNAL;
        snprintf(error.text, sizeof error.text, "%s", runner->outputs.broken);
    }
    if (code == EL_OK)
        code = el_run_check_outputs(host, runner->slot->signature, &runner->outputs, rows, &error);
    if (code == EL_OK) {
        el_run_hand_over(host, slot, generation, &runner->outputs);
        return;
    }
    el_outputs_forget(&runner->outputs);
    el_run_complete_error(host, slot, generation, code, error.text);
}

static bool runs_tensors(const struct everlit_engine *engine)
{
    return engine->struct_size > offsetof(struct everlit_engine, run_tensors) && engine->run_tensors != NULL;
}

static void refuse_tensors(struct el_host *host, uint32_t slot, uint32_t generation)
{
    char text[EL_SLOT_ERROR_SIZE];
    snprintf(text, sizeof text,
             "the engine %s runs signatures, not tensors by their names: serve the model with engine: \"tensorflow\"",
             host->engine->name);
    el_run_complete_error(host, slot, generation, EL_UNIMPLEMENTED, text);
}

void el_run_call(struct el_runner *runner, uint32_t slot, uint32_t generation, const uint64_t *rows)
{
    struct el_host *host = runner->host;
    const struct el_shm_slot *shared = &host->shm.slots[slot];
    const bool by_tensors = shared->signature == EL_SHM_BY_TENSORS;
    struct el_shm_names names = { 0 };
    runner->slot = &host->shm.slots[slot];
    if (el_run_unwanted(host, slot, generation))
        return;
    if (by_tensors && !runs_tensors(host->engine)) {
        refuse_tensors(host, slot, generation);
        return;
    }
    struct el_status *status = by_tensors ? el_shm_names_read(&host->shm, shared, &names) : NULL;
    if (status == NULL && el_run_prepare(runner, shared))
        run_named(runner, slot, generation, &names, rows);
    else
        el_run_complete_error(host, slot, generation, EL_RESOURCE_EXHAUSTED, "out of memory for the call's tensors");
    el_status_free(status);
    free(names.all);
}

/* ---- outputs that were kept ---- */

void el_kept_free(struct el_kept *kept)
{
    for (uint32_t i = 0; i < kept->count; i++)
        free(kept->outputs[i].kept);
    free(kept);
}

void el_run_deliver(struct el_host *host, uint32_t slot, uint32_t generation)
{
    struct el_shm_slot *shared = &host->shm.slots[slot];
    struct el_kept *kept = host->kept[slot];
    host->kept[slot] = NULL;
    struct el_shm_tensor *table = el_run_table(host, shared) + shared->input_count;
    uint64_t at = shared->output_offset;
    for (uint32_t i = 0; i < kept->count; i++) {
        struct el_output *output = &kept->outputs[i];
        const uint8_t *from = output->kept != NULL ? output->kept : host->shm.base + output->meta.offset;
        memcpy(host->shm.base + at, from, output->meta.size);
        free(output->kept);
        output->meta.offset = at;
        table[i] = output->meta;
        at += align(output->meta.size);
    }
    free(kept);
    shared->code = 0;
    el_run_complete(host, slot, generation, EL_RING_DONE);
}

void el_run_drop(struct el_host *host, uint32_t slot, uint32_t generation)
{
    el_kept_free(host->kept[slot]);
    host->kept[slot] = NULL;
    el_run_complete_error(host, slot, generation, EL_RESOURCE_EXHAUSTED, "no memory for the outputs");
}
