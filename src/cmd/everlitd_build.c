/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlitd.h"

#include "cmd/state_dir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST_CONNECTIONS 10000
#define MOST_LOOPS 16  /* unless --event_loops says more */
#define POOL_THREADS 4 /* libuv's */
#define LARGEST_STACK ((size_t)8 << 20)
#define LEAST_ROOM ((size_t)4 << 20)
#define FILES_KEPT 256 /* descriptors that connections leave to versions: their folders, their workers */
#define FILES_A_MODEL \
    16 /* of which a model of one version takes so many, measured; a second version needs as many again */

static void warn_of_few_files(struct el_log *log, rlim_t limit, size_t models, rlim_t needed)
{
    if (limit >= needed)
        return;
    char text[256];
    snprintf(
        text, sizeof text,
        "%zu models need about %llu open files, and %llu are allowed: versions that find none will not load; raise the "
        "limit (ulimit -n %llu, LimitNOFILE= of the service, --ulimit nofile= of the container)",
        models, (unsigned long long)needed, (unsigned long long)limit, (unsigned long long)needed);
    el_log(log, EL_LOG_WARNING, "few_open_files", el_int("limit", (int64_t)limit), el_int("needed", (int64_t)needed),
           el_str("reason", text));
}

/*
 * Raises the limit of open files as far as it goes, and leaves connections only a part of it: however many clients
 * come, a version can still be swapped and a dead worker replaced. Returns the number of connections.
 */
static uint32_t share_out_files(struct el_log *log, size_t models)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return MOST_CONNECTIONS;
    const rlim_t before = files.rlim_cur;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        files.rlim_cur = before;
    const rlim_t wanted = FILES_KEPT + (rlim_t)models * FILES_A_MODEL;
    warn_of_few_files(log, files.rlim_cur, models, wanted);
    const rlim_t kept = files.rlim_cur / 2 < wanted ? files.rlim_cur - files.rlim_cur / 2 : wanted;
    const rlim_t rest = files.rlim_cur - kept;
    return rest > MOST_CONNECTIONS ? MOST_CONNECTIONS : rest > 0 ? (uint32_t)rest : 1;
}

/*
 * libuv ends the process where it finds no room for a thread. So the room is asked for first: the stacks of its pool, of the
 * loops, and some for what they do.
 */
static struct el_status *check_room(uint32_t loops)
{
    struct rlimit stack;
    const bool limited = getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur != RLIM_INFINITY;
    const size_t each = limited && stack.rlim_cur < LARGEST_STACK ? (size_t)stack.rlim_cur : LARGEST_STACK;
    const size_t size = (POOL_THREADS + loops) * each + LEAST_ROOM;
    void *room = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return el_status_errno(errno,
                               "making room for the server's threads: %zu MiB are needed; look at the limits of memory "
                               "(ulimit -d, ulimit -v, LimitDATA= and LimitAS= of the service)",
                               size >> 20);
    munmap(room, size);
    return NULL;
}

/* Shows the config in force on the admin socket, and what a client sent also to the next start. */
static void config_applied(const struct el_config *config, bool by_client, void *argument)
{
    struct el_daemon *daemon = argument;
    char *text = NULL;
    struct el_status *status = el_config_print(config, &text);
    if (status == NULL) {
        el_api_set_config(daemon->api, text, by_client ? "client" : "file");
        if (by_client)
            status = el_state_save_config(&daemon->flags, daemon->journal, config);
        else
            el_state_forget_config(daemon->journal);
    }
    if (status != NULL)
        el_log(&daemon->log, EL_LOG_ERROR, "config_not_remembered", el_str("reason", el_status_text(status)));
    el_status_free(status);
}

/*
 * Half the CPUs; the other half is for the models, whose workers run as many requests at once by default. A loop that has
 * more connections also does more in each of its turns, which costs less than two that take turns on one CPU.
 */
static uint32_t loops_for_this_machine(void)
{
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 4 ? 1 : cpus > 2 * MOST_LOOPS ? MOST_LOOPS : (uint32_t)cpus / 2;
}

