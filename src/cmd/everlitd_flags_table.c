/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every flag, by group: first what people use, last what TensorFlow Serving has and this server has no use for. A flag of theirs
 * keeps its name, type and default, so that a command line written for it is taken as it is; `without_effect` says why one
 * changes nothing.
 */
#include "cmd/everlitd_flags.h"

#include <string.h>
#include <unistd.h>

#define MODELS "Models"
#define NETWORK "Network"
#define BATCHING "Batching"
#define SWAPPING "Swapping"
#define THREADS "Threads and sessions of the workers"
#define OPERATION "Operation"
#define IGNORED "Flags of TensorFlow Serving that are read and change nothing here"

#define FLAG(group, type, name, help)                             \
    {                                                             \
        group, #name, EL_FLAG_##type, &f->name, help, NULL, false \
    }
/* Read and checked, and used by no part yet. */
#define NO_EFFECT(type, name, help, why)                                   \
    {                                                                      \
        IGNORED, #name, EL_FLAG_##type, &f->ignored.name, help, why, false \
    }

/* TensorFlow Serving's default for the threads of gRPC and of REST. */
static int32_t four_per_cpu(void)
{
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus > 0 ? (int32_t)(4 * cpus) : 4;
}

void el_everlitd_flags_defaults(struct el_everlitd_flags *flags)
{
    const int32_t threads = four_per_cpu();
    *flags = (struct el_everlitd_flags){
        .port = 8500,
        .rest_api_port = 0,
        .grpc_socket_path = "",
        .model_name = "default",
        .model_base_path = "",
        .model_config_file = "",
        .engine = "",
        .isolation = "",
        .file_system_poll_wait_seconds = 1,
        .rest_api_timeout_in_ms = 30000,
        .max_num_load_retries = 5,
        .load_retry_interval_micros = 60000000,
        .event_loops = 0,
        .drain_seconds = 30,
        .state_dir = "",
        .local_copies_max_bytes = INT64_C(10) << 30,
        .alert_config_file = "",
        .tensorflow_session_config_file = "",
        .platform_config_file = "",
        .batching_parameters_file = "",
        .grpc_channel_arguments = "",
        .ssl_config_file = "",
        .rest_api_ssl_config_file = "",
        .rest_api_socket_path = "",
        .max_message_bytes = INT32_MAX,
        .admin_socket = "",
        .admin_address = "127.0.0.1",
        .admin_token_file = "",
        .log_format = "text",
        .log_level = "info",
        .monitoring_config_file = "",
        .saved_model_tags = "serve",
        .enable_model_warmup = true,
        .ignored =
            {
                .rest_api_num_threads = threads,
                .grpc_max_threads = threads,
                .num_tflite_pools = threads / 4,
                .num_tflite_interpreters_per_pool = 1,
                .flush_filesystem_caches = true,
                .remove_unused_fields_from_bundle_metagraph = true,
                .enable_profiler = true,
                .thread_pool_factory_config_file = "",
                .mixed_precision = "",
            },
    };
}

