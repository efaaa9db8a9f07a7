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
 * answered (at most --drain_seconds), the versions' processes end, exit
 * status 0. A second signal ends at once.
 */
#include "cmd/everlitd.h"

#include "cmd/admin_token.h"
#include "cmd/reload_check.h"
#include "cmd/state_dir.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_BAD_START 255 /* TensorFlow Serving's */
#define ADMIN_GRACE_MS 2000
#define LARGE_BYTES (512 * 1024)

#define STRICT_LOOK_MS 50

/* On standard output, where TensorFlow Serving's users look for it, and in its words; and in the log. */
static int failed(const struct el_daemon *daemon, struct el_status *status)
{
    el_log(&daemon->log, EL_LOG_ERROR, "start_failed", el_str("code", el_code_name(el_status_code(status))),
           el_str("reason", el_status_text(status)));
    printf("Failed to start server. Error: %s: %s\n", el_code_name(el_status_code(status)), el_status_text(status));
    fflush(stdout);
    el_status_free(status);
    return EXIT_BAD_START;
}

/* ---- the end ---- */

static void swap_stopped(void *argument)
{
    struct el_daemon *daemon = argument;
    uv_close((uv_handle_t *)&daemon->on_term, NULL);
    uv_close((uv_handle_t *)&daemon->on_int, NULL);
    uv_close((uv_handle_t *)&daemon->on_hup, NULL);
    uv_close((uv_handle_t *)&daemon->strict, NULL);
    el_tls_file_end(&daemon->grpc_tls);
    el_tls_file_end(&daemon->rest_tls);
    uv_stop(&daemon->loop);
}

static void join_servers(uv_work_t *work)
{
    struct el_daemon *daemon = work->data;
    if (daemon->public_server != NULL)
        el_rpc_server_join(daemon->public_server);
    if (daemon->admin_server != NULL)
        el_rpc_server_join(daemon->admin_server);
}

static void servers_joined(uv_work_t *work, int status)
{
    (void)status;
    struct el_daemon *daemon = work->data;
    daemon->public_server = NULL;
    daemon->admin_server = NULL;
    el_workers_ending(daemon->workers);
    el_swap_stop(daemon->swap, swap_stopped, daemon);
}

static void end(struct el_daemon *daemon)
{
    if (daemon->ending)
        return;
    daemon->ending = true;
    el_reload_end(daemon->reload);
    el_operator_end(daemon->operator_);
    el_api_set_ready(daemon->api, false);
    el_api_set_server(daemon->api, NULL, 0, 0);
    if (daemon->public_server != NULL)
        el_rpc_server_drain(daemon->public_server, daemon->flags.drain_ms);
    if (daemon->admin_server != NULL)
        el_rpc_server_drain(daemon->admin_server, ADMIN_GRACE_MS);
    daemon->join.data = daemon;
    uv_queue_work(&daemon->loop, &daemon->join, join_servers, servers_joined);
}

static void on_end_signal(uv_signal_t *handle, int number)
{
    struct el_daemon *daemon = handle->data;
    if (daemon->ending) {
        el_log(&daemon->log, EL_LOG_WARNING, "ended_at_once", el_int("signal", number));
        if (daemon->admin_path != NULL)
            unlink(daemon->admin_path);
        _exit(128 + number);
    }
    el_log(&daemon->log, EL_LOG_INFO, "stopping", el_int("signal", number), el_int("grace_ms", daemon->flags.drain_ms));
    end(daemon);
}

/* The old parameters are needed until the swapper has the new ones. */
static void reload_batching(struct el_daemon *daemon)
{
    struct el_batching_params params;
    struct el_status *status = el_batching_read(daemon->flags.batching_parameters_file, &params);
    if (status != NULL) {
        el_log(&daemon->log, EL_LOG_ERROR, "batching_refused", el_str("reason", el_status_text(status)));
        el_status_free(status);
        return;
    }
    struct el_batching_params old = daemon->files.batching;
    daemon->files.batching = params;
    el_swap_set_batching(daemon->swap, &daemon->files.batching);
    el_batching_free(&old);
    el_log(&daemon->log, EL_LOG_INFO, "batching_reloaded", el_str("file", daemon->flags.batching_parameters_file));
}

