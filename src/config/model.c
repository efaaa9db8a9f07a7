/* SPDX-License-Identifier: Apache-2.0 */
#include "config/model.h"

#include "config/serving_types.h"
#include "config/update.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define PLATFORM "tensorflow" /* the only one that TensorFlow Serving has built in */

/* An error about value in file, or about a model from the command line, which has no place. */
static __attribute__((format(printf, 4, 5))) struct el_status *error_at(const char *file,
                                                                        const struct el_text_value *value,
                                                                        enum el_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct el_status *status = el_status_newv(code, format, args);
    va_end(args);
    return file == NULL ? status : el_status_prefix(status, "%s:%u:%u", file, value->line, value->column);
}

static const struct el_text_value *field_of(const struct el_text_value *model, int32_t number)
{
    return el_text_get(model->as.message, number);
}

/* A copy of a string field, "" when it is not given. Text with a zero byte can be no name and no path. */
static struct el_status *copy_text(const char *file, const struct el_text_value *value, char **copy)
{
    if (value != NULL && strlen(value->as.string.data) != value->as.string.size)
        return error_at(file, value, EL_INVALID_ARGUMENT, "field \"%s\" holds a zero byte, which no %s can have",
                        value->field->name, value->field->name);
    *copy = strdup(value == NULL ? "" : value->as.string.data);
    return *copy == NULL ? el_status_no_memory() : NULL;
}

struct el_status *el_model_read_names(const char *file, const struct el_text_value *value,
                                      struct el_model_config *model)
{
    EL_TRY(copy_text(file, field_of(value, EL_MODEL_NAME), &model->name));
    EL_TRY(copy_text(file, field_of(value, EL_MODEL_BASE_PATH), &model->base_path));
    if (model->name[0] == '\0')
        return error_at(file, value, EL_INVALID_ARGUMENT,
                        "Model config has no name; expected name: \"...\", by which clients ask for it");
    return NULL;
}

struct named {
    const char *name;
    size_t index;
};

static int compare_named(const void *a, const void *b)
{
    const struct named *left = a, *right = b;
    const int names = strcmp(left->name, right->name);
    return names != 0 ? names : left->index < right->index ? -1 : left->index > right->index;
}

struct el_status *el_models_check_duplicates(const char *file, const struct el_text_value *first,
                                             const struct el_config *config)
{
    struct named *sorted = calloc(config->model_count, sizeof *sorted);
    if (sorted == NULL)
        return el_status_no_memory();
    for (size_t i = 0; i < config->model_count; i++)
        sorted[i] = (struct named){ config->models[i].name, i };
    qsort(sorted, config->model_count, sizeof *sorted, compare_named);
    size_t again = SIZE_MAX; /* the first model in the file whose name was there before */
    for (size_t i = 1; i < config->model_count; i++) {
        if (strcmp(sorted[i - 1].name, sorted[i].name) == 0 && sorted[i].index < again)
            again = sorted[i].index;
    }
    free(sorted);
    if (again == SIZE_MAX)
        return NULL;
    const struct el_text_value *value = first;
    for (size_t i = 0; i < again; i++)
        value = el_text_next(value);
    return error_at(file, field_of(value, EL_MODEL_NAME), EL_INVALID_ARGUMENT,
                    "Illegal to list model %s multiple times in config list", config->models[again].name);
}

/* The length of "scheme" in "scheme://...", as TensorFlow reads a URI; 0 when path is none. */
static size_t scheme_length(const char *path)
{
    size_t n = 0;
    while ((path[n] >= 'a' && path[n] <= 'z') || (path[n] >= 'A' && path[n] <= 'Z') ||
           (n > 0 && ((path[n] >= '0' && path[n] <= '9') || path[n] == '.')))
        n++;
    return strncmp(path + n, "://", 3) == 0 ? n : 0;
}

struct el_status *el_model_check_base_path(const char *file, const struct el_text_value *value,
                                           struct el_model_config *model)
{
    const struct el_text_value *field = value == NULL ? NULL : field_of(value, EL_MODEL_BASE_PATH);
    const struct el_text_value *place = field != NULL ? field : value;
    const size_t scheme = scheme_length(model->base_path);
    if (scheme == 4 && strncmp(model->base_path, "file", 4) == 0) {
        const char *path = model->base_path + strlen("file://");
        memmove(model->base_path, path, strlen(path) + 1);
    } else if (scheme > 0) {
        return error_at(file, place, EL_UNIMPLEMENTED,
                        "Model %s has base_path %s; Everlit reads models from directories: expected an absolute path",
                        model->name, model->base_path);
    }
    if (model->base_path[0] != '/')
        return error_at(file, place, EL_INVALID_ARGUMENT,
                        "Expected model %s to have an absolute path or URI; got base_path()=%s", model->name,
                        model->base_path);
    return NULL;
}

struct el_status *el_model_read_platform(const char *file, const struct el_text_value *value,
                                         struct el_model_config *model)
{
    const struct el_text_value *platform = field_of(value, EL_MODEL_PLATFORM);
    const struct el_text_value *type = field_of(value, EL_MODEL_TYPE);
    const bool has_platform = platform != NULL && platform->as.string.size > 0;
    const bool has_type = type != NULL && type->as.integer != 0;
    if (has_platform == has_type)
        return error_at(file, has_type ? type : value, EL_INVALID_ARGUMENT,
                        "Illegal setting %s ModelServerConfig::model_type (deprecated) %s "
                        "ModelServerConfig::model_platform, model name is %s",
                        has_type ? "both" : "neither", has_type ? "and" : "nor", model->name);
    if (has_type && type->as.integer != 1)
        return error_at(file, type, EL_INVALID_ARGUMENT,
                        "ModelServerConfig::model_type choice %" PRId64 " not supported.", type->as.integer);
    if (has_type) {
        model->platform = strdup(PLATFORM);
        return model->platform == NULL ? el_status_no_memory() : NULL;
    }
    EL_TRY(copy_text(file, platform, &model->platform));
    if (strcmp(model->platform, PLATFORM) != 0)
        return error_at(file, platform, EL_INVALID_ARGUMENT, "Model %s requests unsupported platform %s", model->name,
                        model->platform);
    return NULL;
}

