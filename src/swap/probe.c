/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/probe.h"

#include "base/clock.h"
#include "base/constant.h"

#include <stdlib.h>
#include <string.h>

#define GRACE_NS (200 * EL_NS_PER_MS) /* after its deadline: a worker that still lives says so itself by then */

struct el_probe {
    struct el_probe_options options;
    struct el_pass *passes;
    uint32_t count;
    uint32_t at; /* the pass under way */
    uint32_t variant, variant_count;
    struct el_probe_variant variants[EL_PROBE_VARIANTS];
    struct el_pass_call *call;
    uint64_t late_ns; /* the call is given up then */
    struct el_status *broken;
    bool begun, finished;
};

bool el_probe_runs(const struct el_signature *signature)
{
    return signature->output_count > 0 && strcmp(signature->name, "__saved_model_init_op") != 0;
}

/* The variant that the other probe ended with for the same signature and batch. */
static const struct el_probe_variant *like(const struct el_probe *probe, const struct el_pass *pass)
{
    const char *name = probe->options.signatures->list[pass->signature].name;
    const struct el_probe *other = probe->options.like;
    for (uint32_t i = 0; other != NULL && i < other->count; i++)
        if (other->passes[i].batch == pass->batch &&
            strcmp(probe->options.like_signatures->list[other->passes[i].signature].name, name) == 0)
            return &other->passes[i].variant;
    return NULL;
}

static void add_pass(struct el_probe *probe, uint32_t signature, int64_t batch)
{
    if (probe->options.first_only && probe->count > 0)
        return;
    struct el_pass *pass = &probe->passes[probe->count++];
    *pass = (struct el_pass){ .signature = signature, .batch = batch };
    const struct el_probe_variant *same = like(probe, pass);
    if (same != NULL) {
        pass->variant = *same;
        pass->given = true;
    }
}

static struct el_status *plan(struct el_probe *probe)
{
    const struct el_signatures *signatures = probe->options.signatures;
    probe->passes = calloc((size_t)signatures->count * 2 + 1, sizeof *probe->passes);
    if (probe->passes == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < signatures->count && !probe->options.nothing; i++) {
        if (!el_probe_runs(&signatures->list[i]))
            continue;
        add_pass(probe, i, 1);
        if (el_probe_has_batch(&signatures->list[i]))
            add_pass(probe, i, 3);
    }
    return NULL;
}

static void choose_variants(struct el_probe *probe, struct el_pass *pass)
{
    const struct el_signature *signature = &probe->options.signatures->list[pass->signature];
    probe->variant = 0;
    if (pass->given) {
        probe->variants[0] = pass->variant;
        probe->variant_count = 1;
        return;
    }
    probe->variant_count = el_probe_variants(signature, pass->batch, probe->variants);
    /* What was accepted with a batch of 1 is the first guess for one of 3. */
    if (probe->at > 0 && probe->passes[probe->at - 1].signature == pass->signature) {
        probe->variants[0] = probe->passes[probe->at - 1].variant;
        probe->variants[0].batch = pass->batch;
    }
}

static void finish(struct el_probe *probe, struct el_status *broken)
{
    probe->finished = true;
    probe->broken = broken;
    probe->late_ns = EL_NEVER_NS;
    probe->options.done(probe, probe->options.argument);
}

static struct el_status *copy_outputs(struct el_pass *pass, const struct el_tensor *outputs, uint32_t count)
{
    pass->outputs = calloc(count > 0 ? count : 1, sizeof *pass->outputs);
    if (pass->outputs == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *data = malloc(outputs[i].size > 0 ? outputs[i].size : 1);
        if (data == NULL)
            return el_status_no_memory();
        memcpy(data, outputs[i].data, outputs[i].size);
        pass->outputs[pass->output_count] = outputs[i];
        pass->outputs[pass->output_count++].data = data;
    }
    return NULL;
}

bool el_probe_refuses(const struct el_signature *signature, enum el_code code)
{
    return code == EL_INVALID_ARGUMENT ||
           ((code == EL_OUT_OF_RANGE || code == EL_INTERNAL) && el_probe_may_point(signature));
}

static bool try_another(const struct el_probe *probe, const struct el_status *status)
{
    const struct el_signature *signature = &probe->options.signatures->list[probe->passes[probe->at].signature];
    enum el_code code = el_status_code(status);
    return (el_probe_refuses(signature, code) || code == EL_UNIMPLEMENTED || code == EL_RESOURCE_EXHAUSTED) &&
           probe->variant + 1 < probe->variant_count;
}

/* Takes the result of the pass at hand and moves to what is to be run next; false: nothing is. */
static bool advance(struct el_probe *probe, struct el_status *status)
{
    if (try_another(probe, status)) {
        el_status_free(status);
        probe->variant++;
        return true;
    }
    probe->passes[probe->at].status = status;
    probe->at++;
    if (probe->at >= probe->count)
        return false;
    choose_variants(probe, &probe->passes[probe->at]);
    return true;
}

