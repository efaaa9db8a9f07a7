/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlit_client.h"

#include <jansson.h>
#include <string.h>

static int print_text(const struct el_cli *cli, const struct el_buf *answer)
{
    json_t *json = json_loadb((const char *)answer->data, answer->size, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "config"));
    int result = EL_CLI_REFUSED;
    if (text == NULL) {
        result = el_cli_fail(cli, EL_CLI_REFUSED, el_status_new(EL_INTERNAL, "the server's answer holds no config"));
    } else {
        struct el_buf out = { 0 };
        el_buf_text(&out, text);
        if (!out.failed && el_cli_write(cli, &out))
            result = EL_CLI_OK;
        el_buf_free(&out);
    }
    json_decref(json);
    return result;
}

static int run(struct el_cli *cli, int count, char **arguments)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' }, EL_CLI_OPTIONS_END };
    bool json = false;
    int option, result = EL_CLI_USAGE;
    while ((option = el_cli_option(cli, count, arguments, options, &result)) != -1) {
        if (option == '?')
            return result;
        json = json || option == 'j';
    }
    if (optind < count)
        return el_cli_usage(cli, "\"%s\" is one argument too many", arguments[optind]);
    struct el_buf answer = { 0 };
    result = el_cli_request(cli, "/admin/v1/config", NULL, 0, &answer);
    if (result == EL_CLI_OK)
        result = !json ? print_text(cli, &answer) : el_cli_write(cli, &answer) ? EL_CLI_OK : EL_CLI_REFUSED;
    el_buf_free(&answer);
    return result;
}

const struct el_cli_command el_cli_config = {
    .name = "config",
    .summary = "the models' config in force, as a file that everlitd takes",
    .help = "usage: everlit config [--json] [--socket PATH]\n"
            "\n"
            "The config in force, in the text format of --model_config_file: what the file\n"
            "says, or what a client has sent since (HandleReloadConfigRequest). Defaults are\n"
            "left out.\n"
            "\n"
            "  everlit config > models.config    keeps what a client has sent\n"
            "\n"
            "  --json         {\"config\": TEXT, \"from\": \"command line\", \"file\", \"client\" or\n"
            "                 \"state_dir\"}\n"
            "  --socket PATH  the server's socket; see `everlit help`\n",
    .run = run,
};
