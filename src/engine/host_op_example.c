/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ParseExample and ParseExampleV2: tf.Examples into dense tensors, and into the three parts of sparse ones. What is wrong with an
 * example is told in TensorFlow's words, of the first example that has something, of its last feature first.
 *
 * Not here: ragged features, dense features of variable length, a single example in a scalar.
 */
#include "engine/host_op.h"

#include "engine/host_example.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FEATURES 65536 /* in one example */

/* ---- a run ---- */

/* A feature that is wanted, over all examples. */
struct column {
    struct el_span key;
    enum el_dtype type;
    const struct el_shape *shape; /* of a dense one */
    size_t size;                  /* its elements; of a sparse one 0 */
    bool dense;
    const struct host_value *otherwise; /* the default; without elements: the feature is required */
    struct el_buf numbers;              /* of all examples */
    struct el_buf text;                 /* of strings, whose lengths are the numbers */
    struct el_buf sizes;                /* how many each example has, size_t */
    size_t here;                        /* values in the example at hand */
    bool seen;                          /* the example at hand has it */
};

struct parse {
    const struct host_example_spec *spec;
    struct column *columns; /* the sparse ones, then the dense ones */
    uint32_t count;
    const struct host_value *serialized;
    struct host_feature *features;
    size_t feature_room;
};

/* The keys and defaults among the inputs: V1 has a scalar for each key, V2 vectors. */
static struct el_status *find_columns(const struct host_call *call, struct parse *parse)
{
    const struct host_example_spec *spec = parse->spec;
    const uint32_t count = spec->sparse_count + spec->dense_count;
    const uint32_t keys = 2, defaults = spec->is_v1 ? keys + count : 5;
    if (call->input_count < defaults + spec->dense_count || call->output_count != 2 * spec->sparse_count + count)
        return el_status_new(EL_INVALID_ARGUMENT, "ParseExample has %u inputs, %u are expected", call->input_count,
                             defaults + spec->dense_count);
    parse->columns = calloc((size_t)count + 1, sizeof *parse->columns);
    if (parse->columns == NULL)
        return el_status_no_memory();
    parse->count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct column *column = &parse->columns[i];
        column->dense = i >= spec->sparse_count;
        const uint32_t number = column->dense ? i - spec->sparse_count : i;
        const struct host_value *from = call->inputs[spec->is_v1 ? keys + i : keys + (column->dense ? 1 : 0)];
        const size_t at = spec->is_v1 ? 0 : number;
        if (from->tensor.dtype != EL_STRING || at >= from->elements)
            return el_status_new(EL_INVALID_ARGUMENT, "ParseExample has no key for feature %u", i);
        column->key.data = host_value_string(from, at, &column->key.size);
        column->type = column->dense ? spec->dense[number] : spec->sparse[number];
        if (!column->dense)
            continue;
        column->shape = &spec->shapes[number];
        column->size = spec->sizes[number];
        column->otherwise = call->inputs[defaults + number];
        if (column->otherwise->elements > 0 &&
            (column->otherwise->tensor.dtype != column->type || column->otherwise->elements != column->size))
            return el_status_new(EL_INVALID_ARGUMENT, "the default of feature \"%.*s\" does not fit it",
                                 (int)column->key.size, column->key.data);
    }
    return NULL;
}

static void add_value(void *closure, struct el_span value)
{
    struct column *column = closure;
    column->here++;
    if (column->dense && column->here > column->size)
        return;
    if (column->type != EL_STRING) {
        el_buf_append(&column->numbers, value.data, value.size);
        return;
    }
    const size_t size = value.size;
    el_buf_append(&column->numbers, &size, sizeof size);
    el_buf_append(&column->text, value.data, value.size);
}

static void add_default(struct column *column)
{
    const struct host_value *from = column->otherwise;
    for (size_t i = 0; i < column->size; i++) {
        struct el_span value;
        const size_t size = el_dtype_size(column->type);
        if (column->type == EL_STRING)
            value.data = host_value_string(from, i, &value.size);
        else
            value = (struct el_span){ (const char *)from->tensor.data + i * size, size };
        add_value(column, value);
    }
}

