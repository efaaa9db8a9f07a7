/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_HOST_VALUE_H
#define EL_ENGINE_HOST_VALUE_H

/*
 * A tensor with an owner: what an op that the plug-in runs itself (host_op.h) takes and gives.
 *
 * Called on the thread of a run, or of open for constants. A value either owns its memory or views somebody else's, who must outlive it.
 * Sizes that a graph asks for are limited to HOST_MAX_BYTES: RESOURCE_EXHAUSTED beyond it.
 */

#include "base/buf.h"
#include "base/status.h"
#include "tensor/tensor.h"

#define HOST_MAX_BYTES ((size_t)1 << 30)

struct host_value {
    struct el_tensor tensor;
    size_t elements;
    void *owned; /* to free(); NULL: the data belongs to somebody else */
};

/* A view of a tensor that el_tensor_check() has taken. */
struct host_value host_value_view(const struct el_tensor *tensor);

/* Numbers without content; *data is where they go, aligned to 64 bytes. */
struct el_status *host_value_make(enum el_dtype dtype, const struct el_shape *shape, struct host_value *value,
                                  void **data) EL_MUST_USE;

/* The same content in another shape, with as many elements; takes the memory over from *from. */
void host_value_move(struct host_value *from, const struct el_shape *shape, struct host_value *to);

/* As many elements as shape has: element i of *to is element picks[i] of from, which the caller has checked. */
struct el_status *host_value_pick(const struct host_value *from, const size_t *picks, const struct el_shape *shape,
                                  struct host_value *to) EL_MUST_USE;

void host_value_free(struct host_value *value);

/* Element i of a tensor of int32 or int64. */
int64_t host_value_integer(const struct host_value *value, size_t i);

/* Element i of strings. */
const char *host_value_string(const struct host_value *value, size_t i, size_t *size);

/* Building strings: begin, add each in turn, end. host_strings_free() in any case. */
struct host_strings {
    uint64_t *ends; /* of each, counted from the first byte of the first */
    size_t count, made;
    struct el_buf bytes;
};
struct el_status *host_strings_begin(struct host_strings *strings, const struct el_shape *shape) EL_MUST_USE;
void host_strings_add(struct host_strings *strings, const void *bytes, size_t size);
struct el_status *host_strings_end(struct host_strings *strings, const struct el_shape *shape,
                                   struct host_value *value) EL_MUST_USE;
void host_strings_free(struct host_strings *strings);

/*
 * Values that were gathered one after the other: of numbers, their bytes are in content; of strings, the size of each (size_t) is in
 * content, and their bytes one behind the other in text. As many as shape has elements, and both without a failure.
 */
struct el_status *host_value_gathered(enum el_dtype dtype, const struct el_shape *shape, const struct el_buf *content,
                                      const struct el_buf *text, struct host_value *value) EL_MUST_USE;

/* From a tensorflow.TensorProto. what: for the text. */
struct el_status *host_value_from_proto(const void *bytes, size_t size, const char *what,
                                        struct host_value *value) EL_MUST_USE;

#endif
