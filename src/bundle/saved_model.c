/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages on the way (tensorflow/core/protobuf/saved_model.proto,
 * meta_graph.proto; framework/graph.proto, function.proto, node_def.proto):
 *
 *     SavedModel    schema_version=1 meta_graphs=2
 *     MetaGraphDef  meta_info_def=1 {tags=4 tensorflow_version=5} graph_def=2 saver_def=3 {restore_op_name=3}
 *                   collection_def=4 {assets of TensorFlow 1} signature_def=5 asset_file_def=6 {filename=2}
 *
 * What is in graph_def is read by graph.c.
 *
 * Each level is a function; none calls itself, so that a hostile file cannot
 * make the stack grow.
 */
#include "bundle/saved_model.h"

#include "bundle/graph.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TAGS 64u
#define MAX_ASSETS 65536u
#define MAX_SIGNATURE_BYTES ((size_t)64 << 20) /* all signatures of a meta graph */

static void free_texts(char **texts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free(texts[i]);
    free(texts);
}

static void free_graph(struct el_meta_graph *graph)
{
    free_texts(graph->tags, graph->tag_count);
    free_texts(graph->assets, graph->asset_count);
    free_texts(graph->asset_tensors, graph->asset_tensor_count);
    free_texts(graph->data_files, graph->data_file_count);
    free(graph->tensorflow_version);
    el_signatures_free(&graph->signatures);
    for (uint32_t i = 0; i < graph->op_count; i++)
        free(graph->ops[i].op);
    free(graph->ops);
    free(graph->state_op);
}

void el_saved_model_free(struct el_saved_model *model)
{
    for (uint32_t i = 0; i < model->graph_count; i++)
        free_graph(&model->graphs[i]);
    free(model->graphs);
    *model = (struct el_saved_model){ 0 };
}

/* Room for one more element, in steps that double. */
static void *grow(void *list, uint32_t count, size_t element)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return list;
    return reallocarray(list, count == 0 ? 1 : 2 * (size_t)count, element);
}

static struct el_status *add_text(struct el_proto_file *file, const struct el_proto_part *part, const char *what,
                                  uint32_t limit, char ***texts, uint32_t *count)
{
    if (*count == limit)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %llu: more than %u times %s", file->name,
                             (unsigned long long)part->span.at, limit, what);
    char **grown = grow(*texts, *count, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    *texts = grown;
    char *text = NULL;
    EL_TRY(el_proto_file_text(file, part, what, &text));
    grown[(*count)++] = text;
    return NULL;
}

/* ---- the meta graph ---- */

static struct el_status *read_meta_info(struct el_proto_file *file, const struct el_proto_part *part,
                                        struct el_meta_graph *graph)
{
    EL_TRY(el_proto_file_want_bytes(file, part, "meta_info_def"));
    struct el_proto_span info = part->span;
    struct el_proto_part inner;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_file_next(file, &info, &inner, &status)) {
        if (inner.number == 4)
            status = add_text(file, &inner, "a tag", MAX_TAGS, &graph->tags, &graph->tag_count);
        else if (inner.number == 5)
            status = el_proto_file_text(file, &inner, "the version of TensorFlow", &graph->tensorflow_version);
    }
    return status;
}

static struct el_status *read_saver(struct el_proto_file *file, const struct el_proto_part *part, bool *restores)
{
    EL_TRY(el_proto_file_want_bytes(file, part, "saver_def"));
    struct el_proto_span saver = part->span;
    struct el_proto_part inner;
    struct el_status *status = NULL;
    while (el_proto_file_next(file, &saver, &inner, &status))
        if (inner.number == 3 && inner.span.end > inner.span.at)
            *restores = true;
    return status;
}

static struct el_status *read_asset(struct el_proto_file *file, const struct el_proto_part *part,
                                    struct el_meta_graph *graph)
{
    EL_TRY(el_proto_file_want_bytes(file, part, "asset_file_def"));
    struct el_proto_span asset = part->span;
    struct el_proto_part inner;
    struct el_status *status = NULL;
    struct el_proto_part name = { .number = 1, .wire = EL_PROTO_BYTES }, field;
    while (status == NULL && el_proto_file_next(file, &asset, &inner, &status)) {
        struct el_proto_span info = inner.span;
        if (inner.number == 2)
            status = add_text(file, &inner, "the file name of an asset", MAX_ASSETS, &graph->assets,
                              &graph->asset_count);
        while (status == NULL && inner.number == 1 && el_proto_file_next(file, &info, &field, &status))
            if (field.number == 1 && field.wire == EL_PROTO_BYTES)
                name = field;
    }
    while (status == NULL && graph->asset_tensor_count < graph->asset_count)
        status = add_text(file, &name, "the tensor of an asset", MAX_ASSETS, &graph->asset_tensors,
                          &graph->asset_tensor_count);
    return status;
}

