/* SPDX-License-Identifier: Apache-2.0 */
#include "config/wire.h"

#include <string.h>

enum wire_type { VARINT = 0, FIXED64 = 1, BYTES = 2, GROUP = 3, END_GROUP = 4, FIXED32 = 5 };

#define MAX_DEPTH 100 /* groups inside groups; messages nest no deeper than the tables */

/* Every reader stays in [at, end) and returns false on what is malformed. */
struct cursor {
    const uint8_t *at, *end;
};

struct reader {
    struct el_arena *arena;
    bool no_memory;
};

static bool read_message(struct reader *reader, struct cursor cursor, struct el_text_message *message);

static bool read_varint(struct cursor *cursor, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (cursor->at == cursor->end)
            return false;
        const uint8_t byte = *cursor->at++;
        if (shift < 64)
            *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool read_fixed(struct cursor *cursor, void *value, size_t size)
{
    if ((size_t)(cursor->end - cursor->at) < size)
        return false;
    memcpy(value, cursor->at, size);
    cursor->at += size;
    return true;
}

static bool read_bytes(struct cursor *cursor, struct cursor *inside)
{
    uint64_t size;
    if (!read_varint(cursor, &size) || size > (size_t)(cursor->end - cursor->at))
        return false;
    *inside = (struct cursor){ cursor->at, cursor->at + size };
    cursor->at += size;
    return true;
}

static bool read_tag(struct cursor *cursor, uint32_t *number, enum wire_type *type)
{
    uint64_t tag;
    if (!read_varint(cursor, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return false;
    *number = (uint32_t)(tag >> 3);
    *type = (enum wire_type)(tag & 7);
    return *type <= FIXED32;
}

/* Passes over a value; groups are counted, not recursed into. */
static bool skip(struct cursor *cursor, uint32_t number, enum wire_type type)
{
    uint32_t open[MAX_DEPTH];
    unsigned depth = 0;
    for (;;) {
        uint64_t ignored;
        struct cursor inside;
        switch (type) {
        case VARINT:
            if (!read_varint(cursor, &ignored))
                return false;
            break;
        case FIXED64:
            if (!read_fixed(cursor, &ignored, 8))
                return false;
            break;
        case FIXED32:
            if (!read_fixed(cursor, &ignored, 4))
                return false;
            break;
        case BYTES:
            if (!read_bytes(cursor, &inside))
                return false;
            break;
        case GROUP:
            if (depth == MAX_DEPTH)
                return false;
            open[depth++] = number;
            break;
        case END_GROUP:
            if (depth == 0 || open[--depth] != number)
                return false;
            break;
        }
        if (depth == 0)
            return true;
        if (!read_tag(cursor, &number, &type))
            return false;
    }
}

/* proto3 wants its strings to be UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
static bool is_utf8(struct cursor text)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    while (text.at < text.end) {
        const uint8_t byte = *text.at++;
        const size_t more = byte < 0x80 ? 0 : (byte & 0xe0) == 0xc0 ? 1 : (byte & 0xf0) == 0xe0 ? 2 : 3;
        if (more == 3 && (byte & 0xf8) != 0xf0)
            return false;
        if ((size_t)(text.end - text.at) < more)
            return false;
        uint32_t code = more == 0 ? byte : byte & (0x3fu >> more);
        for (size_t i = 0; i < more; i++) {
            if ((text.at[i] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (text.at[i] & 0x3fu);
        }
        text.at += more;
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
    }
    return true;
}

static void *allocate(struct reader *reader, size_t size)
{
    void *memory = el_arena_alloc(reader->arena, size);
    reader->no_memory = reader->no_memory || memory == NULL;
    return memory;
}

static struct el_text_message *new_message(struct reader *reader, const struct el_text_type *type)
{
    struct el_text_message *message = allocate(reader, sizeof *message);
    if (message != NULL) {
        message->type = type;
        message->repeated_end = &message->repeated;
    }
    return message;
}

/* The value that field has already, which a later one replaces or is merged into. */
static struct el_text_value *former_value(const struct el_text_message *message, const struct el_text_field *field)
{
    struct el_text_value *value = field->repeated ? NULL : message->singular;
    while (value != NULL && value->field != field)
        value = value->next;
    return value;
}

/* Of a oneof the last member that came is the one that is set. */
static void drop_other_members(struct el_text_message *message, const struct el_text_field *field)
{
    struct el_text_value **link = &message->singular;
    while (*link != NULL) {
        const struct el_text_field *other = (*link)->field;
        if (other != field && other->oneof != NULL && strcmp(other->oneof, field->oneof) == 0)
            *link = (*link)->next;
        else
            link = &(*link)->next;
    }
}

/* Where the field's next value goes; NULL without memory. */
static struct el_text_value *place_for(struct reader *reader, struct el_text_message *message,
                                       const struct el_text_field *field)
{
    if (field->oneof != NULL)
        drop_other_members(message, field);
    struct el_text_value *value = former_value(message, field);
    if (value != NULL)
        return value;
    value = allocate(reader, sizeof *value);
    if (value == NULL)
        return NULL;
    value->field = field;
    if (field->repeated) {
        *message->repeated_end = value;
        message->repeated_end = &value->next;
    } else {
        value->next = message->singular;
        message->singular = value;
    }
    return value;
}

static bool read_string(struct reader *reader, struct cursor text, struct el_text_value *value)
{
    if (!is_utf8(text))
        return false;
    const size_t size = (size_t)(text.end - text.at);
    char *copy = allocate(reader, size + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, text.at, size);
    value->as.string = (struct el_text_string){ copy, size };
    return true;
}

static enum wire_type wire_type_of(enum el_text_kind kind)
{
    switch (kind) {
    case EL_TEXT_DOUBLE:
        return FIXED64;
    case EL_TEXT_FLOAT:
        return FIXED32;
    case EL_TEXT_STRING:
    case EL_TEXT_MESSAGE:
        return BYTES;
    default:
        return VARINT;
    }
}

/* A value that is neither string nor message. */
static bool read_scalar(struct cursor *cursor, struct el_text_value *value)
{
    uint64_t bits;
    float single;
    switch (value->field->kind) {
    case EL_TEXT_DOUBLE:
        return read_fixed(cursor, &value->as.number, sizeof value->as.number);
    case EL_TEXT_FLOAT:
        if (!read_fixed(cursor, &single, sizeof single))
            return false;
        value->as.number = (double)single;
        return true;
    default:
        break;
    }
    if (!read_varint(cursor, &bits))
        return false;
    switch (value->field->kind) {
    case EL_TEXT_INT32:
    case EL_TEXT_ENUM:
        value->as.integer = (int32_t)(uint32_t)bits;
        break;
    case EL_TEXT_INT64:
        value->as.integer = (int64_t)bits;
        break;
    case EL_TEXT_UINT32:
        value->as.count = (uint32_t)bits;
        break;
    case EL_TEXT_BOOL:
        value->as.boolean = bits != 0;
        break;
    default:
        value->as.count = bits;
    }
    return true;
}

static bool read_packed(struct reader *reader, struct cursor *cursor, struct el_text_message *message,
                        const struct el_text_field *field)
{
    struct cursor packed;
    if (!read_bytes(cursor, &packed))
        return false;
    while (packed.at < packed.end) {
        struct el_text_value *value = place_for(reader, message, field);
        if (value == NULL || !read_scalar(&packed, value))
            return false;
    }
    return true;
}

static bool read_value(struct reader *reader, struct cursor *cursor, struct el_text_message *message,
                       const struct el_text_field *field)
{
    struct el_text_value *value = place_for(reader, message, field);
    struct cursor inside;
    if (value == NULL)
        return false;
    if (wire_type_of(field->kind) != BYTES)
        return read_scalar(cursor, value);
    if (!read_bytes(cursor, &inside))
        return false;
    if (field->kind == EL_TEXT_STRING)
        return read_string(reader, inside, value);
    if (value->as.message == NULL)
        value->as.message = new_message(reader, field->message);
    return value->as.message != NULL && read_message(reader, inside, value->as.message);
}

static const struct el_text_field *find_field(const struct el_text_type *type, uint32_t number)
{
    for (size_t i = 0; i < type->field_count; i++)
        if ((uint32_t)type->fields[i].number == number)
            return &type->fields[i];
    return NULL;
}

static bool read_message(struct reader *reader, struct cursor cursor, struct el_text_message *message)
{
    while (cursor.at < cursor.end) {
        uint32_t number;
        enum wire_type type;
        if (!read_tag(&cursor, &number, &type))
            return false;
        const struct el_text_field *field = find_field(message->type, number);
        const bool known = field != NULL && type == wire_type_of(field->kind);
        const bool packed = field != NULL && !known && field->repeated && type == BYTES;
        if (!(known    ? read_value(reader, &cursor, message, field)
              : packed ? read_packed(reader, &cursor, message, field)
                       : skip(&cursor, number, type)))
            return false;
    }
    return true;
}

struct el_status *el_config_wire_parse(const uint8_t *bytes, size_t size, const struct el_text_type *type,
                                       struct el_text *document)
{
    *document = (struct el_text){ 0 };
    if (size > EL_CONFIG_WIRE_MAX_BYTES)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "a %s of %zu bytes; expected at most %zu", type->name, size,
                             EL_CONFIG_WIRE_MAX_BYTES);
    struct reader reader = { .arena = &document->arena };
    document->root = new_message(&reader, type);
    const struct cursor all = { bytes, size == 0 ? bytes : bytes + size };
    if (document->root != NULL && read_message(&reader, all, document->root))
        return NULL;
    el_text_free(document);
    return reader.no_memory ? el_status_no_memory() : el_status_new(EL_INTERNAL, "%s", "");
}
