/* SPDX-License-Identifier: Apache-2.0 */
/*
 * everlitd: the model server. This file is its life: flags, start, signals, end.
 *
 * The main thread is the swap thread. The admin socket answers from the first
 * moment; the public ports open once every model either answers or has nothing
 * left to try, so that a port that is open means what it means with TensorFlow
 * Serving.
 *
 * The end, after SIGTERM or SIGINT: no new connections, running requests are
 * answered (at most --shutdown_grace_ms), the versions' processes end, exit
 * status 0. A second signal ends at once.
 */
#include "api/api.h"
#include "cmd/admin_socket.h"
#include "cmd/everlitd_flags.h"
#include "cmd/reload.h"
#include "config/config.h"
#include "config/monitoring.h"
#include "rpc/rpc.h"
#include "swap/swap.h"
#include "worker/worker.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#define EXIT_BAD_START 255 /* TensorFlow Serving's */
#define ADMIN_GRACE_MS 2000
#define LARGE_BYTES (512 * 1024)
#define MOST_CONNECTIONS 10000
#define FILES_KEPT 256 /* descriptors that connections leave to versions: their folders, their workers */

struct daemon {
    struct el_everlitd_flags flags;
    struct el_log log;
    uv_loop_t loop;
    uv_signal_t on_term, on_int, on_hup;
    struct el_workers *workers;
    struct el_swap *swap;
    struct el_api *api;
    struct el_reload *reload;
    struct el_api_place public_place, admin_place;
    struct el_rpc_server *public_server; /* NULL until the models are settled */
    struct el_rpc_server *admin_server;  /* NULL: no admin socket */
    char *admin_path;
    char *monitoring_path; /* NULL: none */
    uv_work_t join; /* waits for the servers' threads off the main thread, which the workers need */
    uint32_t loops; /* of the public server */
    uint32_t max_connections; /* likewise */
    bool ending;
    int exit_status;
};

static void log_status(const struct daemon *daemon, enum el_log_level level, const char *event,
                       const struct el_status *status)
{
    el_log(&daemon->log, level, event, el_str("code", el_code_name(el_status_code(status))),
           el_str("reason", el_status_text(status)));
}

static int failed(struct el_status *status)
{
    /* Where TensorFlow Serving's users look for it, and in its words. */
    printf("Failed to start server. Error: %s: %s\n", el_code_name(el_status_code(status)), el_status_text(status));
    fflush(stdout);
    el_status_free(status);
    return EXIT_BAD_START;
}

/* ---- the end ---- */

