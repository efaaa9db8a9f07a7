/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_SERVING_TYPES_H
#define EL_CONFIG_SERVING_TYPES_H

/*
 * The messages of proto/tensorflow_serving/config/model_server_config.proto as tables for the text-format parser: names and numbers are
 * TensorFlow Serving's, except ModelConfig.update, which is Everlit's. Constant; any thread.
 */

#include "config/text.h"

enum { EL_SERVER_CONFIG_LIST = 1, EL_SERVER_CONFIG_CUSTOM = 2 };
enum { EL_CONFIG_LIST_CONFIG = 1 };
enum {
    EL_MODEL_NAME = 1,
    EL_MODEL_BASE_PATH = 2,
    EL_MODEL_TYPE = 3,
    EL_MODEL_PLATFORM = 4,
    EL_MODEL_LOGGING = 6,
    EL_MODEL_POLICY = 7,
    EL_MODEL_LABELS = 8,
    EL_MODEL_UPDATE = 1000,
};
enum { EL_POLICY_LATEST_FIELD = 100, EL_POLICY_ALL_FIELD = 101, EL_POLICY_SPECIFIC_FIELD = 102 };
enum { EL_LATEST_NUM_VERSIONS = 1 };
enum { EL_SPECIFIC_VERSIONS = 1 };
enum { EL_LOGGING_COLLECTOR = 1, EL_LOGGING_SAMPLING = 2, EL_LOGGING_CUSTOM = 3 };
enum { EL_COLLECTOR_TYPE = 1, EL_COLLECTOR_PREFIX = 2 };
enum { EL_SAMPLING_RATE = 1, EL_SAMPLING_ATTRIBUTES = 2, EL_SAMPLING_TASKS = 3 };
enum { EL_LABEL_KEY = 1, EL_LABEL_VALUE = 2 };
enum {
    EL_UPDATE_ENGINE = 1,
    EL_UPDATE_ISOLATION = 2,
    EL_UPDATE_PRECISION = 3,
    EL_UPDATE_AVAILABILITY = 4,
    EL_UPDATE_CONCURRENCY = 5,
    EL_UPDATE_LOAD_TIMEOUT_MS = 6,
    EL_UPDATE_MEMORY_LIMIT_BYTES = 7,
    EL_UPDATE_KEEP_WARM_MS = 8,
    EL_UPDATE_PROBE_TIMEOUT_MS = 9,
    EL_UPDATE_MAX_LATENCY_RATIO = 10,
    EL_UPDATE_TOLERANCE = 11,
    EL_UPDATE_QUIET_MS = 12,
    EL_UPDATE_HANG_TIMEOUT_MS = 13,
    EL_UPDATE_MAX_RUN_MS = 14,
    EL_UPDATE_MEMORY_NEED_BYTES = 15,
    EL_UPDATE_REQUEST_LOG_FILE_BYTES = 16,
    EL_UPDATE_REQUEST_LOG_TOTAL_BYTES = 17,
    EL_UPDATE_BATCHING = 18,
    EL_UPDATE_PROBE = 19,
    EL_UPDATE_GUARD_MS = 30,
    EL_UPDATE_GUARD_MAX_CRASHES = 31,
    EL_UPDATE_GUARD_MAX_ERROR_RATE = 32,
    EL_UPDATE_GUARD_MAX_NON_FINITE_RATE = 33,
    EL_UPDATE_GUARD_MAX_LATENCY_RATIO = 34,
    EL_UPDATE_GUARD_MAX_MEMORY_RATIO = 35,
    EL_UPDATE_GROUP = 40,
    EL_UPDATE_GROUP_WAIT_MS = 41,
};

extern const struct el_text_type el_type_model_server_config;
extern const struct el_text_type el_type_update;

#endif
