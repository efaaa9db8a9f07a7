/* SPDX-License-Identifier: Apache-2.0 */
/*
 * everlit-load: the load generator as a program. See usage().
 */
#include "base/file.h"
#include "load/load.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILES 256
#define MAX_FILE_BYTES ((size_t)1 << 31)

struct files {
    struct el_buf bytes[MAX_FILES];
    size_t count;
};

struct run {
    struct files data, expected;
    bool grpc;
    const char *log_path;
    bool json;
};

static void usage(FILE *out)
{
    fputs(
        "everlit-load {--grpc | --http} ADDRESS:PORT --path PATH [options]\n"
        "Asks a server all the time, checks every answer, prints how it went. Exit status 1 if any request failed.\n\n"
        "  --path PATH          gRPC method (/package.Service/Method) or HTTP target\n"
        "  --data FILE          message or body to send; repeat it for several in turn (HTTP without: GET)\n"
        "  --expect FILE        the answer to the --data of the same place must be these bytes\n"
        "  --connections N      clients (1)\n"
        "  --streams N          requests under way per client; gRPC only (1)\n"
        "  --rate N             requests per second; without: as fast as answers come\n"
        "  --count N            stop after N requests\n"
        "  --duration SECONDS   stop after so long (10, without --count)\n"
        "  --timeout MS         deadline of a request\n"
        "  --log FILE           write each request: start_ns latency_ns connection ok retries\n"
        "  --json               print the summary as JSON\n",
        out);
}

static bool add_file(struct files *files, const char *path)
{
    if (files->count == MAX_FILES) {
        fprintf(stderr, "everlit-load: more than %d files\n", MAX_FILES);
        return false;
    }
    struct el_status *status = el_file_read(path, MAX_FILE_BYTES, &files->bytes[files->count]);
    if (status != NULL) {
        fprintf(stderr, "everlit-load: %s\n", el_status_text(status));
        el_status_free(status);
        return false;
    }
    files->count++;
    return true;
}

static const char *check(void *argument, const struct el_load_answer *answer)
{
    static char text[160]; /* of one thread, and copied before the next */
    const struct run *run = argument;
    if (answer->code < 0)
        return answer->text;
    if (answer->code != (run->grpc ? 0 : 200)) {
        snprintf(text, sizeof(text), "%s %d %s", run->grpc ? "grpc-status" : "HTTP status", answer->code, answer->text);
        return text;
    }
    if (run->expected.count == 0)
        return NULL;
    const struct el_buf *expected = &run->expected.bytes[answer->message % run->expected.count];
    if (expected->size != answer->size || memcmp(expected->data, answer->bytes, answer->size) != 0)
        return "the answer is not the expected one";
    return NULL;
}

static bool write_log(const struct el_load *load, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t count;
    const struct el_load_record *records = el_load_records(load, &count);
    for (size_t i = 0; i < count; i++)
        fprintf(file, "%" PRIu64 " %" PRIu64 " %u %d %u\n", records[i].start_ns, records[i].latency_ns,
                records[i].connection, records[i].ok, records[i].retries);
    return fclose(file) == 0;
}

static void print_json_text(const char *text)
{
    putchar('"');
    for (; *text != 0; text++) {
        if (*text == '"' || *text == '\\' || (unsigned char)*text < 0x20)
            printf("\\u%04x", (unsigned char)*text);
        else
            putchar(*text);
    }
    putchar('"');
}

static void print_json(const struct el_load_summary *summary)
{
    printf("{\"requests\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"retried\": %" PRIu64 ", \"reconnected\": %" PRIu64
           ", \"seconds\": %.3f, \"rate\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, "
           "\"p999_us\": %.1f, \"max_us\": %.1f, \"reasons\": {",
           summary->started, summary->failed, summary->retried, summary->reconnected, (double)summary->elapsed_ns / 1e9,
           summary->rate, (double)summary->p50_ns / 1e3, (double)summary->p90_ns / 1e3, (double)summary->p99_ns / 1e3,
           (double)summary->p999_ns / 1e3, (double)summary->max_ns / 1e3);
    for (size_t i = 0; i < summary->reason_count; i++) {
        fputs(i > 0 ? ", " : "", stdout);
        print_json_text(summary->reasons[i].text);
        printf(": %" PRIu64, summary->reasons[i].count);
    }
    puts("}}");
}

static void print_text(const struct el_load_summary *summary)
{
    printf("%" PRIu64 " requests in %.2f s, %.0f per second; %" PRIu64 " failed, %" PRIu64 " sent again, %" PRIu64
           " reconnects\n",
           summary->started, (double)summary->elapsed_ns / 1e9, summary->rate, summary->failed, summary->retried,
           summary->reconnected);
    printf("latency: p50 %.1f us, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n", (double)summary->p50_ns / 1e3,
           (double)summary->p90_ns / 1e3, (double)summary->p99_ns / 1e3, (double)summary->p999_ns / 1e3,
           (double)summary->max_ns / 1e3);
    for (size_t i = 0; i < summary->reason_count; i++)
        printf("failed %" PRIu64 ": %s\n", summary->reasons[i].count, summary->reasons[i].text);
}

