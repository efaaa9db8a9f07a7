/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_TEXT_VALUE_H
#define EL_CONFIG_TEXT_VALUE_H

/* One value of the text format that is no message. Used by text.c only. */

#include "config/lexer.h"
#include "config/text.h"

/* Reads the value of value->field (any kind but MESSAGE) from the lexer into value->as; strings go to the arena. */
struct el_status *el_text_parse_scalar(struct el_lexer *lexer, struct el_arena *arena,
                                       struct el_text_value *value) EL_MUST_USE;

#endif
