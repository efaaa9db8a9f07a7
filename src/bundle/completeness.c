/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is missing and what is cut off may come: NOT_YET. What is there to its
 * end and wrong will stay so: BAD. A copy that fills a file from the front looks
 * cut off until it ends, one that makes room first may look BAD for a while; both are looked at again when the files change.
 */
#include "bundle/completeness.h"

#include "base/buf.h"
#include "bundle/model_file.h"
#include "bundle/tree.h"
#include "bundle/variables_index.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the fingerprint ---- */

static void hash_text(EVP_MD_CTX *hash, const char *text)
{
    EVP_DigestUpdate(hash, text, strlen(text) + 1);
}

static struct el_status *take_fingerprint(const struct el_tree *tree, uint64_t *fingerprint)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (hash == NULL || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(hash);
        return el_status_no_memory();
    }
    for (size_t i = 0; i < tree->count; i++) {
        const struct el_tree_entry *entry = &tree->list[i];
        const uint64_t numbers[] = { (uint64_t)entry->kind, entry->dangling, entry->size, entry->mtime_ns,
                                     entry->inode };
        hash_text(hash, entry->name);
        if (entry->target != NULL)
            hash_text(hash, entry->target);
        EVP_DigestUpdate(hash, numbers, sizeof numbers);
    }
    if (tree->bad != NULL)
        hash_text(hash, tree->bad);
    const bool done = EVP_DigestFinal_ex(hash, digest, NULL) == 1;
    EVP_MD_CTX_free(hash);
    if (!done)
        return el_status_no_memory();
    memcpy(fingerprint, digest, sizeof *fingerprint);
    return NULL;
}

/* Opens path and walks it. */
static struct el_status *open_tree(const char *path, int *fd, struct el_tree *tree)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return el_status_errno(errno, "%s: cannot be opened as a directory", path);
    struct el_status *status = el_tree_read(*fd, path, tree);
    if (status != NULL)
        close(*fd);
    return status;
}

struct el_status *el_version_fingerprint(const char *path, uint64_t *fingerprint)
{
    int fd = -1;
    struct el_tree tree = { 0 };
    EL_TRY(open_tree(path, &fd, &tree));
    struct el_status *status = take_fingerprint(&tree, fingerprint);
    el_tree_free(&tree);
    close(fd);
    return status;
}

/* ---- whole? ---- */

static struct el_status *found(struct el_version_check *check, enum el_completeness result, enum el_code code,
                               const char *format, ...) __attribute__((format(printf, 4, 5))) EL_MUST_USE;

static struct el_status *found(struct el_version_check *check, enum el_completeness result, enum el_code code,
                               const char *format, ...)
{
    struct el_buf buf = { 0 };
    va_list args;
    va_start(args, format);
    el_buf_vprintf(&buf, format, args);
    va_end(args);
    check->result = result;
    check->code = code;
    check->text = el_buf_take_text(&buf);
    return check->text == NULL ? el_status_no_memory() : NULL;
}

/* What TensorFlow's loader says of the directory, after something was found. */
static struct el_status *say(struct el_version_check *check, const char *before, const char *path, const char *after)
{
    struct el_buf buf = { 0 };
    el_buf_printf(&buf, "%s%s%s", before, path, after);
    check->said = el_buf_take_text(&buf);
    return check->said == NULL ? el_status_no_memory() : NULL;
}

static struct el_status *say_no_bundle(struct el_version_check *check, const char *path)
{
    return say(check,
               "Specified file path does not appear to contain a SavedModel bundle (should have a file called "
               "`saved_model.pb`)\nSpecified file path: ",
               path, "");
}

/* For the formats that its loader reads. */
static struct el_status *say_unreadable(struct el_version_check *check, const char *path, enum el_model_format format)
{
    if (format == EL_FORMAT_SAVED_MODEL)
        return say(check, "Can't parse ", path, "/saved_model.pb as binary proto");
    if (format == EL_FORMAT_SAVED_MODEL_TEXT)
        return say(check, "Can't parse ", path, "/saved_model.pbtxt as text proto");
    return NULL;
}

