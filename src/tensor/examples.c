/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tensorflow.serving.Input on the wire. A message that protobuf would not parse
 * is refused as a whole; a field of another wire type than declared is an unknown
 * field, and those are passed over.
 */
#include "tensor/examples.h"

#include <string.h>

/* The fields of the messages below: apis/input.proto, tensorflow/core/example/{example,feature}.proto. */
enum { INPUT_EXAMPLE_LIST = 1, INPUT_EXAMPLE_LIST_WITH_CONTEXT = 2 };
enum { LIST_EXAMPLES = 1, LIST_CONTEXT = 2 };
enum { FEATURE_BYTES = 1, FEATURE_FLOATS = 2, FEATURE_INTS = 3 };

size_t el_examples_count(const struct el_examples *examples)
{
    return examples->places.size / sizeof(struct el_example_place);
}

bool el_examples_failed(const struct el_examples *examples)
{
    return examples->places.failed || examples->store.failed;
}

void el_examples_free(struct el_examples *examples)
{
    el_buf_free(&examples->store);
    el_buf_free(&examples->places);
}

/* ---- is it an Example? ---- */

typedef bool read_field(struct el_wire *wire, uint32_t number, enum el_wire_type type);

static bool each_field(struct el_wire wire, read_field *read)
{
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type) || !read(&wire, number, type))
            return false;
    }
    return true;
}

static bool float_field(struct el_wire *wire, uint32_t number, enum el_wire_type type)
{
    struct el_wire packed;
    if (number != 1 || type != EL_WIRE_BYTES)
        return el_wire_skip(wire, number, type);
    return el_wire_bytes(wire, &packed) && (size_t)(packed.end - packed.at) % sizeof(float) == 0;
}

static bool int_field(struct el_wire *wire, uint32_t number, enum el_wire_type type)
{
    struct el_wire packed;
    if (number != 1 || type != EL_WIRE_BYTES)
        return el_wire_skip(wire, number, type);
    if (!el_wire_bytes(wire, &packed))
        return false;
    uint64_t value;
    while (!el_wire_done(&packed))
        if (!el_wire_varint(&packed, &value))
            return false;
    return true;
}

static bool feature_field(struct el_wire *wire, uint32_t number, enum el_wire_type type)
{
    struct el_wire list;
    if (type != EL_WIRE_BYTES || number < FEATURE_BYTES || number > FEATURE_INTS)
        return el_wire_skip(wire, number, type);
    if (!el_wire_bytes(wire, &list))
        return false;
    return each_field(list, number == FEATURE_BYTES    ? el_wire_skip
                            : number == FEATURE_FLOATS ? float_field
                                                       : int_field);
}

static bool entry_field(struct el_wire *wire, uint32_t number, enum el_wire_type type)
{
    struct el_span key;
    struct el_wire feature;
    if (number == 1 && type == EL_WIRE_BYTES)
        return el_wire_text(wire, &key);
    if (number == 2 && type == EL_WIRE_BYTES)
        return el_wire_bytes(wire, &feature) && each_field(feature, feature_field);
    return el_wire_skip(wire, number, type);
}

static bool features_field(struct el_wire *wire, uint32_t number, enum el_wire_type type)
{
    struct el_wire entry;
    if (number == 1 && type == EL_WIRE_BYTES)
        return el_wire_bytes(wire, &entry) && each_field(entry, entry_field);
    return el_wire_skip(wire, number, type);
}

static bool example_field(struct el_wire *wire, uint32_t number, enum el_wire_type type)
{
    struct el_wire features;
    if (number == 1 && type == EL_WIRE_BYTES)
        return el_wire_bytes(wire, &features) && each_field(features, features_field);
    return el_wire_skip(wire, number, type);
}

bool el_example_valid(struct el_wire example)
{
    return each_field(example, example_field);
}

/* ---- Input ---- */

/* A context that comes twice is merged: its bytes are joined, which is what merging means on the wire. */
static bool add_context(struct el_examples *examples, struct el_wire context)
{
    const size_t size = (size_t)(context.end - context.at);
    if (examples->context_size == 0) {
        examples->context = context.at;
        examples->context_size = size;
        return true;
    }
    if (size == 0)
        return true;
    if (examples->store.size == 0)
        el_buf_append(&examples->store, examples->context, examples->context_size);
    el_buf_append(&examples->store, context.at, size);
    examples->context = examples->store.data;
    examples->context_size = examples->store.size;
    return !examples->store.failed;
}

static void forget(struct el_examples *examples)
{
    el_buf_clear(&examples->places);
    el_buf_clear(&examples->store);
    examples->context = NULL;
    examples->context_size = 0;
}

