/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists grow while they are read and are sorted once, at the end of their
 * message; a name that stands twice is refused, so that a position names one
 * tensor only.
 *
 * A few bytes of a hostile worker must not cost the front much memory: beside
 * the limits of the header, all signatures together may have MAX_TENSORS.
 *
 * Not kept: names of dimensions, and the sparse and composite encodings (such a
 * tensor has no tensor_name).
 */
#include "bundle/signature.h"

#include "bundle/proto.h"
#include "bundle/signature_default.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS 65536u
#define MAX_DTYPE 1000u /* tensorflow.DataType ends far below; the _REF types are 100 more */

static void free_tensors(struct el_tensor_info *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(list[i].name);
        free(list[i].tensor_name);
        free(list[i].default_value);
    }
    free(list);
}

static void free_signature(struct el_signature *signature)
{
    free(signature->name);
    free(signature->method_name);
    free_tensors(signature->inputs, signature->input_count);
    free_tensors(signature->outputs, signature->output_count);
    free(signature->defaults);
}

void el_signatures_free(struct el_signatures *signatures)
{
    for (uint32_t i = 0; i < signatures->count; i++)
        free_signature(&signatures->list[i]);
    free(signatures->list);
    *signatures = (struct el_signatures){ 0 };
}

/* Order of a name of size bytes (not terminated) and a terminated one. */
static int compare(const char *name, size_t size, const char *other)
{
    const size_t other_size = strlen(other);
    const size_t shorter = size < other_size ? size : other_size;
    const int order = shorter == 0 ? 0 : memcmp(name, other, shorter);
    return order != 0 ? order : (size > other_size) - (size < other_size);
}

/* ---- finding ---- */

const struct el_signature *el_signatures_find(const struct el_signatures *signatures, const char *name,
                                              size_t name_size, uint32_t *index)
{
    if (name_size == 0) {
        name = "serving_default";
        name_size = strlen(name);
    }
    uint32_t from = 0, to = signatures->count;
    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        const int order = compare(name, name_size, signatures->list[middle].name);
        if (order == 0) {
            if (index != NULL)
                *index = middle;
            return &signatures->list[middle];
        }
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return NULL;
}

int el_tensor_info_find(const struct el_tensor_info *list, uint32_t count, const char *name, size_t name_size)
{
    uint32_t from = 0, to = count;
    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;
        const int order = compare(name, name_size, list[middle].name);
        if (order == 0)
            return (int)middle;
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return -1;
}

/* ---- reading ---- */

static char *empty_text(void)
{
    return calloc(1, 1);
}

/* Room for one more element at the end of list, in steps that double. The list's old content is kept on failure. */
static void *grow(void *list, uint32_t count, size_t element)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return list;
    return reallocarray(list, count == 0 ? 1 : 2 * (size_t)count, element);
}

static struct el_status *read_dim(const struct el_proto_field *field, struct el_shape *shape, uint32_t *rank)
{
    struct el_proto dim;
    EL_TRY(el_proto_open(field, "a dimension", &dim));
    int64_t size = 0;
    struct el_proto_field inner;
    struct el_status *status = NULL;
    while (el_proto_next(&dim, &inner, &status)) {
        if (inner.number != 1)
            continue;
        EL_TRY(el_proto_want(&inner, EL_PROTO_VARINT, "the size of a dimension"));
        size = (int64_t)inner.value;
        if (size < -1)
            return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: a dimension of %lld, -1 or more is expected",
                                 inner.offset, (long long)size);
    }
    if (status == NULL && (*rank)++ < EL_MAX_RANK)
        shape->dims[*rank - 1] = size;
    return status;
}

static struct el_status *read_shape(const struct el_proto_field *field, struct el_shape *shape)
{
    struct el_proto message;
    EL_TRY(el_proto_open(field, "a tensor shape", &message));
    bool unknown = false;
    uint32_t rank = 0;
    struct el_proto_field inner;
    struct el_status *status = NULL;
    *shape = (struct el_shape){ 0 };
    while (status == NULL && el_proto_next(&message, &inner, &status)) {
        if (inner.number == 2) {
            status = read_dim(&inner, shape, &rank);
        } else if (inner.number == 3) {
            status = el_proto_want(&inner, EL_PROTO_VARINT, "unknown_rank");
            unknown = inner.value != 0;
        }
    }
    /* More dimensions than a tensor can have here: nothing is known that a request could be checked against. */
    if (unknown || rank > EL_MAX_RANK)
        *shape = (struct el_shape){ .rank = -1 };
    else
        shape->rank = (int32_t)rank;
    return status;
}

