/* SPDX-License-Identifier: Apache-2.0 */
#include "config/text_value.h"

#include "config/hint.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include <strings.h>

static bool is_word(const struct el_lexer *lexer, const char *word)
{
    return strlen(word) == lexer->token.size && strncasecmp(lexer->token.text, word, lexer->token.size) == 0;
}

static struct el_status *parse_count(struct el_lexer *lexer, uint64_t most, uint64_t *count)
{
    if (lexer->token.type != EL_TOKEN_INTEGER)
        return el_lexer_error(lexer, "Expected integer, got: %.*s", EL_TOKEN_ARGS(&lexer->token));
    if (!el_token_integer(&lexer->token, most, count))
        return el_lexer_error(lexer, "Integer out of range (%.*s)", EL_TOKEN_ARGS(&lexer->token));
    return el_lexer_next(lexer);
}

static struct el_status *parse_integer(struct el_lexer *lexer, int64_t most, int64_t *integer)
{
    uint64_t count = 0;
    if (!el_lexer_at(lexer, "-")) {
        EL_TRY(parse_count(lexer, (uint64_t)most, &count));
        *integer = (int64_t)count;
        return NULL;
    }
    EL_TRY(el_lexer_next(lexer));
    EL_TRY(parse_count(lexer, (uint64_t)most + 1, &count)); /* two's complement has one more below zero */
    *integer = count == 0 ? 0 : -(int64_t)(count - 1) - 1;
    return NULL;
}

static struct el_status *parse_unsigned_number(struct el_lexer *lexer, double *number)
{
    const struct el_token *token = &lexer->token;
    if (token->type == EL_TOKEN_INTEGER && token->size >= 2 && token->text[0] == '0')
        return el_lexer_error(lexer, "Expect a decimal number, got: %.*s", EL_TOKEN_ARGS(token));
    if (token->type == EL_TOKEN_INTEGER || token->type == EL_TOKEN_FLOAT) {
        EL_TRY(el_token_double(token, number));
    } else if (token->type == EL_TOKEN_IDENTIFIER && (is_word(lexer, "inf") || is_word(lexer, "infinity"))) {
        *number = HUGE_VAL;
    } else if (token->type == EL_TOKEN_IDENTIFIER && is_word(lexer, "nan")) {
        *number = (double)NAN;
    } else {
        return el_lexer_error(lexer, "Expected double, got: %.*s", EL_TOKEN_ARGS(token));
    }
    return el_lexer_next(lexer);
}

static struct el_status *parse_number(struct el_lexer *lexer, double *number)
{
    const bool negative = el_lexer_at(lexer, "-");
    if (negative)
        EL_TRY(el_lexer_next(lexer));
    EL_TRY(parse_unsigned_number(lexer, number));
    if (negative)
        *number = -*number;
    return NULL;
}

/* Half a step above the largest float is still rounded down to it, as C++ protobuf does, where C rounds to infinity. */
static double to_float(double number)
{
    const double largest = (double)FLT_MAX, half_above = 340282356779733661637539395458142568447.0;
    if (fabs(number) > largest && fabs(number) <= half_above)
        return number > 0 ? largest : -largest;
    return (double)(float)number;
}

static struct el_status *parse_bool(struct el_lexer *lexer, const char *field, bool *boolean)
{
    const struct el_token token = lexer->token;
    if (token.type == EL_TOKEN_INTEGER) {
        uint64_t count = 0;
        EL_TRY(parse_count(lexer, 1, &count));
        *boolean = count == 1;
        return NULL;
    }
    if (token.type != EL_TOKEN_IDENTIFIER)
        return el_lexer_error(lexer, "Expected identifier, got: %.*s", EL_TOKEN_ARGS(&token));
    static const struct {
        const char *word;
        bool means;
    } words[] = { { "true", true },   { "True", true },   { "t", true },
                  { "false", false }, { "False", false }, { "f", false } };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (el_lexer_at(lexer, words[i].word)) {
            *boolean = words[i].means;
            return el_lexer_next(lexer);
        }
    }
    EL_TRY(el_lexer_next(lexer)); /* C++ complains behind the word */
    return el_lexer_error(lexer, "Invalid value for boolean field \"%s\". Value: \"%.*s\".", field,
                          EL_TOKEN_ARGS(&token));
}

