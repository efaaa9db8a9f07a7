/* SPDX-License-Identifier: Apache-2.0 */
/*
 * StridedSlice and GatherV2. The sparse specification of a slice (masks, an ellipsis, new and shrunk axes) is made dense first: one
 * begin, end and stride for each dim of the input, as in TensorFlow's strided_slice_op.cc.
 */
#include "engine/host_op.h"

#include <stdlib.h>
#include <string.h>

struct masks {
    uint32_t begin, end, ellipsis, new_axis, shrink;
};

struct dense {
    int64_t begin[EL_MAX_RANK], stride[EL_MAX_RANK], count[EL_MAX_RANK];
    struct el_shape shape; /* of the output */
};

static struct el_status *make_slice(const struct host_def *def, void **state)
{
    struct masks *masks = malloc(sizeof *masks);
    if (masks == NULL)
        return el_status_no_memory();
    *masks = (struct masks){
        .begin = (uint32_t)host_attr_int(def, "begin_mask", 0),
        .end = (uint32_t)host_attr_int(def, "end_mask", 0),
        .ellipsis = (uint32_t)host_attr_int(def, "ellipsis_mask", 0),
        .new_axis = (uint32_t)host_attr_int(def, "new_axis_mask", 0),
        .shrink = (uint32_t)host_attr_int(def, "shrink_axis_mask", 0),
    };
    *state = masks;
    return NULL;
}

static int64_t clamp(int64_t at, int64_t size, int64_t stride)
{
    const int64_t least = stride > 0 ? 0 : -1, most = stride > 0 ? size : size - 1;
    const int64_t from_front = at < 0 ? at + size : at;
    return from_front < least ? least : from_front > most ? most : from_front;
}

static void add_dim(struct el_shape *shape, int64_t size)
{
    if (shape->rank < EL_MAX_RANK)
        shape->dims[shape->rank] = size;
    shape->rank++; /* beyond the limit: the caller looks */
}

/* One entry of the specification, about dim of the input. */
static struct el_status *set_dim(const struct host_value *from, int32_t dim, int32_t entry, const struct masks *masks,
                                 int64_t begin, int64_t end, int64_t stride, struct dense *dense)
{
    const int64_t size = from->tensor.shape.dims[dim];
    const uint32_t bit = 1u << entry;
    if (stride == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "strides[%d] must be non-zero", entry);
    if ((masks->shrink & bit) != 0) {
        const int64_t at = (masks->begin & bit) != 0 ? 0 : begin < 0 ? begin + size : begin;
        if (at < 0 || at >= size)
            return el_status_new(EL_INVALID_ARGUMENT, "slice index %lld of dimension %d out of bounds.",
                                 (long long)begin, dim);
        dense->begin[dim] = at;
        dense->stride[dim] = 1;
        dense->count[dim] = 1;
        return NULL;
    }
    const int64_t first = (masks->begin & bit) != 0 ? (stride > 0 ? 0 : size - 1) : clamp(begin, size, stride);
    const int64_t last = (masks->end & bit) != 0 ? (stride > 0 ? size : -1) : clamp(end, size, stride);
    const int64_t length = stride > 0 ? last - first : first - last;
    const uint64_t step = stride > 0 ? (uint64_t)stride : 0 - (uint64_t)stride;
    dense->begin[dim] = first;
    dense->stride[dim] = stride;
    dense->count[dim] = length <= 0 ? 0 : (int64_t)(((uint64_t)length - 1) / step + 1);
    add_dim(&dense->shape, dense->count[dim]);
    return NULL;
}

static struct el_status *make_dense(const struct host_call *call, struct dense *dense)
{
    const struct masks *masks = call->state;
    const struct host_value *from = call->inputs[0];
    const int32_t rank = from->tensor.shape.rank;
    struct el_shape begin, end, stride;
    *dense = (struct dense){ 0 };
    EL_TRY(host_shape_of(call->inputs[1], &begin));
    EL_TRY(host_shape_of(call->inputs[2], &end));
    EL_TRY(host_shape_of(call->inputs[3], &stride));
    if (begin.rank != end.rank || begin.rank != stride.rank)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected begin, end, and strides to be 1D equal size tensors");
    int32_t named = 0; /* dims of the input that entries name */
    for (int32_t i = 0; i < begin.rank; i++)
        named += ((masks->ellipsis | masks->new_axis) >> i & 1) == 0;
    if (named > rank)
        return el_status_new(EL_INVALID_ARGUMENT, "Index out of range using input dim %d; input has only %d dims", rank,
                             rank);
    int32_t dim = 0;
    bool open = true; /* the dims that no entry names are still to come */
    for (int32_t i = 0; i <= begin.rank; i++) {
        const bool last = i == begin.rank;
        if (last ? open : (masks->ellipsis >> i & 1) != 0) {
            for (int32_t rest = open ? rank - named : 0; rest > 0; rest--, dim++) {
                dense->stride[dim] = 1;
                dense->count[dim] = from->tensor.shape.dims[dim];
                add_dim(&dense->shape, dense->count[dim]);
            }
            open = false;
        } else if (!last && (masks->new_axis >> i & 1) != 0) {
            add_dim(&dense->shape, 1);
        } else if (!last) {
            EL_TRY(set_dim(from, dim++, i, masks, begin.dims[i], end.dims[i], stride.dims[i], dense));
        }
    }
    if (dense->shape.rank > EL_MAX_RANK)
        return el_status_new(EL_INVALID_ARGUMENT, "the slice has more than %d dimensions", EL_MAX_RANK);
    return NULL;
}