/* Turns a reader's status into the answer. Takes it over. What only says that memory is short is returned. */
static struct el_status *found_status(struct el_version_check *check, struct el_status *status)
{
    enum el_completeness result;
    switch (el_status_code(status)) {
    case EL_RESOURCE_EXHAUSTED:
    case EL_PERMISSION_DENIED:
    case EL_INTERNAL: /* of the disk */
        return status;
    case EL_INVALID_ARGUMENT:
    case EL_UNIMPLEMENTED:
        result = EL_VERSION_BAD;
        break;
    default:
        result = EL_VERSION_NOT_YET;
        break;
    }
    struct el_status *failed = found(check, result, EL_DATA_LOSS, "%s", el_status_text(status));
    el_status_free(status);
    return failed;
}

/* The size of a regular file; false when there is none. Links are followed: the walk has found that they stay inside. */
static bool size_of(int dir_fd, const char *name, uint64_t *size)
{
    struct stat info;
    if (fstatat(dir_fd, name, &info, 0) != 0 || !S_ISREG(info.st_mode))
        return false;
    *size = (uint64_t)info.st_size;
    return true;
}

static struct el_status *check_shards(int dir_fd, const struct el_variables_index *index,
                                      struct el_version_check *check)
{
    for (uint32_t i = 0; i < index->shard_count && check->text == NULL; i++) {
        char name[64];
        uint64_t size;
        snprintf(name, sizeof name, "variables/variables.data-%05" PRIu32 "-of-%05" PRIu32, i, index->shard_count);
        if (!size_of(dir_fd, name, &size))
            EL_TRY(found(check, EL_VERSION_NOT_YET, EL_NOT_FOUND, "%s is not there; variables/variables.index names it",
                         name));
        else if (size < index->shard_bytes[i])
            EL_TRY(found(check, EL_VERSION_NOT_YET, EL_DATA_LOSS,
                         "%s has %" PRIu64 " bytes; variables/variables.index promises %" PRIu64, name, size,
                         index->shard_bytes[i]));
    }
    return NULL;
}

static struct el_status *check_variables(int dir_fd, bool needed, struct el_version_check *check)
{
    uint64_t size;
    if (!size_of(dir_fd, "variables/variables.index", &size))
        return needed ? found(check, EL_VERSION_NOT_YET, EL_FAILED_PRECONDITION,
                              "variables/variables.index is not there, and the graph has variables")
                      : NULL;
    struct el_variables_index index = { 0 };
    struct el_status *status = el_variables_index_read_at(dir_fd, &index);
    if (el_status_code(status) == EL_UNIMPLEMENTED) {
        /* A compressed index: TensorFlow reads it, only what it promises is not known here. */
        el_status_free(status);
        return NULL;
    }
    status = status != NULL ? found_status(check, status) : check_shards(dir_fd, &index, check);
    el_variables_index_free(&index);
    return status;
}

/* True if name stays below the directory that it is looked up in. */
static bool stays_below(const char *name)
{
    if (name[0] == '/' || name[0] == '\0')
        return false;
    for (const char *part = name;; part++) {
        const size_t length = strcspn(part, "/");
        if (length == 2 && part[0] == '.' && part[1] == '.')
            return false;
        part += length;
        if (*part == '\0')
            return true;
    }
}

static struct el_status *check_assets(int dir_fd, const struct el_meta_graph *graph, struct el_version_check *check)
{
    for (uint32_t i = 0; i < graph->asset_count && check->text == NULL; i++) {
        struct el_buf buf = { 0 };
        uint64_t size;
        if (!stays_below(graph->assets[i]))
            return found(check, EL_VERSION_BAD, EL_FAILED_PRECONDITION,
                         "the graph names an asset \"%s\", which leads out of assets/", graph->assets[i]);
        el_buf_printf(&buf, "assets/%s", graph->assets[i]);
        char *name = el_buf_take_text(&buf);
        if (name == NULL)
            return el_status_no_memory();
        struct el_status *status = NULL;
        if (!size_of(dir_fd, name, &size))
            status = found(check, EL_VERSION_NOT_YET, EL_NOT_FOUND, "%s is not there; the graph names it", name);
        free(name);
        EL_TRY(status);
    }
    return NULL;
}

