/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_TEXTS_H
#define EL_RPC_TEXTS_H

/*
 * Small texts of gRPC's and HTTP's wire formats. Pure; any thread.
 */

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EL_STATUS_TEXT_MAX 1024 /* bytes of a status message that a client may see, as TensorFlow Serving has it */

/* grpc-timeout, "100m": 1 to 8 digits and one of H M S m u n. False: it is none. */
bool el_rpc_text_timeout(const char *text, size_t size, uint64_t *timeout_ns);

/*
 * Appends message as a grpc-message value: cut to EL_STATUS_TEXT_MAX bytes ("...TRUNCATED" at the end, within
 * the limit), then percent-encoded (what is not printable ASCII, and '%').
 */
void el_rpc_text_message(struct el_buf *to, const char *message);

/* True if a content-type is gRPC's with protobuf: application/grpc, +proto, or with parameters. */
bool el_rpc_text_is_grpc(const char *content_type, size_t size);

/* True if the comma-separated list (Accept-Encoding, Connection) names token, and not with q=0. Case-insensitive. */
bool el_rpc_text_lists(const char *list, const char *token);

/* The value of header `name` in "name\0value\0name\0value\0", size bytes long; NULL: absent. Case-insensitive. */
const char *el_rpc_text_header(const uint8_t *headers, size_t size, const char *name);

/*
 * The header at *at of such a list that was written here, and *at behind it; false at the end. Begin with 0. The texts are the
 * list's.
 */
bool el_rpc_text_next(const struct el_buf *headers, size_t *at, const char **name, const char **value);

#endif
