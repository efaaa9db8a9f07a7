/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a PredictionLog a golden record: its answer, and how near another one must be. */
#include "bundle/prediction_log.h"

#include <math.h>
#include <string.h>

enum { GOLDEN_ABSOLUTE = 1, GOLDEN_RELATIVE = 2, GOLDEN_TOP1 = 3 };
enum { RESPONSE_OUTPUTS = 1 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };

static bool take_double(struct el_wire *wire, double *value)
{
    if ((size_t)(wire->end - wire->at) < sizeof *value)
        return false;
    uint64_t bits = 0;
    for (size_t i = 0; i < sizeof bits; i++)
        bits |= (uint64_t)wire->at[i] << (8 * i);
    memcpy(value, &bits, sizeof *value);
    wire->at += sizeof *value;
    return true;
}

bool el_prediction_golden(const struct el_prediction *prediction, struct el_prediction_golden *golden)
{
    *golden = (struct el_prediction_golden){ .absolute = 1e-3, .relative = 1e-3, .top1 = 0 };
    double *const fields[] = {
        [GOLDEN_ABSOLUTE] = &golden->absolute,
        [GOLDEN_RELATIVE] = &golden->relative,
        [GOLDEN_TOP1] = &golden->top1,
    };
    struct el_wire wire = prediction->golden;
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        const bool known = type == EL_WIRE_FIXED64 && number >= GOLDEN_ABSOLUTE && number <= GOLDEN_TOP1;
        if (known ? !take_double(&wire, fields[number]) : !el_wire_skip(&wire, number, type))
            return false;
    }
    return golden->absolute >= 0 && isfinite(golden->absolute) && golden->relative >= 0 && isfinite(golden->relative) &&
           golden->top1 >= 0 && golden->top1 <= 1;
}

static bool read_entry(struct el_wire entry, struct el_span *name, struct el_tensor_proto *tensor)
{
    struct el_wire value = el_wire_of("", 0);
    *name = (struct el_span){ "", 0 };
    while (!el_wire_done(&entry)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&entry, &number, &type))
            return false;
        if (type != EL_WIRE_BYTES || number > ENTRY_VALUE) {
            if (!el_wire_skip(&entry, number, type))
                return false;
        } else if (number == ENTRY_KEY ? !el_wire_text(&entry, name) : !el_wire_bytes(&entry, &value)) {
            return false;
        }
    }
    return el_tensor_proto_scan(value.at, (size_t)(value.end - value.at), tensor);
}

bool el_prediction_next_output(struct el_wire *at, struct el_span *name, struct el_tensor_proto *tensor)
{
    while (!el_wire_done(at)) {
        struct el_wire wire = *at, entry;
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type))
            return false;
        if (number == RESPONSE_OUTPUTS && type == EL_WIRE_BYTES) {
            if (!el_wire_bytes(&wire, &entry) || !read_entry(entry, name, tensor))
                return false;
            *at = wire;
            return true;
        }
        if (!el_wire_skip(&wire, number, type))
            return false;
        *at = wire;
    }
    return false;
}

static void put_double(struct el_buf *buf, uint32_t field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    el_wire_put_tag(buf, field, EL_WIRE_FIXED64);
    for (size_t i = 0; i < sizeof bits; i++)
        el_buf_byte(buf, (uint8_t)(bits >> (8 * i)));
}

void el_prediction_put_golden(struct el_buf *buf, const struct el_prediction_golden *golden)
{
    el_wire_put_length(buf, EL_PREDICTION_GOLDEN_FIELD, (size_t)3 * (1 + sizeof(double)));
    put_double(buf, GOLDEN_ABSOLUTE, golden->absolute);
    put_double(buf, GOLDEN_RELATIVE, golden->relative);
    put_double(buf, GOLDEN_TOP1, golden->top1);
}
