/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/text_cursor.h"

#include <ctype.h>
#include <string.h>

#define MAX_DEPTH 10000u /* of what is passed over */

struct el_status *el_text_wrong(const struct el_text_cursor *cursor, const char *expected)
{
    if (cursor->at == cursor->end)
        return el_status_new(EL_DATA_LOSS, "%s: ends where %s is expected: it is cut off", cursor->name, expected);
    size_t line = 1, column = 1;
    for (const char *at = cursor->start; at < cursor->at; at++) {
        column = *at == '\n' ? 1 : column + 1;
        line += *at == '\n';
    }
    return el_status_new(EL_INVALID_ARGUMENT, "%s:%zu:%zu: %s is expected", cursor->name, line, column, expected);
}

/* Passes over blanks and comments; the next character, or 0 at the end. */
char el_text_peek(struct el_text_cursor *cursor)
{
    while (cursor->at < cursor->end) {
        if (*cursor->at == '#') {
            const char *line = memchr(cursor->at, '\n', (size_t)(cursor->end - cursor->at));
            cursor->at = line == NULL ? cursor->end : line;
        } else if (isspace((unsigned char)*cursor->at)) {
            cursor->at++;
        } else {
            return *cursor->at;
        }
    }
    return 0;
}

bool el_text_take(struct el_text_cursor *cursor, char wanted)
{
    if (el_text_peek(cursor) != wanted || wanted == 0)
        return false;
    cursor->at++;
    return true;
}

static bool is_word(char letter)
{
    return isalnum((unsigned char)letter) || letter == '_' || letter == '-' || letter == '+' || letter == '.';
}

/* A name, a number, true: its length, 0 for none. */
size_t el_text_take_word(struct el_text_cursor *cursor, const char **word)
{
    el_text_peek(cursor);
    *word = cursor->at;
    while (cursor->at < cursor->end && is_word(*cursor->at))
        cursor->at++;
    return (size_t)(cursor->at - *word);
}

/* ---- strings ---- */

static int digit_of(char letter, int base)
{
    int digit = letter >= '0' && letter <= '9'   ? letter - '0'
                : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                : letter >= 'A' && letter <= 'F' ? letter - 'A' + 10
                                                 : base;
    return digit < base ? digit : -1;
}

/* Up to `most` digits as one byte. */
static uint8_t take_byte(struct el_text_cursor *cursor, int base, int most)
{
    unsigned value = 0;
    for (int i = 0; i < most && cursor->at < cursor->end && digit_of(*cursor->at, base) >= 0; i++)
        value = value * (unsigned)base + (unsigned)digit_of(*cursor->at++, base);
    return (uint8_t)value;
}

/* What stands behind a backslash. */
static struct el_status *take_escape(struct el_text_cursor *cursor, struct el_buf *text)
{
    static const char letters[] = "ntrabfv\\'\"?", meanings[] = "\n\t\r\a\b\f\v\\'\"?";
    if (cursor->at == cursor->end)
        return el_text_wrong(cursor, "the rest of an escape");
    const char *known = strchr(letters, *cursor->at);
    if (*cursor->at != '\0' && known != NULL) {
        el_buf_byte(text, (uint8_t)meanings[known - letters]);
        cursor->at++;
    } else if (digit_of(*cursor->at, 8) >= 0) {
        el_buf_byte(text, take_byte(cursor, 8, 3));
    } else if (*cursor->at == 'x' || *cursor->at == 'X') {
        cursor->at++;
        el_buf_byte(text, take_byte(cursor, 16, 2));
    } else {
        return el_text_wrong(cursor, "an escape of a string");
    }
    return NULL;
}

/* One or more strings that stand together. text: NULL: they are passed over. */
struct el_status *el_text_take_strings(struct el_text_cursor *cursor, struct el_buf *text)
{
    struct el_buf ignored = { 0 };
    struct el_buf *to = text == NULL ? &ignored : text;
    struct el_status *status = NULL;
    if (el_text_peek(cursor) != '"' && el_text_peek(cursor) != '\'')
        return el_text_wrong(cursor, "a string");
    while (status == NULL && (el_text_peek(cursor) == '"' || el_text_peek(cursor) == '\'')) {
        const char quote = *cursor->at++;
        while (status == NULL && cursor->at < cursor->end && *cursor->at != quote) {
            if (*cursor->at == '\n')
                status = el_text_wrong(cursor, "the end of a string");
            else if (*cursor->at != '\\')
                el_buf_byte(to, (uint8_t)*cursor->at++);
            else if (cursor->at++, true)
                status = take_escape(cursor, to);
        }
        if (status == NULL && cursor->at == cursor->end)
            status = el_text_wrong(cursor, "the end of a string");
        if (status == NULL)
            cursor->at++;
        if (text == NULL)
            el_buf_clear(to);
    }
    el_buf_free(&ignored);
    return status;
}

/* ---- what is passed over ---- */

/* A value of a kind that is not known: a string, a word, a message or a list, which end when their brackets do. */
struct el_status *el_text_pass_over(struct el_text_cursor *cursor)
{
    size_t depth = 0;
    do {
        const char next = el_text_peek(cursor);
        const char *word;
        if (next == '"' || next == '\'') {
            EL_TRY(el_text_take_strings(cursor, NULL));
        } else if (next == '{' || next == '<' || next == '[') {
            cursor->at++;
            if (++depth > MAX_DEPTH)
                return el_text_wrong(cursor, "less depth");
        } else if (depth > 0 && (next == '}' || next == '>' || next == ']')) {
            cursor->at++;
            depth--;
        } else if (depth > 0 && (next == ':' || next == ',' || next == ';' || next == '/')) {
            cursor->at++;
        } else if (el_text_take_word(cursor, &word) == 0) {
            return el_text_wrong(cursor, "a value");
        }
    } while (depth > 0);
    return NULL;
}