/* AnyList: value = 1, an Any { value = 2 } that holds an AssetFileDef. */
static struct el_status *read_asset_list(struct el_proto_file *file, struct el_proto_span list,
                                         struct el_meta_graph *graph)
{
    struct el_proto_part any, inner;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_file_next(file, &list, &any, &status)) {
        if (any.number != 1)
            continue;
        EL_TRY(el_proto_file_want_bytes(file, &any, "an asset of collection_def"));
        while (status == NULL && el_proto_file_next(file, &any.span, &inner, &status))
            if (inner.number == 2)
                status = read_asset(file, &inner, graph);
    }
    return status;
}

/* What TensorFlow 1 exports: an entry { key = 1, value = 2: CollectionDef { any_list = 5 } } with the assets instead of asset_file_def. */
static struct el_status *read_collection(struct el_proto_file *file, const struct el_proto_part *part,
                                         struct el_meta_graph *graph)
{
    EL_TRY(el_proto_file_want_bytes(file, part, "collection_def"));
    struct el_proto_span entry = part->span, value = { 0 };
    struct el_proto_part inner;
    struct el_status *status = NULL;
    bool of_assets = false;
    while (status == NULL && el_proto_file_next(file, &entry, &inner, &status)) {
        if (inner.number == 1) {
            char *key = NULL;
            EL_TRY(el_proto_file_text(file, &inner, "the name of a collection", &key));
            of_assets = strcmp(key, "saved_model_assets") == 0;
            free(key);
        } else if (inner.number == 2) {
            EL_TRY(el_proto_file_want_bytes(file, &inner, "collection_def"));
            value = inner.span;
        }
    }
    while (status == NULL && of_assets && el_proto_file_next(file, &value, &inner, &status)) {
        if (inner.number != 5)
            continue;
        EL_TRY(el_proto_file_want_bytes(file, &inner, "any_list"));
        status = read_asset_list(file, inner.span, graph);
    }
    return status;
}

/* An entry of signature_def has the form of one in a SignatureDefMap: they are collected as such. */
static struct el_status *collect_signature(struct el_proto_file *file, const struct el_proto_part *part,
                                           struct el_buf *map)
{
    EL_TRY(el_proto_file_want_bytes(file, part, "a signature"));
    el_proto_put_varint(map, 1 << 3 | EL_PROTO_BYTES);
    el_proto_put_varint(map, part->span.end - part->span.at);
    if (map->size > MAX_SIGNATURE_BYTES)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %llu: the signatures have more than %zu bytes",
                             file->name, (unsigned long long)part->start, MAX_SIGNATURE_BYTES);
    return el_proto_file_read(file, part->span, MAX_SIGNATURE_BYTES, map);
}

static bool holds_variable(const struct el_meta_graph *graph)
{
    static const char *const ops[] = { "VarHandleOp", "Variable", "VariableV2" };
    for (uint32_t i = 0; i < graph->op_count; i++)
        for (size_t j = 0; j < sizeof ops / sizeof ops[0]; j++)
            if (strcmp(graph->ops[i].op, ops[j]) == 0)
                return true;
    return false;
}

static struct el_status *read_meta_graph(struct el_proto_file *file, const struct el_proto_part *part,
                                         struct el_meta_graph *graph)
{
    struct el_proto_span span = part->span;
    struct el_buf signatures = { 0 };
    struct el_reach reach = { 0 };
    struct el_proto_part inner;
    struct el_status *status = NULL;
    bool restores = false;

    graph->offset = span.at;
    graph->size = span.end - span.at;
    graph->tensorflow_version = calloc(1, 1);
    if (graph->tensorflow_version == NULL)
        return el_status_no_memory();
    while (status == NULL && el_proto_file_next(file, &span, &inner, &status)) {
        switch (inner.number) {
        case 1:
            status = read_meta_info(file, &inner, graph);
            break;
        case 2:
            status = el_graph_read(file, &inner, graph, &reach);
            break;
        case 3:
            status = read_saver(file, &inner, &restores);
            break;
        case 4:
            status = read_collection(file, &inner, graph);
            break;
        case 5:
            status = collect_signature(file, &inner, &signatures);
            break;
        case 6:
            status = read_asset(file, &inner, graph);
            break;
        default:
            break;
        }
    }
    graph->has_variables = restores && holds_variable(graph);
    if (status == NULL)
        status = el_buf_status(&signatures);
    if (status == NULL)
        status = el_status_prefix(el_signatures_decode(signatures.data, signatures.size, &graph->signatures),
                                  "%s: the signatures of meta graph at offset %llu", file->name,
                                  (unsigned long long)graph->offset);
    if (status == NULL)
        status = el_graph_find_state(graph, &reach);
    el_reach_free(&reach);
    el_buf_free(&signatures);
    return status;
}

