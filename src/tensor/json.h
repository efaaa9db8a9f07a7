/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_JSON_H
#define EL_TENSOR_JSON_H

/*
 * JSON text, read in place as RapidJSON reads it for TensorFlow Serving: no
 * tree is built. el_json_scan() checks the whole text once; after that a value is
 * the address where it begins, and the functions here walk from value to value
 * without checking again.
 *
 * Pure; any thread; memory only for el_json_scan()'s nesting beyond 4096 levels
 * and for texts of errors. No recursion.
 *
 * As RapidJSON 1.1 with NaN and Inf: a UTF-8 BOM is passed over; NaN, Inf and
 * Infinity (with a minus) are numbers; text behind the first value is ignored;
 * of members with the same name the first counts; UTF-8 is not checked.
 */

#include "base/buf.h"
#include "base/status.h"
#include "tensor/wire.h"

#include <stdbool.h>
#include <stdint.h>

enum el_json_type {
    EL_JSON_NULL,
    EL_JSON_FALSE,
    EL_JSON_TRUE,
    EL_JSON_OBJECT,
    EL_JSON_ARRAY,
    EL_JSON_STRING,
    EL_JSON_NUMBER
};

/* A member of the outermost object. */
struct el_json_member {
    const char *name; /* its string */
    const char *value;
    size_t count; /* elements, if value is an array */
};

#define EL_JSON_TOP 8 /* members of the outermost object that are remembered */

/* A whole text that was scanned. */
struct el_json {
    const char *text;
    const char *end;                        /* behind the first value: everything in [root, end) is valid JSON */
    const char *root;                       /* the first value */
    struct el_json_member top[EL_JSON_TOP]; /* the first members, so that nobody walks over a long value to find them */
    size_t top_count;                       /* how many there are in all */
};

/* Checks text. INVALID_ARGUMENT "JSON Parse error: <what> at offset: <n>". The text must stay. */
struct el_status *el_json_scan(const char *text, size_t size, struct el_json *json) EL_MUST_USE;

/* The first member called name of the outermost object: its value, or NULL. *count (may be NULL): its elements, if an array. */
const char *el_json_top(const struct el_json *json, const char *name, size_t name_size, size_t *count);

/* INVALID_ARGUMENT "JSON Value: <root> Is not object", if it is none. */
struct el_status *el_json_want_object(const struct el_json *json) EL_MUST_USE;

/*
 * From here on a value is an address inside an object or array that was scanned (or a text that ends with a NUL behind
 * the value).
 */
enum el_json_type el_json_type(const char *value);

/* "Null", "False", "True", "Object", "Array", "String", "Number". */
const char *el_json_type_name(enum el_json_type type);

/* Behind the value. */
const char *el_json_skip(const char *value);

/* Walks an array: `at` is an element or NULL when there is none (left). */
const char *el_json_first(const char *array);
const char *el_json_next(const char *element); /* element is the address of an element; passes over it */

/* When the end of the element is known already: at is el_json_skip(element). */
const char *el_json_next_after(const char *at);

/* Number of elements of an array, or of members of an object. */
size_t el_json_count(const char *value);

/* The same for an array that lies before end, faster for long lists of numbers. */
size_t el_json_count_before(const char *array, const char *end);

/* Walks an object: name is the address of a member's name (a string), or NULL; its value is at el_json_member_value(name). */
const char *el_json_first_member(const char *object);
const char *el_json_member_value(const char *name);
const char *el_json_next_member(const char *value); /* value of the member before */

/* The value of the first member called name, or NULL. */
const char *el_json_find(const char *object, const char *name, size_t name_size);

/* True if the string is, unescaped, the bytes of name. */
bool el_json_string_is(const char *string, const char *name, size_t name_size);

/* Bytes of the string once unescaped; and the unescaping, into at least so many bytes. *end (may be NULL): behind the string. */
size_t el_json_string_size(const char *string, const char **end);
size_t el_json_string_copy(const char *string, char *to, const char **end);

/* A number as RapidJSON keeps it: integers without '.', 'e' that fit are integers, everything else is a double. */
struct el_json_number {
    enum { EL_JSON_DOUBLE, EL_JSON_NEGATIVE, EL_JSON_POSITIVE } kind;
    double real;      /* of every kind */
    int64_t negative; /* NEGATIVE: below zero */
    uint64_t positive;
};

/* Reads a number; returns behind it. Doubles are rounded correctly. */
const char *el_json_number(const char *value, struct el_json_number *number);

/* The same as a float or double of whatever kind, for long lists: end is the end of the text (NULL: not known, slower). */
const char *el_json_number_float(const char *value, const char *end, float *number);
const char *el_json_number_double(const char *value, const char *end, double *number);

/* {"b64": "..."} and nothing else: the string, or NULL. */
const char *el_json_base64_string(const char *value);

/* Bytes that such a string decodes to, or -1 ("Unable to base64 decode"); then decodes into that many. */
int64_t el_json_base64_size(const char *string);
void el_json_base64_copy(const char *string, char *to);

/* "JSON Value: <value>" as TensorFlow Serving's messages show it: pretty, cut once it has 256 bytes. Appends. */
void el_json_print_debug(struct el_buf *buf, const char *value);

/* INVALID_ARGUMENT "JSON Value: <value><format...>". */
struct el_status *el_json_value_error(const char *value, const char *format, ...)
    __attribute__((format(printf, 2, 3))) EL_MUST_USE;

/* ---- writing ---- */

#define EL_JSON_NUMBER_SIZE 40 /* bytes that a number takes at most */

/* Writes a number as TensorFlow Serving prints it: %.6g if that reads back as the same, else %.9g (double: %.17g); ".0" where
 * it would look like an integer; NaN, Infinity. There is room for EL_JSON_NUMBER_SIZE. Returns the byte behind it. */
char *el_json_format_float(char *to, float value);
char *el_json_format_double(char *to, double value);
char *el_json_format_int(char *to, int64_t value);
char *el_json_format_uint(char *to, uint64_t value);

/* Appends the bytes as a JSON string with its quotes, escaped as RapidJSON does (UTF-8 is not checked). */
void el_json_put_string(struct el_buf *buf, const char *bytes, size_t size);

/* Append the same. */
void el_json_put_float(struct el_buf *buf, float value);
void el_json_put_double(struct el_buf *buf, double value);
void el_json_put_int(struct el_buf *buf, int64_t value);
void el_json_put_uint(struct el_buf *buf, uint64_t value);

/* Appends the base64 of bytes with its quotes. */
void el_json_put_base64(struct el_buf *buf, const char *bytes, size_t size);

/* Appends the body of an error: {\n    "error": "<message>"\n}, no final newline. */
void el_json_put_error(struct el_buf *buf, const char *message);

#endif
