/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For test_config_protoc.py: reads text format on standard input as the message test.Everything (or, with the argument
 * `server`, as a ModelServerConfig) and writes it to standard output as Protocol Buffers bytes, or the error to standard
 * error with exit status 1. Written as C++ protobuf writes: fields by number, without proto3's zeros, map entries whole.
 *
 * With the argument `fields` it lists the tables of ModelServerConfig, one field a line; with `files` those of the other files.
 */
#include "base/buf.h"
#include "config/server_types.h"
#include "config/serving_types.h"
#include "config/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct el_text_type everything;
static const struct el_text_enum colours[] = { { "RED", 0 }, { "GREEN", 1 }, { "BLUE", -2 }, { NULL, 0 } };
static const struct el_text_type *const known[] = { &everything, NULL };
static const struct el_text_field any_fields[] = {
    { .name = "type_url", .number = 1, .kind = EL_TEXT_STRING },
    { .name = "value", .number = 2, .kind = EL_TEXT_STRING },
};
static const struct el_text_type any = {
    .name = "google.protobuf.Any", .fields = any_fields, .field_count = 2, .known = known
};
static const struct el_text_field entry_fields[] = {
    { .name = "key", .number = 1, .kind = EL_TEXT_STRING },
    { .name = "value", .number = 2, .kind = EL_TEXT_INT64 },
};
static const struct el_text_type entry = { .name = "test.Everything.MapEntry",
                                           .fields = entry_fields,
                                           .field_count = 2 };
static const struct el_text_field fields[] = {
    { .name = "i32", .number = 1, .kind = EL_TEXT_INT32 },
    { .name = "i64", .number = 2, .kind = EL_TEXT_INT64 },
    { .name = "u32", .number = 3, .kind = EL_TEXT_UINT32 },
    { .name = "u64", .number = 4, .kind = EL_TEXT_UINT64 },
    { .name = "d", .number = 5, .kind = EL_TEXT_DOUBLE },
    { .name = "f", .number = 6, .kind = EL_TEXT_FLOAT },
    { .name = "b", .number = 7, .kind = EL_TEXT_BOOL },
    { .name = "s", .number = 8, .kind = EL_TEXT_STRING },
    { .name = "colour", .number = 9, .kind = EL_TEXT_ENUM, .values = colours },
    { .name = "in", .number = 10, .kind = EL_TEXT_MESSAGE, .message = &everything },
    { .name = "many", .number = 11, .kind = EL_TEXT_INT64, .repeated = true },
    { .name = "words", .number = 12, .kind = EL_TEXT_STRING, .repeated = true },
    { .name = "ins", .number = 13, .kind = EL_TEXT_MESSAGE, .message = &everything, .repeated = true },
    { .name = "map", .number = 14, .kind = EL_TEXT_MESSAGE, .message = &entry, .repeated = true },
    { .name = "any", .number = 15, .kind = EL_TEXT_MESSAGE, .message = &any },
    { .name = "left", .number = 16, .kind = EL_TEXT_STRING, .oneof = "side" },
    { .name = "right", .number = 17, .kind = EL_TEXT_MESSAGE, .message = &everything, .oneof = "side" },
    { .name = "maybe", .number = 18, .kind = EL_TEXT_INT32, .optional = true },
};
static const struct el_text_type everything = { .name = "test.Everything",
                                                .fields = fields,
                                                .field_count = sizeof fields / sizeof fields[0] };

static void put_varint(uint64_t number, struct el_buf *out)
{
    for (; number >= 0x80; number >>= 7)
        el_buf_byte(out, (uint8_t)(number | 0x80));
    el_buf_byte(out, (uint8_t)number);
}

static void put_bytes(int32_t field, const void *bytes, size_t size, struct el_buf *out)
{
    put_varint((uint64_t)field << 3 | 2, out);
    put_varint(size, out);
    el_buf_append(out, bytes, size);
}

static void put_message(const struct el_text_message *message, struct el_buf *out);

static void put_inside(int32_t field, const struct el_text_message *message, struct el_buf *out)
{
    struct el_buf inside = { 0 };
    put_message(message, &inside);
    put_bytes(field, inside.data, inside.size, out);
    el_buf_free(&inside);
}

