/* SPDX-License-Identifier: Apache-2.0 */
#include "config/batching.h"

#include "config/server_types.h"
#include "config/text.h"
#include "config/text_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BATCH_SIZE 1000
#define MAX_ENQUEUED_BATCHES 10
#define LARGEST INT32_MAX /* TensorFlow Serving counts rows in 32 bits */
#define SERVER_POOL "model_server_batch_threads"
#define POOL "batch_threads"
#define VERSION_FILE "batching_params.pbtxt"

static struct el_status *set_defaults(const char *pool, struct el_batching_params *params)
{
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    *params = (struct el_batching_params){
        .max_batch_size = MAX_BATCH_SIZE,
        .max_enqueued_batches = MAX_ENQUEUED_BATCHES,
        .num_batch_threads = cpus > 0 ? cpus : 1,
        .thread_pool_name = strdup(pool),
        .max_execution_batch_size = MAX_BATCH_SIZE,
    };
    return params->thread_pool_name == NULL ? el_status_no_memory() : NULL;
}

struct el_status *el_batching_defaults(struct el_batching_params *params)
{
    return set_defaults(SERVER_POOL, params);
}

/* A number that the text may give, where it goes and how small it may be. */
struct number_row {
    int32_t field;
    size_t at;
    int64_t least;
    const char *must; /* TensorFlow's text for less */
};

#define AT(member) offsetof(struct el_batching_params, member)

static const struct number_row numbers[] = {
    { EL_BATCHING_MAX_BATCH_SIZE, AT(max_batch_size), 1, "max_batch_size must be positive" },
    { EL_BATCHING_TIMEOUT_MICROS, AT(batch_timeout_micros), 0, "batch_timeout_micros must be non-negative" },
    { EL_BATCHING_MAX_ENQUEUED, AT(max_enqueued_batches), 0, "max_enqueued_batches must be non-negative" },
    { EL_BATCHING_THREADS, AT(num_batch_threads), 1, "num_batch_threads must be positive" },
    { EL_BATCHING_MAX_EXECUTION, AT(max_execution_batch_size), 1, "max_execution_batch_size must be positive" },
};

/* What a wrapper holds; NULL for the zero of its type. */
static const struct el_text_value *unwrap(const struct el_text_value *wrapper)
{
    return el_text_get(wrapper->as.message, EL_WRAPPED_VALUE);
}

static struct el_status *read_number(const char *name, const struct el_text_message *message,
                                     const struct number_row *row, struct el_batching_params *params)
{
    const struct el_text_value *wrapper = el_text_get(message, row->field);
    if (wrapper == NULL)
        return NULL;
    const struct el_text_value *value = unwrap(wrapper);
    const int64_t number = value == NULL ? 0 : value->as.integer;
    if (number < row->least)
        return el_text_error_at(name, wrapper, EL_INVALID_ARGUMENT, "%s; was %" PRId64, row->must, number);
    if (row->field != EL_BATCHING_TIMEOUT_MICROS && number > LARGEST)
        return el_text_error_at(name, wrapper, EL_INVALID_ARGUMENT, "%s is %" PRId64 "; expected at most %d",
                                wrapper->field->name, number, LARGEST);
    *(int64_t *)(void *)((char *)params + row->at) = number;
    return NULL;
}

static struct el_status *read_pool_name(const char *name, const struct el_text_message *message,
                                        struct el_batching_params *params)
{
    const struct el_text_value *wrapper = el_text_get(message, EL_BATCHING_POOL_NAME);
    if (wrapper == NULL)
        return NULL;
    const struct el_text_value *value = unwrap(wrapper);
    if (value != NULL && strlen(value->as.string.data) != value->as.string.size)
        return el_text_error_at(name, value, EL_INVALID_ARGUMENT,
                                "thread_pool_name holds a zero byte, which no name can have");
    char *copy = strdup(value == NULL ? "" : value->as.string.data);
    if (copy == NULL)
        return el_status_no_memory();
    free(params->thread_pool_name);
    params->thread_pool_name = copy;
    return NULL;
}

/* Only what is split can have batches smaller than the largest request. */
static struct el_status *read_splitting(const char *name, const struct el_text_message *message,
                                        struct el_batching_params *params)
{
    const struct el_text_value *wrapper = el_text_get(message, EL_BATCHING_SPLIT);
    const struct el_text_value *value = wrapper == NULL ? NULL : unwrap(wrapper);
    const struct el_text_value *most = el_text_get(message, EL_BATCHING_MAX_EXECUTION);
    params->enable_large_batch_splitting = value != NULL && value->as.boolean;
    if (!params->enable_large_batch_splitting || most == NULL)
        params->max_execution_batch_size = params->max_batch_size;
    if (params->max_execution_batch_size > params->max_batch_size)
        return el_text_error_at(name, most, EL_INVALID_ARGUMENT,
                                "max_execution_batch_size is %" PRId64 "; expected at most max_batch_size, %" PRId64,
                                params->max_execution_batch_size, params->max_batch_size);
    return NULL;
}

