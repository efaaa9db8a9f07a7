/* SPDX-License-Identifier: Apache-2.0 */
#include "api/counts.h"

#include <stdlib.h>
#include <string.h>

#define OTHER "(other)"
#define FIRST_BUCKET_NS 10000.0
#define BUCKET_GROWTH 1.8

struct el_status *el_counts_init(struct el_counts *counts)
{
    memset(counts, 0, sizeof *counts);
    return pthread_mutex_init(&counts->lock, NULL) == 0 ? NULL
                                                        : el_status_new(EL_INTERNAL, "counts cannot make their lock");
}

void el_counts_free(struct el_counts *counts)
{
    while (counts->models != NULL) {
        struct el_counts_model *model = counts->models;
        counts->models = model->next;
        free(model);
    }
    pthread_mutex_destroy(&counts->lock);
}

/* FNV-1a */
static struct el_counts_model **slot_of(struct el_counts *counts, const char *name, size_t size)
{
    uint32_t hash = UINT32_C(0x811c9dc5);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)name[i]) * UINT32_C(0x01000193);
    return &counts->slots[hash % EL_COUNTS_SLOTS];
}

static struct el_counts_model *find(struct el_counts *counts, const char *name, size_t size)
{
    struct el_counts_model *model = *slot_of(counts, name, size);
    while (model != NULL && (model->name_size != size || memcmp(model->name, name, size) != 0))
        model = model->next_in_slot;
    return model;
}

static struct el_counts_model *add(struct el_counts *counts, const char *name, size_t size)
{
    struct el_counts_model *model = calloc(1, sizeof *model + size + 1);
    if (model == NULL)
        return NULL;
    memcpy(model->name, name, size);
    model->name_size = size;
    struct el_counts_model **slot = slot_of(counts, name, size);
    model->next_in_slot = *slot;
    *slot = model;
    pthread_mutex_lock(&counts->lock);
    model->next = counts->models;
    counts->models = model;
    counts->count++;
    pthread_mutex_unlock(&counts->lock);
    return model;
}

static struct el_counts_model *get(struct el_counts *counts, const char *name, size_t size)
{
    struct el_counts_model *model = find(counts, name, size);
    if (model != NULL)
        return model;
    if (counts->count < EL_COUNTS_NAMES)
        return add(counts, name, size);
    model = find(counts, OTHER, sizeof OTHER - 1);
    return model != NULL ? model : add(counts, OTHER, sizeof OTHER - 1);
}

/* Only the owner writes: a load and a store, not an instruction that locks the bus. */
static void grow(_Atomic uint64_t *counter, uint64_t by)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

static void record(struct el_count_latency *latency, uint64_t ns)
{
    size_t i = 0;
    double edge = FIRST_BUCKET_NS;
    for (; i < EL_COUNTS_BUCKETS - 1 && (double)ns > edge; i++)
        edge *= BUCKET_GROWTH;
    grow(&latency->buckets[i], 1);
    grow(&latency->sum_us, ns / 1000);
}

void el_counts_add(struct el_counts *counts, const struct el_counted *counted)
{
    struct el_counts_model *model = get(counts, counted->name, counted->name_size);
    if (model == NULL)
        return; /* no memory: a count less */
    if (counted->counted)
        grow(&model->status[counted->code], 1);
    if (counted->code != EL_OK)
        return;
    record(&model->request[counted->call], counted->took_ns);
    if (counted->runtime_ns > 0)
        record(&model->runtime[counted->call], counted->runtime_ns);
    if (counted->examples > 0) {
        size_t i = 0;
        while (i < EL_COUNTS_EXAMPLES - 1 && counted->examples >= UINT64_C(1) << i) /* a limit is beyond its bucket */
            i++;
        grow(&model->examples[i], 1);
        grow(&model->example_total, counted->examples);
    }
}
