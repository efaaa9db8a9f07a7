/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_op.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- StringToNumber ---- */

#define LONGEST_NUMBER 511

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(const char **text, size_t *size)
{
    while (*size > 0 && is_space((*text)[0])) {
        ++*text;
        --*size;
    }
    while (*size > 0 && is_space((*text)[*size - 1]))
        --*size;
}

/* Digits, point and exponent, hexadecimal whole numbers, "inf" and "nan": what TensorFlow's own parser takes. */
static bool read_float(const char *text, size_t size, bool single, double *number)
{
    char copy[LONGEST_NUMBER + 1];
    if (size > LONGEST_NUMBER)
        return false;
    trim(&text, &size);
    if (size == 0 || memchr(text, 0, size) != NULL)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    const char *digits = copy + (copy[0] == '-' || copy[0] == '+');
    const bool word = strcasecmp(digits, "inf") == 0 || strcasecmp(digits, "infinity") == 0 ||
                      strcasecmp(digits, "nan") == 0;
    const bool hex = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    const size_t letters = strspn(digits, hex ? "0123456789abcdefABCDEFxX" : "0123456789.eE+-");
    if (!word && digits[letters] != '\0')
        return false;
    char *end;
    *number = single ? (double)strtof(copy, &end) : strtod(copy, &end);
    return *end == '\0' && end != copy;
}

static bool read_integer(const char *text, size_t size, int64_t least, int64_t most, int64_t *number)
{
    trim(&text, &size);
    char copy[LONGEST_NUMBER + 1];
    if (size == 0 || size > LONGEST_NUMBER)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    const size_t sign = copy[0] == '-' || copy[0] == '+';
    if (copy[sign] == '\0' || strspn(copy + sign, "0123456789") != size - sign)
        return false;
    errno = 0;
    *number = strtoll(copy, NULL, 10);
    return errno == 0 && *number >= least && *number <= most;
}

static bool read_number(const char *text, size_t size, enum el_dtype type, void *to, size_t i)
{
    double number;
    int64_t whole;
    switch (type) {
    case EL_DOUBLE:
        if (!read_float(text, size, false, &number))
            return false;
        ((double *)to)[i] = number;
        return true;
    case EL_INT32:
        if (!read_integer(text, size, INT32_MIN, INT32_MAX, &whole))
            return false;
        ((int32_t *)to)[i] = (int32_t)whole;
        return true;
    case EL_INT64:
        if (!read_integer(text, size, INT64_MIN, INT64_MAX, &whole))
            return false;
        ((int64_t *)to)[i] = whole;
        return true;
    default:
        if (!read_float(text, size, true, &number))
            return false;
        ((float *)to)[i] = (float)number;
        return true;
    }
}

static struct el_status *make_to_number(const struct host_def *def, void **state)
{
    const enum el_dtype type = host_attr_type(def, "out_type", EL_FLOAT);
    if (type != EL_FLOAT && type != EL_DOUBLE && type != EL_INT32 && type != EL_INT64)
        return el_status_new(EL_UNIMPLEMENTED, "StringToNumber to %s", el_dtype_short_name(type));
    enum el_dtype *own = malloc(sizeof *own);
    if (own == NULL)
        return el_status_no_memory();
    *own = type;
    *state = own;
    return NULL;
}

static struct el_status *run_to_number(const struct host_call *call)
{
    const enum el_dtype type = *(const enum el_dtype *)call->state;
    const struct host_value *from = call->inputs[0];
    void *data;
    EL_TRY(host_value_make(type, &from->tensor.shape, &call->outputs[0], &data));
    for (size_t i = 0; i < from->elements; i++) {
        size_t size;
        const char *text = host_value_string(from, i, &size);
        if (!read_number(text, size, type, data, i))
            return el_status_new(EL_INVALID_ARGUMENT, "StringToNumberOp could not correctly convert string: %.*s",
                                 (int)size, text);
    }
    return NULL;
}

/* ---- AsString ---- */

struct format {
    char number[64]; /* for printf: of a double, or of a long long */
};

