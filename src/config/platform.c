/* SPDX-License-Identifier: Apache-2.0 */
#include "config/platform.h"

#include "base/buf.h"
#include "config/server_types.h"
#include "config/text_file.h"

#include <stdlib.h>
#include <string.h>

static bool is_true(const struct el_text_message *message, int32_t field)
{
    const struct el_text_value *value = el_text_get(message, field);
    return value != NULL && value->as.boolean;
}

/* TensorFlow takes a negative number for "decide yourself". */
static uint32_t threads_of(const struct el_text_message *session, int32_t field)
{
    const struct el_text_value *value = el_text_get(session, field);
    return value == NULL || value->as.integer < 0 ? 0 : (uint32_t)value->as.integer;
}

static struct el_session_threads read_threads(const struct el_text_message *session)
{
    return (struct el_session_threads){
        .intra_op = threads_of(session, EL_SESSION_INTRA_OP_THREADS),
        .inter_op = threads_of(session, EL_SESSION_INTER_OP_THREADS),
    };
}

struct el_status *el_session_config_read(const char *path, struct el_session_threads *threads)
{
    *threads = (struct el_session_threads){ 0 };
    struct el_text document;
    EL_TRY(el_text_read_file(path, &el_type_session_config, &document));
    *threads = read_threads(document.root);
    el_text_free(&document);
    return NULL;
}

static struct el_status *read_tags(const char *name, const struct el_text_message *bundle,
                                   struct el_platform_config *config)
{
    struct el_buf tags = { 0 };
    for (const struct el_text_value *tag = el_text_get(bundle, EL_BUNDLE_TAGS); tag != NULL; tag = el_text_next(tag)) {
        if (strlen(tag->as.string.data) != tag->as.string.size || strchr(tag->as.string.data, ',') != NULL) {
            el_buf_free(&tags);
            return el_text_error_at(name, tag, EL_INVALID_ARGUMENT,
                                    "a tag of saved_model_tags holds a comma or a zero byte, which no tag can have");
        }
        el_buf_printf(&tags, "%s%s", tags.size > 0 ? "," : "", tag->as.string.data);
    }
    if (tags.size == 0)
        el_buf_text(&tags, "serve");
    config->saved_model_tags = el_buf_take_text(&tags);
    return config->saved_model_tags == NULL ? el_status_no_memory() : NULL;
}

/* The value of an Int32Value; 0 where it is not given. */
static int32_t read_int32(const struct el_text_message *message, int32_t field)
{
    const struct el_text_value *wrapper = el_text_get(message, field);
    const struct el_text_value *value = wrapper == NULL ? NULL : el_text_get(wrapper->as.message, EL_WRAPPED_VALUE);
    return value == NULL ? 0 : (int32_t)value->as.integer;
}

static struct el_status *read_bundle(const char *name, const struct el_text_message *bundle,
                                     struct el_platform_config *config)
{
    const struct el_text_value *session = el_text_get(bundle, EL_BUNDLE_SESSION_CONFIG);
    const struct el_text_value *batching = el_text_get(bundle, EL_BUNDLE_BATCHING);
    const struct el_text_value *warmup = el_text_get(bundle, EL_BUNDLE_WARMUP_OPTIONS);
    if (session != NULL)
        config->threads = read_threads(session->as.message);
    if (warmup != NULL) {
        config->warmup_iterations = read_int32(warmup->as.message, EL_WARMUP_ITERATIONS);
        config->warmup_threads = read_int32(warmup->as.message, EL_WARMUP_THREADS);
    }
    config->enable_model_warmup = is_true(bundle, EL_BUNDLE_WARMUP);
    config->prefer_tflite_model = is_true(bundle, EL_BUNDLE_PREFER_TFLITE);
    config->enable_per_model_batching_parameters = is_true(bundle, EL_BUNDLE_PER_MODEL_BATCHING);
    EL_TRY(read_tags(name, bundle, config));
    if (batching != NULL) {
        EL_TRY(el_batching_from_message(name, batching->as.message, &config->batching));
        config->has_batching = true;
    }
    return NULL;
}

/* Of a map's entries with one key the last counts. */
static const struct el_text_value *find_tensorflow(const struct el_text_message *map)
{
    const struct el_text_value *found = NULL;
    for (const struct el_text_value *entry = el_text_get(map, EL_PLATFORM_CONFIGS); entry != NULL;
         entry = el_text_next(entry)) {
        const struct el_text_value *key = el_text_get(entry->as.message, EL_PLATFORM_ENTRY_KEY);
        if (key != NULL && strcmp(key->as.string.data, "tensorflow") == 0)
            found = entry;
    }
    return found;
}

static struct el_status *fill(const char *name, const struct el_text_message *map, struct el_platform_config *config)
{
    static const char expected[] = "expected platform_configs { key: \"tensorflow\" value { source_adapter_config { "
                                   "[type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] { "
                                   "legacy_config { ... } } } } }";
    const struct el_text_value *entry = find_tensorflow(map);
    if (entry == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: the platform \"tensorflow\" is missing; %s", name, expected);
    const struct el_text_value *platform = el_text_get(entry->as.message, EL_PLATFORM_ENTRY_VALUE);
    const struct el_text_value *adapter = platform == NULL
                                              ? NULL
                                              : el_text_get(platform->as.message, EL_PLATFORM_SOURCE_ADAPTER);
    if (adapter == NULL || adapter->as.message->any == NULL)
        return el_text_error_at(
            name, entry, EL_INVALID_ARGUMENT,
            "the platform \"tensorflow\" has no source_adapter_config with its type in brackets; %s", expected);
    const struct el_text_value *legacy = el_text_get(adapter->as.message->any, EL_SOURCE_ADAPTER_LEGACY);
    if (legacy == NULL)
        return el_text_error_at(name, adapter, EL_INVALID_ARGUMENT, "legacy_config is missing; %s", expected);
    return read_bundle(name, legacy->as.message, config);
}

/* document is taken over. */
static struct el_status *finish(const char *name, struct el_text *document, struct el_platform_config *config)
{
    struct el_status *status = fill(name, document->root, config);
    el_text_free(document);
    if (status != NULL)
        el_platform_config_free(config);
    return status;
}

struct el_status *el_platform_config_parse(const char *name, const char *text, size_t size,
                                           struct el_platform_config *config)
{
    *config = (struct el_platform_config){ 0 };
    struct el_text document;
    EL_TRY(el_text_parse(name, text, size, &el_type_platform_config_map, &document));
    return finish(name, &document, config);
}

struct el_status *el_platform_config_read(const char *path, struct el_platform_config *config)
{
    *config = (struct el_platform_config){ 0 };
    struct el_text document;
    EL_TRY(el_text_read_file(path, &el_type_platform_config_map, &document));
    return finish(path, &document, config);
}

void el_platform_config_free(struct el_platform_config *config)
{
    free(config->saved_model_tags);
    el_batching_free(&config->batching);
    *config = (struct el_platform_config){ 0 };
}
