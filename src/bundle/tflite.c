/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields by their position in tensorflow/compiler/mlir/lite/schema/schema.fbs (schema version 3):
 *
 *     Model         version=0 operator_codes=1 subgraphs=2 buffers=4 signature_defs=7
 *     SubGraph      tensors=0 inputs=1 outputs=2 operators=3
 *     Tensor        shape=0 type=1 name=3 shape_signature=7
 *     Buffer        data=0 offset=1 size=2
 *     SignatureDef  inputs=0 outputs=1 signature_key=2 subgraph_index=4
 *     TensorMap     name=0 tensor_index=1
 */
#include "bundle/tflite.h"

#include "bundle/flatbuffer.h"
#include "bundle/signature_map.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA 3
#define MAX_NAME 65536u
#define MAX_BUFFERS (1u << 24)
#define MAX_OPERATOR_CODES 4096u

struct reading {
    struct el_flat flat;
    struct el_flat_table model;
    struct el_flat_table graph; /* the first subgraph */
    struct el_flat_vector tensors;
};

/* TensorType, by its number. */
static enum el_dtype dtype_of(uint64_t type)
{
    static const enum el_dtype dtypes[] = { EL_FLOAT,  EL_HALF,       EL_INT32,         EL_UINT8,     EL_INT64,
                                            EL_STRING, EL_BOOL,       EL_INT16,         EL_COMPLEX64, EL_INT8,
                                            EL_DOUBLE, EL_COMPLEX128, EL_UINT64,        EL_RESOURCE,  EL_VARIANT,
                                            EL_UINT32, EL_UINT16,     EL_DTYPE_INVALID, EL_BFLOAT16 };
    return type < sizeof dtypes / sizeof dtypes[0] ? dtypes[type] : EL_DTYPE_INVALID;
}

/* The shape with -1 for open dims where the file says so, else the shape that the model was made with. */
static struct el_status *read_shape(const struct el_flat *flat, const struct el_flat_table *tensor,
                                    struct el_shape *shape)
{
    struct el_flat_vector dims, open;
    EL_TRY(el_flat_vector(flat, tensor, 0, 4, &dims));
    EL_TRY(el_flat_vector(flat, tensor, 7, 4, &open));
    const struct el_flat_vector *from = open.count == dims.count && open.count > 0 ? &open : &dims;
    if (from->count > EL_MAX_RANK) {
        *shape = (struct el_shape){ .rank = -1 };
        return NULL;
    }
    *shape = (struct el_shape){ .rank = (int32_t)from->count };
    for (uint32_t i = 0; i < from->count; i++) {
        int32_t dim;
        EL_TRY(el_flat_int_at(flat, from, i, &dim));
        shape->dims[i] = dim < 0 ? -1 : dim;
    }
    return NULL;
}

/* Adds one tensor of the subgraph. key: NULL: its own name up to the first ":". */
static struct el_status *add_tensor(const struct reading *reading, uint64_t index, const char *key,
                                    enum el_signature_side side, struct el_buf *def)
{
    if (index >= reading->tensors.count)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: a signature names tensor %" PRIu64 " of %" PRIu32,
                             reading->flat.name, index, reading->tensors.count);
    struct el_flat_table tensor;
    struct el_shape shape;
    uint64_t type;
    char *name = NULL;
    EL_TRY(el_flat_table_at(&reading->flat, &reading->tensors, (uint32_t)index, &tensor));
    EL_TRY(read_shape(&reading->flat, &tensor, &shape));
    EL_TRY(el_flat_number(&reading->flat, &tensor, 1, 1, 0, &type));
    EL_TRY(el_flat_text(&reading->flat, &tensor, 3, MAX_NAME, &name));
    char *own = key != NULL ? strdup(key) : strndup(name, strcspn(name, ":"));
    struct el_status *status = NULL;
    if (own == NULL)
        status = el_status_no_memory();
    else if (dtype_of(type) == EL_DTYPE_INVALID)
        status = el_status_new(EL_UNIMPLEMENTED, "%s: tensor \"%s\" is of type %" PRIu64 ", which is not known here",
                               reading->flat.name, name, type);
    else
        el_signature_map_tensor(def, side, own, name, dtype_of(type), &shape);
    free(own);
    free(name);
    return status;
}

