/* SPDX-License-Identifier: Apache-2.0 */
/* everlit report MODEL [VERSION]: what came of the last attempt to bring a version in, as a page of 80 columns. */
#include "cmd/everlit.h"
#include "cmd/everlit_client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WIDTH 80
#define INDENT 11

static const char *field(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text != NULL ? text : "";
}

/* A name and a text, which goes on under itself at the blanks where it is long. Control characters are blanks. */
static void put(struct el_buf *out, const char *name, const char *text)
{
    if (*text == '\0')
        return;
    el_buf_printf(out, "  %-9s", name);
    size_t column = INDENT;
    while (*text != '\0') {
        const size_t blanks = strspn(text, " \t\n\r"), size = strcspn(text + blanks, " \t\n\r");
        text += blanks;
        if (size == 0)
            break;
        if (column > INDENT && column + 1 + size > WIDTH) {
            el_buf_printf(out, "\n%*s", INDENT, "");
            column = INDENT;
        }
        if (column > INDENT) {
            el_buf_byte(out, ' ');
            column++;
        }
        for (size_t i = 0; i < size; i++)
            el_buf_byte(out, (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : (uint8_t)text[i]);
        column += size;
        text += size;
    }
    el_buf_byte(out, '\n');
}

static void put_phases(struct el_buf *out, const json_t *report)
{
    char line[512];
    size_t at = 0;
    const char *name;
    json_t *value, *phases = json_object_get(report, "phases_ms");
    line[0] = '\0';
    json_object_foreach (phases, name, value) {
        if (at < sizeof line - 64)
            at += (size_t)snprintf(line + at, sizeof line - at, "%s%.20s %.0f ms", at > 0 ? ", " : "", name,
                                   json_number_value(value));
    }
    const double able = json_number_value(json_object_get(report, "whole_to_able_ms"));
    if (able > 0)
        snprintf(line + at, sizeof line - at, "; able to answer %.0f ms after its files were whole", able);
    put(out, "phases", line);
}

static void put_figures(struct el_buf *out, const char *name, const json_t *of)
{
    char line[256];
    if (of == NULL)
        return;
    snprintf(line, sizeof line,
             "version %" JSON_INTEGER_FORMAT ", %.20s: %.1f MB resident (%.1f its own), %" JSON_INTEGER_FORMAT
             " requests answered, %" JSON_INTEGER_FORMAT " failed, %" JSON_INTEGER_FORMAT " workers died",
             json_integer_value(json_object_get(of, "version")), field(of, "state"),
             (double)json_integer_value(json_object_get(of, "resident_bytes")) / 1e6,
             (double)json_integer_value(json_object_get(of, "private_bytes")) / 1e6,
             json_integer_value(json_object_get(of, "requests")), json_integer_value(json_object_get(of, "errors")),
             json_integer_value(json_object_get(of, "worker_deaths")));
    put(out, name, line);
}

static void put_memory(struct el_buf *out, const json_t *report)
{
    const json_t *memory = json_object_get(report, "memory");
    const double before = json_number_value(json_object_get(memory, "before_bytes")),
                 peak = json_number_value(json_object_get(memory, "peak_bytes")),
                 after = json_number_value(json_object_get(memory, "after_bytes"));
    char line[256], after_text[64] = "";
    if (after > 0)
        snprintf(after_text, sizeof after_text, ", %.1f MB after", after / 1e6);
    snprintf(line, sizeof line, "%.1f MB before (all workers of the model)%s; the new one at most %.1f MB",
             before / 1e6, after_text, peak / 1e6);
    if (before + peak + after > 0)
        put(out, "memory", line);
}

static void put_others(struct el_buf *out, const json_t *report)
{
    const json_t *others = json_object_get(report, "others");
    char line[512];
    if (others == NULL)
        return;
    snprintf(line, sizeof line,
             "p99 of %.128s while it was loaded %.3g ms, %.3g ms before (%" JSON_INTEGER_FORMAT " requests)",
             field(others, "model"), json_number_value(json_object_get(others, "p99_during_ms")),
             json_number_value(json_object_get(others, "p99_before_ms")),
             json_integer_value(json_object_get(others, "requests")));
    put(out, "others", line);
}

static void put_page(struct el_buf *out, const json_t *report)
{
    const time_t seconds = (time_t)(json_integer_value(json_object_get(report, "time_us")) / 1000000);
    char when[32] = "", line[5000];
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &utc);
    el_buf_printf(out, "%.60s version %" JSON_INTEGER_FORMAT ": %s\n", field(report, "model"),
                  json_integer_value(json_object_get(report, "version")), field(report, "decision"));
    snprintf(line, sizeof line, "%s, by %s", when, field(report, "by"));
    put(out, "when", line);
    put(out, "why", field(report, "why"));
    put(out, "trigger", field(report, "trigger"));
    put(out, "files", field(report, "path"));
    snprintf(line, sizeof line, "%" JSON_INTEGER_FORMAT " bytes%s%s",
             json_integer_value(json_object_get(report, "bytes")), *field(report, "digest") != '\0' ? ", SHA-256 " : "",
             field(report, "digest"));
    put(out, "", line);
    put_phases(out, report);
    snprintf(line, sizeof line, "%s%s%s", field(report, "engine"), *field(report, "engine_reason") != '\0' ? ": " : "",
             field(report, "engine_reason"));
    put(out, "engine", line);
    put(out, "probe", field(report, "probe"));
    put_memory(out, report);
    put_others(out, report);
    put_figures(out, "new", json_object_get(report, "new"));
    put_figures(out, "old", json_object_get(report, "old"));
}

