/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     ModelProto     graph=7
 *     GraphProto     node=1 initializer=5 input=11 output=12
 *     TensorProto    name=8 external_data=13 {key=1 value=2}
 *     ValueInfoProto name=1 type=2 {tensor_type=1 {elem_type=1 shape=2 {dim=1 {dim_value=1}}}}
 *
 * Before IR version 4 the inputs list the initializers too: those are no inputs that a client could give. They may stand
 * before or after them, so the graph is walked twice.
 */
#include "bundle/onnx.h"

#include "bundle/graph.h"
#include "bundle/signature_map.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME ((size_t)64 * 1024)
#define MAX_VALUE_INFO ((size_t)1 << 20)
#define MAX_INITIALIZERS (1u << 20)
#define MAX_FILES 65536u

struct reading {
    struct el_proto_file file;
    struct el_proto_span graph;
    char **initializers; /* sorted */
    uint32_t initializer_count;
    char **files; /* of external data */
    uint32_t file_count;
    uint64_t nodes;
    struct el_buf def;
    uint32_t inputs, outputs;
};

/* TensorProto.DataType, by its number. */
static enum el_dtype dtype_of(uint64_t type)
{
    static const enum el_dtype dtypes[] = { EL_DTYPE_INVALID, EL_FLOAT,   EL_UINT8,  EL_INT8,   EL_UINT16,
                                            EL_INT16,         EL_INT32,   EL_INT64,  EL_STRING, EL_BOOL,
                                            EL_HALF,          EL_DOUBLE,  EL_UINT32, EL_UINT64, EL_COMPLEX64,
                                            EL_COMPLEX128,    EL_BFLOAT16 };
    return type < sizeof dtypes / sizeof dtypes[0] ? dtypes[type] : EL_DTYPE_INVALID;
}

/* ---- one input or output, from its bytes ---- */

struct value {
    char *name;
    uint64_t type;
    bool is_tensor;
    struct el_shape shape;
};

static struct el_status *read_dim(const struct el_proto_field *field, int64_t *dim)
{
    struct el_proto message;
    struct el_proto_field inner;
    struct el_status *status = NULL;
    EL_TRY(el_proto_open(field, "a dim", &message));
    *dim = -1; /* one that is named, or not said, is open */
    while (status == NULL && el_proto_next(&message, &inner, &status))
        if (inner.number == 1 && inner.wire == EL_PROTO_VARINT && (int64_t)inner.value >= 0)
            *dim = (int64_t)inner.value;
    return status;
}

static struct el_status *read_shape(const struct el_proto_field *field, struct el_shape *shape)
{
    struct el_proto message;
    struct el_proto_field inner;
    struct el_status *status = NULL;
    EL_TRY(el_proto_open(field, "a shape", &message));
    int32_t rank = 0;
    while (status == NULL && el_proto_next(&message, &inner, &status)) {
        if (inner.number != 1)
            continue;
        if (rank == EL_MAX_RANK) {
            *shape = (struct el_shape){ .rank = -1 };
            return NULL;
        }
        status = read_dim(&inner, &shape->dims[rank++]);
    }
    shape->rank = rank;
    return status;
}

static struct el_status *read_tensor_type(const struct el_proto_field *field, struct value *value)
{
    struct el_proto message;
    struct el_proto_field inner;
    struct el_status *status = NULL;
    EL_TRY(el_proto_open(field, "the type of a tensor", &message));
    value->is_tensor = true;
    while (status == NULL && el_proto_next(&message, &inner, &status)) {
        if (inner.number == 1)
            value->type = inner.value;
        else if (inner.number == 2)
            status = read_shape(&inner, &value->shape);
    }
    return status;
}

static struct el_status *read_type(const struct el_proto_field *field, struct value *value)
{
    struct el_proto message;
    struct el_proto_field inner;
    struct el_status *status = NULL;
    EL_TRY(el_proto_open(field, "a type", &message));
    while (status == NULL && el_proto_next(&message, &inner, &status))
        if (inner.number == 1)
            status = read_tensor_type(&inner, value);
    return status;
}

static struct el_status *read_value(const struct el_buf *bytes, size_t base, struct value *value)
{
    struct el_proto message = { .start = bytes->data, .size = bytes->size, .base = base };
    struct el_proto_field inner;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(&message, &inner, &status)) {
        if (inner.number == 1)
            status = el_proto_take_text(&inner, "the name of an input or output", &value->name);
        else if (inner.number == 2)
            status = read_type(&inner, value);
    }
    return status;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_initializer(const struct reading *reading, const char *name)
{
    return reading->initializer_count > 0 && bsearch(&name, reading->initializers, reading->initializer_count,
                                                     sizeof *reading->initializers, compare_texts) != NULL;
}

static struct el_status *take_value(struct reading *reading, enum el_signature_side side, const struct value *value)
{
    const char *name = value->name == NULL ? "" : value->name;
    if (side == EL_SIGNATURE_INPUT && is_initializer(reading, name))
        return NULL;
    if (!value->is_tensor || dtype_of(value->type) == EL_DTYPE_INVALID)
        return el_status_new(EL_UNIMPLEMENTED, "%s: \"%.200s\" is no tensor of a type that is known here (%" PRIu64 ")",
                             reading->file.name, name, value->type);
    uint32_t *count = side == EL_SIGNATURE_INPUT ? &reading->inputs : &reading->outputs;
    if (++*count > EL_MAX_SIGNATURE_TENSORS)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: more than %d inputs or outputs", reading->file.name,
                             EL_MAX_SIGNATURE_TENSORS);
    el_signature_map_tensor(&reading->def, side, name, name, dtype_of(value->type), &value->shape);
    return NULL;
}

