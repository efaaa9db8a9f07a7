/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_KEYS (1u << 28)

/* The bytes that element i is known by. */
static struct el_span element(const struct host_value *value, size_t i)
{
    struct el_span span;
    if (value->tensor.dtype == EL_STRING) {
        span.data = host_value_string(value, i, &span.size);
        return span;
    }
    span.size = el_dtype_size(value->tensor.dtype);
    span.data = (const char *)value->tensor.data + i * span.size;
    return span;
}

/* FNV-1a, folded: keys are a file's, and a run of lookups in a bad table is no worse than its reading was. */
static uint32_t hash(struct el_span key)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < key.size; i++)
        sum = (sum ^ (unsigned char)key.data[i]) * UINT64_C(0x100000001b3);
    return (uint32_t)(sum ^ sum >> 32);
}

/* The slot of the key, or the empty one where it would be. */
static uint32_t *slot_of(const struct host_table *table, struct el_span key)
{
    uint32_t at = hash(key) & table->slot_mask;
    while (table->slots[at] != 0 && !el_span_equal(element(&table->keys, table->slots[at] - 1), key))
        at = (at + 1) & table->slot_mask;
    return &table->slots[at];
}

struct el_status *host_table_make(struct host_value *keys, struct host_value *values, struct host_table *table)
{
    *table = (struct host_table){ .keys = *keys, .values = *values };
    *keys = *values = (struct host_value){ 0 };
    const size_t count = table->keys.elements;
    if (count != table->values.elements || count > MAX_KEYS)
        return el_status_new(EL_INVALID_ARGUMENT, "a table has %zu keys and %zu values", count, table->values.elements);
    uint32_t slots = 2;
    while (slots < 2 * count)
        slots *= 2;
    table->slots = calloc(slots, sizeof *table->slots);
    if (table->slots == NULL)
        return el_status_no_memory();
    table->slot_mask = slots - 1;
    for (uint32_t i = 0; i < count; i++) {
        const struct el_span key = element(&table->keys, i);
        uint32_t *slot = slot_of(table, key);
        if (*slot != 0 && !el_span_equal(element(&table->values, *slot - 1), element(&table->values, i)))
            return el_status_new(EL_INVALID_ARGUMENT, "a table has two values for key number %u", i);
        if (*slot == 0)
            *slot = i + 1;
    }
    return NULL;
}

void host_table_free(struct host_table *table)
{
    host_value_free(&table->keys);
    host_value_free(&table->values);
    free(table->slots);
    *table = (struct host_table){ 0 };
}

/* ---- looking up ---- */

static struct el_status *check_types(const struct host_table *table, const struct host_value *keys,
                                     const struct host_value *otherwise)
{
    if (keys->tensor.dtype != table->keys.tensor.dtype || otherwise->tensor.dtype != table->values.tensor.dtype ||
        (otherwise->elements != 1 && otherwise->elements != keys->elements))
        return el_status_new(EL_INVALID_ARGUMENT, "a table of %s to %s is asked for %s with a default of %s",
                             el_dtype_short_name(table->keys.tensor.dtype),
                             el_dtype_short_name(table->values.tensor.dtype), el_dtype_short_name(keys->tensor.dtype),
                             el_dtype_short_name(otherwise->tensor.dtype));
    return NULL;
}

static struct el_span find_one(const struct host_table *table, const struct host_value *keys,
                               const struct host_value *otherwise, size_t i)
{
    const uint32_t slot = *slot_of(table, element(keys, i));
    return slot != 0 ? element(&table->values, slot - 1) : element(otherwise, otherwise->elements == 1 ? 0 : i);
}

struct el_status *host_table_find(const struct host_table *table, const struct host_value *keys,
                                  const struct host_value *otherwise, struct host_value *found)
{
    EL_TRY(check_types(table, keys, otherwise));
    const struct el_shape *shape = &keys->tensor.shape;
    const enum el_dtype type = table->values.tensor.dtype;
    if (type != EL_STRING) {
        void *data;
        EL_TRY(host_value_make(type, shape, found, &data));
        const size_t size = el_dtype_size(type);
        for (size_t i = 0; i < keys->elements; i++)
            memcpy((uint8_t *)data + i * size, find_one(table, keys, otherwise, i).data, size);
        return NULL;
    }
    struct host_strings strings;
    struct el_status *status = host_strings_begin(&strings, shape);
    for (size_t i = 0; status == NULL && i < keys->elements; i++) {
        const struct el_span one = find_one(table, keys, otherwise, i);
        host_strings_add(&strings, one.data, one.size);
    }
    if (status == NULL)
        status = host_strings_end(&strings, shape, found);
    host_strings_free(&strings);
    return status;
}

