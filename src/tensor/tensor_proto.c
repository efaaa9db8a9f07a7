/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a scanned message to data. What the scan has counted decides the size in
 * el_tensor_proto_head(); el_tensor_proto_decode() writes no byte beyond it, because
 * each of its loops is bound by the number of elements and not by the message.
 */
#include "tensor/tensor_proto.h"
#include "tensor/tensor_proto_fields.h"

#include <string.h>

static size_t values_per_element(enum el_dtype dtype)
{
    return dtype == EL_COMPLEX64 || dtype == EL_COMPLEX128 ? 2 : 1;
}

/* Walks the strings of a tensor_content: all lengths as varints, then all bytes. */
static bool content_strings(struct el_wire content, size_t elements, struct el_wire *lengths, struct el_wire *texts)
{
    uint64_t total = 0, length;
    *lengths = content;
    for (size_t i = 0; i < elements; i++) {
        if (!el_wire_varint(&content, &length) || __builtin_add_overflow(total, length, &total))
            return false;
    }
    *texts = content;
    return total == (uint64_t)(content.end - content.at);
}

/* Bytes of all strings of the tensor together. False: does not fit in memory, or the content is bad. */
static bool strings_size(const struct el_tensor_proto *proto, size_t *total)
{
    struct el_wire lengths, texts;
    if (proto->elements == 0) {
        *total = 0;
        return true;
    }
    if (!el_wire_done(&proto->content)) {
        if (!content_strings(proto->content, proto->elements, &lengths, &texts))
            return false;
        *total = (size_t)(texts.end - texts.at);
        return true;
    }
    if (proto->values <= proto->elements) {
        size_t repeated;
        return !__builtin_mul_overflow(proto->elements - proto->values, proto->last_string, &repeated) &&
               !__builtin_add_overflow(proto->string_bytes, repeated, total);
    }
    /* More strings than elements: only the first ones count. */
    struct el_wire wire = proto->bytes;
    uint32_t field;
    enum el_wire_type type;
    size_t sum = 0, seen = 0;
    while (seen < proto->elements && el_wire_tag(&wire, &field, &type)) {
        struct el_wire text;
        if (field == TENSOR_STRING_VAL && type == EL_WIRE_BYTES) {
            if (!el_wire_bytes(&wire, &text))
                return false;
            sum += (size_t)(text.end - text.at);
            seen++;
        } else if (!el_wire_skip(&wire, field, type)) {
            return false;
        }
    }
    *total = sum;
    return true;
}

static bool is_zero_or_one(struct el_wire content)
{
    unsigned all = 0;
    for (; content.at < content.end; content.at++)
        all |= *content.at;
    return all <= 1;
}

/* Elements and size, by TensorFlow's rules; false is a parsing error. SIZE_MAX: more than memory can hold. */
static bool decide(struct el_tensor_proto *proto)
{
    size_t element = el_dtype_size(proto->dtype);
    if (proto->too_many_dims || !el_dtype_is_data(proto->dtype))
        return false;
    struct el_status *status = el_shape_elements(&proto->shape, &proto->elements);
    if (status != NULL) {
        el_status_free(status);
        return false;
    }
    bool has_content = proto->elements > 0 && !el_wire_done(&proto->content);
    if (proto->dtype == EL_STRING) {
        size_t total, table;
        if (!strings_size(proto, &total)) {
            proto->size = SIZE_MAX;
            return !has_content;
        }
        if (__builtin_mul_overflow(proto->elements + 1, sizeof(uint64_t), &table) ||
            __builtin_add_overflow(table, total, &proto->size))
            proto->size = SIZE_MAX;
        return true;
    }
    if (__builtin_mul_overflow(proto->elements, element, &proto->size))
        proto->size = SIZE_MAX;
    if (!has_content)
        return true;
    return (size_t)(proto->content.end - proto->content.at) == proto->size &&
           (proto->dtype != EL_BOOL || is_zero_or_one(proto->content));
}

struct el_status *el_tensor_proto_head(struct el_tensor_proto *proto, const char *alias, size_t alias_size,
                                       size_t max_bytes)
{
    int shown = alias_size > 1024 ? 1024 : (int)alias_size;
    if (!decide(proto))
        return el_status_new(EL_INVALID_ARGUMENT, "tensor parsing error: %.*s", shown, alias);
    if (proto->size > max_bytes) {
        char shape[400];
        return el_status_new(EL_RESOURCE_EXHAUSTED,
                             "input %.*s is a tensor of %s with shape %s, which takes more than the limit of %zu bytes",
                             shown, alias, el_dtype_short_name(proto->dtype),
                             el_shape_print(&proto->shape, shape, sizeof shape), max_bytes);
    }
    return NULL;
}

/* Where decoded values go: at most `room` more. */
struct sink {
    uint8_t *at;
    size_t width; /* bytes of one value in memory */
    size_t room;
    bool is_bool;
};

static void put(struct sink *sink, uint64_t value)
{
    if (sink->room == 0)
        return;
    if (sink->is_bool)
        value = value != 0;
    memcpy(sink->at, &value, sink->width); /* little-endian: the low bytes, so that a value out of range wraps */
    sink->at += sink->width;
    sink->room--;
}

