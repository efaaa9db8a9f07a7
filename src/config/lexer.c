/* SPDX-License-Identifier: Apache-2.0 */
#include "config/lexer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAB_WIDTH 8

/* <ctype.h> follows the locale and is undefined for negative chars; the format does neither. */
static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_zero(int c)
{
    return c == '0';
}

static bool is_octal(int c)
{
    return c >= '0' && c <= '7';
}

static bool is_hex(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next byte, or 0 at the end; a zero byte in the text is found to be an error by whoever meets it. */
static int peek(const struct el_lexer *lexer)
{
    return lexer->at < lexer->size ? (unsigned char)lexer->text[lexer->at] : 0;
}

static void skip(struct el_lexer *lexer)
{
    if (lexer->at == lexer->size)
        return;
    const char c = lexer->text[lexer->at++];
    if (c == '\n') {
        lexer->line++;
        lexer->column = 0;
    } else if (c == '\t') {
        lexer->column += TAB_WIDTH - lexer->column % TAB_WIDTH;
    } else {
        lexer->column++;
    }
}

static bool take(struct el_lexer *lexer, int c)
{
    if (peek(lexer) != c)
        return false;
    skip(lexer);
    return true;
}

static bool take_one(struct el_lexer *lexer, bool (*is)(int))
{
    if (!is(peek(lexer)))
        return false;
    skip(lexer);
    return true;
}

static bool take_some(struct el_lexer *lexer, bool (*is)(int), unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!take_one(lexer, is))
            return false;
    }
    return true;
}

static void take_all(struct el_lexer *lexer, bool (*is)(int))
{
    while (take_one(lexer, is))
        continue;
}

static __attribute__((format(printf, 4, 0))) struct el_status *error_at(const struct el_lexer *lexer, uint32_t line,
                                                                        uint32_t column, const char *format,
                                                                        va_list args)
{
    struct el_status *status = el_status_newv(EL_INVALID_ARGUMENT, format, args);
    return el_status_prefix(status, "%s:%u:%u", lexer->name, line + 1, column + 1);
}

struct el_status *el_lexer_error(const struct el_lexer *lexer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct el_status *status = error_at(lexer, lexer->token.line, lexer->token.column, format, args);
    va_end(args);
    return status;
}

/* The error at the byte that is read next. */
static __attribute__((format(printf, 2, 3))) struct el_status *error_here(const struct el_lexer *lexer,
                                                                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct el_status *status = error_at(lexer, lexer->line, lexer->column, format, args);
    va_end(args);
    return status;
}

static struct el_status *scan_decimal(struct el_lexer *lexer, bool after_point, bool *is_float)
{
    *is_float = after_point;
    take_all(lexer, is_digit);
    if (!after_point && take(lexer, '.')) {
        *is_float = true;
        take_all(lexer, is_digit);
    }
    if (take(lexer, 'e') || take(lexer, 'E')) {
        *is_float = true;
        if (!take(lexer, '-'))
            take(lexer, '+');
        if (!take_one(lexer, is_digit))
            return error_here(lexer, "\"e\" must be followed by exponent.");
        take_all(lexer, is_digit);
    }
    if (take(lexer, 'f') || take(lexer, 'F'))
        *is_float = true;
    return NULL;
}

/* first: the character that was taken already, a digit or a point. */
static struct el_status *scan_number(struct el_lexer *lexer, char first)
{
    bool is_float = false;
    if (first == '0' && (take(lexer, 'x') || take(lexer, 'X'))) {
        if (!take_one(lexer, is_hex))
            return error_here(lexer, "\"0x\" must be followed by hex digits.");
        take_all(lexer, is_hex);
    } else if (first == '0' && is_digit(peek(lexer))) {
        take_all(lexer, is_octal);
        if (is_digit(peek(lexer)))
            return error_here(lexer, "Numbers starting with leading zero must be in octal.");
    } else {
        EL_TRY(scan_decimal(lexer, first == '.', &is_float));
    }
    if (is_letter(peek(lexer)))
        return error_here(lexer, "Need space between number and identifier.");
    if (peek(lexer) == '.')
        return error_here(lexer, is_float ? "Already saw decimal point or exponent; can't have another one."
                                          : "Hex and octal numbers must be integers.");
    lexer->token.type = is_float ? EL_TOKEN_FLOAT : EL_TOKEN_INTEGER;
    return NULL;
}