static void on_reload_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct el_daemon *daemon = handle->data;
    if (daemon->ending)
        return;
    el_tls_file_reload(&daemon->grpc_tls);
    el_tls_file_reload(&daemon->rest_tls);
    if (*daemon->flags.model_config_file != 0)
        el_reload_file(daemon->reload);
    if (daemon->files.has_batching && !daemon->files.has_platform && *daemon->flags.batching_parameters_file != '\0')
        reload_batching(daemon);
}

/* ---- the start ---- */

static void listen_or_end(struct el_daemon *daemon)
{
    struct el_status *status = el_daemon_listen_public(daemon);
    if (status == NULL) {
        daemon->listening = true;
        el_reload_start(daemon->reload);
        return;
    }
    daemon->exit_status = failed(daemon, status);
    end(daemon);
}

static void models_settled(void *argument)
{
    struct el_daemon *daemon = argument;
    if (!daemon->ending && !daemon->flags.strict_startup)
        listen_or_end(daemon);
}

/*
 * --strict_startup, as TensorFlow Serving starts: the ports open when each model answers, and a model that cannot be loaded
 * ends the server. One of which there is no version yet is waited for.
 */
static void look_strictly(uv_timer_t *timer)
{
    struct el_daemon *daemon = timer->data;
    if (daemon->ending)
        return;
    struct el_status *status = NULL;
    const struct el_view *view = el_view_get(daemon->swap);
    const bool decided = el_startup_decided(view, &status);
    el_view_put(daemon->swap, view);
    if (!decided)
        return;
    uv_timer_stop(timer);
    if (status == NULL) {
        listen_or_end(daemon);
        return;
    }
    daemon->exit_status = failed(daemon, status);
    end(daemon);
}

static void swap_changed(void *argument)
{
    struct el_daemon *daemon = argument;
    el_api_notify(daemon->api);
    el_daemon_alert(daemon);
    el_reload_look(daemon->reload);
    el_operator_look(daemon->operator_);
}

static void watch_signal(struct el_daemon *daemon, uv_signal_t *handle, int number, uv_signal_cb callback)
{
    uv_signal_init(&daemon->loop, handle);
    handle->data = daemon;
    uv_signal_start(handle, callback, number);
}

/* --strict_labels: a label of the first config names a version that cannot answer yet. */
static struct el_status *check_first_labels(const struct el_everlitd_flags *flags, const struct el_config *config)
{
    const struct el_label_rules rules = { .any = flags->allow_version_labels_for_unavailable_models, .strict = true };
    return flags->strict_labels ? el_reload_check_labels(NULL, config, rules) : NULL;
}

/* What was remembered is read before anything starts. */
static struct el_status *open_journal(struct el_daemon *daemon, struct el_config *config)
{
    const char *directory = *daemon->flags.state_dir != '\0' ? daemon->flags.state_dir : NULL;
    if (directory != NULL)
        EL_TRY(el_state_dir_make(directory));
    const struct el_journal_options options = { .uv_loop = &daemon->loop, .log = &daemon->log, .directory = directory };
    EL_TRY(el_journal_open(&options, &daemon->journal));
    el_state_load_config(&daemon->flags, daemon->journal, &daemon->log, config, &daemon->remembered);
    if (directory == NULL)
        el_log(&daemon->log, EL_LOG_INFO, "no_state_dir",
               el_str("effect", "pins, quarantine and the last good versions are forgotten when the server ends"));
    return NULL;
}

static struct el_status *serve(struct el_daemon *daemon, struct el_config *config)
{
    const int error = uv_loop_init(&daemon->loop);
    if (error != 0)
        return el_status_new(EL_INTERNAL, "no event loop: %s", uv_strerror(error));
    EL_TRY(check_first_labels(&daemon->flags, config));
    EL_TRY(open_journal(daemon, config));
    watch_signal(daemon, &daemon->on_term, SIGTERM, on_end_signal);
    watch_signal(daemon, &daemon->on_int, SIGINT, on_end_signal);
    watch_signal(daemon, &daemon->on_hup, SIGHUP, on_reload_signal);
    struct el_status *status = el_daemon_build(daemon, config);
    if (status != NULL)
        return status; /* the process ends, and all that was begun with it */
    el_log(&daemon->log, EL_LOG_INFO, "starting", el_str("version", EVERLIT_VERSION), el_int("pid", getpid()),
           el_int("models", (int64_t)config->model_count),
           el_str("admin_socket", daemon->admin_path == NULL ? "none" : daemon->admin_path));
    el_swap_on_event(daemon->swap, swap_changed, daemon);
    el_swap_on_settled(daemon->swap, models_settled, daemon);
    uv_timer_init(&daemon->loop, &daemon->strict);
    daemon->strict.data = daemon;
    if (daemon->flags.strict_startup)
        uv_timer_start(&daemon->strict, look_strictly, 0, STRICT_LOOK_MS);
    el_swap_start(daemon->swap);
    uv_run(&daemon->loop, UV_RUN_DEFAULT);
    el_log(&daemon->log, EL_LOG_INFO, "stopped", el_int("exit_status", daemon->exit_status));
    el_daemon_tear_down(daemon);
    return NULL;
}

