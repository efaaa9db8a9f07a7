/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_BATCHING_H
#define EL_CONFIG_BATCHING_H

/*
 * TensorFlow Serving's BatchingParameters, read from text format: --batching_parameters_file, and batching_params.pbtxt in a
 * version's directory.
 *
 * Any thread that may block on the disk; nothing is kept. After reading, each number is in its range and no check of it is
 * needed again. Errors are INVALID_ARGUMENT with file, line and column and, where it has one, the text of TensorFlow Serving;
 * it crashes on some of the values that are refused here. On failure *params holds nothing; on success end it with
 * el_batching_free().
 */

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the text does not give holds the default in brackets. */
#define EL_BATCHING_MAX_ALLOWED_SIZES 256

struct el_batching_params {
    int64_t max_batch_size;       /* [1000] rows of one request and of one batch, 1 to 2^31-1 */
    int64_t batch_timeout_micros; /* [0] how long an open batch waits for more, at least 0 */
    int64_t max_enqueued_batches; /* [10] of one queue, at least 0; beyond it requests are refused */
    int64_t num_batch_threads;    /* [number of CPUs] batches of all models that run at a time, 1 to 2^31-1 */
    char *thread_pool_name;       /* ["batch_threads"] owned; a label of the metrics */
    int64_t *allowed_batch_sizes; /* [none] owned; strictly ascending, the last is max_batch_size; 256 at most */
    size_t allowed_batch_size_count;
    bool pad_variable_length_inputs;   /* [false] */
    bool enable_large_batch_splitting; /* [false] */
    int64_t
        max_execution_batch_size; /* [max_batch_size] at most that; differs from it only with large-batch splitting */
};

/* What --enable_batching means without a file: every default, and thread_pool_name "model_server_batch_threads". */
struct el_status *el_batching_defaults(struct el_batching_params *params) EL_MUST_USE;

/* Parses text (size bytes, not necessarily terminated); name stands for the file in errors. */
struct el_status *el_batching_parse(const char *name, const char *text, size_t size,
                                    struct el_batching_params *params) EL_MUST_USE;

/* Reads and parses the file at path. */
struct el_status *el_batching_read(const char *path, struct el_batching_params *params) EL_MUST_USE;

/*
 * The parameters that the version in directory brings along: its batching_params.pbtxt. *found is false, and *params empty,
 * where there is no such file. With --enable_per_model_batching_parameters a version without it is not batched; of the server's
 * own parameters num_batch_threads and thread_pool_name hold then for all, and those of the version are not used.
 */
struct el_status *el_batching_read_version(const char *directory, bool *found,
                                           struct el_batching_params *params) EL_MUST_USE;

/* The same with its own life. */
struct el_status *el_batching_copy(const struct el_batching_params *from, struct el_batching_params *to) EL_MUST_USE;

/* Whether both say the same; NULL is the same as NULL only. */
bool el_batching_same(const struct el_batching_params *a, const struct el_batching_params *b);

/* The fields that differ from defaults, as text format: " name { value: 1 }" for each. For the room's own files. */
void el_batching_print(const struct el_batching_params *params, const struct el_batching_params *defaults,
                       struct el_buf *out);

/* What a message of that type inside another one says. For the room's own files. */
struct el_text_message;
struct el_status *el_batching_from_message(const char *name, const struct el_text_message *message,
                                           struct el_batching_params *params) EL_MUST_USE;

void el_batching_free(struct el_batching_params *params);

#endif
