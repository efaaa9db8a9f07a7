/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SavedModel is written that holds one meta graph: first its small parts,
 * rewritten (meta_info_def with the tag "serve", the signatures), then all other
 * fields of the original as they are. Their sizes are summed up in a first
 * walk, because the length of the meta graph stands before its content.
 */
#include "bundle/rename_signature.h"

#include "bundle/cut_inputs.h"
#include "bundle/proto_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PART ((size_t)64 << 20) /* meta_info_def, a signature */
#define DEFAULT_NAME "serving_default"

enum { META_INFO = 1, GRAPH = 2, SIGNATURE = 5 };

/* meta_info_def with the tag "serve" and no other. */
static struct el_status *rewrite_meta_info(struct el_proto_file *file, const struct el_proto_part *part,
                                           struct el_buf *out)
{
    EL_TRY(el_proto_file_want_bytes(file, part, "meta_info_def"));
    struct el_buf info = { 0 };
    struct el_proto_span span = part->span;
    struct el_proto_part inner;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_file_next(file, &span, &inner, &status))
        if (inner.number != 4)
            status = el_proto_file_read(file, (struct el_proto_span){ inner.start, span.at }, MAX_PART, &info);
    el_proto_put_bytes(&info, 4, "serve", strlen("serve"));
    if (status == NULL)
        status = el_buf_status(&info);
    if (status == NULL)
        el_proto_put_bytes(out, META_INFO, info.data, info.size);
    el_buf_free(&info);
    return status;
}

/* One entry of signature_def: renamed when it is the wanted one, left out when it has the wanted name. */
static struct el_status *rewrite_entry(const struct el_buf *entry, const char *signature, struct el_buf *out,
                                       bool *found)
{
    struct el_proto message = { .start = entry->data, .size = entry->size };
    struct el_proto_field field, body = { 0 };
    struct el_status *status = NULL;
    const char *key = "";
    size_t key_size = 0;
    while (el_proto_next(&message, &field, &status)) {
        if (field.number == 1 && field.wire == EL_PROTO_BYTES) {
            key = (const char *)field.bytes;
            key_size = field.size;
        } else if (field.number == 2 && field.wire == EL_PROTO_BYTES) {
            body = field;
        }
    }
    EL_TRY(status);
    if (key_size == strlen(signature) && memcmp(key, signature, key_size) == 0) {
        struct el_buf renamed = { 0 };
        el_proto_put_bytes(&renamed, 1, DEFAULT_NAME, strlen(DEFAULT_NAME));
        el_proto_put_bytes(&renamed, 2, body.bytes, body.size);
        status = el_buf_status(&renamed);
        el_proto_put_bytes(out, SIGNATURE, renamed.data, renamed.size);
        el_buf_free(&renamed);
        *found = true;
    } else if (key_size != strlen(DEFAULT_NAME) || memcmp(key, DEFAULT_NAME, key_size) != 0) {
        el_proto_put_bytes(out, SIGNATURE, entry->data, entry->size);
    }
    return status;
}

static struct el_status *rewrite_signature(struct el_proto_file *file, const struct el_proto_part *part,
                                           const char *signature, struct el_buf *out, bool *found)
{
    EL_TRY(el_proto_file_want_bytes(file, part, "a signature"));
    struct el_buf entry = { 0 };
    struct el_status *status = el_proto_file_read(file, part->span, MAX_PART, &entry);
    if (status == NULL)
        status = el_status_prefix(rewrite_entry(&entry, signature, out, found), "%s: a signature", file->name);
    el_buf_free(&entry);
    return status;
}

/* What becomes of the inputs that lie inside the graph; or the caller's signature and nodes. */
struct cut {
    const struct el_signature *signature; /* NULL: the model has none of that name */
    bool done;                            /* there was one */
    const struct el_buf *entry, *nodes;   /* NULL: the model's signature is renamed */
};

/* Bytes of a field that holds so many. */
static uint64_t field_size(uint64_t bytes)
{
    uint64_t size = 2 + bytes;
    for (uint64_t left = bytes; left >= 0x80; left >>= 7)
        size++;
    return size;
}

