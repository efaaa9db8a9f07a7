/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_EVERLIT_STATUS_VIEW_H
#define EL_CMD_EVERLIT_STATUS_VIEW_H

/* The answer of GET /admin/v1/status as people read it. Pure. */

#include "cmd/everlit.h"

#include <jansson.h>

#define EL_STATUS_MODELS 40 /* shown at once, unless all are asked for */

struct el_status_choice {
    const char *model; /* only this one; NULL: all of them count */
    bool all;          /* however many there are */
};

/*
 * Writes one line about the server, the table of the versions by the names of their models, and below it why a version was refused. Of
 * more than EL_STATUS_MODELS models those come first of which something is wrong or under way, and the rest is a
 * number. What the answer lacks (a server of another version) shows as "-". NOT_FOUND: there is no model of that name.
 */
struct el_status *el_status_view(const json_t *answer, const struct el_status_choice *choice,
                                 const struct el_cli_style *style, struct el_buf *out) EL_MUST_USE;

#endif
