/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an engine takes when nothing is in between: opens a plug-in through
 * include/everlit/engine.h as a worker does, and times run() in one thread: first
 * back to back, each run as soon as the last one ended; then at a pace, with the
 * thread asleep between two runs so that one begins every PERIOD_US. Only run()
 * itself counts. What makes the second slower is what any program pays that waits
 * between two runs: caches and branch predictors that others used meanwhile, and a
 * CPU that has just been woken.
 *
 *     engine_direct PLUGIN.so VERSION_DIR SCRATCH_DIR INPUT.f32 SECONDS PERIOD_US
 *
 * SCRATCH_DIR is empty and the caller's to remove. INPUT.f32 holds rows of float32 for the one input of
 * serving_default; one row per run, in turn. The first 200 runs warm up and do not count; each of the two takes SECONDS.
 * One line of JSON comes out:
 *
 *     {"engine": "openvino", "version": "...", "back_to_back": {"runs": 12345, "p50_us": 16.1, "p99_us": 20.3}, "paced": {...}}
 */
#include "everlit/engine.h"

#include "base/clock.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#define WARM_UP 200
#define MOST_RUNS 4000000
#define OUTPUT_ROOM 65536

struct direct {
    const struct everlit_engine *engine;
    void *model;
    const struct everlit_signature *signature;
    uint32_t signature_index;
    float *rows;
    size_t row_count;
    size_t row_bytes;
    void *room; /* where outputs land */
};

static void fail(const char *what, const char *text)
{
    fprintf(stderr, "engine_direct: %s: %s\n", what, text);
    exit(1);
}

static const struct everlit_engine *load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        fail(path, dlerror());
    void *symbol = dlsym(library, "everlit_engine_get");
    if (symbol == NULL)
        fail(path, dlerror());
    const struct everlit_engine *(*get)(uint32_t major);
    memcpy(&get, &symbol, sizeof get);
    const struct everlit_engine *engine = get(EVERLIT_ENGINE_MAJOR);
    if (engine == NULL)
        fail(path, "speaks another version of the engine interface");
    struct everlit_error error = { .text = "" };
    if (engine->start(&error) != 0)
        fail(path, error.text);
    return engine;
}

static void open_model(struct direct *direct, const char *path, const char *scratch)
{
    const char *const tags[] = { "serve" };
    const struct everlit_open_options options = { .struct_size = sizeof options,
                                                  .path = path,
                                                  .tags = tags,
                                                  .tag_count = 1,
                                                  .concurrency = 1,
                                                  .precision = "f32",
                                                  .scratch_path = scratch };
    struct everlit_error error = { .text = "" };
    const struct everlit_signature *signatures = NULL;
    uint32_t count = 0;
    if (direct->engine->open(&options, &direct->model, &error) != 0 ||
        direct->engine->signatures(direct->model, &signatures, &count, &error) != 0)
        fail(path, error.text);
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(signatures[i].name, "serving_default") == 0) {
            direct->signature = &signatures[i];
            direct->signature_index = i;
        }
    }
    if (direct->signature == NULL || direct->signature->input_count != 1 || direct->signature->inputs[0].rank != 2 ||
        direct->signature->inputs[0].dims[1] < 1 || direct->signature->output_count > EVERLIT_MAX_RANK)
        fail(path, "expected serving_default with one input of rank 2");
}

static void read_rows(struct direct *direct, const char *path)
{
    direct->row_bytes = (size_t)direct->signature->inputs[0].dims[1] * sizeof(float);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        fail(path, "cannot be read");
    const long size = ftell(file);
    direct->row_count = size < 0 ? 0 : (size_t)size / direct->row_bytes;
    const size_t bytes = direct->row_count * direct->row_bytes;
    /* Each row is copied to aligned memory before its run, outside the time that counts. */
    direct->rows = bytes == 0 ? NULL : malloc(bytes);
    if (direct->rows == NULL || fseek(file, 0, SEEK_SET) != 0 || fread(direct->rows, bytes, 1, file) != 1)
        fail(path, "holds no row");
    fclose(file);
}

static void *output(void *host, const struct everlit_tensor *tensor)
{
    const struct direct *direct = host;
    if (tensor->size > OUTPUT_ROOM || tensor->index >= direct->signature->output_count)
        return NULL;
    return (char *)direct->room + tensor->index * (size_t)OUTPUT_ROOM;
}

