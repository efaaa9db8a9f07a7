/* SPDX-License-Identifier: Apache-2.0 */
#include "test_engine_support.h"

#include "base/buf.h"
#include "tensor/tensor.h"

#include <dlfcn.h>
#include <math.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- the plug-in ---- */

void plugin_load(struct plugin *plugin, const char *path)
{
    plugin->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin->library == NULL)
        fail_msg("%s", dlerror());
    union {
        void *symbol;
        const struct everlit_engine *(*get)(uint32_t);
    } entry = { .symbol = dlsym(plugin->library, "everlit_engine_get") };
    assert_non_null(entry.symbol);
    assert_null(entry.get(EVERLIT_ENGINE_MAJOR + 1));
    plugin->engine = entry.get(EVERLIT_ENGINE_MAJOR);
    assert_non_null(plugin->engine);
    assert_int_equal(plugin->engine->major, EVERLIT_ENGINE_MAJOR);
    assert_true(plugin->engine->struct_size >= sizeof(struct everlit_engine));
    struct everlit_error error;
    assert_int_equal(plugin->engine->start(&error), 0);
    snprintf(plugin->scratch, sizeof plugin->scratch, "/tmp/everlit-test-XXXXXX");
    assert_non_null(mkdtemp(plugin->scratch));
}

/* The engine's library stays loaded: what it leaves behind in threads of its own may not outlive its code. */
void plugin_unload(struct plugin *plugin)
{
    if (plugin->engine == NULL)
        return; /* it could not be loaded, which has been said */
    plugin->engine->stop();
    assert_int_equal(rmdir(plugin->scratch), 0); /* what was made in it is gone */
}

void *plugin_open(const struct plugin *plugin, const char *path, uint32_t concurrency, int *code,
                  struct everlit_error *error)
{
    static const char *const tags[] = { "serve" };
    const struct everlit_open_options options = {
        .struct_size = sizeof options,
        .path = path,
        .tags = tags,
        .tag_count = 1,
        .concurrency = concurrency,
        .scratch_path = plugin->scratch,
    };
    void *model = NULL;
    error->text[0] = '\0';
    *code = plugin->engine->open(&options, &model, error);
    return *code == 0 ? model : NULL;
}

void *plugin_open_good(const struct plugin *plugin, const char *path, uint32_t concurrency)
{
    struct everlit_error error;
    int code;
    void *model = plugin_open(plugin, path, concurrency, &code, &error);
    if (code != 0)
        fail_msg("open %s: %d %s", path, code, error.text);
    assert_non_null(model);
    return model;
}

const struct everlit_signature *plugin_signature(const struct plugin *plugin, void *model, const char *name,
                                                 uint32_t *index)
{
    const struct everlit_signature *list;
    uint32_t count;
    struct everlit_error error;
    assert_int_equal(plugin->engine->signatures(model, &list, &count, &error), 0);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(list[i].name, name) == 0) {
            *index = i;
            return &list[i];
        }
    }
    fail_msg("there is no signature %s", name);
    return NULL;
}

/* ---- outputs ---- */

void *sink_output(void *host, const struct everlit_tensor *tensor)
{
    struct sink *sink = host;
    if (sink->refuse)
        return NULL;
    assert_true(sink->count < MAX_OUTPUTS);
    const size_t size = (size_t)tensor->size;
    void *memory = aligned_alloc(64, (size + 64) / 64 * 64);
    assert_non_null(memory);
    memset(memory, 0xa5, size);
    sink->tensors[sink->count] = *tensor;
    sink->tensors[sink->count].data = memory;
    sink->memory[sink->count++] = memory;
    return memory;
}

void sink_clear(struct sink *sink)
{
    for (uint32_t i = 0; i < sink->count; i++)
        free(sink->memory[i]);
    sink->count = 0;
}

/* ---- recorded values ---- */

static uint8_t *decode(const char *text, size_t *size)
{
    const size_t length = strlen(text);
    assert_int_equal(length % 4, 0);
    uint8_t *bytes = malloc(length / 4 * 3 + 1);
    assert_non_null(bytes);
    const int n = length == 0 ? 0 : EVP_DecodeBlock(bytes, (const uint8_t *)text, (int)length);
    assert_true(n >= 0);
    *size = (size_t)n - (length > 0 && text[length - 1] == '=') - (length > 1 && text[length - 2] == '=');
    return bytes;
}

static int32_t dtype_of(const char *name)
{
    for (int dtype = 1; dtype < 32; dtype++)
        if (strcmp(el_dtype_name((enum el_dtype)dtype), name) == 0)
            return dtype;
    fail_msg("unknown dtype %s", name);
    return 0;
}

