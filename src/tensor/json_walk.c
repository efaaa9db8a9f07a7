/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walking over JSON that el_json_scan() has let through. Nothing is checked again:
 * every loop here ends at a bracket, quote or comma that the scan has seen.
 */
#include "tensor/json.h"

#include <string.h>

static inline const char *skip_space(const char *at)
{
    if ((unsigned char)*at > ' ')
        return at;
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
        at++;
    return at;
}

enum el_json_type el_json_type(const char *value)
{
    switch (*value) {
    case 'n':
        return EL_JSON_NULL;
    case 'f':
        return EL_JSON_FALSE;
    case 't':
        return EL_JSON_TRUE;
    case '{':
        return EL_JSON_OBJECT;
    case '[':
        return EL_JSON_ARRAY;
    case '"':
        return EL_JSON_STRING;
    default:
        return EL_JSON_NUMBER;
    }
}

const char *el_json_type_name(enum el_json_type type)
{
    static const char *const names[] = { "Null", "False", "True", "Object", "Array", "String", "Number" };
    return names[type];
}

static const char *skip_string(const char *at)
{
    for (at++; *at != '"'; at++) {
        if (*at == '\\')
            at++;
    }
    return at + 1;
}

static const char *skip_brackets(const char *at)
{
    size_t depth = 0;
    for (;;) {
        switch (*at) {
        case '"':
            at = skip_string(at);
            continue;
        case '[':
        case '{':
            depth++;
            break;
        case ']':
        case '}':
            if (--depth == 0)
                return at + 1;
            break;
        default:
            break;
        }
        at++;
    }
}

const char *el_json_skip(const char *value)
{
    switch (*value) {
    case '"':
        return skip_string(value);
    case '[':
    case '{':
        return skip_brackets(value);
    default:
        while (*value != ',' && *value != ']' && *value != '}' && *value != ' ' && *value != '\n' && *value != '\r' &&
               *value != '\t' && *value != '\0')
            value++;
        return value;
    }
}

const char *el_json_first(const char *array)
{
    const char *at = skip_space(array + 1);
    return *at == ']' ? NULL : at;
}

const char *el_json_next_after(const char *at)
{
    at = skip_space(at);
    return *at == ',' ? skip_space(at + 1) : NULL;
}

const char *el_json_next(const char *element)
{
    return el_json_next_after(el_json_skip(element));
}

size_t el_json_count(const char *value)
{
    const char *at = skip_space(value + 1);
    if (*at == ']' || *at == '}')
        return 0;
    size_t count = 1;
    for (;;) {
        switch (*at) {
        case '"':
            at = skip_string(at);
            continue;
        case '[':
        case '{':
            at = skip_brackets(at);
            continue;
        case ']':
        case '}':
            return count;
        case ',':
            count++;
            break;
        default:
            break;
        }
        at++;
    }
}

static size_t count_commas(const char *at, const char *end)
{
    size_t commas = 0;
    for (; end - at >= 8; at += 8) {
        uint64_t x;
        memcpy(&x, at, sizeof x);
        x ^= UINT64_C(0x2c2c2c2c2c2c2c2c); /* a comma is a byte of 0 now; below, its top bit is the only one set */
        uint64_t zeros = ~(((x & UINT64_C(0x7f7f7f7f7f7f7f7f)) + UINT64_C(0x7f7f7f7f7f7f7f7f)) | x |
                           UINT64_C(0x7f7f7f7f7f7f7f7f));
        commas += (size_t)((zeros >> 7) * UINT64_C(0x0101010101010101) >> 56); /* the sum of the bytes */
    }
    for (; at < end; at++)
        commas += *at == ',';
    return commas;
}

/* A list that holds neither lists, objects nor strings has as many commas as elements, less one: memchr() is faster than a walk. */
size_t el_json_count_before(const char *array, const char *end)
{
    const char *close = memchr(array, ']', (size_t)(end - array));
    if (close == NULL)
        return el_json_count(array);
    size_t size = (size_t)(close - array - 1);
    if (memchr(array + 1, '[', size) != NULL || memchr(array + 1, '"', size) != NULL ||
        memchr(array + 1, '{', size) != NULL)
        return el_json_count(array);
    if (*skip_space(array + 1) == ']')
        return 0;
    return count_commas(array + 1, close) + 1;
}

const char *el_json_first_member(const char *object)
{
    const char *at = skip_space(object + 1);
    return *at == '}' ? NULL : at;
}

const char *el_json_member_value(const char *name)
{
    return skip_space(skip_space(skip_string(name)) + 1);
}

const char *el_json_next_member(const char *value)
{
    return el_json_next(value);
}

const char *el_json_find(const char *object, const char *name, size_t name_size)
{
    const char *member = el_json_first_member(object);
    while (member != NULL) {
        const char *value = el_json_member_value(member);
        if (el_json_string_is(member, name, name_size))
            return value;
        member = el_json_next_member(value);
    }
    return NULL;
}

const char *el_json_top(const struct el_json *json, const char *name, size_t name_size, size_t *count)
{
    for (size_t i = 0; i < json->top_count && i < EL_JSON_TOP; i++) {
        if (!el_json_string_is(json->top[i].name, name, name_size))
            continue;
        if (count != NULL)
            *count = json->top[i].count;
        return json->top[i].value;
    }
    if (json->top_count <= EL_JSON_TOP)
        return NULL;
    const char *value = json->top[EL_JSON_TOP - 1].value;
    const char *member = el_json_next_member(value);
    while (member != NULL) {
        value = el_json_member_value(member);
        if (el_json_string_is(member, name, name_size)) {
            if (count != NULL)
                *count = *value == '[' ? el_json_count(value) : 0;
            return value;
        }
        member = el_json_next_member(value);
    }
    return NULL;
}
