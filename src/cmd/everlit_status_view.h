/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_EVERLIT_STATUS_VIEW_H
#define EL_CMD_EVERLIT_STATUS_VIEW_H

/* The answer of GET /admin/v1/status as people read it. Pure. */

#include "cmd/everlit.h"

#include <jansson.h>

/*
 * Writes one line about the server, the table of the versions, and below it why a version was refused. What the answer lacks
 * (a server of another version) shows as "-".
 */
struct el_status *el_status_view(const json_t *answer, const struct el_cli_style *style,
                                 struct el_buf *out) EL_MUST_USE;

#endif
