/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/signature_default.h"

#include "tensor/tensor_proto.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULTS 4                   /* SignatureDef.defaults */
#define MAX_BYTES ((size_t)64 << 20) /* of one default, decoded: a few bytes can ask for a very big tensor */

/* Whether a request can use the bytes. */
static bool is_tensor(const struct el_proto_field *field)
{
    struct el_tensor_proto tensor;
    if (!el_tensor_proto_scan(field->bytes, field->size, &tensor))
        return false;
    struct el_status *status = el_tensor_proto_head(&tensor, "", 0, MAX_BYTES);
    const bool good = status == NULL;
    el_status_free(status);
    return good;
}

static struct el_status *set_default(const struct el_proto_field *name, const struct el_proto_field *value,
                                     struct el_signature *signature)
{
    const int at = el_tensor_info_find(signature->inputs, signature->input_count, (const char *)name->bytes,
                                       name->size);
    if (at < 0 || !is_tensor(value))
        return NULL;
    struct el_tensor_info *input = &signature->inputs[at];
    uint8_t *copy = malloc(value->size + 1);
    if (copy == NULL)
        return el_status_no_memory();
    if (value->size > 0)
        memcpy(copy, value->bytes, value->size);
    free(input->default_value);
    input->default_value = copy;
    input->default_size = value->size;
    return NULL;
}

static struct el_status *read_default(const struct el_proto_field *field, struct el_signature *signature)
{
    struct el_proto entry;
    EL_TRY(el_proto_open(field, "a default", &entry));
    struct el_proto_field inner, name = { 0 }, value = { 0 };
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(&entry, &inner, &status)) {
        if (inner.number != 1 && inner.number != 2)
            continue;
        status = el_proto_want(&inner, EL_PROTO_BYTES, "the default of an input");
        *(inner.number == 1 ? &name : &value) = inner;
    }
    return status != NULL ? status : set_default(&name, &value, signature);
}

static struct el_status *list_names(struct el_signature *signature)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < signature->input_count; i++)
        count += signature->inputs[i].default_value != NULL;
    if (count == 0)
        return NULL;
    signature->defaults = calloc(count, sizeof *signature->defaults);
    if (signature->defaults == NULL)
        return el_status_no_memory();
    for (uint32_t i = 0; i < signature->input_count; i++)
        if (signature->inputs[i].default_value != NULL)
            signature->defaults[signature->default_count++] = signature->inputs[i].name;
    return NULL;
}

struct el_status *el_signature_read_defaults(const struct el_proto_field *signature_def, struct el_signature *signature)
{
    struct el_proto message;
    EL_TRY(el_proto_open(signature_def, "a SignatureDef", &message));
    struct el_proto_field field;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(&message, &field, &status)) {
        if (field.number == DEFAULTS)
            status = read_default(&field, signature);
    }
    return status != NULL ? status : list_names(signature);
}

void el_signature_put_defaults(struct el_buf *signature_def, const struct el_signature *signature)
{
    for (uint32_t i = 0; i < signature->input_count; i++) {
        const struct el_tensor_info *input = &signature->inputs[i];
        if (input->default_value == NULL)
            continue;
        struct el_buf entry = { 0 };
        el_proto_put_bytes(&entry, 1, input->name, strlen(input->name));
        el_proto_put_bytes(&entry, 2, input->default_value, input->default_size);
        el_proto_put_bytes(signature_def, DEFAULTS, entry.data, entry.size);
        signature_def->failed = signature_def->failed || entry.failed;
        el_buf_free(&entry);
    }
}
