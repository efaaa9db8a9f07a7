/* SPDX-License-Identifier: Apache-2.0 */
#include "api/grpc_session.h"

#include "bundle/signature.h"

#include <stdlib.h>
#include <string.h>

enum {
    REQUEST_SPEC = 1,
    REQUEST_FEED = 2,
    REQUEST_FETCH = 3,
    REQUEST_TARGET = 4,
    REQUEST_OPTIONS = 5,
    REQUEST_BY_ALIAS = 6,
    OPTIONS_TIMEOUT = 2,
    NAMED_NAME = 1,
    NAMED_TENSOR = 2,
    RESPONSE_TENSOR = 1,
};

static struct el_status *malformed(void)
{
    return el_status_new(EL_INTERNAL, "%s", "");
}

/* Room for one more. */
static struct el_status *grow(void **list, size_t entry, uint32_t count, uint32_t *room, const char *what)
{
    if (count < *room)
        return NULL;
    if (count >= EL_MAX_SIGNATURE_TENSORS)
        return el_status_new(EL_INVALID_ARGUMENT, "a SessionRunRequest has more than %d %s", EL_MAX_SIGNATURE_TENSORS,
                             what);
    const uint32_t more = *room == 0 ? 4 : *room * 4;
    void *moved = realloc(*list, more * entry);
    if (moved == NULL)
        return el_status_no_memory();
    *list = moved;
    *room = more;
    return NULL;
}

static struct el_status *copy_name(struct el_span name, char **copy)
{
    if (name.size > 0 && memchr(name.data, 0, name.size) != NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "the name of a tensor has a zero byte");
    *copy = name.size == 0 ? strdup("") : strndup(name.data, name.size);
    return *copy == NULL ? el_status_no_memory() : NULL;
}

static struct el_status *add_feed(struct el_wire named, struct el_session_run *message)
{
    void *list = message->feeds;
    EL_TRY(grow(&list, sizeof *message->feeds, message->feed_count, &message->feed_room, "feeds"));
    message->feeds = list;
    struct el_session_feed *feed = &message->feeds[message->feed_count];
    struct el_span name = { "", 0 };
    struct el_wire tensor = { named.end, named.end };
    while (!el_wire_done(&named)) {
        uint32_t field;
        enum el_wire_type type;
        if (!el_wire_tag(&named, &field, &type))
            return malformed();
        if (type == EL_WIRE_BYTES && field == NAMED_NAME     ? !el_wire_text(&named, &name)
            : type == EL_WIRE_BYTES && field == NAMED_TENSOR ? !el_wire_bytes(&named, &tensor)
                                                             : !el_wire_skip(&named, field, type))
            return malformed();
    }
    if (!el_tensor_proto_scan(tensor.at, (size_t)(tensor.end - tensor.at), &feed->tensor))
        return malformed();
    EL_TRY(copy_name(name, &feed->name));
    message->feed_count++;
    return NULL;
}

static struct el_status *add_name(struct el_wire *wire, char ***names, uint32_t *count, uint32_t *room,
                                  const char *what)
{
    void *list = *names;
    EL_TRY(grow(&list, sizeof **names, *count, room, what));
    *names = list;
    struct el_span name;
    if (!el_wire_text(wire, &name))
        return malformed();
    EL_TRY(copy_name(name, &(*names)[*count]));
    ++*count;
    return NULL;
}

/* RunOptions: only its timeout means something here. */
static struct el_status *read_options(struct el_wire options, struct el_session_run *message)
{
    while (!el_wire_done(&options)) {
        uint32_t field;
        enum el_wire_type type;
        uint64_t value;
        if (!el_wire_tag(&options, &field, &type))
            return malformed();
        if (field == OPTIONS_TIMEOUT && type == EL_WIRE_VARINT) {
            if (!el_wire_varint(&options, &value))
                return malformed();
            message->timeout_ms = (int64_t)value;
        } else if (!el_wire_skip(&options, field, type)) {
            return malformed();
        }
    }
    return NULL;
}

static struct el_status *parse_bytes(struct el_wire *wire, uint32_t field, struct el_session_run *message)
{
    struct el_wire inside;
    if (field == REQUEST_FETCH)
        return add_name(wire, &message->fetches, &message->fetch_count, &message->fetch_room, "fetches");
    if (field == REQUEST_TARGET)
        return add_name(wire, &message->targets, &message->target_count, &message->target_room, "targets");
    if (!el_wire_bytes(wire, &inside))
        return malformed();
    if (field == REQUEST_SPEC)
        return el_model_spec_merge(inside, &message->spec) ? NULL : malformed();
    if (field == REQUEST_FEED)
        return add_feed(inside, message);
    return field == REQUEST_OPTIONS ? read_options(inside, message) : NULL;
}

struct el_status *el_session_run_parse(const void *bytes, size_t size, struct el_session_run *message)
{
    struct el_wire wire = el_wire_of(bytes, size);
    message->spec.name = message->spec.label = message->spec.signature_name = (struct el_span){ "", 0 };
    while (!el_wire_done(&wire)) {
        uint32_t field;
        enum el_wire_type type;
        uint64_t value;
        if (!el_wire_tag(&wire, &field, &type))
            return malformed();
        if (type == EL_WIRE_BYTES) {
            EL_TRY(parse_bytes(&wire, field, message));
        } else if (field == REQUEST_BY_ALIAS && type == EL_WIRE_VARINT) {
            if (!el_wire_varint(&wire, &value))
                return malformed();
            message->by_alias = value != 0;
        } else if (!el_wire_skip(&wire, field, type)) {
            return malformed();
        }
    }
    return NULL;
}

void el_session_run_free(struct el_session_run *message)
{
    for (uint32_t i = 0; i < message->feed_count; i++)
        free(message->feeds[i].name);
    for (uint32_t i = 0; i < message->fetch_count; i++)
        free(message->fetches[i]);
    for (uint32_t i = 0; i < message->target_count; i++)
        free(message->targets[i]);
    free(message->feeds);
    free(message->fetches);
    free(message->targets);
    *message = (struct el_session_run){ 0 };
}

static size_t field_size(size_t size)
{
    return 1 + el_wire_varint_size(size) + size;
}

void el_session_put_tensor(struct el_buf *buf, const char *name, const struct el_tensor *tensor)
{
    const size_t name_size = strlen(name);
    const size_t tensor_size = el_tensor_proto_size(tensor, EL_TENSOR_AS_VALUES);
    el_wire_put_length(buf, RESPONSE_TENSOR, field_size(name_size) + field_size(tensor_size));
    el_wire_put_bytes(buf, NAMED_NAME, name, name_size);
    el_wire_put_length(buf, NAMED_TENSOR, tensor_size);
    const size_t before = buf->size;
    el_tensor_proto_write(buf, tensor, EL_TENSOR_AS_VALUES);
    if (!buf->failed && buf->size - before != tensor_size)
        buf->failed = true; /* a worker changed its strings while they were read: no answer rather than a broken one */
}