/* Each line of answer is a report; the first is the newest. */
static int print_pages(struct el_cli *cli, const struct el_buf *answer, bool all)
{
    struct el_buf out = { 0 };
    for (size_t at = 0; at < answer->size && (all || at == 0);) {
        const uint8_t *end = memchr(answer->data + at, '\n', answer->size - at);
        const size_t size = end != NULL ? (size_t)(end - (answer->data + at)) : answer->size - at;
        json_t *report = json_loadb((const char *)answer->data + at, size, 0, NULL);
        if (report == NULL) {
            el_buf_free(&out);
            return el_cli_fail(cli, EL_CLI_REFUSED, el_status_new(EL_INTERNAL, "the server's answer is no report"));
        }
        if (at > 0)
            el_buf_byte(&out, '\n');
        put_page(&out, report);
        json_decref(report);
        at += size + 1;
    }
    const bool good = !out.failed && el_cli_write(cli, &out);
    el_buf_free(&out);
    return good ? EL_CLI_OK : EL_CLI_REFUSED;
}

static int run(struct el_cli *cli, int count, char **arguments)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "all", no_argument, NULL, 'a' },
                                             EL_CLI_OPTIONS_END };
    bool json = false, all = false;
    int option, result = EL_CLI_USAGE;
    while ((option = el_cli_option(cli, count, arguments, options, &result)) != -1) {
        if (option == '?')
            return result;
        json = json || option == 'j';
        all = all || option == 'a';
    }
    if (optind >= count || count - optind > 2)
        return el_cli_usage(cli, "expected a model, and a version if you like");
    const char *model = arguments[optind], *version = optind + 1 < count ? arguments[optind + 1] : "";
    if (strspn(version, "0123456789") != strlen(version))
        return el_cli_usage(cli, "\"%s\" is not a version; expected a number", version);
    struct el_buf target = { 0 }, answer = { 0 };
    char *escaped = el_cli_escape(model);
    el_buf_printf(&target, "/admin/v1/models/%s/reports%s%s", escaped != NULL ? escaped : "",
                  *version != '\0' ? "?version=" : "", version);
    char *path = el_buf_take_text(&target);
    if (escaped == NULL || path == NULL)
        result = el_cli_fail(cli, EL_CLI_REFUSED, el_status_no_memory());
    else
        result = el_cli_request(cli, path, NULL, 0, &answer);
    free(escaped);
    free(path);
    if (result == EL_CLI_OK && answer.size == 0)
        result = el_cli_fail(cli, EL_CLI_REFUSED,
                             el_status_new(EL_NOT_FOUND,
                                           "there is no report of %s%s%s; the last 100 since the start are kept", model,
                                           *version != '\0' ? " version " : "", version));
    else if (result == EL_CLI_OK)
        result = !json ? print_pages(cli, &answer, all) : el_cli_write(cli, &answer) ? EL_CLI_OK : EL_CLI_REFUSED;
    el_buf_free(&answer);
    return result;
}

const struct el_cli_command el_cli_report = {
    .name = "report",
    .summary = "what came of an attempt to bring a version in, and why",
    .help = "usage: everlit report MODEL [VERSION] [--all] [--json] [--socket PATH]\n"
            "\n"
            "The last decision about a version of the model: what was decided and why, its\n"
            "files, how long each phase took, the engine, the probe, memory and requests of\n"
            "the new version and of the old one. The last 100 since the start are kept;\n"
            "with --state_dir older ones are in its journal.\n"
            "\n"
            "  --all          all that are kept, newest first\n"
            "  --json         one JSON object a line, newest first\n"
            "  --socket PATH  the server's socket; see `everlit help`\n",
    .run = run,
};
