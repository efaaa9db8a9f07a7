/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/batching.h"

#include "config/batching.h"

#include <string.h>
#include <unistd.h>

#define LONGEST_TIMEOUT_US (60 * 1000000) /* a request that waits longer for company looks like one that hangs */
#define MOST_THREADS 1024

static struct el_status *convert(const struct el_batching_params *params, struct el_batching *batching)
{
    if (params->allowed_batch_size_count > EL_ALLOWED_BATCH_SIZES)
        return el_status_new(EL_INVALID_ARGUMENT, "%zu allowed_batch_sizes: at most %d",
                             params->allowed_batch_size_count, EL_ALLOWED_BATCH_SIZES);
    *batching = (struct el_batching){
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
        batching->allowed[i] = (uint32_t)params->allowed_batch_sizes[i];
    return NULL;
}

/* TensorFlow Serving's default is one thread for each CPU, for all models; here the choice is made for each version. */
static uint32_t threads_of(const struct el_batching_params *params)
{
    const int64_t threads = params->num_batch_threads;
    if (threads == sysconf(_SC_NPROCESSORS_ONLN))
        return 0;
    return threads > MOST_THREADS ? MOST_THREADS : (uint32_t)threads;
}

static struct el_status *find_own(const char *path, struct el_batching *batching)
{
    struct el_batching_params own;
    bool found;
    EL_TRY(el_batching_read_version(path, &found, &own));
    struct el_status *status = found ? convert(&own, batching) : NULL;
    el_batching_free(&own);
    return status;
}

struct el_status *el_batching_find(const struct el_swap *swap, const char *path, struct el_batching *batching,
                                   uint32_t *threads)
{
    const struct el_batching_params *params = swap->options.batching;
    *batching = (struct el_batching){ .on = false };
    *threads = 0;
    if (params == NULL)
        return NULL;
    *threads = threads_of(params);
    return swap->options.per_model_batching ? find_own(path, batching) : convert(params, batching);
}

struct el_status *el_swap_set_batching(struct el_swap *swap, const struct el_batching_params *params)
{
    struct el_batching batching;
    EL_TRY(convert(params, &batching));
    swap->options.batching = params;
    struct el_hosted *hosted;
    el_list_each (hosted, &swap->hosted, in_swap) {
        if (!hosted->dead && !swap->options.per_model_batching)
            el_worker_set_batching(hosted->worker, &batching);
    }
    return NULL;
}