static void put_value(const struct el_text_value *value, struct el_buf *out)
{
    const int32_t number = value->field->number;
    switch (value->field->kind) {
    case EL_TEXT_MESSAGE:
        put_inside(number, value->as.message, out);
        return;
    case EL_TEXT_STRING:
        put_bytes(number, value->as.string.data, value->as.string.size, out);
        return;
    case EL_TEXT_DOUBLE:
        put_varint((uint64_t)number << 3 | 1, out);
        el_buf_append(out, &value->as.number, 8);
        return;
    case EL_TEXT_FLOAT: {
        const float narrow = (float)value->as.number;
        put_varint((uint64_t)number << 3 | 5, out);
        el_buf_append(out, &narrow, 4);
        return;
    }
    case EL_TEXT_BOOL:
        put_varint((uint64_t)number << 3, out);
        put_varint(value->as.boolean, out);
        return;
    default: /* signed and unsigned numbers have the same bits here */
        put_varint((uint64_t)number << 3, out);
        put_varint(value->as.count, out);
    }
}

/* What proto3 does not write. */
static bool is_zero(const struct el_text_value *value)
{
    const struct el_text_field *field = value->field;
    if (field->repeated || field->optional || field->oneof != NULL || field->kind == EL_TEXT_MESSAGE)
        return false;
    if (field->kind == EL_TEXT_STRING)
        return value->as.string.size == 0;
    return field->kind == EL_TEXT_BOOL ? !value->as.boolean : value->as.count == 0;
}

static void put_message(const struct el_text_message *message, struct el_buf *out)
{
    if (message->any != NULL) {
        char url[300];
        snprintf(url, sizeof url, "type.googleapis.com/%s", message->any->type->name);
        put_bytes(1, url, strlen(url), out);
        struct el_buf inside = { 0 };
        put_message(message->any, &inside);
        if (inside.size > 0)
            put_bytes(2, inside.data, inside.size, out);
        el_buf_free(&inside);
    }
    for (size_t i = 0; i < message->type->field_count; i++) {
        const struct el_text_field *field = &message->type->fields[i];
        const struct el_text_value zero = { .field = field }, empty = { .field = field, .as.string.data = "" };
        const struct el_text_value *value = el_text_get(message, field->number);
        if (value == NULL && message->type == &entry)
            put_value(field->kind == EL_TEXT_STRING ? &empty : &zero, out);
        for (; value != NULL; value = el_text_next(value)) {
            if (!is_zero(value) || message->type == &entry)
                put_value(value, out);
        }
    }
}

/* Each type once: some hold each other. */
static void list_fields(const struct el_text_type *type)
{
    static const struct el_text_type *listed[256];
    size_t count = 0;
    while (count < sizeof listed / sizeof listed[0] && listed[count] != NULL)
        if (listed[count++] == type)
            return;
    if (count == sizeof listed / sizeof listed[0])
        abort();
    listed[count] = type;
    for (size_t i = 0; i < type->field_count; i++) {
        const struct el_text_field *field = &type->fields[i];
        printf("%s %s %d %s%s%s\n", type->name, field->name, field->number, field->repeated ? "repeated " : "",
               field->oneof != NULL ? field->oneof : "", field->message != NULL ? field->message->name : "");
        if (field->message != NULL)
            list_fields(field->message);
        for (size_t j = 0; field->message != NULL && field->message->known != NULL && field->message->known[j] != NULL;
             j++)
            list_fields(field->message->known[j]);
    }
}

int main(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "";
    if (strcmp(what, "fields") == 0) {
        list_fields(&el_type_model_server_config);
        return 0;
    }
    if (strcmp(what, "files") == 0) {
        static const struct el_text_type *const files[] = { &el_type_batching_parameters, &el_type_ssl_config,
                                                            &el_type_monitoring_config, &el_type_platform_config_map };
        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
            list_fields(files[i]);
        return 0;
    }
    struct el_buf in = { 0 };
    for (;;) {
        uint8_t *to = el_buf_reserve(&in, 65536);
        const ssize_t n = to == NULL ? -1 : read(0, to, 65536);
        if (n < 0)
            return 2;
        if (n == 0)
            break;
        in.size += (size_t)n;
    }
    struct el_text document;
    const struct el_text_type *type = strcmp(what, "server") == 0 ? &el_type_model_server_config : &everything;
    struct el_status *status = el_text_parse("input", (const char *)in.data, in.size, type, &document);
    el_buf_free(&in);
    if (status != NULL) {
        fprintf(stderr, "%s\n", el_status_text(status));
        el_status_free(status);
        return 1;
    }
    struct el_buf out = { 0 };
    put_message(document.root, &out);
    const bool written = out.size == 0 || fwrite(out.data, 1, out.size, stdout) == out.size;
    el_buf_free(&out);
    el_text_free(&document);
    return written && fflush(stdout) == 0 ? 0 : 2;
}
