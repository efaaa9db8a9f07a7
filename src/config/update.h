/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_UPDATE_H
#define EL_CONFIG_UPDATE_H

/* `update { ... }` of a ModelConfig: its defaults, its ranges, reading and printing. Used inside the room only. */

#include "base/buf.h"
#include "config/config.h"
#include "config/text.h"

/* *update with every default, its texts owned; on failure it holds nothing. */
struct el_status *el_update_defaults(struct el_update_config *update) EL_MUST_USE;

/* Puts what message gives over the defaults in *update. file and model are for errors. */
struct el_status *el_update_read(const char *file, const char *model, const struct el_text_message *message,
                                 struct el_update_config *update) EL_MUST_USE;

/* Writes the fields that differ from their defaults, one line each with indent before it. */
void el_update_print(const struct el_update_config *update, const char *indent, struct el_buf *out);

/* Whether el_update_print() would write nothing. */
bool el_update_is_default(const struct el_update_config *update);

void el_update_free(struct el_update_config *update);

#endif
