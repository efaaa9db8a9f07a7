/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load of `make bench`: asks with the requests of a file and remembers, of
 * each, when it began, how long it took and which version answered.
 *
 *     bench_load grpc|rest PORT REQUESTS CONNECTIONS RATE SECONDS LOG
 *
 * REQUESTS: bodies for the model digits, each a uint32_t with its size and then its bytes; sent in turn. RATE: per second
 * over all connections; 0: as fast as answers come. SECONDS: 0: until SIGTERM. LOG: a file to write, "-" for none: one
 * struct entry per right answer; with a name that ends in ".answer", the first answer's bytes alone, as the wire has them.
 *
 * One line of JSON comes out. Versions are those that PredictResponse.model_spec tells; REST tells none (0).
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "load/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ENTRIES (size_t)(32 << 20)

struct entry {
    uint64_t start_ns, latency_ns;
    int64_t version;
};

struct run {
    uv_loop_t loop;
    uv_signal_t terminated;
    struct el_load *load;
    struct el_load_message *bodies;
    size_t body_count;
    struct entry *entries;
    size_t entry_count, entry_room;
    uint64_t first_ns, last_ns;
    struct el_buf answer; /* the first one */
    bool grpc;
    char why[200];
};

static void fail(const char *what, const char *text)
{
    fprintf(stderr, "bench_load: %s: %s\n", what, text);
    exit(1);
}

static void must(const char *what, struct el_status *status)
{
    if (status != NULL)
        fail(what, el_status_text(status));
}

/* A field of a protobuf message: moves *at behind it. False at the end, or when it is none. */
static bool next_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        const uint8_t byte = *(*at)++;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return true;
    }
    return false;
}

/* The content of the first field `number` that is a message or a number; false if there is none. */
static bool find(const uint8_t *at, const uint8_t *end, uint64_t number, const uint8_t **content, uint64_t *value)
{
    uint64_t key;
    while (next_varint(&at, end, &key)) {
        if (((key & 7) != 0 && (key & 7) != 2) || !next_varint(&at, end, value))
            return false;
        *content = at;
        if ((key & 7) == 2) {
            if (*value > (uint64_t)(end - at))
                return false;
            at += *value;
        }
        if (key >> 3 == number)
            return true;
    }
    return false;
}

/* PredictResponse.model_spec (2) .version (2) .value (1). */
static int64_t version_of(const uint8_t *data, size_t size)
{
    const uint8_t *spec, *version, *value;
    uint64_t spec_size, version_size, number;
    if (!find(data, data + size, 2, &spec, &spec_size) || !find(spec, spec + spec_size, 2, &version, &version_size) ||
        !find(version, version + version_size, 1, &value, &number))
        return -1;
    return (int64_t)number;
}

static const char *check(void *argument, const struct el_load_answer *answer)
{
    struct run *run = argument;
    if (answer->code != (run->grpc ? 0 : 200)) {
        snprintf(run->why, sizeof run->why, "%d %s", answer->code, answer->text);
        return run->why;
    }
    const int64_t version = run->grpc ? version_of(answer->bytes, answer->size) : 0;
    if (version < 0)
        return "the answer names no version";
    if (run->answer.size == 0)
        el_buf_append(&run->answer, answer->bytes, answer->size);
    if (run->entry_count == run->entry_room && run->entry_room < MOST_ENTRIES) {
        const size_t room = run->entry_room * 2;
        struct entry *more = realloc(run->entries, room * sizeof *more);
        if (more == NULL)
            fail("memory", "there is not enough");
        run->entries = more;
        run->entry_room = room;
    }
    if (run->entry_count == run->entry_room)
        return NULL;
    const struct entry entry = { answer->start_ns, answer->latency_ns, version };
    if (run->entry_count == 0 || entry.start_ns < run->first_ns)
        run->first_ns = entry.start_ns;
    if (entry.start_ns + entry.latency_ns > run->last_ns)
        run->last_ns = entry.start_ns + entry.latency_ns;
    run->entries[run->entry_count++] = entry;
    return NULL;
}

static void read_bodies(struct run *run, const char *path, struct el_buf *file)
{
    must("requests", el_file_read(path, (size_t)256 << 20, file));
    run->bodies = calloc(file->size / sizeof(uint32_t) + 1, sizeof *run->bodies);
    if (run->bodies == NULL)
        fail("memory", "there is not enough");
    for (size_t at = 0; at < file->size;) {
        uint32_t size;
        if (file->size - at < sizeof size)
            fail(path, "ends inside a size");
        memcpy(&size, file->data + at, sizeof size);
        at += sizeof size;
        if (file->size - at < size)
            fail(path, "ends inside a body");
        run->bodies[run->body_count++] = (struct el_load_message){ file->data + at, size };
        at += size;
    }
    if (run->body_count == 0)
        fail(path, "holds no request");
}

