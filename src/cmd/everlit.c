/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct el_cli_command *const commands[] = {
    &el_cli_status,  &el_cli_events,  &el_cli_history, &el_cli_config,  &el_cli_rollback,
    &el_cli_pin,     &el_cli_unpin,   &el_cli_load,    &el_cli_unload,  &el_cli_quarantine,
    &el_cli_forgive, &el_cli_retry,   &el_cli_promote, &el_cli_abort,   &el_cli_golden,
    &el_cli_inspect, &el_cli_predict, &el_cli_report,  &el_cli_version,
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static const char overview[] = "usage: everlit [--socket PATH] COMMAND [options]\n"
                               "\n"
                               "Shows what the model server everlitd is doing, steers it, and asks its models.\n"
                               "\n";

static const char more[] = "  help       this text, or with the name of a command, that command's\n"
                           "\n"
                           "The server is found by its Unix socket: --socket PATH, else $EVERLIT_SOCKET,\n"
                           "else /run/everlit/everlit.sock, $XDG_RUNTIME_DIR/everlit.sock, and at last\n"
                           "/tmp/everlit-UID.sock.\n"
                           "\n"
                           "Exit status: 0 well done; 1 the server said no, or a model is not in order;\n"
                           "2 wrong usage; 3 the server cannot be reached.\n";

static void print_overview(FILE *out)
{
    fputs(overview, out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs(more, out);
}

static const struct el_cli_command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    }
    return NULL;
}

static int help(struct el_cli *cli, int count, char **arguments)
{
    if (count > 2)
        return el_cli_usage(cli, "help takes one command, not %d", count - 1);
    if (count < 2 || strcmp(arguments[1], "help") == 0) {
        print_overview(stdout);
        return EL_CLI_OK;
    }
    const struct el_cli_command *command = find_command(arguments[1]);
    if (command == NULL)
        return el_cli_usage(cli, "there is no command \"%s\"", arguments[1]);
    fputs(command->help, stdout);
    return EL_CLI_OK;
}

int el_cli_usage(const struct el_cli *cli, const char *format, ...)
{
    const char *name = cli->command != NULL ? cli->command->name : "";
    const char *blank = *name != '\0' ? " " : "";
    va_list args;
    va_start(args, format);
    struct el_status *text = el_status_newv(EL_INVALID_ARGUMENT, format, args);
    va_end(args);
    fprintf(stderr, "everlit%s%s: %s\nType `everlit help%s%s` for what is possible.\n", blank, name,
            el_status_text(text), blank, name);
    el_status_free(text);
    return EL_CLI_USAGE;
}

int el_cli_fail(const struct el_cli *cli, int code, struct el_status *status)
{
    fprintf(stderr, "everlit %s: %s\n", cli->command->name, el_status_text(status));
    el_status_free(status);
    return code;
}

int64_t el_cli_number(const char *text)
{
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    return errno != 0 || end == text || *end != '\0' || number < 0 ? -1 : number;
}

int el_cli_option(struct el_cli *cli, int count, char **arguments, const struct option *options, int *exit_code)
{
    opterr = 0;
    const int found = getopt_long(count, arguments, ":", options, NULL);
    switch (found) {
    case EL_CLI_OPTION_SOCKET:
        cli->socket = optarg;
        return el_cli_option(cli, count, arguments, options, exit_code);
    case EL_CLI_OPTION_HELP:
        fputs(cli->command->help, stdout);
        *exit_code = EL_CLI_OK;
        return '?';
    case ':':
        *exit_code = el_cli_usage(cli, "option %s needs a value", arguments[optind - 1]);
        return '?';
    case '?':
        *exit_code = el_cli_usage(cli, "option %s is not one of this command, or is used wrongly",
                                  arguments[optind - 1]);
        return '?';
    default:
        return found;
    }
}

bool el_cli_write(const struct el_cli *cli, const struct el_buf *buf)
{
    if (fwrite(buf->data, 1, buf->size, stdout) == buf->size && fflush(stdout) == 0)
        return true;
    fprintf(stderr, "everlit %s: standard output: %s\n", cli->command->name, strerror(errno));
    return false;
}

/* Options before the command: --socket, --help, --version. Leaves optind on the command's name. */
static int global_options(struct el_cli *cli, int count, char **arguments)
{
    static const struct option options[] = { { "version", no_argument, NULL, 'v' }, EL_CLI_OPTIONS_END };
    opterr = 0;
    for (;;) {
        const int found = getopt_long(count, arguments, "+:", options, NULL);
        switch (found) {
        case -1:
            return -1;
        case EL_CLI_OPTION_SOCKET:
            cli->socket = optarg;
            break;
        case EL_CLI_OPTION_HELP:
            print_overview(stdout);
            return EL_CLI_OK;
        case 'v':
            printf("everlit %s\n", EVERLIT_VERSION);
            return EL_CLI_OK;
        case ':':
            return el_cli_usage(cli, "option %s needs a value", arguments[optind - 1]);
        default:
            return el_cli_usage(cli, "there is no option %s", arguments[optind - 1]);
        }
    }
}

int main(int count, char **arguments)
{
    struct el_cli cli = { 0 };
    const int ended = global_options(&cli, count, arguments);
    if (ended >= 0)
        return ended;
    if (optind >= count) {
        print_overview(stderr);
        return EL_CLI_USAGE;
    }
    const int first = optind;
    const char *name = arguments[first];
    optind = 0; /* glibc: start again, in another vector */
    if (strcmp(name, "help") == 0)
        return help(&cli, count - first, arguments + first);
    cli.command = find_command(name);
    if (cli.command == NULL)
        return el_cli_usage(&cli, "there is no command \"%s\"", name);
    return cli.command->run(&cli, count - first, arguments + first);
}
