/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_EXAMPLES_H
#define EL_TENSOR_EXAMPLES_H

/*
 * The tf.Examples of a Classify, Regress or MultiInference request, on their
 * way into a model's one input: a DT_STRING tensor of serialized Examples.
 *
 *     el_examples_read_input   from tensorflow.serving.Input, in place
 *     el_examples_read_json    from the body of :classify or :regress
 *     el_examples_size, _pack  into packed strings (tensor/tensor.h)
 *
 * The Examples are not interpreted: the graph parses them. That they are
 * well-formed is checked here, as TensorFlow Serving's own parser does before it
 * looks at anything else. With a context, what the model gets is the context's bytes and
 * then the Example's: protobuf merges them, and where both have a feature the Example's wins.
 *
 * On the event loops; pure but for memory that el_examples_free() gives back.
 */

#include "base/buf.h"
#include "base/status.h"
#include "tensor/json.h"
#include "tensor/wire.h"

struct el_example_place {
    size_t at, size; /* in el_examples.bytes or, read from JSON, in .store */
};

/* Zero-initialise, fill with one of the readers, el_examples_free() in any case. */
struct el_examples {
    const uint8_t *bytes; /* of the message; not owned; NULL: they are in store */
    struct el_buf store;
    struct el_buf places;   /* of struct el_example_place */
    uint32_t kind;          /* which member of the oneof was read last */
    const uint8_t *context; /* in bytes or in store */
    size_t context_size;    /* 0: none, or an empty one */
};

size_t el_examples_count(const struct el_examples *examples);

/*
 * Merges a tensorflow.serving.Input that lies inside the message at bytes, as protobuf merges a field that comes twice.
 * False if it is malformed or memory is short.
 */
bool el_examples_read_input(struct el_examples *examples, const uint8_t *bytes, struct el_wire input) EL_MUST_USE;

/* True if it could not be read for want of memory. */
bool el_examples_failed(const struct el_examples *examples);

/* Reads "context" and "examples" of a body that was scanned and is an object. INVALID_ARGUMENT with TensorFlow Serving's texts. */
struct el_status *el_examples_read_json(struct el_examples *examples, const struct el_json *json) EL_MUST_USE;

/* Bytes of the packed strings. "Input is empty." without an example, RESOURCE_EXHAUSTED above max_bytes. */
struct el_status *el_examples_size(const struct el_examples *examples, size_t max_bytes, size_t *size) EL_MUST_USE;

/* Writes the packed strings to data, which has room for el_examples_size(). */
void el_examples_pack(const struct el_examples *examples, void *data);

/* Appends field `field`: a tensorflow.serving.Input that says the same. */
void el_examples_put_input(struct el_buf *buf, uint32_t field, const struct el_examples *examples);

void el_examples_free(struct el_examples *examples);

/* True if the bytes are a tensorflow.Example that protobuf would parse. */
bool el_example_valid(struct el_wire example);

#endif
