/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_INSPECT_VIEW_H
#define EL_CMD_INSPECT_VIEW_H

/* What `everlit inspect` found, as text and as JSON. Pure. */

#include "bundle/completeness.h"
#include "bundle/model_file.h"
#include "bundle/tree.h"
#include "cmd/everlit.h"

struct el_inspected {
    const char *path; /* of the version's directory */
    size_t others;    /* versions beside it, where the model's directory was asked for */
    const char *tags; /* comma list: only the meta graph with these; NULL: all */
    enum el_model_format format;
    const struct el_saved_model *model;
    const struct el_tree *tree;
    const struct el_version_check *check;
};

struct el_status *el_inspect_text(const struct el_inspected *inspected, const struct el_cli_style *style,
                                  struct el_buf *out) EL_MUST_USE;
struct el_status *el_inspect_json(const struct el_inspected *inspected, struct el_buf *out) EL_MUST_USE;

/* The meta graphs that are asked for, as the first and the number after it; NOT_FOUND where tags match none. */
struct el_status *el_inspect_graphs(const struct el_inspected *inspected, const struct el_meta_graph **first,
                                    uint32_t *count) EL_MUST_USE;

#endif
