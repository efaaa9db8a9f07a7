/* SPDX-License-Identifier: Apache-2.0 */
#include "config/hint.h"

#include <stdio.h>
#include <string.h>

#define MAX_NAME 48 /* longer names get no hint */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/*
 * Edits from a to b: letters inserted, dropped, replaced or two neighbours swapped (optimal string alignment). Case
 * counts for nothing. Both are at most MAX_NAME long.
 */
static unsigned distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    unsigned rows[3][MAX_NAME + 1];
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            const bool same = lower(a[i - 1]) == lower(b[j - 1]);
            unsigned least = above[j - 1] + (same ? 0 : 1);
            if (above[j] + 1 < least)
                least = above[j] + 1;
            if (row[j - 1] + 1 < least)
                least = row[j - 1] + 1;
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]) &&
                rows[(i - 2) % 3][j - 2] + 1 < least)
                least = rows[(i - 2) % 3][j - 2] + 1;
            row[j] = least;
        }
    }
    return rows[a_size % 3][b_size];
}

struct nearest {
    const char *wanted;
    size_t size;
    const char *name;
    unsigned distance;
};

static void consider(struct nearest *nearest, const char *name)
{
    const size_t size = strlen(name);
    if (size > MAX_NAME || nearest->size > MAX_NAME)
        return;
    const unsigned found = distance(nearest->wanted, nearest->size, name, size);
    const unsigned allowed = (unsigned)(size < 3 ? 0 : size / 3);
    if (found <= allowed && (nearest->name == NULL || found < nearest->distance)) {
        nearest->name = name;
        nearest->distance = found;
    }
}

static bool has_field(const struct el_text_type *type, const char *name, size_t size)
{
    for (size_t i = 0; i < type->field_count; i++) {
        if (strlen(type->fields[i].name) == size && memcmp(type->fields[i].name, name, size) == 0)
            return true;
    }
    return false;
}

void el_field_hint(const struct el_text_type *type, const char *name, size_t size, char hint[EL_HINT_BYTES])
{
    hint[0] = '\0';
    struct nearest nearest = { .wanted = name, .size = size };
    for (size_t i = 0; i < type->field_count; i++) {
        const struct el_text_field *field = &type->fields[i];
        if (field->kind == EL_TEXT_MESSAGE && has_field(field->message, name, size)) {
            snprintf(hint, EL_HINT_BYTES, " (it belongs inside \"%s { }\")", field->name);
            return;
        }
        consider(&nearest, field->name);
    }
    if (nearest.name != NULL)
        snprintf(hint, EL_HINT_BYTES, " (did you mean \"%s\"?)", nearest.name);
}

void el_enum_hint(const struct el_text_enum *values, const char *name, size_t size, char hint[EL_HINT_BYTES])
{
    hint[0] = '\0';
    struct nearest nearest = { .wanted = name, .size = size };
    for (; values->name != NULL; values++)
        consider(&nearest, values->name);
    if (nearest.name != NULL)
        snprintf(hint, EL_HINT_BYTES, " (did you mean \"%s\"?)", nearest.name);
}
