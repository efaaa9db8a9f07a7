/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text.h"

#include "config/hint.h"
#include "config/lexer.h"
#include "config/text_value.h"

#include <string.h>

struct parser {
    struct el_lexer lexer;
    struct el_arena *arena;
    unsigned depth;
};

static struct el_status *parse_message(struct parser *parser, struct el_text_message *message, const char *end);

static struct el_status *expect(struct parser *parser, const char *spelling)
{
    struct el_lexer *lexer = &parser->lexer;
    if (!el_lexer_at(lexer, spelling))
        return el_lexer_error(lexer, "Expected \"%s\", found \"%.*s\".", spelling, EL_TOKEN_ARGS(&lexer->token));
    return el_lexer_next(lexer);
}

/* Goes over the token if it is spelled like that; *taken says whether it was. */
static struct el_status *take(struct parser *parser, const char *spelling, bool *taken)
{
    *taken = el_lexer_at(&parser->lexer, spelling);
    return *taken ? el_lexer_next(&parser->lexer) : NULL;
}

static struct el_text_message *new_message(struct parser *parser, const struct el_text_type *type)
{
    struct el_text_message *message = el_arena_alloc(parser->arena, sizeof *message);
    if (message != NULL) {
        message->type = type;
        message->repeated_end = &message->repeated;
    }
    return message;
}

static struct el_text_value *find_singular(const struct el_text_message *message, const struct el_text_field *field)
{
    struct el_text_value *value = message->singular;
    while (value != NULL && value->field != field)
        value = value->next;
    return value;
}

/* proto3's idea: a scalar without `optional` that holds its zero is not there. */
static bool is_given(const struct el_text_value *value)
{
    if (value->field->optional || value->field->oneof != NULL)
        return true;
    switch (value->field->kind) {
    case EL_TEXT_DOUBLE:
    case EL_TEXT_FLOAT: {
        uint64_t bits;
        memcpy(&bits, &value->as.number, sizeof bits);
        return bits != 0; /* so that -0.0 is given */
    }
    case EL_TEXT_INT32:
    case EL_TEXT_INT64:
    case EL_TEXT_ENUM:
        return value->as.integer != 0;
    case EL_TEXT_UINT32:
    case EL_TEXT_UINT64:
        return value->as.count != 0;
    case EL_TEXT_BOOL:
        return value->as.boolean;
    case EL_TEXT_STRING:
        return value->as.string.size > 0;
    case EL_TEXT_MESSAGE:
        return true;
    }
    return true;
}

/* A field that is not repeated may come once, and only one of a oneof. */
static struct el_status *check_once(const struct parser *parser, const struct el_text_message *message,
                                    const struct el_text_field *field)
{
    if (field->repeated)
        return NULL;
    if (message->any != NULL)
        return el_lexer_error(&parser->lexer, "Non-repeated field \"%s\" is specified multiple times.", field->name);
    for (const struct el_text_value *value = message->singular; value != NULL; value = value->next) {
        if (value->field == field && is_given(value))
            return el_lexer_error(&parser->lexer, "Non-repeated field \"%s\" is specified multiple times.",
                                  field->name);
        if (value->field != field && field->oneof != NULL && value->field->oneof != NULL &&
            strcmp(field->oneof, value->field->oneof) == 0)
            return el_lexer_error(&parser->lexer,
                                  "Field \"%s\" is specified along with field \"%s\", another member of oneof \"%s\".",
                                  field->name, value->field->name, field->oneof);
    }
    return NULL;
}

/* A new value of field at the current token, not yet part of the message. */
static struct el_text_value *new_value(struct parser *parser, const struct el_text_field *field)
{
    struct el_text_value *value = el_arena_alloc(parser->arena, sizeof *value);
    if (value != NULL) {
        value->field = field;
        value->line = parser->lexer.token.line + 1;
        value->column = parser->lexer.token.column + 1;
    }
    return value;
}

static void add_value(struct el_text_message *message, struct el_text_value *value)
{
    if (value->field->repeated) {
        *message->repeated_end = value;
        message->repeated_end = &value->next;
        return;
    }
    struct el_text_value *former = find_singular(message, value->field);
    if (former != NULL) { /* its zero, or it would be an error */
        struct el_text_value *next = former->next;
        *former = *value;
        former->next = next;
        return;
    }
    value->next = message->singular;
    message->singular = value;
}

