/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first of the three steps: one walk over the message that checks the wire
 * format of everything, so that the later steps need not, and counts the values.
 */
#include "tensor/tensor_proto.h"
#include "tensor/tensor_proto_fields.h"

#include <string.h>

static bool scan_dim(struct el_wire dim, int64_t *size)
{
    *size = 0;
    while (!el_wire_done(&dim)) {
        uint32_t field;
        enum el_wire_type type;
        uint64_t value;
        struct el_span name;
        if (!el_wire_tag(&dim, &field, &type))
            return false;
        if (field == TENSOR_DIM_SIZE && type == EL_WIRE_VARINT) {
            if (!el_wire_varint(&dim, &value))
                return false;
            *size = (int64_t)value;
        } else if (field == TENSOR_DIM_NAME && type == EL_WIRE_BYTES) {
            if (!el_wire_text(&dim, &name))
                return false;
        } else if (!el_wire_skip(&dim, field, type)) {
            return false;
        }
    }
    return true;
}

/* A tensor_shape that comes twice is merged: its dims follow those of the first. */
static bool scan_shape(struct el_wire shape, struct el_tensor_proto *proto)
{
    while (!el_wire_done(&shape)) {
        uint32_t field;
        enum el_wire_type type;
        struct el_wire dim;
        int64_t size;
        if (!el_wire_tag(&shape, &field, &type))
            return false;
        if (field != TENSOR_SHAPE_DIM || type != EL_WIRE_BYTES) {
            if (!el_wire_skip(&shape, field, type))
                return false;
            continue;
        }
        if (!el_wire_bytes(&shape, &dim) || !scan_dim(dim, &size))
            return false;
        if (proto->shape.rank == EL_MAX_RANK)
            proto->too_many_dims = true;
        else
            proto->shape.dims[proto->shape.rank++] = size;
    }
    return true;
}

/* What the entries of one *_val field, met once on the wire, come to. */
struct found {
    size_t values;
    size_t string_bytes, last_string;
    struct el_wire run; /* packed fixed-size numbers */
};

static bool scan_packed(struct el_wire run, enum el_wire_type entry, struct found *found)
{
    size_t size = (size_t)(run.end - run.at);
    found->run = run;
    if (entry == EL_WIRE_FIXED32 || entry == EL_WIRE_FIXED64) {
        size_t width = entry == EL_WIRE_FIXED32 ? 4 : 8;
        found->values = size / width;
        return size % width == 0;
    }
    while (!el_wire_done(&run)) {
        uint64_t value;
        if (!el_wire_varint(&run, &value))
            return false;
        found->values++;
    }
    return true;
}

/* Reads what stands behind the tag of a *_val field whose entries have wire type `entry`. False: malformed. */
static bool scan_values(struct el_wire *wire, uint32_t field, enum el_wire_type type, enum el_wire_type entry,
                        struct found *found)
{
    *found = (struct found){ 0 };
    if (type == EL_WIRE_BYTES) {
        struct el_wire inside;
        if (!el_wire_bytes(wire, &inside))
            return false;
        if (entry != EL_WIRE_BYTES)
            return scan_packed(inside, entry, found);
        found->values = 1;
        found->string_bytes = found->last_string = (size_t)(inside.end - inside.at);
        return true;
    }
    found->values = type == entry; /* an unpacked entry; anything else is an unknown field to protobuf */
    return el_wire_skip(wire, field, type);
}

static void add(struct el_tensor_proto *proto, const struct found *found)
{
    if (found->values == 0)
        return;
    proto->run_only = proto->values == 0 && found->run.at != NULL;
    proto->run = found->run;
    proto->values += found->values;
    proto->string_bytes += found->string_bytes; /* cannot overflow: they lie side by side in memory */
    proto->last_string = found->last_string;
}

/* Counts the values anew, for a dtype that came after them. The bytes are known to be well formed. */
static void count_values(struct el_tensor_proto *proto)
{
    struct el_wire wire = proto->bytes;
    uint32_t wanted = el_tensor_value_field(proto->dtype), field;
    enum el_wire_type type;
    struct found found;
    proto->values = proto->string_bytes = proto->last_string = 0;
    proto->run_only = false;
    while (!el_wire_done(&wire) && el_wire_tag(&wire, &field, &type)) {
        if (field != wanted) {
            if (!el_wire_skip(&wire, field, type))
                return;
        } else {
            if (!scan_values(&wire, field, type, el_tensor_value_type(field), &found))
                return;
            add(proto, &found);
        }
    }
}

bool el_tensor_proto_scan(const void *bytes, size_t size, struct el_tensor_proto *proto)
{
    memset(proto, 0, offsetof(struct el_tensor_proto, shape));
    proto->shape.rank = 0;
    memset(&proto->elements, 0, sizeof *proto - offsetof(struct el_tensor_proto, elements));
    proto->bytes = el_wire_of(bytes, size);

    struct el_wire wire = proto->bytes;
    bool recount = false;
    while (!el_wire_done(&wire)) {
        uint32_t field;
        enum el_wire_type type;
        uint64_t value;
        struct el_wire inside;
        struct found found;
        if (!el_wire_tag(&wire, &field, &type))
            return false;
        if (field == TENSOR_DTYPE && type == EL_WIRE_VARINT) {
            if (!el_wire_varint(&wire, &value))
                return false;
            recount |= proto->dtype != EL_DTYPE_INVALID; /* a second dtype: what was counted may be of no use */
            proto->dtype = (enum el_dtype)(uint32_t)value;
        } else if (field == TENSOR_SHAPE && type == EL_WIRE_BYTES) {
            if (!el_wire_bytes(&wire, &inside) || !scan_shape(inside, proto))
                return false;
        } else if (field == TENSOR_CONTENT && type == EL_WIRE_BYTES) {
            if (!el_wire_bytes(&wire, &proto->content))
                return false;
        } else if (el_tensor_value_type(field) != EL_WIRE_END_GROUP) {
            if (!scan_values(&wire, field, type, el_tensor_value_type(field), &found))
                return false;
            if (field == el_tensor_value_field(proto->dtype))
                add(proto, &found);
            else
                recount |= proto->dtype == EL_DTYPE_INVALID;
        } else if (!el_wire_skip(&wire, field, type)) {
            return false;
        }
    }
    if (recount)
        count_values(proto);
    return true;
}
