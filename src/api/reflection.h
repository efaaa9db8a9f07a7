/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_REFLECTION_H
#define EL_API_REFLECTION_H

/*
 * What a server answers to one ServerReflectionRequest (proto/grpc/reflection/v1/reflection.proto; v1alpha has the same
 * bytes). Pure; any thread.
 */

#include "base/buf.h"
#include "rpc/rpc.h"

/*
 * Appends the ServerReflectionResponse. The services listed are those of the methods. False: the request is no message
 * of this type, and nothing was appended that counts.
 */
bool el_reflection_answer(const uint8_t *request, size_t size, const struct el_grpc_method *methods,
                          size_t method_count, struct el_buf *to);

#endif
