/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_FUZZ_RPC_HARNESS_H
#define EL_FUZZ_RPC_HARNESS_H

/*
 * One event loop of the transport, for its fuzzers: bytes go in by a socket pair, as from a client, and the handlers
 * answer at once, later, in a stream, or not at all. Afterwards nothing may be left: no connection, no byte
 * accounted, no deadline; abort() otherwise.
 */

#include "rpc/rpc.h"

/*
 * Speaks `head` and then `data` to a listener of this type (of HTTP, one that takes gRPC, too). how: lowest 3 bits, the size of a piece (1, 2, 7, 9, 64, 1024,
 * 16384, all); 8: the client ends its direction before it goes; 16: the client reads nothing; 32: the server drains... as far
 * as a connection can tell; 64: time passes (tick).
 */
void rpc_harness_run(enum el_listener_type type, uint8_t how, const void *head, size_t head_size, const uint8_t *data,
                     size_t size);

/* What libFuzzer gave, to a listener that is spoken to by HTTP/2: byte 0 is how, and with 128 the frames of a good beginning are left out. */
void rpc_harness_http2(enum el_listener_type type, const uint8_t *data, size_t size);

#endif
