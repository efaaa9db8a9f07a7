/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlit_client.h"

#include <inttypes.h>
#include <jansson.h>

/* The server's line, where one answers: a difference between the two is what people look for here. */
static void print_server(const struct el_cli *cli)
{
    struct el_buf answer = { 0 };
    if (el_cli_request_quietly(cli, "/admin/v1/status", &answer) == EL_CLI_OK) {
        json_t *json = json_loadb((const char *)answer.data, answer.size, 0, NULL);
        const json_t *server = json_object_get(json, "server");
        const char *version = json_string_value(json_object_get(server, "version"));
        if (version != NULL)
            printf("everlitd %s (pid %" PRId64 ")\n", version,
                   (int64_t)json_integer_value(json_object_get(server, "pid")));
        json_decref(json);
    }
    el_buf_free(&answer);
}

static int run(struct el_cli *cli, int count, char **arguments)
{
    static const struct option options[] = { EL_CLI_OPTIONS_END };
    int result = EL_CLI_USAGE;
    if (el_cli_option(cli, count, arguments, options, &result) != -1)
        return result;
    if (optind < count)
        return el_cli_usage(cli, "\"%s\" is one argument too many", arguments[optind]);
    printf("everlit %s\n", EVERLIT_VERSION);
    print_server(cli);
    return EL_CLI_OK;
}

const struct el_cli_command el_cli_version = {
    .name = "version",
    .summary = "the version of this command and of the server, if one answers",
    .help = "usage: everlit version [--socket PATH]\n"
            "\n"
            "The version of this command and, where a server answers, of that.\n",
    .run = run,
};