static void write_log(const struct run *run, const char *path)
{
    const size_t length = strlen(path), suffix = strlen(".answer");
    const bool answer = length > suffix && strcmp(path + length - suffix, ".answer") == 0;
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        fail(path, "cannot be written");
    if (answer ? fwrite(run->answer.data, 1, run->answer.size, file) != run->answer.size
               : fwrite(run->entries, sizeof *run->entries, run->entry_count, file) != run->entry_count)
        fail(path, "cannot be written");
    if (fclose(file) != 0)
        fail(path, "cannot be written");
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

static void report(const struct run *run)
{
    struct el_load_summary summary;
    el_load_summary(run->load, &summary);
    const size_t n = run->entry_count;
    uint64_t *sorted = malloc((n + 1) * sizeof *sorted);
    if (sorted == NULL)
        fail("memory", "there is not enough");
    for (size_t i = 0; i < n; i++)
        sorted[i] = run->entries[i].latency_ns;
    qsort(sorted, n, sizeof *sorted, by_size);
    const double seconds = n == 0 ? 0 : (double)(run->last_ns - run->first_ns) / 1e9;
    printf("{\"answered\": %llu, \"failed\": %llu, \"per_second\": %.1f", (unsigned long long)summary.succeeded,
           (unsigned long long)summary.failed, seconds > 0 ? (double)n / seconds : 0.0);
    if (n > 0)
        printf(", \"p50_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"max_us\": %.2f", us(sorted[n / 2]),
               us(sorted[n - 1 - n / 100]), us(sorted[n - 1 - n / 1000]), us(sorted[n - 1]));
    printf("}\n");
    for (size_t i = 0; i < summary.reason_count; i++)
        fprintf(stderr, "bench_load: %llu failed: %s\n", (unsigned long long)summary.reasons[i].count,
                summary.reasons[i].text);
    free(sorted);
}

static void done(void *argument, struct el_load *load)
{
    (void)load;
    struct run *run = argument;
    uv_stop(&run->loop);
}

static void on_terminated(uv_signal_t *handle, int number)
{
    (void)number;
    el_load_stop(((struct run *)handle->data)->load);
}

int main(int count, char **arguments)
{
    if (count != 8 || (strcmp(arguments[1], "grpc") != 0 && strcmp(arguments[1], "rest") != 0)) {
        fprintf(stderr, "usage: bench_load grpc|rest PORT REQUESTS CONNECTIONS RATE SECONDS LOG|-\n");
        return 2;
    }
    static struct run run;
    struct el_buf file = { 0 };
    run.grpc = strcmp(arguments[1], "grpc") == 0;
    run.entry_room = 1 << 16;
    run.entries = malloc(run.entry_room * sizeof *run.entries);
    if (run.entries == NULL || uv_loop_init(&run.loop) != 0)
        fail("memory", "there is not enough");
    read_bodies(&run, arguments[3], &file);
    uv_signal_init(&run.loop, &run.terminated);
    run.terminated.data = &run;
    uv_signal_start(&run.terminated, on_terminated, SIGTERM);
    const struct el_load_options options = {
        .loop = &run.loop,
        .protocol = run.grpc ? EL_LOAD_GRPC : EL_LOAD_HTTP,
        .host = "127.0.0.1",
        .port = (uint16_t)strtoul(arguments[2], NULL, 10),
        .path = run.grpc ? "/tensorflow.serving.PredictionService/Predict" : "/v1/models/digits:predict",
        .messages = run.bodies,
        .message_count = run.body_count,
        .connections = (uint32_t)strtoul(arguments[4], NULL, 10),
        .rate = strtod(arguments[5], NULL),
        .duration_ms = (uint32_t)(strtod(arguments[6], NULL) * 1e3),
        .check = check,
        .done = done,
        .argument = &run,
    };
    must("start", el_load_start(&options, &run.load));
    uv_run(&run.loop, UV_RUN_DEFAULT);
    report(&run);
    if (strcmp(arguments[7], "-") != 0)
        write_log(&run, arguments[7]);
    /* The end of the process gives back connections and memory. */
    return 0;
}
