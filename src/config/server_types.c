/* SPDX-License-Identifier: Apache-2.0 */
#include "config/server_types.h"

#define FIELD(field_name, field_number, k) .name = (field_name), .number = (field_number), .kind = EL_TEXT_##k
#define FIELDS(array) .fields = (array), .field_count = sizeof(array) / sizeof(array)[0]

/* The wrappers are messages, so that a zero that is given can be told from nothing: max_batch_size { value: 8 }. */
static const struct el_text_field int64_fields[] = { { FIELD("value", EL_WRAPPED_VALUE, INT64) } };
static const struct el_text_field bool_fields[] = { { FIELD("value", EL_WRAPPED_VALUE, BOOL) } };
static const struct el_text_field string_fields[] = { { FIELD("value", EL_WRAPPED_VALUE, STRING) } };
static const struct el_text_type int64_value = { .name = "google.protobuf.Int64Value", FIELDS(int64_fields) };
static const struct el_text_type bool_value = { .name = "google.protobuf.BoolValue", FIELDS(bool_fields) };
static const struct el_text_type string_value = { .name = "google.protobuf.StringValue", FIELDS(string_fields) };

static const struct el_text_field batching_fields[] = {
    { FIELD("max_batch_size", EL_BATCHING_MAX_BATCH_SIZE, MESSAGE), .message = &int64_value },
    { FIELD("batch_timeout_micros", EL_BATCHING_TIMEOUT_MICROS, MESSAGE), .message = &int64_value },
    { FIELD("max_enqueued_batches", EL_BATCHING_MAX_ENQUEUED, MESSAGE), .message = &int64_value },
    { FIELD("num_batch_threads", EL_BATCHING_THREADS, MESSAGE), .message = &int64_value },
    { FIELD("thread_pool_name", EL_BATCHING_POOL_NAME, MESSAGE), .message = &string_value },
    { FIELD("allowed_batch_sizes", EL_BATCHING_ALLOWED_SIZES, INT64), .repeated = true },
    { FIELD("pad_variable_length_inputs", EL_BATCHING_PAD, BOOL) },
    { FIELD("enable_large_batch_splitting", EL_BATCHING_SPLIT, MESSAGE), .message = &bool_value },
    { FIELD("max_execution_batch_size", EL_BATCHING_MAX_EXECUTION, MESSAGE), .message = &int64_value },
};
const struct el_text_type el_type_batching_parameters = { .name = "tensorflow.serving.BatchingParameters",
                                                          FIELDS(batching_fields) };

static const struct el_text_field ssl_fields[] = {
    { FIELD("server_key", EL_SSL_SERVER_KEY, STRING) },
    { FIELD("server_cert", EL_SSL_SERVER_CERT, STRING) },
    { FIELD("custom_ca", EL_SSL_CUSTOM_CA, STRING) },
    { FIELD("client_verify", EL_SSL_CLIENT_VERIFY, BOOL) },
};
const struct el_text_type el_type_ssl_config = { .name = "tensorflow.serving.SSLConfig", FIELDS(ssl_fields) };

static const struct el_text_field prometheus_fields[] = {
    { FIELD("enable", EL_PROMETHEUS_ENABLE, BOOL) },
    { FIELD("path", EL_PROMETHEUS_PATH, STRING) },
};
static const struct el_text_type prometheus = { .name = "tensorflow.serving.PrometheusConfig",
                                                FIELDS(prometheus_fields) };
static const struct el_text_field monitoring_fields[] = {
    { FIELD("prometheus_config", EL_MONITORING_PROMETHEUS, MESSAGE), .message = &prometheus },
};
const struct el_text_type el_type_monitoring_config = { .name = "tensorflow.serving.MonitoringConfig",
                                                        FIELDS(monitoring_fields) };