static struct el_status *parse_braces(struct parser *parser, struct el_text_message *message)
{
    if (parser->depth == EL_TEXT_MAX_DEPTH)
        return el_lexer_error(&parser->lexer,
                              "Message is too deep, the parser exceeded the configured recursion limit of %d.",
                              EL_TEXT_MAX_DEPTH);
    bool angle;
    EL_TRY(take(parser, "<", &angle));
    if (!angle)
        EL_TRY(expect(parser, "{"));
    parser->depth++;
    EL_TRY(parse_message(parser, message, angle ? ">" : "}"));
    parser->depth--;
    return NULL;
}

static struct el_status *parse_value(struct parser *parser, struct el_text_message *message,
                                     const struct el_text_field *field)
{
    struct el_text_value *value = new_value(parser, field);
    if (value == NULL)
        return el_status_no_memory();
    if (field->kind == EL_TEXT_MESSAGE) {
        value->as.message = new_message(parser, field->message);
        if (value->as.message == NULL)
            return el_status_no_memory();
        EL_TRY(parse_braces(parser, value->as.message));
    } else {
        EL_TRY(el_text_parse_scalar(&parser->lexer, parser->arena, value));
    }
    add_value(message, value);
    return NULL;
}

/* [value, value]: the bracket is taken already. */
static struct el_status *parse_list(struct parser *parser, struct el_text_message *message,
                                    const struct el_text_field *field)
{
    bool end;
    EL_TRY(take(parser, "]", &end));
    while (!end) {
        EL_TRY(parse_value(parser, message, field));
        EL_TRY(take(parser, "]", &end));
        if (!end)
            EL_TRY(expect(parser, ","));
    }
    return NULL;
}

static struct el_status *expect_identifier(struct parser *parser, struct el_token *identifier)
{
    struct el_lexer *lexer = &parser->lexer;
    if (lexer->token.type == EL_TOKEN_END)
        return el_lexer_error(lexer, "Expected identifier, got: (the text ends here; is a \"}\" missing?)");
    if (lexer->token.type != EL_TOKEN_IDENTIFIER)
        return el_lexer_error(lexer, "Expected identifier, got: %.*s", EL_TOKEN_ARGS(&lexer->token));
    *identifier = lexer->token;
    return el_lexer_next(lexer);
}

/* Longer than any type's name that is known; a longer one is cut, and then not known. */
#define MAX_TYPE_NAME 256

/* identifier.identifier..., with the dots alone between them however they are spaced. */
static struct el_status *parse_dotted(struct parser *parser, char name[MAX_TYPE_NAME])
{
    size_t used = 0;
    for (;;) {
        struct el_token part = { 0 };
        EL_TRY(expect_identifier(parser, &part));
        for (size_t i = 0; i < part.size && used < MAX_TYPE_NAME - 1; i++)
            name[used++] = part.text[i];
        bool more;
        EL_TRY(take(parser, ".", &more));
        if (more && used < MAX_TYPE_NAME - 1)
            name[used++] = '.';
        if (!more)
            break;
    }
    name[used] = '\0';
    return NULL;
}

static const struct el_text_type *find_any_type(const struct el_text_type *any, const char *prefix, const char *name)
{
    if (strcmp(prefix, "type.googleapis.com") != 0 && strcmp(prefix, "type.googleprod.com") != 0)
        return NULL;
    for (const struct el_text_type *const *type = any->known; *type != NULL; type++) {
        if (strcmp((*type)->name, name) == 0)
            return *type;
    }
    return NULL;
}

/* The inside of an Any, [type.googleapis.com/name] { ... }: the bracket is taken already. */
static struct el_status *parse_any(struct parser *parser, struct el_text_message *message)
{
    char prefix[MAX_TYPE_NAME], name[MAX_TYPE_NAME];
    EL_TRY(parse_dotted(parser, prefix));
    EL_TRY(expect(parser, "/"));
    EL_TRY(parse_dotted(parser, name));
    EL_TRY(expect(parser, "]"));
    bool colon;
    EL_TRY(take(parser, ":", &colon));
    const struct el_text_type *type = find_any_type(message->type, prefix, name);
    if (type == NULL)
        return el_lexer_error(&parser->lexer, "Could not find type \"%s/%s\" stored in google.protobuf.Any.", prefix,
                              name);
    struct el_text_message *inside = new_message(parser, type);
    if (inside == NULL)
        return el_status_no_memory();
    EL_TRY(parse_braces(parser, inside));
    if (message->any != NULL || message->singular != NULL)
        return el_lexer_error(&parser->lexer, "Non-repeated Any specified multiple times.");
    message->any = inside;
    return NULL;
}

