/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlitd_flags.h"

#include "cmd/flags.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

#define MODELS "Models"
#define NETWORK "Network"
#define SWAPPING "Swapping"
#define OPERATION "Operation"

static const struct el_everlitd_flags defaults = {
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
    .max_concurrent_loads = 1,
    .event_loops = 0,
    .shutdown_grace_ms = 30000,
    .max_message_bytes = INT32_MAX,
    .admin_socket = "",
    .log_format = "text",
    .log_level = "info",
};

/* Fills table with every flag, its value in f; returns how many there are. */
#define FLAG_COUNT 19
static void make_table(struct el_everlitd_flags *f, struct el_flag table[FLAG_COUNT])
{
    const struct el_flag all[FLAG_COUNT] = {
        {MODELS, "model_config_file", EL_FLAG_STRING, &f->model_config_file,
         "The models to serve, as text-format ModelServerConfig. SIGHUP reads it again."},
        {MODELS, "model_base_path", EL_FLAG_STRING, &f->model_base_path,
         "One model instead of a config file: the directory that holds its versions, e.g. /models/digits. Absolute."},
        {MODELS, "model_name", EL_FLAG_STRING, &f->model_name, "The name of that one model."},
        {MODELS, "engine", EL_FLAG_STRING, &f->engine,
         "Engine of that one model: auto, tensorflow or openvino. auto: OpenVINO where it agrees with TensorFlow."},
        {MODELS, "isolation", EL_FLAG_STRING, &f->isolation,
         "Where that one model runs: process (each version in its own) or none (inside the server)."},
        {NETWORK, "port", EL_FLAG_INT32, &f->port, "TCP port of gRPC. 0: none (then --grpc_socket_path is required)."},
        {NETWORK, "rest_api_port", EL_FLAG_INT32, &f->rest_api_port, "TCP port of REST and /metrics. 0: none."},
        {NETWORK, "grpc_socket_path", EL_FLAG_STRING, &f->grpc_socket_path, "A Unix socket for gRPC, beside the port."},
        {NETWORK, "rest_api_timeout_in_ms", EL_FLAG_INT32, &f->rest_api_timeout_in_ms,
         "The time that a REST inference may take. 0 or less: no limit."},
        {NETWORK, "max_message_bytes", EL_FLAG_INT64, &f->max_message_bytes,
         "The largest request message or body. A larger one is refused with RESOURCE_EXHAUSTED or 413."},
        {NETWORK, "event_loops", EL_FLAG_INT32, &f->event_loops, "Threads for connections. 0: one per CPU, at most 16."},
        {SWAPPING, "file_system_poll_wait_seconds", EL_FLAG_INT32, &f->file_system_poll_wait_seconds,
         "Seconds between looks for new versions; changes that the file system reports are seen at once. 0: look once; "
         "negative: never."},
        {SWAPPING, "max_concurrent_loads", EL_FLAG_INT32, &f->max_concurrent_loads,
         "Versions that may load at the same time, over all models."},
        {OPERATION, "admin_socket", EL_FLAG_STRING, &f->admin_socket,
         "The Unix socket that the command everlit talks to. Default: $EVERLIT_SOCKET, /run/everlit/everlit.sock, "
         "$XDG_RUNTIME_DIR/everlit.sock or /tmp/everlit-UID.sock. none: no socket."},
        {OPERATION, "shutdown_grace_ms", EL_FLAG_INT32, &f->shutdown_grace_ms,
         "After SIGTERM, the time that running requests may take. A second SIGTERM ends at once."},
        {OPERATION, "log_format", EL_FLAG_STRING, &f->log_format, "text or json, one line per event, on stderr."},
        {OPERATION, "log_level", EL_FLAG_STRING, &f->log_level, "debug, info, warning or error."},
        {OPERATION, "version", EL_FLAG_BOOL, &f->version, "Print the version and exit."},
        {OPERATION, "help", EL_FLAG_BOOL, &f->help, "Print this text and exit."},
    };
    memcpy(table, all, sizeof all);
}

static struct el_status *one_of(const char *flag, const char *value, const char *const *words, size_t count, size_t *which)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(value, words[i]) == 0) {
            *which = i;
            return NULL;
        }
    }
    char expected[128] = "";
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            strncat(expected, i + 1 < count ? ", " : " or ", sizeof expected - strlen(expected) - 1);
        strncat(expected, words[i], sizeof expected - strlen(expected) - 1);
    }
    return el_status_new(EL_INVALID_ARGUMENT, "--%s: expected %s, found \"%s\"", flag, expected, value);
}

