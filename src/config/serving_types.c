/* SPDX-License-Identifier: Apache-2.0 */
#include "config/serving_types.h"

#include "config/probe_config.h"
#include "config/rollout_config.h"
#include "config/server_types.h"

#define FIELD(field_name, field_number, k) .name = (field_name), .number = (field_number), .kind = EL_TEXT_##k
#define FIELDS(array) .fields = (array), .field_count = sizeof(array) / sizeof(array)[0]

static const struct el_text_field update_fields[] = {
    { FIELD("engine", EL_UPDATE_ENGINE, STRING), .optional = true },
    { FIELD("isolation", EL_UPDATE_ISOLATION, STRING), .optional = true },
    { FIELD("precision", EL_UPDATE_PRECISION, STRING), .optional = true },
    { FIELD("availability", EL_UPDATE_AVAILABILITY, STRING), .optional = true },
    { FIELD("concurrency", EL_UPDATE_CONCURRENCY, UINT32), .optional = true },
    { FIELD("load_timeout_ms", EL_UPDATE_LOAD_TIMEOUT_MS, UINT32), .optional = true },
    { FIELD("memory_limit_bytes", EL_UPDATE_MEMORY_LIMIT_BYTES, UINT64), .optional = true },
    { FIELD("keep_warm_ms", EL_UPDATE_KEEP_WARM_MS, UINT32), .optional = true },
    { FIELD("probe_timeout_ms", EL_UPDATE_PROBE_TIMEOUT_MS, UINT32), .optional = true },
    { FIELD("max_latency_ratio", EL_UPDATE_MAX_LATENCY_RATIO, DOUBLE), .optional = true },
    { FIELD("tolerance", EL_UPDATE_TOLERANCE, DOUBLE), .optional = true },
    { FIELD("quiet_ms", EL_UPDATE_QUIET_MS, UINT32), .optional = true },
    { FIELD("hang_timeout_ms", EL_UPDATE_HANG_TIMEOUT_MS, UINT32), .optional = true },
    { FIELD("max_run_ms", EL_UPDATE_MAX_RUN_MS, UINT32), .optional = true },
    { FIELD("memory_need_bytes", EL_UPDATE_MEMORY_NEED_BYTES, UINT64), .optional = true },
    { FIELD("request_log_file_bytes", EL_UPDATE_REQUEST_LOG_FILE_BYTES, UINT64), .optional = true },
    { FIELD("request_log_total_bytes", EL_UPDATE_REQUEST_LOG_TOTAL_BYTES, UINT64), .optional = true },
    { FIELD("batching", EL_UPDATE_BATCHING, MESSAGE), .message = &el_type_batching_parameters },
    { FIELD("probe", EL_UPDATE_PROBE, MESSAGE), .message = &el_type_probe },
    { FIELD("guard_ms", EL_UPDATE_GUARD_MS, UINT32), .optional = true },
    { FIELD("guard_max_crashes", EL_UPDATE_GUARD_MAX_CRASHES, UINT32), .optional = true },
    { FIELD("guard_max_error_rate", EL_UPDATE_GUARD_MAX_ERROR_RATE, DOUBLE), .optional = true },
    { FIELD("guard_max_non_finite_rate", EL_UPDATE_GUARD_MAX_NON_FINITE_RATE, DOUBLE), .optional = true },
    { FIELD("guard_max_latency_ratio", EL_UPDATE_GUARD_MAX_LATENCY_RATIO, DOUBLE), .optional = true },
    { FIELD("guard_max_memory_ratio", EL_UPDATE_GUARD_MAX_MEMORY_RATIO, DOUBLE), .optional = true },
    { FIELD("keep_local_copy", EL_UPDATE_KEEP_LOCAL_COPY, BOOL), .optional = true },
    { FIELD("group", EL_UPDATE_GROUP, STRING), .optional = true },
    { FIELD("group_wait_ms", EL_UPDATE_GROUP_WAIT_MS, UINT32), .optional = true },
    { FIELD("rollout", EL_UPDATE_ROLLOUT, MESSAGE), .message = &el_type_rollout },
};
const struct el_text_type el_type_update = { .name = "tensorflow.serving.EverlitUpdate", FIELDS(update_fields) };

/* An Any in brackets is taken for the types that are known here; none of a model config's own is. */
static const struct el_text_type *const no_types[] = { NULL };
static const struct el_text_field any_fields[] = {
    { FIELD("type_url", 1, STRING) },
    { FIELD("value", 2, STRING) },
};
static const struct el_text_type any = { .name = "google.protobuf.Any", FIELDS(any_fields), .known = no_types };

static const struct el_text_field latest_fields[] = { { FIELD("num_versions", EL_LATEST_NUM_VERSIONS, UINT32) } };
static const struct el_text_field specific_fields[] = {
    { FIELD("versions", EL_SPECIFIC_VERSIONS, INT64), .repeated = true },
};

