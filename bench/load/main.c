/* SPDX-License-Identifier: Apache-2.0 */
/* everlit-load: the load generator as a program. */
#include "load.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "cmd/flags.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST_BODIES ((size_t)1 << 31)

struct arguments {
    const char *grpc, *rest, *method, *path, *bodies, *log, *unix_path;
    int32_t connections, streams;
    int64_t count, milliseconds, rate, remember;
    bool json, help;
};

#define FLAG_COUNT 14
static void make_table(struct arguments *a, struct el_flag table[FLAG_COUNT])
{
    const struct el_flag all[FLAG_COUNT] = {
        {"Whom to ask", "grpc", EL_FLAG_STRING, &a->grpc, "ADDRESS:PORT of a gRPC server."},
        {"Whom to ask", "rest", EL_FLAG_STRING, &a->rest, "ADDRESS:PORT of an HTTP/1.1 server."},
        {"Whom to ask", "unix", EL_FLAG_STRING, &a->unix_path, "A Unix socket instead of the address (which is then not used)."},
        {"What to ask", "method", EL_FLAG_STRING, &a->method, "The gRPC method."},
        {"What to ask", "path", EL_FLAG_STRING, &a->path, "The HTTP path."},
        {"What to ask", "bodies", EL_FLAG_STRING, &a->bodies,
         "A file of bodies, each a 32-bit little-endian length and that many bytes; sent in turn."},
        {"How much", "connections", EL_FLAG_INT32, &a->connections, "Connections."},
        {"How much", "streams", EL_FLAG_INT32, &a->streams, "gRPC calls at the same time on each connection."},
        {"How much", "milliseconds", EL_FLAG_INT64, &a->milliseconds, "Time to go on. 0: until --count."},
        {"How much", "count", EL_FLAG_INT64, &a->count, "Requests. 0: no limit."},
        {"How much", "rate", EL_FLAG_INT64, &a->rate, "Requests per second. 0: as fast as answers come."},
        {"What to print", "log", EL_FLAG_STRING, &a->log,
         "Write each request to this file: start and latency in ns (CLOCK_MONOTONIC), 1 if it failed."},
        {"What to print", "json", EL_FLAG_BOOL, &a->json, "Print the figures as one JSON object."},
        {"What to print", "help", EL_FLAG_BOOL, &a->help, "Print this text."},
    };
    memcpy(table, all, sizeof all);
}

/* Takes "127.0.0.1:8500" or "[::1]:8500" apart; host has room for size bytes. */
static struct el_status *parse_address(const char *text, char *host, size_t size, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    char *end;
    const long number = colon == NULL ? 0 : strtol(colon + 1, &end, 10);
    if (colon == NULL || *end != 0 || number < 1 || number > UINT16_MAX)
        return el_status_new(EL_INVALID_ARGUMENT, "expected ADDRESS:PORT, found \"%s\"", text);
    size_t length = (size_t)(colon - text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length >= size)
        return el_status_new(EL_INVALID_ARGUMENT, "\"%s\" is no numeric address", text);
    memcpy(host, text, length);
    host[length] = 0;
    if (strcmp(host, "localhost") == 0)
        memcpy(host, "127.0.0.1", 10);
    *port = (uint16_t)number;
    return NULL;
}

/* The records of a file of bodies; *bodies is to be freed and points into file. */
static struct el_status *parse_bodies(const char *name, const struct el_buf *file, struct el_load_body **bodies,
                                      size_t *count)
{
    size_t n = 0, room = 0, at = 0;
    *bodies = NULL;
    while (at < file->size) {
        uint32_t size;
        if (file->size - at < 4)
            return el_status_new(EL_DATA_LOSS, "%s: ends inside the length of body %zu", name, n);
        const uint8_t *b = file->data + at;
        size = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
        at += 4;
        if (file->size - at < size)
            return el_status_new(EL_DATA_LOSS, "%s: body %zu has %u bytes, %zu are left", name, n, size, file->size - at);
        if (n == room) {
            room = room == 0 ? 64 : room * 2;
            struct el_load_body *more = realloc(*bodies, room * sizeof **bodies);
            if (more == NULL)
                return el_status_no_memory();
            *bodies = more;
        }
        (*bodies)[n++] = (struct el_load_body){.data = file->data + at, .size = size};
        at += size;
    }
    *count = n;
    return n > 0 ? NULL : el_status_new(EL_INVALID_ARGUMENT, "%s: holds no body", name);
}

static void print_json(const struct el_load_stats *stats, const struct el_load_figures *figures)
{
    printf("{\"answered\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"retried\":%" PRIu64 ",\"connects\":%" PRIu64
           ",\"rate\":%.1f,\"p50_ns\":%" PRIu64 ",\"p90_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 ",\"p999_ns\":%" PRIu64
           ",\"max_ns\":%" PRIu64 ",\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 ",\"reasons\":{",
           stats->answered, stats->failed, stats->retried, stats->connects, figures->rate, figures->p50, figures->p90,
           figures->p99, figures->p999, figures->max, stats->bytes_in, stats->bytes_out);
    for (size_t i = 0; i < stats->reason_count; i++) {
        printf("%s\"", i == 0 ? "" : ",");
        for (const char *c = stats->reasons[i].text; *c != 0; c++)
            printf(*c == '"' || *c == '\\' || (unsigned char)*c < ' ' ? "\\u%04x" : "%c", (unsigned char)*c);
        printf("\":%" PRIu64, stats->reasons[i].count);
    }
    printf("}}\n");
}

