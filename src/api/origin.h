/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_ORIGIN_H
#define EL_API_ORIGIN_H

/* What the swapper may ask about a request as it was sent (struct el_request_origin), of each transport. Event loop's thread. */

#include "rpc/rpc.h"
#include "swap/swap.h"

/* Before el_request_start(). */
void el_api_grpc_origin(struct el_request *request, const struct el_grpc_call *call);
void el_api_http_origin(struct el_request *request, const struct el_http_request *http);

#endif