static void close_handle(uv_handle_t *handle, void *argument)
{
    (void)argument;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void swap_stopped(void *argument)
{
    struct daemon *daemon = argument;
    uv_close((uv_handle_t *)&daemon->on_term, NULL);
    uv_close((uv_handle_t *)&daemon->on_int, NULL);
    uv_close((uv_handle_t *)&daemon->on_hup, NULL);
    uv_stop(&daemon->loop);
}

static void join_servers(uv_work_t *work)
{
    struct daemon *daemon = work->data;
    if (daemon->public_server != NULL)
        el_rpc_server_join(daemon->public_server);
    if (daemon->admin_server != NULL)
        el_rpc_server_join(daemon->admin_server);
}

static void servers_joined(uv_work_t *work, int status)
{
    (void)status;
    struct daemon *daemon = work->data;
    daemon->public_server = NULL;
    daemon->admin_server = NULL;
    el_swap_stop(daemon->swap, swap_stopped, daemon);
}

static void end(struct daemon *daemon)
{
    if (daemon->ending)
        return;
    daemon->ending = true;
    el_reload_end(daemon->reload);
    el_api_set_ready(daemon->api, false);
    el_api_set_server(daemon->api, NULL, 0, 0);
    if (daemon->public_server != NULL)
        el_rpc_server_drain(daemon->public_server, (uint32_t)daemon->flags.shutdown_grace_ms);
    if (daemon->admin_server != NULL)
        el_rpc_server_drain(daemon->admin_server, ADMIN_GRACE_MS);
    daemon->join.data = daemon;
    uv_queue_work(&daemon->loop, &daemon->join, join_servers, servers_joined);
}

static void on_end_signal(uv_signal_t *handle, int number)
{
    struct daemon *daemon = handle->data;
    if (daemon->ending) {
        el_log(&daemon->log, EL_LOG_WARNING, "ended_at_once", el_int("signal", number));
        if (daemon->admin_path != NULL)
            unlink(daemon->admin_path);
        _exit(128 + number);
    }
    el_log(&daemon->log, EL_LOG_INFO, "stopping", el_int("signal", number),
           el_int("grace_ms", daemon->flags.shutdown_grace_ms));
    end(daemon);
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct daemon *daemon = handle->data;
    if (daemon->ending || *daemon->flags.model_config_file == 0)
        return;
    el_reload_file(daemon->reload);
}

/* ---- the start ---- */

static struct el_rpc_options server_options(struct daemon *daemon, struct el_api_place *place,
                                            const struct el_listener *listeners, size_t listener_count)
{
    struct el_rpc_options options = {
        .log = &daemon->log,
        .listeners = listeners,
        .listener_count = listener_count,
        .max_message_bytes = (size_t)daemon->flags.max_message_bytes,
        .on_loop_start = el_api_loop_start,
        .on_loop_drain = el_api_loop_drain,
        .on_loop_stop = el_api_loop_stop,
        .argument = place,
    };
    return options;
}

static struct el_status *start_admin_server(struct daemon *daemon)
{
    EL_TRY(el_admin_socket_path(daemon->flags.admin_socket, &daemon->admin_path));
    if (daemon->admin_path == NULL)
        return NULL;
    EL_TRY(el_admin_socket_take(daemon->admin_path));
    const struct el_listener listener = {
        .type = EL_LISTEN_HTTP,
        .unix_path = daemon->admin_path,
        .private_mode = true,
        .handler = el_api_admin_http,
        .argument = daemon->api,
    };
    daemon->admin_place = (struct el_api_place){.api = daemon->api, .first_index = daemon->loops};
    struct el_rpc_options options = server_options(daemon, &daemon->admin_place, &listener, 1);
    options.loops = 1;
    return el_rpc_server_start(&options, &daemon->admin_server);
}

static struct el_status *start_public_server(struct daemon *daemon)
{
    const struct el_everlitd_flags *flags = &daemon->flags;
    struct el_listener listeners[3];
    size_t count = 0;
    size_t grpc = SIZE_MAX, rest = SIZE_MAX;
    if (flags->port != 0) {
        grpc = count;
        listeners[count++] =
            (struct el_listener){.type = EL_LISTEN_GRPC, .address = "0.0.0.0", .port = (uint16_t)flags->port};
    }
    if (*flags->grpc_socket_path != 0)
        listeners[count++] = (struct el_listener){.type = EL_LISTEN_GRPC, .unix_path = flags->grpc_socket_path};
    if (flags->rest_api_port != 0) {
        rest = count;
        listeners[count++] = (struct el_listener){.type = EL_LISTEN_HTTP,
                                                  .address = "::",
                                                  .port = (uint16_t)flags->rest_api_port,
                                                  .handler = el_api_http,
                                                  .argument = daemon->api};
    }
    daemon->public_place = (struct el_api_place){.api = daemon->api, .first_index = 0};
    struct el_rpc_options options = server_options(daemon, &daemon->public_place, listeners, count);
    options.loops = daemon->loops;
    options.max_connections = daemon->max_connections;
    options.methods = el_api_methods(daemon->api, &options.method_count);
    EL_TRY(el_rpc_server_start(&options, &daemon->public_server));
    const uint16_t grpc_port = grpc == SIZE_MAX ? 0 : el_rpc_server_port(daemon->public_server, grpc);
    const uint16_t rest_port = rest == SIZE_MAX ? 0 : el_rpc_server_port(daemon->public_server, rest);
    el_api_set_server(daemon->api, daemon->public_server, grpc_port, rest_port);
    el_api_set_ready(daemon->api, true);
    el_log(&daemon->log, EL_LOG_INFO, "listening", el_int("grpc_port", grpc_port), el_int("rest_api_port", rest_port),
           el_str("grpc_socket_path", flags->grpc_socket_path));
    return NULL;
}

static void models_settled(void *argument)
{
    struct daemon *daemon = argument;
    if (daemon->ending)
        return;
    struct el_status *status = start_public_server(daemon);
    if (status == NULL) {
        el_reload_start(daemon->reload);
        return;
    }
    daemon->exit_status = failed(status);
    end(daemon);
}

static void swap_changed(void *argument)
{
    struct daemon *daemon = argument;
    el_api_notify(daemon->api);
    el_reload_look(daemon->reload);
}

static void watch_signal(struct daemon *daemon, uv_signal_t *handle, int number, uv_signal_cb callback)
{
    uv_signal_init(&daemon->loop, handle);
    handle->data = daemon;
    uv_signal_start(handle, callback, number);
}

static struct el_status *build(struct daemon *daemon, const struct el_config *config)
{
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    daemon->loops = daemon->flags.event_loops > 0 ? (uint32_t)daemon->flags.event_loops
                    : cpus > 16                   ? 16
                    : cpus > 1                    ? (uint32_t)cpus
                                                  : 1;
    const struct el_workers_options workers_options = {
        .uv_loop = &daemon->loop,
        .log = &daemon->log,
        .tags = daemon->flags.saved_model_tags,
        .loops = daemon->loops + 2, /* one more for the admin socket, one for the swapper itself */
    };
    if (*daemon->flags.monitoring_config_file != 0)
        EL_TRY(el_monitoring_read(daemon->flags.monitoring_config_file, &daemon->monitoring_path));
    EL_TRY(el_workers_new(&workers_options, &daemon->workers));
    const struct el_swap_options swap_options = {
        .uv_loop = &daemon->loop,
        .log = &daemon->log,
        .workers = daemon->workers,
        .config = config,
        .poll_wait_ms = (int64_t)daemon->flags.file_system_poll_wait_seconds * 1000,
        .max_concurrent_loads = (uint32_t)daemon->flags.max_concurrent_loads,
        .completions_index = daemon->loops + 1,
    };
    EL_TRY(el_swap_new(&swap_options, &daemon->swap));
    const struct el_reload_options reload_options = {
        .uv_loop = &daemon->loop,
        .log = &daemon->log,
        .swap = daemon->swap,
        .config = config,
        .flags = &daemon->flags,
    };
    EL_TRY(el_reload_new(&reload_options, &daemon->reload));
    const struct el_api_options api_options = {
        .swap = daemon->swap,
        .workers = daemon->workers,
        .log = &daemon->log,
        .rest_timeout_ms =
            daemon->flags.rest_api_timeout_in_ms > 0 ? (uint32_t)daemon->flags.rest_api_timeout_in_ms : 0,
        .monitoring_path = daemon->monitoring_path,
        .allow_origins = daemon->flags.rest_api_enable_cors_support,
        .check_method_names = daemon->flags.enable_signature_method_name_check,
        .reload = el_reload_ask,
        .reload_argument = daemon->reload,
    };
    EL_TRY(el_api_new(&api_options, &daemon->api));
    struct el_status *status = start_admin_server(daemon);
    if (status != NULL) {
        /* The server can do without: models are answered, only `everlit` cannot reach it. */
        log_status(daemon, EL_LOG_WARNING, "no_admin_socket", status);
        el_status_free(status);
        free(daemon->admin_path);
        daemon->admin_path = NULL;
    }
    return NULL;
}

static void tear_down(struct daemon *daemon)
{
    el_reload_free(daemon->reload);
    if (daemon->api != NULL)
        el_api_free(daemon->api);
    if (daemon->swap != NULL)
        el_swap_free(daemon->swap);
    if (daemon->workers != NULL)
        el_workers_free(daemon->workers);
    uv_walk(&daemon->loop, close_handle, NULL);
    while (uv_run(&daemon->loop, UV_RUN_ONCE) != 0)
        continue;
    uv_loop_close(&daemon->loop);
    if (daemon->admin_path != NULL)
        unlink(daemon->admin_path);
    free(daemon->admin_path);
    free(daemon->monitoring_path);
}

static struct el_status *serve(struct daemon *daemon, const struct el_config *config)
{
    const int error = uv_loop_init(&daemon->loop);
    if (error != 0)
        return el_status_new(EL_INTERNAL, "no event loop: %s", uv_strerror(error));
    watch_signal(daemon, &daemon->on_term, SIGTERM, on_end_signal);
    watch_signal(daemon, &daemon->on_int, SIGINT, on_end_signal);
    watch_signal(daemon, &daemon->on_hup, SIGHUP, on_reload_signal);
    struct el_status *status = build(daemon, config);
    if (status != NULL)
        return status; /* the process ends, and all that was begun with it */
    el_log(&daemon->log, EL_LOG_INFO, "starting", el_str("version", EVERLIT_VERSION), el_int("pid", getpid()),
           el_int("models", (int64_t)config->model_count),
           el_str("admin_socket", daemon->admin_path == NULL ? "none" : daemon->admin_path));
    el_swap_on_event(daemon->swap, swap_changed, daemon);
    el_swap_on_settled(daemon->swap, models_settled, daemon);
    el_swap_start(daemon->swap);
    uv_run(&daemon->loop, UV_RUN_DEFAULT);
    el_log(&daemon->log, EL_LOG_INFO, "stopped", el_int("exit_status", daemon->exit_status));
    tear_down(daemon);
    return NULL;
}

/*
 * Raises the limit of open files as far as it goes, and leaves connections only a part of it: however many clients
 * come, a version can still be swapped and a dead worker replaced. Returns the number of connections.
 */
static uint32_t share_out_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return MOST_CONNECTIONS;
    const rlim_t before = files.rlim_cur;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        files.rlim_cur = before;
    const rlim_t kept = files.rlim_cur / 2 < FILES_KEPT ? files.rlim_cur - files.rlim_cur / 2 : FILES_KEPT;
    const rlim_t rest = files.rlim_cur - kept;
    return rest > MOST_CONNECTIONS ? MOST_CONNECTIONS : rest > 0 ? (uint32_t)rest : 1;
}

