/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of a `:predict` body must be known before its values are read: the
 * signature, row or column form, and the shape and size of each input.
 *
 * TensorFlow Serving builds a tree and fills protos from it, element by element,
 * and stops at the first thing wrong. Here shapes come from the first
 * elements alone, and values are read only once, straight into the tensors. What looks
 * wrong already in the shapes is read without storing, in TensorFlow Serving's order, so that the
 * error is the one that it would have found first.
 */
#include "tensor/predict_json.h"
#include "tensor/predict_json_fill.h"

#include <stdlib.h>
#include <string.h>

static struct el_status *read_signature_name(struct el_predict_json *request)
{
    const char *string = el_json_top(&request->json, "signature_name", strlen("signature_name"), NULL);
    if (string == NULL)
        return NULL;
    if (el_json_type(string) != EL_JSON_STRING)
        return el_json_value_error(request->json.root,
                                   " not formatted correctly. 'signature_name' key must be a string value.");
    size_t size = el_json_string_size(string, NULL);
    char *to = request->few_name;
    if (size > sizeof request->few_name) {
        to = request->long_name = malloc(size);
        if (to == NULL)
            return el_status_no_memory();
    }
    el_json_string_copy(string, to, NULL);
    request->signature_name = (struct el_span){ to, size };
    return NULL;
}

void el_predict_json_init(struct el_predict_json *request)
{
    request->signature_name = (struct el_span){ "", 0 };
    request->form = EL_PREDICT_COLUMNS;
    request->inputs = request->few;
    request->input_count = 0;
    request->value = NULL;
    request->rows = 0;
    request->objects = false;
    request->long_name = NULL;
}

struct el_status *el_predict_json_open(const char *body, size_t size, struct el_predict_json *request)
{
    el_predict_json_init(request);
    EL_TRY(el_json_scan(body, size, &request->json));
    EL_TRY(el_json_want_object(&request->json));
    return read_signature_name(request);
}

void el_predict_json_free(struct el_predict_json *request)
{
    if (request->inputs != request->few)
        free(request->inputs);
    free(request->long_name);
    request->inputs = request->few;
    request->input_count = 0;
    request->long_name = NULL;
    request->signature_name = (struct el_span){ "", 0 };
}

struct el_status *el_predict_json_begin(struct el_predict_json *request, const struct el_predict_signature *signature)
{
    uint32_t count = signature->inputs.count;
    if (count == 0) {
        struct el_span name = request->signature_name;
        if (name.size == 0)
            name = el_span_text("DEFAULT");
        return el_status_new(EL_INVALID_ARGUMENT, "Failed to get input map for signature: %.*s",
                             name.size > 1024 ? 1024 : (int)name.size, name.data);
    }
    if (count > EL_PREDICT_JSON_FEW) {
        request->inputs = calloc(count, sizeof *request->inputs);
        if (request->inputs == NULL) {
            request->inputs = request->few;
            return el_status_no_memory();
        }
    } else {
        memset(request->few, 0, count * sizeof request->few[0]);
    }
    request->input_count = count;
    request->names = signature->inputs;
    return NULL;
}

/* TensorFlow Serving's words for what makes no tensor: too many dims, a dtype without data. */
static struct el_status *no_tensor(const struct el_predict_json *request, uint32_t input)
{
    return el_status_new(EL_INVALID_ARGUMENT, "tensor parsing error: %s", el_names_at(&request->names, input));
}

/* Finds where each input of a column form is; NULL stays where it is missing. */
static void find_columns(struct el_predict_json *request)
{
    bool object = *request->value == '{' && el_json_base64_string(request->value) == NULL;
    if (!object) {
        request->inputs[0].value = request->value;
        return;
    }
    const char *name = el_json_first_member(request->value);
    while (name != NULL) {
        const char *value = el_json_member_value(name);
        int64_t found = el_predict_json_find(&request->names, name);
        if (found >= 0 && request->inputs[found].value == NULL)
            request->inputs[found].value = value;
        name = el_json_next_member(value);
    }
}

