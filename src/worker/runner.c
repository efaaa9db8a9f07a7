/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Runners: threads that take requests from the ring, let the engine run them and put the answers into the memory that
 * the front granted.
 *
 * Outputs are written by the engine where they are read by the front. When they do not fit, those that did not are
 * kept in private memory and the front is told what all of them take (NEED); it grants that much and says DELIVER, or
 * DROP.
 *
 * A runner that runs dry spins, if requests have been following each other closely, and then sleeps: see doorbell.h.
 * Nothing here checks what the front wrote: the front is who the worker works for. What the engine gave is checked, so
 * that a mistake of an engine is an error of one call and not a lie of the worker.
 */

#include "base/clock.h"
#include "tensor/tensor.h"
#include "worker/doorbell.h"
#include "worker/host_internal.h"
#include "worker/ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

struct output {
    struct el_shm_tensor meta; /* offset and size are there once the engine asked for the memory */
    void *kept;                /* where it lies if not in shared memory; owned */
    bool given;
};

/* Outputs that did not fit, until the front has granted the memory. */
struct el_kept {
    uint32_t count;
    struct output outputs[];
};

struct el_runner {
    struct el_host *host;
    uint32_t index;
    pthread_t thread;
    struct el_shm_slot *slot; /* of the run under way */
    struct everlit_tensor *inputs;
    struct output *outputs;
    uint32_t input_room, output_room; /* how many fit */
    uint32_t output_count;
    uint32_t *wanted; /* output_room indexes */
    uint64_t used;    /* bytes of the granted memory that were given out */
    uint64_t need;    /* bytes of all outputs */
    bool kept_some;
    const char *broken; /* what the engine did wrong when it asked for memory; NULL: nothing */

    /* Guards the three below: the control thread may only cancel a run that has not ended. Taken with nothing else held. */
    pthread_mutex_t lock;
    const struct everlit_run *run; /* NULL: none */
    uint32_t run_slot;
    uint32_t run_generation;
};

static uint64_t align(uint64_t size)
{
    return (size + EL_SHM_ALIGN - 1) & ~(uint64_t)(EL_SHM_ALIGN - 1);
}

/* ---- answering ---- */

