/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/channel_arguments.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 128
#define VALUE_BYTES 64

/* Takes a value; returns NULL or why it is not taken. */
typedef const char *taker(struct el_rpc_options *options, int64_t value);

static const char *at_least_1(int64_t value)
{
    return value < 1 ? "expected at least 1" : NULL;
}

static const char *max_streams(struct el_rpc_options *options, int64_t value)
{
    options->max_streams = (uint32_t)value;
    return at_least_1(value);
}

static const char *max_receive(struct el_rpc_options *options, int64_t value)
{
    options->max_grpc_message_bytes = value < 0 ? 0 : value == 0 ? 1 : (size_t)value; /* -1: no limit of its own */
    return NULL;
}

static const char *max_send(struct el_rpc_options *options, int64_t value)
{
    options->max_reply_bytes = value < 0 ? 0 : value == 0 ? 1 : (size_t)value;
    return NULL;
}

/* The soft and the absolute limit of gRPC are one here: the larger. */
static const char *max_metadata(struct el_rpc_options *options, int64_t value)
{
    if (value >= 1 && (size_t)value > options->max_header_bytes)
        options->max_header_bytes = (size_t)value;
    return at_least_1(value);
}

/* INT_MAX is gRPC's "never". */
static uint64_t time_ms(int64_t value)
{
    return value <= 0 || value == INT32_MAX ? 0 : (uint64_t)value;
}

static const char *idle(struct el_rpc_options *options, int64_t value)
{
    options->grpc_times.idle_ms = time_ms(value);
    return at_least_1(value);
}

static const char *age(struct el_rpc_options *options, int64_t value)
{
    options->grpc_times.age_ms = time_ms(value);
    return at_least_1(value);
}

static const char *age_grace(struct el_rpc_options *options, int64_t value)
{
    options->grpc_times.age_grace_ms = time_ms(value);
    return at_least_1(value);
}

static const char *keepalive(struct el_rpc_options *options, int64_t value)
{
    options->grpc_times.keepalive_ms = time_ms(value);
    return at_least_1(value);
}

static const char *keepalive_timeout(struct el_rpc_options *options, int64_t value)
{
    options->grpc_times.keepalive_timeout_ms = time_ms(value);
    return at_least_1(value);
}

static const char *keepalive_idle(struct el_rpc_options *options, int64_t value)
{
    options->grpc_times.keepalive_idle = value != 0;
    return NULL;
}

static const char *algorithm(struct el_rpc_options *options, int64_t value)
{
    if (value < 0 || value > 2)
        return "expected 0 (none), 1 (deflate) or 2 (gzip)";
    options->compression = value == 0 ? EL_GRPC_AS_ASKED : value == 1 ? EL_GRPC_DEFLATE : EL_GRPC_GZIP;
    return NULL;
}

static const char *level(struct el_rpc_options *options, int64_t value)
{
    if (value < 0 || value > 3)
        return "expected 0 (none) to 3 (high)";
    options->compression = value == 0 ? EL_GRPC_AS_ASKED : EL_GRPC_GZIP;
    return NULL;
}

static const struct {
    const char *name;
    taker *take;
} arguments[] = {
    { "grpc.max_concurrent_streams", max_streams },
    { "grpc.max_receive_message_length", max_receive },
    { "grpc.max_send_message_length", max_send },
    { "grpc.max_metadata_size", max_metadata },
    { "grpc.absolute_max_metadata_size", max_metadata },
    { "grpc.max_connection_idle_ms", idle },
    { "grpc.max_connection_age_ms", age },
    { "grpc.max_connection_age_grace_ms", age_grace },
    { "grpc.keepalive_time_ms", keepalive },
    { "grpc.keepalive_timeout_ms", keepalive_timeout },
    { "grpc.keepalive_permit_without_calls", keepalive_idle },
    { "grpc.default_compression_algorithm", algorithm },
    { "grpc.default_compression_level", level },
};

/* NULL, or why the argument has no effect. */
static const char *apply(const char *name, const char *value, struct el_rpc_options *options)
{
    for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
        if (strcmp(name, arguments[i].name) != 0)
            continue;
        char *end;
        errno = 0;
        const long long number = strtoll(value, &end, 10);
        if (errno != 0 || end == value || *end != '\0' || number < INT32_MIN || number > INT32_MAX)
            return "expected a whole number of 32 bits";
        return arguments[i].take(options, number);
    }
    return "it has no meaning here; docs/network.md lists those that have";
}

/* One item, not terminated. */
static void apply_item(const char *item, size_t size, const struct el_log *log, struct el_rpc_options *options)
{
    char name[NAME_BYTES], value[VALUE_BYTES] = "";
    const char *equals = memchr(item, '=', size);
    const size_t name_size = equals == NULL ? size : (size_t)(equals - item);
    const size_t value_size = equals == NULL ? 0 : size - name_size - 1;
    const char *reason = NULL;
    const size_t kept = name_size < sizeof(name) ? name_size : sizeof(name) - 1;
    memcpy(name, item, kept);
    name[kept] = '\0';
    if (equals == NULL) {
        reason = "expected name=value";
    } else if (kept < name_size || value_size >= sizeof(value)) {
        reason = "it is too long";
    } else {
        memcpy(value, equals + 1, value_size);
        value[value_size] = '\0';
        struct el_rpc_options changed = *options;
        reason = apply(name, value, &changed);
        if (reason == NULL)
            *options = changed;
    }
    if (reason != NULL)
        el_log(log, EL_LOG_WARNING, "channel_argument_without_effect", el_str("name", name), el_str("value", value),
               el_str("reason", reason));
}

void el_channel_arguments_apply(const char *text, const struct el_log *log, struct el_rpc_options *options)
{
    while (*text != '\0') {
        const size_t size = strcspn(text, ",");
        if (size > 0)
            apply_item(text, size, log, options);
        text += size + (text[size] == ',');
    }
}
