/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_node.h"

#include <string.h>

enum { NODE_NAME = 1, NODE_OP = 2, NODE_INPUT = 3, NODE_ATTR = 5 };
enum { LIST = 1, TEXT = 2, INT = 3, BOOL = 5, TYPE = 6, SHAPE = 7, TENSOR = 8, FUNCTION = 10 };

bool host_text_is(struct el_span text, const char *other)
{
    const size_t size = strlen(other);
    return text.size == size && (size == 0 || memcmp(text.data, other, size) == 0);
}

static struct el_span span_of(const struct el_proto_field *field)
{
    return (struct el_span){ (const char *)field->bytes, field->size };
}

struct el_status *host_def_read(const struct el_proto *body, struct host_def *def)
{
    struct el_proto message = *body;
    struct el_proto_field field;
    struct el_status *status = NULL;
    *def = (struct host_def){ .body = *body };
    while (el_proto_next(&message, &field, &status)) {
        if (field.wire != EL_PROTO_BYTES)
            continue;
        if (field.number == NODE_NAME)
            def->name = span_of(&field);
        else if (field.number == NODE_OP)
            def->op = span_of(&field);
    }
    return status;
}

/* ---- inputs ---- */

/* Digits of at most 9 places; false: it is no number. */
static bool read_index(struct el_span text, uint32_t *index)
{
    *index = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (i == 9 || text.data[i] < '0' || text.data[i] > '9')
            return false;
        *index = *index * 10 + (uint32_t)(text.data[i] - '0');
    }
    return text.size > 0;
}

/* Cuts text at its last colon; false: it has none. */
static bool cut_last(struct el_span *text, struct el_span *last)
{
    for (size_t i = text->size; i-- > 0;) {
        if (text->data[i] != ':')
            continue;
        *last = (struct el_span){ text->data + i + 1, text->size - i - 1 };
        text->size = i;
        return true;
    }
    return false;
}

struct host_input host_input_parse(struct el_span text)
{
    struct host_input input = { .node = text };
    struct el_span last, output;
    if (text.size > 0 && text.data[0] == '^') {
        input.node = (struct el_span){ text.data + 1, text.size - 1 };
        input.control = true;
    } else if (cut_last(&text, &last) && read_index(last, &input.index)) {
        if (cut_last(&text, &output))
            input.output = output;
        input.node = text;
    }
    return input;
}

bool host_def_next_input(struct el_proto *at, struct host_input *input)
{
    struct el_proto_field field;
    struct el_status *status = NULL;
    while (el_proto_next(at, &field, &status)) {
        if (field.number != NODE_INPUT || field.wire != EL_PROTO_BYTES)
            continue;
        *input = host_input_parse(span_of(&field));
        return true;
    }
    el_status_free(status);
    return false;
}

/* ---- attributes ---- */

/* The key and the value of an entry of a map. */
static struct el_span read_entry(const struct el_proto_field *entry, struct el_proto *value)
{
    struct el_proto message = { .start = entry->bytes, .size = entry->size };
    struct el_proto_field field;
    struct el_status *status = NULL;
    struct el_span key = { "", 0 };
    *value = (struct el_proto){ 0 };
    while (el_proto_next(&message, &field, &status)) {
        if (field.number == 1 && field.wire == EL_PROTO_BYTES)
            key = span_of(&field);
        else if (field.number == 2 && field.wire == EL_PROTO_BYTES)
            *value = (struct el_proto){ .start = field.bytes, .size = field.size };
    }
    el_status_free(status);
    return key;
}

bool host_attr_find(const struct host_def *def, const char *key, struct el_proto *value)
{
    struct el_proto message = def->body;
    struct el_proto_field field;
    struct el_status *status = NULL;
    bool found = false;
    while (!found && el_proto_next(&message, &field, &status))
        found = field.number == NODE_ATTR && field.wire == EL_PROTO_BYTES &&
                host_text_is(read_entry(&field, value), key);
    el_status_free(status);
    return found;
}

/* The last field with that number and wire type, as protobuf reads one. */
static bool last_field(struct el_proto message, uint32_t number, enum el_proto_wire wire, struct el_proto_field *last)
{
    struct el_proto_field field;
    struct el_status *status = NULL;
    bool found = false;
    while (el_proto_next(&message, &field, &status)) {
        if (field.number != number || field.wire != wire)
            continue;
        *last = field;
        found = true;
    }
    el_status_free(status);
    return found;
}

static bool find_field(const struct host_def *def, const char *key, uint32_t number, enum el_proto_wire wire,
                       struct el_proto_field *field)
{
    struct el_proto value;
    return host_attr_find(def, key, &value) && last_field(value, number, wire, field);
}

