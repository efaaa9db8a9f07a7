/* SPDX-License-Identifier: Apache-2.0 */
#include "config/server_types.h"

#include <stddef.h>

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

static const struct el_text_field int32_fields[] = { { FIELD("value", EL_WRAPPED_VALUE, INT32) } };
static const struct el_text_type int32_value = { .name = "google.protobuf.Int32Value", FIELDS(int32_fields) };
static const struct el_text_field warmup_fields[] = {
    { FIELD("num_request_iterations", EL_WARMUP_ITERATIONS, MESSAGE), .message = &int32_value },
    { FIELD("num_model_warmup_threads", EL_WARMUP_THREADS, MESSAGE), .message = &int32_value },
    { FIELD("model_name", 3, STRING) },
    { FIELD("model_version", 4, INT64) },
    { FIELD("enable_all_batch_sizes_warmup", 5, BOOL) },
};
static const struct el_text_type warmup = { .name = "tensorflow.serving.ModelWarmupOptions", FIELDS(warmup_fields) };
static const struct el_text_field bundle_fields[] = {
    { FIELD("session_target", 1, STRING) },
    { FIELD("session_config", EL_BUNDLE_SESSION_CONFIG, MESSAGE), .message = &el_type_session_config },
    { FIELD("batching_parameters", EL_BUNDLE_BATCHING, MESSAGE), .message = &el_type_batching_parameters },
    { FIELD("session_run_load_threadpool_index", 4, MESSAGE), .message = &int32_value },
    { FIELD("experimental_transient_ram_bytes_during_load", 5, UINT64) },
    { FIELD("saved_model_tags", EL_BUNDLE_TAGS, STRING), .repeated = true },
    { FIELD("enable_model_warmup", EL_BUNDLE_WARMUP, BOOL) },
    { FIELD("model_warmup_options", EL_BUNDLE_WARMUP_OPTIONS, MESSAGE), .message = &warmup },
    { FIELD("enable_session_metadata", 781, BOOL) },
    { FIELD("remove_unused_fields_from_bundle_metagraph", 782, BOOL) },
    { FIELD("prefer_tflite_model", EL_BUNDLE_PREFER_TFLITE, BOOL) },
    { FIELD("resource_estimation_uses_validation_result", 784, BOOL) },
    { FIELD("num_tflite_interpreters", 785, INT32) },
    { FIELD("num_tflite_interpreters_per_pool", 786, INT32) },
    { FIELD("num_tflite_pools", 787, INT32) },
    { FIELD("wrap_session_with_no_threading_params", 788, BOOL) },
    { FIELD("enable_per_model_batching_params", EL_BUNDLE_PER_MODEL_BATCHING, BOOL) },
    { FIELD("enable_saved_model_config", 790, BOOL) },
    { FIELD("mixed_precision", 791, STRING) },
};
static const struct el_text_type bundle = { .name = "tensorflow.serving.SessionBundleConfig", FIELDS(bundle_fields) };
static const struct el_text_field adapter_fields[] = {
    { FIELD("legacy_config", EL_SOURCE_ADAPTER_LEGACY, MESSAGE), .message = &bundle },
};
static const struct el_text_type adapter = { .name = "tensorflow.serving.SavedModelBundleSourceAdapterConfig",
                                             FIELDS(adapter_fields) };
static const struct el_text_type *const adapters[] = { &adapter, NULL };
static const struct el_text_field any_fields[] = {
    { FIELD("type_url", 1, STRING) },
    { FIELD("value", 2, STRING) },
};
static const struct el_text_type any = { .name = "google.protobuf.Any", FIELDS(any_fields), .known = adapters };
static const struct el_text_field platform_fields[] = {
    { FIELD("source_adapter_config", EL_PLATFORM_SOURCE_ADAPTER, MESSAGE), .message = &any },
};
static const struct el_text_type platform = { .name = "tensorflow.serving.PlatformConfig", FIELDS(platform_fields) };
static const struct el_text_field entry_fields[] = {
    { FIELD("key", EL_PLATFORM_ENTRY_KEY, STRING) },
    { FIELD("value", EL_PLATFORM_ENTRY_VALUE, MESSAGE), .message = &platform },
};
static const struct el_text_type entry = { .name = "tensorflow.serving.PlatformConfigMap.PlatformConfigsEntry",
                                           FIELDS(entry_fields) };
static const struct el_text_field map_fields[] = {
    { FIELD("platform_configs", EL_PLATFORM_CONFIGS, MESSAGE), .message = &entry, .repeated = true },
};
const struct el_text_type el_type_platform_config_map = { .name = "tensorflow.serving.PlatformConfigMap",
                                                          FIELDS(map_fields) };
