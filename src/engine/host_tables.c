/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table's content comes from an op that nothing which a signature asks for leads to: the initializers, in the graph itself
 * (TensorFlow 1) or in a function that is called with the table's handle (TensorFlow 2). They are looked for among all nodes.
 */
#include "engine/host_part.h"
#include "engine/host_table.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FILE ((size_t)256 << 20)

static bool is_table(const struct host_node *node)
{
    return node->role == HOST_ROLE_OP &&
           (host_text_is(node->def.op, "HashTableV2") || host_text_is(node->def.op, "HashTable"));
}

static bool fills_from_text(const struct host_node *node)
{
    return host_text_is(node->def.op, "InitializeTableFromTextFileV2") ||
           host_text_is(node->def.op, "InitializeTableFromTextFile");
}

static bool fills_from_tensors(const struct host_node *node)
{
    return host_text_is(node->def.op, "LookupTableImportV2") || host_text_is(node->def.op, "LookupTableImport") ||
           host_text_is(node->def.op, "InitializeTableV2") || host_text_is(node->def.op, "InitializeTable");
}

static bool is_call(const struct host_node *node)
{
    return host_text_is(node->def.op, "PartitionedCall") || host_text_is(node->def.op, "StatefulPartitionedCall");
}

/* Whether a call in the graph itself is given a table. */
static bool is_given_table(const struct host_graph *graph, const struct host_node *node)
{
    struct el_proto at = node->def.body;
    struct host_input input;
    while (host_def_next_input(&at, &input)) {
        struct host_ref ref;
        struct el_status *status = host_scope_find(graph, node->scope, &input, &ref);
        if (status == NULL && is_table(&graph->nodes[ref.node]))
            return true;
        el_status_free(status);
    }
    return false;
}

/* Walks to all that fills a table; the graph's order stays as it was. */
static struct el_status *walk_initializers(struct host_graph *graph)
{
    const uint32_t order_count = graph->order_count, first_scope = graph->scope_count;
    struct el_status *status = NULL;
    /* The list grows while calls are opened. */
    for (uint32_t i = graph->feed_count; status == NULL && i < graph->node_count; i++) {
        const struct host_node *node = &graph->nodes[i];
        const bool fills = node->role == HOST_ROLE_OP && (fills_from_text(node) || fills_from_tensors(node));
        const bool calls = node->role == HOST_ROLE_OP && is_call(node) &&
                           (node->scope >= first_scope || (node->scope == 0 && is_given_table(graph, node)));
        if (fills || calls)
            status = host_graph_walk(graph, i);
    }
    graph->order_count = order_count;
    return status;
}

/* ---- the content ---- */

static struct el_status *read_constant(const struct host_graph *graph, struct host_ref ref, struct host_value *value)
{
    const struct host_node *node = &graph->nodes[ref.node];
    struct el_span tensor;
    if (!host_text_is(node->def.op, "Const") || !host_attr_tensor(&node->def, "value", &tensor))
        return el_status_new(EL_UNIMPLEMENTED,
                             "a table that is filled by the op %.*s: that is not known beside OpenVINO",
                             (int)node->def.op.size, node->def.op.data);
    return host_value_from_proto(tensor.data, tensor.size, "a table's content", value);
}

/* TensorFlow 2 keeps an asset's path in a variable, which is assigned before the tables are filled. */
static uint32_t path_of(const struct host_graph *graph, uint32_t number)
{
    const struct host_node *read = &graph->nodes[number];
    if (!host_text_is(read->def.op, "ReadVariableOp") || read->input_count == 0)
        return number;
    for (uint32_t i = graph->feed_count; i < graph->node_count; i++) {
        const struct host_node *node = &graph->nodes[i];
        if (node->role == HOST_ROLE_OP && host_text_is(node->def.op, "AssignVariableOp") && node->input_count == 2 &&
            node->inputs[0].node == read->inputs[0].node)
            return node->inputs[1].node;
    }
    return number;
}

/* The file in assets/ whose path the node is. */
static const char *find_asset(const struct host_graph *graph, uint32_t node, const struct host_assets *assets)
{
    for (uint32_t i = 0; assets->directory != NULL && i < assets->count; i++) {
        const struct host_input named = host_input_parse(el_span_text(assets->tensors[i]));
        if (graph->nodes[node].scope == 0 && el_span_equal(named.node, graph->nodes[node].def.name))
            return assets->files[i];
    }
    return NULL;
}