static struct el_status *add_value(struct reading *reading, const struct el_proto_part *part,
                                   enum el_signature_side side)
{
    struct el_buf bytes = { 0 };
    struct value value = { .shape = { .rank = -1 } };
    EL_TRY(el_proto_file_want_bytes(&reading->file, part, "an input or output"));
    struct el_status *status = el_proto_file_read(&reading->file, part->span, MAX_VALUE_INFO, &bytes);
    if (status == NULL)
        status = el_status_prefix(read_value(&bytes, (size_t)part->span.at, &value), "%s", reading->file.name);
    if (status == NULL)
        status = take_value(reading, side, &value);
    free(value.name);
    el_buf_free(&bytes);
    return status;
}

/* ---- initializers ---- */

/* One more text at the end of a list, whose room doubles. */
static struct el_status *add_text(struct reading *reading, const struct el_proto_part *part, const char *what,
                                  uint32_t limit, char ***list, uint32_t *count)
{
    if (*count == limit)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: more than %u times %s", reading->file.name, limit, what);
    char **grown = *list;
    if ((*count & (*count - 1)) == 0)
        grown = reallocarray(*list, *count == 0 ? 1 : 2 * (size_t)*count, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    *list = grown;
    grown[*count] = NULL;
    EL_TRY(el_proto_file_text(&reading->file, part, what, &grown[*count]));
    ++*count;
    return NULL;
}

static struct el_status *read_external(struct reading *reading, const struct el_proto_part *part)
{
    EL_TRY(el_proto_file_want_bytes(&reading->file, part, "external_data"));
    struct el_proto_span entry = part->span;
    struct el_proto_part inner, value = { 0 };
    struct el_status *status = NULL;
    char *key = NULL;
    while (status == NULL && el_proto_file_next(&reading->file, &entry, &inner, &status)) {
        if (inner.number == 1)
            status = el_proto_file_text(&reading->file, &inner, "a key of external_data", &key);
        else if (inner.number == 2)
            value = inner;
    }
    if (status == NULL && key != NULL && strcmp(key, "location") == 0 && value.number == 2)
        status = add_text(reading, &value, "a file of external data", MAX_FILES, &reading->files, &reading->file_count);
    free(key);
    return status;
}

static struct el_status *add_initializer(struct reading *reading, const struct el_proto_part *part)
{
    EL_TRY(el_proto_file_want_bytes(&reading->file, part, "an initializer"));
    struct el_proto_span tensor = part->span;
    struct el_proto_part inner;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_file_next(&reading->file, &tensor, &inner, &status)) {
        if (inner.number == 8)
            status = add_text(reading, &inner, "the name of an initializer", MAX_INITIALIZERS, &reading->initializers,
                              &reading->initializer_count);
        else if (inner.number == 13)
            status = read_external(reading, &inner);
    }
    return status;
}

/* ---- the file ---- */

static struct el_status *walk_graph(struct reading *reading, bool values)
{
    struct el_proto_span span = reading->graph;
    struct el_proto_part part;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_file_next(&reading->file, &span, &part, &status)) {
        if (values && (part.number == 11 || part.number == 12))
            status = add_value(reading, &part, part.number == 11 ? EL_SIGNATURE_INPUT : EL_SIGNATURE_OUTPUT);
        else if (!values && part.number == 1)
            reading->nodes++;
        else if (!values && part.number == 5)
            status = add_initializer(reading, &part);
    }
    return status;
}

static struct el_status *find_graph(struct reading *reading)
{
    struct el_proto_span span = { 0, reading->file.size };
    struct el_proto_part part;
    struct el_status *status = NULL;
    bool found = false;
    while (status == NULL && el_proto_file_next(&reading->file, &span, &part, &status)) {
        if (part.number != 7)
            continue;
        status = el_proto_file_want_bytes(&reading->file, &part, "the graph");
        reading->graph = part.span;
        found = true;
    }
    if (status == NULL && reading->file.size == 0)
        return el_status_new(EL_DATA_LOSS, "%s: is empty", reading->file.name);
    if (status == NULL && !found)
        return el_status_new(EL_DATA_LOSS, "%s: has no graph: it is cut off, or no ONNX model", reading->file.name);
    return status;
}

static struct el_status *read_model(struct reading *reading, struct el_saved_model *model)
{
    EL_TRY(find_graph(reading));
    EL_TRY(walk_graph(reading, false));
    if (reading->initializer_count > 1)
        qsort(reading->initializers, reading->initializer_count, sizeof *reading->initializers, compare_texts);
    EL_TRY(walk_graph(reading, true));
    if (reading->outputs == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: the graph has no outputs", reading->file.name);
    struct el_buf map = { 0 };
    el_signature_map_add(&map, "serving_default", &reading->def);
    EL_TRY(el_signature_map_model(&map, reading->file.name, reading->file.size, model));
    model->graphs[0].node_count = reading->nodes;
    model->graphs[0].data_files = reading->files;
    model->graphs[0].data_file_count = reading->file_count;
    reading->files = NULL;
    reading->file_count = 0;
    return NULL;
}

static void free_texts(char **texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

struct el_status *el_onnx_read_fd(int fd, const char *name, struct el_saved_model *model)
{
    struct reading reading = { 0 };
    EL_TRY(el_proto_file_open(fd, name, &reading.file));
    struct el_status *status = read_model(&reading, model);
    free_texts(reading.initializers, reading.initializer_count);
    free_texts(reading.files, reading.file_count);
    el_buf_free(&reading.def);
    el_proto_file_close(&reading.file);
    return status;
}
