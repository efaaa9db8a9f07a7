/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages (framework/graph.proto, function.proto, node_def.proto, attr_value.proto):
 *
 *     GraphDef      node=1 library=2 {function=1 {signature=1 {name=1} node_def=3}}
 *     NodeDef       name=1 op=2 input=3 attr=5 {value=2}
 *     AttrValue     func=10 {name=1} list=1 {func=9 {name=1}}
 *
 * A node calls the functions in its attributes, or the one that its op names.
 */
#include "bundle/graph.h"

#include "bundle/state_ops.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPS 8192u /* different ones; TensorFlow has about 1,900 */
#define MAX_TEXT ((size_t)64 * 1024)

struct reader {
    struct el_proto_file *file;
    struct el_meta_graph *graph;
    struct el_reach *reach;
    struct el_buf name; /* reused */
    bool in_function;   /* the vertex is the function, not its node */
};

struct el_status *el_proto_file_text(struct el_proto_file *file, const struct el_proto_part *part, const char *what,
                                     char **text)
{
    EL_TRY(el_proto_file_want_bytes(file, part, what));
    struct el_buf buf = { 0 };
    struct el_status *status = el_proto_file_read(file, part->span, MAX_TEXT, &buf);
    if (status == NULL && buf.size > 0 && memchr(buf.data, 0, buf.size) != NULL)
        status = el_status_new(EL_INVALID_ARGUMENT, "%s: offset %llu: %s has a NUL byte inside", file->name,
                               (unsigned long long)part->span.at, what);
    if (status != NULL) {
        el_buf_free(&buf);
        return status;
    }
    char *taken = el_buf_take_text(&buf);
    if (taken == NULL)
        return el_status_no_memory();
    free(*text);
    *text = taken;
    return NULL;
}

/* ---- ops ---- */

static struct el_status *insert_op(struct reader *reader, const struct el_proto_part *part, uint32_t at, char *op)
{
    struct el_meta_graph *graph = reader->graph;
    if (graph->op_count == MAX_OPS) {
        free(op);
        return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %llu: more than %u different ops", reader->file->name,
                             (unsigned long long)part->span.at, MAX_OPS);
    }
    struct el_op_count *grown = graph->ops;
    if (graph->op_count == 0 || (graph->op_count & (graph->op_count - 1)) == 0)
        grown = reallocarray(graph->ops, graph->op_count == 0 ? 1 : 2 * (size_t)graph->op_count, sizeof *grown);
    if (grown == NULL) {
        free(op);
        return el_status_no_memory();
    }
    graph->ops = grown;
    memmove(&grown[at + 1], &grown[at], (graph->op_count - at) * sizeof *grown);
    grown[at] = (struct el_op_count){ .op = op, .count = 0, .changes_state = el_op_changes_state(op) };
    graph->op_count++;
    return NULL;
}

static struct el_status *read_op(struct reader *reader, const struct el_proto_part *part)
{
    struct el_meta_graph *graph = reader->graph;
    char *op = NULL;
    EL_TRY(el_proto_file_text(reader->file, part, "the op of a node", &op));
    assert(op != NULL);
    struct el_status *status = el_reach_leads_to(reader->reach, el_reach_function(op, strlen(op)));
    uint32_t from = 0, to = graph->op_count;
    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        const int order = strcmp(op, graph->ops[middle].op);
        if (order == 0) {
            from = middle;
            break;
        }
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    const bool is_new = from == graph->op_count || strcmp(op, graph->ops[from].op) != 0;
    if (status == NULL && is_new)
        status = insert_op(reader, part, from, op);
    else
        free(op);
    if (status != NULL)
        return status;
    graph->ops[from].count++;
    if (graph->ops[from].changes_state)
        el_reach_changes(reader->reach, graph->ops[from].op);
    return NULL;
}

/* Reads a name into reader->name. */
static struct el_status *read_name(struct reader *reader, const struct el_proto_part *part, const char *what)
{
    EL_TRY(el_proto_file_want_bytes(reader->file, part, what));
    el_buf_clear(&reader->name);
    return el_proto_file_read(reader->file, part->span, MAX_TEXT, &reader->name);
}

static const char *name_of(const struct reader *reader)
{
    return reader->name.size > 0 ? (const char *)reader->name.data : "";
}

struct field {
    uint32_t number; /* 0: the table's end */
    struct el_status *(*read)(struct reader *reader, const struct el_proto_part *part);
};

/* Reads those of a message's fields that the table names. */
static struct el_status *read_fields(struct reader *reader, const struct el_proto_part *message,
                                     const struct field *fields)
{
    struct el_proto_span span = message->span;
    struct el_proto_part part;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_file_next(reader->file, &span, &part, &status)) {
        const struct field *field = fields;
        while (field->number != 0 && field->number != part.number)
            field++;
        if (field->number != 0)
            status = field->read(reader, &part);
    }
    return status;
}

/* ---- attributes, for the functions that they name ---- */

/* The fields of a message of the attributes; a field of another type says nothing about functions. */
static struct el_status *read_inside(struct reader *reader, const struct el_proto_part *part,
                                     const struct field *fields)
{
    return part->wire == EL_PROTO_BYTES ? read_fields(reader, part, fields) : NULL;
}

static struct el_status *read_function_name(struct reader *reader, const struct el_proto_part *part)
{
    EL_TRY(read_name(reader, part, "the name of a function"));
    return el_reach_leads_to(reader->reach, el_reach_function(name_of(reader), reader->name.size));
}

