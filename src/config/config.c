/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"

#include "config/logging.h"
#include "config/model.h"
#include "config/serving_types.h"
#include "config/text_file.h"
#include "config/update.h"
#include "config/wire.h"

#include <stdlib.h>
#include <string.h>

static size_t count_models(const struct el_text_value *list)
{
    size_t count = 0;
    for (const struct el_text_value *model = list; model != NULL; model = el_text_next(model))
        count++;
    return count;
}

static struct el_status *check_base_paths(const char *file, const struct el_text_value *first,
                                          const struct el_config *config)
{
    size_t i = 0;
    for (const struct el_text_value *value = first; value != NULL; value = el_text_next(value))
        EL_TRY(el_model_check_base_path(file, value, &config->models[i++]));
    return NULL;
}

static const struct el_model_config *find_model(const struct el_config *config, const char *name)
{
    for (size_t i = 0; i < config->model_count; i++)
        if (strcmp(config->models[i].name, name) == 0)
            return &config->models[i];
    return NULL;
}

/* A model that is there already keeps its platform. One that names none is for the checks that follow. */
static struct el_status *check_platforms(const char *file, const struct el_text_value *first,
                                         const struct el_config *current, const struct el_config *config)
{
    size_t i = 0;
    for (const struct el_text_value *value = first; value != NULL; value = el_text_next(value)) {
        const struct el_model_config *old = find_model(current, config->models[i++].name);
        const struct el_text_value *platform = el_text_get(value->as.message, EL_MODEL_PLATFORM);
        if (old == NULL || platform == NULL || platform->as.string.size == 0 ||
            strcmp(platform->as.string.data, old->platform) == 0)
            continue;
        struct el_status *status = el_status_new(
            EL_INVALID_ARGUMENT,
            "Illegal to change a model's platform. For model %s platform was %s and new platform "
            "requested is %s",
            old->name, old->platform, platform->as.string.data);
        return file == NULL ? status : el_status_prefix(status, "%s:%u:%u", file, platform->line, platform->column);
    }
    return NULL;
}

/* The checks go round by round over all models, as TensorFlow Serving's do: of two errors the same one is found first. */
static struct el_status *build(const char *file, const struct el_text_value *first, const struct el_config *current,
                               struct el_config *config)
{
    const size_t count = count_models(first);
    if (count == 0)
        return NULL;
    config->models = calloc(count, sizeof *config->models);
    if (config->models == NULL)
        return el_status_no_memory();
    for (const struct el_text_value *value = first; value != NULL; value = el_text_next(value)) {
        struct el_model_config *model = &config->models[config->model_count++];
        EL_TRY(el_update_defaults(&model->update));
        EL_TRY(el_model_read_names(file, value, model));
    }
    EL_TRY(el_models_check_duplicates(file, first, config));

    if (current != NULL) {
        EL_TRY(check_base_paths(file, first, config));
        EL_TRY(check_platforms(file, first, current, config));
    }

    static struct el_status *(*const rounds[])(const char *, const struct el_text_value *, struct el_model_config *) = {
        el_model_check_base_path, el_model_read_platform, el_model_read_policy,
        el_model_read_labels,     el_model_read_update,   el_model_read_logging,
    };
    for (size_t round = 0; round < sizeof rounds / sizeof rounds[0]; round++) {
        size_t i = 0;
        for (const struct el_text_value *value = first; value != NULL; value = el_text_next(value))
            EL_TRY(rounds[round](file, value, &config->models[i++]));
    }
    return NULL;
}

/* current: NULL at the start. document is taken over. */
static struct el_status *take(const char *name, struct el_text *document, const struct el_config *current,
                              struct el_config *config)
{
    struct el_status *status = NULL;
    const struct el_text_value *list = el_text_get(document->root, EL_SERVER_CONFIG_LIST);
    const struct el_text_value *custom = el_text_get(document->root, EL_SERVER_CONFIG_CUSTOM);
    if (list == NULL && current != NULL)
        status = el_status_new(EL_FAILED_PRECONDITION, "Cannot transition to requested config. It is only legal to "
                                                       "transition from one ModelConfigList to another.");
    else if (custom != NULL)
        status = el_text_error_at(name, custom, EL_UNIMPLEMENTED,
                                  "ModelServer does not yet support custom model config.");
    else if (list != NULL)
        status = build(name, el_text_get(list->as.message, EL_CONFIG_LIST_CONFIG), current, config);
    if (status != NULL)
        el_config_free(config);
    el_text_free(document);
    return status;
}

struct el_status *el_config_decode(const uint8_t *bytes, size_t size, const struct el_config *current,
                                   struct el_config *config)
{
    *config = (struct el_config){ 0 };
    struct el_text document;
    EL_TRY(el_config_wire_parse(bytes, size, &el_type_model_server_config, &document));
    const struct el_text_value *list = el_text_get(document.root, EL_SERVER_CONFIG_LIST);
    struct el_status *status = list == NULL
                                   ? el_status_new(
                                         EL_INVALID_ARGUMENT,
                                         "ServerModelConfig type not supported by HandleReloadConfigRequest. Only "
                                         "ModelConfigList is currently supported")
                                   : build(NULL, el_text_get(list->as.message, EL_CONFIG_LIST_CONFIG), current, config);
    if (status != NULL)
        el_config_free(config);
    el_text_free(&document);
    return status;
}

struct el_status *el_config_parse(const char *name, const char *text, size_t size, struct el_config *config)
{
    *config = (struct el_config){ 0 };
    struct el_text document;
    EL_TRY(el_text_parse(name, text, size, &el_type_model_server_config, &document));
    return take(name, &document, NULL, config);
}

static struct el_status *read_file(const char *path, const struct el_config *current, struct el_config *config)
{
    *config = (struct el_config){ 0 };
    struct el_text document;
    EL_TRY(el_text_read_file(path, &el_type_model_server_config, &document));
    return take(path, &document, current, config);
}

struct el_status *el_config_read(const char *path, struct el_config *config)
{
    return read_file(path, NULL, config);
}

struct el_status *el_config_reread(const char *path, const struct el_config *current, struct el_config *config)
{
    return read_file(path, current, config);
}

struct el_status *el_config_single(const char *model_name, const char *base_path, struct el_config *config)
{
    *config = (struct el_config){ .models = calloc(1, sizeof *config->models) };
    if (config->models == NULL)
        return el_status_no_memory();
    config->model_count = 1;
    struct el_model_config *model = &config->models[0];
    model->policy = (struct el_version_policy){ .type = EL_POLICY_LATEST, .latest = 1 };
    model->name = strdup(model_name);
    model->base_path = strdup(base_path);
    model->platform = strdup("tensorflow");
    struct el_status *status = el_update_defaults(&model->update);
    if (status == NULL && (model->name == NULL || model->base_path == NULL || model->platform == NULL))
        status = el_status_no_memory();
    if (status == NULL)
        status = el_model_check_base_path(NULL, NULL, model);
    if (status != NULL)
        el_config_free(config);
    return status;
}

struct el_status *el_config_copy(const struct el_config *config, struct el_config *copy)
{
    *copy = (struct el_config){ 0 };
    char *text = NULL;
    EL_TRY(el_config_print(config, &text));
    struct el_status *status = el_config_parse("config", text, strlen(text), copy);
    free(text);
    return status;
}

void el_config_free(struct el_config *config)
{
    for (size_t i = 0; i < config->model_count; i++)
        el_model_config_free(&config->models[i]);
    free(config->models);
    *config = (struct el_config){ 0 };
}
