/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_EVERLITD_FLAGS_H
#define EL_CMD_EVERLITD_FLAGS_H

/* What the command line of everlitd says. Main thread only; strings point into the command line. */

#include "base/log.h"
#include "base/status.h"
#include "cmd/flags.h"
#include "config/config.h"

#include <stdint.h>
#include <stdio.h>

struct el_everlitd_flags {
    /* Everlit's, and those of TensorFlow Serving that matter most. */
    int32_t port, rest_api_port;
    const char *grpc_socket_path;
    const char *model_name, *model_base_path, *model_config_file;
    const char *engine, *isolation;
    int32_t file_system_poll_wait_seconds;
    int32_t rest_api_timeout_in_ms;
    int32_t max_concurrent_loads, max_num_load_retries;
    int64_t load_retry_interval_micros;
    int64_t model_memory_bytes;
    int32_t event_loops;
    double drain_seconds;
    bool strict_startup, strict_labels;
    const char *state_dir;
    int64_t local_copies_max_bytes;
    const char *alert_config_file;
    int64_t max_message_bytes;
    const char *admin_socket, *admin_address, *admin_token_file;
    int32_t admin_port;
    const char *log_format, *log_level;
    bool help, version;

    /* The other flags of TensorFlow Serving that change something here. */
    bool rest_api_enable_cors_support;
    bool allow_version_labels_for_unavailable_models;
    bool enable_signature_method_name_check, prefer_tflite_model;
    int32_t model_config_file_poll_wait_seconds;
    const char *monitoring_config_file, *saved_model_tags;
    bool enable_batching, enable_per_model_batching_parameters;
    int32_t num_load_threads;
    int64_t tensorflow_session_parallelism, tensorflow_intra_op_parallelism, tensorflow_inter_op_parallelism;
    const char *tensorflow_session_config_file, *platform_config_file;
    const char *batching_parameters_file;
    const char *grpc_channel_arguments, *ssl_config_file, *rest_api_ssl_config_file, *rest_api_socket_path;
    bool rest_api_compression, rest_api_accept_grpc, enable_serialization_as_tensor_content;
    bool enable_model_warmup;
    int32_t num_request_iterations_for_warmup;

    /* Those that change nothing: read, checked for their type, and warned about when given. */
    struct {
        int32_t rest_api_num_threads, grpc_max_threads, num_unload_threads;
        int32_t num_tflite_pools, num_tflite_interpreters_per_pool;
        double per_process_gpu_memory_fraction;
        bool flush_filesystem_caches, use_alts_credentials;
        bool remove_unused_fields_from_bundle_metagraph;
        bool xla_cpu_compilation_enabled, xla_gpu_compilation_enabled, enable_profiler, skip_initialize_tpu;
        bool enable_grpc_healthcheck_service;
        const char *thread_pool_factory_config_file, *mixed_precision;
    } ignored;

    /* From the above, checked. */
    enum el_log_format log_format_value;
    enum el_log_level log_level_value;
    uint32_t drain_ms;
};

/* The defaults, from which a table is made. */
void el_everlitd_flags_defaults(struct el_everlitd_flags *flags);

/* Every flag, grouped, the most used first; its value is in flags. As many as EL_EVERLITD_FLAGS. */
#define EL_EVERLITD_FLAGS 71
void el_everlitd_flags_table(struct el_everlitd_flags *flags, struct el_flag table[EL_EVERLITD_FLAGS]);

/*
 * Defaults, then the command line, then the checks that need no file. table is the one of flags afterwards: what was given and
 * changes nothing here can be told from it.
 */
struct el_status *el_everlitd_flags_parse(int count, char **arguments, struct el_everlitd_flags *flags,
                                          struct el_flag table[EL_EVERLITD_FLAGS],
                                          struct el_unknown *unknown) EL_MUST_USE;

/* What --help prints. */
void el_everlitd_flags_print(FILE *out);

/* The models that the flags mean: the config file, or the one model. */
struct el_status *el_everlitd_config(const struct el_everlitd_flags *flags, struct el_config *config) EL_MUST_USE;

/* --engine, for the models whose config leaves the choice to the server: also those of a later config. */
struct el_status *el_everlitd_choose_engine(const struct el_everlitd_flags *flags,
                                            struct el_config *config) EL_MUST_USE;

#endif
