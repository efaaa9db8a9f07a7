/* SPDX-License-Identifier: Apache-2.0 */
/* Ops that only move elements: of each element of the output it is computed which one of the input it is. */
#include "engine/host_op.h"

#include <stdlib.h>
#include <string.h>

static int64_t product(const int64_t *dims, int32_t from, int32_t to)
{
    int64_t all = 1;
    for (int32_t i = from; i < to; i++)
        all *= dims[i];
    return all;
}

/* A whole number in a scalar, as an axis is; negative ones count from rank on. */
static struct el_status *read_axis(const struct host_value *value, int32_t rank, int32_t *axis)
{
    struct el_shape one;
    EL_TRY(host_shape_of(value, &one));
    const int64_t given = one.rank == 1 ? one.dims[0] : 0;
    const int64_t from_front = given < 0 ? given + rank : given;
    if (one.rank != 1 || from_front < 0 || from_front >= rank)
        return el_status_new(EL_INVALID_ARGUMENT, "Expected dimension in the range [%d, %d), but got %lld", -rank, rank,
                             (long long)given);
    *axis = (int32_t)from_front;
    return NULL;
}

static struct el_status *new_picks(const struct el_shape *shape, size_t **picks, size_t *count)
{
    EL_TRY(el_shape_elements(shape, count));
    if (*count > HOST_MAX_BYTES / sizeof **picks)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "a tensor of %zu elements is asked for", *count);
    *picks = malloc((*count + 1) * sizeof **picks);
    return *picks == NULL ? el_status_no_memory() : NULL;
}

/* The input's content in another shape. */
static struct el_status *copy_as(const struct host_value *from, const struct el_shape *shape, struct host_value *to)
{
    size_t *picks = NULL, count;
    struct el_status *status = new_picks(shape, &picks, &count);
    if (status == NULL && count != from->elements)
        status = el_status_new(EL_INVALID_ARGUMENT, "%zu elements do not become %zu", from->elements, count);
    for (size_t i = 0; status == NULL && i < count; i++)
        picks[i] = i;
    if (status == NULL)
        status = host_value_pick(from, picks, shape, to);
    free(picks);
    return status;
}

/* ---- what a tensor is like ---- */

static struct el_status *put_integers(const struct host_call *call, const struct el_shape *shape,
                                      const int64_t *numbers, size_t count)
{
    const enum el_dtype type = call->state == NULL ? EL_INT32 : EL_INT64;
    void *data;
    EL_TRY(host_value_make(type, shape, &call->outputs[0], &data));
    for (size_t i = 0; i < count; i++) {
        if (type == EL_INT64)
            ((int64_t *)data)[i] = numbers[i];
        else
            ((int32_t *)data)[i] = (int32_t)numbers[i];
    }
    return NULL;
}

/* The state is there for int64. */
static struct el_status *make_integers(const struct host_def *def, void **state)
{
    *state = NULL;
    if (host_attr_type(def, "out_type", EL_INT32) != EL_INT64)
        return NULL;
    *state = malloc(1);
    return *state == NULL ? el_status_no_memory() : NULL;
}

static struct el_status *run_shape(const struct host_call *call)
{
    const struct el_shape *of = &call->inputs[0]->tensor.shape;
    const struct el_shape shape = { .rank = 1, .dims = { of->rank } };
    return put_integers(call, &shape, of->dims, (size_t)of->rank);
}

static struct el_status *run_size(const struct host_call *call)
{
    const int64_t size = (int64_t)call->inputs[0]->elements;
    return put_integers(call, &(struct el_shape){ 0 }, &size, 1);
}

static struct el_status *run_rank(const struct host_call *call)
{
    const int64_t rank = call->inputs[0]->tensor.shape.rank;
    return put_integers(call, &(struct el_shape){ 0 }, &rank, 1);
}

/* ---- the same content in another shape ---- */

static struct el_status *run_reshape(const struct host_call *call)
{
    const struct host_value *from = call->inputs[0];
    struct el_shape shape;
    EL_TRY(host_shape_of(call->inputs[1], &shape));
    int32_t open = -1;
    size_t known = 1;
    for (int32_t i = 0; i < shape.rank; i++) {
        if (shape.dims[i] == -1 && open < 0)
            open = i;
        else if (shape.dims[i] < 0)
            return el_status_new(EL_INVALID_ARGUMENT, "Size %d must be non-negative, not %lld", i,
                                 (long long)shape.dims[i]);
        else if (__builtin_mul_overflow(known, (size_t)shape.dims[i], &known))
            return el_status_new(EL_INVALID_ARGUMENT, "the shape is too large");
    }
    if (open >= 0 && known == 0)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "reshape cannot infer the missing input size for an empty tensor unless all specified "
                             "input sizes are non-zero");
    if (open >= 0)
        shape.dims[open] = (int64_t)(from->elements / known);
    if (open >= 0 ? from->elements % known != 0 : from->elements != known)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "Input to reshape is a tensor with %zu values, but the requested shape %s %zu",
                             from->elements, open >= 0 ? "requires a multiple of" : "has", known);
    return copy_as(from, &shape, &call->outputs[0]);
}

