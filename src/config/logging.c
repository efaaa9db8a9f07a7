/* SPDX-License-Identifier: Apache-2.0 */
/* `logging_config { ... }` of a ModelConfig: which requests are logged, and to which files. */
#include "config/logging.h"

#include "config/print.h"
#include "config/serving_types.h"
#include "config/text_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE "tfrecord"
#define MAX_PREFIX_BYTES 3800 /* with the suffix below PATH_MAX */

static const struct el_text_value *field_of(const struct el_text_value *value, int32_t number)
{
    return value != NULL ? el_text_get(value->as.message, number) : NULL;
}

/* The bytes of a config that came over the network have no place. */
static struct el_status *refuse(const char *file, const struct el_text_value *place, const char *model,
                                const char *what)
{
    return file == NULL ? el_status_new(EL_INVALID_ARGUMENT, "model %s: %s", model, what)
                        : el_text_error_at(file, place, EL_INVALID_ARGUMENT, "model %s: %s", model, what);
}

static bool is_text(const struct el_text_value *value)
{
    return strlen(value->as.string.data) == value->as.string.size;
}

static struct el_status *read_collector(const char *file, const char *model, const struct el_text_value *logging,
                                        struct el_logging_config *config)
{
    const struct el_text_value *collector = field_of(logging, EL_LOGGING_COLLECTOR);
    const struct el_text_value *type = field_of(collector, EL_COLLECTOR_TYPE);
    const struct el_text_value *prefix = field_of(collector, EL_COLLECTOR_PREFIX);
    const char *name = type == NULL ? "" : type->as.string.data;
    if (*name != '\0' && strcmp(name, TYPE) != 0) {
        char text[256];
        snprintf(text, sizeof text,
                 "Cannot find LogCollector::Factory for type: %.100s (expected \"" TYPE "\", or none)", name);
        return refuse(file, type, model, text);
    }
    const struct el_text_value *place = prefix != NULL ? prefix : collector != NULL ? collector : logging;
    if (prefix == NULL || !is_text(prefix) || prefix->as.string.data[0] != '/' ||
        prefix->as.string.data[prefix->as.string.size - 1] == '/' || prefix->as.string.size > MAX_PREFIX_BYTES)
        return refuse(file, place, model,
                      "logging_config: expected log_collector_config { filename_prefix: \"/DIRECTORY/NAME\" }, an "
                      "absolute path to which each file's date and number are added");
    config->filename_prefix = strdup(prefix->as.string.data);
    return config->filename_prefix == NULL ? el_status_no_memory() : NULL;
}

static struct el_status *read_sampling(const char *file, const char *model, const struct el_text_value *logging,
                                       struct el_logging_config *config)
{
    const struct el_text_value *sampling = field_of(logging, EL_LOGGING_SAMPLING);
    const struct el_text_value *rate = field_of(sampling, EL_SAMPLING_RATE);
    const struct el_text_value *attributes = field_of(sampling, EL_SAMPLING_ATTRIBUTES);
    const struct el_text_value *tasks = field_of(sampling, EL_SAMPLING_TASKS);
    if ((attributes != NULL && attributes->as.integer != 0) || tasks != NULL)
        return refuse(file, tasks != NULL ? tasks : attributes, model,
                      "sampling_config: attributes and per_task_sampling_configs mean nothing here; expected "
                      "sampling_rate alone");
    config->sampling_rate = rate == NULL ? 0 : rate->as.number;
    if (!(config->sampling_rate >= 0 && config->sampling_rate <= 1))
        return refuse(file, rate, model, "sampling_config.sampling_rate: expected 0 (no request) to 1 (every request)");
    return NULL;
}

struct el_status *el_model_read_logging(const char *file, const struct el_text_value *value,
                                        struct el_model_config *model)
{
    const struct el_text_value *logging = field_of(value, EL_MODEL_LOGGING);
    if (logging == NULL)
        return NULL;
    const struct el_text_value *custom = field_of(logging, EL_LOGGING_CUSTOM);
    if (custom != NULL)
        return refuse(file, custom, model->name,
                      "custom_logging_config is for loggers that are built in; expected log_collector_config");
    EL_TRY(read_collector(file, model->name, logging, &model->logging));
    EL_TRY(read_sampling(file, model->name, logging, &model->logging));
    if (model->update.request_log_total_bytes < model->update.request_log_file_bytes)
        return refuse(file, logging, model->name,
                      "update.request_log_total_bytes is less than update.request_log_file_bytes, the size of one "
                      "file; expected at least as much");
    return NULL;
}

void el_logging_print(const struct el_logging_config *logging, struct el_buf *out)
{
    if (logging->filename_prefix == NULL)
        return;
    el_buf_text(out, "    logging_config {\n      log_collector_config { type: \"" TYPE "\" filename_prefix: ");
    el_print_string(logging->filename_prefix, out);
    el_buf_text(out, " }\n      sampling_config { sampling_rate: ");
    el_print_number(logging->sampling_rate, out);
    el_buf_text(out, " }\n    }\n");
}
