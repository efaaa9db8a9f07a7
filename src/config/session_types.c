/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensorflow.ConfigProto of TensorFlow 2.21, from its descriptor, so that a --tensorflow_session_config_file is read as TensorFlow
 * Serving reads it.
 */
#include "config/server_types.h"

#include <stddef.h>

#define FIELD(field_name, field_number, k) .name = (field_name), .number = (field_number), .kind = EL_TEXT_##k
#define FIELDS(array) .fields = (array), .field_count = sizeof(array) / sizeof(array)[0]

static const struct el_text_field config_proto_device_count_entry_fields[] = {
    { FIELD("key", 1, STRING) },
    { FIELD("value", 2, INT32) },
};
static const struct el_text_type config_proto_device_count_entry = { .name = "tensorflow.ConfigProto.DeviceCountEntry",
                                                                     FIELDS(config_proto_device_count_entry_fields) };

static const struct el_text_field thread_pool_option_proto_fields[] = {
    { FIELD("num_threads", 1, INT32) },
    { FIELD("global_name", 2, STRING) },
};
static const struct el_text_type thread_pool_option_proto = { .name = "tensorflow.ThreadPoolOptionProto",
                                                              FIELDS(thread_pool_option_proto_fields) };

static const struct el_text_field gpuoptions_experimental_virtual_devices_fields[] = {
    { FIELD("memory_limit_mb", 1, FLOAT), .repeated = true },
    { FIELD("priority", 2, INT32), .repeated = true },
    { FIELD("device_ordinal", 3, INT32), .repeated = true },
};
static const struct el_text_type gpuoptions_experimental_virtual_devices = {
    .name = "tensorflow.GPUOptions.Experimental.VirtualDevices", FIELDS(gpuoptions_experimental_virtual_devices_fields)
};

static const struct el_text_field gpuoptions_experimental_stream_merge_options_fields[] = {
    { FIELD("merge_host_to_device_stream", 1, BOOL) },
    { FIELD("merge_device_to_host_stream", 2, BOOL) },
    { FIELD("merge_device_to_device_stream", 3, BOOL) },
};
static const struct el_text_type gpuoptions_experimental_stream_merge_options = {
    .name = "tensorflow.GPUOptions.Experimental.StreamMergeOptions",
    FIELDS(gpuoptions_experimental_stream_merge_options_fields)
};

static const struct el_text_field gpuoptions_experimental_fields[] = {
    { FIELD("virtual_devices", 1, MESSAGE), .message = &gpuoptions_experimental_virtual_devices, .repeated = true },
    { FIELD("num_virtual_devices_per_gpu", 15, INT32) },
    { FIELD("use_unified_memory", 2, BOOL) },
    { FIELD("num_dev_to_dev_copy_streams", 3, INT32) },
    { FIELD("collective_ring_order", 4, STRING) },
    { FIELD("timestamped_allocator", 5, BOOL) },
    { FIELD("kernel_tracker_max_interval", 7, INT32) },
    { FIELD("kernel_tracker_max_bytes", 8, INT32) },
    { FIELD("kernel_tracker_max_pending", 9, INT32) },
    { FIELD("internal_fragmentation_fraction", 10, DOUBLE) },
    { FIELD("use_cuda_malloc_async", 11, BOOL) },
    { FIELD("disallow_retry_on_allocation_failure", 12, BOOL) },
    { FIELD("gpu_host_mem_limit_in_mb", 13, FLOAT) },
    { FIELD("gpu_host_mem_disallow_growth", 14, BOOL) },
    { FIELD("gpu_system_memory_size_in_mb", 16, INT32) },
    { FIELD("populate_pjrt_gpu_client_creation_info", 17, BOOL) },
    { FIELD("node_id", 18, INT32) },
    { FIELD("stream_merge_options", 19, MESSAGE), .message = &gpuoptions_experimental_stream_merge_options },
};
static const struct el_text_type gpuoptions_experimental = { .name = "tensorflow.GPUOptions.Experimental",
                                                             FIELDS(gpuoptions_experimental_fields) };

