/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_SAVED_MODEL_H
#define EL_BUNDLE_SAVED_MODEL_H

/*
 * What a saved_model.pb says: its meta graphs with their tags, signatures,
 * assets, and a summary of the graph (which is not built: it is skipped over,
 * so that a model of 2 GB costs as little memory as one of 2 kB).
 *
 * The file is untrusted. Blocking reads; any thread that may block. Immutable
 * once made; ended with el_saved_model_free(). Errors name the file, the offset and what was expected;
 * a file that ends too early is DATA_LOSS (it may still be being copied), one that cannot be a SavedModel is
 * INVALID_ARGUMENT, one that is not there NOT_FOUND.
 */

#include "base/status.h"
#include "bundle/signature.h"

#include <stdbool.h>
#include <stdint.h>

#define EL_MAX_META_GRAPHS 64

struct el_op_count {
    char *op; /* e.g. "MatMul" */
    uint64_t count;
    bool changes_state; /* see state_ops.h */
};

struct el_meta_graph {
    char **tags; /* in the file's order */
    uint32_t tag_count;
    char *tensorflow_version; /* that wrote it; "" where it does not say */
    struct el_signatures signatures;
    char **assets; /* file names in assets/, as asset_file_def names them */
    uint32_t asset_count;
    char **asset_tensors; /* of each asset the tensor that is its path; "" where none is named */
    uint32_t asset_tensor_count;
    char **data_files; /* beside model.onnx, with weights of it; relative to the version's directory */
    uint32_t data_file_count;
    struct el_op_count *ops; /* of the graph and its functions, sorted by name */
    uint32_t op_count;       /* different ops */
    uint64_t node_count;     /* all nodes, those inside functions too */
    uint64_t function_count;
    bool has_variables; /* a node holds a variable, and a saver is there to restore it: variables/ is needed */
    char *state_op;     /* an op that runs with some signature and changes what later runs see; NULL: none does */
    uint64_t offset;    /* of the MetaGraphDef in the file */
    uint64_t size;
};

struct el_saved_model {
    uint64_t schema_version;
    uint64_t file_size;
    struct el_meta_graph *graphs;
    uint32_t graph_count; /* at least 1 */
};

/* Reads the open file fd, which stays the caller's. name: of the file, for messages. Of a directory: bundle/model_file.h. */
struct el_status *el_saved_model_read_fd(int fd, const char *name, struct el_saved_model *model) EL_MUST_USE;

/* The meta graph that has exactly these tags, in any order. NOT_FOUND: TensorFlow's text, and on a line of its own which there are. */
struct el_status *el_saved_model_find(const struct el_saved_model *model, const char *path, const char *const *tags,
                                      uint32_t tag_count, const struct el_meta_graph **graph) EL_MUST_USE;

/* How many bytes at the beginning of a failure's text are word for word TensorFlow's; 0: the text is all ours. */
size_t el_saved_model_said(const char *text);

void el_saved_model_free(struct el_saved_model *model);

#endif
