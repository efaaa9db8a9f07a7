/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/inspect_view.h"

#include "cmd/everlit_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MOST_TAGS 16
#define ASSETS "assets/"
#define INIT_OP "__saved_model_init_op" /* TensorFlow's own, which nobody can ask */

struct el_status *el_inspect_graphs(const struct el_inspected *inspected, const struct el_meta_graph **first,
                                    uint32_t *count)
{
    *first = inspected->model->graphs;
    *count = inspected->model->graph_count;
    if (inspected->tags == NULL)
        return NULL;
    char *copy = strdup(inspected->tags), *rest = copy;
    if (copy == NULL)
        return el_status_no_memory();
    const char *tags[MOST_TAGS];
    uint32_t tag_count = 0;
    for (char *tag = strsep(&rest, ","); tag != NULL && tag_count < MOST_TAGS; tag = strsep(&rest, ","))
        tags[tag_count++] = tag;
    struct el_status *status = el_saved_model_find(inspected->model, inspected->path, tags, tag_count, first);
    *count = 1;
    free(copy);
    return status;
}

static void put_heading(const struct el_cli_style *style, const char *what, const char *name, struct el_buf *out)
{
    el_buf_printf(out, "\n%s%s ", el_cli_colour(style, EL_CLI_BOLD), what);
    el_cli_clean(name, out);
    el_buf_text(out, el_cli_colour(style, EL_CLI_PLAIN));
}

static size_t longest_name(const struct el_signature *signature)
{
    size_t longest = 0;
    for (uint32_t i = 0; i < signature->input_count + signature->output_count; i++) {
        const struct el_tensor_info *info = i < signature->input_count
                                                ? &signature->inputs[i]
                                                : &signature->outputs[i - signature->input_count];
        const size_t length = strlen(info->name);
        if (length > longest)
            longest = length;
    }
    return longest < 40 ? longest : 40;
}

static void put_tensors(const char *what, const struct el_tensor_info *list, uint32_t count, size_t width,
                        struct el_buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        char shape[400];
        const size_t length = strlen(list[i].name);
        el_buf_printf(out, "  %-6s  ", what);
        el_cli_clean(list[i].name, out);
        el_buf_printf(out, "%*s  %-10s  %s\n", length < width ? (int)(width - length) : 0, "",
                      el_dtype_short_name(list[i].dtype), el_shape_print(&list[i].shape, shape, sizeof shape));
    }
}

static void put_signature(const struct el_signature *signature, const struct el_cli_style *style, struct el_buf *out)
{
    put_heading(style, "signature", signature->name, out);
    if (*signature->method_name != '\0') {
        el_buf_text(out, "  (");
        el_cli_clean(signature->method_name, out);
        el_buf_byte(out, ')');
    }
    el_buf_byte(out, '\n');
    const size_t width = longest_name(signature);
    put_tensors("input", signature->inputs, signature->input_count, width, out);
    put_tensors("output", signature->outputs, signature->output_count, width, out);
}

static void put_graph(const struct el_meta_graph *graph, const struct el_cli_style *style, struct el_buf *out)
{
    el_buf_text(out, "  tags ");
    for (uint32_t i = 0; i < graph->tag_count; i++) {
        el_buf_text(out, i == 0 ? "" : ",");
        el_cli_clean(graph->tags[i], out);
    }
    el_buf_text(out, graph->tag_count == 0 ? "(none)" : "");
    if (*graph->tensorflow_version != '\0') {
        el_buf_text(out, "; written by TensorFlow ");
        el_cli_clean(graph->tensorflow_version, out);
    }
    el_buf_printf(out, "\n  %" PRIu64 " nodes in the graph and %" PRIu64 " functions, %" PRIu32 " kinds of ops; %s\n",
                  graph->node_count, graph->function_count, graph->op_count,
                  graph->has_variables ? "with variables" : "no variables");
    if (graph->state_op != NULL) {
        el_buf_text(out, "  A run changes what later ones see (");
        el_cli_clean(graph->state_op, out);
        el_buf_text(out, "): it is loaded twice, once for the probe and once to serve.\n");
    }
    uint32_t shown = 0;
    for (uint32_t i = 0; i < graph->signatures.count; i++) {
        if (strcmp(graph->signatures.list[i].name, INIT_OP) == 0)
            continue;
        put_signature(&graph->signatures.list[i], style, out);
        shown++;
    }
    if (shown == 0)
        el_buf_text(out, "\n  No signature: it can be asked nothing.\n");
}

static void put_files(const struct el_tree *tree, const struct el_cli_style *style, struct el_buf *out)
{
    char size[16];
    el_buf_printf(out, "\n%sfiles%s\n", el_cli_colour(style, EL_CLI_BOLD), el_cli_colour(style, EL_CLI_PLAIN));
    for (size_t i = 0; i < tree->count; i++) {
        const struct el_tree_entry *entry = &tree->list[i];
        if (entry->kind == EL_TREE_DIRECTORY)
            continue;
        el_buf_printf(out, "  %6s  ", el_cli_bytes((double)entry->size, size));
        el_cli_clean(entry->name, out);
        if (entry->kind == EL_TREE_LINK) {
            el_buf_text(out, " -> ");
            el_cli_clean(entry->target, out);
        }
        el_buf_text(out, strncmp(entry->name, ASSETS, sizeof ASSETS - 1) == 0 ? "  (asset)\n" : "\n");
    }
}

/* What a server would say of it. */
static void put_verdict(const struct el_version_check *check, const struct el_cli_style *style, struct el_buf *out)
{
    if (check->result == EL_VERSION_WHOLE)
        return;
    el_buf_printf(out, "\n%s%s%s\n", el_cli_colour(style, EL_CLI_RED),
                  check->result == EL_VERSION_NOT_YET ? "not whole" : "not in order",
                  el_cli_colour(style, EL_CLI_PLAIN));
    el_cli_wrap(check->text, 2, style, out);
}

struct el_status *el_inspect_text(const struct el_inspected *inspected, const struct el_cli_style *style,
                                  struct el_buf *out)
{
    const struct el_meta_graph *graphs;
    uint32_t count;
    EL_TRY(el_inspect_graphs(inspected, &graphs, &count));
    char size[16];
    el_buf_text(out, el_cli_colour(style, EL_CLI_BOLD));
    el_cli_clean(inspected->path, out);
    el_buf_text(out, el_cli_colour(style, EL_CLI_PLAIN));
    if (inspected->others > 0)
        el_buf_printf(out, "  (the highest of %zu versions)", inspected->others + 1);
    el_buf_printf(out, "\n  %s, %s in %" PRIu64 " files\n", el_model_format_name(inspected->format),
                  el_cli_bytes((double)inspected->check->bytes, size), inspected->check->file_count);
    for (uint32_t i = 0; i < count; i++) {
        if (count > 1)
            el_buf_printf(out, "\nmeta graph %" PRIu32 " of %" PRIu32 "\n", i + 1, count);
        put_graph(&graphs[i], style, out);
    }
    put_files(inspected->tree, style, out);
    put_verdict(inspected->check, style, out);
    return el_buf_status(out);
}