static struct el_status *missing_column(const struct el_predict_json *request, uint32_t input)
{
    return el_status_new(EL_INVALID_ARGUMENT, "Missing named input: %s in 'inputs' object.",
                         el_names_at(&request->names, input));
}

/* Reads inputs 0 to count - 1 without storing, for the error that one of them may have. */
static struct el_status *check_columns(struct el_predict_json *request, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct el_predict_json_input *input = &request->inputs[i];
        input->done = input->string_bytes = 0;
        EL_TRY(el_json_fill(input, input->value, request->json.end, false));
    }
    return NULL;
}

static struct el_status *shape_columns(struct el_predict_json *request)
{
    request->form = EL_PREDICT_COLUMNS;
    if (request->input_count > 1 && (*request->value != '{' || el_json_base64_string(request->value) != NULL))
        return el_status_new(EL_INVALID_ARGUMENT, "inputs is a plain value/list, but expecting an object as multiple "
                                                  "input tensors required as per tensorinfo_map");
    find_columns(request);
    for (uint32_t i = 0; i < request->input_count; i++) {
        struct el_predict_json_input *input = &request->inputs[i];
        if (input->value == NULL) {
            EL_TRY(check_columns(request, i));
            return missing_column(request, i);
        }
        input->present = true;
        if (!el_json_shape(input->value, request->json.end, EL_MAX_RANK, &input->row)) {
            EL_TRY(check_columns(request, i));
            return no_tensor(request, i);
        }
        input->shape = input->row;
    }
    return NULL;
}

/* Shapes of the inputs in the first row. False: it is not as it should be. */
static bool shape_row(struct el_predict_json *request, const char *row, bool *deep)
{
    uint32_t found_count = 0;
    *deep = false;
    if (!request->objects) {
        request->inputs[0].present = true;
        *deep = !el_json_shape(row, request->json.end, EL_MAX_RANK - 1, &request->inputs[0].row);
        return !*deep;
    }
    const char *name = el_json_first_member(row);
    while (name != NULL) {
        const char *value = el_json_member_value(name);
        int64_t found = el_predict_json_find(&request->names, name);
        if (found < 0)
            return false;
        struct el_predict_json_input *input = &request->inputs[found];
        if (!input->present) {
            input->present = true;
            found_count++;
            if (!el_json_shape(value, request->json.end, EL_MAX_RANK - 1, &input->row)) {
                *deep = true;
                return false;
            }
        }
        name = el_json_next_member(value);
    }
    return found_count == request->input_count;
}

static struct el_status *shape_rows(struct el_predict_json *request)
{
    request->form = EL_PREDICT_ROWS;
    const char *first = el_json_first(request->value);
    if (*first != '{' && request->input_count > 1)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "instances is a plain list, but expecting list of objects as multiple "
                             "input tensors required as per tensorinfo_map");
    request->objects = *first == '{' && el_json_base64_string(first) == NULL;
    bool deep;
    if (!shape_row(request, first, &deep)) {
        if (deep)
            return no_tensor(request, 0);
        EL_TRY(el_predict_json_rows(request, false));
        return el_status_new(EL_INTERNAL, "the first row of a request does not match the signature");
    }
    for (uint32_t i = 0; i < request->input_count; i++) {
        struct el_predict_json_input *input = &request->inputs[i];
        if (!input->present)
            continue;
        input->shape.rank = input->row.rank + 1;
        input->shape.dims[0] = (int64_t)request->rows;
        memcpy(&input->shape.dims[1], input->row.dims, (size_t)input->row.rank * sizeof input->row.dims[0]);
    }
    return NULL;
}

/* Row or column form, and the shapes. */
static struct el_status *find_form(struct el_predict_json *request)
{
    const struct el_json *json = &request->json;
    const char *instances = el_json_top(json, "instances", strlen("instances"), &request->rows);
    const char *inputs = el_json_top(json, "inputs", strlen("inputs"), NULL);
    if (instances == NULL && inputs == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "Missing 'inputs' or 'instances' key");
    if (instances != NULL && inputs != NULL)
        return el_json_value_error(
            json->root, " Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ");
    if (inputs != NULL) {
        request->value = inputs;
        return shape_columns(request);
    }
    if (*instances != '[')
        return el_json_value_error(json->root, " Expecting 'instances' to be an list/array");
    if (request->rows == 0)
        return el_json_value_error(json->root, " No values in 'instances' array");
    request->value = instances;
    return shape_rows(request);
}