static uint64_t run_once(struct direct *direct, size_t turn, float *input)
{
    memcpy(input, (const char *)direct->rows + turn % direct->row_count * direct->row_bytes, direct->row_bytes);
    uint32_t outputs[EVERLIT_MAX_RANK];
    for (uint32_t i = 0; i < direct->signature->output_count; i++)
        outputs[i] = i;
    const struct everlit_tensor tensor = { .index = 0,
                                           .dtype = direct->signature->inputs[0].dtype,
                                           .rank = 2,
                                           .dims = { 1, direct->signature->inputs[0].dims[1] },
                                           .data = input,
                                           .size = direct->row_bytes };
    const struct everlit_run run = { .struct_size = sizeof run,
                                     .signature = direct->signature_index,
                                     .inputs = &tensor,
                                     .input_count = 1,
                                     .outputs = outputs,
                                     .output_count = direct->signature->output_count,
                                     .deadline_ns = EL_NEVER_NS,
                                     .host = direct,
                                     .output = output };
    struct everlit_error error = { .text = "" };
    const uint64_t start = el_now_ns();
    if (direct->engine->run(direct->model, &run, &error) != 0)
        fail("run", error.text);
    return el_now_ns() - start;
}

static int by_size(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static double us(uint64_t ns)
{
    return (double)ns / 1e3;
}

/* Sleeps until then on the monotonic clock. */
static void sleep_until(uint64_t at_ns)
{
    const struct timespec at = { .tv_sec = (time_t)(at_ns / EL_NS_PER_S), .tv_nsec = (long)(at_ns % EL_NS_PER_S) };
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
        ;
}

/* Runs for so long, one run every period_ns (0: one after the other), and writes its figures. */
static void measure(struct direct *direct, float *input, uint64_t *times_ns, const char *name, uint64_t length_ns,
                    uint64_t period_ns)
{
    const uint64_t end = el_after_ns(el_now_ns(), length_ns);
    size_t runs = 0;
    uint64_t now;
    while (runs < MOST_RUNS && ((now = el_now_ns()) < end || runs == 0)) {
        times_ns[runs] = run_once(direct, runs, input);
        runs++;
        if (period_ns != 0)
            sleep_until(now + period_ns);
    }
    qsort(times_ns, runs, sizeof *times_ns, by_size);
    printf(", \"%s\": {\"runs\": %zu, \"p50_us\": %.2f, \"p99_us\": %.2f}", name, runs, us(times_ns[runs / 2]),
           us(times_ns[runs * 99 / 100]));
}

int main(int count, char **arguments)
{
    if (count != 7) {
        fprintf(stderr, "usage: engine_direct PLUGIN.so VERSION_DIR SCRATCH_DIR INPUT.f32 SECONDS PERIOD_US\n");
        return 2;
    }
    struct direct direct = { .engine = load(arguments[1]) };
    open_model(&direct, arguments[2], arguments[3]);
    read_rows(&direct, arguments[4]);
    direct.room = aligned_alloc(64, (size_t)OUTPUT_ROOM * EVERLIT_MAX_RANK);
    float *input = aligned_alloc(64, (direct.row_bytes + 63) / 64 * 64);
    uint64_t *times_ns = malloc(MOST_RUNS * sizeof *times_ns);
    if (direct.room == NULL || input == NULL || times_ns == NULL)
        fail("memory", "there is not enough");
    const uint64_t length_ns = (uint64_t)(strtod(arguments[5], NULL) * 1e9);
    const uint64_t period_ns = (uint64_t)(strtod(arguments[6], NULL) * 1e3);

    for (size_t i = 0; i < WARM_UP; i++)
        run_once(&direct, i, input);
    printf("{\"engine\": \"%s\", \"version\": \"%s\"", direct.engine->name, direct.engine->version);
    measure(&direct, input, times_ns, "back_to_back", length_ns, 0);
    prctl(PR_SET_TIMERSLACK, 1UL); /* else each pause lasts some 50 µs longer than asked for */
    measure(&direct, input, times_ns, "paced", length_ns, period_ns);
    printf("}\n");
    direct.engine->close(direct.model);
    direct.engine->stop();
    free(direct.room);
    free(direct.rows);
    free(input);
    free(times_ns);
    return 0;
}
