/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct el_status {
    enum el_code code;
    char text[];
};

static const struct {
    enum el_code code;
    char text[16];
} no_memory = { EL_RESOURCE_EXHAUSTED, "out of memory" };

static const char *const code_names[EL_CODES] = {
    "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
};

static bool is_constant(const struct el_status *status)
{
    return (const void *)status == (const void *)&no_memory;
}

struct el_status *el_status_no_memory(void)
{
    /* Never written to: el_status_free() and the others know the constant by its address. */
    union {
        const void *constant;
        struct el_status *status;
    } same = { .constant = &no_memory };
    return same.status;
}

static struct el_status *status_alloc(enum el_code code, size_t length)
{
    struct el_status *status = malloc(sizeof *status + length + 1);
    if (status == NULL)
        return NULL;
    status->code = code;
    return status;
}

struct el_status *el_status_newv(enum el_code code, const char *format, va_list args)
{
    assert(code != EL_OK);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    struct el_status *status = length < 0 ? NULL : status_alloc(code, (size_t)length);
    if (status == NULL)
        return el_status_no_memory();
    vsnprintf(status->text, (size_t)length + 1, format, args);
    return status;
}

struct el_status *el_status_new(enum el_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct el_status *status = el_status_newv(code, format, args);
    va_end(args);
    return status;
}

static enum el_code code_of_errno(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return EL_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return EL_PERMISSION_DENIED;
    case EEXIST:
    case EADDRINUSE:
        return EL_ALREADY_EXISTS;
    case ENOMEM:
    case ENOSPC:
    case EMFILE:
    case ENFILE:
    case EDQUOT:
        return EL_RESOURCE_EXHAUSTED;
    case ETIMEDOUT:
        return EL_DEADLINE_EXCEEDED;
    case EINVAL:
    case ENAMETOOLONG:
        return EL_INVALID_ARGUMENT;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
        return EL_UNAVAILABLE;
    default:
        return EL_INTERNAL;
    }
}

struct el_status *el_status_errno(int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct el_status *status = el_status_newv(code_of_errno(error), format, args);
    va_end(args);
    char buffer[128];
    const char *why = strerror_r(error, buffer, sizeof buffer);
    if (is_constant(status))
        return status;
    struct el_status *whole = el_status_new(status->code, "%s: %s", status->text, why);
    el_status_free(status);
    return whole;
}

struct el_status *el_status_prefix(struct el_status *status, const char *format, ...)
{
    if (status == NULL || is_constant(status))
        return status;
    va_list args;
    va_start(args, format);
    struct el_status *prefix = el_status_newv(status->code, format, args);
    va_end(args);
    struct el_status *whole = el_status_new(status->code, "%s: %s", el_status_text(prefix), status->text);
    el_status_free(prefix);
    el_status_free(status);
    return whole;
}

struct el_status *el_status_copy(const struct el_status *status)
{
    if (status == NULL)
        return NULL;
    if (is_constant(status))
        return el_status_no_memory();
    size_t length = strlen(status->text);
    struct el_status *copy = status_alloc(status->code, length);
    if (copy == NULL)
        return el_status_no_memory();
    memcpy(copy->text, status->text, length + 1);
    return copy;
}

void el_status_free(struct el_status *status)
{
    if (!is_constant(status))
        free(status);
}

enum el_code el_status_code(const struct el_status *status)
{
    return status == NULL ? EL_OK : status->code;
}

const char *el_status_text(const struct el_status *status)
{
    return status == NULL ? "" : status->text;
}

const char *el_code_name(enum el_code code)
{
    return (unsigned)code < EL_CODES ? code_names[code] : "UNKNOWN";
}