static int run_load(const struct el_load_options *options, const struct run *run)
{
    struct el_load *load;
    struct el_status *status = el_load_start(options, &load);
    if (status != NULL) {
        fprintf(stderr, "everlit-load: %s\n", el_status_text(status));
        el_status_free(status);
        return 2;
    }
    uv_run(options->loop, UV_RUN_DEFAULT);
    struct el_load_summary summary;
    el_load_summary(load, &summary);
    if (run->json)
        print_json(&summary);
    else
        print_text(&summary);
    bool logged = run->log_path == NULL || write_log(load, run->log_path);
    el_load_free(load);
    return !logged ? 2 : summary.failed > 0 ? 1 : 0;
}

enum { GRPC = 256, HTTP, PATH, DATA, EXPECT, CONNECTIONS, STREAMS, RATE, COUNT, DURATION, TIMEOUT, LOG, JSON };

static bool parse_target(const char *text, char *host, size_t room, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= room)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = 0;
    unsigned long value = strtoul(colon + 1, NULL, 10);
    *port = (uint16_t)value;
    return value > 0 && value <= UINT16_MAX;
}

static bool parse_options(int argc, char **argv, struct el_load_options *options, struct run *run, char *host,
                          size_t room)
{
    static const struct option long_options[] = {
        { "grpc", required_argument, NULL, GRPC },
        { "http", required_argument, NULL, HTTP },
        { "path", required_argument, NULL, PATH },
        { "data", required_argument, NULL, DATA },
        { "expect", required_argument, NULL, EXPECT },
        { "connections", required_argument, NULL, CONNECTIONS },
        { "streams", required_argument, NULL, STREAMS },
        { "rate", required_argument, NULL, RATE },
        { "count", required_argument, NULL, COUNT },
        { "duration", required_argument, NULL, DURATION },
        { "timeout", required_argument, NULL, TIMEOUT },
        { "log", required_argument, NULL, LOG },
        { "json", no_argument, NULL, JSON },
        { NULL, 0, NULL, 0 },
    };
    bool ok = true;
    int option;
    while (ok && (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        switch (option) {
        case GRPC:
        case HTTP:
            run->grpc = option == GRPC;
            options->protocol = run->grpc ? EL_LOAD_GRPC : EL_LOAD_HTTP;
            ok = parse_target(optarg, host, room, &options->port);
            break;
        case PATH:
            options->path = optarg;
            break;
        case DATA:
            ok = add_file(&run->data, optarg);
            break;
        case EXPECT:
            ok = add_file(&run->expected, optarg);
            break;
        case CONNECTIONS:
            options->connections = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case STREAMS:
            options->streams = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case RATE:
            options->rate = strtod(optarg, NULL);
            break;
        case COUNT:
            options->count = strtoull(optarg, NULL, 10);
            break;
        case DURATION:
            options->duration_ms = (uint32_t)(strtod(optarg, NULL) * 1000);
            break;
        case TIMEOUT:
            options->timeout_ms = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case LOG:
            run->log_path = optarg;
            break;
        case JSON:
            run->json = true;
            break;
        default:
            ok = false;
        }
    }
    return ok && options->port != 0 && options->path != NULL && optind == argc;
}

int main(int argc, char **argv)
{
    static struct run run;
    static struct el_load_message messages[MAX_FILES];
    uv_loop_t loop;
    char host[64];
    struct el_load_options options = {
        .loop = &loop, .host = host, .messages = messages, .check = check, .argument = &run, .log_capacity = 4000000
    };
    if (!parse_options(argc, argv, &options, &run, host, sizeof(host))) {
        usage(stderr);
        return 2;
    }
    if (options.count == 0 && options.duration_ms == 0)
        options.duration_ms = 10000;
    for (size_t i = 0; i < run.data.count; i++)
        messages[i] = (struct el_load_message){ run.data.bytes[i].data, run.data.bytes[i].size };
    options.message_count = run.data.count == 0 ? 1 : run.data.count;
    if (uv_loop_init(&loop) != 0)
        return 2;
    int status = run_load(&options, &run);
    uv_loop_close(&loop);
    for (size_t i = 0; i < run.data.count; i++)
        el_buf_free(&run.data.bytes[i]);
    for (size_t i = 0; i < run.expected.count; i++)
        el_buf_free(&run.expected.bytes[i]);
    return status;
}