/* The inputs or the outputs of a signature that the file declares. */
static struct el_status *add_declared(const struct reading *reading, const struct el_flat_table *signature,
                                      enum el_signature_side side, struct el_buf *def)
{
    struct el_flat_vector maps;
    EL_TRY(el_flat_vector(&reading->flat, signature, side == EL_SIGNATURE_INPUT ? 0 : 1, 4, &maps));
    if (maps.count > EL_MAX_SIGNATURE_TENSORS)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: %" PRIu32 " inputs or outputs in one signature, at most %d",
                             reading->flat.name, maps.count, EL_MAX_SIGNATURE_TENSORS);
    for (uint32_t i = 0; i < maps.count; i++) {
        struct el_flat_table map;
        uint64_t index;
        char *key = NULL;
        EL_TRY(el_flat_table_at(&reading->flat, &maps, i, &map));
        EL_TRY(el_flat_number(&reading->flat, &map, 1, 4, 0, &index));
        EL_TRY(el_flat_text(&reading->flat, &map, 0, MAX_NAME, &key));
        struct el_status *status = add_tensor(reading, index, key, side, def);
        free(key);
        EL_TRY(status);
    }
    return NULL;
}

static struct el_status *add_signature(const struct reading *reading, const struct el_flat_table *signature,
                                       struct el_buf *map)
{
    uint64_t subgraph;
    EL_TRY(el_flat_number(&reading->flat, signature, 4, 4, 0, &subgraph));
    if (subgraph != 0)
        return NULL; /* the engine runs the first subgraph only */
    char *name = NULL;
    EL_TRY(el_flat_text(&reading->flat, signature, 2, MAX_NAME, &name));
    struct el_buf def = { 0 };
    struct el_status *status = add_declared(reading, signature, EL_SIGNATURE_INPUT, &def);
    if (status == NULL)
        status = add_declared(reading, signature, EL_SIGNATURE_OUTPUT, &def);
    if (status == NULL)
        el_signature_map_add(map, name, &def);
    el_buf_free(&def);
    free(name);
    return status;
}

static struct el_status *add_generated(const struct reading *reading, enum el_signature_side side, struct el_buf *def)
{
    struct el_flat_vector list;
    EL_TRY(el_flat_vector(&reading->flat, &reading->graph, side == EL_SIGNATURE_INPUT ? 1 : 2, 4, &list));
    if (list.count > EL_MAX_SIGNATURE_TENSORS)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: %" PRIu32 " inputs or outputs, at most %d", reading->flat.name,
                             list.count, EL_MAX_SIGNATURE_TENSORS);
    for (uint32_t i = 0; i < list.count; i++) {
        int32_t index;
        EL_TRY(el_flat_int_at(&reading->flat, &list, i, &index));
        EL_TRY(add_tensor(reading, (uint64_t)(int64_t)index, NULL, side, def));
    }
    return NULL;
}

static struct el_status *read_signatures(const struct reading *reading, struct el_buf *map)
{
    struct el_flat_vector list;
    EL_TRY(el_flat_vector(&reading->flat, &reading->model, 7, 4, &list));
    if (list.count > EL_MAX_SIGNATURES)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: %" PRIu32 " signatures, at most %d", reading->flat.name,
                             list.count, EL_MAX_SIGNATURES);
    for (uint32_t i = 0; i < list.count; i++) {
        struct el_flat_table signature;
        EL_TRY(el_flat_table_at(&reading->flat, &list, i, &signature));
        EL_TRY(add_signature(reading, &signature, map));
    }
    if (list.count > 0)
        return NULL;
    struct el_buf def = { 0 };
    struct el_status *status = add_generated(reading, EL_SIGNATURE_INPUT, &def);
    if (status == NULL)
        status = add_generated(reading, EL_SIGNATURE_OUTPUT, &def);
    if (status == NULL)
        el_signature_map_add(map, "serving_default", &def);
    el_buf_free(&def);
    return status;
}