static bool read_list(struct el_examples *examples, struct el_wire list, bool with_context)
{
    while (!el_wire_done(&list)) {
        uint32_t number;
        enum el_wire_type type;
        struct el_wire example;
        if (!el_wire_tag(&list, &number, &type))
            return false;
        if (type != EL_WIRE_BYTES || (number != LIST_EXAMPLES && (number != LIST_CONTEXT || !with_context))) {
            if (!el_wire_skip(&list, number, type))
                return false;
            continue;
        }
        if (!el_wire_bytes(&list, &example) || !el_example_valid(example))
            return false;
        if (number == LIST_CONTEXT) {
            if (!add_context(examples, example))
                return false;
            continue;
        }
        const struct el_example_place place = { (size_t)(example.at - examples->bytes),
                                                (size_t)(example.end - example.at) };
        el_buf_append(&examples->places, &place, sizeof place);
    }
    return !examples->places.failed;
}

bool el_examples_read_input(struct el_examples *examples, const uint8_t *bytes, struct el_wire input)
{
    examples->bytes = bytes;
    while (!el_wire_done(&input)) {
        uint32_t number;
        enum el_wire_type type;
        struct el_wire list;
        if (!el_wire_tag(&input, &number, &type))
            return false;
        if (type != EL_WIRE_BYTES || (number != INPUT_EXAMPLE_LIST && number != INPUT_EXAMPLE_LIST_WITH_CONTEXT)) {
            if (!el_wire_skip(&input, number, type))
                return false;
            continue;
        }
        if (number != examples->kind)
            forget(examples); /* as a oneof does */
        examples->kind = number;
        if (!el_wire_bytes(&input, &list) || !read_list(examples, list, number == INPUT_EXAMPLE_LIST_WITH_CONTEXT))
            return false;
    }
    return true;
}

/* ---- into a tensor ---- */

static const uint8_t *bytes_of(const struct el_examples *examples)
{
    return examples->bytes != NULL ? examples->bytes : examples->store.data;
}

static struct el_example_place place_of(const struct el_examples *examples, size_t i)
{
    struct el_example_place place;
    memcpy(&place, examples->places.data + i * sizeof place, sizeof place);
    return place;
}

struct el_status *el_examples_size(const struct el_examples *examples, size_t max_bytes, size_t *size)
{
    const size_t count = el_examples_count(examples);
    if (count == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "Input is empty.");
    size_t total, contexts;
    bool fits = !__builtin_mul_overflow(count + 1, sizeof(uint64_t), &total) &&
                !__builtin_mul_overflow(count, examples->context_size, &contexts) &&
                !__builtin_add_overflow(total, contexts, &total);
    for (size_t i = 0; fits && i < count; i++)
        fits = !__builtin_add_overflow(total, place_of(examples, i).size, &total) && total <= max_bytes;
    if (!fits)
        return el_status_new(EL_RESOURCE_EXHAUSTED,
                             "the input's %zu examples with their context take more than %zu bytes", count, max_bytes);
    *size = total;
    return NULL;
}

void el_examples_pack(const struct el_examples *examples, void *data)
{
    const size_t count = el_examples_count(examples);
    const uint8_t *bytes = bytes_of(examples);
    uint8_t *start = data;
    uint64_t at = (count + 1) * sizeof at;
    memcpy(start, &at, sizeof at);
    for (size_t i = 0; i < count; i++) {
        const struct el_example_place place = place_of(examples, i);
        if (examples->context_size > 0)
            memcpy(start + at, examples->context, examples->context_size);
        at += examples->context_size;
        if (place.size > 0)
            memcpy(start + at, bytes + place.at, place.size);
        at += place.size;
        memcpy(start + (i + 1) * sizeof at, &at, sizeof at);
    }
}

/* ---- into a message ---- */

static size_t field_size(size_t size)
{
    return 1 + el_wire_varint_size(size) + size;
}

void el_examples_put_input(struct el_buf *buf, uint32_t field, const struct el_examples *examples)
{
    const size_t count = el_examples_count(examples);
    const bool with_context = examples->context_size > 0;
    size_t list = with_context ? field_size(examples->context_size) : 0;
    for (size_t i = 0; i < count; i++)
        list += field_size(place_of(examples, i).size);
    el_wire_put_length(buf, field, field_size(list));
    el_wire_put_length(buf, with_context ? INPUT_EXAMPLE_LIST_WITH_CONTEXT : INPUT_EXAMPLE_LIST, list);
    for (size_t i = 0; i < count; i++) {
        const struct el_example_place place = place_of(examples, i);
        el_wire_put_bytes(buf, LIST_EXAMPLES, bytes_of(examples) + place.at, place.size);
    }
    if (with_context)
        el_wire_put_bytes(buf, LIST_CONTEXT, examples->context, examples->context_size);
}