/* As TensorFlow puts it together: "%", fill, width, precision, and f, e or g; "d" or "u" for whole numbers. */
static struct el_status *make_as_string(const struct host_def *def, void **state)
{
    const enum el_dtype type = host_attr_type(def, "T", EL_DTYPE_INVALID);
    const int64_t width = host_attr_int(def, "width", -1), precision = host_attr_int(def, "precision", -1);
    const bool scientific = host_attr_bool(def, "scientific", false), shortest = host_attr_bool(def, "shortest", false);
    const struct el_span fill = host_attr_text(def, "fill", "");
    const bool whole = !el_dtype_is_floating(type);
    if (!el_dtype_is_data(type) || width > 99 || precision > 99 || fill.size > 1 || (scientific && shortest) ||
        (fill.size == 1 && strchr(" +-0#", fill.data[0]) == NULL) ||
        (whole && (scientific || shortest || precision >= 0)))
        return el_status_new(EL_UNIMPLEMENTED, "AsString of %s in this form", el_dtype_short_name(type));
    char size[16] = "", digits[16] = "";
    if (width > -1)
        snprintf(size, sizeof size, "%d", (int)width);
    if (precision > -1)
        snprintf(digits, sizeof digits, ".%d", (int)precision);
    struct format *format = malloc(sizeof *format);
    if (format == NULL)
        return el_status_no_memory();
    const bool has_sign = type != EL_UINT8 && type != EL_UINT16 && type != EL_UINT32 && type != EL_UINT64;
    const char *kind = !whole ? (scientific ? "e" : shortest ? "g" : "f") : has_sign ? "lld" : "llu";
    snprintf(format->number, sizeof format->number, "%%%.*s%s%s%s", (int)fill.size, fill.data, size, digits, kind);
    *state = format;
    return NULL;
}

/* The format was made for the argument's type by make_as_string. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void print_real(const struct format *format, double number, struct el_buf *buf)
{
    el_buf_printf(buf, format->number, number);
}

static void print_whole(const struct format *format, long long number, struct el_buf *buf)
{
    el_buf_printf(buf, format->number, number);
}
#pragma GCC diagnostic pop

static void print_element(const struct format *format, const struct host_value *from, size_t i, struct el_buf *buf)
{
    const void *data = from->tensor.data;
    size_t size;
    const char *text;
    switch (from->tensor.dtype) {
    case EL_STRING:
        text = host_value_string(from, i, &size);
        el_buf_append(buf, text, size);
        return;
    case EL_BOOL:
        el_buf_text(buf, ((const uint8_t *)data)[i] != 0 ? "true" : "false");
        return;
    case EL_INT64:
    case EL_UINT64:
        print_whole(format, ((const long long *)data)[i], buf);
        return;
    case EL_COMPLEX64:
    case EL_COMPLEX128:
        el_buf_byte(buf, '(');
        print_real(format, host_number(from, i), buf);
        el_buf_byte(buf, ',');
        print_real(format, host_imaginary(from, i), buf);
        el_buf_byte(buf, ')');
        return;
    default:
        if (el_dtype_is_floating(from->tensor.dtype))
            print_real(format, host_number(from, i), buf);
        else
            print_whole(format, (long long)host_number(from, i), buf);
    }
}

static struct el_status *run_as_string(const struct host_call *call)
{
    const struct host_value *from = call->inputs[0];
    struct host_strings strings;
    struct el_buf one = { 0 };
    struct el_status *status = host_strings_begin(&strings, &from->tensor.shape);
    for (size_t i = 0; status == NULL && i < from->elements; i++) {
        el_buf_clear(&one);
        print_element(call->state, from, i, &one);
        status = el_buf_status(&one);
        host_strings_add(&strings, one.data, one.size);
    }
    if (status == NULL)
        status = host_strings_end(&strings, &from->tensor.shape, &call->outputs[0]);
    host_strings_free(&strings);
    el_buf_free(&one);
    return status;
}

const struct host_op host_format_ops[] = {
    { .name = "StringToNumber",
      .type_attr = "out_type",
      .type = EL_FLOAT,
      .shape_of = 1,
      .inputs = 1,
      .first_type = EL_STRING,
      .make = make_to_number,
      .run = run_to_number },
    { .name = "AsString",
      .type = EL_STRING,
      .shape_of = 1,
      .inputs = 1,
      .first_attr = "T",
      .make = make_as_string,
      .run = run_as_string },
    { .name = NULL },
};