/* A name that leads out of the directory is none of a version's: bundle/completeness.c has refused it before. */
static struct el_status *read_text(const struct host_graph *graph, const struct host_node *node,
                                   const struct host_node *handle, const struct host_assets *assets,
                                   struct host_table *table)
{
    const char *name = node->input_count < 2 ? NULL : find_asset(graph, path_of(graph, node->inputs[1].node), assets);
    if (name == NULL || name[0] == '/' || strstr(name, "..") != NULL)
        return el_status_new(EL_UNIMPLEMENTED, "a table that is filled from a file which is no asset");
    const struct el_span delimiter = host_attr_text(&node->def, "delimiter", "\t");
    const struct host_text_table how = {
        .key_type = host_attr_type(&handle->def, "key_dtype", EL_DTYPE_INVALID),
        .value_type = host_attr_type(&handle->def, "value_dtype", EL_DTYPE_INVALID),
        .key_index = host_attr_int(&node->def, "key_index", -2),
        .value_index = host_attr_int(&node->def, "value_index", -1),
        .most = host_attr_int(&node->def, "vocab_size", -1),
        .skip = host_attr_int(&node->def, "offset", 0),
        .delimiter = delimiter.size > 0 ? delimiter.data[0] : '\t',
    };
    struct el_buf path = { 0 }, bytes = { 0 };
    el_buf_printf(&path, "%s/%s", assets->directory, name);
    char *text = el_buf_take_text(&path);
    struct el_status *status = text == NULL ? el_status_no_memory() : el_file_read(text, MAX_FILE, &bytes);
    if (status == NULL)
        status = host_table_read_text(text, bytes.data, bytes.size, &how, table);
    free(text);
    el_buf_free(&bytes);
    return status;
}

static struct el_status *fill(const struct host_graph *graph, const struct host_node *node,
                              const struct host_node *handle, const struct host_assets *assets,
                              struct host_table *table)
{
    if (fills_from_text(node))
        return read_text(graph, node, handle, assets, table);
    struct host_value keys = { 0 }, values = { 0 };
    if (node->input_count < 3)
        return el_status_new(EL_INVALID_ARGUMENT, "a table is filled from %u inputs", node->input_count);
    struct el_status *status = read_constant(graph, node->inputs[1], &keys);
    if (status == NULL)
        status = read_constant(graph, node->inputs[2], &values);
    if (status == NULL)
        status = host_table_make(&keys, &values, table);
    host_value_free(&keys);
    host_value_free(&values);
    return status;
}

static struct el_status *make_table(struct host_plan *plan, uint32_t handle, const struct host_assets *assets)
{
    const struct host_graph *graph = &plan->graph;
    for (uint32_t i = graph->feed_count; i < graph->node_count; i++) {
        const struct host_node *node = &graph->nodes[i];
        if (node->role != HOST_ROLE_OP || node->input_count == 0 || node->inputs[0].node != handle ||
            !(fills_from_text(node) || fills_from_tensors(node)))
            continue;
        struct host_table *table = &plan->tables[plan->table_count];
        plan->table_nodes[plan->table_count++] = handle;
        return el_status_prefix(fill(graph, node, &graph->nodes[handle], assets, table), "node \"%.*s\"",
                                (int)node->def.name.size, node->def.name.data);
    }
    return NULL; /* who looks up in it is told */
}

struct el_status *host_tables_make(struct host_plan *plan, const struct host_assets *assets)
{
    struct host_graph *graph = &plan->graph;
    uint32_t count = 0;
    for (uint32_t i = 0; i < graph->order_count; i++)
        count += is_table(&graph->nodes[graph->order[i]]);
    if (count == 0)
        return NULL;
    plan->tables = calloc(count, sizeof *plan->tables);
    plan->table_nodes = calloc(count, sizeof *plan->table_nodes);
    if (plan->tables == NULL || plan->table_nodes == NULL)
        return el_status_no_memory();
    EL_TRY(walk_initializers(graph));
    for (uint32_t i = 0; i < graph->order_count; i++)
        if (is_table(&graph->nodes[graph->order[i]]))
            EL_TRY(make_table(plan, graph->order[i], assets));
    return NULL;
}

void host_tables_free(struct host_plan *plan)
{
    for (uint32_t i = 0; i < plan->table_count; i++)
        host_table_free(&plan->tables[i]);
    free(plan->tables);
    free(plan->table_nodes);
}

struct el_status *host_tables_find(const struct host_plan *plan, uint32_t node, const struct host_table **table)
{
    for (uint32_t i = 0; i < plan->table_count; i++) {
        if (plan->table_nodes[i] == node) {
            *table = &plan->tables[i];
            return NULL;
        }
    }
    return el_status_new(EL_UNIMPLEMENTED, "a lookup in a table that no op known here fills");
}