static struct el_status *run_expand_dims(const struct host_call *call)
{
    struct el_shape shape = call->inputs[0]->tensor.shape;
    int32_t axis;
    if (shape.rank == EL_MAX_RANK)
        return el_status_new(EL_INVALID_ARGUMENT, "ExpandDims of a tensor of %d dimensions", EL_MAX_RANK);
    EL_TRY(read_axis(call->inputs[1], shape.rank + 1, &axis));
    memmove(&shape.dims[axis + 1], &shape.dims[axis], (size_t)(shape.rank - axis) * sizeof shape.dims[0]);
    shape.dims[axis] = 1;
    shape.rank++;
    return copy_as(call->inputs[0], &shape, &call->outputs[0]);
}

/* ---- repeated, joined, chosen ---- */

static struct el_status *run_tile(const struct host_call *call)
{
    const struct host_value *from = call->inputs[0];
    struct el_shape shape = from->tensor.shape, times;
    EL_TRY(host_shape_of(call->inputs[1], &times));
    if (times.rank != shape.rank)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "Expected multiples argument to be a vector of length %d but got length %d", shape.rank,
                             times.rank);
    for (int32_t i = 0; i < shape.rank; i++)
        if (times.dims[i] < 0 || __builtin_mul_overflow(shape.dims[i], times.dims[i], &shape.dims[i]))
            return el_status_new(EL_INVALID_ARGUMENT, "Expected multiples[%d] >= 0, but got %lld", i,
                                 (long long)times.dims[i]);
    size_t *picks = NULL, count;
    struct el_status *status = new_picks(&shape, &picks, &count);
    for (size_t i = 0; status == NULL && i < count; i++) {
        size_t rest = i, at = 0, step = 1;
        for (int32_t d = shape.rank; d-- > 0;) {
            const size_t here = rest % (size_t)shape.dims[d];
            const size_t size = (size_t)from->tensor.shape.dims[d];
            rest /= (size_t)shape.dims[d];
            at += here % size * step;
            step *= size;
        }
        picks[i] = at;
    }
    if (status == NULL)
        status = host_value_pick(from, picks, &shape, &call->outputs[0]);
    free(picks);
    return status;
}

/* All inputs one after the other; whoever joins picks from it. */
static struct el_status *put_together(const struct host_value *const *inputs, uint32_t count, struct host_value *all)
{
    struct el_shape shape = { .rank = 1 };
    for (uint32_t i = 0; i < count; i++)
        shape.dims[0] += (int64_t)inputs[i]->elements;
    const enum el_dtype type = inputs[0]->tensor.dtype;
    struct host_strings strings = { 0 };
    uint8_t *to = NULL;
    void *data;
    struct el_status *status = type == EL_STRING ? host_strings_begin(&strings, &shape)
                                                 : host_value_make(type, &shape, all, &data);
    if (status == NULL && type != EL_STRING)
        to = data;
    for (uint32_t i = 0; status == NULL && i < count; i++) {
        for (size_t e = 0; type == EL_STRING && e < inputs[i]->elements; e++) {
            size_t size;
            const char *text = host_value_string(inputs[i], e, &size);
            host_strings_add(&strings, text, size);
        }
        if (to != NULL && inputs[i]->tensor.size > 0) {
            memcpy(to, inputs[i]->tensor.data, inputs[i]->tensor.size);
            to += inputs[i]->tensor.size;
        }
    }
    if (status == NULL && type == EL_STRING)
        status = host_strings_end(&strings, &shape, all);
    host_strings_free(&strings);
    return status;
}

/* The inputs, of the same rank and equal but along axis, joined there; the output's dims but axis are set in shape. */
static struct el_status *join(const struct host_value *const *inputs, uint32_t count, int32_t axis,
                              const struct el_shape *in, const struct el_shape *shape, struct host_value *to)
{
    struct host_value all = { 0 };
    size_t *picks = NULL, total;
    struct el_status *status = put_together(inputs, count, &all);
    if (status == NULL)
        status = new_picks(shape, &picks, &total);
    if (status == NULL) {
        const size_t outer = total == 0 ? 0 : (size_t)product(shape->dims, 0, axis);
        size_t made = 0;
        for (size_t o = 0; o < outer; o++) {
            size_t start = 0;
            for (uint32_t i = 0; i < count; i++) {
                const size_t run = (size_t)product(in[i].dims, axis, in[i].rank);
                for (size_t e = 0; e < run; e++)
                    picks[made++] = start + o * run + e;
                start += inputs[i]->elements;
            }
        }
        status = host_value_pick(&all, picks, shape, to);
    }
    free(picks);
    host_value_free(&all);
    return status;
}