/* What the graph_def of the view takes, with its key and length. */
static struct el_status *graph_size(struct el_proto_file *file, const struct el_proto_part *part, uint64_t whole,
                                    struct cut *cut, uint64_t *size)
{
    EL_TRY(el_proto_file_want_bytes(file, part, "graph_def"));
    uint64_t bytes;
    EL_TRY(el_cut_inputs_size(file, part->span, cut->signature, &bytes, &cut->done));
    *size = cut->done ? field_size(bytes) : whole;
    return NULL;
}

static struct el_status *copy_graph(struct el_proto_file *file, const struct el_proto_part *part, uint64_t end,
                                    const struct cut *cut, int to)
{
    uint64_t bytes;
    bool changed;
    EL_TRY(el_cut_inputs_size(file, part->span, cut->signature, &bytes, &changed));
    if (!changed)
        return el_proto_file_copy(file, (struct el_proto_span){ part->start, end }, to);
    struct el_buf head = { 0 };
    el_proto_put_varint(&head, GRAPH << 3 | EL_PROTO_BYTES);
    el_proto_put_varint(&head, bytes);
    struct el_status *status = el_buf_status(&head);
    if (status == NULL)
        status = el_proto_file_put(to, head.data, head.size);
    el_buf_free(&head);
    return status != NULL ? status : el_cut_inputs_copy(file, part->span, cut->signature, to);
}

/* First walk: out gets the rewritten parts, *kept_size the bytes of the others. */
static struct el_status *rewrite(struct el_proto_file *file, struct el_proto_span graph, struct cut *cut,
                                 const char *signature, struct el_buf *out, uint64_t *kept_size)
{
    struct el_proto_part part;
    struct el_status *status = NULL;
    bool found = false, tagged = false;
    *kept_size = 0;
    while (status == NULL && el_proto_file_next(file, &graph, &part, &status)) {
        if (part.number == META_INFO) {
            status = rewrite_meta_info(file, &part, out);
            tagged = true;
        } else if (part.number == SIGNATURE && cut->entry != NULL) {
            found = true;
        } else if (part.number == SIGNATURE) {
            status = rewrite_signature(file, &part, signature, out, &found);
        } else if (part.number == GRAPH && cut->signature != NULL) {
            uint64_t size = 0;
            status = graph_size(file, &part, graph.at - part.start, cut, &size);
            *kept_size += size;
        } else {
            *kept_size += graph.at - part.start;
        }
    }
    EL_TRY(status);
    if (!found)
        return el_status_new(EL_NOT_FOUND, "%s: has no signature \"%s\"", file->name, signature);
    if (!tagged)
        el_proto_put_bytes(out, META_INFO, "\x22\x05serve", 7); /* MetaInfoDef { tags: "serve" } */
    if (cut->entry != NULL) { /* a graph_def that comes twice is one, with the nodes of both */
        el_proto_put_bytes(out, SIGNATURE, cut->entry->data, cut->entry->size);
        el_proto_put_bytes(out, GRAPH, cut->nodes->data, cut->nodes->size);
    }
    return el_buf_status(out);
}

/* Second walk: the other parts, neighbours in one piece. */
static struct el_status *copy_kept(struct el_proto_file *file, struct el_proto_span graph, const struct cut *cut,
                                   int to)
{
    struct el_proto_span piece = { graph.at, graph.at };
    struct el_proto_part part;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_file_next(file, &graph, &part, &status)) {
        const bool is_graph = part.number == GRAPH && cut->signature != NULL;
        if (part.number != META_INFO && part.number != SIGNATURE && !is_graph) {
            piece.end = graph.at;
            continue;
        }
        piece.end = part.start;
        status = el_proto_file_copy(file, piece, to);
        if (status == NULL && is_graph)
            status = copy_graph(file, &part, graph.at, cut, to);
        piece = (struct el_proto_span){ graph.at, graph.at };
    }
    EL_TRY(status);
    return el_proto_file_copy(file, piece, to);
}

