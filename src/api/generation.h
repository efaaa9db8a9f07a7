/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_GENERATION_H
#define EL_API_GENERATION_H

/*
 * The header (metadata over gRPC) with which clients keep to one generation of a group of models: an answer names its own, a
 * request the one that it wants. See swap/group.h for what a generation is.
 *
 * On the event loop's thread.
 */

#include "rpc/rpc.h"
#include "swap/swap.h"

#define EL_GENERATION_HEADER "x-everlit-generation"

/* What a request's header says; text NULL: it has none, and *generation is 0. INVALID_ARGUMENT: it is no number above 0. */
struct el_status *el_api_read_generation(const char *text, uint64_t *generation) EL_MUST_USE;

/* Before the answer to a request that is done, well or not: says which generation it was led to, if any. */
void el_api_put_grpc_generation(struct el_grpc_call *call, const struct el_request *request);
void el_api_put_http_generation(struct el_http_request *http, const struct el_request *request);

/* The same as el_api_rest_fail(), but 412 where the generation that the request wants is not there. */
void el_api_fail_http_generation(struct el_http_request *http, const struct el_request *request,
                                 const struct el_status *status);

#endif