/* Nothing in them is of interest, but a file that is cut off may lack them alone: they come last. */
static struct el_status *check_operator_codes(const struct reading *reading)
{
    struct el_flat_vector codes;
    EL_TRY(el_flat_vector(&reading->flat, &reading->model, 1, 4, &codes));
    for (uint32_t i = 0; i < codes.count && i < MAX_OPERATOR_CODES; i++) {
        struct el_flat_table code;
        uint64_t number;
        EL_TRY(el_flat_table_at(&reading->flat, &codes, i, &code));
        for (unsigned field = 0; field < 4; field += 3) /* deprecated_builtin_code, builtin_code */
            EL_TRY(el_flat_number(&reading->flat, &code, field, field == 0 ? 1 : 4, 0, &number));
    }
    return NULL;
}

/* Weights lie in the tables of the buffers or, in files beyond 2 GB, behind them. */
static struct el_status *check_buffers(const struct reading *reading)
{
    struct el_flat_vector buffers;
    EL_TRY(el_flat_vector(&reading->flat, &reading->model, 4, 4, &buffers));
    if (buffers.count > MAX_BUFFERS)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: %" PRIu32 " buffers, at most %u", reading->flat.name,
                             buffers.count, MAX_BUFFERS);
    for (uint32_t i = 0; i < buffers.count; i++) {
        struct el_flat_table buffer;
        struct el_flat_vector data;
        uint64_t offset, size, end;
        EL_TRY(el_flat_table_at(&reading->flat, &buffers, i, &buffer));
        EL_TRY(el_flat_vector(&reading->flat, &buffer, 0, 1, &data));
        EL_TRY(el_flat_number(&reading->flat, &buffer, 1, 8, 0, &offset));
        EL_TRY(el_flat_number(&reading->flat, &buffer, 2, 8, 0, &size));
        if (offset > 1 && (__builtin_add_overflow(offset, size, &end) || end > reading->flat.size))
            return el_status_new(EL_DATA_LOSS, "%s: buffer %" PRIu32 " ends beyond the file: it is cut off",
                                 reading->flat.name, i);
    }
    return NULL;
}

struct el_status *el_tflite_read_fd(int fd, const char *name, struct el_saved_model *model)
{
    struct reading reading = { 0 };
    struct el_flat_vector graphs, operators;
    uint64_t version;
    EL_TRY(el_flat_open(fd, name, &reading.flat));
    EL_TRY(el_flat_root(&reading.flat, "TFL3", &reading.model));
    EL_TRY(el_flat_number(&reading.flat, &reading.model, 0, 4, 0, &version));
    if (version != SCHEMA)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: version %" PRIu64 " of the format, %d is expected", name,
                             version, SCHEMA);
    EL_TRY(el_flat_vector(&reading.flat, &reading.model, 2, 4, &graphs));
    if (graphs.count == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: has no subgraph", name);
    EL_TRY(el_flat_table_at(&reading.flat, &graphs, 0, &reading.graph));
    EL_TRY(el_flat_vector(&reading.flat, &reading.graph, 0, 4, &reading.tensors));
    EL_TRY(el_flat_vector(&reading.flat, &reading.graph, 3, 4, &operators));
    EL_TRY(check_buffers(&reading));
    EL_TRY(check_operator_codes(&reading));
    struct el_buf map = { 0 };
    struct el_status *status = read_signatures(&reading, &map);
    if (status != NULL) {
        el_buf_free(&map);
        return status;
    }
    EL_TRY(el_signature_map_model(&map, name, reading.flat.size, model));
    model->graphs[0].node_count = operators.count;
    return NULL;
}
