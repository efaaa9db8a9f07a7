/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_TLS_H
#define EL_RPC_TLS_H

/*
 * TLS of a listener: certificate, key, and whose clients are let in. OpenSSL 3, TLS 1.2 and 1.3.
 *
 * An el_tls is made by the program, shared by the event loops of the servers that its listeners belong to, and
 * outlives them. It may be given another certificate at any time, from any thread; connections that stand keep theirs.
 * The rest of this header is the transport's own: a connection's session, on its loop's thread. Reads and writes never
 * wait, and fail as recv(2) and send(2) do.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct el_tls;

struct el_tls_options {
    const char *origin; /* the file these come from, for errors */
    const char *key;    /* PEM */
    const char *cert;   /* PEM: the server's certificate, then those that lead to its authority */
    const char *ca;     /* PEM: the authorities of clients; NULL: none */
    bool verify_client; /* a client without a certificate from one of them is not served */
};

struct el_status *el_tls_new(const struct el_tls_options *options, struct el_tls **tls) EL_MUST_USE;

/* For connections from now on. On failure what was in force stays. Any thread. */
struct el_status *el_tls_replace(struct el_tls *tls, const struct el_tls_options *options) EL_MUST_USE;

void el_tls_free(struct el_tls *tls);

/* ---- for the transport ---- */

struct ssl_st; /* OpenSSL's SSL */

/* Which protocols a listener speaks, for ALPN. */
enum el_tls_protocols { EL_TLS_H1 = 1, EL_TLS_H2 = 2 };

/* A session on the connected socket fd, which stays the caller's; NULL without memory. */
struct ssl_st *el_tls_session_new(struct el_tls *tls, int fd, unsigned protocols);
void el_tls_session_free(struct ssl_st *session);

enum el_tls_step { EL_TLS_DONE, EL_TLS_WANTS_READ, EL_TLS_WANTS_WRITE, EL_TLS_FAILED };

/* Goes on with the handshake. why: the reason of a failure, room bytes. */
enum el_tls_step el_tls_handshake(struct ssl_st *session, char *why, size_t room);

/*
 * Up to room bytes, which must be 16 KiB at least: then nothing stays behind inside the session, and the socket tells when
 * there is more. 0 at the end; -1 and errno: EAGAIN (*wants_write: once the socket takes bytes) or another.
 */
ssize_t el_tls_read(struct ssl_st *session, uint8_t *to, size_t room, bool *wants_write);

/* Bytes that the session holds, of which the socket does not tell. */
size_t el_tls_pending(struct ssl_st *session);

/* What is not taken (EAGAIN) must be offered again, the same bytes first. */
ssize_t el_tls_write(struct ssl_st *session, const uint8_t *bytes, size_t size);

/* Tells the other side that nothing follows. */
void el_tls_close(struct ssl_st *session);

#endif