/* ---- from a file ---- */

/* One side of a table while lines are read: strings, or numbers of 8 bytes. */
struct side {
    enum el_dtype type;
    int64_t index;
    struct el_buf bytes, sizes;
};

static bool find_column(struct el_span line, char delimiter, int64_t index, struct el_span *column)
{
    for (; index > 0; index--) {
        const char *at = line.size == 0 ? NULL : memchr(line.data, delimiter, line.size);
        if (at == NULL)
            return false;
        line.size -= (size_t)(at + 1 - line.data);
        line.data = at + 1;
    }
    const char *end = line.size == 0 ? NULL : memchr(line.data, delimiter, line.size);
    *column = (struct el_span){ line.data, end == NULL ? line.size : (size_t)(end - line.data) };
    return true;
}

/* A whole number, or for FLOAT and DOUBLE any. */
static bool read_number(struct el_span text, enum el_dtype type, struct el_buf *bytes)
{
    char copy[64], *end;
    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    errno = 0;
    if (type == EL_INT64 || type == EL_INT32) {
        const int64_t whole = strtoll(copy, &end, 10);
        const int32_t small = (int32_t)whole;
        if (*end != '\0' || errno != 0 || (type == EL_INT32 && small != whole))
            return false;
        el_buf_append(bytes, type == EL_INT64 ? (const void *)&whole : &small, el_dtype_size(type));
        return true;
    }
    const double real = strtod(copy, &end);
    const float single = (float)real;
    el_buf_append(bytes, type == EL_DOUBLE ? (const void *)&real : &single, el_dtype_size(type));
    return *end == '\0' && (type == EL_DOUBLE || type == EL_FLOAT);
}

static bool add_line(struct side *side, struct el_span line, int64_t number, char delimiter)
{
    struct el_span text = line;
    char digits[24];
    if (side->index == -1) {
        const int size = snprintf(digits, sizeof digits, "%lld", (long long)number);
        text = (struct el_span){ digits, (size_t)size };
    } else if (side->index >= 0 && !find_column(line, delimiter, side->index, &text)) {
        return false;
    }
    if (side->type != EL_STRING)
        return read_number(text, side->type, &side->bytes);
    el_buf_append(&side->bytes, text.data, text.size);
    el_buf_append(&side->sizes, &text.size, sizeof text.size);
    return true;
}

static struct el_status *end_side(const struct side *side, int64_t count, struct host_value *value)
{
    const struct el_shape shape = { .rank = 1, .dims = { count } };
    return host_value_gathered(side->type, &shape, side->type == EL_STRING ? &side->sizes : &side->bytes, &side->bytes,
                               value);
}

static struct el_status *read_lines(const char *name, struct el_span text, const struct host_text_table *how,
                                    struct side *keys, struct side *values, int64_t *count)
{
    int64_t line_number = 0;
    *count = 0;
    while (text.size > 0 && (how->most < 0 || *count < how->most)) {
        const char *end = memchr(text.data, '\n', text.size);
        struct el_span line = { text.data, end == NULL ? text.size : (size_t)(end - text.data) };
        const size_t taken = end == NULL ? text.size : line.size + 1;
        text.data += taken;
        text.size -= taken;
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        if (line_number++ < how->skip)
            continue;
        if (!add_line(keys, line, *count, how->delimiter) || !add_line(values, line, *count, how->delimiter))
            return el_status_new(EL_INVALID_ARGUMENT, "%s: line %lld is no entry of the table", name,
                                 (long long)line_number);
        ++*count;
    }
    return NULL;
}

struct el_status *host_table_read_text(const char *name, const void *bytes, size_t size,
                                       const struct host_text_table *how, struct host_table *table)
{
    struct side keys = { .type = how->key_type, .index = how->key_index };
    struct side values = { .type = how->value_type, .index = how->value_index };
    struct host_value key = { 0 }, value = { 0 };
    int64_t count;
    struct el_status *status = read_lines(name, (struct el_span){ bytes, size }, how, &keys, &values, &count);
    if (status == NULL)
        status = end_side(&keys, count, &key);
    if (status == NULL)
        status = end_side(&values, count, &value);
    if (status == NULL)
        status = el_status_prefix(host_table_make(&key, &value, table), "%s", name);
    host_value_free(&key);
    host_value_free(&value);
    el_buf_free(&keys.bytes);
    el_buf_free(&keys.sizes);
    el_buf_free(&values.bytes);
    el_buf_free(&values.sizes);
    return status;
}
