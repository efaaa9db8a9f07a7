/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_HINT_H
#define EL_CONFIG_HINT_H

/* What somebody may have meant who wrote a name that does not exist. Used by the parser only; no allocation. */

#include "config/text.h"

#include <stddef.h>

#define EL_HINT_BYTES 160

/*
 * Writes " (did you mean "base_path"?)", or where a message inside the type has that very name " (it belongs inside
 * "config { }")", or "".
 */
void el_field_hint(const struct el_text_type *type, const char *name, size_t size, char hint[EL_HINT_BYTES]);

/* The same among the names of an enum. */
void el_enum_hint(const struct el_text_enum *values, const char *name, size_t size, char hint[EL_HINT_BYTES]);

#endif
