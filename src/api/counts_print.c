/* SPDX-License-Identifier: Apache-2.0 */
/* A scrape of the counts: added up over the loops, sorted by name, printed as TensorFlow Serving's exporter does. */
#include "api/counts.h"

#include "api/metric_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SERVING ":tensorflow:serving:"
#define FIRST_BUCKET_US 10.0
#define BUCKET_GROWTH 1.8

/* The API label and the entrypoint of a call, and the API label of its run. */
static const struct {
    const char *api, *entrypoint, *runtime;
} calls[EL_COUNT_CALLS] = {
    [EL_COUNT_REST_OTHER] = { "", "REST", NULL },
    [EL_COUNT_GRPC_CLASSIFY] = { "Classify", "GRPC", "Classify" },
    [EL_COUNT_GRPC_MULTI_INFERENCE] = { "MultiInference", "GRPC", NULL },
    [EL_COUNT_GRPC_PREDICT] = { "Predict", "GRPC", "Predict" },
    [EL_COUNT_GRPC_REGRESS] = { "Regress", "GRPC", "Regress" },
    [EL_COUNT_REST_CLASSIFY] = { "classify", "REST", "Classify" },
    [EL_COUNT_REST_PREDICT] = { "predict", "REST", "Predict" },
    [EL_COUNT_REST_REGRESS] = { "regress", "REST", "Regress" },
};

/* Plain numbers, in the shape of struct el_counts_model. */
struct latency {
    uint64_t buckets[EL_COUNTS_BUCKETS], sum_us;
};
struct model {
    char *name; /* owned: counts may go before they are printed */
    size_t name_size;
    uint64_t status[EL_CODES];
    struct latency request[EL_COUNT_CALLS], runtime[EL_COUNT_CALLS];
    uint64_t examples[EL_COUNTS_EXAMPLES], example_total;
};

struct el_counts_sum {
    struct model **models; /* in no order before printing */
    size_t count, room;
    bool failed;
};

struct el_counts_sum *el_counts_sum_new(void)
{
    return calloc(1, sizeof(struct el_counts_sum));
}

void el_counts_sum_free(struct el_counts_sum *sum)
{
    if (sum == NULL)
        return;
    for (size_t i = 0; i < sum->count; i++) {
        free(sum->models[i]->name);
        free(sum->models[i]);
    }
    free(sum->models);
    free(sum);
}

static int compare_names(const struct model *model, const char *name, size_t size)
{
    const size_t shorter = model->name_size < size ? model->name_size : size;
    const int order = memcmp(model->name, name, shorter);
    return order != 0 ? order : model->name_size < size ? -1 : model->name_size > size;
}

static struct model *model_for(struct el_counts_sum *sum, const struct el_counts_model *of)
{
    for (size_t i = 0; i < sum->count; i++)
        if (compare_names(sum->models[i], of->name, of->name_size) == 0)
            return sum->models[i];
    if (sum->count == sum->room) {
        const size_t room = sum->room == 0 ? 16 : sum->room * 2;
        struct model **models = realloc(sum->models, room * sizeof(struct model *));
        if (models == NULL)
            return NULL;
        sum->models = models;
        sum->room = room;
    }
    struct model *model = calloc(1, sizeof *model);
    char *name = malloc(of->name_size + 1);
    if (model == NULL || name == NULL) {
        free(model);
        free(name);
        return NULL;
    }
    memcpy(name, of->name, of->name_size);
    model->name = name;
    model->name_size = of->name_size;
    sum->models[sum->count++] = model;
    return model;
}

static void add(uint64_t *to, const _Atomic uint64_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] += atomic_load_explicit(&from[i], memory_order_relaxed);
}

static void add_latency(struct latency *to, const struct el_count_latency *from)
{
    add(to->buckets, from->buckets, EL_COUNTS_BUCKETS);
    add(&to->sum_us, &from->sum_us, 1);
}

void el_counts_sum_add(struct el_counts_sum *sum, struct el_counts *counts)
{
    pthread_mutex_lock(&counts->lock);
    const struct el_counts_model *first = counts->models; /* what follows it does not change any more */
    pthread_mutex_unlock(&counts->lock);
    for (const struct el_counts_model *from = first; from != NULL; from = from->next) {
        struct model *to = model_for(sum, from);
        if (to == NULL) {
            sum->failed = true;
            return;
        }
        add(to->status, from->status, EL_CODES);
        for (size_t i = 0; i < EL_COUNT_CALLS; i++) {
            add_latency(&to->request[i], &from->request[i]);
            add_latency(&to->runtime[i], &from->runtime[i]);
        }
        add(to->examples, from->examples, EL_COUNTS_EXAMPLES);
        add(&to->example_total, &from->example_total, 1);
    }
}

/* ---- printing ---- */

static uint64_t total(const uint64_t *buckets, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += buckets[i];
    return sum;
}

static const char *labels_of(struct el_buf *labels, const char *key, const struct model *model)
{
    el_buf_clear(labels);
    el_metric_label(labels, key, model->name, model->name_size);
    return (const char *)labels->data;
}