static const struct el_text_field gpuoptions_fields[] = {
    { FIELD("per_process_gpu_memory_fraction", 1, DOUBLE) },
    { FIELD("allow_growth", 4, BOOL) },
    { FIELD("allocator_type", 2, STRING) },
    { FIELD("deferred_deletion_bytes", 3, INT64) },
    { FIELD("visible_device_list", 5, STRING) },
    { FIELD("polling_active_delay_usecs", 6, INT32) },
    { FIELD("polling_inactive_delay_msecs", 7, INT32) },
    { FIELD("force_gpu_compatible", 8, BOOL) },
    { FIELD("experimental", 9, MESSAGE), .message = &gpuoptions_experimental },
};
static const struct el_text_type gpuoptions = { .name = "tensorflow.GPUOptions", FIELDS(gpuoptions_fields) };

static const struct el_text_enum optimizer_options_level[] = { { "L1", 0 }, { "L0", -1 }, { NULL, 0 } };
static const struct el_text_enum optimizer_options_global_jit_level[] = {
    { "DEFAULT", 0 }, { "OFF", -1 }, { "ON_1", 1 }, { "ON_2", 2 }, { NULL, 0 }
};
static const struct el_text_field optimizer_options_fields[] = {
    { FIELD("do_common_subexpression_elimination", 1, BOOL) },
    { FIELD("do_constant_folding", 2, BOOL) },
    { FIELD("max_folded_constant_in_bytes", 6, INT64) },
    { FIELD("do_function_inlining", 4, BOOL) },
    { FIELD("opt_level", 3, ENUM), .values = optimizer_options_level },
    { FIELD("global_jit_level", 5, ENUM), .values = optimizer_options_global_jit_level },
    { FIELD("cpu_global_jit", 7, BOOL) },
};
static const struct el_text_type optimizer_options = { .name = "tensorflow.OptimizerOptions",
                                                       FIELDS(optimizer_options_fields) };

static const struct el_text_enum rewriter_config_cpu_layout[] = {
    { "NO_CONVERSION_ON_CPU", 0 }, { "NCHW_TO_NHWC", 1 }, { "NHWC_TO_NCHW", 2 }, { NULL, 0 }
};
static const struct el_text_enum rewriter_config_toggle[] = {
    { "DEFAULT", 0 },           { "ON", 1 }, { "OFF", 2 }, { "AGGRESSIVE", 3 }, { "EXPERIMENTAL_MLIR", 4 },
    { "EXPERIMENTAL_BOTH", 5 }, { NULL, 0 }
};
static const struct el_text_enum rewriter_config_num_iterations_type[] = {
    { "DEFAULT_NUM_ITERS", 0 }, { "ONE", 1 }, { "TWO", 2 }, { NULL, 0 }
};
static const struct el_text_enum rewriter_config_mem_opt_type[] = { { "DEFAULT_MEM_OPT", 0 },
                                                                    { "NO_MEM_OPT", 1 },
                                                                    { "MANUAL", 2 },
                                                                    { "SWAPPING_HEURISTICS", 4 },
                                                                    { "RECOMPUTATION_HEURISTICS", 5 },
                                                                    { "SCHEDULING_HEURISTICS", 6 },
                                                                    { "HEURISTICS", 3 },
                                                                    { NULL, 0 } };
static const struct el_text_field auto_parallel_options_fields[] = {
    { FIELD("enable", 1, BOOL) },
    { FIELD("num_replicas", 2, INT32) },
};
static const struct el_text_type auto_parallel_options = { .name = "tensorflow.AutoParallelOptions",
                                                           FIELDS(auto_parallel_options_fields) };

static const struct el_text_field scoped_allocator_options_fields[] = {
    { FIELD("enable_op", 1, STRING), .repeated = true },
};
static const struct el_text_type scoped_allocator_options = { .name = "tensorflow.ScopedAllocatorOptions",
                                                              FIELDS(scoped_allocator_options_fields) };

static const struct el_text_field rewriter_config_custom_graph_optimizer_parameter_map_entry_fields[] = {
    { FIELD("key", 1, STRING) },
    { FIELD("value", 2, MESSAGE), .message = &el_type_attr_value },
};
static const struct el_text_type rewriter_config_custom_graph_optimizer_parameter_map_entry = {
    .name = "tensorflow.RewriterConfig.CustomGraphOptimizer.ParameterMapEntry",
    FIELDS(rewriter_config_custom_graph_optimizer_parameter_map_entry_fields)
};

static const struct el_text_field rewriter_config_custom_graph_optimizer_fields[] = {
    { FIELD("name", 1, STRING) },
    { FIELD("parameter_map", 2, MESSAGE), .message = &rewriter_config_custom_graph_optimizer_parameter_map_entry,
      .repeated = true },
};
static const struct el_text_type rewriter_config_custom_graph_optimizer = {
    .name = "tensorflow.RewriterConfig.CustomGraphOptimizer", FIELDS(rewriter_config_custom_graph_optimizer_fields)
};