static struct el_status *read_model(struct el_proto_file *file, struct el_saved_model *model)
{
    struct el_proto_span span = { 0, file->size };
    struct el_proto_part part;
    struct el_status *status = NULL;
    model->file_size = file->size;
    while (status == NULL && el_proto_file_next(file, &span, &part, &status)) {
        if (part.number == 1)
            model->schema_version = part.value;
        if (part.number != 2)
            continue;
        EL_TRY(el_proto_file_want_bytes(file, &part, "a meta graph"));
        if (model->graph_count == EL_MAX_META_GRAPHS)
            return el_status_new(EL_INVALID_ARGUMENT, "%s: offset %llu: more than %d meta graphs", file->name,
                                 (unsigned long long)part.start, EL_MAX_META_GRAPHS);
        struct el_meta_graph *grown = grow(model->graphs, model->graph_count, sizeof *grown);
        if (grown == NULL)
            return el_status_no_memory();
        model->graphs = grown;
        grown[model->graph_count] = (struct el_meta_graph){ 0 };
        status = read_meta_graph(file, &part, &grown[model->graph_count++]);
    }
    EL_TRY(status);
    if (file->size == 0)
        return el_status_new(EL_DATA_LOSS, "%s: is empty", file->name);
    if (model->graph_count == 0)
        return el_status_new(EL_DATA_LOSS, "%s: has no meta graph: it is cut off, or no SavedModel", file->name);
    return NULL;
}

struct el_status *el_saved_model_read_fd(int fd, const char *name, struct el_saved_model *model)
{
    struct el_proto_file file;
    EL_TRY(el_proto_file_open(fd, name, &file));
    struct el_saved_model made = { 0 };
    struct el_status *status = read_model(&file, &made);
    el_proto_file_close(&file);
    if (status != NULL)
        el_saved_model_free(&made);
    else
        *model = made;
    return status;
}

/* ---- finding ---- */

static bool has_tag(const struct el_meta_graph *graph, const char *tag)
{
    for (uint32_t i = 0; i < graph->tag_count; i++)
        if (strcmp(graph->tags[i], tag) == 0)
            return true;
    return false;
}

/* Sets are compared: a tag that stands twice counts once. */
static bool has_exactly(const struct el_meta_graph *graph, const char *const *tags, uint32_t tag_count)
{
    for (uint32_t i = 0; i < tag_count; i++)
        if (!has_tag(graph, tags[i]))
            return false;
    for (uint32_t i = 0; i < graph->tag_count; i++) {
        uint32_t j = 0;
        while (j < tag_count && strcmp(graph->tags[i], tags[j]) != 0)
            j++;
        if (j == tag_count)
            return false;
    }
    return true;
}

static void print_tags(struct el_buf *buf, const char *const *tags, uint32_t count, const char *between)
{
    el_buf_text(buf, "{");
    for (uint32_t i = 0; i < count; i++)
        el_buf_printf(buf, "%s %.100s", i == 0 ? "" : between, tags[i]);
    el_buf_text(buf, " }");
}

#define NO_SUCH_TAGS "Could not find meta graph def matching supplied tags: "

size_t el_saved_model_said(const char *text)
{
    return strncmp(text, NO_SUCH_TAGS, sizeof NO_SUCH_TAGS - 1) == 0 ? strcspn(text, "\n") : 0;
}

struct el_status *el_saved_model_find(const struct el_saved_model *model, const char *path, const char *const *tags,
                                      uint32_t tag_count, const struct el_meta_graph **graph)
{
    for (uint32_t i = 0; i < model->graph_count; i++) {
        if (has_exactly(&model->graphs[i], tags, tag_count)) {
            *graph = &model->graphs[i];
            return NULL;
        }
    }
    struct el_buf text = { 0 };
    print_tags(&text, tags, tag_count, "");
    el_buf_printf(&text,
                  ". To inspect available tag-sets in the SavedModel, please use the SavedModel CLI: "
                  "`saved_model_cli`\n%s/saved_model.pb: there are",
                  path);
    for (uint32_t i = 0; i < model->graph_count; i++) {
        el_buf_byte(&text, ' ');
        print_tags(&text, (const char *const *)model->graphs[i].tags, model->graphs[i].tag_count, ",");
    }
    el_buf_byte(&text, 0);
    struct el_status *status = el_buf_status(&text);
    if (status == NULL)
        status = el_status_new(EL_NOT_FOUND, NO_SUCH_TAGS "%s", (const char *)text.data);
    el_buf_free(&text);
    return status;
}
