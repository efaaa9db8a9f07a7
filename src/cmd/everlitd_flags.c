/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlitd_flags.h"

#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

#define MOST_DRAIN_SECONDS 86400
#define MOST_LOADS 64

static struct el_status *one_of(const char *flag, const char *value, const char *const *words, size_t count,
                                size_t *which)
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
    static const char *const formats[] = { "text", "json" };
    static const char *const levels[] = { "debug", "info", "warning", "error" };
    static const char *const isolations[] = { "process", "none" };
    size_t which = 0;
    EL_TRY(one_of("log_format", flags->log_format, formats, 2, &which));
    flags->log_format_value = which == 0 ? EL_LOG_TEXT : EL_LOG_JSON;
    EL_TRY(one_of("log_level", flags->log_level, levels, 4, &which));
    flags->log_level_value = (enum el_log_level)which;
    if (*flags->isolation != 0)
        EL_TRY(one_of("isolation", flags->isolation, isolations, 2, &which));
    EL_TRY(in_range("port", flags->port, 0, UINT16_MAX));
    EL_TRY(in_range("rest_api_port", flags->rest_api_port, INT32_MIN, UINT16_MAX));
    EL_TRY(in_range("admin_port", flags->admin_port, 0, UINT16_MAX));
    if ((flags->admin_port != 0) != (*flags->admin_token_file != '\0'))
        return el_status_new(EL_INVALID_ARGUMENT,
                             "--admin_port and --admin_token_file go together: who asks there has to show the token");
    EL_TRY(in_range("event_loops", flags->event_loops, 0, EL_MAX_LOOPS - 1));
    EL_TRY(in_range("max_concurrent_loads", flags->max_concurrent_loads, 0, MOST_LOADS));
    if (flags->num_load_threads > flags->max_concurrent_loads)
        flags->max_concurrent_loads = flags->num_load_threads < MOST_LOADS ? flags->num_load_threads : MOST_LOADS;
    if (!(flags->drain_seconds >= 0 && flags->drain_seconds <= MOST_DRAIN_SECONDS))
        return el_status_new(EL_INVALID_ARGUMENT, "--drain_seconds: expected a number from 0 to %d, found %g",
                             MOST_DRAIN_SECONDS, flags->drain_seconds);
    flags->drain_ms = (uint32_t)(flags->drain_seconds * 1000);
    EL_TRY(in_range("max_message_bytes", flags->max_message_bytes, 1024, INT32_MAX));
    if (flags->port == 0 && *flags->grpc_socket_path == 0 && !(flags->rest_api_accept_grpc && flags->rest_api_port > 0))
        return el_status_new(
            EL_INVALID_ARGUMENT,
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set.");
    if (*flags->model_base_path == 0 && *flags->model_config_file == 0)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "Both server_options.model_base_path and server_options.model_config_file are empty!");
    if (*flags->model_config_file != 0 && *flags->isolation != 0)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "--isolation is for --model_base_path: in %s say "
                             "update { isolation: \"...\" } in the model's config",
                             flags->model_config_file);
    if (*flags->batching_parameters_file != 0 && !flags->enable_batching)
        return el_status_new(EL_INVALID_ARGUMENT, "server_options.batching_parameters_file is set without setting "
                                                  "server_options.enable_batching to true.");
    if (*flags->ssl_config_file != 0 && flags->ignored.use_alts_credentials)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "Either use_alts_credentials must be false or ssl_config_file must be empty.");
    if (flags->tensorflow_session_parallelism > 0 && flags->tensorflow_intra_op_parallelism > 0 &&
        flags->tensorflow_inter_op_parallelism > 0)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "Either configure server_options.tensorflow_session_parallelism or "
                             "(server_options.tensorflow_intra_op_parallelism, "
                             "server_options.tensorflow_inter_op_parallelism) separately. You cannot configure all.");
    return NULL;
}

struct el_status *el_everlitd_flags_parse(int count, char **arguments, struct el_everlitd_flags *flags,
                                          struct el_flag table[EL_EVERLITD_FLAGS], struct el_unknown *unknown)
{
    el_everlitd_flags_defaults(flags);
    el_everlitd_flags_table(flags, table);
    EL_TRY(el_flags_parse(table, EL_EVERLITD_FLAGS, count, arguments, unknown));
    if (flags->help || flags->version)
        return NULL;
    return check(flags);
}

void el_everlitd_flags_print(FILE *out)
{
    struct el_everlitd_flags flags;
    struct el_flag table[EL_EVERLITD_FLAGS];
    el_everlitd_flags_defaults(&flags);
    el_everlitd_flags_table(&flags, table);
    fprintf(out, "everlitd: serves TensorFlow SavedModels and swaps their versions under traffic.\n\n"
                 "  everlitd --model_name=digits --model_base_path=/models/digits --rest_api_port=8501\n"
                 "  everlitd --model_config_file=/models/models.config --rest_api_port=8501\n");
    el_flags_print(table, EL_EVERLITD_FLAGS, out);
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

struct el_status *el_everlitd_choose_engine(const struct el_everlitd_flags *flags, struct el_config *config)
{
    struct el_status *status = NULL;
    for (size_t i = 0; status == NULL && i < config->model_count; i++) {
        struct el_update_config *update = &config->models[i].update;
        if (update->engine == NULL || strcmp(update->engine, "auto") == 0)
            status = replace(&update->engine, flags->engine);
    }
    return status;
}

struct el_status *el_everlitd_config(const struct el_everlitd_flags *flags, struct el_config *config)
{
    struct el_status *status;
    if (*flags->model_config_file != 0) {
        EL_TRY(el_config_read(flags->model_config_file, config));
        status = el_everlitd_choose_engine(flags, config);
    } else {
        EL_TRY(el_config_single(flags->model_name, flags->model_base_path, config));
        status = el_everlitd_choose_engine(flags, config);
        if (status == NULL)
            status = replace(&config->models[0].update.isolation, flags->isolation);
    }
    if (status != NULL)
        el_config_free(config);
    return status;
}