static struct el_status *read_tensor_info(const struct el_proto_field *field, struct el_tensor_info *info)
{
    struct el_proto message;
    EL_TRY(el_proto_open(field, "a TensorInfo", &message));
    struct el_proto_field inner;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(&message, &inner, &status)) {
        switch (inner.number) {
        case 1:
            status = el_proto_take_text(&inner, "the name of a tensor", &info->tensor_name);
            break;
        case 2:
            status = el_proto_want(&inner, EL_PROTO_VARINT, "a dtype");
            if (status == NULL && inner.value > MAX_DTYPE)
                status = el_status_new(EL_INVALID_ARGUMENT, "offset %zu: %llu is no dtype", inner.offset,
                                       (unsigned long long)inner.value);
            info->dtype = (enum el_dtype)inner.value;
            break;
        case 3:
            status = read_shape(&inner, &info->shape);
            break;
        default:
            break;
        }
    }
    return status;
}

/* One entry of map<string, TensorInfo> is put at the end of the list, which owns it from then on, whole or not. */
static struct el_status *read_tensor_entry(const struct el_proto_field *field, struct el_tensor_info **list,
                                           uint32_t *count)
{
    struct el_proto message;
    EL_TRY(el_proto_open(field, "an input or output", &message));
    if (*count == EL_MAX_SIGNATURE_TENSORS)
        return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: more than %d inputs or outputs in one signature",
                             field->offset, EL_MAX_SIGNATURE_TENSORS);
    struct el_tensor_info *grown = grow(*list, *count, sizeof **list);
    if (grown == NULL)
        return el_status_no_memory();
    *list = grown;
    struct el_tensor_info *info = &grown[(*count)++];
    *info = (struct el_tensor_info){ .name = empty_text(), .tensor_name = empty_text(), .shape = { .rank = -1 } };
    if (info->name == NULL || info->tensor_name == NULL)
        return el_status_no_memory();

    struct el_proto_field inner;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(&message, &inner, &status)) {
        if (inner.number == 1)
            status = el_proto_take_text(&inner, "the name of an input or output", &info->name);
        else if (inner.number == 2)
            status = read_tensor_info(&inner, info);
    }
    return status;
}

static int compare_tensors(const void *a, const void *b)
{
    return strcmp(((const struct el_tensor_info *)a)->name, ((const struct el_tensor_info *)b)->name);
}

static struct el_status *sort_tensors(struct el_tensor_info *list, uint32_t count, const char *what)
{
    if (count > 1)
        qsort(list, count, sizeof *list, compare_tensors);
    for (uint32_t i = 1; i < count; i++)
        if (strcmp(list[i - 1].name, list[i].name) == 0)
            return el_status_new(EL_INVALID_ARGUMENT, "the %s \"%s\" is there twice", what, list[i].name);
    return NULL;
}

static struct el_status *read_signature(const struct el_proto_field *field, struct el_signature *signature)
{
    struct el_proto message;
    EL_TRY(el_proto_open(field, "a SignatureDef", &message));
    struct el_proto_field inner;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(&message, &inner, &status)) {
        switch (inner.number) {
        case 1:
            status = read_tensor_entry(&inner, &signature->inputs, &signature->input_count);
            break;
        case 2:
            status = read_tensor_entry(&inner, &signature->outputs, &signature->output_count);
            break;
        case 3:
            status = el_proto_take_text(&inner, "a method name", &signature->method_name);
            break;
        default:
            break;
        }
    }
    return status;
}

/* *tensors counts the inputs and outputs of all signatures. */
static struct el_status *read_signature_entry(const struct el_proto_field *field, struct el_signatures *signatures,
                                              uint32_t *tensors)
{
    struct el_proto message;
    EL_TRY(el_proto_open(field, "a signature", &message));
    if (signatures->count == EL_MAX_SIGNATURES)
        return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: more than %d signatures", field->offset,
                             EL_MAX_SIGNATURES);
    struct el_signature *grown = grow(signatures->list, signatures->count, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    signatures->list = grown;
    struct el_signature *signature = &grown[signatures->count++];
    *signature = (struct el_signature){ .name = empty_text(), .method_name = empty_text() };
    if (signature->name == NULL || signature->method_name == NULL)
        return el_status_no_memory();

    struct el_proto_field inner, body = { .wire = EL_PROTO_BYTES };
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(&message, &inner, &status)) {
        if (inner.number == 1) {
            status = el_proto_take_text(&inner, "the name of a signature", &signature->name);
        } else if (inner.number == 2) {
            status = read_signature(&inner, signature);
            body = inner;
        }
    }
    EL_TRY(status);
    *tensors += signature->input_count + signature->output_count;
    if (*tensors > MAX_TENSORS)
        return el_status_new(EL_INVALID_ARGUMENT, "offset %zu: more than %u inputs and outputs in all", field->offset,
                             MAX_TENSORS);
    status = sort_tensors(signature->inputs, signature->input_count, "input");
    if (status == NULL)
        status = sort_tensors(signature->outputs, signature->output_count, "output");
    if (status == NULL)
        status = el_signature_read_defaults(&body, signature);
    return el_status_prefix(status, "signature \"%s\"", signature->name);
}

