/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_TENSOR_JSON_H
#define EL_API_TENSOR_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A serialized TensorProto as Protocol Buffers' JSON printer shows it with all its fields: for the defaults of a signature in
 * :metadata. Any thread. NULL: no memory, or the bytes are none.
 */
json_t *el_tensor_proto_json(const uint8_t *bytes, size_t size);

#endif
