/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_TEXT_H
#define EL_CONFIG_TEXT_H

/*
 * The text format of Protocol Buffers, read as C++ TextFormat (3.21) reads it, for any message that a table describes.
 *
 * A message is a struct el_text_type: its fields by name, number and kind. Parsing makes a tree of the fields that the
 * text gives, in an arena that the document owns; nothing is converted to structs here. The differences from C++ are
 * limits (size, depth) and hints after its error texts. Names are matched as C++ does; `reserved` names, groups and
 * extensions do not exist in the messages that a model server reads.
 *
 * Any thread; nothing is kept. Errors are INVALID_ARGUMENT "<name>:<line>:<column>: <C++'s text>", both counted from 1,
 * where C++ counts them: a tab leads to the next multiple of eight, and the place is that of the token it stopped at,
 * which for an unknown field is the one after the field's name.
 */

#include "base/status.h"
#include "config/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EL_TEXT_MAX_BYTES ((size_t)64 * 1024 * 1024)
#define EL_TEXT_MAX_DEPTH 100 /* messages inside messages */

enum el_text_kind {
    EL_TEXT_DOUBLE,
    EL_TEXT_FLOAT,
    EL_TEXT_INT32,
    EL_TEXT_INT64,
    EL_TEXT_UINT32,
    EL_TEXT_UINT64,
    EL_TEXT_BOOL,
    EL_TEXT_ENUM,
    EL_TEXT_STRING, /* and bytes: the text format writes both alike */
    EL_TEXT_MESSAGE,
};

struct el_text_enum {
    const char *name;
    int32_t number;
};

struct el_text_type;

struct el_text_field {
    const char *name;
    int32_t number;
    enum el_text_kind kind;
    bool repeated;                      /* also a map, whose message is an entry of key and value */
    bool optional;                      /* proto3 `optional`: its zero counts as given */
    const char *oneof;                  /* the oneof that it is a member of, or NULL */
    const struct el_text_type *message; /* MESSAGE */
    const struct el_text_enum *values;  /* ENUM; ends with a NULL name */
};

struct el_text_type {
    const char *name; /* "tensorflow.serving.ModelConfig" */
    const struct el_text_field *fields;
    size_t field_count;
    const struct el_text_type *const *known; /* google.protobuf.Any: the types that `[...]` may name; ends with NULL */
};

struct el_text_string {
    const char *data; /* terminated, and may hold zero bytes */
    size_t size;
};

struct el_text_message;

/* One occurrence of a field. */
struct el_text_value {
    const struct el_text_field *field;
    uint32_t line, column; /* where the value starts, from 1 */
    union {
        double number;                   /* DOUBLE, FLOAT */
        int64_t integer;                 /* INT32, INT64, ENUM */
        uint64_t count;                  /* UINT32, UINT64 */
        bool boolean;                    /* BOOL */
        struct el_text_string string;    /* STRING */
        struct el_text_message *message; /* MESSAGE */
    } as;
    struct el_text_value *next; /* use el_text_next() */
};

struct el_text_message {
    const struct el_text_type *type;
    struct el_text_value *singular; /* fields that are not repeated, at most one value each */
    struct el_text_value *repeated; /* the others, in the order of the text */
    struct el_text_value **repeated_end;
    /* An Any written with its type in brackets: what it holds. NULL otherwise. */
    struct el_text_message *any;
};

struct el_text {
    struct el_arena arena;
    struct el_text_message *root; /* in the arena */
};

/*
 * Parses text (size bytes, not necessarily terminated) as a message of the given type. name stands for the file in
 * errors. On failure *document is empty; on success end it with el_text_free().
 */
struct el_status *el_text_parse(const char *name, const char *text, size_t size, const struct el_text_type *type,
                                struct el_text *document) EL_MUST_USE;

/* The first value of the field with that number, or NULL where the text gives none. */
const struct el_text_value *el_text_get(const struct el_text_message *message, int32_t number);

/* The next value of the same repeated field, or NULL. */
const struct el_text_value *el_text_next(const struct el_text_value *value);

void el_text_free(struct el_text *document);

#endif
