/* SPDX-License-Identifier: Apache-2.0 */
/* Strings of a text that was scanned: unescaping, and base64. */
#include "tensor/json.h"

#include <string.h>

static unsigned hex_value(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static unsigned hex4(const char *at)
{
    return hex_value(at[0]) << 12 | hex_value(at[1]) << 8 | hex_value(at[2]) << 4 | hex_value(at[3]);
}

/* Writes a character as UTF-8, a lone surrogate like any other, as RapidJSON; returns its bytes. */
static size_t put_utf8(unsigned code, char to[4])
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* The character that the escape at *at (a backslash) stands for; *at goes behind it. */
static size_t unescape(const char **at, char to[4])
{
    char c = (*at)[1];
    *at += 2;
    switch (c) {
    case 'b':
        to[0] = '\b';
        return 1;
    case 'f':
        to[0] = '\f';
        return 1;
    case 'n':
        to[0] = '\n';
        return 1;
    case 'r':
        to[0] = '\r';
        return 1;
    case 't':
        to[0] = '\t';
        return 1;
    case 'u':
        break;
    default:
        to[0] = c;
        return 1;
    }
    unsigned code = hex4(*at);
    *at += 4;
    if (code >= 0xd800 && code <= 0xdbff) {
        code = ((code - 0xd800) << 10 | (hex4(*at + 2) - 0xdc00)) + 0x10000;
        *at += 6;
    }
    return put_utf8(code, to);
}

/* Bytes from at up to the next quote or backslash. */
static size_t plain(const char *at)
{
    size_t size = 0;
    while (at[size] != '"' && at[size] != '\\')
        size++;
    return size;
}

size_t el_json_string_size(const char *string, const char **end)
{
    char character[4];
    size_t size = 0;
    const char *at = string + 1;
    for (;;) {
        size_t run = plain(at);
        size += run;
        at += run;
        if (*at == '"')
            break;
        size += unescape(&at, character);
    }
    if (end != NULL)
        *end = at + 1;
    return size;
}

size_t el_json_string_copy(const char *string, char *to, const char **end)
{
    char character[4];
    size_t size = 0;
    const char *at = string + 1;
    for (;;) {
        size_t run = plain(at);
        if (run > 0)
            memcpy(to + size, at, run);
        size += run;
        at += run;
        if (*at == '"')
            break;
        size_t more = unescape(&at, character);
        memcpy(to + size, character, more);
        size += more;
    }
    if (end != NULL)
        *end = at + 1;
    return size;
}

bool el_json_string_is(const char *string, const char *name, size_t name_size)
{
    char character[4];
    const char *at = string + 1;
    size_t done = 0;
    for (;;) {
        size_t run = plain(at);
        if (run > name_size - done || (run > 0 && memcmp(at, name + done, run) != 0))
            return false;
        done += run;
        at += run;
        if (*at == '"')
            return done == name_size;
        size_t more = unescape(&at, character);
        if (more > name_size - done || memcmp(character, name + done, more) != 0)
            return false;
        done += more;
    }
}

const char *el_json_base64_string(const char *value)
{
    if (*value != '{')
        return NULL;
    const char *name = el_json_first_member(value);
    if (name == NULL || !el_json_string_is(name, "b64", 3))
        return NULL;
    const char *string = el_json_member_value(name);
    return *string == '"' && el_json_next_member(string) == NULL ? string : NULL;
}

/* What a base64 character is: 1 to 64, its value and one; or one of these. */
enum { WRONG = 0, SPACE = 65, PADDING = 66 };

static const uint8_t base64_values[256] = {
    ['A'] = 1,      ['B'] = 2,       ['C'] = 3,       ['D'] = 4,     ['E'] = 5,      ['F'] = 6,      ['G'] = 7,
    ['H'] = 8,      ['I'] = 9,       ['J'] = 10,      ['K'] = 11,    ['L'] = 12,     ['M'] = 13,     ['N'] = 14,
    ['O'] = 15,     ['P'] = 16,      ['Q'] = 17,      ['R'] = 18,    ['S'] = 19,     ['T'] = 20,     ['U'] = 21,
    ['V'] = 22,     ['W'] = 23,      ['X'] = 24,      ['Y'] = 25,    ['Z'] = 26,     ['a'] = 27,     ['b'] = 28,
    ['c'] = 29,     ['d'] = 30,      ['e'] = 31,      ['f'] = 32,    ['g'] = 33,     ['h'] = 34,     ['i'] = 35,
    ['j'] = 36,     ['k'] = 37,      ['l'] = 38,      ['m'] = 39,    ['n'] = 40,     ['o'] = 41,     ['p'] = 42,
    ['q'] = 43,     ['r'] = 44,      ['s'] = 45,      ['t'] = 46,    ['u'] = 47,     ['v'] = 48,     ['w'] = 49,
    ['x'] = 50,     ['y'] = 51,      ['z'] = 52,      ['0'] = 53,    ['1'] = 54,     ['2'] = 55,     ['3'] = 56,
    ['4'] = 57,     ['5'] = 58,      ['6'] = 59,      ['7'] = 60,    ['8'] = 61,     ['9'] = 62,     ['+'] = 63,
    ['/'] = 64,     ['='] = PADDING, ['.'] = PADDING, [' '] = SPACE, ['\t'] = SPACE, ['\n'] = SPACE, ['\v'] = SPACE,
    ['\f'] = SPACE, ['\r'] = SPACE,
};

static unsigned base64_value(char c)
{
    return base64_values[(unsigned char)c];
}

/* The next character of a string, unescaped; '"' stands for its end, 0 for one that base64 does not have. */
static char next_character(const char **at)
{
    char character[4];
    if (**at == '"')
        return '"';
    if (**at != '\\')
        return *(*at)++;
    return unescape(at, character) == 1 && character[0] != '"' ? character[0] : '\0';
}

/*
 * As absl::Base64Unescape: the standard alphabet, white space anywhere, '.' as good as '=' for padding, and padding either
 * complete or left out. to may be NULL: only the size is wanted.
 */
struct base64 {
    const char *at;
    char *to; /* NULL: only the size is wanted */
    int64_t size;
};

static void put_three(struct base64 *base64, uint32_t bits)
{
    if (base64->to != NULL) {
        base64->to[base64->size] = (char)(bits >> 16);
        base64->to[base64->size + 1] = (char)(bits >> 8);
        base64->to[base64->size + 2] = (char)bits;
    }
    base64->size += 3;
}

/* Four plain characters at a time, as long as there are any. A quote, a backslash and the like are values of 0 or above 64. */
static void decode_fours(struct base64 *base64)
{
    for (;;) {
        uint32_t bits = 0;
        for (int i = 0; i < 4; i++) {
            unsigned value = base64_value(base64->at[i]) - 1;
            if (value > 63)
                return;
            bits = bits << 6 | value;
        }
        put_three(base64, bits);
        base64->at += 4;
    }
}

static int64_t base64_decode(const char *string, char *to)
{
    struct base64 base64 = { string + 1, to, 0 };
    uint32_t bits = 0;
    unsigned have = 0, padding = 0;
    for (;;) {
        if (have == 0 && padding == 0)
            decode_fours(&base64);
        char c = next_character(&base64.at);
        if (c == '"')
            break;
        unsigned value = base64_value(c);
        if (value == SPACE)
            continue;
        if (value == PADDING) {
            padding++;
            continue;
        }
        if (value == WRONG || padding > 0)
            return -1;
        bits = bits << 6 | (value - 1);
        if (++have < 4)
            continue;
        put_three(&base64, bits);
        have = 0;
        bits = 0;
    }
    static const unsigned wanted_padding[] = { 0, 0, 2, 1 };
    if (have == 1 || (padding != 0 && padding != wanted_padding[have]))
        return -1;
    bits <<= 6 * (4 - have);
    for (unsigned i = 1; i < have; i++) {
        if (to != NULL)
            to[base64.size] = (char)(bits >> (24 - 8 * i));
        base64.size++;
    }
    return base64.size;
}

int64_t el_json_base64_size(const char *string)
{
    return base64_decode(string, NULL);
}

void el_json_base64_copy(const char *string, char *to)
{
    base64_decode(string, to);
}