static void print_text(const struct el_load_stats *stats, const struct el_load_figures *figures)
{
    printf("answered  %12" PRIu64 "   %.0f per second\nfailed    %12" PRIu64 "\nretried   %12" PRIu64 "\n",
           stats->answered, figures->rate, stats->failed, stats->retried);
    printf("latency   p50 %.3f   p90 %.3f   p99 %.3f   p99.9 %.3f   max %.3f ms\n", (double)figures->p50 / 1e6,
           (double)figures->p90 / 1e6, (double)figures->p99 / 1e6, (double)figures->p999 / 1e6,
           (double)figures->max / 1e6);
    for (size_t i = 0; i < stats->reason_count; i++)
        printf("%10" PRIu64 " x %s\n", stats->reasons[i].count, stats->reasons[i].text);
}

static struct el_status *write_log(const char *path, const struct el_load *load)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return el_status_new(EL_UNKNOWN, "%s: cannot be written", path);
    size_t count;
    const struct el_load_entry *log = el_load_log(load, &count);
    fprintf(file, "start_ns,latency_ns,failed\n");
    for (size_t i = 0; i < count; i++)
        fprintf(file, "%" PRIu64 ",%" PRIu64 ",%d\n", log[i].start_ns, (uint64_t)log[i].latency_ns, (int)log[i].failed);
    return fclose(file) == 0 ? NULL : el_status_new(EL_UNKNOWN, "%s: cannot be written to its end", path);
}

static void ended(struct el_load *load, void *argument)
{
    (void)load;
    uv_stop(argument);
}

static struct el_status *run(const struct arguments *a, const struct el_load_body *bodies, size_t body_count, int *exit_status)
{
    char host[64] = "";
    uint16_t port = 0;
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct el_load_options options = {
        .loop = &loop,
        .protocol = *a->grpc != 0 ? EL_LOAD_GRPC : EL_LOAD_HTTP,
        .host = host,
        .unix_path = *a->unix_path != 0 ? a->unix_path : NULL,
        .path = *a->grpc != 0 ? a->method : a->path,
        .bodies = bodies,
        .body_count = body_count,
        .connections = (uint32_t)a->connections,
        .streams = (uint32_t)a->streams,
        .rate = (double)a->rate,
        .count = (uint64_t)a->count,
        .duration_ns = (uint64_t)a->milliseconds * EL_NS_PER_MS,
        .log_capacity = (size_t)a->remember,
        .ended = ended,
        .argument = &loop,
    };
    EL_TRY(parse_address(*a->grpc != 0 ? a->grpc : a->rest, host, sizeof host, &port));
    options.port = port;
    struct el_load *load;
    EL_TRY(el_load_start(&options, &load));
    uv_run(&loop, UV_RUN_DEFAULT);
    struct el_load_figures figures;
    EL_TRY(el_load_figure(load, &figures));
    if (a->json)
        print_json(el_load_stats(load), &figures);
    else
        print_text(el_load_stats(load), &figures);
    *exit_status = el_load_stats(load)->failed > 0 ? 1 : 0;
    struct el_status *status = *a->log != 0 ? write_log(a->log, load) : NULL;
    el_load_free(load, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return status;
}

static struct el_status *check(const struct arguments *a)
{
    if ((*a->grpc != 0) == (*a->rest != 0))
        return el_status_new(EL_INVALID_ARGUMENT, "one of --grpc and --rest is needed");
    if (*a->bodies == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "--bodies is needed");
    if (a->connections < 1 || a->streams < 1 || a->count < 0 || a->milliseconds < 0 || a->rate < 0)
        return el_status_new(EL_INVALID_ARGUMENT, "numbers below 1 make no load");
    return NULL;
}

int main(int count, char **arguments)
{
    struct arguments a = {.grpc = "",
                          .rest = "",
                          .method = "/tensorflow.serving.PredictionService/Predict",
                          .path = "/v1/models/digits:predict",
                          .bodies = "",
                          .log = "",
                          .unix_path = "",
                          .connections = 16,
                          .streams = 1,
                          .milliseconds = 5000,
                          .remember = 8 * 1000 * 1000};
    struct el_flag table[FLAG_COUNT];
    make_table(&a, table);
    struct el_status *status = el_flags_parse(table, FLAG_COUNT, count, arguments);
    if (a.help) {
        printf("everlit-load: asks a server without pause, and tells how it answered.\n");
        el_flags_print(table, FLAG_COUNT, stdout);
        el_status_free(status);
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    struct el_buf file = {0};
    struct el_load_body *bodies = NULL;
    size_t body_count = 0;
    int exit_status = 2;
    if (status == NULL)
        status = check(&a);
    if (status == NULL)
        status = el_file_read(a.bodies, LARGEST_BODIES, &file);
    if (status == NULL)
        status = parse_bodies(a.bodies, &file, &bodies, &body_count);
    if (status == NULL)
        status = run(&a, bodies, body_count, &exit_status);
    if (status != NULL)
        fprintf(stderr, "everlit-load: %s\n", el_status_text(status));
    el_status_free(status);
    free(bodies);
    el_buf_free(&file);
    return exit_status;
}