static int compare_sizes(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* TensorFlow Serving wants them ascending and does not look: in another order they mean the same, the least that is enough. */
static struct el_status *read_allowed_sizes(const char *name, const struct el_text_message *message,
                                            struct el_batching_params *params)
{
    size_t count = 0;
    const struct el_text_value *first = el_text_get(message, EL_BATCHING_ALLOWED_SIZES);
    const struct el_text_value *last = first;
    for (const struct el_text_value *value = first; value != NULL; value = el_text_next(value)) {
        last = value;
        count++;
    }
    if (count == 0)
        return NULL;
    if (last->as.integer != params->max_batch_size)
        return el_text_error_at(name, last, EL_INVALID_ARGUMENT,
                                "Last entry in allowed_batch_sizes must match max_batch_size; last entry was %" PRId64
                                "; expected %" PRId64,
                                last->as.integer, params->max_batch_size);
    if (count > EL_BATCHING_MAX_ALLOWED_SIZES)
        return el_text_error_at(name, last, EL_INVALID_ARGUMENT, "%zu allowed_batch_sizes; expected at most %d", count,
                                EL_BATCHING_MAX_ALLOWED_SIZES);
    int64_t *sizes = calloc(count, sizeof *sizes);
    if (sizes == NULL)
        return el_status_no_memory();
    params->allowed_batch_sizes = sizes;
    size_t i = 0;
    for (const struct el_text_value *value = first; value != NULL; value = el_text_next(value)) {
        if (value->as.integer < 1 || value->as.integer > params->max_batch_size)
            return el_text_error_at(name, value, EL_INVALID_ARGUMENT,
                                    "allowed_batch_sizes entry is %" PRId64 "; expected 1 to max_batch_size, %" PRId64,
                                    value->as.integer, params->max_batch_size);
        sizes[i++] = value->as.integer;
    }
    qsort(sizes, count, sizeof *sizes, compare_sizes);
    for (i = 0; i < count; i++) {
        if (i == 0 || sizes[i] != sizes[params->allowed_batch_size_count - 1])
            sizes[params->allowed_batch_size_count++] = sizes[i];
    }
    return NULL;
}

static struct el_status *fill(const char *name, const struct el_text_message *message,
                              struct el_batching_params *params)
{
    EL_TRY(set_defaults(POOL, params));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        EL_TRY(read_number(name, message, &numbers[i], params));
    const struct el_text_value *pad = el_text_get(message, EL_BATCHING_PAD);
    params->pad_variable_length_inputs = pad != NULL && pad->as.boolean;
    EL_TRY(read_pool_name(name, message, params));
    EL_TRY(read_splitting(name, message, params));
    return read_allowed_sizes(name, message, params);
}

struct el_status *el_batching_from_message(const char *name, const struct el_text_message *message,
                                           struct el_batching_params *params)
{
    struct el_status *status = fill(name, message, params);
    if (status != NULL)
        el_batching_free(params);
    return status;
}

/* document is taken over. */
static struct el_status *finish(const char *name, struct el_text *document, struct el_batching_params *params)
{
    struct el_status *status = el_batching_from_message(name, document->root, params);
    el_text_free(document);
    return status;
}

struct el_status *el_batching_parse(const char *name, const char *text, size_t size, struct el_batching_params *params)
{
    *params = (struct el_batching_params){ 0 };
    struct el_text document;
    EL_TRY(el_text_parse(name, text, size, &el_type_batching_parameters, &document));
    return finish(name, &document, params);
}

struct el_status *el_batching_read(const char *path, struct el_batching_params *params)
{
    *params = (struct el_batching_params){ 0 };
    struct el_text document;
    EL_TRY(el_text_read_file(path, &el_type_batching_parameters, &document));
    return finish(path, &document, params);
}

struct el_status *el_batching_read_version(const char *directory, bool *found, struct el_batching_params *params)
{
    *found = false;
    *params = (struct el_batching_params){ 0 };
    const size_t size = strlen(directory) + sizeof "/" VERSION_FILE;
    char *path = malloc(size);
    if (path == NULL)
        return el_status_no_memory();
    snprintf(path, size, "%s/" VERSION_FILE, directory);
    struct stat info;
    struct el_status *status = NULL;
    if (stat(path, &info) == 0 || errno != ENOENT) {
        status = el_batching_read(path, params);
        *found = status == NULL;
    }
    free(path);
    return status;
}

void el_batching_free(struct el_batching_params *params)
{
    free(params->thread_pool_name);
    free(params->allowed_batch_sizes);
    *params = (struct el_batching_params){ 0 };
}
