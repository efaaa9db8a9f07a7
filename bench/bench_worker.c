/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the way to a worker costs: round trips with the test engine, which does next to nothing.
 *
 *     bench_worker [--helper everlit-worker] [--engine-dir DIR] [--engine NAME] [--model DIR] [--seconds N] [--inside]
 *
 * Prints the cost of the direct call of the engine in this process; then, through a worker, one call at a time (p50,
 * p99), one at a time with a pause between calls, and the throughput at 16 in flight.
 */

#include "base/clock.h"
#include "base/histogram.h"
#include "worker/engine_open.h"
#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct bench {
    uv_loop_t loop;
    struct el_workers *workers;
    struct el_completions *completions;
    struct el_worker *worker;
    uint32_t signature;
    struct el_shape shape;
    bool loaded, gone, stop;
    uint64_t end_ns;
    uint64_t pause_ns;
    uint64_t calls;
    uint64_t failed;
    unsigned in_flight;
    struct el_histogram latency;
    uv_timer_t timer;
};

struct lane {
    struct bench *bench;
    uint64_t began_ns;
};

static void die(struct el_status *status)
{
    if (status == NULL)
        return;
    fprintf(stderr, "bench_worker: %s\n", el_status_text(status));
    exit(1);
}

static void on_event(struct el_worker *worker, const struct el_worker_event *event, void *argument)
{
    struct bench *bench = argument;
    (void)worker;
    if (event->type == EL_WORKER_LOADED)
        bench->loaded = true;
    else if (event->type == EL_WORKER_GONE)
        bench->gone = true;
    else
        die(el_status_copy(event->status));
}

static void send_one(struct lane *lane);

static void on_done(struct el_call *call, const struct el_status *status, void *argument)
{
    struct lane *lane = argument;
    struct bench *bench = lane->bench;
    const uint64_t now = el_now_ns();
    el_histogram_record(&bench->latency, now - lane->began_ns);
    bench->calls++;
    bench->failed += status != NULL;
    el_call_end(call);
    bench->in_flight--;
    if (now >= bench->end_ns) {
        bench->stop = true;
        return;
    }
    if (bench->pause_ns == 0) {
        send_one(lane);
        return;
    }
    /* The pause is what a client and the network take: the loop is free, then a request comes. */
    const uint64_t until = now + bench->pause_ns;
    while (el_now_ns() < until)
        continue;
    send_one(lane);
}

static void send_one(struct lane *lane)
{
    struct bench *bench = lane->bench;
    lane->began_ns = el_now_ns();
    struct el_call *call;
    die(el_call_begin(bench->worker, bench->completions, bench->signature, &call));
    void *data;
    size_t size;
    die(el_tensor_bytes(EL_FLOAT, &bench->shape, &size));
    die(el_call_input(call, 0, EL_FLOAT, &bench->shape, size, &data));
    memset(data, 0, size);
    die(el_call_submit(call, (const uint32_t[]){ 0 }, 1, lane->began_ns + 10 * EL_NS_PER_S, on_done, lane));
    bench->in_flight++;
}

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void measure(struct bench *bench, const char *name, unsigned width, uint64_t pause_ns, double seconds)
{
    struct lane lanes[64];
    memset(&bench->latency, 0, sizeof bench->latency);
    bench->calls = 0;
    bench->failed = 0;
    bench->stop = false;
    bench->pause_ns = pause_ns;
    const uint64_t start = el_now_ns();
    const double cpu = cpu_seconds();
    bench->end_ns = start + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < width; i++) {
        lanes[i].bench = bench;
        send_one(&lanes[i]);
    }
    while (bench->in_flight > 0)
        uv_run(&bench->loop, UV_RUN_ONCE);
    const double took = (double)(el_now_ns() - start) / 1e9;
    printf("%-34s %9.0f calls/s  p50 %7.1f µs  p99 %7.1f µs  max %8.1f µs  front CPU %3.0f %%  failed %llu\n", name,
           (double)bench->calls / took, (double)el_histogram_quantile(&bench->latency, 0.5) / 1e3,
           (double)el_histogram_quantile(&bench->latency, 0.99) / 1e3,
           (double)atomic_load(&bench->latency.max_ns) / 1e3, (cpu_seconds() - cpu) / took * 100,
           (unsigned long long)bench->failed);
}

/* ---- the engine without anything around it ---- */

static _Alignas(64) char direct_output[1 << 20];

static void *direct_memory(void *host, const struct everlit_tensor *tensor)
{
    (void)host;
    return tensor->size <= sizeof direct_output ? direct_output : NULL;
}

