/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plug-in for OpenVINO: fast and small on CPUs. It runs SavedModels as far
 * as OpenVINO's TensorFlow frontend converts them, TensorFlow Lite and ONNX.
 *
 * What OpenVINO does not do is refused when it is asked for: a signature that
 * does not convert, or that has strings, complex or quantized numbers, is listed
 * and answers UNIMPLEMENTED with the reason. Only when `serving_default` is such a
 * one, or all are, does open fail, so that the host can choose another engine; where there is none to choose, only when all are.
 *
 * Numbers: f32 unless a lower precision is asked for. OpenVINO computes double
 * as f32 and int64 as int32 inside, which is why the host compares its answers
 * with TensorFlow's before it is chosen.
 */
#include "engine/openvino.h"

#include <dlfcn.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READS (1u << EL_FORMAT_SAVED_MODEL | 1u << EL_FORMAT_TFLITE | 1u << EL_FORMAT_ONNX)

/* ---- settings ---- */

static uint32_t threads_for(const struct everlit_open_options *options, uint32_t concurrency)
{
    if (options->intra_op_threads != 0)
        return options->intra_op_threads;
    if (el_plugin_is_small(options))
        return 1;
    const uint32_t share = el_plugin_processors() / concurrency;
    return share == 0 ? 1 : share;
}

static struct el_status *settings_for(const struct everlit_open_options *options, uint32_t concurrency,
                                      struct ov_settings *settings)
{
    static const char *const known[] = { "f32", "bf16", "f16" };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(options->precision == NULL ? "f32" : options->precision, known[i]) == 0)
            settings->precision = known[i];
    if (settings->precision == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "the precision \"%s\" is unknown: f32, bf16 or f16 is expected",
                             options->precision);
    uint32_t threads;
    if (__builtin_mul_overflow(threads_for(options, concurrency), concurrency, &threads) || threads > INT_MAX)
        return el_status_new(EL_INVALID_ARGUMENT, "too many threads are asked for");
    snprintf(settings->streams, sizeof settings->streams, "%u", concurrency);
    snprintf(settings->threads, sizeof settings->threads, "%u", threads);
    return NULL;
}

/* ---- open and close ---- */

static void close_model(struct ov_engine_model *model)
{
    for (uint32_t i = 0; model->signatures != NULL && i < model->model.count; i++)
        ov_signature_close(&model->signatures[i], model->concurrency);
    free(model->signatures);
    el_buf_free(&model->graph);
    if (model->core != NULL)
        ov_core_free(model->core);
    el_plugin_model_close(&model->model);
    pthread_mutex_destroy(&model->lock);
    pthread_mutex_destroy(&model->shaping);
    free(model);
}

static struct el_status *open_signatures(struct ov_engine_model *model, const struct everlit_open_options *options)
{
    EL_TRY(settings_for(options, model->concurrency, &model->settings));
    uint32_t usable = 0;
    struct el_status *first = NULL;
    for (uint32_t i = 0; i < model->model.count; i++) {
        struct el_status *status = ov_signature_open(model, options, i);
        if (status == NULL) {
            usable++;
            continue;
        }
        const bool is_default = strcmp(model->model.signatures[i].name, "serving_default") == 0;
        if (el_status_code(status) != EL_UNIMPLEMENTED || (is_default && !model->alone)) {
            el_status_free(first);
            return status;
        }
        model->signatures[i].reason = strdup(el_status_text(status));
        if (model->signatures[i].reason == NULL) {
            el_status_free(status);
            el_status_free(first);
            return el_status_no_memory();
        }
        if (first == NULL)
            first = status;
        else
            el_status_free(status);
    }
    if (usable > 0 || first == NULL) {
        el_status_free(first);
        return usable > 0 ? NULL : el_status_new(EL_INVALID_ARGUMENT, "%s: the model has no signatures", options->path);
    }
    return first;
}

static bool is_alone(const struct everlit_open_options *options)
{
    const size_t end = offsetof(struct everlit_open_options, alone) + sizeof options->alone;
    return options->struct_size >= end && options->alone != 0;
}

