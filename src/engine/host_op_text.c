/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/host_op.h"

#include <stdlib.h>
#include <string.h>

/* ---- one string to one string ---- */

typedef void edit(const char *text, size_t size, struct host_strings *strings);

static struct el_status *edit_all(const struct host_call *call, edit *one)
{
    const struct host_value *from = call->inputs[0];
    struct host_strings strings;
    struct el_status *status = host_strings_begin(&strings, &from->tensor.shape);
    for (size_t i = 0; status == NULL && i < from->elements; i++) {
        size_t size;
        const char *text = host_value_string(from, i, &size);
        one(text, size, &strings);
    }
    if (status == NULL)
        status = host_strings_end(&strings, &from->tensor.shape, &call->outputs[0]);
    host_strings_free(&strings);
    return status;
}

/* As TensorFlow without an encoding: ASCII's letters, byte by byte. */
static void add_mapped(const char *text, size_t size, char first, char last, struct host_strings *strings)
{
    struct el_buf copy = { 0 };
    el_buf_append(&copy, text, size);
    for (size_t i = 0; i < copy.size; i++)
        if (copy.data[i] >= first && copy.data[i] <= last)
            copy.data[i] ^= 0x20;
    host_strings_add(strings, copy.data, copy.size);
    strings->bytes.failed |= copy.failed;
    el_buf_free(&copy);
}

static void upper(const char *text, size_t size, struct host_strings *strings)
{
    add_mapped(text, size, 'a', 'z', strings);
}

static void lower(const char *text, size_t size, struct host_strings *strings)
{
    add_mapped(text, size, 'A', 'Z', strings);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void strip(const char *text, size_t size, struct host_strings *strings)
{
    while (size > 0 && is_space(text[0])) {
        text++;
        size--;
    }
    while (size > 0 && is_space(text[size - 1]))
        size--;
    host_strings_add(strings, text, size);
}

static struct el_status *run_upper(const struct host_call *call)
{
    return edit_all(call, upper);
}

static struct el_status *run_lower(const struct host_call *call)
{
    return edit_all(call, lower);
}

static struct el_status *run_strip(const struct host_call *call)
{
    return edit_all(call, strip);
}

/* Letters beyond ASCII would need Unicode's tables. */
static struct el_status *make_letters(const struct host_def *def, void **state)
{
    *state = NULL;
    const struct el_span encoding = host_attr_text(def, "encoding", "");
    if (encoding.size == 0)
        return NULL;
    return el_status_new(EL_UNIMPLEMENTED, "%.*s with the encoding \"%.*s\"", (int)def->op.size, def->op.data,
                         (int)encoding.size, encoding.data);
}

/* ---- StringLength ---- */

/* The state is there where characters of UTF-8 are counted. */
static struct el_status *make_length(const struct host_def *def, void **state)
{
    const bool characters = host_text_is(host_attr_text(def, "unit", "BYTE"), "UTF8_CHAR");
    *state = characters ? malloc(1) : NULL;
    return characters && *state == NULL ? el_status_no_memory() : NULL;
}

static struct el_status *run_length(const struct host_call *call)
{
    const struct host_value *from = call->inputs[0];
    void *data;
    EL_TRY(host_value_make(EL_INT32, &from->tensor.shape, &call->outputs[0], &data));
    for (size_t i = 0; i < from->elements; i++) {
        size_t size, count = 0;
        const char *text = host_value_string(from, i, &size);
        for (size_t b = 0; call->state != NULL && b < size; b++)
            count += ((unsigned char)text[b] & 0xc0) != 0x80; /* no continuation of a character */
        ((int32_t *)data)[i] = (int32_t)(call->state != NULL ? count : size);
    }
    return NULL;
}

/* ---- StringJoin ---- */

struct separator {
    size_t size;
    char text[];
};

static struct el_status *make_join(const struct host_def *def, void **state)
{
    const struct el_span text = host_attr_text(def, "separator", "");
    struct separator *separator = malloc(sizeof *separator + text.size);
    if (separator == NULL)
        return el_status_no_memory();
    separator->size = text.size;
    if (text.size > 0)
        memcpy(separator->text, text.data, text.size);
    *state = separator;
    return NULL;
}

static bool same_shape(const struct el_shape *a, const struct el_shape *b)
{
    return a->rank == b->rank && (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0);
}

/* All have one shape, but for scalars, which are repeated. */
static struct el_status *joined_shape(const struct host_call *call, struct el_shape *shape)
{
    *shape = (struct el_shape){ 0 };
    for (uint32_t i = 0; i < call->input_count; i++) {
        const struct el_tensor *tensor = &call->inputs[i]->tensor;
        if (tensor->dtype != EL_STRING)
            return el_status_new(EL_INVALID_ARGUMENT, "input %u of StringJoin is %s, string is expected", i,
                                 el_dtype_short_name(tensor->dtype));
        if (tensor->shape.rank == 0)
            continue;
        char a[400], b[400];
        if (shape->rank != 0 && !same_shape(shape, &tensor->shape))
            return el_status_new(EL_INVALID_ARGUMENT, "Input shapes do not match: %s vs. %s",
                                 el_shape_print(shape, a, sizeof a), el_shape_print(&tensor->shape, b, sizeof b));
        *shape = tensor->shape;
    }
    return NULL;
}

static struct el_status *run_join(const struct host_call *call)
{
    const struct separator *separator = call->state;
    struct el_shape shape;
    EL_TRY(joined_shape(call, &shape));
    struct host_strings strings;
    struct el_buf joined = { 0 };
    struct el_status *status = host_strings_begin(&strings, &shape);
    for (size_t i = 0; status == NULL && i < strings.count; i++) {
        el_buf_clear(&joined);
        for (uint32_t part = 0; part < call->input_count; part++) {
            const struct host_value *from = call->inputs[part];
            size_t size;
            const char *text = host_value_string(from, from->tensor.shape.rank == 0 ? 0 : i, &size);
            if (part > 0)
                el_buf_append(&joined, separator->text, separator->size);
            el_buf_append(&joined, text, size);
        }
        host_strings_add(&strings, joined.data, joined.size);
        status = el_buf_status(&joined);
    }
    if (status == NULL)
        status = host_strings_end(&strings, &shape, &call->outputs[0]);
    host_strings_free(&strings);
    el_buf_free(&joined);
    return status;
}

const struct host_op host_text_ops[] = {
    { .name = "StringUpper",
      .type = EL_STRING,
      .shape_of = 1,
      .inputs = 1,
      .first_type = EL_STRING,
      .make = make_letters,
      .run = run_upper },
    { .name = "StringLower",
      .type = EL_STRING,
      .shape_of = 1,
      .inputs = 1,
      .first_type = EL_STRING,
      .make = make_letters,
      .run = run_lower },
    { .name = "StringStrip", .type = EL_STRING, .shape_of = 1, .inputs = 1, .first_type = EL_STRING, .run = run_strip },
    { .name = "StringLength",
      .type = EL_INT32,
      .shape_of = 1,
      .inputs = 1,
      .first_type = EL_STRING,
      .make = make_length,
      .run = run_length },
    { .name = "StringJoin", .type = EL_STRING, .inputs = 1, .make = make_join, .run = run_join },
    { .name = NULL },
};