#define POLICY_NAME "tensorflow.serving.FileSystemStoragePathSourceConfig.ServableVersionPolicy"
static const struct el_text_type latest = { .name = POLICY_NAME ".Latest", FIELDS(latest_fields) };
static const struct el_text_type all = { .name = POLICY_NAME ".All" };
static const struct el_text_type specific = { .name = POLICY_NAME ".Specific", FIELDS(specific_fields) };
static const struct el_text_field policy_fields[] = {
    { FIELD("latest", EL_POLICY_LATEST_FIELD, MESSAGE), .message = &latest, .oneof = "policy_choice" },
    { FIELD("all", EL_POLICY_ALL_FIELD, MESSAGE), .message = &all, .oneof = "policy_choice" },
    { FIELD("specific", EL_POLICY_SPECIFIC_FIELD, MESSAGE), .message = &specific, .oneof = "policy_choice" },
};
static const struct el_text_type policy = { .name = POLICY_NAME, FIELDS(policy_fields) };

static const struct el_text_field collector_fields[] = {
    { FIELD("type", EL_COLLECTOR_TYPE, STRING) },
    { FIELD("filename_prefix", EL_COLLECTOR_PREFIX, STRING) },
};
static const struct el_text_type collector = { .name = "tensorflow.serving.LogCollectorConfig",
                                               FIELDS(collector_fields) };
static const struct el_text_field task_sampling_fields[] = {
    { FIELD("dc", 1, STRING) },
    { FIELD("task_index", 2, INT32), .optional = true },
    { FIELD("sampling_rate", 3, DOUBLE) },
};
static const struct el_text_type task_sampling = { .name = "tensorflow.serving.PerTaskSamplingConfig",
                                                   FIELDS(task_sampling_fields) };
static const struct el_text_field sampling_fields[] = {
    { FIELD("sampling_rate", EL_SAMPLING_RATE, DOUBLE) },
    { FIELD("attributes", EL_SAMPLING_ATTRIBUTES, INT32) },
    { FIELD("per_task_sampling_configs", EL_SAMPLING_TASKS, MESSAGE), .message = &task_sampling, .repeated = true },
};
static const struct el_text_type sampling = { .name = "tensorflow.serving.SamplingConfig", FIELDS(sampling_fields) };
static const struct el_text_field logging_fields[] = {
    { FIELD("log_collector_config", EL_LOGGING_COLLECTOR, MESSAGE), .message = &collector },
    { FIELD("sampling_config", EL_LOGGING_SAMPLING, MESSAGE), .message = &sampling },
    { FIELD("custom_logging_config", EL_LOGGING_CUSTOM, MESSAGE), .message = &any },
};
static const struct el_text_type logging = { .name = "tensorflow.serving.LoggingConfig", FIELDS(logging_fields) };

static const struct el_text_field label_fields[] = {
    { FIELD("key", EL_LABEL_KEY, STRING) },
    { FIELD("value", EL_LABEL_VALUE, INT64) },
};
static const struct el_text_type label = { .name = "tensorflow.serving.ModelConfig.VersionLabelsEntry",
                                           FIELDS(label_fields) };

static const struct el_text_enum model_types[] = {
    { "MODEL_TYPE_UNSPECIFIED", 0 },
    { "TENSORFLOW", 1 },
    { "OTHER", 2 },
    { NULL, 0 },
};
static const struct el_text_field model_fields[] = {
    { FIELD("name", EL_MODEL_NAME, STRING) },
    { FIELD("base_path", EL_MODEL_BASE_PATH, STRING) },
    { FIELD("model_type", EL_MODEL_TYPE, ENUM), .values = model_types },
    { FIELD("model_platform", EL_MODEL_PLATFORM, STRING) },
    { FIELD("logging_config", EL_MODEL_LOGGING, MESSAGE), .message = &logging },
    { FIELD("model_version_policy", EL_MODEL_POLICY, MESSAGE), .message = &policy },
    { FIELD("version_labels", EL_MODEL_LABELS, MESSAGE), .message = &label, .repeated = true },
    { FIELD("update", EL_MODEL_UPDATE, MESSAGE), .message = &el_type_update },
};
static const struct el_text_type model = { .name = "tensorflow.serving.ModelConfig", FIELDS(model_fields) };
static const struct el_text_field list_fields[] = {
    { FIELD("config", EL_CONFIG_LIST_CONFIG, MESSAGE), .message = &model, .repeated = true },
};
static const struct el_text_type list = { .name = "tensorflow.serving.ModelConfigList", FIELDS(list_fields) };
static const struct el_text_field server_fields[] = {
    { FIELD("model_config_list", EL_SERVER_CONFIG_LIST, MESSAGE), .message = &list, .oneof = "config" },
    { FIELD("custom_model_config", EL_SERVER_CONFIG_CUSTOM, MESSAGE), .message = &any, .oneof = "config" },
};
const struct el_text_type el_type_model_server_config = { .name = "tensorflow.serving.ModelServerConfig",
                                                          FIELDS(server_fields) };
