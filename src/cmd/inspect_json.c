/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/inspect_view.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/*
 * jansson takes UTF-8 only, and a model's names may be any bytes: what is none is replaced, byte by byte. A NULL that
 * comes of missing memory is carried up by jansson's own functions and found at the end.
 */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    if (json != NULL)
        return json;
    char *copy = strdup(text);
    if (copy == NULL)
        return NULL;
    for (char *at = copy; *at != '\0'; at++) {
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    }
    json = json_string(copy);
    free(copy);
    return json;
}

static json_t *texts_json(char *const *texts, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++) {
        if (json_array_append_new(list, text_json(texts[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *shape_json(const struct el_shape *shape)
{
    if (shape->rank < 0)
        return json_null();
    json_t *dims = json_array();
    for (int32_t i = 0; i < shape->rank; i++) {
        if (json_array_append_new(dims, json_integer(shape->dims[i])) != 0) {
            json_decref(dims);
            return NULL;
        }
    }
    return dims;
}

static json_t *tensors_json(const struct el_tensor_info *list, uint32_t count)
{
    json_t *tensors = json_array();
    for (uint32_t i = 0; i < count; i++) {
        json_t *tensor = json_pack("{s:o, s:o, s:s, s:o}", "name", text_json(list[i].name), "tensor",
                                   text_json(list[i].tensor_name), "dtype", el_dtype_name(list[i].dtype), "shape",
                                   shape_json(&list[i].shape));
        if (json_array_append_new(tensors, tensor) != 0) {
            json_decref(tensors);
            return NULL;
        }
    }
    return tensors;
}

static json_t *signatures_json(const struct el_signatures *signatures)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < signatures->count; i++) {
        const struct el_signature *one = &signatures->list[i];
        json_t *signature = json_pack(
            "{s:o, s:o, s:o, s:o}", "name", text_json(one->name), "method_name", text_json(one->method_name), "inputs",
            tensors_json(one->inputs, one->input_count), "outputs", tensors_json(one->outputs, one->output_count));
        if (json_array_append_new(list, signature) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *ops_json(const struct el_meta_graph *graph)
{
    json_t *ops = json_object();
    for (uint32_t i = 0; i < graph->op_count; i++) {
        if (json_object_set_new(ops, graph->ops[i].op, json_integer((json_int_t)graph->ops[i].count)) != 0 &&
            json_object_set_new(ops, "?", json_integer((json_int_t)graph->ops[i].count)) != 0) {
            json_decref(ops);
            return NULL;
        }
    }
    return ops;
}

static json_t *graph_json(const struct el_meta_graph *graph)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:b, s:o, s:I, s:I, s:o}", "tags", texts_json(graph->tags, graph->tag_count),
        "tensorflow_version", text_json(graph->tensorflow_version), "signatures", signatures_json(&graph->signatures),
        "assets", texts_json(graph->assets, graph->asset_count), "has_variables", (int)graph->has_variables, "state_op",
        graph->state_op != NULL ? text_json(graph->state_op) : json_null(), "nodes", (json_int_t)graph->node_count,
        "functions", (json_int_t)graph->function_count, "ops", ops_json(graph));
}

static json_t *files_json(const struct el_tree *tree)
{
    json_t *list = json_array();
    for (size_t i = 0; i < tree->count; i++) {
        const struct el_tree_entry *entry = &tree->list[i];
        if (entry->kind == EL_TREE_DIRECTORY)
            continue;
        json_t *file = json_pack("{s:o, s:I}", "path", text_json(entry->name), "size_bytes", (json_int_t)entry->size);
        if (json_array_append_new(list, file) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

struct el_status *el_inspect_json(const struct el_inspected *inspected, struct el_buf *out)
{
    const struct el_meta_graph *graphs;
    uint32_t count;
    EL_TRY(el_inspect_graphs(inspected, &graphs, &count));
    json_t *list = json_array();
    for (uint32_t i = 0; i < count && list != NULL; i++) {
        if (json_array_append_new(list, graph_json(&graphs[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    const struct el_version_check *check = inspected->check;
    json_t *whole = json_pack("{s:o, s:s, s:b, s:o, s:I, s:I, s:o, s:o}", "path", text_json(inspected->path), "format",
                              el_model_format_name(inspected->format), "whole", check->result == EL_VERSION_WHOLE,
                              "wrong", text_json(check->text != NULL ? check->text : ""), "schema_version",
                              (json_int_t)inspected->model->schema_version, "size_bytes", (json_int_t)check->bytes,
                              "meta_graphs", list, "files", files_json(inspected->tree));
    char *text = whole == NULL ? NULL : json_dumps(whole, JSON_INDENT(2));
    json_decref(whole);
    if (text == NULL)
        return el_status_no_memory();
    el_buf_text(out, text);
    el_buf_byte(out, '\n');
    free(text);
    return el_buf_status(out);
}
