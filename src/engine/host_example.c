/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_example.h"

#include <string.h>

enum { EXAMPLE_FEATURES = 1, FEATURES_FEATURE = 1, ENTRY_KEY = 1, ENTRY_VALUE = 2, LIST_VALUE = 1 };

/* ---- the features ---- */

static bool read_entry(struct el_wire entry, struct host_feature *feature)
{
    *feature = (struct host_feature){ { "", 0 }, { "", 0 } };
    while (!el_wire_done(&entry)) {
        uint32_t field;
        enum el_wire_type type;
        if (!el_wire_tag(&entry, &field, &type))
            return false;
        const bool known = type == EL_WIRE_BYTES && (field == ENTRY_KEY || field == ENTRY_VALUE);
        if (!(known ? el_wire_span(&entry, field == ENTRY_KEY ? &feature->name : &feature->value)
                    : el_wire_skip(&entry, field, type)))
            return false;
    }
    return true;
}

static bool read_features(struct el_wire features, struct host_feature *list, size_t most, size_t *count)
{
    while (!el_wire_done(&features)) {
        uint32_t field;
        enum el_wire_type type;
        struct el_wire entry;
        struct host_feature feature;
        if (!el_wire_tag(&features, &field, &type))
            return false;
        if (field != FEATURES_FEATURE || type != EL_WIRE_BYTES) {
            if (!el_wire_skip(&features, field, type))
                return false;
            continue;
        }
        if (!el_wire_bytes(&features, &entry) || !read_entry(entry, &feature))
            return false;
        if (*count < most)
            list[*count] = feature;
        ++*count;
    }
    return true;
}

bool host_example_read(struct el_span example, struct host_feature *features, size_t most, size_t *count)
{
    struct el_wire wire = el_wire_of(example.data, example.size);
    *count = 0;
    while (!el_wire_done(&wire)) {
        uint32_t field;
        enum el_wire_type type;
        struct el_wire inside;
        if (!el_wire_tag(&wire, &field, &type))
            return false;
        if (field != EXAMPLE_FEATURES || type != EL_WIRE_BYTES) {
            if (!el_wire_skip(&wire, field, type))
                return false;
        } else if (!el_wire_bytes(&wire, &inside) || !read_features(inside, features, most, count)) {
            return false;
        }
    }
    return true;
}

/* ---- a feature ---- */

bool host_feature_type(const struct host_feature *feature, enum el_dtype *type)
{
    static const enum el_dtype types[] = { EL_STRING, EL_FLOAT, EL_INT64 };
    *type = EL_DTYPE_INVALID;
    if (feature->value.size == 0)
        return true;
    const unsigned kind = (unsigned char)feature->value.data[0];
    if ((kind & 7) != EL_WIRE_BYTES || kind >> 3 < 1 || kind >> 3 > 3)
        return false;
    *type = types[(kind >> 3) - 1];
    return true;
}

static bool read_float(struct el_wire *wire, host_feature_value *each, void *closure)
{
    if ((size_t)(wire->end - wire->at) < sizeof(float))
        return false;
    each(closure, (struct el_span){ (const char *)wire->at, sizeof(float) });
    wire->at += sizeof(float);
    return true;
}

static bool read_int(struct el_wire *wire, host_feature_value *each, void *closure)
{
    uint64_t number;
    if (!el_wire_varint(wire, &number))
        return false;
    each(closure, (struct el_span){ (const char *)&number, sizeof number });
    return true;
}

/* One field of a list: a value, or packed ones. */
static bool read_values(struct el_wire *wire, enum el_dtype kind, enum el_wire_type type, host_feature_value *each,
                        void *closure)
{
    struct el_wire packed;
    struct el_span text;
    if (kind == EL_STRING) {
        if (type != EL_WIRE_BYTES || !el_wire_span(wire, &text))
            return false;
        each(closure, text);
        return true;
    }
    bool (*const one)(struct el_wire *, host_feature_value *, void *) = kind == EL_FLOAT ? read_float : read_int;
    if (type == (kind == EL_FLOAT ? EL_WIRE_FIXED32 : EL_WIRE_VARINT))
        return one(wire, each, closure);
    if (type != EL_WIRE_BYTES || !el_wire_bytes(wire, &packed))
        return false;
    while (!el_wire_done(&packed))
        if (!one(&packed, each, closure))
            return false;
    return true;
}

bool host_feature_values(const struct host_feature *feature, host_feature_value *each, void *closure)
{
    enum el_dtype kind;
    struct el_wire wire = el_wire_of(feature->value.data, feature->value.size), list;
    uint32_t field;
    enum el_wire_type type;
    if (!host_feature_type(feature, &kind) || kind == EL_DTYPE_INVALID || !el_wire_tag(&wire, &field, &type) ||
        !el_wire_bytes(&wire, &list))
        return false;
    while (!el_wire_done(&list)) {
        if (!el_wire_tag(&list, &field, &type) || field != LIST_VALUE || !read_values(&list, kind, type, each, closure))
            return false;
    }
    return true;
}