static void warn_of_flags(const struct daemon *daemon, const struct el_flag table[EL_EVERLITD_FLAGS])
{
    for (size_t i = 0; i < EL_EVERLITD_FLAGS; i++) {
        if (table[i].given && table[i].without_effect != NULL)
            el_log(&daemon->log, EL_LOG_WARNING, "flag_without_effect", el_str("flag", table[i].name),
                   el_str("reason", table[i].without_effect));
    }
}

int main(int count, char **arguments)
{
    /* A worker's tables (700 kB and more, mostly untouched) come and go with each swap. By default the C library raises this
     * limit after the first is freed, and from then on clears them and keeps them: 3 MB more after ten swaps. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    struct daemon daemon = {0};
    struct el_flag table[EL_EVERLITD_FLAGS];
    struct el_status *status = el_everlitd_flags_parse(count, arguments, &daemon.flags, table);
    if (status != NULL)
        return failed(status);
    if (daemon.flags.help) {
        el_everlitd_flags_print(stdout);
        return 0;
    }
    if (daemon.flags.version) {
        printf("everlitd %s\n", EVERLIT_VERSION);
        return 0;
    }
    daemon.log = (struct el_log){
        .fd = STDERR_FILENO, .least = daemon.flags.log_level_value, .format = daemon.flags.log_format_value};
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the version that needs more, not our death */
    daemon.max_connections = share_out_files();
    warn_of_flags(&daemon, table);
    struct el_config config;
    status = el_everlitd_config(&daemon.flags, &config);
    if (status != NULL)
        return failed(status);
    status = serve(&daemon, &config);
    el_config_free(&config);
    if (status != NULL)
        return failed(status);
    uv_library_shutdown();
    return daemon.exit_status;
}
