/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/cut_inputs.h"

#include <string.h>

#define MAX_NAME ((size_t)64 << 10)

enum { GRAPH_NODE = 1 };
enum { NODE_NAME = 1, NODE_OP = 2, NODE_ATTR = 5 };
enum { ATTR_TYPE = 6, ATTR_SHAPE = 7 };

/* The input that the first output of the node called name is; NULL: none. */
static const struct el_tensor_info *find_input(const struct el_signature *signature, const struct el_buf *name)
{
    if (name->data == NULL)
        return NULL;
    for (uint32_t i = 0; i < signature->input_count; i++) {
        const char *tensor = signature->inputs[i].tensor_name;
        const char *colon = strrchr(tensor, ':');
        const size_t size = colon != NULL ? (size_t)(colon - tensor) : strlen(tensor);
        const bool first = colon == NULL || strcmp(colon, ":0") == 0;
        if (first && size == name->size && memcmp(tensor, name->data, size) == 0)
            return &signature->inputs[i];
    }
    return NULL;
}

static void put_attribute(struct el_buf *node, const char *key, const struct el_buf *value)
{
    struct el_buf entry = { 0 };
    el_proto_put_bytes(&entry, 1, key, strlen(key));
    el_proto_put_bytes(&entry, 2, value->data, value->size);
    node->failed |= entry.failed || value->failed;
    el_proto_put_bytes(node, NODE_ATTR, entry.data, entry.size);
    el_buf_free(&entry);
}

static void put_shape(struct el_buf *to, const struct el_shape *shape)
{
    struct el_buf text = { 0 };
    for (int32_t i = 0; i < shape->rank; i++) {
        struct el_buf dim = { 0 };
        el_proto_put_number(&dim, 1, (uint64_t)shape->dims[i]);
        el_proto_put_bytes(&text, 2, dim.data, dim.size);
        to->failed |= dim.failed;
        el_buf_free(&dim);
    }
    if (shape->rank < 0)
        el_proto_put_number(&text, 3, 1); /* unknown_rank */
    to->failed |= text.failed;
    el_proto_put_bytes(to, ATTR_SHAPE, text.data, text.size);
    el_buf_free(&text);
}

/* Appends the node field of a Placeholder for the input. */
static struct el_status *put_placeholder(struct el_buf *out, const struct el_buf *name,
                                         const struct el_tensor_info *input)
{
    struct el_buf node = { 0 }, type = { 0 }, shape = { 0 };
    el_proto_put_bytes(&node, NODE_NAME, name->data, name->size);
    el_proto_put_bytes(&node, NODE_OP, "Placeholder", strlen("Placeholder"));
    el_proto_put_number(&type, ATTR_TYPE, (uint64_t)input->dtype);
    put_attribute(&node, "dtype", &type);
    put_shape(&shape, &input->shape);
    put_attribute(&node, "shape", &shape);
    struct el_status *status = el_buf_status(&node);
    if (status == NULL) {
        el_proto_put_bytes(out, GRAPH_NODE, node.data, node.size);
        status = el_buf_status(out);
    }
    el_buf_free(&node);
    el_buf_free(&type);
    el_buf_free(&shape);
    return status;
}

/* What stands in a node's place: empty when it stays as it is. */
static struct el_status *replace_node(struct el_proto_file *file, const struct el_proto_part *node,
                                      const struct el_signature *signature, struct el_buf *out)
{
    struct el_proto_span span = node->span;
    struct el_proto_part part;
    struct el_status *status = NULL;
    struct el_buf name = { 0 }, op = { 0 };
    while (status == NULL && el_proto_file_next(file, &span, &part, &status)) {
        if (part.wire != EL_PROTO_BYTES || (part.number != NODE_NAME && part.number != NODE_OP))
            continue;
        struct el_buf *text = part.number == NODE_NAME ? &name : &op;
        el_buf_clear(text);
        status = el_proto_file_read(file, part.span, MAX_NAME, text);
    }
    const struct el_tensor_info *input = status == NULL ? find_input(signature, &name) : NULL;
    const bool begins = op.size >= 11 && memcmp(op.data, "Placeholder", 11) == 0; /* or PlaceholderWithDefault */
    if (input != NULL && !begins)
        status = put_placeholder(out, &name, input);
    el_buf_free(&name);
    el_buf_free(&op);
    return status;
}

/* The next field of a graph; in other what stands in its place, empty where it stays. False: the end, or *status. */
static bool next_field(struct el_proto_file *file, struct el_proto_span *span, const struct el_signature *signature,
                       struct el_proto_part *part, struct el_buf *other, struct el_status **status)
{
    if (!el_proto_file_next(file, span, part, status))
        return false;
    el_buf_clear(other);
    if (part->number == GRAPH_NODE && part->wire == EL_PROTO_BYTES)
        *status = replace_node(file, part, signature, other);
    return *status == NULL;
}

struct el_status *el_cut_inputs_size(struct el_proto_file *file, struct el_proto_span span,
                                     const struct el_signature *signature, uint64_t *size, bool *changed)
{
    struct el_proto_part part;
    struct el_status *status = NULL;
    struct el_buf other = { 0 };
    *size = 0;
    *changed = false;
    while (next_field(file, &span, signature, &part, &other, &status)) {
        *changed = *changed || other.size > 0;
        *size += other.size > 0 ? other.size : span.at - part.start;
    }
    el_buf_free(&other);
    return status;
}

struct el_status *el_cut_inputs_copy(struct el_proto_file *file, struct el_proto_span span,
                                     const struct el_signature *signature, int to)
{
    struct el_proto_span piece = { span.at, span.at };
    struct el_proto_part part;
    struct el_status *status = NULL;
    struct el_buf other = { 0 };
    while (status == NULL && next_field(file, &span, signature, &part, &other, &status)) {
        if (other.size == 0)
            continue;
        piece.end = part.start;
        status = el_proto_file_copy(file, piece, to);
        if (status == NULL)
            status = el_proto_file_put(to, other.data, other.size);
        piece.at = span.at;
    }
    piece.end = span.end;
    if (status == NULL)
        status = el_proto_file_copy(file, piece, to);
    el_buf_free(&other);
    return status;
}
