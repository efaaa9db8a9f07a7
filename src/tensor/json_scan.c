/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks a JSON text with one walk and no recursion. The grammar, what it lets
 * through beyond it, the texts of errors and their offsets are those of RapidJSON
 * 1.1.0's iterative parser with kParseNanAndInfFlag and kParseStopWhenDoneFlag,
 * behind an EncodedInputStream<UTF8<>, MemoryStream>. To it the end of the text and
 * a NUL byte are the same.
 *
 * What it must remember of each open bracket is one bit: object or array.
 */
#include "tensor/json.h"
#include "tensor/json_rare.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FEW_WORDS 64 /* nesting of 4096 without an allocation */

struct scan {
    const char *at;
    const char *end;
    const char *error; /* text; NULL while all is well */
    const char *error_at;
    uint64_t *open; /* bit n: bracket n opened an object */
    size_t depth, room;
    struct el_json *json;
    uint64_t few[FEW_WORDS];
};

static const char empty[] = "The document is empty.";
static const char invalid[] = "Invalid value.";
static const char no_name[] = "Missing a name for object member.";
static const char no_colon[] = "Missing a colon after a name of object member.";
static const char no_curly[] = "Missing a comma or '}' after an object member.";
static const char no_square[] = "Missing a comma or ']' after an array element.";
static const char no_quote[] = "Missing a closing quotation mark in string.";
static const char too_big[] = "Number too big to be stored in double.";
static const char no_fraction[] = "Miss fraction part in number.";
static const char no_exponent[] = "Miss exponent in number.";

static bool fail(struct scan *scan, const char *error, const char *at)
{
    scan->error = error;
    scan->error_at = at;
    return false;
}

static inline char peek(const struct scan *scan)
{
    return scan->at < scan->end ? *scan->at : '\0';
}

static inline bool consume(struct scan *scan, char wanted)
{
    if (peek(scan) != wanted)
        return false;
    scan->at++;
    return true;
}

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline void skip_space(struct scan *scan)
{
    if (scan->at < scan->end && (unsigned char)*scan->at > ' ')
        return;
    while (scan->at < scan->end && (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
        scan->at++;
}

/* Passes over digits, eight at a time: a byte of x is below 10 for a digit, and adding 0x76 then leaves its top bit clear. */
static inline void skip_digits(struct scan *scan)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (scan->end - scan->at >= 8) {
        uint64_t x;
        memcpy(&x, scan->at, sizeof x);
        x ^= UINT64_C(0x3030303030303030);
        uint64_t other = ((x + UINT64_C(0x7676767676767676)) | x) & UINT64_C(0x8080808080808080);
        if (other != 0) {
            scan->at += __builtin_ctzll(other) / 8;
            return;
        }
        scan->at += 8;
    }
#endif
    while (is_digit(peek(scan)))
        scan->at++;
}

/* An error is where the word goes wrong. */
static bool scan_not_finite(struct scan *scan)
{
    return el_json_not_finite(&scan->at, scan->end) || fail(scan, invalid, scan->at);
}

static bool scan_number(struct scan *scan)
{
    const char *start = scan->at;
    size_t exponent_digits = 0;
    consume(scan, '-');
    char c = peek(scan);
    if (c == '0') {
        scan->at++;
    } else if (is_digit(c)) {
        do
            scan->at++; /* most have one or two digits here */
        while (is_digit(peek(scan)));
    } else if (c == 'N' || c == 'I') {
        return scan_not_finite(scan);
    } else {
        return fail(scan, invalid, scan->at);
    }
    size_t whole_digits = (size_t)(scan->at - start);
    if (consume(scan, '.')) {
        if (!is_digit(peek(scan)))
            return fail(scan, no_fraction, scan->at);
        skip_digits(scan);
    }
    if (consume(scan, 'e') || consume(scan, 'E')) {
        if (!consume(scan, '+'))
            consume(scan, '-');
        if (!is_digit(peek(scan)))
            return fail(scan, no_exponent, scan->at);
        const char *first = scan->at;
        skip_digits(scan);
        exponent_digits = (size_t)(scan->at - first);
    }
    if ((whole_digits > 300 || exponent_digits > 2) && el_json_number_too_big(start, scan->at))
        return fail(scan, too_big, start);
    return true;
}

static bool scan_escape(struct scan *scan)
{
    const char *start = scan->at;
    const char *error = el_json_escape(&scan->at, scan->end);
    return error == NULL || fail(scan, error, start);
}

static bool scan_string(struct scan *scan)
{
    scan->at++;
    for (;;) {
        while (scan->at < scan->end && *scan->at != '"' && *scan->at != '\\' && (unsigned char)*scan->at >= 0x20)
            scan->at++;
        char c = peek(scan);
        if (c == '"') {
            scan->at++;
            return true;
        }
        if (c == '\0')
            return fail(scan, no_quote, scan->at);
        if (c != '\\')
            return fail(scan, EL_JSON_BAD_ESCAPE, scan->at);
        if (!scan_escape(scan))
            return false;
    }
}

/* The rest of true, false, null. */
static bool scan_word(struct scan *scan, const char *rest)
{
    scan->at++;
    for (; *rest != '\0'; rest++) {
        if (!consume(scan, *rest))
            return fail(scan, invalid, scan->at);
    }
    return true;
}

/* False when memory is short: error stays NULL then. */
static bool push(struct scan *scan, bool object)
{
    size_t word = scan->depth / 64;
    if (word == scan->room) {
        assert(scan->room >= FEW_WORDS);
        uint64_t *more = realloc(scan->open == scan->few ? NULL : scan->open, scan->room * 2 * sizeof *more);
        if (more == NULL)
            return false;
        if (scan->open == scan->few)
            memcpy(more, scan->few, sizeof scan->few);
        scan->open = more;
        scan->room *= 2;
    }
    if (scan->depth % 64 == 0)
        scan->open[word] = 0;
    uint64_t bit = UINT64_C(1) << (scan->depth % 64);
    scan->open[word] = object ? scan->open[word] | bit : scan->open[word] & ~bit;
    scan->depth++;
    return true;
}

static bool in_object(const struct scan *scan)
{
    size_t top = scan->depth - 1;
    return (scan->open[top / 64] >> (top % 64) & 1) != 0;
}

static struct el_json_member *last_top(struct scan *scan)
{
    size_t count = scan->json->top_count;
    return count == 0 || count > EL_JSON_TOP ? NULL : &scan->json->top[count - 1];
}

/* The name of a member and its colon. */
static bool scan_name(struct scan *scan)
{
    const char *name = scan->at;
    if (peek(scan) != '"')
        return fail(scan, no_name, scan->at);
    if (!scan_string(scan))
        return false;
    skip_space(scan);
    if (peek(scan) != ':')
        return fail(scan, no_colon, scan->at);
    scan->at++;
    skip_space(scan);
    if (scan->depth == 1) {
        scan->json->top_count++;
        struct el_json_member *member = last_top(scan);
        if (member != NULL)
            *member = (struct el_json_member){ name, scan->at, 0 };
    }
    return true;
}

static bool scan_scalar(struct scan *scan, char c)
{
    switch (c) {
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, "rue");
    case 'f':
        return scan_word(scan, "alse");
    case 'n':
        return scan_word(scan, "ull");
    default:
        return scan_number(scan);
    }
}