void el_everlitd_flags_table(struct el_everlitd_flags *f, struct el_flag table[EL_EVERLITD_FLAGS])
{
    /* clang-format off: a table is read in columns */
    const struct el_flag all[] = {
        FLAG(MODELS, STRING, model_config_file,
             "The models to serve, as text-format ModelServerConfig. SIGHUP reads it again."),
        FLAG(MODELS, STRING, model_base_path,
             "One model instead of a config file: the directory that holds its versions, e.g. /models/digits. "
             "Absolute."),
        FLAG(MODELS, STRING, model_name, "The name of that one model."),
        FLAG(MODELS, STRING, engine,
             "Engine of the models whose config names none: auto, tensorflow or openvino. auto: OpenVINO where it "
             "agrees with TensorFlow."),
        FLAG(MODELS, STRING, isolation,
             "Where that one model runs: process (each version in its own) or none (inside the server)."),
        FLAG(MODELS, INT32, model_config_file_poll_wait_seconds,
             "Seconds between looks at the config file; one that changed is put in force. 0 or less: never."),
        FLAG(MODELS, BOOL, allow_version_labels_for_unavailable_models,
             "Labels may name versions that do not answer yet."),
        FLAG(MODELS, BOOL, enable_signature_method_name_check, "A signature answers only what its method_name says."),
        FLAG(MODELS, STRING, saved_model_tags,
             "The tags of the meta graph that is served, with commas between; a SavedModel may hold several."),
        FLAG(MODELS, BOOL, prefer_tflite_model, "Where model.tflite lies beside saved_model.pb, it is what is served."),
        FLAG(NETWORK, INT32, port, "TCP port of gRPC. 0: none (then --grpc_socket_path is required)."),
        FLAG(NETWORK, INT32, rest_api_port, "TCP port of REST and /metrics. 0: none."),
        FLAG(NETWORK, STRING, grpc_socket_path, "A Unix socket for gRPC, beside the port."),
        FLAG(NETWORK, STRING, rest_api_socket_path, "A Unix socket for REST, beside the port."),
        FLAG(
            NETWORK, STRING, ssl_config_file,
            "TLS for gRPC: text-format SSLConfig with key and certificate. Read again when it changes, and on SIGHUP."),
        FLAG(NETWORK, STRING, rest_api_ssl_config_file,
             "TLS for REST's port, from a file like --ssl_config_file; it may be the same one."),
        FLAG(NETWORK, BOOL, rest_api_accept_grpc, "REST's port and socket answer gRPC as well."),
        FLAG(
            NETWORK, BOOL, rest_api_compression,
            "Answers of REST of 1 kB and more go out as gzip to clients that accept it. TensorFlow Serving never does that."),
        FLAG(
            NETWORK, STRING, grpc_channel_arguments,
            "gRPC's settings, name=value with commas between, e.g. grpc.max_connection_age_ms=60000. docs/network.md lists "
            "those that mean something here; another one is a warning."),
        FLAG(
            NETWORK, BOOL, enable_serialization_as_tensor_content,
            "Predict over gRPC answers with tensor_content, raw bytes, where it has *_val fields else. REST stays as it is."),
        FLAG(NETWORK, INT32, rest_api_timeout_in_ms, "The time that a REST inference may take. 0 or less: no limit."),
        FLAG(NETWORK, BOOL, rest_api_enable_cors_support, "Answers of REST allow every origin (CORS)."),
        FLAG(NETWORK, INT64, max_message_bytes,
             "The largest request message or body. A larger one is refused with RESOURCE_EXHAUSTED or 413."),
        FLAG(NETWORK, INT32, event_loops, "Threads for connections. 0: one for every two CPUs, at most 16."),
        FLAG(BATCHING, BOOL, enable_batching, "Requests that wait are run together."),
        FLAG(
            BATCHING, STRING, batching_parameters_file,
            "How, as text-format BatchingParameters; without it, TensorFlow Serving's defaults. SIGHUP reads it again."),
        FLAG(BATCHING, BOOL, enable_per_model_batching_parameters,
             "By the file batching_params.pbtxt in each version's directory; a version without it is not batched."),
        FLAG(SWAPPING, INT32, file_system_poll_wait_seconds,
             "Seconds between looks for new versions; changes that the file system reports are seen at once. 0: look "
             "once; negative: never."),
        FLAG(
            SWAPPING, INT32, max_concurrent_loads,
            "Versions that may load at the same time, over all models. 0: one; before the ports open, as many as CPUs."),
        FLAG(SWAPPING, BOOL, enable_model_warmup,
             "A version's assets.extra/tf_serving_warmup_requests are run before it answers; one that fails keeps the "
             "version from serving."),
        FLAG(SWAPPING, INT32, num_request_iterations_for_warmup, "Runs of each of those records. 0 or less: one."),
        FLAG(SWAPPING, INT32, num_load_threads,
             "TensorFlow Serving's name for --max_concurrent_loads; the larger of the two counts."),
        FLAG(
            THREADS, INT64, tensorflow_session_parallelism,
            "Threads inside an op, and ops at a time, of one worker. 0: the engine decides. More runs at a time: update { "
            "concurrency } in the model's config."),
        FLAG(THREADS, INT64, tensorflow_intra_op_parallelism,
             "Threads inside an op. With it or the next one, the one before does not count."),
        FLAG(THREADS, INT64, tensorflow_inter_op_parallelism, "Ops at a time."),
        FLAG(
            THREADS, STRING, tensorflow_session_config_file,
            "Text-format ConfigProto: its intra_op_parallelism_threads and inter_op_parallelism_threads, where no flag "
            "above says otherwise."),
        FLAG(
            THREADS, STRING, platform_config_file,
            "Text-format PlatformConfigMap: its tags, numbers of threads, batching and warm-up, in place of those of the "
            "flags."),
        FLAG(
            SWAPPING, INT64, model_memory_bytes,
            "Memory for all versions together. One that finds no room waits; one that needs more than this is refused. "
            "0: what the machine and the control group have free; negative: memory is not looked at."),
        FLAG(SWAPPING, INT32, max_num_load_retries,
             "Loads after the first of a version that failed for a reason that may pass: out of memory, files or "
             "permission, a time-out on a busy machine. Any other failure waits until the files change."),
        FLAG(SWAPPING, INT64, load_retry_interval_micros,
             "The longest pause before such a load: 5 s at first, doubling up to this. Negative: none."),
        FLAG(OPERATION, STRING, monitoring_config_file,
             "Text-format MonitoringConfig: metrics with TensorFlow Serving's names on its path. /metrics is there "
             "in any case."),
        FLAG(OPERATION, STRING, admin_socket,
             "The Unix socket that the command everlit talks to. Default: $EVERLIT_SOCKET, "
             "/run/everlit/everlit.sock, $XDG_RUNTIME_DIR/everlit.sock or /tmp/everlit-UID.sock. none: no socket."),
        FLAG(OPERATION, INT32, admin_port,
             "A TCP port for the admin API, for who has the token of --admin_token_file. 0: none."),
        FLAG(
            OPERATION, STRING, admin_address,
            "The address of that port. With --rest_api_ssl_config_file it speaks TLS; without, let no other machine reach it."),
        FLAG(OPERATION, STRING, admin_token_file,
             "The token, of 16 bytes or more, in a file that only the server's user may read (chmod 600)."),
        FLAG(OPERATION, DOUBLE, drain_seconds,
             "After SIGTERM, the time that running requests may take. A second SIGTERM ends at once."),
        FLAG(OPERATION, BOOL, strict_startup,
             "Start as TensorFlow Serving does: the ports open when every model answers, and one that cannot be loaded "
             "ends the server. Without: what can be served is served."),
        FLAG(OPERATION, BOOL, strict_labels,
             "Labels as TensorFlow Serving has them: only a version that answers already may be given one. Without: "
             "also one that the same config brings."),
        FLAG(
            OPERATION, STRING, state_dir,
            "A directory in which the server remembers, for its next start: the last good versions, what is quarantined, the config that a client put in force."),
        FLAG(
            OPERATION, INT64, local_copies_max_bytes,
            "With --state_dir: how much the copies of last good versions that are kept there, for when a base path has none, may take together. 0: none are kept."),
        FLAG(
            OPERATION, STRING, alert_config_file,
            "Who is told of trouble, as text-format AlertConfig: webhooks (also Slack and Alertmanager), programs, syslog. See docs/alerts.md."),
        FLAG(OPERATION, STRING, log_format, "text or json, one line per event, on stderr."),
        FLAG(OPERATION, STRING, log_level, "debug, info, warning or error."),
        FLAG(OPERATION, BOOL, version, "Print the version and exit."),
        FLAG(OPERATION, BOOL, help, "Print this text and exit."),
        NO_EFFECT(INT32, num_unload_threads, "Threads that unload.",
                  "a version ends with its process, which needs no thread"),
        NO_EFFECT(INT32, num_tflite_pools, "Pools of TensorFlow Lite.",
                  "OpenVINO runs TensorFlow Lite; see update { concurrency } in the model's config"),
        NO_EFFECT(INT32, num_tflite_interpreters_per_pool, "Interpreters in a pool.",
                  "OpenVINO runs TensorFlow Lite; see update { concurrency } in the model's config"),
        NO_EFFECT(INT32, rest_api_num_threads, "Threads of REST.",
                  "connections need no thread each: --event_loops says how many threads there are"),
        NO_EFFECT(INT32, grpc_max_threads, "Threads of gRPC.",
                  "connections need no thread each: see --event_loops; no call is refused for want of one"),
        NO_EFFECT(BOOL, use_alts_credentials, "Google's ALTS.",
                  "ALTS is for machines of Google Cloud and for gRPC C++"),
        NO_EFFECT(BOOL, enable_grpc_healthcheck_service, "grpc.health.v1.Health.",
                  "the health service is always there"),
        NO_EFFECT(BOOL, enable_profiler, "tensorflow.ProfilerService.",
                  "the profiler belongs to TensorFlow's own server"),
        NO_EFFECT(STRING, thread_pool_factory_config_file, "Text-format ThreadPoolConfig.",
                  "thread pools cannot be plugged in"),
        NO_EFFECT(DOUBLE, per_process_gpu_memory_fraction, "Share of a GPU's memory.",
                  "this build runs models on the CPU"),
        NO_EFFECT(BOOL, xla_cpu_compilation_enabled, "XLA on the CPU.", "TensorFlow decides for itself"),
        NO_EFFECT(BOOL, xla_gpu_compilation_enabled, "XLA on a GPU.", "this build runs models on the CPU"),
        NO_EFFECT(STRING, mixed_precision, "bfloat16.",
                  "say update { precision: \"bf16\" } in a model's config, for the engine openvino"),
        NO_EFFECT(BOOL, skip_initialize_tpu, "For TPUs.", "this build runs models on the CPU"),
        NO_EFFECT(BOOL, flush_filesystem_caches, "After loads.", "a version's file caches end with its process"),
        NO_EFFECT(BOOL, remove_unused_fields_from_bundle_metagraph, "To save memory.",
                  "meta graphs are not kept by the server"),
    };
    /* clang-format on */
    _Static_assert(sizeof all / sizeof all[0] == EL_EVERLITD_FLAGS, "EL_EVERLITD_FLAGS counts the table");
    memcpy(table, all, sizeof all);
}
