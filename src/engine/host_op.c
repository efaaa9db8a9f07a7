/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_op.h"

#include <string.h>

const struct host_op *host_op_find(struct el_span name)
{
    static const struct host_op *const all[] = { host_text_ops, host_format_ops, host_array_ops,   host_slice_ops,
                                                 host_cast_ops, host_math_ops,   host_example_ops, host_table_ops };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (const struct host_op *op = all[i]; op->name != NULL; op++)
            if (host_text_is(name, op->name))
                return op;
    return NULL;
}

static bool is_example(const struct host_op *op)
{
    return strncmp(op->name, "ParseExample", strlen("ParseExample")) == 0;
}

uint32_t host_op_outputs(const struct host_op *op, const struct host_def *def)
{
    return is_example(op) ? host_example_outputs(def) : 1;
}

enum el_dtype host_op_type(const struct host_op *op, const struct host_def *def, uint32_t output)
{
    if (is_example(op))
        return host_example_type(def, output);
    return op->type_attr == NULL ? op->type : host_attr_type(def, op->type_attr, op->type);
}

struct el_shape host_op_shape(const struct host_op *op, const struct host_def *def, uint32_t output)
{
    return is_example(op) ? host_example_shape(def, output) : (struct el_shape){ .rank = -1 };
}

struct el_status *host_shape_of(const struct host_value *value, struct el_shape *shape)
{
    if (value->tensor.dtype != EL_INT32 && value->tensor.dtype != EL_INT64)
        return el_status_new(EL_INVALID_ARGUMENT, "a shape is %s, int32 or int64 is expected",
                             el_dtype_short_name(value->tensor.dtype));
    if (value->elements > EL_MAX_RANK)
        return el_status_new(EL_INVALID_ARGUMENT, "a shape has %zu dimensions, at most %d are possible",
                             value->elements, EL_MAX_RANK);
    *shape = (struct el_shape){ .rank = (int32_t)value->elements };
    for (size_t i = 0; i < value->elements; i++)
        shape->dims[i] = host_value_integer(value, i);
    return NULL;
}
