/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/predict_proto.h"

#include <stdlib.h>
#include <string.h>

enum {
    SPEC_NAME = 1,
    SPEC_VERSION = 2,
    SPEC_SIGNATURE = 3,
    SPEC_LABEL = 4,
    INT64_VALUE = 1,
    REQUEST_SPEC = 1,
    REQUEST_INPUTS = 2,
    REQUEST_FILTER = 3,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2,
    RESPONSE_OUTPUTS = 1,
    RESPONSE_SPEC = 2,
};

static bool parse_int64_value(struct el_wire bytes, int64_t *number)
{
    *number = 0;
    while (!el_wire_done(&bytes)) {
        uint32_t field;
        enum el_wire_type type;
        uint64_t value;
        if (!el_wire_tag(&bytes, &field, &type))
            return false;
        if (field == INT64_VALUE && type == EL_WIRE_VARINT) {
            if (!el_wire_varint(&bytes, &value))
                return false;
            *number = (int64_t)value;
        } else if (!el_wire_skip(&bytes, field, type)) {
            return false;
        }
    }
    return true;
}

bool el_model_spec_merge(struct el_wire bytes, struct el_model_spec *spec)
{
    spec->present = true;
    while (!el_wire_done(&bytes)) {
        uint32_t field;
        enum el_wire_type type;
        struct el_wire version;
        bool good;
        if (!el_wire_tag(&bytes, &field, &type))
            return false;
        if (type != EL_WIRE_BYTES)
            field = 0; /* not one of ours */
        switch (field) {
        case SPEC_NAME:
            good = el_wire_text(&bytes, &spec->name);
            break;
        case SPEC_VERSION:
            good = el_wire_bytes(&bytes, &version) && parse_int64_value(version, &spec->version);
            spec->has_version = true;
            spec->has_label = false;
            break;
        case SPEC_SIGNATURE:
            good = el_wire_text(&bytes, &spec->signature_name);
            break;
        case SPEC_LABEL:
            good = el_wire_text(&bytes, &spec->label);
            spec->has_label = true;
            spec->has_version = false;
            break;
        default:
            good = el_wire_skip(&bytes, field, type);
            break;
        }
        if (!good)
            return false;
    }
    return true;
}

static size_t version_size(int64_t version)
{
    return version == 0 ? 0 : 1 + el_wire_varint_size((uint64_t)version);
}

static size_t text_size(size_t size)
{
    return 1 + el_wire_varint_size(size) + size;
}

void el_model_spec_write(struct el_buf *buf, uint32_t field, const char *name, int64_t version,
                         const char *signature_name)
{
    size_t name_size = strlen(name);
    size_t signature_size = signature_name == NULL ? 0 : strlen(signature_name);
    size_t size = 2 + version_size(version);
    if (name_size > 0)
        size += text_size(name_size);
    if (signature_size > 0)
        size += text_size(signature_size);
    el_wire_put_length(buf, field, size);
    if (name_size > 0)
        el_wire_put_bytes(buf, SPEC_NAME, name, name_size);
    el_wire_put_length(buf, SPEC_VERSION, version_size(version));
    if (version != 0)
        el_wire_put_uint(buf, INT64_VALUE, (uint64_t)version);
    if (signature_size > 0)
        el_wire_put_bytes(buf, SPEC_SIGNATURE, signature_name, signature_size);
}

static struct el_status *malformed(void)
{
    return el_status_new(EL_INTERNAL, "%s", "");
}

static struct el_status *too_many(const char *what)
{
    return el_status_new(EL_INVALID_ARGUMENT, "a PredictRequest has more than %d %s", EL_PREDICT_MAX_INPUTS, what);
}

/* Makes room for one more entry in a list that starts in the request itself (few) and moves to the heap. */
static struct el_status *grow(void **list, void *few, size_t entry, uint32_t count, uint32_t *room, const char *what)
{
    if (count < *room)
        return NULL;
    if (count >= EL_PREDICT_MAX_INPUTS)
        return too_many(what);
    uint32_t more = *room * 4;
    void *moved = realloc(*list == few ? NULL : *list, more * entry);
    if (moved == NULL)
        return el_status_no_memory();
    if (*list == few)
        memcpy(moved, few, count * entry);
    *list = moved;
    *room = more;
    return NULL;
}

/* An entry of the map `inputs`. A key or a value that is missing is the empty one. */
static bool parse_entry(struct el_wire entry, struct el_predict_input *input)
{
    struct el_wire value = { entry.end, entry.end };
    input->name = (struct el_span){ "", 0 };
    input->index = 0;
    while (!el_wire_done(&entry)) {
        uint32_t field;
        enum el_wire_type type;
        bool good;
        if (!el_wire_tag(&entry, &field, &type))
            return false;
        if (field == ENTRY_KEY && type == EL_WIRE_BYTES)
            good = el_wire_text(&entry, &input->name);
        else if (field == ENTRY_VALUE && type == EL_WIRE_BYTES)
            good = el_wire_bytes(&entry, &value);
        else
            good = el_wire_skip(&entry, field, type);
        if (!good)
            return false;
    }
    return el_tensor_proto_scan(value.at, (size_t)(value.end - value.at), &input->tensor);
}