/* Packed strings, as engine.h has them. */
static uint8_t *pack(json_t *strings, size_t *size)
{
    const size_t count = json_array_size(strings);
    struct el_buf offsets = { 0 }, bytes = { 0 };
    uint64_t offset = (count + 1) * sizeof(uint64_t);
    for (size_t i = 0; i < count; i++) {
        size_t length;
        uint8_t *element = decode(json_string_value(json_array_get(strings, i)), &length);
        el_buf_append(&offsets, &offset, sizeof offset);
        el_buf_append(&bytes, element, length);
        offset += length;
        free(element);
    }
    el_buf_append(&offsets, &offset, sizeof offset);
    el_buf_append(&offsets, bytes.data, bytes.size);
    el_buf_free(&bytes);
    assert_false(offsets.failed);
    *size = offsets.size;
    return offsets.data;
}

/* The tensor in aligned memory that the caller frees. */
static void *value_of(json_t *json, struct everlit_tensor *tensor)
{
    json_t *shape = json_object_get(json, "shape");
    json_t *strings = json_object_get(json, "strings");
    size_t size;
    uint8_t *bytes = strings != NULL ? pack(strings, &size)
                                     : decode(json_string_value(json_object_get(json, "data")), &size);
    tensor->dtype = dtype_of(json_string_value(json_object_get(json, "dtype")));
    tensor->rank = (int32_t)json_array_size(shape);
    for (int32_t i = 0; i < tensor->rank; i++)
        tensor->dims[i] = json_integer_value(json_array_get(shape, (size_t)i));
    void *memory = aligned_alloc(64, (size + 64) / 64 * 64);
    assert_non_null(memory);
    memcpy(memory, bytes, size);
    free(bytes);
    tensor->data = memory;
    tensor->size = size;
    return memory;
}

json_t *recorded_load(const char *root, const char *name)
{
    char path[1024];
    json_error_t error;
    snprintf(path, sizeof path, "%s/test/data/expected/%s.json", root, name);
    json_t *json = json_load_file(path, 0, &error);
    if (json == NULL)
        fail_msg("%s: %s", path, error.text);
    return json;
}

static uint32_t index_of(const struct everlit_tensor_info *infos, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(infos[i].name, name) == 0)
            return i;
    fail_msg("there is no input or output %s", name);
    return 0;
}

void recorded_open(const struct plugin *plugin, void *model, json_t *test, struct recorded *recorded)
{
    uint32_t signature;
    json_t *inputs = json_object_get(test, "inputs");
    const char *key;
    json_t *value;
    memset(recorded, 0, sizeof *recorded);
    recorded->name = json_string_value(json_object_get(test, "name"));
    recorded->expected = json_object_get(test, "outputs");
    recorded->signature = plugin_signature(plugin, model, json_string_value(json_object_get(test, "signature")),
                                           &signature);
    recorded->inputs = calloc(json_object_size(inputs) + 1, sizeof *recorded->inputs);
    recorded->memory = calloc(json_object_size(inputs) + 1, sizeof *recorded->memory);
    recorded->outputs = calloc(recorded->signature->output_count + 1, sizeof *recorded->outputs);
    uint32_t n = 0;
    json_object_foreach (inputs, key, value) {
        recorded->inputs[n].index = index_of(recorded->signature->inputs, recorded->signature->input_count, key);
        recorded->memory[n] = value_of(value, &recorded->inputs[n]);
        n++;
    }
    for (uint32_t i = 0; i < recorded->signature->output_count; i++)
        recorded->outputs[i] = i;
    recorded->run = (struct everlit_run){
        .struct_size = sizeof recorded->run,
        .signature = signature,
        .inputs = recorded->inputs,
        .input_count = n,
        .outputs = recorded->outputs,
        .output_count = recorded->signature->output_count,
        .deadline_ns = UINT64_MAX,
        .output = sink_output,
    };
}

void recorded_close(struct recorded *recorded)
{
    for (uint32_t i = 0; i < recorded->run.input_count; i++)
        free(recorded->memory[i]);
    free(recorded->inputs);
    free(recorded->memory);
    free(recorded->outputs);
}

int recorded_run(const struct plugin *plugin, void *model, struct recorded *recorded, struct sink *sink,
                 struct everlit_error *error)
{
    recorded->run.host = sink;
    error->text[0] = '\0';
    return plugin->engine->run(model, &recorded->run, error);
}

/* ---- comparing ---- */

static double half(uint16_t bits)
{
    const double sign = bits >> 15 ? -1 : 1;
    const int exponent = bits >> 10 & 31;
    const int fraction = bits & 1023;
    if (exponent == 31)
        return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25));
}