static void warn_of_flags(const struct el_daemon *daemon, const struct el_flag table[EL_EVERLITD_FLAGS])
{
    for (size_t i = 0; i < EL_EVERLITD_FLAGS; i++) {
        if (table[i].given && table[i].without_effect != NULL)
            el_log(&daemon->log, EL_LOG_WARNING, "flag_without_effect", el_str("flag", table[i].name),
                   el_str("reason", table[i].without_effect));
    }
}

/* Like TensorFlow Serving it goes on without them: a script written for another release of it still starts. */
static void warn_of_unknown(const struct el_daemon *daemon, const struct el_unknown *unknown)
{
    for (size_t i = 0; i < unknown->count; i++) {
        const struct el_unknown_argument *one = &unknown->arguments[i];
        printf("unknown argument: %s%s%s%s\n", one->text, one->nearest != NULL ? " (did you mean --" : "",
               one->nearest != NULL ? one->nearest : "", one->nearest != NULL ? "?)" : "");
        el_log(&daemon->log, EL_LOG_WARNING, "unknown_argument", el_str("argument", one->text),
               el_str("nearest", one->nearest != NULL ? one->nearest : ""));
    }
    fflush(stdout);
}

int main(int count, char **arguments)
{
    /* A worker's tables (700 kB and more, mostly untouched) come and go with each swap. By default the C library raises this
     * limit after the first is freed, and from then on clears them and keeps them: 3 MB more after ten swaps. */
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    struct el_daemon daemon = { .log = { .fd = STDERR_FILENO, .least = EL_LOG_INFO, .format = EL_LOG_TEXT } };
    struct el_flag table[EL_EVERLITD_FLAGS];
    struct el_unknown unknown = { 0 };
    struct el_status *status = el_everlitd_flags_parse(count, arguments, &daemon.flags, table, &unknown);
    if (status == NULL && daemon.flags.help) {
        el_everlitd_flags_print(stdout);
        return 0;
    }
    if (status == NULL && daemon.flags.version) {
        printf("everlitd %s\n", EVERLIT_VERSION);
        return 0;
    }
    if (status != NULL)
        return failed(&daemon, status);
    daemon.log.least = daemon.flags.log_level_value;
    daemon.log.format = daemon.flags.log_format_value;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the version that needs more, not our death */
    warn_of_unknown(&daemon, &unknown);
    warn_of_flags(&daemon, table);
    struct el_config config = { 0 };
    status = el_everlitd_config(&daemon.flags, &config);
    if (status == NULL)
        status = el_everlitd_files_read(&daemon.flags, &daemon.files);
    if (status == NULL)
        status = el_admin_token_read(daemon.flags.admin_token_file, &daemon.admin_token);
    if (status == NULL)
        status = el_tls_file_open(&daemon.grpc_tls, "ssl_config_file", daemon.flags.ssl_config_file, &daemon.log);
    if (status == NULL)
        status = el_tls_file_open(&daemon.rest_tls, "rest_api_ssl_config_file", daemon.flags.rest_api_ssl_config_file,
                                  &daemon.log);
    if (status != NULL) {
        el_config_free(&config);
        return failed(&daemon, status);
    }
    status = serve(&daemon, &config);
    el_config_free(&config);
    if (status != NULL) { /* its threads run: the process ends, and all that was begun with it */
        const int exit_status = failed(&daemon, status);
        el_journal_close(daemon.journal);
        _exit(exit_status);
    }
    uv_library_shutdown();
    return daemon.exit_status;
}
