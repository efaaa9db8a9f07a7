/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_EVERLIT_CLIENT_H
#define EL_CMD_EVERLIT_CLIENT_H

/*
 * HTTP to the daemon over its Unix socket (docs/admin-api.md). Blocking. What goes wrong is said on standard error, with
 * what to type; the exit status to end with is returned.
 */

#include "cmd/everlit.h"

/*
 * GETs path, or POSTs body (JSON) there if it is not NULL. EL_CLI_OK: the answer's bytes are in *answer. EL_CLI_REFUSED: the
 * server answered with an error. timeout_s 0: 30.
 */
int el_cli_request(const struct el_cli *cli, const char *path, const struct el_buf *body, long timeout_s,
                   struct el_buf *answer);

/* The same without a word when no server answers. */
int el_cli_request_quietly(const struct el_cli *cli, const char *path, struct el_buf *answer);

/* GETs path and hands over each line of the answer, without its end, as it comes. Ends when the server ends the answer. */
int el_cli_stream(const struct el_cli *cli, const char *path,
                  void (*line)(const char *line, size_t size, void *argument), void *argument);

/* text as a part of a URL's path, to be freed; NULL when memory is short. */
char *el_cli_escape(const char *text);

#endif