static struct el_status *write_model(struct el_proto_file *file, const struct el_meta_graph *graph,
                                     const char *signature, struct cut *cut, int to)
{
    struct el_proto_span span = { graph->offset, graph->offset + graph->size };
    if (span.end > file->size)
        return el_status_new(EL_ABORTED, "%s: has changed since its signatures were read", file->name);
    if (cut->entry == NULL)
        cut->signature = el_signatures_find(&graph->signatures, signature, strlen(signature), NULL);
    struct el_buf rewritten = { 0 }, head = { 0 };
    uint64_t kept_size;
    struct el_status *status = rewrite(file, span, cut, signature, &rewritten, &kept_size);
    if (status == NULL) {
        el_proto_put_number(&head, 1, 1); /* schema_version */
        el_proto_put_varint(&head, 2 << 3 | EL_PROTO_BYTES);
        el_proto_put_varint(&head, rewritten.size + kept_size);
        el_buf_append(&head, rewritten.data, rewritten.size);
        status = el_buf_status(&head);
    }
    if (status == NULL)
        status = el_proto_file_put(to, head.data, head.size);
    if (status == NULL)
        status = copy_kept(file, span, cut, to);
    el_buf_free(&rewritten);
    el_buf_free(&head);
    return status;
}

static char *join(const char *directory, const char *name)
{
    struct el_buf buf = { 0 };
    el_buf_printf(&buf, "%s/%s", directory, name);
    return el_buf_take_text(&buf);
}

static struct el_status *copy_model(const char *from, const struct el_meta_graph *graph, const char *signature,
                                    struct cut *cut, const char *to)
{
    struct el_status *status = NULL;
    struct el_proto_file file = { 0 };
    int in = -1, out = -1;
    char *source = join(from, "saved_model.pb");
    char *copy = join(to, "saved_model.pb");
    if (source == NULL || copy == NULL) {
        status = el_status_no_memory();
        goto done;
    }
    in = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (in < 0) {
        status = el_status_errno(errno, "%s: cannot be opened", source);
        goto done;
    }
    status = el_proto_file_open(in, source, &file);
    if (status != NULL)
        goto done;
    out = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (out < 0)
        status = el_status_errno(errno, "%s: cannot be created", copy);
    else
        status = write_model(&file, graph, signature, cut, out);
done:
    el_proto_file_close(&file);
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0 && status == NULL)
        status = el_status_errno(errno, "%s: cannot be written", copy);
    free(source);
    free(copy);
    return status;
}

/* A link in `to` that leads to the folder `name` of the directory `from`, if that has one. */
static struct el_status *link_folder(const char *from, const char *name, const char *to)
{
    struct el_status *status = NULL;
    struct stat info;
    char *original = join(from, name);
    char *link = join(to, name);
    if (original == NULL || link == NULL)
        status = el_status_no_memory();
    else if (stat(original, &info) == 0 && symlink(original, link) != 0)
        status = el_status_errno(errno, "%s: cannot be made a link to %s", link, original);
    free(original);
    free(link);
    return status;
}

static struct el_status *make_view(const char *from, const struct el_meta_graph *graph, const char *signature,
                                   struct cut *cut, const char *to)
{
    char *whole = realpath(from, NULL); /* a relative link would start from `to` */
    if (whole == NULL)
        return el_status_errno(errno, "%s: cannot be found", from);
    struct el_status *status = copy_model(whole, graph, signature, cut, to);
    if (status == NULL)
        status = link_folder(whole, "variables", to);
    if (status == NULL)
        status = link_folder(whole, "assets", to);
    free(whole);
    return status;
}

struct el_status *el_rename_signature(const char *from, const struct el_meta_graph *graph, const char *signature,
                                      const char *to, bool *was_cut)
{
    struct cut cut = { 0 };
    struct el_status *status = make_view(from, graph, signature, &cut, to);
    *was_cut = cut.done;
    return status;
}

struct el_status *el_rename_signature_to(const char *from, const struct el_meta_graph *graph,
                                         const struct el_buf *entry, const struct el_buf *nodes, const char *to)
{
    struct cut cut = { .entry = entry, .nodes = nodes };
    return make_view(from, graph, "", &cut, to);
}

void el_rename_signature_remove(const char *to)
{
    static const char *const names[] = { "saved_model.pb", "variables", "assets" };
    int fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlinkat(fd, names[i], 0);
    close(fd);
    rmdir(to);
}
