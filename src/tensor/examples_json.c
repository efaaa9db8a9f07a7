/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The "examples" and "context" of a REST body as tf.Examples: each member of an
 * object is a feature, a value or a flat list of values; numbers with a point or
 * exponent are floats, the others int64s, as are booleans; strings are bytes.
 * Rules and texts are those of TensorFlow Serving's util/json_tensor.cc.
 */
#include "tensor/examples.h"

#include <stdlib.h>
#include <string.h>

enum kind { KIND_NONE, KIND_BYTES, KIND_FLOATS, KIND_INTS }; /* with the field numbers of Feature.kind */

struct feature {
    const char *name; /* the member's name, a JSON string */
    enum kind kind;
    struct el_buf *list; /* FLOATS, INTS: the packed values; BYTES: the fields of the BytesList */
};

/* What building one Example needs, kept from one to the next. */
struct builder {
    struct el_buf list, features;
};

static void builder_free(struct builder *builder)
{
    el_buf_free(&builder->list);
    el_buf_free(&builder->features);
}

/* The member's name, unescaped, for a message; owned; NULL without memory. */
static char *copy_name(const char *name, size_t *size)
{
    *size = el_json_string_size(name, NULL);
    char *text = malloc(*size + 1);
    if (text != NULL)
        el_json_string_copy(name, text, NULL);
    return text;
}

static struct el_status *feature_error(const struct feature *feature, const char *before, const char *middle,
                                       const char *after)
{
    size_t size;
    char *name = copy_name(feature->name, &size);
    if (name == NULL)
        return el_status_no_memory();
    struct el_status *status = el_status_new(EL_INVALID_ARGUMENT, "%s%.*s%s%s", before, (int)size, name, middle, after);
    free(name);
    return status;
}

static struct el_status *take_kind(struct feature *feature, enum kind kind)
{
    static const char *const names[] = { "", "bytes", "float", "int64" };
    if (feature->kind != KIND_NONE && feature->kind != kind)
        return feature_error(feature,
                             "Unexpected element type in feature: ", " expecting type: ", names[feature->kind]);
    feature->kind = kind;
    return NULL;
}

static struct el_status *add_number(struct feature *feature, const char *value)
{
    struct el_json_number number;
    el_json_number(value, &number);
    if (number.kind == EL_JSON_DOUBLE) {
        EL_TRY(take_kind(feature, KIND_FLOATS));
        const float real = (float)number.real;
        el_buf_append(feature->list, &real, sizeof real); /* little-endian, as every machine this runs on */
        return NULL;
    }
    EL_TRY(take_kind(feature, KIND_INTS));
    if (number.kind == EL_JSON_POSITIVE && number.positive > INT64_MAX)
        return feature_error(feature, "Feature: ", " has uint64_t element. Only int64_t is supported.", "");
    el_wire_put_varint(feature->list, number.kind == EL_JSON_NEGATIVE ? (uint64_t)number.negative : number.positive);
    return NULL;
}

static struct el_status *add_string(struct feature *feature, const char *value)
{
    EL_TRY(take_kind(feature, KIND_BYTES));
    const size_t size = el_json_string_size(value, NULL);
    el_wire_put_length(feature->list, 1, size);
    uint8_t *to = el_buf_reserve(feature->list, size);
    if (to != NULL) {
        el_json_string_copy(value, (char *)to, NULL);
        feature->list->size += size;
    }
    return NULL;
}

static struct el_status *add_base64(struct feature *feature, const char *string)
{
    EL_TRY(take_kind(feature, KIND_BYTES));
    const int64_t size = el_json_base64_size(string);
    if (size < 0)
        return el_status_new(EL_INVALID_ARGUMENT, "Unable to base64 decode");
    el_wire_put_length(feature->list, 1, (size_t)size);
    uint8_t *to = el_buf_reserve(feature->list, (size_t)size);
    if (to != NULL) {
        el_json_base64_copy(string, (char *)to);
        feature->list->size += (size_t)size;
    }
    return NULL;
}

static struct el_status *add_value(struct feature *feature, const char *value)
{
    const enum el_json_type type = el_json_type(value);
    switch (type) {
    case EL_JSON_FALSE:
    case EL_JSON_TRUE:
        EL_TRY(take_kind(feature, KIND_INTS));
        el_wire_put_varint(feature->list, type == EL_JSON_TRUE);
        return NULL;
    case EL_JSON_STRING:
        return add_string(feature, value);
    case EL_JSON_NUMBER:
        return add_number(feature, value);
    case EL_JSON_OBJECT:
        if (el_json_base64_string(value) != NULL)
            return add_base64(feature, el_json_base64_string(value));
        break;
    case EL_JSON_NULL:
    case EL_JSON_ARRAY:
        break;
    }
    return feature_error(feature, "Feature: ", " has element with unexpected JSON type: ", el_json_type_name(type));
}