static int compare_versions(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* The versions that specific names, ascending and each once. */
static struct el_status *read_specific(const char *file, const struct el_text_value *specific,
                                       struct el_model_config *model)
{
    struct el_version_policy *policy = &model->policy;
    policy->type = EL_POLICY_SPECIFIC;
    size_t count = 0;
    const struct el_text_value *first = el_text_get(specific->as.message, EL_SPECIFIC_VERSIONS);
    for (const struct el_text_value *version = first; version != NULL; version = el_text_next(version))
        count++;
    if (count == 0)
        return error_at(file, specific, EL_INVALID_ARGUMENT,
                        "No specific versions requested for servable %s.; expected specific { versions: N }",
                        model->name);
    policy->versions = calloc(count, sizeof *policy->versions);
    if (policy->versions == NULL)
        return el_status_no_memory();
    size_t i = 0;
    for (const struct el_text_value *version = first; version != NULL; version = el_text_next(version))
        policy->versions[i++] = version->as.integer;
    qsort(policy->versions, count, sizeof *policy->versions, compare_versions);
    for (i = 0; i < count; i++) {
        if (i == 0 || policy->versions[i] != policy->versions[policy->version_count - 1])
            policy->versions[policy->version_count++] = policy->versions[i];
    }
    return NULL;
}

struct el_status *el_model_read_policy(const char *file, const struct el_text_value *value,
                                       struct el_model_config *model)
{
    model->policy = (struct el_version_policy){ .type = EL_POLICY_LATEST, .latest = 1 };
    const struct el_text_value *policy = field_of(value, EL_MODEL_POLICY);
    if (policy == NULL)
        return NULL;
    const struct el_text_value *latest = field_of(policy, EL_POLICY_LATEST_FIELD);
    const struct el_text_value *specific = field_of(policy, EL_POLICY_SPECIFIC_FIELD);
    if (latest != NULL) {
        const struct el_text_value *count = field_of(latest, EL_LATEST_NUM_VERSIONS);
        if (count != NULL && count->as.count > 1) /* 0 is read as 1 */
            model->policy.latest = (uint32_t)count->as.count;
    } else if (specific != NULL) {
        return read_specific(file, specific, model);
    } else if (field_of(policy, EL_POLICY_ALL_FIELD) != NULL) {
        model->policy.type = EL_POLICY_ALL;
    }
    return NULL;
}

struct numbered_label {
    struct el_version_label label;
    size_t index;
};

static int compare_labels(const void *a, const void *b)
{
    const struct numbered_label *left = a, *right = b;
    const int names = strcmp(left->label.label, right->label.label);
    return names != 0 ? names : left->index < right->index ? -1 : left->index > right->index;
}

/* Sorts count labels by name and hands them to model; of several with one name the last of the file stays. */
static struct el_status *keep_labels(struct numbered_label *labels, size_t count, struct el_model_config *model)
{
    model->labels = calloc(count, sizeof *model->labels);
    if (model->labels == NULL)
        return el_status_no_memory();
    qsort(labels, count, sizeof *labels, compare_labels);
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && strcmp(labels[i].label.label, labels[i + 1].label.label) == 0)
            continue;
        model->labels[model->label_count++] = labels[i].label;
        labels[i].label.label = NULL;
    }
    return NULL;
}

struct el_status *el_model_read_labels(const char *file, const struct el_text_value *value,
                                       struct el_model_config *model)
{
    const struct el_text_value *first = field_of(value, EL_MODEL_LABELS);
    size_t count = 0;
    for (const struct el_text_value *entry = first; entry != NULL; entry = el_text_next(entry))
        count++;
    if (count == 0)
        return NULL;
    struct numbered_label *labels = calloc(count, sizeof *labels);
    if (labels == NULL)
        return el_status_no_memory();
    struct el_status *status = NULL;
    size_t i = 0;
    for (const struct el_text_value *entry = first; entry != NULL && status == NULL; entry = el_text_next(entry), i++) {
        const struct el_text_value *version = field_of(entry, EL_LABEL_VALUE);
        labels[i].index = i;
        labels[i].label.version = version == NULL ? 0 : version->as.integer;
        status = copy_text(file, field_of(entry, EL_LABEL_KEY), &labels[i].label.label);
    }
    if (status == NULL)
        status = keep_labels(labels, count, model);
    for (i = 0; i < count; i++)
        free(labels[i].label.label);
    free(labels);
    return status;
}

struct el_status *el_model_read_update(const char *file, const struct el_text_value *value,
                                       struct el_model_config *model)
{
    const struct el_text_value *update = field_of(value, EL_MODEL_UPDATE);
    return update == NULL
               ? NULL
               : el_update_read(file != NULL ? file : "config", model->name, update->as.message, &model->update);
}

void el_model_config_free(struct el_model_config *model)
{
    free(model->name);
    free(model->base_path);
    free(model->platform);
    free(model->policy.versions);
    for (size_t i = 0; i < model->label_count; i++)
        free(model->labels[i].label);
    free(model->labels);
    free(model->logging.filename_prefix);
    el_update_free(&model->update);
    *model = (struct el_model_config){ 0 };
}