static void proceed(struct el_probe *probe);

static void on_pass(void *argument, const struct el_status *status, const struct el_tensor *outputs, uint32_t count,
                    bool worker_died, uint64_t took_ns)
{
    struct el_probe *probe = argument;
    struct el_pass *pass = &probe->passes[probe->at];
    probe->call = NULL;
    probe->late_ns = EL_NEVER_NS;
    if (worker_died) {
        finish(probe, el_status_copy(status));
        return;
    }
    pass->took_ns = took_ns;
    if (advance(probe, status == NULL ? copy_outputs(pass, outputs, count) : el_status_copy(status)))
        proceed(probe);
    else
        finish(probe, NULL);
}

static struct el_worker *worker_of(const struct el_probe *probe)
{
    if (probe->options.worker != NULL)
        return probe->options.worker;
    /* On the swap thread: whatever is in there is not freed before it is taken out, by this thread. */
    return atomic_load_explicit(&probe->options.servable->worker, memory_order_relaxed);
}

static struct el_status *start_pass(struct el_probe *probe)
{
    struct el_pass *pass = &probe->passes[probe->at];
    const struct el_signature *signature = &probe->options.signatures->list[pass->signature];
    pass->variant = probe->variants[probe->variant];
    struct el_worker *worker = worker_of(probe);
    if (worker == NULL)
        return el_status_new(EL_UNAVAILABLE, "the worker is gone");
    struct el_probe_inputs inputs;
    EL_TRY(el_probe_inputs_make(signature, &pass->variant, &inputs));
    uint64_t deadline_ns = el_after_ns(el_now_ns(), probe->options.timeout_ms * EL_NS_PER_MS);
    struct el_status *status = el_pass_start(probe->options.model->swap, worker, pass->signature, signature, &inputs,
                                             deadline_ns, on_pass, probe, &probe->call);
    el_probe_inputs_free(&inputs);
    if (status == NULL) {
        probe->late_ns = el_after_ns(deadline_ns, GRACE_NS);
        el_model_alarm(probe->options.model, probe->late_ns);
    }
    return status;
}

/* Starts the next pass that can be started; those that cannot have their result at once. */
static void proceed(struct el_probe *probe)
{
    for (;;) {
        struct el_status *status = start_pass(probe);
        if (status == NULL)
            return;
        if (el_status_code(status) == EL_UNAVAILABLE) {
            finish(probe, status);
            return;
        }
        if (!advance(probe, status)) {
            finish(probe, NULL);
            return;
        }
    }
}

struct el_status *el_probe_start(const struct el_probe_options *options, struct el_probe **made)
{
    struct el_probe *probe = calloc(1, sizeof *probe);
    if (probe == NULL)
        return el_status_no_memory();
    probe->options = *options;
    probe->late_ns = EL_NEVER_NS;
    struct el_status *status = plan(probe);
    if (status != NULL) {
        free(probe);
        return status;
    }
    /* The first pass starts from el_probe_tick(), so that done never comes from inside this function. */
    *made = probe;
    el_model_touch(options->model);
    return NULL;
}

void el_probe_tick(struct el_probe *probe, uint64_t now_ns)
{
    if (probe->finished)
        return;
    if (!probe->begun) {
        probe->begun = true;
        if (probe->count == 0) {
            finish(probe, NULL);
            return;
        }
        choose_variants(probe, &probe->passes[0]);
        proceed(probe);
        return;
    }
    if (now_ns < probe->late_ns) {
        el_model_alarm(probe->options.model, probe->late_ns);
        return;
    }
    if (probe->call == NULL)
        return;
    const char *name = probe->options.signatures->list[probe->passes[probe->at].signature].name;
    struct el_status *late = el_status_new(EL_DEADLINE_EXCEEDED,
                                           "signature \"%s\" did not answer within %u ms (probe_timeout_ms)", name,
                                           probe->options.timeout_ms);
    el_pass_abandon(probe->call);
    probe->call = NULL;
    if (probe->options.kill && worker_of(probe) != NULL)
        el_worker_kill(worker_of(probe), el_status_copy(late));
    finish(probe, late);
}

const struct el_pass *el_probe_passes(const struct el_probe *probe, uint32_t *count)
{
    *count = probe->count;
    return probe->passes;
}

const struct el_status *el_probe_broken(const struct el_probe *probe)
{
    return probe->broken;
}

void el_probe_free(struct el_probe *probe)
{
    if (probe == NULL)
        return;
    if (probe->call != NULL)
        el_pass_abandon(probe->call);
    for (uint32_t i = 0; i < probe->count; i++) {
        struct el_pass *pass = &probe->passes[i];
        for (uint32_t o = 0; o < pass->output_count; o++) {
            el_free_constant(pass->outputs[o].data);
        }
        free(pass->outputs);
        el_status_free(pass->status);
    }
    free(probe->passes);
    el_status_free(probe->broken);
    free(probe);
}
