/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_LISTEN_H
#define EL_RPC_LISTEN_H

/*
 * Listening sockets. On the thread that starts the server.
 */

#include "rpc/rpc.h"

/*
 * Opens `count` sockets that share the address of a TCP listener by SO_REUSEPORT; or one, in sockets[0], for a Unix
 * socket, and -1 in the others. *port is the port bound. A port that any other process (or server) listens on is
 * ALREADY_EXISTS, also where SO_REUSEPORT would let two share it. On failure no socket is left open.
 */
struct el_status *el_listen(const struct el_listener *listener, int *sockets, size_t count, uint16_t *port) EL_MUST_USE;

/*
 * Makes a listening TCP socket ignore new connections (their SYN; a client repeats it after a second and finds the
 * socket closed, or another one), while those under way are still established. False: it goes on to take them.
 */
bool el_listen_close_door(int fd);

#endif