static struct el_status *run_slice(const struct host_call *call)
{
    const struct host_value *from = call->inputs[0];
    struct dense dense;
    size_t count;
    EL_TRY(make_dense(call, &dense));
    EL_TRY(el_shape_elements(&dense.shape, &count));
    size_t *picks = malloc((count + 1) * sizeof *picks); /* no more than the input has */
    if (picks == NULL)
        return el_status_no_memory();
    for (size_t i = 0; i < count; i++) {
        size_t rest = i, step = 1, at = 0;
        for (int32_t d = from->tensor.shape.rank; d-- > 0;) {
            const int64_t here = (int64_t)(rest % (size_t)dense.count[d]);
            rest /= (size_t)dense.count[d];
            at += (size_t)(dense.begin[d] + here * dense.stride[d]) * step;
            step *= (size_t)from->tensor.shape.dims[d];
        }
        picks[i] = at;
    }
    struct el_status *status = host_value_pick(from, picks, &dense.shape, &call->outputs[0]);
    free(picks);
    return status;
}

/* ---- GatherV2 ---- */

/* "[0,2]": where element number lies; "" for a scalar. */
static void print_place(const struct el_shape *shape, size_t number, struct el_buf *buf)
{
    size_t left = 1;
    for (int32_t d = 0; d < shape->rank; d++)
        left *= (size_t)shape->dims[d];
    for (int32_t d = 0; d < shape->rank; d++) {
        left /= (size_t)shape->dims[d];
        el_buf_printf(buf, "%s%zu", d == 0 ? "[" : ",", number / left % (size_t)shape->dims[d]);
    }
    if (shape->rank > 0)
        el_buf_byte(buf, ']');
}

struct el_status *host_gather_check(const struct host_value *indices, int64_t limit)
{
    if (indices->tensor.dtype != EL_INT32 && indices->tensor.dtype != EL_INT64)
        return el_status_new(EL_INVALID_ARGUMENT, "indices are %s, int32 or int64 is expected",
                             el_dtype_short_name(indices->tensor.dtype));
    for (size_t i = 0; i < indices->elements; i++) {
        const int64_t index = host_value_integer(indices, i);
        if (index >= 0 && index < limit)
            continue;
        struct el_buf place = { 0 };
        print_place(&indices->tensor.shape, i, &place);
        char *text = el_buf_take_text(&place);
        struct el_status *status = text == NULL
                                       ? el_status_no_memory()
                                       : el_status_new(EL_INVALID_ARGUMENT, "indices%s = %lld is not in [0, %lld)",
                                                       text, (long long)index, (long long)limit);
        free(text);
        return status;
    }
    return NULL;
}

static struct el_status *make_gather(const struct host_def *def, void **state)
{
    *state = NULL;
    return host_attr_int(def, "batch_dims", 0) == 0 ? NULL
                                                    : el_status_new(EL_UNIMPLEMENTED, "GatherV2 with batch_dims");
}

static struct el_status *run_gather(const struct host_call *call)
{
    const struct host_value *from = call->inputs[0], *indices = call->inputs[1];
    const struct el_shape *in = &from->tensor.shape, *by = &indices->tensor.shape;
    struct el_shape axes, shape = { 0 };
    EL_TRY(host_shape_of(call->inputs[2], &axes));
    const int64_t axis = axes.rank == 1 && axes.dims[0] < 0 ? axes.dims[0] + in->rank : axes.dims[0];
    if (axes.rank != 1 || axis < 0 || axis >= in->rank || in->rank + by->rank - 1 > EL_MAX_RANK)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected axis in the range [%d, %d), but got %lld", -in->rank,
                             in->rank, (long long)axes.dims[0]);
    EL_TRY(host_gather_check(indices, in->dims[axis]));
    size_t outer = 1, inner = 1, count;
    for (int32_t d = 0; d < in->rank; d++) {
        if (d == axis)
            for (int32_t b = 0; b < by->rank; b++)
                shape.dims[shape.rank++] = by->dims[b];
        else
            shape.dims[shape.rank++] = in->dims[d];
        if (d != axis)
            *(d < axis ? &outer : &inner) *= (size_t)in->dims[d];
    }
    EL_TRY(el_shape_elements(&shape, &count));
    if (count > HOST_MAX_BYTES / sizeof(size_t))
        return el_status_new(EL_RESOURCE_EXHAUSTED, "a tensor of %zu elements is asked for", count);
    size_t *picks = malloc((count + 1) * sizeof *picks);
    if (picks == NULL)
        return el_status_no_memory();
    size_t made = 0;
    for (size_t o = 0; made < count && o < outer; o++)
        for (size_t i = 0; made < count && i < indices->elements; i++)
            for (size_t e = 0; made < count && e < inner; e++)
                picks[made++] = (o * (size_t)in->dims[axis] + (size_t)host_value_integer(indices, i)) * inner + e;
    struct el_status *status = host_value_pick(from, picks, &shape, &call->outputs[0]);
    free(picks);
    return status;
}

const struct host_op host_slice_ops[] = {
    { .name = "StridedSlice", .type_attr = "T", .inputs = 4, .make = make_slice, .run = run_slice },
    { .name = "GatherV2", .type_attr = "Tparams", .inputs = 3, .make = make_gather, .run = run_gather },
    { .name = NULL },
};