static struct el_status *in_range(const char *flag, int64_t value, int64_t least, int64_t most)
{
    if (value < least || value > most)
        return el_status_new(EL_INVALID_ARGUMENT, "--%s: expected a number from %lld to %lld, found %lld", flag,
                             (long long)least, (long long)most, (long long)value);
    return NULL;
}

static struct el_status *check(struct el_everlitd_flags *flags)
{
    static const char *const formats[] = {"text", "json"};
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    static const char *const isolations[] = {"process", "none"};
    size_t which = 0;
    EL_TRY(one_of("log_format", flags->log_format, formats, 2, &which));
    flags->log_format_value = which == 0 ? EL_LOG_TEXT : EL_LOG_JSON;
    EL_TRY(one_of("log_level", flags->log_level, levels, 4, &which));
    flags->log_level_value = (enum el_log_level)which;
    if (*flags->isolation != 0)
        EL_TRY(one_of("isolation", flags->isolation, isolations, 2, &which));
    EL_TRY(in_range("port", flags->port, 0, UINT16_MAX));
    EL_TRY(in_range("rest_api_port", flags->rest_api_port, 0, UINT16_MAX));
    EL_TRY(in_range("event_loops", flags->event_loops, 0, EL_MAX_LOOPS - 1));
    EL_TRY(in_range("max_concurrent_loads", flags->max_concurrent_loads, 1, 64));
    EL_TRY(in_range("shutdown_grace_ms", flags->shutdown_grace_ms, 0, INT32_MAX));
    EL_TRY(in_range("max_message_bytes", flags->max_message_bytes, 1024, INT32_MAX));
    if (flags->port == 0 && *flags->grpc_socket_path == 0)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set.");
    if (flags->port != 0 && flags->port == flags->rest_api_port)
        return el_status_new(EL_INVALID_ARGUMENT, "--port and --rest_api_port are both %d: gRPC and REST need a port each",
                             flags->port);
    if (*flags->model_base_path == 0 && *flags->model_config_file == 0)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "Both server_options.model_base_path and server_options.model_config_file are empty!");
    if (*flags->model_config_file != 0 && (*flags->engine != 0 || *flags->isolation != 0))
        return el_status_new(EL_INVALID_ARGUMENT, "--engine and --isolation are for --model_base_path: in %s say "
                             "update { engine: \"...\" isolation: \"...\" } in the model's config",
                             flags->model_config_file);
    return NULL;
}

struct el_status *el_everlitd_flags_parse(int count, char **arguments, struct el_everlitd_flags *flags)
{
    struct el_flag table[FLAG_COUNT];
    *flags = defaults;
    make_table(flags, table);
    EL_TRY(el_flags_parse(table, FLAG_COUNT, count, arguments));
    if (flags->help || flags->version)
        return NULL;
    return check(flags);
}

void el_everlitd_flags_print(FILE *out)
{
    struct el_everlitd_flags flags = defaults;
    struct el_flag table[FLAG_COUNT];
    make_table(&flags, table);
    fprintf(out, "everlitd: serves TensorFlow SavedModels and swaps their versions under traffic.\n\n"
                 "  everlitd --model_name=digits --model_base_path=/models/digits --rest_api_port=8501\n"
                 "  everlitd --model_config_file=/models/models.config --rest_api_port=8501\n");
    el_flags_print(table, FLAG_COUNT, out);
}

static struct el_status *replace(char **text, const char *value)
{
    if (*value == 0)
        return NULL;
    char *copy = strdup(value);
    if (copy == NULL)
        return el_status_no_memory();
    free(*text);
    *text = copy;
    return NULL;
}

struct el_status *el_everlitd_config(const struct el_everlitd_flags *flags, struct el_config *config)
{
    if (*flags->model_config_file != 0)
        return el_config_read(flags->model_config_file, config);
    EL_TRY(el_config_single(flags->model_name, flags->model_base_path, config));
    struct el_status *status = replace(&config->models[0].update.engine, flags->engine);
    if (status == NULL)
        status = replace(&config->models[0].update.isolation, flags->isolation);
    if (status != NULL)
        el_config_free(config);
    return status;
}