static int open_engine_model(const struct everlit_open_options *options, void **opened, struct everlit_error *error)
{
    struct ov_engine_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return el_plugin_result(el_status_no_memory(), error);
    pthread_mutex_init(&model->lock, NULL);
    pthread_mutex_init(&model->shaping, NULL);
    model->alone = is_alone(options);
    model->any_shape = model->alone && el_plugin_is_small(options);
    model->concurrency = options->concurrency == 0 ? 1 : options->concurrency;
    struct el_status *status = el_plugin_model_open(options, "openvino", READS, &model->model);
    if (status == NULL)
        status = ov_status(ov_core_create(&model->core), EL_INTERNAL, "OpenVINO cannot be started");
    if (status == NULL) {
        model->signatures = calloc(model->model.count == 0 ? 1 : model->model.count, sizeof *model->signatures);
        status = model->signatures == NULL ? el_status_no_memory() : open_signatures(model, options);
    }
    if (status == NULL)
        *opened = model;
    else
        close_model(model);
    return el_plugin_result(status, error);
}

static void close_engine_model(void *opaque)
{
    close_model(opaque);
}

static int signatures(void *opaque, const struct everlit_signature **list, uint32_t *count, struct everlit_error *error)
{
    (void)error;
    const struct ov_engine_model *model = opaque;
    *list = model->model.signatures;
    *count = model->model.count;
    return 0;
}

/* OpenVINO's C API does not tell. */
static int memory(void *opaque, struct everlit_memory *answer, struct everlit_error *error)
{
    (void)opaque;
    (void)error;
    answer->host_bytes = 0;
    answer->device_bytes = 0;
    return 0;
}

/* ---- the table ---- */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#    define SANITIZED 1
#elif defined(__has_feature)
#    define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#    define SANITIZED 0
#endif

/* Loads a library that lies beside libopenvino_c.so, for good. Not finding it is no error here: OpenVINO will say so. */
static void preload(const char *directory, size_t length, const char *name, const char *version)
{
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof path, "%.*s%s%s", (int)length, directory, name, version);
    void *library = n > 0 && (size_t)n < sizeof path ? dlopen(path, RTLD_NOW | RTLD_NODELETE) : NULL;
    if (library != NULL)
        dlclose(library);
}

/*
 * Loads the two libraries that OpenVINO would load with the first model: workers that are forked later share them,
 * and save 10 to 25 ms each. They are never unloaded, because threads of theirs may live on.
 */
static int start(struct everlit_error *error)
{
    (void)error;
#if SANITIZED
    setenv("TBB_ENABLE_SANITIZERS", "1", 0); /* oneTBB then loads a library without RTLD_DEEPBIND, which they forbid */
#endif
    union {
        ov_status_e (*function)(ov_core_t **);
        const void *address;
    } known = { .function = ov_core_create };
    Dl_info info;
    if (dladdr(known.address, &info) == 0 || info.dli_fname == NULL)
        return 0;
    const char *slash = strrchr(info.dli_fname, '/');
    const char *base = slash == NULL ? info.dli_fname : slash + 1;
    const char *version = strstr(base, ".so."); /* "libopenvino_c.so.2641" */
    const size_t length = (size_t)(base - info.dli_fname);
    preload(info.dli_fname, length, "libopenvino_intel_cpu_plugin.so", "");
    preload(info.dli_fname, length, "libopenvino_tensorflow_frontend", version == NULL ? ".so" : version);
    return 0;
}

static void stop(void)
{
}

/* "2026.4.1" of "2026.4.1-22982-…". */
static void read_version(char *text, size_t size)
{
    ov_version_t version = { 0 };
    if (ov_get_openvino_version(&version) != OK || version.buildNumber == NULL) {
        snprintf(text, size, "unknown");
        return;
    }
    snprintf(text, size, "%.*s", (int)strcspn(version.buildNumber, "-"), version.buildNumber);
    ov_version_free(&version);
}

const struct everlit_engine *everlit_engine_get(uint32_t major)
{
    /* Written only here, before anybody has the table: the version is known by the library, not by the compiler. */
    static char version[64];
    static const struct everlit_engine engine = {
        .major = EVERLIT_ENGINE_MAJOR,
        .minor = EVERLIT_ENGINE_MINOR,
        .struct_size = sizeof engine,
        .name = "openvino",
        .version = version,
        .start = start,
        .open = open_engine_model,
        .signatures = signatures,
        .run = ov_engine_run,
        .cancel = ov_engine_cancel,
        .memory = memory,
        .close = close_engine_model,
        .stop = stop,
    };
    if (major != EVERLIT_ENGINE_MAJOR)
        return NULL;
    if (version[0] == '\0')
        read_version(version, sizeof version);
    return &engine;
}
