/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/settings.h"

#include "config/batching.h"

#include <stdlib.h>
#include <string.h>

static bool copy_text(const char *from, const char *fallback, char **to)
{
    *to = strdup(from != NULL && from[0] != '\0' ? from : fallback);
    return *to != NULL;
}

static bool copy_policy(const struct el_version_policy *from, struct el_version_policy *to)
{
    *to = (struct el_version_policy){ .type = from->type, .latest = from->latest };
    if (from->version_count == 0)
        return true;
    to->versions = calloc(from->version_count, sizeof *to->versions);
    if (to->versions == NULL)
        return false;
    memcpy(to->versions, from->versions, from->version_count * sizeof *to->versions);
    to->version_count = from->version_count;
    return true;
}

static bool copy_labels(const struct el_model_config *from, struct el_model_config *to)
{
    if (from->label_count == 0)
        return true;
    to->labels = calloc(from->label_count, sizeof *to->labels);
    if (to->labels == NULL)
        return false;
    for (size_t i = 0; i < from->label_count; i++) {
        to->labels[i].version = from->labels[i].version;
        if (!copy_text(from->labels[i].label, "", &to->labels[i].label))
            return false;
        to->label_count++;
    }
    return true;
}

static bool copy_logging(const struct el_logging_config *from, struct el_logging_config *to)
{
    to->sampling_rate = from->sampling_rate;
    return from->filename_prefix == NULL || copy_text(from->filename_prefix, "", &to->filename_prefix);
}

static bool copy_batching(const struct el_batching_params *from, struct el_batching_params **to)
{
    if (from == NULL)
        return true;
    *to = calloc(1, sizeof **to);
    if (*to == NULL)
        return false;
    struct el_status *status = el_batching_copy(from, *to);
    const bool copied = status == NULL;
    el_status_free(status);
    return copied;
}

static bool copy_update(const struct el_update_config *from, struct el_update_config *to)
{
    *to = *from;
    to->engine = to->isolation = to->precision = to->availability = to->group = NULL;
    to->batching = NULL;
    return copy_batching(from->batching, &to->batching) && copy_text(from->engine, "auto", &to->engine) &&
           copy_text(from->isolation, "process", &to->isolation) && copy_text(from->precision, "f32", &to->precision) &&
           copy_text(from->availability, "availability", &to->availability) && copy_text(from->group, "", &to->group);
}

struct el_status *el_settings_copy(const struct el_model_config *from, struct el_model_config *to)
{
    *to = (struct el_model_config){ 0 };
    if (copy_text(from->name, "", &to->name) && copy_text(from->base_path, "", &to->base_path) &&
        copy_text(from->platform, "tensorflow", &to->platform) && copy_policy(&from->policy, &to->policy) &&
        copy_labels(from, to) && copy_logging(&from->logging, &to->logging) && copy_update(&from->update, &to->update))
        return NULL;
    el_settings_free(to);
    return el_status_no_memory();
}

void el_settings_free(struct el_model_config *settings)
{
    free(settings->name);
    free(settings->base_path);
    free(settings->platform);
    free(settings->policy.versions);
    for (size_t i = 0; i < settings->label_count; i++)
        free(settings->labels[i].label);
    free(settings->labels);
    free(settings->logging.filename_prefix);
    free(settings->update.engine);
    free(settings->update.isolation);
    free(settings->update.precision);
    free(settings->update.availability);
    free(settings->update.group);
    if (settings->update.batching != NULL)
        el_batching_free(settings->update.batching);
    free(settings->update.batching);
    *settings = (struct el_model_config){ 0 };
}

bool el_settings_same_source(const struct el_model_config *a, const struct el_model_config *b)
{
    return strcmp(a->base_path, b->base_path) == 0 && a->update.quiet_ms == b->update.quiet_ms;
}

static int64_t batch_threads(const struct el_update_config *update)
{
    return update->batching != NULL ? update->batching->num_batch_threads : 0;
}

bool el_settings_same_choice(const struct el_model_config *a, const struct el_model_config *b)
{
    const struct el_version_policy *x = &a->policy, *y = &b->policy;
    if (x->type != y->type || x->latest != y->latest || x->version_count != y->version_count ||
        a->label_count != b->label_count)
        return false;
    for (size_t i = 0; i < x->version_count; i++)
        if (x->versions[i] != y->versions[i])
            return false;
    for (size_t i = 0; i < a->label_count; i++)
        if (a->labels[i].version != b->labels[i].version || strcmp(a->labels[i].label, b->labels[i].label) != 0)
            return false;
    return true;
}

bool el_settings_same_worker(const struct el_model_config *a, const struct el_model_config *b)
{
    const struct el_update_config *x = &a->update, *y = &b->update;
    return strcmp(a->base_path, b->base_path) == 0 && strcmp(x->engine, y->engine) == 0 &&
           strcmp(x->isolation, y->isolation) == 0 && strcmp(x->precision, y->precision) == 0 &&
           x->concurrency == y->concurrency && x->memory_limit_bytes == y->memory_limit_bytes &&
           batch_threads(x) == batch_threads(y);
}
