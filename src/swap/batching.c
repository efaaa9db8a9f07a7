/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/batching.h"

#include "config/batching.h"

#include <stdlib.h>
#include <unistd.h>

#define LONGEST_TIMEOUT_US (60 * 1000000) /* a request that waits longer for company looks like one that hangs */
#define MOST_THREADS 1024

_Static_assert(EL_BATCHING_MAX_ALLOWED_SIZES <= EL_ALLOWED_BATCH_SIZES, "a worker takes what a config may say");

static struct el_batching convert(const struct el_batching_params *params)
{
    struct el_batching batching = {
        .on = true,
        .split = params->enable_large_batch_splitting,
        .pad_inputs = params->pad_variable_length_inputs,
        .max_rows = (uint64_t)params->max_batch_size,
        .execution_rows = (uint64_t)(params->enable_large_batch_splitting ? params->max_execution_batch_size
                                                                          : params->max_batch_size),
        .timeout_us = params->batch_timeout_micros > LONGEST_TIMEOUT_US ? LONGEST_TIMEOUT_US
                                                                        : (uint64_t)params->batch_timeout_micros,
        .max_enqueued = params->max_enqueued_batches > 0 ? (uint64_t)params->max_enqueued_batches : 1,
        .allowed_count = (uint32_t)params->allowed_batch_size_count,
    };
    for (size_t i = 0; i < params->allowed_batch_size_count; i++)
        batching.allowed[i] = (uint32_t)params->allowed_batch_sizes[i];
    return batching;
}

/* TensorFlow Serving's default is one thread for each CPU, for all models; here the choice is made for each version. */
static uint32_t threads_of(const struct el_batching_params *params)
{
    const int64_t threads = params->num_batch_threads;
    if (threads == sysconf(_SC_NPROCESSORS_ONLN))
        return 0;
    return threads > MOST_THREADS ? MOST_THREADS : (uint32_t)threads;
}

struct el_status *el_batching_of_version(const struct el_swap *swap, const char *path, struct el_batching **own)
{
    *own = NULL;
    if (!swap->options.per_model_batching)
        return NULL;
    struct el_batching_params params;
    bool found;
    EL_TRY(el_batching_read_version(path, &found, &params));
    struct el_status *status = NULL;
    if (found && (*own = malloc(sizeof **own)) != NULL)
        **own = convert(&params);
    else if (found)
        status = el_status_no_memory();
    el_batching_free(&params);
    return status;
}

void el_batching_choose(const struct el_swap *swap, const struct el_model *model, const struct el_batching *own,
                        struct el_batching *batching, uint32_t *threads)
{
    const struct el_batching_params *server = swap->options.batching;
    const struct el_batching_params *config = model->settings.update.batching;
    *batching = (struct el_batching){ .on = false };
    *threads = 0;
    if (config != NULL) {
        *batching = convert(config);
        *threads = threads_of(config);
    } else if (server != NULL) {
        *threads = threads_of(server);
        if (!swap->options.per_model_batching)
            *batching = convert(server);
        else if (own != NULL)
            *batching = *own;
    }
}

static void tell_worker(const struct el_hosted *hosted)
{
    struct el_batching batching;
    uint32_t threads;
    el_batching_choose(hosted->swap, hosted->model, hosted->own_batching, &batching, &threads);
    el_worker_set_batching(hosted->worker, &batching);
}

void el_batching_changed(struct el_swap *swap, const struct el_model *model)
{
    struct el_hosted *hosted;
    el_list_each (hosted, &swap->hosted, in_swap) {
        if (!hosted->dead && hosted->model != NULL && (model == NULL || hosted->model == model))
            tell_worker(hosted);
    }
}

void el_swap_set_batching(struct el_swap *swap, const struct el_batching_params *params)
{
    swap->options.batching = params;
    el_batching_changed(swap, NULL);
}