static const struct el_text_enum verifier_config_toggle[] = {
    { "DEFAULT", 0 }, { "ON", 1 }, { "OFF", 2 }, { NULL, 0 }
};
static const struct el_text_field verifier_config_fields[] = {
    { FIELD("verification_timeout_in_ms", 1, INT64) },
    { FIELD("structure_verifier", 2, ENUM), .values = verifier_config_toggle },
};
static const struct el_text_type verifier_config = { .name = "tensorflow.VerifierConfig",
                                                     FIELDS(verifier_config_fields) };

static const struct el_text_field rewriter_config_fields[] = {
    { FIELD("cpu_layout_conversion", 50, ENUM), .values = rewriter_config_cpu_layout },
    { FIELD("layout_optimizer", 1, ENUM), .values = rewriter_config_toggle },
    { FIELD("constant_folding", 3, ENUM), .values = rewriter_config_toggle },
    { FIELD("shape_optimization", 13, ENUM), .values = rewriter_config_toggle },
    { FIELD("remapping", 14, ENUM), .values = rewriter_config_toggle },
    { FIELD("common_subgraph_elimination", 24, ENUM), .values = rewriter_config_toggle },
    { FIELD("arithmetic_optimization", 7, ENUM), .values = rewriter_config_toggle },
    { FIELD("dependency_optimization", 8, ENUM), .values = rewriter_config_toggle },
    { FIELD("loop_optimization", 9, ENUM), .values = rewriter_config_toggle },
    { FIELD("function_optimization", 10, ENUM), .values = rewriter_config_toggle },
    { FIELD("debug_stripper", 11, ENUM), .values = rewriter_config_toggle },
    { FIELD("disable_model_pruning", 2, BOOL) },
    { FIELD("scoped_allocator_optimization", 15, ENUM), .values = rewriter_config_toggle },
    { FIELD("pin_to_host_optimization", 18, ENUM), .values = rewriter_config_toggle },
    { FIELD("implementation_selector", 22, ENUM), .values = rewriter_config_toggle },
    { FIELD("auto_mixed_precision", 23, ENUM), .values = rewriter_config_toggle },
    { FIELD("auto_mixed_precision_mkl", 25, ENUM), .values = rewriter_config_toggle },
    { FIELD("auto_mixed_precision_onednn_bfloat16", 31, ENUM), .values = rewriter_config_toggle },
    { FIELD("auto_mixed_precision_cpu", 29, ENUM), .values = rewriter_config_toggle },
    { FIELD("disable_meta_optimizer", 19, BOOL) },
    { FIELD("disable_tfg_optimizer", 32, BOOL) },
    { FIELD("use_plugin_optimizers", 28, ENUM), .values = rewriter_config_toggle },
    { FIELD("experimental_conditional_code_motion", 30, ENUM), .values = rewriter_config_toggle },
    { FIELD("meta_optimizer_iterations", 12, ENUM), .values = rewriter_config_num_iterations_type },
    { FIELD("min_graph_nodes", 17, INT32) },
    { FIELD("experimental_disable_compressed_tensor_optimization", 26, BOOL) },
    { FIELD("experimental_disable_folding_quantization_emulation", 27, BOOL) },
    { FIELD("memory_optimization", 4, ENUM), .values = rewriter_config_mem_opt_type },
    { FIELD("memory_optimizer_target_node_name_scope", 6, STRING) },
    { FIELD("meta_optimizer_timeout_ms", 20, INT64) },
    { FIELD("auto_parallel", 5, MESSAGE), .message = &auto_parallel_options },
    { FIELD("fail_on_optimizer_errors", 21, BOOL) },
    { FIELD("scoped_allocator_opts", 16, MESSAGE), .message = &scoped_allocator_options },
    { FIELD("optimizers", 100, STRING), .repeated = true },
    { FIELD("custom_optimizers", 200, MESSAGE), .message = &rewriter_config_custom_graph_optimizer, .repeated = true },
    { FIELD("inter_optimizer_verifier_config", 300, MESSAGE), .message = &verifier_config },
    { FIELD("post_optimization_verifier_config", 301, MESSAGE), .message = &verifier_config },
};
static const struct el_text_type rewriter_config = { .name = "tensorflow.RewriterConfig",
                                                     FIELDS(rewriter_config_fields) };

