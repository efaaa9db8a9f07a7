/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/shadow.h"

#include "base/clock.h"
#include "swap/agreement.h"
#include "swap/probe.h"
#include "swap/replay.h"
#include "swap/rollout_judge.h"

#include <stdlib.h>
#include <string.h>

#define QUEUED 64                         /* copies that wait, at most */
#define QUEUED_BYTES (UINT64_C(16) << 20) /* and their memory */
#define AT_ONCE 4                         /* asked at the same time */
#define WINDOW_NS (500 * EL_NS_PER_MS)

struct copy {
    struct el_sample *sample; /* owned */
    uint64_t took_ns;         /* the old version's answer */
};

struct el_shadow_queue {
    _Atomic uint32_t percent; /* 0: nothing is copied; relaxed: one request more or less does not matter */
    pthread_mutex_t lock;     /* guards what follows; event loops only try it */
    struct copy list[QUEUED];
    uint32_t first, count;
    uint64_t bytes;
};

struct ask {
    struct el_shadow *shadow;
    struct copy copy;
    uint32_t signature; /* of the new version */
    struct el_pass_call *call;
};

struct el_shadow {
    struct el_version *version;
    struct el_servable *old; /* owned with others */
    struct el_shadow_queue *queue;
    struct ask asks[AT_ONCE];
    bool pumping;
    struct el_shadow_counts counts;
};

/* ---- the queue ---- */

static struct el_shadow_queue *queue_of(struct el_servable *servable)
{
    struct el_shadow_queue *queue = atomic_load_explicit(&servable->shadow, memory_order_relaxed);
    if (queue != NULL)
        return queue;
    queue = calloc(1, sizeof *queue);
    if (queue == NULL || pthread_mutex_init(&queue->lock, NULL) != 0) {
        free(queue);
        return NULL;
    }
    /* Release: a loop that loads the pointer sees the queue made. It stays until the servable goes, so nobody has to let go of it. */
    atomic_store_explicit(&servable->shadow, queue, memory_order_release);
    return queue;
}

/* Under the lock, or with nobody else left. */
static struct copy pop(struct el_shadow_queue *queue)
{
    const struct copy copy = queue->list[queue->first];
    queue->first = (queue->first + 1) % QUEUED;
    queue->count--;
    queue->bytes -= copy.sample->size;
    return copy;
}

static void empty(struct el_shadow_queue *queue)
{
    pthread_mutex_lock(&queue->lock); /* nobody holds it longer than a copy takes */
    while (queue->count > 0)
        el_sample_disown(pop(queue).sample);
    pthread_mutex_unlock(&queue->lock);
}

