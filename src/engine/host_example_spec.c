/* SPDX-License-Identifier: Apache-2.0 */
/* What a ParseExample says about the features that it wants: their dtypes and shapes are attributes, their names inputs. */
#include "engine/host_example.h"
#include "engine/host_op.h"

#include <stdlib.h>
#include <string.h>

static void read_spec(const struct host_def *def, struct host_example_spec *spec)
{
    uint32_t shapes;
    spec->is_v1 = host_text_is(def->op, "ParseExample");
    host_attr_types(def, "Tdense", spec->dense, HOST_MOST_FEATURES, &spec->dense_count);
    host_attr_types(def, "sparse_types", spec->sparse, HOST_MOST_FEATURES, &spec->sparse_count);
    host_attr_shapes(def, "dense_shapes", spec->shapes, HOST_MOST_FEATURES, &shapes);
    if (shapes < spec->dense_count)
        spec->dense_count = shapes;
}

uint32_t host_example_outputs(const struct host_def *def)
{
    uint32_t sparse, dense, ragged;
    host_attr_types(def, "Tdense", NULL, 0, &dense);
    host_attr_types(def, "sparse_types", NULL, 0, &sparse);
    host_attr_types(def, "ragged_value_types", NULL, 0, &ragged);
    return 3 * sparse + dense + 2 * ragged;
}

enum el_dtype host_example_type(const struct host_def *def, uint32_t output)
{
    enum el_dtype types[HOST_MOST_FEATURES];
    uint32_t sparse, dense;
    host_attr_types(def, "sparse_types", types, HOST_MOST_FEATURES, &sparse);
    if (output >= sparse && output < 2 * sparse && output - sparse < HOST_MOST_FEATURES)
        return types[output - sparse];
    if (output < 3 * sparse)
        return EL_INT64;
    host_attr_types(def, "Tdense", types, HOST_MOST_FEATURES, &dense);
    return output - 3 * sparse < dense && output - 3 * sparse < HOST_MOST_FEATURES ? types[output - 3 * sparse]
                                                                                   : EL_DTYPE_INVALID;
}

struct el_shape host_example_shape(const struct host_def *def, uint32_t output)
{
    struct el_shape shapes[HOST_MOST_FEATURES], shape = { .rank = -1 };
    uint32_t sparse, dense;
    host_attr_types(def, "sparse_types", NULL, 0, &sparse);
    host_attr_shapes(def, "dense_shapes", shapes, HOST_MOST_FEATURES, &dense);
    if (output < 3 * sparse)
        return output < sparse       ? (struct el_shape){ .rank = 2, .dims = { -1, 2 } }
               : output < 2 * sparse ? (struct el_shape){ .rank = 1, .dims = { -1 } }
                                     : (struct el_shape){ .rank = 1, .dims = { 2 } };
    const uint32_t number = output - 3 * sparse;
    if (number >= dense || number >= HOST_MOST_FEATURES || shapes[number].rank < 0 ||
        shapes[number].rank >= EL_MAX_RANK)
        return shape;
    shape.rank = shapes[number].rank + 1;
    shape.dims[0] = -1;
    memcpy(&shape.dims[1], shapes[number].dims, (size_t)shapes[number].rank * sizeof shape.dims[0]);
    return shape;
}

static bool is_kind(enum el_dtype type)
{
    return type == EL_STRING || type == EL_FLOAT || type == EL_INT64;
}

static struct el_status *check_spec(const struct host_def *def, struct host_example_spec *spec)
{
    uint32_t ragged;
    read_spec(def, spec);
    host_attr_types(def, "ragged_value_types", NULL, 0, &ragged);
    bool fine = ragged == 0 && spec->dense_count <= HOST_MOST_FEATURES && spec->sparse_count <= HOST_MOST_FEATURES;
    for (uint32_t i = 0; fine && i < spec->sparse_count; i++)
        fine = is_kind(spec->sparse[i]);
    for (uint32_t i = 0; fine && i < spec->dense_count; i++)
        fine = is_kind(spec->dense[i]) && spec->shapes[i].rank >= 0 && spec->shapes[i].rank < EL_MAX_RANK;
    if (!fine)
        return el_status_new(EL_UNIMPLEMENTED, "%.*s with ragged features or such of variable length",
                             (int)def->op.size, def->op.data);
    for (uint32_t i = 0; i < spec->dense_count; i++) {
        struct el_status *unknown = el_shape_elements(&spec->shapes[i], &spec->sizes[i]);
        if (unknown != NULL) {
            el_status_free(unknown);
            return el_status_new(EL_UNIMPLEMENTED, "%.*s with features of variable length", (int)def->op.size,
                                 def->op.data);
        }
    }
    return NULL;
}

struct el_status *host_example_spec_make(const struct host_def *def, void **state)
{
    struct host_example_spec *spec = calloc(1, sizeof *spec);
    if (spec == NULL)
        return el_status_no_memory();
    struct el_status *status = check_spec(def, spec);
    if (status == NULL)
        *state = spec;
    else
        free(spec);
    return status;
}
