/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlit_client.h"
#include "cmd/everlit_table.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct reader {
    const struct el_cli *cli;
    struct el_cli_style style;
    const char *model; /* only of this one; NULL: of all */
    bool json;
    bool lost; /* standard output takes no more */
};

static enum el_cli_colour colour_of(const char *event)
{
    static const struct {
        const char *event;
        enum el_cli_colour colour;
    } colours[] = {
        { "switched", EL_CLI_GREEN },  { "serving", EL_CLI_GREEN },    { "quarantined", EL_CLI_RED },
        { "worker_died", EL_CLI_RED }, { "rolled_back", EL_CLI_RED },  { "respawn_failed", EL_CLI_RED },
        { "waiting", EL_CLI_YELLOW },  { "respawned", EL_CLI_YELLOW }, { "drained", EL_CLI_DIM },
        { "ended", EL_CLI_DIM },       { "guarded", EL_CLI_GREEN },    { "guard_helpless", EL_CLI_RED },
    };
    for (size_t i = 0; i < sizeof colours / sizeof colours[0]; i++) {
        if (strcmp(colours[i].event, event) == 0)
            return colours[i].colour;
    }
    return EL_CLI_PLAIN;
}

/* "2026-11-24 06:00:00.123", local time. */
static void put_time(int64_t time_us, struct el_buf *out)
{
    const time_t seconds = (time_t)(time_us / 1000000);
    struct tm local;
    char text[32];
    if (localtime_r(&seconds, &local) == NULL || strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local) == 0)
        snprintf(text, sizeof text, "%" PRId64, (int64_t)seconds);
    el_buf_printf(out, "%s.%03d", text, (int)(time_us % 1000000 / 1000));
}

static const char *text_of(const json_t *event, const char *name)
{
    const char *text = json_string_value(json_object_get(event, name));
    return text == NULL ? "" : text;
}

/* 2026-11-24 06:00:00.123  quarantined  digits 3  <text> */
static void put_event(const struct reader *reader, const json_t *event, struct el_buf *out)
{
    const char *name = text_of(event, "event"), *model = text_of(event, "model"), *text = text_of(event, "text");
    const enum el_cli_colour colour = colour_of(name);
    put_time(json_integer_value(json_object_get(event, "time_us")), out);
    el_buf_printf(out, "  %s", colour == EL_CLI_PLAIN ? "" : el_cli_colour(&reader->style, colour));
    el_cli_clean(name, out);
    el_buf_printf(out, "%*s%s  ", strlen(name) < 13 ? (int)(13 - strlen(name)) : 0, "",
                  colour == EL_CLI_PLAIN ? "" : el_cli_colour(&reader->style, EL_CLI_PLAIN));
    el_cli_clean(model, out);
    const json_int_t version = json_integer_value(json_object_get(event, "version"));
    if (version >= 0)
        el_buf_printf(out, " %" PRId64, (int64_t)version);
    if (*text != '\0') {
        el_buf_text(out, "  ");
        el_cli_clean(text, out);
    }
    el_buf_byte(out, '\n');
}

static void on_line(const char *line, size_t size, void *argument)
{
    struct reader *reader = argument;
    json_t *event = json_loadb(line, size, 0, NULL);
    const bool wanted = event != NULL && (reader->model == NULL || strcmp(text_of(event, "model"), reader->model) == 0);
    if (wanted && !reader->lost) {
        struct el_buf out = { 0 };
        if (reader->json) {
            el_buf_append(&out, line, size);
            el_buf_byte(&out, '\n');
        } else {
            put_event(reader, event, &out);
        }
        reader->lost = out.failed || !el_cli_write(reader->cli, &out);
        el_buf_free(&out);
    }
    json_decref(event);
}

static int run(struct el_cli *cli, int count, char **arguments)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "follow", no_argument, NULL, 'f' },
                                             { "model", required_argument, NULL, 'm' },
                                             { "after", required_argument, NULL, 'a' },
                                             EL_CLI_OPTIONS_END };
    struct reader reader = { .cli = cli, .style = el_cli_style() };
    bool follow = false;
    int64_t after = 0;
    int option, result = EL_CLI_USAGE;
    while ((option = el_cli_option(cli, count, arguments, options, &result)) != -1) {
        if (option == '?')
            return result;
        reader.json = reader.json || option == 'j';
        follow = follow || option == 'f';
        if (option == 'm')
            reader.model = optarg;
        if (option == 'a')
            after = el_cli_number(optarg);
    }
    if (optind < count)
        return el_cli_usage(cli, "\"%s\" is one argument too many; for one model: --model %s", arguments[optind],
                            arguments[optind]);
    if (after < 0)
        return el_cli_usage(cli, "--after expects the id of an event, a whole number from 0 on");
    char path[96];
    snprintf(path, sizeof path, "/admin/v1/events?after=%" PRId64 "&follow=%d", after, follow ? 1 : 0);
    result = el_cli_stream(cli, path, on_line, &reader);
    if (reader.lost)
        return EL_CLI_REFUSED;
    if (result == EL_CLI_OK && follow) {
        fprintf(stderr, "everlit events: the server has ended\n");
        return EL_CLI_UNREACHABLE;
    }
    return result;
}

const struct el_cli_command el_cli_events = {
    .name = "events",
    .summary = "what happened and why: versions switched, refused, workers died",
    .help = "usage: everlit events [--follow] [--json] [--model M] [--after ID]\n"
            "                      [--socket PATH]\n"
            "\n"
            "What happened, oldest first: the last 4096 events since the server started.\n"
            "\n"
            "  --follow       go on with what happens, until Ctrl-C or the server ends\n"
            "  --json         one JSON object a line (docs/admin-api.md)\n"
            "  --model M      only what concerns the model M\n"
            "  --after ID     only events after the one with this id (of --json)\n"
            "  --socket PATH  the server's socket; see `everlit help`\n",
    .run = run,
};
