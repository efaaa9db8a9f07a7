/* SPDX-License-Identifier: Apache-2.0 */
/* `everlit history`: what happened to a model, through restarts, and who did what. */
#include "cmd/everlit_client.h"
#include "cmd/everlit_table.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIMIT 50

static const char *text_of(const json_t *event, const char *name)
{
    const char *text = json_string_value(json_object_get(event, name));
    return text == NULL ? "" : text;
}

static void put_event(const json_t *event, struct el_buf *out)
{
    const int64_t time_us = json_integer_value(json_object_get(event, "time_us"));
    const json_int_t version = json_integer_value(json_object_get(event, "version"));
    const time_t seconds = (time_t)(time_us / 1000000);
    const char *name = text_of(event, "event"), *by = text_of(event, "by");
    struct tm local;
    char when[32];
    if (localtime_r(&seconds, &local) == NULL || strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &local) == 0)
        snprintf(when, sizeof when, "%" PRId64, (int64_t)seconds);
    el_buf_printf(out, "%s  ", when);
    el_cli_clean(by[0] != '\0' ? by : "everlit", out);
    el_buf_printf(out, "%*s  ", strlen(by) < 8 ? (int)(8 - strlen(by)) : 0, "");
    el_cli_clean(name, out);
    el_buf_printf(out, "%*s  ", strlen(name) < 13 ? (int)(13 - strlen(name)) : 0, "");
    if (version >= 0)
        el_buf_printf(out, "%" PRId64 "  ", (int64_t)version);
    el_cli_clean(text_of(event, "text"), out);
    el_buf_byte(out, '\n');
}

/* Oldest first, as a log is read. */
static int print(const struct el_cli *cli, const struct el_buf *answer, const char *model)
{
    json_t *json = json_loadb((const char *)answer->data, answer->size, 0, NULL);
    const json_t *events = json_object_get(json, "events");
    struct el_buf out = { 0 };
    int result = EL_CLI_OK;
    for (size_t i = json_array_size(events); i > 0; i--)
        put_event(json_array_get(events, i - 1), &out);
    if (!json_is_array(events))
        result = el_cli_fail(cli, EL_CLI_REFUSED, el_status_new(EL_INTERNAL, "the server's answer holds no events"));
    else if (json_array_size(events) == 0)
        fprintf(stderr, "everlit history: nothing is known of a model \"%s\"\n", model);
    else
        result = !out.failed && el_cli_write(cli, &out) ? EL_CLI_OK : EL_CLI_REFUSED;
    json_decref(json);
    el_buf_free(&out);
    return result;
}

static int run(struct el_cli *cli, int count, char **arguments)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "limit", required_argument, NULL, 'n' },
                                             { "event", required_argument, NULL, 'e' },
                                             EL_CLI_OPTIONS_END };
    bool json = false;
    long limit = LIMIT;
    const char *event = NULL;
    int option, result = EL_CLI_USAGE;
    while ((option = el_cli_option(cli, count, arguments, options, &result)) != -1) {
        char *end = NULL;
        if (option == '?')
            return result;
        json = json || option == 'j';
        if (option == 'e')
            event = optarg;
        if (option != 'n')
            continue;
        limit = strtol(optarg, &end, 10);
        if (end == optarg || *end != '\0' || limit < 1 || limit > 10000)
            return el_cli_usage(cli, "--limit expects a number from 1 to 10000");
    }
    if (count - optind != 1)
        return el_cli_usage(cli, count == optind ? "expected MODEL" : "expected one model");
    const char *model = arguments[optind];
    char *model_part = el_cli_escape(model), *event_part = el_cli_escape(event != NULL ? event : "");
    struct el_buf path = { 0 }, answer = { 0 };
    el_buf_printf(&path, "/admin/v1/models/%s/history?limit=%ld%s%s", model_part != NULL ? model_part : "", limit,
                  event != NULL ? "&event=" : "", event_part != NULL ? event_part : "");
    char *path_text = el_buf_take_text(&path);
    if (model_part == NULL || event_part == NULL || path_text == NULL)
        result = el_cli_fail(cli, EL_CLI_REFUSED, el_status_no_memory());
    else
        result = el_cli_request(cli, path_text, NULL, 0, &answer);
    if (result == EL_CLI_OK)
        result = !json ? print(cli, &answer, model) : el_cli_write(cli, &answer) ? EL_CLI_OK : EL_CLI_REFUSED;
    free(model_part);
    free(event_part);
    free(path_text);
    el_buf_free(&answer);
    return result;
}

const struct el_cli_command el_cli_history = {
    .name = "history",
    .summary = "what happened to a model through restarts, and who did it",
    .help = "usage: everlit history MODEL [--limit N] [--event NAME] [--json] [--socket PATH]\n"
            "\n"
            "The last events of a model, oldest first: when, who (`everlit` for the server\n"
            "itself), what, which version, and why. They are kept in --state_dir; without\n"
            "one, `everlit events` has what happened since the server started.\n"
            "\n"
            "  --limit N      the last N events (50)\n"
            "  --event NAME   only these, e.g. rollback, pinned, quarantined, switched\n"
            "  --json         the server's answer as it is, newest first (docs/admin-api.md)\n"
            "  --socket PATH  the server's socket; see `everlit help`\n",
    .run = run,
};
