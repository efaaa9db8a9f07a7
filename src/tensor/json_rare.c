/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/json_rare.h"

#include <stdint.h>

static const char bad_hex[] = "Incorrect hex digit after \\u escape in string.";
static const char bad_surrogate[] = "The surrogate pair in string is invalid.";

static char peek(const char *at, const char *end)
{
    return at < end ? *at : '\0';
}

static bool consume(const char **at, const char *end, char wanted)
{
    if (peek(*at, end) != wanted)
        return false;
    ++*at;
    return true;
}

static bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* ---- numbers ---- */

/*
 * RapidJSON's limits on size, which are not those of a double: while an integer that does not fit 64 bits is read, the
 * value so far must stay below DBL_MAX / 10; and an exponent may be at most 308 plus the digits of the fraction that
 * went into the significand (those up to 2^53, and up to 17 in all). Only called for numbers that are long or have a large exponent.
 */
bool el_json_number_too_big(const char *at, const char *end)
{
    const double limit = 1.7976931348623157e307;
    uint64_t whole = 0;
    double d = 0;
    int significant = 0, fraction = 0, exponent = 0;
    bool is_double = false, minus = *at == '-';
    at += minus;
    bool leading = *at != '0';
    for (const char *start = at; at < end && is_digit(*at); at++) {
        unsigned digit = (unsigned)(*at - '0');
        uint64_t next;
        if (!is_double && (__builtin_mul_overflow(whole, UINT64_C(10), &next) ||
                           __builtin_add_overflow(next, digit, &next) || (minus && next > UINT64_C(1) << 63))) {
            is_double = true;
            d = (double)whole;
        }
        if (is_double) {
            if (d >= limit)
                return true;
            d = d * 10 + digit;
        } else {
            whole = next;
            significant += leading && at > start;
        }
    }
    if (at < end && *at == '.') {
        at++;
        for (; at < end && is_digit(*at) && !is_double && whole <= (UINT64_C(1) << 53) - 1; at++) {
            whole = whole * 10 + (unsigned)(*at - '0');
            fraction--;
            significant += whole != 0;
        }
        d = is_double ? d : (double)whole;
        for (; at < end && is_digit(*at); at++) {
            if (significant >= 17)
                continue;
            d = d * 10 + (*at - '0');
            fraction--;
            significant += d > 0;
        }
    }
    if (at == end || (*at != 'e' && *at != 'E') || at[1] == '-')
        return false;
    at += at[1] == '+' ? 2 : 1;
    exponent = *at++ - '0';
    for (; at < end && is_digit(*at); at++) {
        exponent = exponent * 10 + (*at - '0');
        if (exponent > 308 - fraction)
            return true;
    }
    return false;
}

bool el_json_not_finite(const char **at, const char *end)
{
    if (consume(at, end, 'N'))
        return consume(at, end, 'a') && consume(at, end, 'N');
    if (!(consume(at, end, 'I') && consume(at, end, 'n') && consume(at, end, 'f')))
        return false;
    if (peek(*at, end) != 'i')
        return true;
    for (const char *rest = "inity"; *rest != '\0'; rest++)
        if (!consume(at, end, *rest))
            return false;
    return true;
}

/* ---- strings ---- */

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static bool take_hex(const char **at, const char *end, unsigned *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        int value = hex_value(peek(*at, end));
        if (value < 0)
            return false;
        *code = *code << 4 | (unsigned)value;
        ++*at;
    }
    return true;
}

const char *el_json_escape(const char **at, const char *end)
{
    unsigned code;
    ++*at;
    switch (peek(*at, end)) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        ++*at;
        return NULL;
    case 'u':
        break;
    default:
        return EL_JSON_BAD_ESCAPE;
    }
    ++*at;
    if (!take_hex(at, end, &code))
        return bad_hex;
    if (code < 0xd800 || code > 0xdbff)
        return NULL;
    if (!consume(at, end, '\\') || !consume(at, end, 'u'))
        return bad_surrogate;
    if (!take_hex(at, end, &code))
        return bad_hex;
    return code < 0xdc00 || code > 0xdfff ? bad_surrogate : NULL;
}
