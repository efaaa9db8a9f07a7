/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A value of a request as the messages of TensorFlow Serving show it: by
 * RapidJSON's PrettyWriter with four blanks, cut before the first thing that
 * would start beyond 256 bytes.
 *
 * A float or double on its own is printed as in answers (as a float, if it is in
 * the range of one); inside lists and objects by RapidJSON's own rule, the shortest digits
 * that read back. PrettyWriter refuses NaN and infinities: the text ends there.
 */
#include "tensor/json.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 256
#define MAX_DEPTH 64 /* the indentation alone fills 256 bytes at a depth of 12 */

/* Lays out 0.digits * 10^point. */
static void lay_out(struct el_buf *buf, const char *digits, int count, int point)
{
    if (count <= point && point <= 21) {
        el_buf_append(buf, digits, (size_t)count);
        for (int i = count; i < point; i++)
            el_buf_byte(buf, '0');
        el_buf_text(buf, ".0");
    } else if (0 < point && point <= 21) {
        el_buf_append(buf, digits, (size_t)point);
        el_buf_byte(buf, '.');
        el_buf_append(buf, digits + point, (size_t)(count - point));
    } else if (-6 < point && point <= 0) {
        el_buf_text(buf, "0.");
        for (int i = point; i < 0; i++)
            el_buf_byte(buf, '0');
        el_buf_append(buf, digits, (size_t)count);
    } else {
        el_buf_append(buf, digits, 1);
        if (count > 1)
            el_buf_byte(buf, '.');
        el_buf_append(buf, digits + 1, (size_t)(count - 1));
        el_buf_printf(buf, "e%d", point - 1);
    }
}

static void put_shortest(struct el_buf *buf, double value)
{
    char text[40], digits[24];
    if (value == 0) {
        el_buf_text(buf, signbit(value) ? "-0.0" : "0.0");
        return;
    }
    if (value < 0)
        el_buf_byte(buf, '-');
    value = fabs(value);
    for (int precision = 0; precision <= 16; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    int count = 0;
    const char *at = text;
    for (; *at != 'e' && *at != '\0'; at++) {
        if (*at != '.')
            digits[count++] = *at;
    }
    lay_out(buf, digits, count, *at == 'e' ? (int)strtol(at + 1, NULL, 10) + 1 : count);
}

static bool put_number(struct el_buf *buf, const char *value, bool alone)
{
    struct el_json_number number;
    el_json_number(value, &number);
    switch (number.kind) {
    case EL_JSON_NEGATIVE:
        el_json_put_int(buf, number.negative);
        return true;
    case EL_JSON_POSITIVE:
        el_json_put_uint(buf, number.positive);
        return true;
    case EL_JSON_DOUBLE:
        break;
    }
    if (alone && number.real >= (double)-FLT_MAX && number.real <= (double)FLT_MAX)
        el_json_put_float(buf, (float)number.real);
    else if (alone)
        el_json_put_double(buf, number.real);
    else if (!isfinite(number.real))
        return false;
    else
        put_shortest(buf, number.real);
    return true;
}

static bool put_string(struct el_buf *buf, const char *string)
{
    size_t size = el_json_string_size(string, NULL);
    char *copy = malloc(size + 1);
    if (copy == NULL)
        return false;
    el_json_string_copy(string, copy, NULL);
    el_json_put_string(buf, copy, size);
    free(copy);
    return true;
}

static bool put_scalar(struct el_buf *buf, const char *value, bool alone)
{
    switch (el_json_type(value)) {
    case EL_JSON_NULL:
        el_buf_text(buf, "null");
        return true;
    case EL_JSON_FALSE:
        el_buf_text(buf, "false");
        return true;
    case EL_JSON_TRUE:
        el_buf_text(buf, "true");
        return true;
    case EL_JSON_STRING:
        return put_string(buf, value);
    default:
        return put_number(buf, value, alone);
    }
}

static void new_line(struct el_buf *buf, int depth)
{
    el_buf_byte(buf, '\n');
    for (int i = 0; i < depth; i++)
        el_buf_text(buf, "    ");
}

struct walk {
    struct el_buf *buf;
    size_t start;
    int depth;
    bool object[MAX_DEPTH];
};

static bool in_limit(const struct walk *walk)
{
    return walk->buf->size - walk->start < LIMIT && !walk->buf->failed;
}

/*
 * Prints the name of the member at `at`, and gives its value; or the element itself, which is then to be printed: the limit is looked
 * at before what separates a thing from the one before. NULL: it is reached.
 */
static const char *put_entry(struct walk *walk, const char *at, bool first)
{
    if (!in_limit(walk))
        return NULL;
    if (!first)
        el_buf_byte(walk->buf, ',');
    new_line(walk->buf, walk->depth);
    if (!walk->object[walk->depth - 1])
        return at;
    if (!put_string(walk->buf, at) || !in_limit(walk))
        return NULL;
    el_buf_text(walk->buf, ": ");
    return el_json_member_value(at);
}

/* Goes up from a value that ends before `end` to the next one that is to be printed; NULL: there is none. */
static const char *next_entry(struct walk *walk, const char *end)
{
    while (walk->depth > 0) {
        const char *next = el_json_next_after(end);
        if (next != NULL)
            return put_entry(walk, next, false);
        if (!in_limit(walk))
            return NULL;
        while (*end != ']' && *end != '}')
            end++; /* white space */
        end++;
        new_line(walk->buf, --walk->depth);
        el_buf_byte(walk->buf, walk->object[walk->depth] ? '}' : ']');
    }
    return NULL;
}

void el_json_print_debug(struct el_buf *buf, const char *value)
{
    struct walk walk = { .buf = buf, .start = buf->size };
    while (value != NULL) {
        bool object = *value == '{';
        if (!object && *value != '[') {
            if (!put_scalar(buf, value, walk.depth == 0))
                return;
            value = next_entry(&walk, el_json_skip(value));
            continue;
        }
        const char *first = object ? el_json_first_member(value) : el_json_first(value);
        el_buf_byte(buf, object ? '{' : '[');
        if (first != NULL) {
            if (walk.depth == MAX_DEPTH)
                return;
            walk.object[walk.depth++] = object;
            value = put_entry(&walk, first, true);
        } else if (in_limit(&walk)) {
            el_buf_byte(buf, object ? '}' : ']');
            value = next_entry(&walk, el_json_skip(value));
        } else {
            return;
        }
    }
}

struct el_status *el_json_value_error(const char *value, const char *format, ...)
{
    struct el_buf text = { 0 };
    va_list args;
    el_buf_text(&text, "JSON Value: ");
    el_json_print_debug(&text, value);
    va_start(args, format);
    el_buf_vprintf(&text, format, args);
    va_end(args);
    el_buf_byte(&text, 0);
    struct el_status *status = text.failed ? el_status_no_memory()
                                           : el_status_new(EL_INVALID_ARGUMENT, "%s", (const char *)text.data);
    el_buf_free(&text);
    return status;
}

struct el_status *el_json_want_object(const struct el_json *json)
{
    if (*json->root == '{')
        return NULL;
    /* A number may end with the text: what reads it wants something behind it. */
    size_t size = (size_t)(json->end - json->root);
    char *copy = malloc(size + 1);
    if (copy == NULL)
        return el_status_no_memory();
    memcpy(copy, json->root, size);
    copy[size] = '\0';
    struct el_status *status = el_json_value_error(copy, " Is not object");
    free(copy);
    return status;
}
