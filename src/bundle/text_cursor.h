/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_TEXT_CURSOR_H
#define EL_BUNDLE_TEXT_CURSOR_H

/*
 * A place in a text of protobuf's text format, and what can be taken from there: names, values, strings, whole messages that
 * nobody needs. config/text.c reads the same format by other rules: every field is known there, and its errors are C++'s.
 *
 * Any thread; the text stays. Errors name the file, line and column: DATA_LOSS at the end of the text, otherwise INVALID_ARGUMENT.
 */

#include "base/buf.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct el_text_cursor {
    const char *name; /* of the file */
    const char *start, *at, *end;
};

/* What stands at the cursor is not what is expected there. */
struct el_status *el_text_wrong(const struct el_text_cursor *cursor, const char *expected) EL_MUST_USE;

/* Passes over blanks and comments; the next character, or 0 at the end. */
char el_text_peek(struct el_text_cursor *cursor);

/* Passes over the next character if it is the wanted one. */
bool el_text_take(struct el_text_cursor *cursor, char wanted);

/* A name, a number, true: its length, 0 for none. */
size_t el_text_take_word(struct el_text_cursor *cursor, const char **word);

/* One or more strings that stand together. text: NULL: they are passed over. */
struct el_status *el_text_take_strings(struct el_text_cursor *cursor, struct el_buf *text) EL_MUST_USE;

/* A value of a kind that is not known: a string, a word, a message or a list, which end when their brackets do. */
struct el_status *el_text_pass_over(struct el_text_cursor *cursor) EL_MUST_USE;

#endif