static double bfloat16(uint16_t bits)
{
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

static double float_at(int32_t dtype, const void *data, size_t i)
{
    switch (dtype) {
    case EL_FLOAT:
    case EL_COMPLEX64:
        return (double)((const float *)data)[i];
    case EL_DOUBLE:
    case EL_COMPLEX128:
        return ((const double *)data)[i];
    case EL_HALF:
        return half(((const uint16_t *)data)[i]);
    case EL_BFLOAT16:
        return bfloat16(((const uint16_t *)data)[i]);
    default:
        fail_msg("%d is no floating dtype", dtype);
        return 0;
    }
}

static bool close_enough(double a, double b, double tolerance)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b))
        return isinf(a) && isinf(b) && (a > 0) == (b > 0);
    return fabs(a - b) <= tolerance * (1 + fabs(b));
}

static bool same_values(const struct everlit_tensor *got, const struct everlit_tensor *want, double tolerance,
                        char *text, size_t size)
{
    if (!el_dtype_is_floating((enum el_dtype)want->dtype)) {
        if (got->size == want->size && (want->size == 0 || memcmp(got->data, want->data, want->size) == 0))
            return true;
        snprintf(text, size, "other bytes");
        return false;
    }
    const bool complex_ = want->dtype == EL_COMPLEX64 || want->dtype == EL_COMPLEX128;
    const size_t width = el_dtype_size((enum el_dtype)want->dtype) / (complex_ ? 2 : 1);
    for (size_t i = 0; i < want->size / width; i++) {
        const double a = float_at(got->dtype, got->data, i), b = float_at(want->dtype, want->data, i);
        if (!close_enough(a, b, tolerance)) {
            snprintf(text, size, "element %zu is %.9g, not %.9g", i, a, b);
            return false;
        }
    }
    return true;
}

static bool same_tensor(const struct everlit_tensor *got, json_t *json, double tolerance, char *text, size_t size)
{
    struct everlit_tensor want = { 0 };
    void *memory = value_of(json, &want);
    bool same = got->dtype == want.dtype && got->rank == want.rank && got->size == want.size;
    for (int32_t i = 0; same && i < want.rank; i++)
        same = got->dims[i] == want.dims[i];
    if (!same)
        snprintf(text, size, "dtype %d rank %d first dim %ld size %lu, not %d %d %ld %lu", got->dtype, got->rank,
                 (long)got->dims[0], (unsigned long)got->size, want.dtype, want.rank, (long)want.dims[0],
                 (unsigned long)want.size);
    same = same && same_values(got, &want, tolerance, text, size);
    free(memory);
    return same;
}

bool recorded_matches(const struct recorded *recorded, const struct sink *sink, double tolerance, char *text,
                      size_t size)
{
    if (sink->count != recorded->run.output_count) {
        snprintf(text, size, "%u outputs, not %u", sink->count, recorded->run.output_count);
        return false;
    }
    for (uint32_t i = 0; i < sink->count; i++) {
        const char *key = recorded->signature->outputs[sink->tensors[i].index].name;
        char why[200];
        if (!same_tensor(&sink->tensors[i], json_object_get(recorded->expected, key), tolerance, why, sizeof why)) {
            snprintf(text, size, "output %s: %s", key, why);
            return false;
        }
    }
    return true;
}

static void check_infos(const struct everlit_tensor_info *infos, uint32_t count, json_t *json)
{
    assert_int_equal(count, json_object_size(json));
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            assert_true(strcmp(infos[i - 1].name, infos[i].name) < 0);
        json_t *want = json_object_get(json, infos[i].name);
        assert_non_null(want);
        assert_string_equal(infos[i].tensor_name, json_string_value(json_object_get(want, "tensor")));
        assert_int_equal(infos[i].dtype, dtype_of(json_string_value(json_object_get(want, "dtype"))));
        json_t *shape = json_object_get(want, "shape");
        assert_int_equal(infos[i].rank, json_is_null(shape) ? -1 : (int)json_array_size(shape));
        for (int32_t d = 0; d < infos[i].rank; d++)
            assert_int_equal(infos[i].dims[d], json_integer_value(json_array_get(shape, (size_t)d)));
    }
}

void recorded_check_signatures(const struct plugin *plugin, void *model, json_t *root)
{
    const struct everlit_signature *list;
    uint32_t count, found = 0;
    struct everlit_error error;
    json_t *want = json_object_get(root, "signatures");
    assert_int_equal(plugin->engine->signatures(model, &list, &count, &error), 0);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            assert_true(strcmp(list[i - 1].name, list[i].name) < 0);
        if (strcmp(list[i].name, "__saved_model_init_op") == 0)
            continue;
        json_t *signature = json_object_get(want, list[i].name);
        assert_non_null(signature);
        check_infos(list[i].inputs, list[i].input_count, json_object_get(signature, "inputs"));
        check_infos(list[i].outputs, list[i].output_count, json_object_get(signature, "outputs"));
        found++;
    }
    assert_int_equal(found, json_object_size(want));
}