static struct el_status *run_concat(const struct host_call *call)
{
    const uint32_t count = call->input_count - 1;
    struct el_shape shape = call->inputs[0]->tensor.shape;
    int32_t axis;
    EL_TRY(read_axis(call->inputs[count], shape.rank, &axis));
    struct el_shape *in = calloc(count, sizeof *in);
    if (in == NULL)
        return el_status_no_memory();
    struct el_status *status = NULL;
    shape.dims[axis] = 0;
    for (uint32_t i = 0; status == NULL && i < count; i++) {
        in[i] = call->inputs[i]->tensor.shape;
        bool same = in[i].rank == shape.rank && call->inputs[i]->tensor.dtype == call->inputs[0]->tensor.dtype;
        for (int32_t d = 0; same && d < shape.rank; d++)
            same = d == axis || in[i].dims[d] == shape.dims[d];
        char a[400], b[400];
        if (!same || __builtin_add_overflow(shape.dims[axis], in[i].dims[axis], &shape.dims[axis]))
            status = el_status_new(EL_INVALID_ARGUMENT,
                                   "ConcatOp : Dimensions of inputs should match: shape[0] = %s vs. shape[%u] = %s",
                                   el_shape_print(&in[0], a, sizeof a), i, el_shape_print(&in[i], b, sizeof b));
    }
    if (status == NULL)
        status = join(call->inputs, count, axis, in, &shape, &call->outputs[0]);
    free(in);
    return status;
}

static struct el_status *make_pack(const struct host_def *def, void **state)
{
    int64_t *axis = malloc(sizeof *axis);
    if (axis == NULL)
        return el_status_no_memory();
    *axis = host_attr_int(def, "axis", 0);
    *state = axis;
    return NULL;
}

static struct el_status *run_pack(const struct host_call *call)
{
    struct el_shape shape = call->inputs[0]->tensor.shape;
    const int64_t given = *(const int64_t *)call->state, rank = shape.rank + 1;
    const int64_t axis = given < 0 ? given + rank : given;
    if (axis < 0 || axis >= rank || rank > EL_MAX_RANK)
        return el_status_new(EL_INVALID_ARGUMENT, "axis = %lld not in [%lld, %lld)", (long long)given, (long long)-rank,
                             (long long)rank);
    struct el_shape *in = calloc(call->input_count, sizeof *in);
    if (in == NULL)
        return el_status_no_memory();
    struct el_status *status = NULL;
    const struct el_shape first = shape;
    for (uint32_t i = 0; status == NULL && i < call->input_count; i++) {
        in[i] = call->inputs[i]->tensor.shape;
        if (!el_shape_fits(&first, &in[i]) || call->inputs[i]->tensor.dtype != call->inputs[0]->tensor.dtype) {
            char a[400], b[400];
            status = el_status_new(EL_INVALID_ARGUMENT,
                                   "Shapes of all inputs must match: values[0].shape = %s != values[%u].shape = %s",
                                   el_shape_print(&first, a, sizeof a), i, el_shape_print(&in[i], b, sizeof b));
        }
    }
    memmove(&shape.dims[axis + 1], &shape.dims[axis], (size_t)(shape.rank - axis) * sizeof shape.dims[0]);
    shape.dims[axis] = call->input_count;
    shape.rank++;
    if (status == NULL)
        status = join(call->inputs, call->input_count, (int32_t)axis, in, &shape, &call->outputs[0]);
    free(in);
    return status;
}

static struct el_status *run_fill(const struct host_call *call)
{
    struct el_shape shape;
    size_t *picks = NULL, count;
    EL_TRY(host_shape_of(call->inputs[0], &shape));
    if (call->inputs[1]->elements != 1)
        return el_status_new(EL_INVALID_ARGUMENT, "value must be a scalar");
    struct el_status *status = new_picks(&shape, &picks, &count);
    for (size_t i = 0; status == NULL && i < count; i++)
        picks[i] = 0;
    if (status == NULL)
        status = host_value_pick(call->inputs[1], picks, &shape, &call->outputs[0]);
    free(picks);
    return status;
}

const struct host_op host_array_ops[] = {
    { .name = "Shape",
      .type_attr = "out_type",
      .type = EL_INT32,
      .inputs = 1,
      .make = make_integers,
      .run = run_shape },
    { .name = "Size", .type_attr = "out_type", .type = EL_INT32, .inputs = 1, .make = make_integers, .run = run_size },
    { .name = "Rank", .type = EL_INT32, .inputs = 1, .run = run_rank },
    { .name = "Reshape", .type_attr = "T", .inputs = 2, .run = run_reshape },
    { .name = "ExpandDims", .type_attr = "T", .inputs = 2, .run = run_expand_dims },
    { .name = "Tile", .type_attr = "T", .inputs = 2, .run = run_tile },
    { .name = "ConcatV2", .type_attr = "T", .inputs = 2, .run = run_concat },
    { .name = "Pack", .type_attr = "T", .inputs = 1, .make = make_pack, .run = run_pack },
    { .name = "Fill", .type_attr = "T", .inputs = 2, .run = run_fill },
    { .name = NULL },
};
