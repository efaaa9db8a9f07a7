/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlit_client.h"
#include "cmd/everlit_status_view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATH "/admin/v1/status"
#define WATCH_SECONDS 1.0

/* Goes to the upper left corner; with the lines' ends and the rest of the screen wiped, nothing flickers. */
#define HOME "\033[H"
#define WIPE_LINE "\033[K"
#define WIPE_BELOW "\033[J"
#define WIPE_ALL "\033[2J"

/* As many lines of page as the terminal has; one more would scroll, and the next picture would begin below this one's top. */
static void append_redrawn(const struct el_buf *page, const struct el_cli_style *style, struct el_buf *out)
{
    size_t lines = 0;
    el_buf_text(out, HOME);
    for (size_t i = 0; i < page->size && lines + 1 < style->height; i++) {
        if (page->data[i] == '\n') {
            el_buf_text(out, WIPE_LINE);
            lines++;
        }
        el_buf_byte(out, page->data[i]);
    }
    el_buf_text(out, el_cli_colour(style, EL_CLI_PLAIN));
    el_buf_text(out, WIPE_BELOW);
}

/* The answer as people read it, appended to page. */
static struct el_status *put_page(const struct el_buf *answer, const struct el_status_choice *choice,
                                  const struct el_cli_style *style, struct el_buf *page)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)answer->data, answer->size, 0, &error);
    if (json == NULL)
        return el_status_new(EL_INTERNAL, "the server's answer is no JSON: %s", error.text);
    struct el_status *status = el_status_view(json, choice, style, page);
    json_decref(json);
    return status;
}

static int show_json(const struct el_cli *cli)
{
    struct el_buf answer = { 0 };
    int result = el_cli_request(cli, PATH, NULL, 0, &answer);
    if (result == EL_CLI_OK && !el_cli_write(cli, &answer))
        result = EL_CLI_REFUSED;
    el_buf_free(&answer);
    return result;
}

static int show_once(const struct el_cli *cli, const struct el_status_choice *choice)
{
    const struct el_cli_style style = el_cli_style();
    struct el_buf answer = { 0 }, page = { 0 };
    int result = el_cli_request(cli, PATH, NULL, 0, &answer);
    if (result == EL_CLI_OK) {
        struct el_status *status = put_page(&answer, choice, &style, &page);
        if (status != NULL)
            result = el_cli_fail(cli, EL_CLI_REFUSED, status);
        else if (!el_cli_write(cli, &page))
            result = EL_CLI_REFUSED;
    }
    el_buf_free(&answer);
    el_buf_free(&page);
    return result;
}

static void wait_for(double seconds)
{
    struct timespec left = { .tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - floor(seconds)) * 1e9) };
    while (nanosleep(&left, &left) != 0)
        continue;
}

/* One picture of a watch. A terminal goes on without the server, which may be being started again. */
static int show_again(const struct el_cli *cli, const struct el_status_choice *choice, bool first)
{
    const struct el_cli_style style = el_cli_style(); /* each time: windows change their size */
    struct el_buf answer = { 0 }, page = { 0 }, out = { 0 };
    const bool patient = style.terminal && !first;
    int result = patient ? el_cli_request_quietly(cli, PATH, &answer) : el_cli_request(cli, PATH, NULL, 0, &answer);
    if (result == EL_CLI_UNREACHABLE && patient) {
        el_buf_text(&page, "The server does not answer; waiting for it. Ctrl-C ends.\n");
        result = EL_CLI_OK;
    } else if (result == EL_CLI_OK) {
        struct el_status *status = put_page(&answer, choice, &style, &page);
        if (status != NULL)
            result = el_cli_fail(cli, EL_CLI_REFUSED, status);
    }
    if (style.terminal) {
        el_buf_text(&out, first ? WIPE_ALL : "");
        append_redrawn(&page, &style, &out);
    } else {
        el_buf_append(&out, page.data, page.size);
        el_buf_byte(&out, '\n');
    }
    if (result == EL_CLI_OK && !el_cli_write(cli, &out))
        result = EL_CLI_REFUSED;
    el_buf_free(&answer);
    el_buf_free(&page);
    el_buf_free(&out);
    return result;
}

static int watch(const struct el_cli *cli, const struct el_status_choice *choice, double seconds)
{
    int result = show_again(cli, choice, true);
    while (result == EL_CLI_OK) {
        wait_for(seconds);
        result = show_again(cli, choice, false);
    }
    return result;
}

/* The number in text, or a negative one when it is none above zero. */
static double read_seconds(const char *text)
{
    char *end;
    const double seconds = strtod(text, &end);
    return end != text && *end == '\0' && seconds >= 0.1 && seconds <= 3600 ? seconds : -1;
}

static int run(struct el_cli *cli, int count, char **arguments)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "watch", optional_argument, NULL, 'w' },
                                             { "model", required_argument, NULL, 'm' },
                                             { "all", no_argument, NULL, 'a' },
                                             EL_CLI_OPTIONS_END };
    bool json = false, watching = false;
    struct el_status_choice choice = { .model = NULL };
    double seconds = WATCH_SECONDS;
    int option, result = EL_CLI_USAGE;
    while ((option = el_cli_option(cli, count, arguments, options, &result)) != -1) {
        if (option == '?')
            return result;
        if (option == 'j')
            json = true;
        if (option == 'm')
            choice.model = optarg;
        choice.all = choice.all || option == 'a';
        watching = watching || option == 'w';
        if (option == 'w' && optarg != NULL)
            seconds = read_seconds(optarg);
    }
    if (watching && count - optind == 1) /* `--watch 2`, too */
        seconds = read_seconds(arguments[optind++]);
    if (optind < count)
        return el_cli_usage(cli, "\"%s\" is one argument too many", arguments[optind]);
    if (seconds < 0)
        return el_cli_usage(cli, "--watch expects seconds from 0.1 to 3600");
    if (json && watching)
        return el_cli_usage(
            cli, "--json and --watch exclude each other; for a stream there is `everlit events --json --follow`");
    if (json && (choice.model != NULL || choice.all))
        return el_cli_usage(cli, "--json prints the whole answer: --model and --all do not go with it");
    return json ? show_json(cli) : watching ? watch(cli, &choice, seconds) : show_once(cli, &choice);
}

const struct el_cli_command el_cli_status = {
    .name = "status",
    .summary = "every version of every model: state, engine, requests, latency",
    .help = "usage: everlit status [--model NAME | --all] [--watch [SECONDS]] [--socket PATH]\n"
            "       everlit status --json [--socket PATH]\n"
            "\n"
            "A table of every version of every model, and why a version was refused. Of more\n"
            "than 40 models those come first of which something is wrong or under way.\n"
            "\n"
            "  --model NAME       only this model\n"
            "  --all              all models, also when there are more than 40\n"
            "  --json             the server's answer as it is (docs/admin-api.md)\n"
            "  --watch [SECONDS]  again and again, every 1 s or as said, until Ctrl-C;\n"
            "                     a terminal is redrawn in place\n"
            "  --socket PATH      the server's socket; see `everlit help`\n"
            "\n"
            "Columns: SINCE is how long the version has been in its state; ERRORS are\n"
            "answers that are the server's or the model's fault; P50 and P99 are latencies\n"
            "of its answers; MEMORY is what its process holds.\n",
    .run = run,
};
