/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_HOST_NODE_H
#define EL_ENGINE_HOST_NODE_H

/*
 * A NodeDef of a graph, as a view into its bytes: name, op, inputs and attributes.
 *
 * Pure; any thread. The bytes are a file's: what is malformed inside an attribute reads as if the attribute were not there.
 */

#include "base/status.h"
#include "bundle/proto.h"
#include "tensor/tensor.h"
#include "tensor/wire.h"

#include <stdbool.h>
#include <stdint.h>

struct host_def {
    struct el_span name, op;
    struct el_proto body; /* of the NodeDef */
};

/* What one of a node's inputs names: "^node", "node", "node:1" and, inside a function, "node:values:1". */
struct host_input {
    struct el_span node;
    struct el_span output; /* the name of the output inside a function; empty: none */
    uint32_t index;
    bool control;
};

/* INVALID_ARGUMENT for bytes that are no NodeDef. */
struct el_status *host_def_read(const struct el_proto *body, struct host_def *def) EL_MUST_USE;

/* The next input; *at starts as def->body. False at the end. */
bool host_def_next_input(struct el_proto *at, struct host_input *input);
struct host_input host_input_parse(struct el_span text);

bool host_text_is(struct el_span text, const char *other);

/* The attribute's AttrValue; false: there is none. */
bool host_attr_find(const struct host_def *def, const char *key, struct el_proto *value);

/* The field called number of the attribute's value, or otherwise. */
int64_t host_attr_int(const struct host_def *def, const char *key, int64_t otherwise);
bool host_attr_bool(const struct host_def *def, const char *key, bool otherwise);
enum el_dtype host_attr_type(const struct host_def *def, const char *key, enum el_dtype otherwise);
struct el_span host_attr_text(const struct host_def *def, const char *key, const char *otherwise);

/* The name of the function that the attribute names; empty: none. */
struct el_span host_attr_function(const struct host_def *def, const char *key);

/* The bytes of the TensorProto; false: there is none. */
bool host_attr_tensor(const struct host_def *def, const char *key, struct el_span *tensor);

/* Lists of at most `most` entries; more are counted, not written. *count: how many there are. */
void host_attr_types(const struct host_def *def, const char *key, enum el_dtype *types, uint32_t most, uint32_t *count);
void host_attr_shapes(const struct host_def *def, const char *key, struct el_shape *shapes, uint32_t most,
                      uint32_t *count);

#endif