static const struct el_text_field graph_options_fields[] = {
    { FIELD("enable_recv_scheduling", 2, BOOL) },
    { FIELD("optimizer_options", 3, MESSAGE), .message = &optimizer_options },
    { FIELD("build_cost_model", 4, INT64) },
    { FIELD("build_cost_model_after", 9, INT64) },
    { FIELD("infer_shapes", 5, BOOL) },
    { FIELD("place_pruned_graph", 6, BOOL) },
    { FIELD("enable_bfloat16_sendrecv", 7, BOOL) },
    { FIELD("timeline_step", 8, INT32) },
    { FIELD("rewrite_options", 10, MESSAGE), .message = &rewriter_config },
};
static const struct el_text_type graph_options = { .name = "tensorflow.GraphOptions", FIELDS(graph_options_fields) };

static const struct el_text_field rpcoptions_fields[] = {
    { FIELD("use_rpc_for_inprocess_master", 1, BOOL) },
    { FIELD("compression_algorithm", 2, STRING) },
    { FIELD("compression_level", 3, INT32) },
    { FIELD("cache_rpc_response", 4, BOOL) },
    { FIELD("disable_session_connection_sharing", 5, BOOL) },
    { FIELD("num_channels_per_target", 6, INT32) },
};
static const struct el_text_type rpcoptions = { .name = "tensorflow.RPCOptions", FIELDS(rpcoptions_fields) };

static const struct el_text_field job_def_tasks_entry_fields[] = {
    { FIELD("key", 1, INT32) },
    { FIELD("value", 2, STRING) },
};
static const struct el_text_type job_def_tasks_entry = { .name = "tensorflow.JobDef.TasksEntry",
                                                         FIELDS(job_def_tasks_entry_fields) };

static const struct el_text_field job_def_fields[] = {
    { FIELD("name", 1, STRING) },
    { FIELD("tasks", 2, MESSAGE), .message = &job_def_tasks_entry, .repeated = true },
};
static const struct el_text_type job_def = { .name = "tensorflow.JobDef", FIELDS(job_def_fields) };

static const struct el_text_field cluster_def_fields[] = {
    { FIELD("job", 1, MESSAGE), .message = &job_def, .repeated = true },
};
static const struct el_text_type cluster_def = { .name = "tensorflow.ClusterDef", FIELDS(cluster_def_fields) };

static const struct el_text_field session_metadata_fields[] = {
    { FIELD("name", 1, STRING) },
    { FIELD("version", 2, INT64) },
};
static const struct el_text_type session_metadata = { .name = "tensorflow.SessionMetadata",
                                                      FIELDS(session_metadata_fields) };

static const struct el_text_enum config_proto_experimental_mlir_bridge_rollout[] = {
    { "MLIR_BRIDGE_ROLLOUT_UNSPECIFIED", 0 },
    { "MLIR_BRIDGE_ROLLOUT_ENABLED", 1 },
    { "MLIR_BRIDGE_ROLLOUT_DISABLED", 2 },
    { NULL, 0 }
};
static const struct el_text_field coordinated_job_fields[] = {
    { FIELD("name", 1, STRING) },
    { FIELD("num_tasks", 2, INT32) },
};
static const struct el_text_type coordinated_job = { .name = "tensorflow.CoordinatedJob",
                                                     FIELDS(coordinated_job_fields) };

static const struct el_text_field coordination_service_config_fields[] = {
    { FIELD("service_type", 1, STRING) },
    { FIELD("service_leader", 2, STRING) },
    { FIELD("enable_health_check", 3, BOOL) },
    { FIELD("cluster_register_timeout_in_ms", 4, INT64) },
    { FIELD("cluster_register_with_barrier", 14, BOOL) },
    { FIELD("heartbeat_timeout_in_ms", 5, INT64) },
    { FIELD("coordinated_job_list", 10, MESSAGE), .message = &coordinated_job, .repeated = true },
    { FIELD("shutdown_barrier_timeout_in_ms", 7, INT64) },
    { FIELD("agent_destruction_without_shutdown", 8, BOOL) },
    { FIELD("recoverable_jobs", 9, STRING), .repeated = true },
    { FIELD("allow_new_incarnation_to_reconnect", 11, BOOL) },
    { FIELD("force_disable", 12, BOOL) },
    { FIELD("poll_for_error_from_service_at_startup", 13, BOOL) },
};
static const struct el_text_type coordination_service_config = { .name = "tensorflow.CoordinationServiceConfig",
                                                                 FIELDS(coordination_service_config_fields) };

