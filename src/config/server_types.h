/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_SERVER_TYPES_H
#define EL_CONFIG_SERVER_TYPES_H

/*
 * The messages of the other files that the command line names, as tables for the text-format parser: those of
 * proto/tensorflow_serving/config/server_files.proto, which a test compares, and TensorFlow's ConfigProto. Constant; any thread. Used inside the room only.
 */

#include "config/text.h"

enum {
    EL_BATCHING_MAX_BATCH_SIZE = 1,
    EL_BATCHING_TIMEOUT_MICROS = 2,
    EL_BATCHING_MAX_ENQUEUED = 3,
    EL_BATCHING_THREADS = 4,
    EL_BATCHING_POOL_NAME = 5,
    EL_BATCHING_ALLOWED_SIZES = 6,
    EL_BATCHING_PAD = 7,
    EL_BATCHING_SPLIT = 8,
    EL_BATCHING_MAX_EXECUTION = 9,
};
enum { EL_WRAPPED_VALUE = 1 }; /* of google.protobuf.Int64Value and its like */
enum { EL_SSL_SERVER_KEY = 1, EL_SSL_SERVER_CERT = 2, EL_SSL_CUSTOM_CA = 3, EL_SSL_CLIENT_VERIFY = 4 };
enum { EL_MONITORING_PROMETHEUS = 1 };
enum { EL_PROMETHEUS_ENABLE = 1, EL_PROMETHEUS_PATH = 2 };
enum { EL_PLATFORM_CONFIGS = 1 };
enum { EL_PLATFORM_ENTRY_KEY = 1, EL_PLATFORM_ENTRY_VALUE = 2 };
enum { EL_PLATFORM_SOURCE_ADAPTER = 1 };
enum { EL_SOURCE_ADAPTER_LEGACY = 1000 };
enum {
    EL_BUNDLE_SESSION_CONFIG = 2,
    EL_BUNDLE_BATCHING = 3,
    EL_BUNDLE_TAGS = 6,
    EL_BUNDLE_WARMUP = 779,
    EL_BUNDLE_WARMUP_OPTIONS = 780,
    EL_BUNDLE_PREFER_TFLITE = 783,
    EL_BUNDLE_PER_MODEL_BATCHING = 789,
};
enum { EL_WARMUP_ITERATIONS = 1, EL_WARMUP_THREADS = 2 };
enum { EL_SESSION_INTRA_OP_THREADS = 2, EL_SESSION_INTER_OP_THREADS = 5 };

extern const struct el_text_type el_type_batching_parameters;
extern const struct el_text_type el_type_ssl_config;
extern const struct el_text_type el_type_monitoring_config;
extern const struct el_text_type el_type_platform_config_map;
extern const struct el_text_type el_type_session_config; /* tensorflow.ConfigProto, in session_types.c */
extern const struct el_text_type el_type_attr_value;     /* tensorflow.AttrValue, in attr_types.c */

#endif