static struct el_status *read_name_attributes(struct reader *reader, const struct el_proto_part *part)
{
    static const struct field fields[] = { { 1, read_function_name }, { 0, NULL } };
    return read_inside(reader, part, fields);
}

static struct el_status *read_function_list(struct reader *reader, const struct el_proto_part *part)
{
    static const struct field fields[] = { { 9, read_name_attributes }, { 0, NULL } };
    return read_inside(reader, part, fields);
}

static struct el_status *read_attribute_value(struct reader *reader, const struct el_proto_part *part)
{
    static const struct field fields[] = { { 10, read_name_attributes }, { 1, read_function_list }, { 0, NULL } };
    return read_inside(reader, part, fields);
}

static struct el_status *read_attribute(struct reader *reader, const struct el_proto_part *part)
{
    static const struct field fields[] = { { 2, read_attribute_value }, { 0, NULL } };
    return read_inside(reader, part, fields);
}

/* ---- nodes ---- */

static struct el_status *read_node_name(struct reader *reader, const struct el_proto_part *part)
{
    if (reader->in_function)
        return NULL;
    EL_TRY(read_name(reader, part, "the name of a node"));
    el_reach_name(reader->reach, el_reach_node(name_of(reader), reader->name.size));
    return NULL;
}

static struct el_status *read_input(struct reader *reader, const struct el_proto_part *part)
{
    if (reader->in_function)
        return NULL;
    EL_TRY(read_name(reader, part, "the input of a node"));
    return el_reach_leads_to(reader->reach, el_reach_node(name_of(reader), reader->name.size));
}

static struct el_status *read_node(struct reader *reader, const struct el_proto_part *part)
{
    static const struct field fields[] = {
        { 1, read_node_name }, { 2, read_op }, { 3, read_input }, { 5, read_attribute }, { 0, NULL }
    };
    EL_TRY(el_proto_file_want_bytes(reader->file, part, "a node"));
    struct el_status *status = reader->in_function ? NULL : el_reach_begin(reader->reach);
    if (status == NULL)
        status = read_fields(reader, part, fields);
    reader->graph->node_count++;
    return status;
}

/* ---- functions ---- */

static struct el_status *read_own_name(struct reader *reader, const struct el_proto_part *part)
{
    EL_TRY(read_name(reader, part, "the name of a function"));
    el_reach_name(reader->reach, el_reach_function(name_of(reader), reader->name.size));
    return NULL;
}

static struct el_status *read_function_signature(struct reader *reader, const struct el_proto_part *part)
{
    static const struct field fields[] = { { 1, read_own_name }, { 0, NULL } };
    EL_TRY(el_proto_file_want_bytes(reader->file, part, "the signature of a function"));
    return read_fields(reader, part, fields);
}

static struct el_status *read_function(struct reader *reader, const struct el_proto_part *part)
{
    static const struct field fields[] = { { 1, read_function_signature }, { 3, read_node }, { 0, NULL } };
    EL_TRY(el_proto_file_want_bytes(reader->file, part, "a function"));
    struct el_status *status = el_reach_begin(reader->reach);
    reader->in_function = true;
    if (status == NULL)
        status = read_fields(reader, part, fields);
    reader->in_function = false;
    reader->graph->function_count++;
    return status;
}

static struct el_status *read_library(struct reader *reader, const struct el_proto_part *part)
{
    static const struct field fields[] = { { 1, read_function }, { 0, NULL } };
    EL_TRY(el_proto_file_want_bytes(reader->file, part, "the library of functions"));
    return read_fields(reader, part, fields);
}

struct el_status *el_graph_read(struct el_proto_file *file, const struct el_proto_part *part,
                                struct el_meta_graph *graph, struct el_reach *reach)
{
    static const struct field fields[] = { { 1, read_node }, { 2, read_library }, { 0, NULL } };
    EL_TRY(el_proto_file_want_bytes(file, part, "the graph"));
    struct reader reader = { .file = file, .graph = graph, .reach = reach };
    struct el_status *status = read_fields(&reader, part, fields);
    el_buf_free(&reader.name);
    return status;
}

/* ---- what a run of a signature comes by ---- */

struct el_status *el_graph_find_state(struct el_meta_graph *graph, struct el_reach *reach)
{
    size_t count = 0;
    for (uint32_t i = 0; i < graph->signatures.count; i++)
        count += graph->signatures.list[i].output_count;
    uint64_t *from = calloc(count + 1, sizeof *from);
    if (from == NULL)
        return el_status_no_memory();
    count = 0;
    for (uint32_t i = 0; i < graph->signatures.count; i++) {
        const struct el_signature *signature = &graph->signatures.list[i];
        /* Initialization is run once, when the model is opened. */
        if (strcmp(signature->name, "__saved_model_init_op") == 0)
            continue;
        for (uint32_t o = 0; o < signature->output_count; o++) {
            const char *name = signature->outputs[o].tensor_name;
            from[count++] = el_reach_node(name, strlen(name));
        }
    }
    const char *op = NULL;
    struct el_status *status = el_reach_find(reach, from, count, &op);
    free(from);
    if (status == NULL && op != NULL) {
        graph->state_op = strdup(op);
        status = graph->state_op == NULL ? el_status_no_memory() : NULL;
    }
    return status;
}