int64_t host_attr_int(const struct host_def *def, const char *key, int64_t otherwise)
{
    struct el_proto_field field;
    return find_field(def, key, INT, EL_PROTO_VARINT, &field) ? (int64_t)field.value : otherwise;
}

bool host_attr_bool(const struct host_def *def, const char *key, bool otherwise)
{
    struct el_proto_field field;
    return find_field(def, key, BOOL, EL_PROTO_VARINT, &field) ? field.value != 0 : otherwise;
}

enum el_dtype host_attr_type(const struct host_def *def, const char *key, enum el_dtype otherwise)
{
    struct el_proto_field field;
    if (!find_field(def, key, TYPE, EL_PROTO_VARINT, &field))
        return otherwise;
    return field.value <= EL_UINT64 ? (enum el_dtype)field.value : EL_DTYPE_INVALID;
}

struct el_span host_attr_text(const struct host_def *def, const char *key, const char *otherwise)
{
    struct el_proto_field field;
    return find_field(def, key, TEXT, EL_PROTO_BYTES, &field) ? span_of(&field)
                                                              : (struct el_span){ otherwise, strlen(otherwise) };
}

struct el_span host_attr_function(const struct host_def *def, const char *key)
{
    struct el_proto_field field, name;
    if (find_field(def, key, FUNCTION, EL_PROTO_BYTES, &field) &&
        last_field((struct el_proto){ .start = field.bytes, .size = field.size }, 1, EL_PROTO_BYTES, &name))
        return span_of(&name);
    return (struct el_span){ "", 0 };
}

bool host_attr_tensor(const struct host_def *def, const char *key, struct el_span *tensor)
{
    struct el_proto_field field;
    if (!find_field(def, key, TENSOR, EL_PROTO_BYTES, &field))
        return false;
    *tensor = span_of(&field);
    return true;
}

/* ---- lists ---- */

static void put_type(uint64_t value, enum el_dtype *types, uint32_t most, uint32_t *count)
{
    if (*count < most)
        types[*count] = value <= EL_UINT64 ? (enum el_dtype)value : EL_DTYPE_INVALID;
    ++*count;
}

/* One field of a list of types: a number, or packed ones. */
static void read_types(const struct el_proto_field *field, enum el_dtype *types, uint32_t most, uint32_t *count)
{
    if (field->wire == EL_PROTO_VARINT)
        put_type(field->value, types, most, count);
    uint64_t value;
    int n;
    for (size_t at = 0; field->wire == EL_PROTO_BYTES && at < field->size; at += (size_t)n) {
        n = el_proto_varint(field->bytes + at, field->size - at, &value);
        if (n <= 0)
            return;
        put_type(value, types, most, count);
    }
}

void host_attr_types(const struct host_def *def, const char *key, enum el_dtype *types, uint32_t most, uint32_t *count)
{
    struct el_proto_field list, field;
    struct el_status *status = NULL;
    *count = 0;
    if (!find_field(def, key, LIST, EL_PROTO_BYTES, &list))
        return;
    struct el_proto message = { .start = list.bytes, .size = list.size };
    while (el_proto_next(&message, &field, &status))
        if (field.number == TYPE)
            read_types(&field, types, most, count);
    el_status_free(status);
}

/* A TensorShapeProto: dims of unknown size are -1; the rank is -1 where it is unknown or too large. */
static struct el_shape read_shape(const struct el_proto_field *shape)
{
    struct el_proto message = { .start = shape->bytes, .size = shape->size };
    struct el_proto_field field, size;
    struct el_status *status = NULL;
    struct el_shape read = { 0 };
    while (read.rank >= 0 && el_proto_next(&message, &field, &status)) {
        if (field.number == 3 && field.wire == EL_PROTO_VARINT && field.value != 0)
            read.rank = -1;
        if (field.number != 2 || field.wire != EL_PROTO_BYTES)
            continue;
        const struct el_proto dim = { .start = field.bytes, .size = field.size };
        if (read.rank == EL_MAX_RANK)
            read.rank = -1;
        else
            read.dims[read.rank++] = last_field(dim, 1, EL_PROTO_VARINT, &size) ? (int64_t)size.value : 0;
    }
    el_status_free(status);
    return read;
}

void host_attr_shapes(const struct host_def *def, const char *key, struct el_shape *shapes, uint32_t most,
                      uint32_t *count)
{
    struct el_proto_field list, field;
    struct el_status *status = NULL;
    *count = 0;
    if (!find_field(def, key, LIST, EL_PROTO_BYTES, &list))
        return;
    struct el_proto message = { .start = list.bytes, .size = list.size };
    while (el_proto_next(&message, &field, &status)) {
        if (field.number != SHAPE || field.wire != EL_PROTO_BYTES)
            continue;
        if (*count < most)
            shapes[*count] = read_shape(&field);
        ++*count;
    }
    el_status_free(status);
}
