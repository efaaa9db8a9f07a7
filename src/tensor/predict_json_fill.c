/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each value is read the fast way, which only notices that something is wrong. Then it is
 * gone over again (predict_json_check.c), for the error that TensorFlow Serving would have met first.
 *
 * The recursion is as deep as the rank of a tensor: at most EL_MAX_RANK.
 */
#include "tensor/predict_json_fill.h"
#include "tensor/predict_json_check.h"

#include <string.h>

static inline const char *skip_space(const char *at)
{
    if ((unsigned char)*at > ' ')
        return at;
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
        at++;
    return at;
}

int64_t el_predict_json_find(const struct el_names *names, const char *string)
{
    size_t size = 0;
    while (string[1 + size] != '"' && string[1 + size] != '\\')
        size++;
    if (string[1 + size] == '"')
        return el_names_find(names, string + 1, size);
    for (uint32_t i = 0; i < names->count; i++) {
        const char *name = el_names_at(names, i);
        if (el_json_string_is(string, name, strlen(name)))
            return i;
    }
    return -1;
}

bool el_json_shape(const char *value, const char *end, int32_t max_rank, struct el_shape *shape)
{
    shape->rank = 0;
    while (value != NULL && *value == '[') {
        if (shape->rank == max_rank)
            return false;
        shape->dims[shape->rank++] = (int64_t)el_json_count_before(value, end);
        value = el_json_first(value);
    }
    return true;
}

/* ---- the fast way: NULL means that something is wrong ---- */

static inline void put(struct el_predict_json_input *input, const void *value, size_t size, bool store)
{
    if (store) {
        memcpy(input->at, value, size);
        input->at += size;
    }
    input->done++;
}

static const char *read_integer(struct el_predict_json_input *input, const char *at, bool store)
{
    struct el_json_number number;
    if (!el_json_is_number(*at))
        return NULL;
    at = el_json_number(at, &number);
    if (!el_json_in_range(input->dtype, &number))
        return NULL;
    uint64_t bits = number.kind == EL_JSON_POSITIVE ? number.positive : (uint64_t)number.negative;
    put(input, &bits, el_dtype_size(input->dtype), store); /* little-endian: the low bytes */
    return at;
}

/* Offsets are those of tensor.h; the bytes of a string go where those of the one before end. */
static void end_string(struct el_predict_json_input *input, size_t size, bool store)
{
    input->string_bytes += size;
    input->done++;
    if (!store)
        return;
    input->at += size;
    uint8_t *data = input->data;
    uint64_t offset = (uint64_t)(input->at - data);
    memcpy(data + input->done * sizeof offset, &offset, sizeof offset);
}

static const char *read_string(struct el_predict_json_input *input, const char *at, bool store)
{
    const char *end;
    if (*at == '"') {
        size_t size = store ? el_json_string_copy(at, (char *)input->at, &end) : el_json_string_size(at, &end);
        end_string(input, size, store);
        return end;
    }
    const char *string = el_json_base64_string(at);
    if (string == NULL)
        return NULL;
    int64_t size = el_json_base64_size(string);
    if (size < 0)
        return NULL;
    if (store)
        el_json_base64_copy(string, (char *)input->at);
    end_string(input, (size_t)size, store);
    return el_json_skip(at);
}

static const char *read_scalar(struct el_predict_json_input *input, const char *at, const char *end, bool store)
{
    float real;
    double real_double;
    uint8_t truth;
    switch (input->dtype) {
    case EL_FLOAT:
        if (!el_json_is_number(*at))
            return NULL;
        at = el_json_number_float(at, end, &real);
        put(input, &real, sizeof real, store);
        return at;
    case EL_DOUBLE:
        if (!el_json_is_number(*at))
            return NULL;
        at = el_json_number_double(at, end, &real_double);
        put(input, &real_double, sizeof real_double, store);
        return at;
    case EL_BOOL:
        if (*at != 't' && *at != 'f')
            return NULL;
        truth = *at == 't';
        put(input, &truth, sizeof truth, store);
        return at + (truth ? 4 : 5);
    case EL_STRING:
        return read_string(input, at, store);
    default:
        return read_integer(input, at, store);
    }
}

/* A list of floats, behind its bracket and not empty: what nearly all of most requests is. */
static const char *read_floats(struct el_predict_json_input *input, const char *at, const char *end, int64_t count,
                               bool store)
{
    uint8_t *to = input->at;
    for (int64_t i = 0; i < count; i++) {
        float real;
        if (i > 0) {
            if (*at != ',')
                return NULL;
            at = skip_space(at + 1);
        }
        if (!el_json_is_number(*at))
            return NULL;
        at = skip_space(el_json_number_float(at, end, &real));
        if (store) {
            memcpy(to, &real, sizeof real);
            to += sizeof real;
        }
    }
    input->at = to;
    input->done += (size_t)count;
    return *at == ']' ? at + 1 : NULL;
}

static const char *read_value(struct el_predict_json_input *input, const char *at, int32_t level, const char *end,
                              bool store)
{
    const struct el_shape *shape = &input->row;
    if (level == shape->rank)
        return read_scalar(input, at, end, store);
    if (*at != '[')
        return NULL;
    int64_t count = shape->dims[level];
    at = skip_space(at + 1);
    if (count == 0)
        return *at == ']' ? at + 1 : NULL;
    if (level + 1 == shape->rank && input->dtype == EL_FLOAT)
        return read_floats(input, at, end, count, store);
    for (int64_t i = 0; i < count; i++) {
        if (i > 0) {
            if (*at != ',')
                return NULL;
            at = skip_space(at + 1);
        }
        at = read_value(input, at, level + 1, end, store);
        if (at == NULL)
            return NULL;
        at = skip_space(at);
    }
    return *at == ']' ? at + 1 : NULL;
}

