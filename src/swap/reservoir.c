/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/reservoir.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>

#define GAP 256 /* requests that are passed over at most, once it is full */
#define ALIGNMENT ((size_t)64)

struct el_reservoir *el_reservoir_new(uint32_t records, uint64_t most_bytes)
{
    if (records == 0 || most_bytes == 0)
        return NULL;
    struct el_reservoir *reservoir = calloc(1, sizeof *reservoir);
    if (reservoir == NULL)
        return NULL;
    reservoir->samples = calloc(records, sizeof(struct el_sample *));
    if (reservoir->samples == NULL || pthread_mutex_init(&reservoir->lock, NULL) != 0) {
        free(reservoir->samples);
        free(reservoir);
        return NULL;
    }
    reservoir->room = records;
    reservoir->most_bytes = most_bytes;
    reservoir->random = UINT64_C(0x9e3779b97f4a7c15);
    return reservoir;
}

void el_sample_disown(struct el_sample *sample)
{
    /* Acquire and release: who frees it comes after all who read it. */
    if (atomic_fetch_sub_explicit(&sample->owners, 1, memory_order_acq_rel) == 1)
        free(sample);
}

void el_reservoir_free(struct el_reservoir *reservoir)
{
    if (reservoir == NULL)
        return;
    for (uint32_t i = 0; i < reservoir->count; i++)
        el_sample_disown(reservoir->samples[i]);
    pthread_mutex_destroy(&reservoir->lock);
    free(reservoir->samples);
    free(reservoir);
}

static size_t aligned(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t add_sizes(const struct el_tensor *tensors, uint32_t count, size_t size)
{
    for (uint32_t i = 0; i < count; i++)
        size += aligned(tensors[i].size); /* all lie in one arena: the sum fits */
    return size;
}

static unsigned char *copy_tensors(const struct el_tensor *from, uint32_t count, struct el_tensor *to,
                                   unsigned char *data)
{
    for (uint32_t i = 0; i < count; i++) {
        to[i] = from[i];
        to[i].data = data;
        if (from[i].size > 0)
            memcpy(data, from[i].data, from[i].size);
        data += aligned(from[i].size);
    }
    return data;
}

/* What was copied out of memory that a worker can write is checked where nobody changes it any more. */
static bool is_sound(const struct el_tensor *tensors, uint32_t count)
{
    bool sound = true;
    for (uint32_t i = 0; i < count && sound; i++) {
        struct el_status *status = el_tensor_check(&tensors[i]);
        sound = status == NULL;
        el_status_free(status);
    }
    return sound;
}

struct el_sample *el_sample_copy(uint32_t signature, const struct el_call *call, const uint32_t *output_indexes,
                                 uint32_t output_count, uint64_t most_bytes)
{
    const struct el_tensor *inputs, *outputs;
    const uint32_t *input_indexes;
    const uint32_t input_count = el_call_inputs(call, &inputs, &input_indexes);
    if (el_call_outputs(call, &outputs) != output_count)
        return NULL;
    const size_t tensors = (size_t)input_count + output_count;
    const size_t head = aligned(sizeof(struct el_sample) + tensors * (sizeof(struct el_tensor) + sizeof(uint32_t)));
    const size_t size = add_sizes(outputs, output_count, add_sizes(inputs, input_count, head));
    if (size > most_bytes)
        return NULL;
    unsigned char *block = aligned_alloc(ALIGNMENT, size);
    if (block == NULL)
        return NULL;
    struct el_sample *sample = (struct el_sample *)(void *)block;
    struct el_tensor *list = (struct el_tensor *)(void *)(sample + 1);
    uint32_t *indexes = (uint32_t *)(void *)(list + tensors);
    *sample = (struct el_sample){
        .owners = 1,
        .signature = signature,
        .input_count = input_count,
        .output_count = output_count,
        .inputs = list,
        .outputs = list + input_count,
        .input_indexes = indexes,
        .output_indexes = indexes + input_count,
        .size = size,
    };
    for (uint32_t i = 0; i < input_count; i++)
        sample->input_indexes[i] = input_indexes[i];
    for (uint32_t i = 0; i < output_count; i++)
        sample->output_indexes[i] = output_indexes[i];
    unsigned char *data = copy_tensors(inputs, input_count, sample->inputs, block + head);
    copy_tensors(outputs, output_count, sample->outputs, data);
    if (is_sound(sample->inputs, input_count) && is_sound(sample->outputs, output_count))
        return sample;
    free(sample);
    return NULL;
}

/* Under the lock. */
static void remove_one(struct el_reservoir *reservoir)
{
    const uint64_t at = el_random_next(&reservoir->random) % reservoir->count;
    struct el_sample *sample = reservoir->samples[at];
    reservoir->samples[at] = reservoir->samples[--reservoir->count];
    reservoir->bytes -= sample->size;
    el_sample_disown(sample);
}

void el_reservoir_stop(struct el_reservoir *reservoir)
{
    if (reservoir == NULL)
        return;
    pthread_mutex_lock(&reservoir->lock);
    while (reservoir->count > 0)
        el_sample_disown(reservoir->samples[--reservoir->count]);
    reservoir->bytes = reservoir->most_bytes = 0;
    atomic_store_explicit(&reservoir->next, UINT64_MAX, memory_order_relaxed);
    pthread_mutex_unlock(&reservoir->lock);
}

void el_reservoir_take(struct el_reservoir *reservoir, uint64_t number, uint32_t signature, const struct el_call *call,
                       const uint32_t *outputs, uint32_t output_count)
{
    if (pthread_mutex_trylock(&reservoir->lock) != 0)
        return;
    if (reservoir->most_bytes == 0) { /* stopped meanwhile */
        pthread_mutex_unlock(&reservoir->lock);
        return;
    }
    struct el_sample *sample = el_sample_copy(signature, call, outputs, output_count, reservoir->most_bytes);
    while (sample != NULL && reservoir->count > 0 &&
           (reservoir->count == reservoir->room || reservoir->bytes + sample->size > reservoir->most_bytes))
        remove_one(reservoir);
    if (sample != NULL) {
        reservoir->samples[reservoir->count++] = sample;
        reservoir->bytes += sample->size;
    }
    /* One that does not fit is passed over like one that was taken; large ones do not make the first ones cost more. */
    const bool filling = sample != NULL && reservoir->count < reservoir->room && number < reservoir->room;
    const uint64_t gap = filling ? 1 : 1 + el_random_next(&reservoir->random) % GAP;
    atomic_store_explicit(&reservoir->next, number + gap, memory_order_relaxed);
    pthread_mutex_unlock(&reservoir->lock);
}

struct el_sample **el_reservoir_get(struct el_reservoir *reservoir, uint32_t *count)
{
    *count = 0;
    if (reservoir == NULL)
        return NULL;
    struct el_sample **list = malloc(reservoir->room * sizeof(struct el_sample *));
    if (list == NULL)
        return NULL;
    pthread_mutex_lock(&reservoir->lock); /* nobody holds it longer than a copy takes */
    for (uint32_t i = 0; i < reservoir->count; i++) {
        list[i] = reservoir->samples[i];
        atomic_fetch_add_explicit(&list[i]->owners, 1, memory_order_relaxed);
    }
    *count = reservoir->count;
    pthread_mutex_unlock(&reservoir->lock);
    return list;
}