static size_t field_size(size_t size)
{
    return 1 + el_wire_varint_size(size) + size; /* a field number below 16, a length, the bytes */
}

/* Appends the map entry { key: name, value { kind { value: list } } }. */
static void put_feature(struct el_buf *to, const struct feature *feature)
{
    const size_t name_size = el_json_string_size(feature->name, NULL);
    const size_t value_size = feature->list->size;
    const bool packed = feature->kind != KIND_BYTES && value_size > 0;
    const size_t list_size = packed ? field_size(value_size) : value_size;
    const size_t feature_size = feature->kind == KIND_NONE ? 0 : field_size(list_size);
    el_wire_put_length(to, 1, field_size(name_size) + field_size(feature_size));
    el_wire_put_length(to, 1, name_size);
    uint8_t *name = el_buf_reserve(to, name_size);
    if (name != NULL) {
        el_json_string_copy(feature->name, (char *)name, NULL);
        to->size += name_size;
    }
    el_wire_put_length(to, 2, feature_size);
    if (feature->kind == KIND_NONE)
        return; /* an empty list: a feature without a kind */
    el_wire_put_length(to, (uint32_t)feature->kind, list_size);
    if (packed)
        el_wire_put_length(to, 1, value_size);
    if (value_size > 0)
        el_buf_append(to, feature->list->data, value_size);
}

static struct el_status *add_feature(struct builder *builder, const char *name, const char *value)
{
    struct feature feature = { name, KIND_NONE, &builder->list };
    el_buf_clear(&builder->list);
    if (el_json_type(value) != EL_JSON_ARRAY) {
        EL_TRY(add_value(&feature, value));
    } else {
        for (const char *element = el_json_first(value); element != NULL; element = el_json_next(element))
            EL_TRY(add_value(&feature, element));
    }
    put_feature(&builder->features, &feature);
    return NULL;
}

/* Appends an Example to the store. */
static struct el_status *add_example(struct el_examples *examples, struct builder *builder, const char *value,
                                     struct el_example_place *place)
{
    if (el_json_type(value) != EL_JSON_OBJECT)
        return el_status_new(EL_INVALID_ARGUMENT, "Example must be JSON object but got JSON %s",
                             el_json_type_name(el_json_type(value)));
    el_buf_clear(&builder->features);
    for (const char *name = el_json_first_member(value); name != NULL;) {
        const char *member = el_json_member_value(name);
        EL_TRY(add_feature(builder, name, member));
        name = el_json_next_member(member);
    }
    place->at = examples->store.size;
    if (builder->features.size > 0)
        el_wire_put_bytes(&examples->store, 1, builder->features.data, builder->features.size);
    place->size = examples->store.size - place->at;
    return NULL;
}

static struct el_status *add_examples(struct el_examples *examples, struct builder *builder, const char *list)
{
    for (const char *value = el_json_first(list); value != NULL; value = el_json_next(value)) {
        struct el_example_place place;
        EL_TRY(add_example(examples, builder, value, &place));
        el_buf_append(&examples->places, &place, sizeof place);
    }
    return NULL;
}

static struct el_status *read_body(struct el_examples *examples, const struct el_json *json, struct builder *builder)
{
    struct el_example_place context = { 0, 0 };
    const char *value = el_json_top(json, "context", strlen("context"), NULL);
    if (value != NULL)
        EL_TRY(add_example(examples, builder, value, &context));
    const char *list = el_json_top(json, "examples", strlen("examples"), NULL);
    if (list == NULL)
        return el_json_value_error(json->root,
                                   " When method is classify, key 'examples' is expected and was not found");
    if (el_json_type(list) != EL_JSON_ARRAY)
        return el_json_value_error(json->root, " Expecting 'examples' value to be an list/array");
    if (el_json_first(list) == NULL)
        return el_json_value_error(json->root, " 'examples' value is an empty array");
    EL_TRY(add_examples(examples, builder, list));
    EL_TRY(el_buf_status(&examples->store));
    EL_TRY(el_buf_status(&examples->places));
    if (builder->features.failed || builder->list.failed)
        return el_status_no_memory();
    examples->context = context.size > 0 ? examples->store.data + context.at : NULL;
    examples->context_size = context.size;
    return NULL;
}

struct el_status *el_examples_read_json(struct el_examples *examples, const struct el_json *json)
{
    struct builder builder = { 0 };
    struct el_status *status = read_body(examples, json, &builder);
    builder_free(&builder);
    return status;
}