static void put_fixed(struct sink *sink, struct el_wire run)
{
    size_t values = (size_t)(run.end - run.at) / sink->width;
    if (values > sink->room)
        values = sink->room;
    if (values > 0)
        memcpy(sink->at, run.at, values * sink->width);
    sink->at += values * sink->width;
    sink->room -= values;
}

/* One occurrence of the field on the wire, packed or not. */
static bool put_field(struct sink *sink, struct el_wire *wire, uint32_t field, enum el_wire_type type,
                      enum el_wire_type entry)
{
    uint64_t value;
    struct el_wire inside;
    if (type != EL_WIRE_BYTES && type != entry)
        return el_wire_skip(wire, field, type);
    if (type == EL_WIRE_BYTES) {
        if (!el_wire_bytes(wire, &inside))
            return false;
    } else if (type == EL_WIRE_VARINT) {
        if (!el_wire_varint(wire, &value))
            return false;
        put(sink, value);
        return true;
    } else {
        inside.at = wire->at;
        if (!el_wire_skip(wire, field, type))
            return false;
        inside.end = wire->at;
    }
    if (entry != EL_WIRE_VARINT) {
        put_fixed(sink, inside);
        return true;
    }
    while (sink->room > 0 && !el_wire_done(&inside)) {
        if (!el_wire_varint(&inside, &value))
            return false;
        put(sink, value);
    }
    return true;
}

/* Fills [at, at + size) with copies of the width bytes before it. */
static void repeat(uint8_t *at, size_t width, size_t size)
{
    const uint8_t *from = at - width;
    size_t ready = width;
    while (size > 0) {
        size_t more = ready < size ? ready : size;
        memcpy(at, from, more);
        at += more;
        size -= more;
        ready += more;
    }
}

static void decode_numbers(const struct el_tensor_proto *proto, uint8_t *data)
{
    size_t element = el_dtype_size(proto->dtype), per = values_per_element(proto->dtype);
    uint32_t wanted = el_tensor_value_field(proto->dtype), field;
    enum el_wire_type type, entry = el_tensor_value_type(wanted);
    size_t have = proto->values / per < proto->elements ? proto->values / per : proto->elements;
    struct sink sink = { data, element / per, have * per, proto->dtype == EL_BOOL };
    struct el_wire wire = proto->bytes;
    if (proto->run_only && entry != EL_WIRE_VARINT) {
        put_fixed(&sink, proto->run);
    } else {
        while (sink.room > 0 && el_wire_tag(&wire, &field, &type)) {
            if (field == wanted ? !put_field(&sink, &wire, field, type, entry) : !el_wire_skip(&wire, field, type))
                break;
        }
    }
    uint8_t *end = data + have * element;
    size_t rest = (proto->elements - have) * element;
    if (have > 0)
        repeat(end, element, rest);
    else if (rest > 0)
        memset(end, 0, rest);
}

static void put_offset(uint8_t *data, size_t i, uint64_t offset)
{
    memcpy(data + i * sizeof offset, &offset, sizeof offset);
}

static void decode_content_strings(const struct el_tensor_proto *proto, uint8_t *data, size_t offset)
{
    struct el_wire lengths, texts;
    uint64_t length;
    if (!content_strings(proto->content, proto->elements, &lengths, &texts))
        return;
    if (!el_wire_done(&texts))
        memcpy(data + offset, texts.at, (size_t)(texts.end - texts.at));
    for (size_t i = 0; i < proto->elements && el_wire_varint(&lengths, &length); i++) {
        offset += length;
        put_offset(data, i + 1, offset);
    }
}

static void decode_strings(const struct el_tensor_proto *proto, uint8_t *data)
{
    size_t offset = (proto->elements + 1) * sizeof(uint64_t), done = 0;
    put_offset(data, 0, offset);
    if (proto->elements > 0 && !el_wire_done(&proto->content)) {
        decode_content_strings(proto, data, offset);
        return;
    }
    struct el_wire wire = proto->bytes, text = { 0 };
    uint32_t field;
    enum el_wire_type type;
    while (done < proto->elements && done < proto->values && el_wire_tag(&wire, &field, &type)) {
        if (field != TENSOR_STRING_VAL || type != EL_WIRE_BYTES) {
            if (!el_wire_skip(&wire, field, type))
                return;
            continue;
        }
        if (!el_wire_bytes(&wire, &text))
            return;
        size_t length = (size_t)(text.end - text.at);
        if (length > 0)
            memcpy(data + offset, text.at, length);
        offset += length;
        put_offset(data, ++done, offset);
    }
    size_t length = done > 0 ? (size_t)(text.end - text.at) : 0;
    size_t rest = (proto->elements - done) * length;
    if (rest > 0)
        repeat(data + offset, length, rest);
    while (done < proto->elements) {
        offset += length;
        put_offset(data, ++done, offset);
    }
}

void el_tensor_proto_decode(const struct el_tensor_proto *proto, void *data)
{
    if (proto->dtype == EL_STRING)
        decode_strings(proto, data);
    else if (proto->elements == 0)
        return;
    else if (!el_wire_done(&proto->content))
        memcpy(data, proto->content.at, proto->size);
    else
        decode_numbers(proto, data);
}