struct el_status *el_json_fill(struct el_predict_json_input *input, const char *value, const char *end, bool store)
{
    size_t count = 0;
    if (read_value(input, value, 0, end, store) != NULL)
        return NULL;
    EL_TRY(el_json_check_value(value, input->dtype, &input->row, 0, &count));
    return el_status_new(EL_INTERNAL, "a value of a request that was refused has nothing wrong");
}

/* ---- rows ---- */

/* The error of one row; error is taken over. key: a JSON string, or NULL. */
static struct el_status *row_error(size_t row, const char *key, struct el_status *error)
{
    struct el_buf text = { 0 };
    size_t size = key == NULL ? 0 : el_json_string_size(key, NULL);
    el_buf_printf(&text, "Failed to process element: %zu%s", row, key == NULL ? "" : " key: ");
    char *to = key == NULL ? NULL : (char *)el_buf_reserve(&text, size);
    if (to != NULL)
        text.size += el_json_string_copy(key, to, NULL);
    el_buf_printf(&text, " of 'instances' list. Error: %s: %s", el_code_name(el_status_code(error)),
                  el_status_text(error));
    el_buf_byte(&text, 0);
    el_status_free(error);
    error = text.failed ? el_status_no_memory() : el_status_new(EL_INVALID_ARGUMENT, "%s", (const char *)text.data);
    el_buf_free(&text);
    return error;
}

static struct el_status *unknown_key(const char *key)
{
    struct el_buf text = { 0 };
    el_buf_text(&text, "JSON object: does not have named input: ");
    char *to = (char *)el_buf_reserve(&text, el_json_string_size(key, NULL) + 1);
    if (to != NULL)
        text.size += el_json_string_copy(key, to, NULL);
    el_buf_byte(&text, 0);
    struct el_status *status = text.failed ? el_status_no_memory()
                                           : el_status_new(EL_INVALID_ARGUMENT, "%s", (const char *)text.data);
    el_buf_free(&text);
    return status;
}

static struct el_status *keys_error(const struct el_predict_json *request, size_t row, const char *object)
{
    struct el_buf text = { 0 };
    el_buf_printf(&text, "Failed to process element: %zu of 'instances' list. JSON object: ", row);
    el_json_print_debug(&text, object);
    el_buf_text(&text, " keys must be equal to: ");
    el_names_join(&request->names, &text);
    el_buf_byte(&text, 0);
    struct el_status *status = text.failed ? el_status_no_memory()
                                           : el_status_new(EL_INVALID_ARGUMENT, "%s", (const char *)text.data);
    el_buf_free(&text);
    return status;
}

/* One value of one row; *behind is where it ends. */
static struct el_status *fill_row(struct el_predict_json *request, struct el_predict_json_input *input, size_t row,
                                  const char *key, const char *value, bool store, const char **behind)
{
    *behind = read_value(input, value, 0, request->json.end, store);
    if (*behind != NULL)
        return NULL;
    struct el_status *error = el_json_check_row(input, value, request->json.end);
    if (error == NULL)
        error = el_status_new(EL_INTERNAL, "a value of a request that was refused has nothing wrong");
    return row_error(row, key, error);
}

/* A row that is an object. The first of two members with the same name counts; the second must only be right. */
static struct el_status *fill_object(struct el_predict_json *request, size_t row, const char *object, bool store,
                                     const char **end)
{
    uint32_t seen = 0;
    const char *key = el_json_first_member(object);
    while (key != NULL) {
        const char *value = el_json_member_value(key), *behind;
        int64_t found = el_predict_json_find(&request->names, key);
        if (found < 0)
            return row_error(row, key, unknown_key(key));
        struct el_predict_json_input *input = &request->inputs[found];
        if (input->seen_in == row + 1) {
            struct el_status *error = el_json_check_row(input, value, request->json.end);
            if (error != NULL)
                return row_error(row, key, error);
            behind = el_json_skip(value);
        } else {
            EL_TRY(fill_row(request, input, row, key, value, store, &behind));
            input->seen_in = row + 1;
            seen++;
        }
        key = el_json_next_after(behind);
        *end = skip_space(behind) + 1; /* of use when this was the last member */
    }
    return seen == request->input_count ? NULL : keys_error(request, row, object);
}

struct el_status *el_predict_json_rows(struct el_predict_json *request, bool store)
{
    size_t row = 0;
    for (uint32_t i = 0; i < request->input_count; i++)
        request->inputs[i].seen_in = 0;
    const char *element = el_json_first(request->value), *behind = NULL;
    while (element != NULL) {
        bool object = *element == '{' && el_json_base64_string(element) == NULL;
        if (object != request->objects)
            return el_status_new(EL_INVALID_ARGUMENT,
                                 object ? "Expecting value/list but got object at item %zu of input list"
                                        : "Expecting object but got list at item %zu of input list",
                                 row);
        if (object) {
            EL_TRY(fill_object(request, row, element, store, &behind));
        } else {
            EL_TRY(fill_row(request, &request->inputs[0], row, NULL, element, store, &behind));
        }
        element = el_json_next_after(behind);
        row++;
    }
    return NULL;
}