static struct el_status *wrong(const struct column *column, size_t example, const char *what)
{
    return el_status_new(EL_INVALID_ARGUMENT, "Name: <unknown>, Key: %.*s, Index: %zu.  %s", (int)column->key.size,
                         column->key.data, example, what);
}

static struct el_status *check_size(const struct column *column, size_t example)
{
    char what[600], shape[400];
    if (!column->dense || column->here == column->size)
        return NULL;
    const char *kind = column->type == EL_STRING ? "bytes" : column->type == EL_FLOAT ? "float" : "int64";
    snprintf(what, sizeof what, "Number of %s values != expected.  Values size: %zu but output shape: %s", kind,
             column->here, el_shape_print(column->shape, shape, sizeof shape));
    return wrong(column, example, what);
}

static struct el_status *take_feature(struct column *column, const struct host_feature *feature, size_t example)
{
    enum el_dtype type;
    if (!host_feature_type(feature, &type))
        return el_status_new(EL_INVALID_ARGUMENT, "Unsupported datatype.");
    if (column->seen || (type == EL_DTYPE_INVALID && column->dense))
        return NULL; /* the last one counts, which comes first here */
    column->seen = true;
    if (type == EL_DTYPE_INVALID)
        return NULL;
    if (type != column->type) {
        char what[200];
        if (column->dense)
            snprintf(what, sizeof what, "Data types don't match. Data type: %s but expected type: %s",
                     el_dtype_short_name(type), el_dtype_short_name(column->type));
        else
            snprintf(what, sizeof what, "Data types don't match. Expected type: %s, Actual type: %s",
                     el_dtype_short_name(column->type), el_dtype_short_name(type));
        return wrong(column, example, what);
    }
    if (!host_feature_values(feature, add_value, column))
        return wrong(column, example, "Can't parse serialized Example.");
    return check_size(column, example);
}

static struct column *find_column(struct parse *parse, struct el_span key)
{
    for (uint32_t i = 0; i < parse->count; i++)
        if (el_span_equal(parse->columns[i].key, key))
            return &parse->columns[i];
    return NULL;
}

static struct el_status *end_example(struct parse *parse)
{
    for (uint32_t i = 0; i < parse->count; i++) {
        struct column *column = &parse->columns[i];
        if (column->dense && !column->seen) {
            if (column->otherwise->elements == 0)
                return el_status_new(
                    EL_INVALID_ARGUMENT,
                    "Name: <unknown>, Feature: %.*s (data type: %s) is required but could not be found.",
                    (int)column->key.size, column->key.data, el_dtype_short_name(column->type));
            add_default(column);
        }
        el_buf_append(&column->sizes, &column->here, sizeof column->here);
        column->here = 0;
        column->seen = false;
        if (column->numbers.size > HOST_MAX_BYTES || column->text.size > HOST_MAX_BYTES)
            return el_status_new(EL_RESOURCE_EXHAUSTED, "the examples have too many values");
    }
    return NULL;
}

static struct el_status *read_features(struct parse *parse, struct el_span example, size_t *count)
{
    if (!host_example_read(example, parse->features, parse->feature_room, count))
        return el_status_new(EL_INVALID_ARGUMENT, "Could not parse example input, value: '%.*s'", (int)example.size,
                             example.data);
    if (*count <= parse->feature_room)
        return NULL;
    if (*count > MAX_FEATURES)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "an example has %zu features, at most %d are expected", *count,
                             MAX_FEATURES);
    struct host_feature *grown = reallocarray(parse->features, *count, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    parse->features = grown;
    parse->feature_room = *count;
    return read_features(parse, example, count);
}