/* What follows a value: true if another value (its name read, in an object) is to come; otherwise all is done or wrong. */
static bool scan_after(struct scan *scan)
{
    while (scan->depth > 0) {
        bool object = in_object(scan);
        skip_space(scan);
        char c = peek(scan);
        if (c == ',') {
            scan->at++;
            skip_space(scan);
            if (scan->depth == 2 && !object && last_top(scan) != NULL)
                last_top(scan)->count++;
            return !object || scan_name(scan);
        }
        if (c != (object ? '}' : ']'))
            return fail(scan, object ? no_curly : no_square, scan->at);
        scan->at++;
        scan->depth--;
    }
    return false;
}

/* Passes over the bracket that opens an object (and then the first name) or array. *closed: it was empty. */
static bool scan_open(struct scan *scan, bool object, bool *closed)
{
    if (!push(scan, object))
        return false;
    scan->at++;
    skip_space(scan);
    *closed = consume(scan, object ? '}' : ']');
    if (*closed)
        scan->depth--;
    else if (object)
        return scan_name(scan);
    else if (scan->depth == 2 && last_top(scan) != NULL)
        last_top(scan)->count = 1;
    return true;
}

/*
 * Numbers of a list, as long as number follows number: what most of a long request is. True if the last was followed by
 * a comma, so that a value must come; else an error or the end of the list may follow.
 */
static bool scan_numbers(struct scan *scan, bool *more)
{
    size_t count = 0;
    *more = false;
    for (;;) {
        if (!scan_number(scan))
            return false;
        skip_space(scan);
        if (!consume(scan, ','))
            break;
        count++;
        skip_space(scan);
        char c = peek(scan);
        if (!is_digit(c) && c != '-') {
            *more = true;
            break;
        }
    }
    if (scan->depth == 2 && last_top(scan) != NULL)
        last_top(scan)->count += count;
    return true;
}

/* Everything up to the end of the first value. */
static bool scan_value(struct scan *scan)
{
    for (;;) {
        char c = peek(scan);
        if (c == '[' || c == '{') {
            bool closed;
            if (!scan_open(scan, c == '{', &closed))
                return false;
            if (!closed)
                continue;
        } else if ((is_digit(c) || c == '-') && scan->depth > 0 && !in_object(scan)) {
            bool more;
            if (!scan_numbers(scan, &more))
                return false;
            if (more)
                continue;
        } else if (!scan_scalar(scan, c)) {
            return false;
        }
        if (!scan_after(scan))
            return scan->error == NULL;
    }
}

/* Each byte of a byte order mark is passed over when it stands where it belongs. */
static void skip_mark(struct scan *scan)
{
    consume(scan, (char)0xef);
    consume(scan, (char)0xbb);
    consume(scan, (char)0xbf);
}

static bool scan_document(struct scan *scan)
{
    skip_mark(scan);
    skip_space(scan);
    scan->json->root = scan->at;
    char c = peek(scan);
    if (c == '\0' || c == '}' || c == ']' || c == ',' || c == ':')
        return fail(scan, empty, scan->at);
    return scan_value(scan);
}

struct el_status *el_json_scan(const char *text, size_t size, struct el_json *json)
{
    if (size == 0)
        return el_status_new(EL_INVALID_ARGUMENT, "JSON Parse error: The document is empty");
    struct scan scan;
    scan.at = text;
    scan.end = text + size;
    scan.error = NULL;
    scan.error_at = NULL;
    scan.open = scan.few;
    scan.depth = 0;
    scan.room = FEW_WORDS;
    scan.json = json;
    json->text = text;
    json->top_count = 0;

    bool good = scan_document(&scan);
    if (scan.open != scan.few)
        free(scan.open);
    if (good) {
        json->end = scan.at;
        return NULL;
    }
    if (scan.error == NULL)
        return el_status_no_memory();
    return el_status_new(EL_INVALID_ARGUMENT, "JSON Parse error: %s at offset: %zu", scan.error,
                         (size_t)(scan.error_at - text));
}