static struct el_status *add_input(struct el_wire entry, struct el_predict_request *request)
{
    void *list = request->inputs;
    EL_TRY(grow(&list, request->few_inputs, sizeof *request->inputs, request->input_count, &request->input_room,
                "inputs"));
    request->inputs = list;
    struct el_predict_input *input = &request->inputs[request->input_count];
    if (!parse_entry(entry, input))
        return malformed();
    input->index = request->input_count++; /* until match: the order in which they were sent */
    return NULL;
}

static struct el_status *add_filter(struct el_wire *wire, struct el_predict_request *request)
{
    void *list = request->filter;
    EL_TRY(grow(&list, request->few_filters, sizeof *request->filter, request->filter_count, &request->filter_room,
                "entries in output_filter"));
    request->filter = list;
    if (!el_wire_text(wire, &request->filter[request->filter_count]))
        return malformed();
    request->filter_count++;
    return NULL;
}

static int compare_inputs(const void *left, const void *right)
{
    const struct el_predict_input *a = left, *b = right;
    size_t common = a->name.size < b->name.size ? a->name.size : b->name.size;
    int order = common == 0 ? 0 : memcmp(a->name.data, b->name.data, common);
    if (order == 0)
        order = (a->name.size > b->name.size) - (a->name.size < b->name.size);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

/* By name; of inputs with the same name the last stays, as in a map. */
static void sort_inputs(struct el_predict_request *request)
{
    struct el_predict_input *inputs = request->inputs;
    if (request->input_count < 2)
        return;
    qsort(inputs, request->input_count, sizeof *inputs, compare_inputs);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < request->input_count; i++) {
        if (kept > 0 && el_span_equal(inputs[kept - 1].name, inputs[i].name))
            kept--;
        if (kept != i)
            inputs[kept] = inputs[i];
        kept++;
    }
    request->input_count = kept;
}

static struct el_status *parse_field(struct el_wire *wire, struct el_predict_request *request)
{
    uint32_t field;
    enum el_wire_type type;
    struct el_wire inside;
    if (!el_wire_tag(wire, &field, &type))
        return malformed();
    if (type == EL_WIRE_BYTES && field == REQUEST_SPEC)
        return el_wire_bytes(wire, &inside) && el_model_spec_merge(inside, &request->spec) ? NULL : malformed();
    if (type == EL_WIRE_BYTES && field == REQUEST_INPUTS)
        return el_wire_bytes(wire, &inside) ? add_input(inside, request) : malformed();
    if (type == EL_WIRE_BYTES && field == REQUEST_FILTER)
        return add_filter(wire, request);
    return el_wire_skip(wire, field, type) ? NULL : malformed();
}

struct el_status *el_predict_request_parse(const void *bytes, size_t size, struct el_predict_request *request)
{
    request->spec = (struct el_model_spec){ .name = { "", 0 }, .label = { "", 0 }, .signature_name = { "", 0 } };
    request->inputs = request->few_inputs;
    request->filter = request->few_filters;
    request->input_count = request->filter_count = 0;
    request->input_room = request->filter_room = EL_PREDICT_FEW;

    struct el_wire wire = el_wire_of(bytes, size);
    while (!el_wire_done(&wire))
        EL_TRY(parse_field(&wire, request));
    sort_inputs(request);
    return NULL;
}

void el_predict_request_free(struct el_predict_request *request)
{
    if (request->inputs != request->few_inputs)
        free(request->inputs);
    if (request->filter != request->few_filters)
        free(request->filter);
    request->inputs = request->few_inputs;
    request->filter = request->few_filters;
    request->input_count = request->filter_count = 0;
    request->input_room = request->filter_room = EL_PREDICT_FEW;
}

void el_predict_response_write(struct el_buf *buf, const struct el_named_tensor *outputs, uint32_t output_count,
                               enum el_tensor_proto_form form, const char *model, int64_t version,
                               const char *signature_name)
{
    for (uint32_t i = 0; i < output_count; i++) {
        size_t name_size = strlen(outputs[i].name);
        size_t tensor_size = el_tensor_proto_size(outputs[i].tensor, form);
        el_wire_put_length(buf, RESPONSE_OUTPUTS, text_size(name_size) + text_size(tensor_size));
        el_wire_put_bytes(buf, ENTRY_KEY, outputs[i].name, name_size);
        el_wire_put_length(buf, ENTRY_VALUE, tensor_size);
        size_t before = buf->size;
        el_tensor_proto_write(buf, outputs[i].tensor, form);
        if (!buf->failed && buf->size - before != tensor_size)
            buf->failed =
                true; /* a worker changed its strings while they were read: no answer rather than a broken one */
    }
    el_model_spec_write(buf, RESPONSE_SPEC, model, version, signature_name);
}