static void put_requests(const struct el_counts_sum *sum, struct el_buf *labels, struct el_buf *out)
{
    el_buf_text(out, "# TYPE " SERVING "request_count counter\n");
    for (size_t m = 0; m < sum->count; m++) {
        labels_of(labels, "model_name", sum->models[m]);
        for (size_t code = 0; code < EL_CODES; code++)
            if (sum->models[m]->status[code] > 0)
                el_buf_printf(out, SERVING "request_count{%.*s,status=\"%s\"} %" PRIu64 "\n", (int)labels->size,
                              (const char *)labels->data, el_code_name((enum el_code)code),
                              sum->models[m]->status[code]);
    }
}

static void put_examples(const struct el_counts_sum *sum, struct el_buf *labels, struct el_buf *out)
{
    el_buf_text(out, "# TYPE " SERVING "request_example_count_total counter\n");
    for (size_t m = 0; m < sum->count; m++) {
        if (sum->models[m]->example_total == 0)
            continue;
        labels_of(labels, "model", sum->models[m]);
        el_buf_printf(out, SERVING "request_example_count_total{%.*s} %" PRIu64 "\n", (int)labels->size,
                      (const char *)labels->data, sum->models[m]->example_total);
    }
    el_buf_text(out, "# TYPE " SERVING "request_example_counts histogram\n");
    for (size_t m = 0; m < sum->count; m++) {
        if (sum->models[m]->example_total == 0)
            continue;
        labels_of(labels, "model", sum->models[m]);
        el_buf_byte(labels, 0);
        el_metric_histogram(out, SERVING "request_example_counts", (const char *)labels->data, sum->models[m]->examples,
                            EL_COUNTS_EXAMPLES, 1, 2, sum->models[m]->example_total);
    }
}

static void put_latencies(const struct el_counts_sum *sum, struct el_buf *labels, struct el_buf *out)
{
    el_buf_text(out, "# TYPE " SERVING "request_latency histogram\n");
    for (size_t m = 0; m < sum->count; m++) {
        for (size_t i = 0; i < EL_COUNT_CALLS; i++) {
            const struct latency *latency = &sum->models[m]->request[i];
            if (total(latency->buckets, EL_COUNTS_BUCKETS) == 0)
                continue;
            labels_of(labels, "model_name", sum->models[m]);
            el_buf_printf(labels, ",API=\"%s\",entrypoint=\"%s\"", calls[i].api, calls[i].entrypoint);
            el_buf_byte(labels, 0);
            el_metric_histogram(out, SERVING "request_latency", (const char *)labels->data, latency->buckets,
                                EL_COUNTS_BUCKETS, FIRST_BUCKET_US, BUCKET_GROWTH, latency->sum_us);
        }
    }
}

/* Of gRPC and REST together, as the runs do not know who asked. */
static void put_runtimes(const struct el_counts_sum *sum, struct el_buf *labels, struct el_buf *out)
{
    static const enum el_count_call pairs[][2] = { { EL_COUNT_GRPC_CLASSIFY, EL_COUNT_REST_CLASSIFY },
                                                   { EL_COUNT_GRPC_PREDICT, EL_COUNT_REST_PREDICT },
                                                   { EL_COUNT_GRPC_REGRESS, EL_COUNT_REST_REGRESS } };
    el_buf_text(out, "# TYPE " SERVING "runtime_latency histogram\n");
    for (size_t m = 0; m < sum->count; m++) {
        for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
            struct latency both = sum->models[m]->runtime[pairs[i][0]];
            const struct latency *other = &sum->models[m]->runtime[pairs[i][1]];
            for (size_t b = 0; b < EL_COUNTS_BUCKETS; b++)
                both.buckets[b] += other->buckets[b];
            both.sum_us += other->sum_us;
            if (total(both.buckets, EL_COUNTS_BUCKETS) == 0)
                continue;
            labels_of(labels, "model_name", sum->models[m]);
            el_buf_printf(labels, ",API=\"%s\",runtime=\"TF1\"", calls[pairs[i][0]].runtime);
            el_buf_byte(labels, 0);
            el_metric_histogram(out, SERVING "runtime_latency", (const char *)labels->data, both.buckets,
                                EL_COUNTS_BUCKETS, FIRST_BUCKET_US, BUCKET_GROWTH, both.sum_us);
        }
    }
}

static int by_name(const void *a_, const void *b_)
{
    const struct model *const *a = a_, *const *b = b_;
    return compare_names(*a, (*b)->name, (*b)->name_size);
}

void el_counts_print(struct el_counts_sum *sum, struct el_buf *out)
{
    struct el_buf labels = { 0 };
    if (sum->count > 1)
        qsort(sum->models, sum->count, sizeof(struct model *), by_name);
    put_requests(sum, &labels, out);
    put_examples(sum, &labels, out);
    put_latencies(sum, &labels, out);
    put_runtimes(sum, &labels, out);
    out->failed = out->failed || labels.failed || sum->failed;
    el_buf_free(&labels);
}
