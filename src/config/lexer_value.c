/* SPDX-License-Identifier: Apache-2.0 */
/* What a token stands for: numbers, and strings with their escapes undone. The lexer has checked how they are spelled. */
#include "config/lexer.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

static unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 99;
}

bool el_token_integer(const struct el_token *token, uint64_t most, uint64_t *value)
{
    unsigned base = 10;
    size_t i = 0;
    if (token->text[0] == '0') {
        base = 8;
        if (token->size > 2 && (token->text[1] == 'x' || token->text[1] == 'X')) {
            base = 16;
            i = 2;
        }
    }
    uint64_t sum = 0;
    for (; i < token->size; i++) {
        const unsigned digit = digit_value(token->text[i]);
        if (digit >= base || __builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)digit, &sum))
            return false;
    }
    *value = sum;
    return sum <= most;
}

struct el_status *el_token_double(const struct el_token *token, double *value)
{
    char *copy = strndup(token->text, token->size);
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    struct el_status *status = NULL;
    if (copy == NULL || plain == (locale_t)0)
        status = el_status_no_memory();
    else
        *value = strtod_l(copy, NULL, plain); /* stops at the `f` of "1.5f" */
    if (plain != (locale_t)0)
        freelocale(plain);
    free(copy);
    return status;
}

static char escaped(char c)
{
    static const char names[] = "abfnrtv";
    static const char bytes[] = "\a\b\f\n\r\t\v";
    const char *found = c == '\0' ? NULL : strchr(names, c);
    return found == NULL ? c : bytes[found - names];
}

static uint32_t hex_value(const char *digits, unsigned count)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum = sum * 16 + digit_value(digits[i]);
    return sum;
}

/*
 * UTF-8, also for a lone half of a surrogate pair. What is beyond Unicode stays an escape, in text. C++ does both. At most
 * 10 bytes, and never more than the escape has.
 */
static size_t put_utf8(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | (code >> 6));
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | (code >> 12));
        out[1] = (char)(0x80 | ((code >> 6) & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    if (code > 0x10ffff) {
        static const char digits[] = "0123456789abcdef";
        out[0] = '\\';
        out[1] = 'U';
        for (unsigned i = 0; i < 8; i++)
            out[2 + i] = digits[code >> (28 - 4 * i) & 15];
        return 10;
    }
    out[0] = (char)(0xf0 | (code >> 18));
    out[1] = (char)(0x80 | ((code >> 12) & 0x3f));
    out[2] = (char)(0x80 | ((code >> 6) & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

static bool are_hex(const char *digits, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (digit_value(digits[i]) > 15)
            return false;
    }
    return true;
}

/* \uXXXX or \UXXXXXXXX, with at pointing to the u; two \u that are a surrogate pair are one character. */
static const char *unquote_unicode(const char *at, const char *end, char *out, size_t *used)
{
    const unsigned digits = *at == 'u' ? 4 : 8;
    uint32_t code = hex_value(at + 1, digits);
    at += 1 + digits;
    if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u' && are_hex(at + 2, 4)) {
        const uint32_t trail = hex_value(at + 2, 4);
        if (trail >= 0xdc00 && trail < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (trail - 0xdc00);
            at += 6;
        }
    }
    *used += put_utf8(code, out + *used);
    return at;
}

/* \101 or \x41, with at pointing behind the backslash or the x; at most `most` digits. */
static const char *unquote_byte(const char *at, const char *end, unsigned base, unsigned most, char *byte)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < most && at < end && digit_value(*at) < base; i++)
        sum = sum * base + digit_value(*at++);
    *byte = (char)(sum & 0xff);
    return at;
}

size_t el_token_unquote(const struct el_token *token, char *out)
{
    const char *at = token->text + 1;
    const char *end = token->text + token->size - 1; /* the closing quote */
    size_t used = 0;
    while (at < end) {
        if (*at != '\\') {
            out[used++] = *at++;
            continue;
        }
        at++;
        if (digit_value(*at) < 8)
            at = unquote_byte(at, end, 8, 3, &out[used++]);
        else if (*at == 'x')
            at = unquote_byte(at + 1, end, 16, 2, &out[used++]);
        else if (*at == 'u' || *at == 'U')
            at = unquote_unicode(at, end, out, &used);
        else
            out[used++] = escaped(*at++);
    }
    return used;
}
