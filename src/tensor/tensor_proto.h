/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_TENSOR_PROTO_H
#define EL_TENSOR_TENSOR_PROTO_H

/*
 * tensorflow.TensorProto to and from tensors, in steps, so that the caller can
 * put the data where it wants it (a worker's arena):
 *
 *     el_tensor_proto_scan     walks the message once, notes where everything is
 *     el_tensor_proto_head     decides dtype, shape and the size of the data
 *     el_tensor_proto_decode   writes exactly that many bytes
 *
 * Called by the gRPC surface on the event loops, by warm-up on the swap thread.
 * Pure; no allocation but for the messages of statuses. The bytes scanned must
 * stay until after decode, unchanged.
 *
 * Decoding follows tensorflow::Tensor::FromProto: non-empty tensor_content wins
 * and must have the exact length; else the values of the one *_val field that belongs to
 * dtype, packed or not, of which too many are ignored, and of which the last is
 * repeated when there are fewer than elements (zeros when there is none).
 */

#include "tensor/tensor.h"
#include "tensor/wire.h"

#include <stdbool.h>

struct el_tensor_proto {
    enum el_dtype dtype; /* after head: el_dtype_is_data() */
    struct el_shape shape;
    size_t elements; /* after head */
    size_t size;     /* after head: bytes of the data in the form of tensor.h */
    /* The rest is for tensor_proto.c. */
    struct el_wire bytes;   /* the whole message */
    struct el_wire content; /* tensor_content */
    struct el_wire run;     /* when run_only: the packed run of fixed-size numbers that holds all values */
    size_t values;          /* entries of the *_val field that belongs to dtype */
    size_t string_bytes;    /* STRING: of all values together */
    size_t last_string;     /* STRING: of the last one */
    bool run_only;
    bool too_many_dims;
};

/* Notes what is where. False if the bytes are no TensorProto; gRPC answers INTERNAL with no text then, as TensorFlow Serving. */
bool el_tensor_proto_scan(const void *bytes, size_t size, struct el_tensor_proto *proto) EL_MUST_USE;

/*
 * Decides elements and size. INVALID_ARGUMENT "tensor parsing error: <alias>" for what TensorFlow refuses and for more than
 * EL_MAX_RANK dims; RESOURCE_EXHAUSTED when size would be beyond max_bytes (a few bytes can ask for a very big tensor).
 */
struct el_status *el_tensor_proto_head(struct el_tensor_proto *proto, const char *alias, size_t alias_size,
                                       size_t max_bytes) EL_MUST_USE;

/* Writes proto->size bytes to data, aligned for the dtype. Cannot fail after a head that did not. */
void el_tensor_proto_decode(const struct el_tensor_proto *proto, void *data);

enum el_tensor_proto_form {
    EL_TENSOR_AS_VALUES,  /* *_val, one value per element: what TensorFlow Serving answers */
    EL_TENSOR_AS_CONTENT, /* tensor_content: --enable_serialization_as_tensor_content */
};

/* Bytes of the message that el_tensor_proto_write() appends; tensor is checked (el_tensor_check). */
size_t el_tensor_proto_size(const struct el_tensor *tensor, enum el_tensor_proto_form form);

/* Appends the message, without tag and length. */
void el_tensor_proto_write(struct el_buf *buf, const struct el_tensor *tensor, enum el_tensor_proto_form form);

#endif
