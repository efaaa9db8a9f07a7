/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_EVERLIT_H
#define EL_CMD_EVERLIT_H

/*
 * `everlit`, the operator's command: what its subcommands share.
 *
 * One process, one thread, one subcommand. Each subcommand is a file everlit_NAME.c with a struct el_cli_command; main
 * finds it by name. Answers go to standard output, errors to standard error as "everlit NAME: ...".
 */

#include "base/buf.h"
#include "base/status.h"

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The exit statuses, as `everlit help` documents them. */
enum el_cli_exit {
    EL_CLI_OK = 0,
    EL_CLI_REFUSED = 1,     /* the server said no, or what was looked at is not in order */
    EL_CLI_USAGE = 2,       /* wrong options or arguments */
    EL_CLI_UNREACHABLE = 3, /* no server answers on the socket */
};

struct el_cli_command;

struct el_cli {
    const struct el_cli_command *command;
    const char *socket; /* the path given with --socket, or NULL */
};

struct el_cli_command {
    const char *name;
    const char *summary; /* one line, for the list of commands */
    const char *help;    /* the whole text of `everlit help NAME`, 80 columns at most */
    int (*run)(struct el_cli *cli, int count, char **arguments); /* arguments[0] is the name */
};

extern const struct el_cli_command el_cli_status, el_cli_events, el_cli_config, el_cli_golden, el_cli_inspect,
    el_cli_predict, el_cli_report, el_cli_version, el_cli_rollback, el_cli_pin, el_cli_unpin, el_cli_load,
    el_cli_unload, el_cli_quarantine, el_cli_forgive, el_cli_retry, el_cli_promote, el_cli_abort, el_cli_history;

/* Says "everlit NAME: <text>" and how to get help on standard error; returns EL_CLI_USAGE. */
int el_cli_usage(const struct el_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says "everlit NAME: <text>" on standard error, takes status over and returns code. */
int el_cli_fail(const struct el_cli *cli, int code, struct el_status *status);

/* The whole number from 0 on that text is (a version, an event's id), or -1 when it is none. */
int64_t el_cli_number(const char *text);

/*
 * The next option, as getopt_long gives it; --help and --socket are dealt with here, and so is an option that does not
 * exist or lacks its value. options ends with EL_CLI_OPTIONS_END. -1: no more; '?': *exit_code is how to end at once.
 */
int el_cli_option(struct el_cli *cli, int count, char **arguments, const struct option *options, int *exit_code);

enum { EL_CLI_OPTION_SOCKET = 1000, EL_CLI_OPTION_HELP };
#define EL_CLI_OPTIONS_END                                                                                          \
    { "socket", required_argument, NULL, EL_CLI_OPTION_SOCKET }, { "help", no_argument, NULL, EL_CLI_OPTION_HELP }, \
    {                                                                                                               \
        NULL, 0, NULL, 0                                                                                            \
    }

/* Writes buf to standard output at once; false when that is not possible (a full disk: said on standard error). */
bool el_cli_write(const struct el_cli *cli, const struct el_buf *buf);

/* ---- style: what the standard output can show ---- */

struct el_cli_style {
    bool terminal; /* standard output is one */
    bool colour;   /* a terminal, no NO_COLOR, TERM is not "dumb" */
    size_t width;  /* columns: the terminal's, or 80 */
    size_t height; /* lines of the terminal, or 24 */
};

struct el_cli_style el_cli_style(void);

/* The escape sequences; "" without colour. */
enum el_cli_colour { EL_CLI_PLAIN, EL_CLI_BOLD, EL_CLI_DIM, EL_CLI_GREEN, EL_CLI_YELLOW, EL_CLI_RED, EL_CLI_CYAN };
const char *el_cli_colour(const struct el_cli_style *style, enum el_cli_colour colour);

#endif