static const struct el_text_field config_proto_experimental_fields[] = {
    { FIELD("collective_group_leader", 1, STRING) },
    { FIELD("executor_type", 3, STRING) },
    { FIELD("recv_buf_max_chunk", 4, INT32) },
    { FIELD("use_numa_affinity", 5, BOOL) },
    { FIELD("collective_deterministic_sequential_execution", 6, BOOL) },
    { FIELD("collective_nccl", 7, BOOL) },
    { FIELD("share_session_state_in_clusterspec_propagation", 8, BOOL) },
    { FIELD("disable_thread_spinning", 9, BOOL) },
    { FIELD("share_cluster_devices_in_session", 10, BOOL) },
    { FIELD("session_metadata", 11, MESSAGE), .message = &session_metadata },
    { FIELD("optimize_for_static_graph", 12, BOOL) },
    { FIELD("enable_mlir_bridge", 13, BOOL) },
    { FIELD("mlir_bridge_rollout", 17, ENUM), .values = config_proto_experimental_mlir_bridge_rollout },
    { FIELD("enable_mlir_graph_optimization", 16, BOOL) },
    { FIELD("disable_output_partition_graphs", 14, BOOL) },
    { FIELD("xla_fusion_autotuner_thresh", 15, INT64) },
    { FIELD("use_tfrt", 18, BOOL) },
    { FIELD("enable_multi_host", 27, BOOL) },
    { FIELD("tfrt_use_ifrt", 32, BOOL) },
    { FIELD("backend_server_port", 28, INT32) },
    { FIELD("target_tpu", 29, BOOL) },
    { FIELD("target_gpu", 30, BOOL) },
    { FIELD("stream_merge_threshold", 31, INT32) },
    { FIELD("disable_functional_ops_lowering", 21, BOOL) },
    { FIELD("xla_prefer_single_graph_cluster", 22, BOOL) },
    { FIELD("coordination_config", 23, MESSAGE), .message = &coordination_service_config },
    { FIELD("disable_optimize_for_static_graph", 24, BOOL) },
    { FIELD("disable_eager_executor_streaming_enqueue", 26, BOOL) },
    { FIELD("finalize_function_library_runtime", 33, BOOL) },
    { FIELD("finalize_resource_manager", 34, BOOL) },
    { FIELD("tf2xla_dump_dir", 35, STRING) },
    { FIELD("online_cost_analysis", 36, BOOL) },
};
static const struct el_text_type config_proto_experimental = { .name = "tensorflow.ConfigProto.Experimental",
                                                               FIELDS(config_proto_experimental_fields) };

static const struct el_text_field config_proto_fields[] = {
    { FIELD("device_count", 1, MESSAGE), .message = &config_proto_device_count_entry, .repeated = true },
    { FIELD("intra_op_parallelism_threads", 2, INT32) },
    { FIELD("inter_op_parallelism_threads", 5, INT32) },
    { FIELD("use_per_session_threads", 9, BOOL) },
    { FIELD("session_inter_op_thread_pool", 12, MESSAGE), .message = &thread_pool_option_proto, .repeated = true },
    { FIELD("placement_period", 3, INT32) },
    { FIELD("device_filters", 4, STRING), .repeated = true },
    { FIELD("gpu_options", 6, MESSAGE), .message = &gpuoptions },
    { FIELD("pluggable_device_options", 18, MESSAGE), .message = &gpuoptions },
    { FIELD("allow_soft_placement", 7, BOOL) },
    { FIELD("log_device_placement", 8, BOOL) },
    { FIELD("graph_options", 10, MESSAGE), .message = &graph_options },
    { FIELD("operation_timeout_in_ms", 11, INT64) },
    { FIELD("rpc_options", 13, MESSAGE), .message = &rpcoptions },
    { FIELD("cluster_def", 14, MESSAGE), .message = &cluster_def },
    { FIELD("isolate_session_state", 15, BOOL) },
    { FIELD("share_cluster_devices_in_session", 17, BOOL) },
    { FIELD("experimental", 16, MESSAGE), .message = &config_proto_experimental },
};
const struct el_text_type el_type_session_config = { .name = "tensorflow.ConfigProto", FIELDS(config_proto_fields) };