/* Reads everything without storing: what strings take, and what is wrong. */
static struct el_status *measure(struct el_predict_json *request)
{
    for (uint32_t i = 0; i < request->input_count; i++)
        request->inputs[i].done = request->inputs[i].string_bytes = 0;
    if (request->form == EL_PREDICT_COLUMNS)
        return check_columns(request, request->input_count);
    return el_predict_json_rows(request, false);
}

static struct el_status *too_large(size_t max_bytes)
{
    return el_status_new(EL_RESOURCE_EXHAUSTED, "the inputs of the request take more than the limit of %zu bytes",
                         max_bytes);
}

/* Elements of each input. False: more than the text has room for, so that it cannot be regular. */
static bool count_elements(struct el_predict_json *request)
{
    size_t most = (size_t)(request->json.end - request->json.text);
    for (uint32_t i = 0; i < request->input_count; i++) {
        struct el_predict_json_input *input = &request->inputs[i];
        struct el_status *status = el_shape_elements(&input->shape, &input->elements);
        bool fits = status == NULL && input->elements <= most;
        el_status_free(status);
        if (!fits)
            return false;
    }
    return true;
}

static struct el_status *add_sizes(struct el_predict_json *request, size_t max_bytes)
{
    size_t total = 0;
    for (uint32_t i = 0; i < request->input_count; i++) {
        struct el_predict_json_input *input = &request->inputs[i];
        if (!input->present)
            continue;
        if (input->dtype == EL_STRING)
            input->size = (input->elements + 1) * sizeof(uint64_t) + input->string_bytes;
        else
            input->size = input->elements * el_dtype_size(input->dtype);
        /* Each is bound by the size of the text, so sums and products of them cannot overflow. */
        total += input->size;
    }
    return total > max_bytes ? too_large(max_bytes) : NULL;
}

/* One plain value, a base64 object, goes through in row form even when there are more inputs. They are then missed here. */
static struct el_status *match_inputs(const struct el_predict_json *request,
                                      const struct el_predict_signature *signature)
{
    if (request->form == EL_PREDICT_COLUMNS || request->objects || request->input_count == 1)
        return NULL;
    struct el_span sent = el_span_text(el_names_at(&request->names, 0));
    return el_predict_match_count(&sent, 1, signature);
}

struct el_status *el_predict_json_plan(struct el_predict_json *request, const struct el_predict_signature *signature,
                                       size_t max_bytes)
{
    EL_TRY(find_form(request));
    bool regular = count_elements(request), strings = false;
    int64_t no_data = -1;
    for (uint32_t i = 0; i < request->input_count; i++) {
        strings |= request->inputs[i].dtype == EL_STRING;
        if (!el_dtype_is_data(request->inputs[i].dtype))
            no_data = i;
    }
    if (!regular || strings || no_data >= 0)
        EL_TRY(measure(request));
    if (!regular)
        return too_large(max_bytes);
    if (no_data >= 0) /* and no value either, or measuring would have refused it */
        return no_tensor(request, (uint32_t)no_data);
    EL_TRY(match_inputs(request, signature));
    return add_sizes(request, max_bytes);
}

struct el_status *el_predict_json_decode(struct el_predict_json *request)
{
    for (uint32_t i = 0; i < request->input_count; i++) {
        struct el_predict_json_input *input = &request->inputs[i];
        input->done = input->string_bytes = 0;
        input->at = input->data;
        if (input->dtype == EL_STRING) {
            uint64_t first = (input->elements + 1) * sizeof(uint64_t);
            memcpy(input->data, &first, sizeof first);
            input->at += first;
        }
    }
    if (request->form == EL_PREDICT_ROWS)
        return el_predict_json_rows(request, true);
    for (uint32_t i = 0; i < request->input_count; i++) {
        struct el_predict_json_input *input = &request->inputs[i];
        EL_TRY(el_json_fill(input, input->value, request->json.end, true));
    }
    return NULL;
}
