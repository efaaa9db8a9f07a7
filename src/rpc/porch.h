/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_RPC_PORCH_H
#define EL_RPC_PORCH_H

/*
 * Where a connection waits while its TLS handshake goes on. Listeners without TLS have no use for it.
 *
 * Thread: the loop's. A guest owns its socket and session until it leaves as a connection, or is shown out: after a failure,
 * when it takes too long, at the end of a drain. It counts as a connection all the time.
 */

#include "rpc/loop.h"

/* True if clients of the listener begin here. */
bool el_porch_needed(const struct el_listener *listener);

/* Takes fd in. False: no memory; fd is the caller's still. */
bool el_porch_enter(struct el_loop *loop, int fd, const struct el_listener *listener);

/* Shows out who has been here for too long; or, at the end of a drain, everybody. */
void el_porch_tick(struct el_loop *loop, uint64_t now_ms, bool everybody);

#endif