static void complete(struct el_host *host, uint32_t slot, uint32_t generation, enum el_ring_op op)
{
    struct el_shm_slot *shared = &host->shm.slots[slot];
    const uint32_t lane = shared->lane;
    struct el_shm_lane *home = &host->shm.header->lanes[lane];
    shared->completed_ns = el_now_ns();
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

static void complete_error(struct el_host *host, uint32_t slot, uint32_t generation, enum el_code code,
                           const char *text)
{
    struct el_shm_slot *shared = &host->shm.slots[slot];
    shared->code = (uint32_t)code;
    snprintf(shared->error, sizeof shared->error, "%s", text);
    complete(host, slot, generation, EL_RING_DONE);
}

/* ---- running ---- */

static int by_index(const void *key, const void *element)
{
    const uint32_t index = *(const uint32_t *)key;
    const struct output *output = element;
    return (index > output->meta.index) - (index < output->meta.index);
}

/* Memory for one output: everlit_run.output. */
static void *give_memory(void *pointer, const struct everlit_tensor *tensor)
{
    struct el_runner *runner = pointer;
    struct output *output = bsearch(&tensor->index, runner->outputs, runner->output_count, sizeof *output, by_index);
    if (output == NULL || output->given || tensor->rank < 0 || tensor->rank > EVERLIT_MAX_RANK) {
        runner->broken = output == NULL  ? "the engine gave an output that was not asked for"
                         : output->given ? "the engine gave an output twice"
                                         : "the engine gave an output whose rank is not between 0 and 16";
        return NULL;
    }
    const uint64_t room = align(tensor->size);
    if (room < tensor->size || el_after_ns(runner->need, room) == EL_NEVER_NS) {
        runner->broken = "the engine gave an output that is larger than memory";
        return NULL;
    }
    output->meta.dtype = tensor->dtype;
    output->meta.rank = tensor->rank;
    memcpy(output->meta.dims, tensor->dims, sizeof output->meta.dims);
    output->meta.size = tensor->size;
    output->kept = NULL;
    void *memory;
    if (room <= runner->slot->output_size - runner->used) {
        output->meta.offset = runner->slot->output_offset + runner->used;
        runner->used += room;
        memory = runner->host->shm.base + output->meta.offset;
    } else {
        memory = aligned_alloc(EL_SHM_ALIGN, room == 0 ? EL_SHM_ALIGN : room);
        if (memory == NULL)
            return NULL;
        output->kept = memory;
        runner->kept_some = true;
    }
    runner->need += room;
    output->given = true;
    return memory;
}

static bool grow(struct el_runner *runner, uint32_t inputs, uint32_t outputs)
{
    if (inputs > runner->input_room) {
        free(runner->inputs);
        runner->inputs = calloc(inputs, sizeof *runner->inputs);
        runner->input_room = runner->inputs == NULL ? 0 : inputs;
    }
    if (outputs > runner->output_room) {
        free(runner->outputs);
        free(runner->wanted);
        runner->outputs = calloc(outputs, sizeof *runner->outputs);
        runner->wanted = calloc(outputs, sizeof *runner->wanted);
        runner->output_room = runner->outputs == NULL || runner->wanted == NULL ? 0 : outputs;
    }
    return inputs <= runner->input_room && outputs <= runner->output_room;
}

static struct el_shm_tensor *table_of(const struct el_host *host, const struct el_shm_slot *slot)
{
    return (struct el_shm_tensor *)(void *)(host->shm.base + slot->table);
}

/* Fills the runner's view of the call. */
static void read_call(struct el_runner *runner)
{
    const struct el_shm_slot *slot = runner->slot;
    const struct el_shm_tensor *table = table_of(runner->host, slot);
    for (uint32_t i = 0; i < slot->input_count; i++) {
        struct everlit_tensor *input = &runner->inputs[i];
        input->index = table[i].index;
        input->dtype = table[i].dtype;
        input->rank = table[i].rank;
        memcpy(input->dims, table[i].dims, sizeof input->dims);
        input->data = runner->host->shm.base + table[i].offset;
        input->size = table[i].size;
    }
    for (uint32_t i = 0; i < slot->output_count; i++) {
        runner->wanted[i] = table[slot->input_count + i].index;
        runner->outputs[i] = (struct output){ .meta.index = runner->wanted[i] };
    }
    runner->output_count = slot->output_count;
    runner->used = 0;
    runner->need = 0;
    runner->kept_some = false;
    runner->broken = NULL;
}

/* What is wrong with an output that the engine filled; text is where it is said. */
static bool check_output(const struct el_runner *runner, const struct output *output, char *text, size_t size)
{
    const struct everlit_signature *signature = &runner->host->signatures[runner->slot->signature];
    const struct everlit_tensor_info *declared = &signature->outputs[output->meta.index];
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
                                .data = output->kept != NULL ? output->kept
                                                             : runner->host->shm.base + output->meta.offset,
                                .size = output->meta.size };
    memcpy(tensor.shape.dims, output->meta.dims, sizeof tensor.shape.dims);
    struct el_status *status = el_tensor_check(&tensor);
    if (status != NULL)
        snprintf(text, size, "the engine gave output \"%s\" broken: %s", declared->name, el_status_text(status));
    el_status_free(status);
    return status == NULL;
}

static void forget_outputs(struct output *outputs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(outputs[i].kept);
}

/* The run went well: hands the outputs over, or keeps them if they did not fit. */
static void hand_over(struct el_runner *runner, uint32_t slot, uint32_t generation)
{
    struct el_host *host = runner->host;
    char text[EL_SLOT_ERROR_SIZE];
    for (uint32_t i = 0; i < runner->output_count; i++) {
        if (check_output(runner, &runner->outputs[i], text, sizeof text))
            continue;
        forget_outputs(runner->outputs, runner->output_count);
        complete_error(host, slot, generation, EL_INTERNAL, text);
        return;
    }
    if (!runner->kept_some) {
        struct el_shm_tensor *table = table_of(host, runner->slot) + runner->slot->input_count;
        for (uint32_t i = 0; i < runner->output_count; i++)
            table[i] = runner->outputs[i].meta;
        runner->slot->code = 0;
        complete(host, slot, generation, EL_RING_DONE);
        return;
    }
    const size_t size = runner->output_count * sizeof(struct output);
    struct el_kept *kept = malloc(sizeof *kept + size);
    if (kept == NULL) {
        forget_outputs(runner->outputs, runner->output_count);
        complete_error(host, slot, generation, EL_RESOURCE_EXHAUSTED, "out of memory for the outputs");
        return;
    }
    kept->count = runner->output_count;
    memcpy(kept->outputs, runner->outputs, size);
    host->kept[slot] = kept;
    runner->slot->need = runner->need;
    complete(host, slot, generation, EL_RING_NEED);
}