void el_shadow_queue_free(struct el_shadow_queue *queue)
{
    if (queue == NULL)
        return;
    empty(queue);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

bool el_shadow_take(struct el_shadow_queue *queue, uint64_t random, uint32_t signature, const struct el_call *call,
                    const uint32_t *outputs, uint32_t output_count, uint64_t took_ns)
{
    if ((random >> 32) % 100 >= atomic_load_explicit(&queue->percent, memory_order_relaxed) ||
        pthread_mutex_trylock(&queue->lock) != 0)
        return false;
    struct el_sample *sample = queue->count < QUEUED && queue->bytes < QUEUED_BYTES
                                   ? el_sample_copy(signature, call, outputs, output_count, QUEUED_BYTES - queue->bytes)
                                   : NULL;
    if (sample != NULL) {
        queue->list[(queue->first + queue->count) % QUEUED] = (struct copy){ .sample = sample, .took_ns = took_ns };
        queue->count++;
        queue->bytes += sample->size;
    }
    pthread_mutex_unlock(&queue->lock);
    return sample != NULL;
}

static bool take(struct el_shadow_queue *queue, struct copy *copy)
{
    pthread_mutex_lock(&queue->lock);
    const bool some = queue->count > 0;
    if (some)
        *copy = pop(queue);
    pthread_mutex_unlock(&queue->lock);
    return some;
}

/* ---- what the answers say ---- */

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void add(struct el_guard_counts *counts, bool bad)
{
    counts->all++;
    counts->bad += bad;
}

static bool is_finite(const struct el_tensor *outputs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (el_tensor_first_nonfinite(&outputs[i]) >= 0)
            return false;
    return true;
}

static void compare(struct ask *ask, const struct el_tensor *outputs, uint32_t output_count)
{
    static const struct el_tolerance exact = { 0, 0 };
    struct el_shadow *shadow = ask->shadow;
    const struct el_rollout_config *config = &shadow->version->model->settings.update.rollout;
    const struct el_sample *sample = ask->copy.sample;
    const struct el_signature *old = &shadow->old->signatures.list[sample->signature];
    const struct el_signature *new_ = &shadow->version->servable->signatures.list[ask->signature];
    struct el_agreement all = { 0 };
    double drift = 0;
    for (uint32_t i = 0; i < sample->output_count; i++) {
        struct el_agreement one = { 0 };
        const char *name = old->outputs[sample->output_indexes[i]].name;
        const int at = el_tensor_info_find(new_->outputs, new_->output_count, name, strlen(name));
        if (at < 0 || (uint32_t)at >= output_count)
            continue; /* that output is gone, which "fits" tells */
        (void)el_agreement_add(&one, &outputs[at], &sample->outputs[i], &exact);
        (void)el_agreement_add(&all, &outputs[at], &sample->outputs[i], &exact);
        if (el_agreement_mean(&one) > drift)
            drift = el_agreement_mean(&one);
    }
    add(&shadow->counts.differs, all.other > 0 || el_agreement_share(&all) < config->min_agreement);
    add(&shadow->counts.drifted, config->max_drift >= 0 && drift > config->max_drift);
}

/* It was asked, and the old one has answered the same well. */
static void judge(struct ask *ask, const struct el_status *status, const struct el_tensor *outputs,
                  uint32_t output_count, uint64_t took_ns)
{
    struct el_shadow *shadow = ask->shadow;
    struct el_version_stats *stats = &shadow->version->servable->stats;
    const enum el_code code = el_status_code(status);
    const struct el_sample *sample = ask->copy.sample;
    count(&shadow->old->stats.rollout.answers);
    if (code == EL_DEADLINE_EXCEEDED || code == EL_RESOURCE_EXHAUSTED || code == EL_UNAVAILABLE || code == EL_CANCELLED)
        return; /* no time and no room for it, which load explains */
    count(&stats->rollout.answers);
    if (status != NULL)
        count(&stats->rollout.faults);
    else if (!is_finite(outputs, output_count) && is_finite(sample->outputs, sample->output_count))
        count(&stats->rollout.non_finite);
    else
        compare(ask, outputs, output_count);
    add(&shadow->counts.window[0], took_ns > shadow->counts.slow_ns);
    add(&shadow->counts.window[1], ask->copy.took_ns > shadow->counts.slow_ns);
}

/* ---- asking ---- */

static void end(struct ask *ask)
{
    el_sample_disown(ask->copy.sample);
    ask->copy.sample = NULL;
    ask->call = NULL;
}

static void on_answer(void *argument, const struct el_status *status, const struct el_tensor *outputs, uint32_t count_,
                      bool worker_died, uint64_t took_ns)
{
    struct ask *ask = argument;
    struct el_shadow *shadow = ask->shadow;
    const struct el_version_stats *stats = &shadow->version->servable->stats;
    const uint64_t bad = stats->rollout.faults + stats->rollout.non_finite;
    if (!worker_died) /* the event that says of what is the rollout's */
        judge(ask, status, outputs, count_, took_ns);
    end(ask);
    if (stats->rollout.faults + stats->rollout.non_finite > bad)
        el_model_touch(shadow->version->model);
    el_shadow_pump(shadow);
}

/* False: it cannot be asked that. */
static bool start(struct ask *ask)
{
    struct el_shadow *shadow = ask->shadow;
    struct el_servable *new_ = shadow->version->servable;
    const struct el_sample *sample = ask->copy.sample;
    const struct el_signature *old = &shadow->old->signatures.list[sample->signature];
    struct el_worker *worker = atomic_load_explicit(&new_->worker, memory_order_relaxed);
    const struct el_signature *signature = el_signatures_find(&new_->signatures, old->name, strlen(old->name),
                                                              &ask->signature);
    if (worker == NULL || signature == NULL)
        return false;
    struct el_probe_inputs inputs = { .count = signature->input_count };
    inputs.list = calloc(signature->input_count + 1, sizeof *inputs.list);
    bool asked = inputs.list != NULL && el_replay_lay_inputs(sample, old, signature, inputs.list);
    if (asked) {
        const uint32_t timeout_ms = shadow->version->model->settings.update.probe_timeout_ms;
        struct el_status *status = el_pass_start(shadow->version->model->swap, worker, ask->signature, signature,
                                                 &inputs, el_after_ns(el_now_ns(), timeout_ms * EL_NS_PER_MS),
                                                 on_answer, ask, &ask->call);
        asked = status == NULL;
        el_status_free(status); /* its queue is full, or it is being started again */
    }
    free(inputs.list);
    return asked;
}

void el_shadow_pump(struct el_shadow *shadow)
{
    /* What a run changes is seen by later ones: only clients may run such a version. */
    if (shadow->pumping || shadow->version->servable->keeps_state)
        return;
    shadow->pumping = true;
    for (size_t i = 0; i < AT_ONCE; i++) {
        struct ask *ask = &shadow->asks[i];
        while (ask->copy.sample == NULL && take(shadow->queue, &ask->copy)) {
            if (!start(ask))
                end(ask);
        }
    }
    shadow->pumping = false;
}

/* ---- life ---- */

struct el_shadow *el_shadow_new(struct el_version *version, struct el_servable *old, uint32_t percent)
{
    struct el_shadow *shadow = calloc(1, sizeof *shadow);
    struct el_shadow_queue *queue = queue_of(old);
    if (shadow == NULL || queue == NULL) {
        free(shadow);
        return NULL;
    }
    shadow->version = version;
    shadow->old = old;
    shadow->queue = queue;
    shadow->counts.slow_ns = UINT64_MAX;
    for (size_t i = 0; i < AT_ONCE; i++)
        shadow->asks[i].shadow = shadow;
    el_servable_own(old);
    atomic_store_explicit(&queue->percent, percent, memory_order_relaxed);
    return shadow;
}

void el_shadow_free(struct el_shadow *shadow)
{
    if (shadow == NULL)
        return;
    atomic_store_explicit(&shadow->queue->percent, 0, memory_order_relaxed);
    empty(shadow->queue);
    for (size_t i = 0; i < AT_ONCE; i++) {
        if (shadow->asks[i].call != NULL)
            el_pass_abandon(shadow->asks[i].call);
        if (shadow->asks[i].copy.sample != NULL)
            el_sample_disown(shadow->asks[i].copy.sample);
    }
    el_servable_disown(shadow->old, &shadow->version->model->swap->lingering);
    free(shadow);
}

void el_shadow_restart(struct el_shadow *shadow, uint64_t slow_ns, uint64_t now_ns)
{
    shadow->counts = (struct el_shadow_counts){ .slow_ns = slow_ns, .window_ns = now_ns };
}

const struct el_shadow_counts *el_shadow_look(struct el_shadow *shadow, uint64_t now_ns)
{
    struct el_shadow_counts *counts = &shadow->counts;
    if (now_ns - counts->window_ns < WINDOW_NS ||
        !el_rollout_window(&counts->windows, counts->window[0], counts->window[1]))
        return counts;
    counts->window[0] = counts->window[1] = (struct el_guard_counts){ 0 };
    counts->window_ns = now_ns;
    return counts;
}