/* [name] where no Any is expected: an extension, of which the messages of a model server have none. */
static struct el_status *parse_extension(struct parser *parser, const struct el_text_type *type)
{
    char name[MAX_TYPE_NAME];
    EL_TRY(parse_dotted(parser, name));
    EL_TRY(expect(parser, "]"));
    return el_lexer_error(&parser->lexer, "Extension \"%s\" is not defined or is not an extension of \"%s\".", name,
                          type->name);
}

static const struct el_text_field *find_field(const struct el_text_type *type, const struct el_token *name)
{
    for (size_t i = 0; i < type->field_count; i++) {
        if (strlen(type->fields[i].name) == name->size && memcmp(type->fields[i].name, name->text, name->size) == 0)
            return &type->fields[i];
    }
    return NULL;
}

static struct el_status *unknown_field(const struct parser *parser, const struct el_text_type *type,
                                       const struct el_token *name)
{
    char hint[EL_HINT_BYTES];
    el_field_hint(type, name->text, name->size, hint);
    return el_lexer_error(&parser->lexer, "Message type \"%s\" has no field named \"%.*s\".%s", type->name,
                          EL_TOKEN_ARGS(name), hint);
}

static struct el_status *parse_field(struct parser *parser, struct el_text_message *message)
{
    bool bracket;
    EL_TRY(take(parser, "[", &bracket));
    if (bracket)
        return message->type->known != NULL ? parse_any(parser, message) : parse_extension(parser, message->type);

    struct el_token name = { .text = "" };
    EL_TRY(expect_identifier(parser, &name));
    const struct el_text_field *field = find_field(message->type, &name);
    if (field == NULL)
        return unknown_field(parser, message->type, &name);
    EL_TRY(check_once(parser, message, field));

    bool taken;
    if (field->kind == EL_TEXT_MESSAGE)
        EL_TRY(take(parser, ":", &taken));
    else
        EL_TRY(expect(parser, ":"));

    taken = false;
    if (field->repeated)
        EL_TRY(take(parser, "[", &taken));
    EL_TRY(taken ? parse_list(parser, message, field) : parse_value(parser, message, field));

    EL_TRY(take(parser, ";", &taken));
    return taken ? NULL : take(parser, ",", &taken);
}

/* The fields up to end, which is taken too; end NULL: up to the end of the text. */
static struct el_status *parse_message(struct parser *parser, struct el_text_message *message, const char *end)
{
    struct el_lexer *lexer = &parser->lexer;
    if (end == NULL) {
        while (lexer->token.type != EL_TOKEN_END)
            EL_TRY(parse_field(parser, message));
        return NULL;
    }
    while (!el_lexer_at(lexer, ">") && !el_lexer_at(lexer, "}"))
        EL_TRY(parse_field(parser, message));
    return expect(parser, end);
}

struct el_status *el_text_parse(const char *name, const char *text, size_t size, const struct el_text_type *type,
                                struct el_text *document)
{
    *document = (struct el_text){ 0 };
    if (size > EL_TEXT_MAX_BYTES)
        return el_status_new(EL_RESOURCE_EXHAUSTED, "%s: has %zu bytes; the limit of a text-format file is %zu", name,
                             size, EL_TEXT_MAX_BYTES);
    struct parser parser = { .arena = &document->arena };
    document->root = new_message(&parser, type);
    struct el_status *status = document->root == NULL ? el_status_no_memory() : NULL;
    if (status == NULL)
        status = el_lexer_start(&parser.lexer, name, text, size);
    if (status == NULL)
        status = parse_message(&parser, document->root, NULL);
    if (status != NULL)
        el_text_free(document);
    return status;
}

static const struct el_text_value *first_of(const struct el_text_value *value, int32_t number)
{
    while (value != NULL && value->field->number != number)
        value = value->next;
    return value;
}

const struct el_text_value *el_text_get(const struct el_text_message *message, int32_t number)
{
    const struct el_text_value *value = first_of(message->singular, number);
    return value != NULL ? value : first_of(message->repeated, number);
}

const struct el_text_value *el_text_next(const struct el_text_value *value)
{
    return first_of(value->next, value->field->number);
}

void el_text_free(struct el_text *document)
{
    el_arena_free(&document->arena);
    document->root = NULL;
}