static void set_run(struct el_runner *runner, const struct everlit_run *run, uint32_t slot, uint32_t generation)
{
    if (runner->host->engine->cancel == NULL)
        return;
    pthread_mutex_lock(&runner->lock);
    runner->run = run;
    runner->run_slot = slot;
    runner->run_generation = generation;
    pthread_mutex_unlock(&runner->lock);
}

static bool unwanted(struct el_runner *runner, uint32_t slot, uint32_t generation)
{
    if (atomic_load_explicit(&runner->slot->cancelled, memory_order_relaxed) == generation) {
        complete_error(runner->host, slot, generation, EL_CANCELLED, "the call was cancelled before it ran");
        return true;
    }
    if (runner->slot->deadline_ns != EL_NEVER_NS && el_now_ns() >= runner->slot->deadline_ns) {
        complete_error(runner->host, slot, generation, EL_DEADLINE_EXCEEDED,
                       "the deadline passed while the call waited for its turn");
        return true;
    }
    return false;
}

/*
 * What another runner wrote into the slot when it last answered there is older than what the front wrote since: the
 * order goes through the front's process. This acquire says the same within this process, where ThreadSanitizer can
 * see it; the line is needed soon anyway.
 */
static void follow_last_answer(const struct el_host *host, uint32_t slot)
{
    (void)atomic_load_explicit(&host->shm.header->lanes[host->shm.slots[slot].lane].tail, memory_order_acquire);
}

static void run_call(struct el_runner *runner, uint32_t slot, uint32_t generation)
{
    struct el_host *host = runner->host;
    runner->slot = &host->shm.slots[slot];
    if (unwanted(runner, slot, generation))
        return;
    if (!grow(runner, runner->slot->input_count, runner->slot->output_count)) {
        complete_error(host, slot, generation, EL_RESOURCE_EXHAUSTED, "out of memory for the call's tensors");
        return;
    }
    read_call(runner);
    const struct everlit_run run = {
        .struct_size = sizeof run,
        .signature = runner->slot->signature,
        .inputs = runner->inputs,
        .input_count = runner->slot->input_count,
        .outputs = runner->wanted,
        .output_count = runner->output_count,
        .deadline_ns = runner->slot->deadline_ns,
        .host = runner,
        .output = give_memory,
    };
    struct everlit_error error;
    error.text[0] = '\0';
    set_run(runner, &run, slot, generation);
    int code = host->engine->run(host->model, &run, &error);
    set_run(runner, NULL, 0, 0);
    if (code == 0 && runner->broken == NULL) {
        hand_over(runner, slot, generation);
        return;
    }
    forget_outputs(runner->outputs, runner->output_count);
    error.text[sizeof error.text - 1] = '\0';
    if (runner->broken != NULL) {
        complete_error(host, slot, generation, EL_INTERNAL, runner->broken);
        return;
    }
    if (code < 0 || code >= EL_CODES)
        code = EL_INTERNAL;
    complete_error(host, slot, generation, (enum el_code)code,
                   error.text[0] == '\0' ? "the engine gave no reason" : error.text);
}

/* ---- outputs that were kept ---- */

static void deliver(struct el_host *host, uint32_t slot, uint32_t generation)
{
    struct el_shm_slot *shared = &host->shm.slots[slot];
    struct el_kept *kept = host->kept[slot];
    host->kept[slot] = NULL;
    struct el_shm_tensor *table = table_of(host, shared) + shared->input_count;
    uint64_t at = shared->output_offset;
    for (uint32_t i = 0; i < kept->count; i++) {
        struct output *output = &kept->outputs[i];
        const uint8_t *from = output->kept != NULL ? output->kept : host->shm.base + output->meta.offset;
        memcpy(host->shm.base + at, from, output->meta.size);
        output->meta.offset = at;
        table[i] = output->meta;
        at += align(output->meta.size);
    }
    forget_outputs(kept->outputs, kept->count);
    free(kept);
    shared->code = 0;
    complete(host, slot, generation, EL_RING_DONE);
}

static void drop(struct el_host *host, uint32_t slot, uint32_t generation)
{
    struct el_kept *kept = host->kept[slot];
    host->kept[slot] = NULL;
    forget_outputs(kept->outputs, kept->count);
    free(kept);
    complete_error(host, slot, generation, EL_RESOURCE_EXHAUSTED, "no memory for the outputs");
}

/* ---- waiting ---- */

static bool take(struct el_host *host, uint64_t *message)
{
    return el_ring_take_shared(host->shm.requests, host->shm.ring_size, &host->shm.header->head, message);
}