struct el_status *el_daemon_build(struct el_daemon *daemon, const struct el_config *config)
{
    daemon->max_connections = share_out_files(&daemon->log, config->model_count);
    daemon->loops = daemon->flags.event_loops > 0 ? (uint32_t)daemon->flags.event_loops : loops_for_this_machine();
    EL_TRY(check_room(daemon->loops));
    EL_TRY(el_tls_file_watch(&daemon->grpc_tls, &daemon->loop));
    EL_TRY(el_tls_file_watch(&daemon->rest_tls, &daemon->loop));
    const struct el_workers_options workers_options = {
        .uv_loop = &daemon->loop,
        .log = &daemon->log,
        .tags = daemon->flags.saved_model_tags,
        .prefer_tflite = daemon->flags.prefer_tflite_model,
        .intra_op_threads = daemon->files.threads.intra_op,
        .inter_op_threads = daemon->files.threads.inter_op,
        .loops = daemon->loops + 2, /* one more for the admin socket, one for the swapper itself */
    };
    EL_TRY(el_workers_new(&workers_options, &daemon->workers));
    char *copies = el_state_copies_directory(&daemon->flags);
    const struct el_swap_options swap_options = {
        .uv_loop = &daemon->loop,
        .log = &daemon->log,
        .workers = daemon->workers,
        .config = config,
        .journal = daemon->journal,
        .copies_directory = copies,
        .copies_max_bytes = daemon->flags.local_copies_max_bytes > 0 ? (uint64_t)daemon->flags.local_copies_max_bytes
                                                                     : 0,
        .poll_wait_ms = (int64_t)daemon->flags.file_system_poll_wait_seconds * 1000,
        .max_concurrent_loads = (uint32_t)daemon->flags.max_concurrent_loads,
        .max_starting_loads = daemon->flags.max_concurrent_loads > 0 ? 0 : uv_available_parallelism(),
        .memory_budget_bytes = daemon->flags.model_memory_bytes,
        .max_load_retries = daemon->flags.max_num_load_retries > 0 ? (uint32_t)daemon->flags.max_num_load_retries : 0,
        .load_retry_interval_ms = daemon->flags.load_retry_interval_micros > 0
                                      ? (uint64_t)daemon->flags.load_retry_interval_micros / 1000
                                      : 0,
        .completions_index = daemon->loops + 1,
        .batching = daemon->files.has_batching ? &daemon->files.batching : NULL,
        .per_model_batching = daemon->flags.enable_per_model_batching_parameters,
        .no_warmup = !daemon->flags.enable_model_warmup,
        .warmup_iterations = daemon->flags.num_request_iterations_for_warmup > 0
                                 ? (uint32_t)daemon->flags.num_request_iterations_for_warmup
                                 : 1,
        .warmup_threads = daemon->files.has_platform && daemon->files.platform.warmup_threads > 0
                              ? (uint32_t)daemon->files.platform.warmup_threads
                              : 1,
    };
    struct el_status *status = el_swap_new(&swap_options, &daemon->swap);
    free(copies);
    EL_TRY(status);
    EL_TRY(el_daemon_start_alerts(daemon));
    const struct el_reload_options reload_options = {
        .uv_loop = &daemon->loop,
        .log = &daemon->log,
        .swap = daemon->swap,
        .config = config,
        .flags = &daemon->flags,
        .on_applied = config_applied,
        .argument = daemon,
    };
    EL_TRY(el_reload_new(&reload_options, &daemon->reload));
    const struct el_operator_options operator_options = {
        .uv_loop = &daemon->loop,
        .swap = daemon->swap,
        .journal = daemon->journal,
    };
    EL_TRY(el_operator_new(&operator_options, &daemon->operator_));
    const struct el_api_options api_options = {
        .swap = daemon->swap,
        .workers = daemon->workers,
        .log = &daemon->log,
        .rest_timeout_ms = daemon->flags.rest_api_timeout_in_ms > 0 ? (uint32_t)daemon->flags.rest_api_timeout_in_ms
                                                                    : 0,
        .monitoring_path = daemon->files.monitoring_path,
        .allow_origins = daemon->flags.rest_api_enable_cors_support,
        .outputs_as_content = daemon->flags.enable_serialization_as_tensor_content,
        .check_method_names = daemon->flags.enable_signature_method_name_check,
        .reload = el_reload_ask,
        .reload_argument = daemon->reload,
        .operate = el_operator_ask,
        .operate_argument = daemon->operator_,
        .state_dir = *daemon->flags.state_dir != '\0' ? daemon->flags.state_dir : NULL,
        .admin_token = daemon->admin_token,
    };
    EL_TRY(el_api_new(&api_options, &daemon->api));
    char *text = NULL;
    EL_TRY(el_config_print(config, &text));
    el_api_set_config(daemon->api, text,
                      daemon->remembered                         ? "state_dir"
                      : *daemon->flags.model_config_file != '\0' ? "file"
                                                                 : "command line");
    el_daemon_listen_admin(daemon);
    return NULL;
}

static void close_handle(uv_handle_t *handle, void *argument)
{
    (void)argument;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void el_daemon_tear_down(struct el_daemon *daemon)
{
    el_reload_free(daemon->reload);
    el_operator_free(daemon->operator_);
    if (daemon->api != NULL)
        el_api_free(daemon->api);
    if (daemon->swap != NULL)
        el_swap_free(daemon->swap);
    if (daemon->workers != NULL)
        el_workers_free(daemon->workers);
    el_alerts_end(daemon->alerts);
    el_journal_close(daemon->journal);
    uv_walk(&daemon->loop, close_handle, NULL);
    while (uv_run(&daemon->loop, UV_RUN_ONCE) != 0)
        continue;
    uv_loop_close(&daemon->loop);
    el_tls_free(daemon->grpc_tls.tls);
    el_tls_free(daemon->rest_tls.tls);
    if (daemon->admin_path != NULL)
        unlink(daemon->admin_path);
    free(daemon->admin_path);
    free(daemon->admin_token);
    el_everlitd_files_free(&daemon->files);
}
