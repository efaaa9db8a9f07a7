/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_ADMIN_SOCKET_H
#define EL_CMD_ADMIN_SOCKET_H

/* Where the daemon and the command everlit meet: the Unix socket's path. Both programs, main thread. */

#include "base/status.h"

/*
 * The path: the flag if it says one; else $EVERLIT_SOCKET; /run/everlit/everlit.sock where that directory can be written to (or the
 * socket exists); $XDG_RUNTIME_DIR/everlit.sock; /tmp/everlit-UID.sock. *path is to be freed; NULL for the flag "none".
 */
struct el_status *el_admin_socket_path(const char *flag, char **path) EL_MUST_USE;

/* Makes sure that path can be bound: removes a socket that nobody listens on. ALREADY_EXISTS if a server answers there, or if it is no socket. */
struct el_status *el_admin_socket_take(const char *path) EL_MUST_USE;

#endif