static void measure_direct(const struct bench *bench, const char *engine_dir, const char *name, const char *model)
{
    struct el_engine *engine;
    die(el_engine_open(engine_dir, name, &engine));
    const char *tags[] = { "serve" };
    const struct everlit_open_options options = { .struct_size = sizeof options,
                                                  .path = model,
                                                  .tags = tags,
                                                  .tag_count = 1,
                                                  .concurrency = 1,
                                                  .precision = "f32",
                                                  .scratch_path = "/tmp" };
    struct everlit_error error = { .text = "" };
    void *opened;
    if (engine->table->open(&options, &opened, &error) != 0)
        die(el_status_new(EL_INTERNAL, "%s", error.text));
    size_t size;
    die(el_tensor_bytes(EL_FLOAT, &bench->shape, &size));
    void *data = aligned_alloc(64, (size + 63) / 64 * 64);
    if (data == NULL) {
        die(el_status_no_memory());
        return;
    }
    memset(data, 0, size);
    struct everlit_tensor input = { .dtype = EL_FLOAT, .rank = bench->shape.rank, .data = data, .size = size };
    memcpy(input.dims, bench->shape.dims, sizeof input.dims);
    const uint32_t outputs[] = { 0 };
    const struct everlit_run run = { .struct_size = sizeof run,
                                     .signature = bench->signature,
                                     .inputs = &input,
                                     .input_count = 1,
                                     .outputs = outputs,
                                     .output_count = 1,
                                     .deadline_ns = EL_NEVER_NS,
                                     .output = direct_memory };
    static struct el_histogram latency;
    for (int i = 0; i < 20000; i++) {
        const uint64_t start = el_now_ns();
        if (engine->table->run(opened, &run, &error) != 0)
            die(el_status_new(EL_INTERNAL, "%s", error.text));
        el_histogram_record(&latency, el_now_ns() - start);
    }
    printf("%-34s %9s           p50 %7.1f µs  p99 %7.1f µs\n", "engine called directly", "",
           (double)el_histogram_quantile(&latency, 0.5) / 1e3, (double)el_histogram_quantile(&latency, 0.99) / 1e3);
    engine->table->close(opened);
    free(data);
    el_engine_release(engine);
}

static void on_closed(void *argument)
{
    (void)argument;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    const char *helper = NULL;
    const char *engine_dir = NULL;
    const char *engine = "test";
    const char *model = "/nowhere";
    double seconds = 2;
    enum el_isolation isolation = EL_ISOLATION_PROCESS;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--helper") == 0)
            helper = value, i++;
        else if (strcmp(argv[i], "--engine-dir") == 0)
            engine_dir = value, i++;
        else if (strcmp(argv[i], "--engine") == 0)
            engine = value, i++;
        else if (strcmp(argv[i], "--model") == 0)
            model = value, i++;
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds = strtod(value, NULL), i++;
        else if (strcmp(argv[i], "--inside") == 0)
            isolation = EL_ISOLATION_NONE;
    }
    uv_loop_init(&bench.loop);
    const struct el_log log = { .fd = 2, .least = EL_LOG_WARNING };
    const struct el_workers_options shared = {
        .uv_loop = &bench.loop, .log = &log, .helper_path = helper, .engine_dir = engine_dir, .loops = 1
    };
    die(el_workers_new(&shared, &bench.workers));
    die(el_completions_new(bench.workers, 0, &bench.loop, &bench.completions));
    const struct el_worker_options options = {
        .model = "bench", .version = 1, .path = model, .engine = engine, .isolation = isolation
    };
    die(el_worker_start(bench.workers, &options, on_event, &bench, &bench.worker));
    while (!bench.loaded)
        uv_run(&bench.loop, UV_RUN_ONCE);
    const struct el_signature *signature = el_signatures_find(el_worker_signatures(bench.worker), "", 0,
                                                              &bench.signature);
    if (signature == NULL || signature->inputs[0].shape.rank < 1) {
        fputs("bench_worker: the model has no serving_default with one float input\n", stderr);
        return EXIT_FAILURE;
    }
    bench.shape = signature->inputs[0].shape;
    for (int32_t d = 0; d < bench.shape.rank; d++)
        if (bench.shape.dims[d] < 0)
            bench.shape.dims[d] = 1;
    if (engine_dir != NULL)
        measure_direct(&bench, engine_dir, engine, model);
    measure(&bench, "warm-up", 1, 0, 0.2);
    measure(&bench, "one at a time", 1, 0, seconds);
    measure(&bench, "one at a time, 20 µs between", 1, 20000, seconds);
    measure(&bench, "one at a time, 100 µs between", 1, 100000, seconds);
    measure(&bench, "one at a time, 1 ms between", 1, 1000000, seconds);
    measure(&bench, "4 in flight", 4, 0, seconds);
    measure(&bench, "16 in flight", 16, 0, seconds);
    const double cpu = cpu_seconds();
    bench.stop = false;
    uv_timer_init(&bench.loop, &bench.timer);
    sleep(1);
    printf("idle for 1 s: front CPU %.2f %%\n", (cpu_seconds() - cpu) * 100);
    uv_close((uv_handle_t *)&bench.timer, NULL);
    el_worker_stop(bench.worker, 1000);
    while (!bench.gone)
        uv_run(&bench.loop, UV_RUN_ONCE);
    el_worker_free(bench.worker);
    el_completions_close(bench.completions, on_closed, NULL);
    el_workers_free(bench.workers);
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&bench.loop) == 0 ? 0 : 1;
}