static struct el_status *parse_all(struct parse *parse)
{
    for (size_t i = 0; i < parse->serialized->elements; i++) {
        struct el_span example;
        size_t count;
        example.data = host_value_string(parse->serialized, i, &example.size);
        EL_TRY(read_features(parse, example, &count));
        while (count-- > 0) {
            struct column *column = find_column(parse, parse->features[count].name);
            if (column != NULL)
                EL_TRY(take_feature(column, &parse->features[count], i));
        }
        EL_TRY(end_example(parse));
    }
    return NULL;
}

/* ---- the outputs ---- */

/* indices, values, shape */
static struct el_status *put_sparse(const struct host_call *call, const struct parse *parse, uint32_t number)
{
    const struct column *column = &parse->columns[number];
    const uint32_t step = parse->spec->sparse_count;
    const size_t examples = parse->serialized->elements;
    size_t total = 0, longest = 0;
    EL_TRY(el_buf_status(&column->sizes));
    const size_t *sizes = (const size_t *)(const void *)column->sizes.data;
    for (size_t i = 0; i < examples; i++) {
        total += sizes[i];
        longest = sizes[i] > longest ? sizes[i] : longest;
    }
    const struct el_shape by = { .rank = 2, .dims = { (int64_t)total, 2 } }, two = { .rank = 1, .dims = { 2 } };
    const struct el_shape all = { .rank = 1, .dims = { (int64_t)total } };
    void *indices, *dense;
    EL_TRY(host_value_make(EL_INT64, &by, &call->outputs[number], &indices));
    EL_TRY(host_value_gathered(column->type, &all, &column->numbers, &column->text, &call->outputs[step + number]));
    EL_TRY(host_value_make(EL_INT64, &two, &call->outputs[2 * step + number], &dense));
    int64_t *to = indices;
    for (size_t i = 0; i < examples; i++) {
        for (size_t e = 0; e < sizes[i]; e++) {
            *to++ = (int64_t)i;
            *to++ = (int64_t)e;
        }
    }
    ((int64_t *)dense)[0] = (int64_t)examples;
    ((int64_t *)dense)[1] = (int64_t)longest;
    return NULL;
}

static struct el_status *put_outputs(const struct host_call *call, const struct parse *parse)
{
    const uint32_t sparse = parse->spec->sparse_count;
    for (uint32_t i = 0; i < sparse; i++)
        EL_TRY(put_sparse(call, parse, i));
    for (uint32_t i = sparse; i < parse->count; i++) {
        const struct el_shape *one = parse->columns[i].shape;
        struct el_shape shape = { .rank = one->rank + 1, .dims = { (int64_t)parse->serialized->elements } };
        memcpy(&shape.dims[1], one->dims, (size_t)one->rank * sizeof shape.dims[0]);
        const struct column *column = &parse->columns[i];
        EL_TRY(
            host_value_gathered(column->type, &shape, &column->numbers, &column->text, &call->outputs[2 * sparse + i]));
    }
    return NULL;
}

static struct el_status *run_example(const struct host_call *call)
{
    struct parse parse = { .spec = call->state, .serialized = call->inputs[0] };
    if (parse.serialized->tensor.shape.rank != 1)
        return el_status_new(EL_UNIMPLEMENTED, "ParseExample of examples that are no vector");
    struct el_status *status = find_columns(call, &parse);
    if (status == NULL)
        status = parse_all(&parse);
    if (status == NULL)
        status = put_outputs(call, &parse);
    for (uint32_t i = 0; i < parse.count; i++) {
        el_buf_free(&parse.columns[i].numbers);
        el_buf_free(&parse.columns[i].text);
        el_buf_free(&parse.columns[i].sizes);
    }
    free(parse.columns);
    free(parse.features);
    return status;
}

const struct host_op host_example_ops[] = {
    { .name = "ParseExample",
      .always = true,
      .inputs = 2,
      .first_type = EL_STRING,
      .make = host_example_spec_make,
      .run = run_example },
    { .name = "ParseExampleV2",
      .always = true,
      .inputs = 5,
      .first_type = EL_STRING,
      .make = host_example_spec_make,
      .run = run_example },
    { .name = NULL },
};