/* Weights beside a model.onnx. */
static struct el_status *check_data_files(int dir_fd, const struct el_meta_graph *graph, struct el_version_check *check)
{
    for (uint32_t i = 0; i < graph->data_file_count && check->text == NULL; i++) {
        uint64_t size;
        if (!stays_below(graph->data_files[i]))
            return found(check, EL_VERSION_BAD, EL_FAILED_PRECONDITION,
                         "the graph names a file \"%s\", which leads out of the version", graph->data_files[i]);
        if (!size_of(dir_fd, graph->data_files[i], &size))
            EL_TRY(found(check, EL_VERSION_NOT_YET, EL_NOT_FOUND, "%s is not there; the graph names it",
                         graph->data_files[i]));
    }
    return NULL;
}

static struct el_status *check_format(int dir_fd, const char *path, enum el_model_format format,
                                      struct el_version_check *check)
{
    struct el_saved_model model = { 0 };
    struct el_status *status = el_model_file_read_at(dir_fd, "", format, &model);
    if (status != NULL) {
        EL_TRY(found_status(check, status));
        return say_unreadable(check, path, format);
    }
    bool has_variables = false;
    for (uint32_t i = 0; i < model.graph_count; i++)
        has_variables |= model.graphs[i].has_variables;
    if (format == EL_FORMAT_SAVED_MODEL || format == EL_FORMAT_SAVED_MODEL_TEXT)
        status = check_variables(dir_fd, has_variables, check);
    for (uint32_t i = 0; status == NULL && check->text == NULL && i < model.graph_count; i++) {
        status = check_assets(dir_fd, &model.graphs[i], check);
        if (status == NULL && check->text == NULL)
            status = check_data_files(dir_fd, &model.graphs[i], check);
    }
    for (uint32_t i = 0; i < model.graph_count && check->state_op == NULL; i++) {
        check->state_op = model.graphs[i].state_op;
        model.graphs[i].state_op = NULL;
    }
    el_saved_model_free(&model);
    return status;
}

/* Which of two models in one directory is meant is the engine's to say (--prefer_tflite_model): both must be whole. */
static struct el_status *check_files(int dir_fd, const char *path, struct el_version_check *check)
{
    const enum el_model_format first = el_model_file_find(dir_fd, false);
    const enum el_model_format preferred = el_model_file_find(dir_fd, true);
    if (first == EL_FORMATS) {
        EL_TRY(found(check, EL_VERSION_NOT_YET, EL_NOT_FOUND,
                     "saved_model.pb is not there (nor saved_model.pbtxt, model.tflite, model.onnx)"));
        return say_no_bundle(check, path);
    }
    EL_TRY(check_format(dir_fd, path, first, check));
    return preferred == first || check->text != NULL ? NULL : check_format(dir_fd, path, preferred, check);
}

static struct el_status *check_tree(int dir_fd, const char *path, const struct el_tree *tree,
                                    struct el_version_check *check)
{
    const struct el_tree_entry *dangling = NULL;
    for (size_t i = 0; i < tree->count; i++) {
        const struct el_tree_entry *entry = &tree->list[i];
        check->file_count += entry->kind == EL_TREE_FILE;
        check->bytes += entry->kind == EL_TREE_FILE ? entry->size : 0;
        if (entry->dangling && dangling == NULL)
            dangling = entry;
    }
    EL_TRY(take_fingerprint(tree, &check->fingerprint));
    if (tree->bad != NULL)
        return found(check, EL_VERSION_BAD, EL_FAILED_PRECONDITION, "%s", tree->bad);
    if (tree->count == 0) {
        EL_TRY(found(check, EL_VERSION_NOT_YET, EL_NOT_FOUND, "the directory is empty, saved_model.pb is expected"));
        return say_no_bundle(check, path);
    }
    if (dangling != NULL)
        return found(check, EL_VERSION_NOT_YET, EL_NOT_FOUND, "%s is a link to \"%s\", which is not there",
                     dangling->name, dangling->target);
    return check_files(dir_fd, path, check);
}

struct el_status *el_version_check(const char *path, struct el_version_check *check)
{
    int fd = -1;
    struct el_tree tree = { 0 };
    struct el_version_check made = { .result = EL_VERSION_WHOLE };
    EL_TRY(open_tree(path, &fd, &tree));
    struct el_status *status = check_tree(fd, path, &tree, &made);
    el_tree_free(&tree);
    close(fd);
    if (status != NULL)
        el_version_check_free(&made);
    else
        *check = made;
    return status;
}

void el_version_check_free(struct el_version_check *check)
{
    free(check->text);
    free(check->said);
    free(check->state_op);
    *check = (struct el_version_check){ 0 };
}
