/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_LEXER_H
#define EL_CONFIG_LEXER_H

/*
 * The tokens of the text format: io::Tokenizer of C++ protobuf as TextFormat sets it up (`#` comments, `1.5f`, a space
 * needed between a number and a word, no string across lines).
 *
 * Used by text.c only. The lexer reads one token ahead, as C++ does, so that of two errors the same one is found first.
 */

#include "base/status.h"
#include "config/arena.h"
#include "config/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum el_token_type {
    EL_TOKEN_END,
    EL_TOKEN_IDENTIFIER,
    EL_TOKEN_INTEGER,
    EL_TOKEN_FLOAT,
    EL_TOKEN_STRING,
    EL_TOKEN_SYMBOL
};

struct el_token {
    enum el_token_type type;
    const char *text; /* in the text that is read */
    size_t size;
    uint32_t line, column, end_column; /* from 0 */
};

struct el_lexer {
    const char *name; /* of the file */
    const char *text;
    size_t size;
    size_t at;             /* of the next byte to read */
    uint32_t line, column; /* of that byte, from 0 */
    struct el_token token; /* the current token */
};

/* Sets the lexer on the first token. text and name must outlive it. */
struct el_status *el_lexer_start(struct el_lexer *lexer, const char *name, const char *text, size_t size) EL_MUST_USE;

/* Goes to the next token; after the last one the current token stays END. */
struct el_status *el_lexer_next(struct el_lexer *lexer) EL_MUST_USE;

/* True when the current token is spelled like that. */
bool el_lexer_at(const struct el_lexer *lexer, const char *spelling);

/* The error at the current token's place. */
struct el_status *el_lexer_error(const struct el_lexer *lexer, const char *format, ...)
    __attribute__((format(printf, 2, 3))) EL_MUST_USE;

/* The current token for an error's text: cut, where it is very long. */
#define EL_TOKEN_ARGS(token) (int)((token)->size > 200 ? 200 : (token)->size), (token)->text

/* The value of an INTEGER token (decimal, 0x hexadecimal, 0 octal); false when it is more than most. */
bool el_token_integer(const struct el_token *token, uint64_t most, uint64_t *value);

/* The value of a FLOAT or decimal INTEGER token; infinity when it is too large. The locale does not matter. */
struct el_status *el_token_double(const struct el_token *token, double *value) EL_MUST_USE;

/* Appends what a STRING token stands for to out, which has room for token->size bytes more, and returns how many. */
size_t el_token_unquote(const struct el_token *token, char *out);

#endif
