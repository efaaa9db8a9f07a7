/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_HOST_EXAMPLE_H
#define EL_ENGINE_HOST_EXAMPLE_H

/*
 * Reading a serialized tf.Example: its features by name, and the values of one. As TensorFlow's fast parser
 * (core/util/example_proto_fast_parsing.cc) reads it. Pure; views into the bytes.
 */

#include "engine/host_node.h"
#include "tensor/tensor.h"
#include "tensor/wire.h"

#define HOST_MOST_FEATURES 1024 /* dense ones, and sparse ones */

/* What a ParseExample or ParseExampleV2 wants (host_example_spec.c). */
struct host_example_spec {
    bool is_v1;
    uint32_t sparse_count, dense_count;
    enum el_dtype sparse[HOST_MOST_FEATURES], dense[HOST_MOST_FEATURES];
    struct el_shape shapes[HOST_MOST_FEATURES]; /* of the dense ones, without the examples' dim */
    size_t sizes[HOST_MOST_FEATURES];           /* their elements */
};

/* UNIMPLEMENTED for ragged features and such of variable length. end with free(). */
struct el_status *host_example_spec_make(const struct host_def *def, void **state) EL_MUST_USE;

struct host_feature {
    struct el_span name;
    struct el_span value; /* the Feature; empty: it has no kind */
};

/* The features in the order of the bytes, at most `most` of them; *count: how many there are. False: it is no Example. */
bool host_example_read(struct el_span example, struct host_feature *features, size_t most, size_t *count);

/* STRING, FLOAT or INT64, by the first byte; DTYPE_INVALID for a feature without a kind. False: it has another kind. */
bool host_feature_type(const struct host_feature *feature, enum el_dtype *type);

/*
 * Calls each(closure, bytes of value) for each value, as the feature's type: a string's bytes, or a number's in memory. False: the bytes
 * are malformed.
 */
typedef void host_feature_value(void *closure, struct el_span value);
bool host_feature_values(const struct host_feature *feature, host_feature_value *each, void *closure);

#endif
