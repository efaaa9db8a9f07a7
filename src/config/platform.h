/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_PLATFORM_H
#define EL_CONFIG_PLATFORM_H

/*
 * TensorFlow Serving's PlatformConfigMap (--platform_config_file) and TensorFlow's ConfigProto (--tensorflow_session_config_file),
 * read from text format: of each what means something here.
 *
 * Any thread that may block on the disk; nothing is kept. Every field of the messages is known; those without a meaning here (GPU
 * options, placement, rewriters) are checked for their type and passed over.
 */

#include "base/status.h"
#include "config/batching.h"

#include <stdbool.h>
#include <stdint.h>

struct el_session_threads {
    uint32_t intra_op, inter_op; /* 0: the engine decides */
};

/* The platform "tensorflow". */
struct el_platform_config {
    struct el_session_threads threads;
    bool has_batching; /* there are batching_parameters */
    struct el_batching_params batching;
    bool enable_per_model_batching_parameters;
    char *saved_model_tags; /* owned; a comma list, "serve" where there is none */
    bool enable_model_warmup;
    int32_t warmup_iterations; /* 0: not given */
    int32_t warmup_threads;    /* likewise */
    bool prefer_tflite_model;
};

struct el_status *el_session_config_read(const char *path, struct el_session_threads *threads) EL_MUST_USE;

/*
 * Reads the file at path. INVALID_ARGUMENT also where it has no platform "tensorflow": no model could be served. On failure *config
 * holds nothing; on success end it with el_platform_config_free().
 */
struct el_status *el_platform_config_read(const char *path, struct el_platform_config *config) EL_MUST_USE;
struct el_status *el_platform_config_parse(const char *name, const char *text, size_t size,
                                           struct el_platform_config *config) EL_MUST_USE;

void el_platform_config_free(struct el_platform_config *config);

#endif