/* A number that has no name is taken, as proto3 does. */
static struct el_status *parse_enum(struct el_lexer *lexer, const struct el_text_field *field, int64_t *integer)
{
    const struct el_token token = lexer->token;
    if (token.type == EL_TOKEN_INTEGER || el_lexer_at(lexer, "-"))
        return parse_integer(lexer, INT32_MAX, integer);
    if (token.type != EL_TOKEN_IDENTIFIER)
        return el_lexer_error(lexer, "Expected integer or identifier, got: %.*s", EL_TOKEN_ARGS(&token));
    for (const struct el_text_enum *value = field->values; value->name != NULL; value++) {
        if (el_lexer_at(lexer, value->name)) {
            *integer = value->number;
            return el_lexer_next(lexer);
        }
    }
    char hint[EL_HINT_BYTES];
    el_enum_hint(field->values, token.text, token.size, hint);
    EL_TRY(el_lexer_next(lexer));
    return el_lexer_error(lexer, "Unknown enumeration value of \"%.*s\" for field \"%s\".%s", EL_TOKEN_ARGS(&token),
                          field->name, hint);
}

/* Adjacent strings are one. They are read twice: for their size, then for their bytes. */
static struct el_status *parse_string(struct el_lexer *lexer, struct el_arena *arena, struct el_text_string *string)
{
    const struct el_token *token = &lexer->token;
    if (token->type == EL_TOKEN_IDENTIFIER)
        return el_lexer_error(lexer, "Expected string, got: %.*s (did you mean \"%.*s\", in quotes?)",
                              EL_TOKEN_ARGS(token), EL_TOKEN_ARGS(token));
    if (token->type != EL_TOKEN_STRING)
        return el_lexer_error(lexer, "Expected string, got: %.*s", EL_TOKEN_ARGS(token));
    const struct el_lexer start = *lexer;
    size_t size = 0; /* no overflow: each token is a part of the text */
    while (token->type == EL_TOKEN_STRING) {
        size += token->size;
        EL_TRY(el_lexer_next(lexer));
    }
    char *data = el_arena_alloc(arena, size + 1);
    if (data == NULL)
        return el_status_no_memory();
    string->data = data;
    string->size = 0;
    struct el_lexer again = start;
    while (again.token.type == EL_TOKEN_STRING) {
        string->size += el_token_unquote(&again.token, data + string->size);
        EL_TRY(el_lexer_next(&again));
    }
    return NULL;
}

struct el_status *el_text_parse_scalar(struct el_lexer *lexer, struct el_arena *arena, struct el_text_value *value)
{
    const struct el_text_field *field = value->field;
    switch (field->kind) {
    case EL_TEXT_DOUBLE:
        return parse_number(lexer, &value->as.number);
    case EL_TEXT_FLOAT:
        EL_TRY(parse_number(lexer, &value->as.number));
        value->as.number = to_float(value->as.number);
        return NULL;
    case EL_TEXT_INT32:
        return parse_integer(lexer, INT32_MAX, &value->as.integer);
    case EL_TEXT_INT64:
        return parse_integer(lexer, INT64_MAX, &value->as.integer);
    case EL_TEXT_UINT32:
        return parse_count(lexer, UINT32_MAX, &value->as.count);
    case EL_TEXT_UINT64:
        return parse_count(lexer, UINT64_MAX, &value->as.count);
    case EL_TEXT_BOOL:
        return parse_bool(lexer, field->name, &value->as.boolean);
    case EL_TEXT_ENUM:
        return parse_enum(lexer, field, &value->as.integer);
    case EL_TEXT_STRING:
        return parse_string(lexer, arena, &value->as.string);
    case EL_TEXT_MESSAGE:
        break;
    }
    return el_lexer_error(lexer, "field \"%s\" holds a message", field->name);
}
