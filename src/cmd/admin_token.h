/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_ADMIN_TOKEN_H
#define EL_CMD_ADMIN_TOKEN_H

/* The token of the admin port, from --admin_token_file. Main thread, at the start. */

#include "base/status.h"

/*
 * The file's text without white space at its end; *token is to be freed, and NULL for the path "". FAILED_PRECONDITION: others than its
 * owner may read or write the file, or the token is shorter than 16 bytes or not of one line of printable characters.
 */
struct el_status *el_admin_token_read(const char *path, char **token) EL_MUST_USE;

#endif