/* After the backslash. Octal and \x escapes may go on for more digits, which are plain bytes of the string here. */
static struct el_status *scan_escape(struct el_lexer *lexer)
{
    const int c = peek(lexer);
    if (c != 0 && strchr("abfnrtv\\?'\"01234567", c) != NULL) {
        skip(lexer);
        return NULL;
    }
    if (take(lexer, 'x')) {
        if (!take_one(lexer, is_hex))
            return error_here(lexer, "Expected hex digits for escape sequence.");
        return NULL;
    }
    if (take(lexer, 'u')) {
        if (!take_some(lexer, is_hex, 4))
            return error_here(lexer, "Expected four hex digits for \\u escape sequence.");
        return NULL;
    }
    if (take(lexer, 'U')) {
        if (!take_some(lexer, is_zero, 2) || !(take(lexer, '0') || take(lexer, '1')) || !take_some(lexer, is_hex, 5))
            return error_here(lexer, "Expected eight hex digits up to 10ffff for \\U escape sequence");
        return NULL;
    }
    return error_here(lexer, "Invalid escape sequence in string literal.");
}

static struct el_status *scan_string(struct el_lexer *lexer, int quote)
{
    for (;;) {
        const int c = peek(lexer);
        if (c == 0)
            return error_here(lexer, "Unexpected end of string.");
        if (c == '\n')
            return error_here(lexer, "String literals cannot cross line boundaries.");
        skip(lexer);
        if (c == quote)
            return NULL;
        if (c == '\\')
            EL_TRY(scan_escape(lexer));
    }
}

static void skip_blanks_and_comments(struct el_lexer *lexer)
{
    for (;;) {
        take_all(lexer, is_space);
        if (!take(lexer, '#'))
            return;
        while (peek(lexer) != 0 && peek(lexer) != '\n')
            skip(lexer);
    }
}

static struct el_status *scan_token(struct el_lexer *lexer, const struct el_token *previous)
{
    struct el_token *token = &lexer->token;
    const int c = peek(lexer);
    if (c < ' ')
        return error_here(lexer, "Invalid control characters encountered in text.");
    if (c >= 0x80)
        return error_here(lexer, "Interpreting non ascii codepoint %d.", c);
    skip(lexer);
    if (is_letter(c)) {
        token->type = EL_TOKEN_IDENTIFIER;
        while (is_letter(peek(lexer)) || is_digit(peek(lexer)))
            skip(lexer);
        return NULL;
    }
    if (is_digit(c))
        return scan_number(lexer, (char)c);
    if (c == '.' && take_one(lexer, is_digit)) {
        /* "name.5" is none of a path and a number. */
        if (previous->type == EL_TOKEN_IDENTIFIER && previous->line == token->line &&
            previous->end_column == token->column)
            return el_lexer_error(lexer, "Need space between identifier and decimal point.");
        return scan_number(lexer, '.');
    }
    if (c == '"' || c == '\'') {
        token->type = EL_TOKEN_STRING;
        return scan_string(lexer, c);
    }
    token->type = EL_TOKEN_SYMBOL;
    return NULL;
}

struct el_status *el_lexer_next(struct el_lexer *lexer)
{
    const struct el_token previous = lexer->token;
    skip_blanks_and_comments(lexer);
    const char *start = lexer->text + lexer->at;
    lexer->token = (struct el_token){
        .type = EL_TOKEN_END, .text = start, .line = lexer->line, .column = lexer->column, .end_column = lexer->column
    };
    if (lexer->at == lexer->size)
        return NULL;
    EL_TRY(scan_token(lexer, &previous));
    lexer->token.size = (size_t)(lexer->text + lexer->at - start);
    lexer->token.end_column = lexer->column;
    return NULL;
}

struct el_status *el_lexer_start(struct el_lexer *lexer, const char *name, const char *text, size_t size)
{
    *lexer = (struct el_lexer){ .name = name, .text = size > 0 ? text : "", .size = size };
    return el_lexer_next(lexer);
}

bool el_lexer_at(const struct el_lexer *lexer, const char *spelling)
{
    const size_t size = strlen(spelling);
    return lexer->token.size == size && memcmp(lexer->token.text, spelling, size) == 0;
}
