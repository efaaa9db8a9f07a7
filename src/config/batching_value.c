/* SPDX-License-Identifier: Apache-2.0 */
/* Batching parameters as values: copied, compared, written as text. */
#include "config/batching.h"

#include "config/print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct el_status *el_batching_copy(const struct el_batching_params *from, struct el_batching_params *to)
{
    *to = *from;
    to->thread_pool_name = strdup(from->thread_pool_name);
    to->allowed_batch_sizes = NULL;
    const size_t count = from->allowed_batch_size_count;
    if (count > 0 && (to->allowed_batch_sizes = calloc(count, sizeof *to->allowed_batch_sizes)) != NULL)
        memcpy(to->allowed_batch_sizes, from->allowed_batch_sizes, count * sizeof *to->allowed_batch_sizes);
    if (to->thread_pool_name != NULL && (count == 0 || to->allowed_batch_sizes != NULL))
        return NULL;
    el_batching_free(to);
    return el_status_no_memory();
}

bool el_batching_same(const struct el_batching_params *a, const struct el_batching_params *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return a->max_batch_size == b->max_batch_size && a->batch_timeout_micros == b->batch_timeout_micros &&
           a->max_enqueued_batches == b->max_enqueued_batches && a->num_batch_threads == b->num_batch_threads &&
           strcmp(a->thread_pool_name, b->thread_pool_name) == 0 &&
           a->allowed_batch_size_count == b->allowed_batch_size_count &&
           (a->allowed_batch_size_count == 0 ||
            memcmp(a->allowed_batch_sizes, b->allowed_batch_sizes,
                   a->allowed_batch_size_count * sizeof *a->allowed_batch_sizes) == 0) &&
           a->pad_variable_length_inputs == b->pad_variable_length_inputs &&
           a->enable_large_batch_splitting == b->enable_large_batch_splitting &&
           a->max_execution_batch_size == b->max_execution_batch_size;
}

static void print_number(const char *name, int64_t value, int64_t otherwise, struct el_buf *out)
{
    if (value != otherwise)
        el_buf_printf(out, " %s { value: %" PRId64 " }", name, value);
}

void el_batching_print(const struct el_batching_params *params, const struct el_batching_params *defaults,
                       struct el_buf *out)
{
    print_number("max_batch_size", params->max_batch_size, defaults->max_batch_size, out);
    print_number("batch_timeout_micros", params->batch_timeout_micros, defaults->batch_timeout_micros, out);
    print_number("max_enqueued_batches", params->max_enqueued_batches, defaults->max_enqueued_batches, out);
    print_number("num_batch_threads", params->num_batch_threads, defaults->num_batch_threads, out);
    if (strcmp(params->thread_pool_name, defaults->thread_pool_name) != 0) {
        el_buf_text(out, " thread_pool_name { value: ");
        el_print_string(params->thread_pool_name, out);
        el_buf_text(out, " }");
    }
    for (size_t i = 0; i < params->allowed_batch_size_count; i++)
        el_buf_printf(out, " allowed_batch_sizes: %" PRId64, params->allowed_batch_sizes[i]);
    if (params->pad_variable_length_inputs)
        el_buf_text(out, " pad_variable_length_inputs: true");
    if (params->enable_large_batch_splitting)
        el_buf_text(out, " enable_large_batch_splitting { value: true }");
    print_number("max_execution_batch_size", params->max_execution_batch_size, params->max_batch_size, out);
}