/* Looks for a while, if that is worth it. */
static bool look(struct el_host *host, uint64_t *message)
{
    if (atomic_exchange_explicit(&host->spinning, 1, memory_order_acquire) != 0)
        return false;
    const uint64_t span = el_spin_time(&host->spin);
    bool found = false;
    if (span > 0) {
        const uint64_t until = el_now_ns() + span;
        do {
            for (int i = 0; i < 32 && !found; i++) {
                found = take(host, message);
                if (!found)
                    el_cpu_relax();
            }
        } while (!found && el_now_ns() < until && !atomic_load_explicit(&host->stopping, memory_order_relaxed));
        el_spin_result(&host->spin, found);
    }
    atomic_store_explicit(&host->spinning, 0, memory_order_release);
    return found;
}

/* The next message; false: the host stops. */
static bool next(struct el_host *host, uint64_t *message)
{
    if (take(host, message))
        return true;
    bool found = look(host, message);
    while (!found) {
        if (atomic_load_explicit(&host->stopping, memory_order_acquire))
            return false;
        el_doorbell_enter(host->shm.header);
        found = take(host, message);
        if (found)
            el_doorbell_leave(host->shm.header);
        else
            el_doorbell_wait(host->shm.header);
        if (!found)
            found = take(host, message);
    }
    el_spin_learn(&host->spin, host->shm.slots[el_ring_slot(*message)].think_ns);
    return true;
}

static void *runner_main(void *argument)
{
    struct el_runner *runner = argument;
    struct el_host *host = runner->host;
    char name[16];
    snprintf(name, sizeof name, "el-run-%u", runner->index);
    prctl(PR_SET_NAME, name);
    uint64_t message;
    while (next(host, &message)) {
        const uint32_t slot = el_ring_slot(message);
        const uint32_t generation = el_ring_generation(message);
        follow_last_answer(host, slot);
        switch (el_ring_op(message)) {
        case EL_RING_RUN:
            run_call(runner, slot, generation);
            break;
        case EL_RING_DELIVER:
            deliver(host, slot, generation);
            break;
        case EL_RING_DROP:
            drop(host, slot, generation);
            break;
        default:
            break;
        }
    }
    return NULL;
}

/* ---- the group ---- */

struct el_status *el_runners_start(struct el_host *host)
{
    const uint32_t count = host->start.concurrency;
    el_spin_init(&host->spin);
    host->kept = calloc(host->shm.slot_count, sizeof(struct el_kept *));
    host->runners = calloc(count, sizeof *host->runners);
    if (host->kept == NULL || host->runners == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        struct el_runner *runner = &host->runners[i];
        runner->host = host;
        runner->index = i;
        pthread_mutex_init(&runner->lock, NULL);
        const int error = pthread_create(&runner->thread, NULL, runner_main, runner);
        if (error != 0) {
            pthread_mutex_destroy(&runner->lock);
            el_runners_stop(host);
            return el_status_errno(error, "%u threads to run the model cannot be started", count);
        }
        atomic_store_explicit(&host->runner_count, i + 1, memory_order_release);
    }
    return NULL;
}

void el_runners_stop(struct el_host *host)
{
    const uint32_t count = atomic_load_explicit(&host->runner_count, memory_order_acquire);
    atomic_store_explicit(&host->stopping, true, memory_order_release);
    if (count > 0)
        el_doorbell_wake(host->shm.header, count, INT_MAX);
    for (uint32_t i = 0; i < count; i++) {
        struct el_runner *runner = &host->runners[i];
        pthread_join(runner->thread, NULL);
        pthread_mutex_destroy(&runner->lock);
        free(runner->inputs);
        free(runner->outputs);
        free(runner->wanted);
    }
    atomic_store_explicit(&host->runner_count, 0, memory_order_release);
    for (uint32_t slot = 0; host->kept != NULL && slot < host->shm.slot_count; slot++) {
        if (host->kept[slot] == NULL)
            continue;
        forget_outputs(host->kept[slot]->outputs, host->kept[slot]->count);
        free(host->kept[slot]);
    }
    free(host->kept);
    host->kept = NULL;
    free(host->runners);
    host->runners = NULL;
}

void el_runners_cancel(struct el_host *host, uint32_t slot, uint32_t generation)
{
    const uint32_t count = atomic_load_explicit(&host->runner_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        struct el_runner *runner = &host->runners[i];
        pthread_mutex_lock(&runner->lock);
        if (runner->run != NULL && runner->run_slot == slot && runner->run_generation == generation)
            host->engine->cancel(host->model, runner->run);
        pthread_mutex_unlock(&runner->lock);
    }
}