static int compare_signatures(const void *a, const void *b)
{
    return strcmp(((const struct el_signature *)a)->name, ((const struct el_signature *)b)->name);
}

static struct el_status *read_signatures(struct el_proto *message, struct el_signatures *signatures)
{
    uint32_t tensors = 0;
    struct el_proto_field field;
    struct el_status *status = NULL;
    while (status == NULL && el_proto_next(message, &field, &status)) {
        if (field.number == 1)
            status = read_signature_entry(&field, signatures, &tensors);
    }
    EL_TRY(status);
    if (signatures->count > 1)
        qsort(signatures->list, signatures->count, sizeof *signatures->list, compare_signatures);
    for (uint32_t i = 1; i < signatures->count; i++)
        if (strcmp(signatures->list[i - 1].name, signatures->list[i].name) == 0)
            return el_status_new(EL_INVALID_ARGUMENT, "the signature \"%s\" is there twice", signatures->list[i].name);
    return NULL;
}

struct el_status *el_signatures_decode(const uint8_t *bytes, size_t size, struct el_signatures *signatures)
{
    struct el_signatures made = { 0 };
    struct el_proto message = { .start = bytes, .size = size };
    struct el_status *status = read_signatures(&message, &made);
    if (status != NULL)
        el_signatures_free(&made);
    else
        *signatures = made;
    return status;
}

/* ---- writing ---- */

static void put_text(struct el_buf *buf, uint32_t number, const char *text)
{
    el_proto_put_bytes(buf, number, text, strlen(text));
}

/* Puts the content of inner into buf as a message, and empties inner. */
static void put_message(struct el_buf *buf, uint32_t number, struct el_buf *inner)
{
    el_proto_put_bytes(buf, number, inner->data, inner->size);
    if (inner->failed)
        buf->failed = true;
    el_buf_free(inner);
}

static void put_shape(struct el_buf *buf, const struct el_shape *shape)
{
    if (shape->rank < 0) {
        el_proto_put_number(buf, 3, 1);
        return;
    }
    for (int32_t i = 0; i < shape->rank; i++) {
        struct el_buf dim = { 0 };
        if (shape->dims[i] != 0)
            el_proto_put_number(&dim, 1, (uint64_t)shape->dims[i]);
        put_message(buf, 2, &dim);
    }
}

static void put_tensors(struct el_buf *buf, uint32_t number, const struct el_tensor_info *list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct el_buf shape = { 0 }, info = { 0 }, entry = { 0 };
        put_shape(&shape, &list[i].shape);
        if (list[i].tensor_name[0] != '\0')
            put_text(&info, 1, list[i].tensor_name);
        if (list[i].dtype != EL_DTYPE_INVALID)
            el_proto_put_number(&info, 2, (uint64_t)list[i].dtype);
        put_message(&info, 3, &shape);
        put_text(&entry, 1, list[i].name);
        put_message(&entry, 2, &info);
        put_message(buf, number, &entry);
    }
}

struct el_status *el_signatures_encode(const struct el_signatures *signatures, struct el_buf *buf)
{
    for (uint32_t i = 0; i < signatures->count; i++) {
        const struct el_signature *signature = &signatures->list[i];
        struct el_buf body = { 0 }, entry = { 0 };
        put_tensors(&body, 1, signature->inputs, signature->input_count);
        put_tensors(&body, 2, signature->outputs, signature->output_count);
        if (signature->method_name[0] != '\0')
            put_text(&body, 3, signature->method_name);
        el_signature_put_defaults(&body, signature);
        put_text(&entry, 1, signature->name);
        put_message(&entry, 2, &body);
        put_message(buf, 1, &entry);
    }
    return el_buf_status(buf);
}
