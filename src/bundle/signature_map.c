/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/signature_map.h"

#include "bundle/proto.h"

#include <stdlib.h>
#include <string.h>

/* Appends inner as the message of that field, and ends it. */
static void put_message(struct el_buf *buf, uint32_t number, struct el_buf *inner)
{
    el_proto_put_bytes(buf, number, inner->data, inner->size);
    if (inner->failed)
        buf->failed = true;
    el_buf_free(inner);
}

static void put_text(struct el_buf *buf, uint32_t number, const char *text)
{
    el_proto_put_bytes(buf, number, text, strlen(text));
}

/* TensorShapeProto: dim = 2 { size = 1 }, unknown_rank = 3. */
static void put_shape(struct el_buf *buf, const struct el_shape *shape)
{
    if (shape->rank < 0)
        el_proto_put_number(buf, 3, 1);
    for (int32_t i = 0; i < shape->rank; i++) {
        struct el_buf dim = { 0 };
        el_proto_put_number(&dim, 1, (uint64_t)shape->dims[i]);
        put_message(buf, 2, &dim);
    }
}

void el_signature_map_tensor(struct el_buf *def, enum el_signature_side side, const char *key, const char *tensor_name,
                             enum el_dtype dtype, const struct el_shape *shape)
{
    struct el_buf dims = { 0 }, info = { 0 }, entry = { 0 };
    put_shape(&dims, shape);
    put_text(&info, 1, tensor_name);
    el_proto_put_number(&info, 2, (uint64_t)dtype);
    put_message(&info, 3, &dims);
    put_text(&entry, 1, key);
    put_message(&entry, 2, &info);
    put_message(def, (uint32_t)side, &entry);
}

void el_signature_map_add(struct el_buf *map, const char *name, struct el_buf *def)
{
    struct el_buf entry = { 0 };
    put_text(def, 3, "tensorflow/serving/predict");
    put_text(&entry, 1, name);
    put_message(&entry, 2, def);
    put_message(map, 1, &entry);
}

static struct el_status *fill(struct el_buf *map, struct el_saved_model *model)
{
    EL_TRY(el_buf_status(map));
    model->graphs = calloc(1, sizeof *model->graphs);
    if (model->graphs == NULL)
        return el_status_no_memory();
    model->graph_count = 1;
    struct el_meta_graph *graph = &model->graphs[0];
    graph->tags = calloc(1, sizeof *graph->tags);
    graph->tensorflow_version = calloc(1, 1);
    if (graph->tags == NULL || graph->tensorflow_version == NULL)
        return el_status_no_memory();
    graph->tags[0] = strdup("serve");
    if (graph->tags[0] == NULL)
        return el_status_no_memory();
    graph->tag_count = 1;
    return el_signatures_decode(map->data, map->size, &graph->signatures);
}

struct el_status *el_signature_map_model(struct el_buf *map, const char *name, uint64_t file_size,
                                         struct el_saved_model *model)
{
    struct el_saved_model made = { .file_size = file_size };
    struct el_status *status = el_status_prefix(fill(map, &made), "%s: its signatures", name);
    el_buf_free(map);
    if (status != NULL)
        el_saved_model_free(&made);
    else
        *model = made;
    return status;
}
