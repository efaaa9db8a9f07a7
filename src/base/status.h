/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_STATUS_H
#define EL_BASE_STATUS_H

/*
 * How every function of Everlit that can fail says so: a gRPC code and a text
 * that a user can act on.
 *
 * A status is a pointer; NULL means that all went well. Whoever receives one
 * owns it and either returns it to its own caller unchanged or ends it with
 * el_status_free(). The text is made where the error is known: what was being
 * done, on which model, version, file or field, what was found and what was
 * expected. Safe on any thread; a status belongs to one thread at a time.
 *
 * Making a status cannot fail: when memory is short, a constant one that says
 * so is returned, and freeing it does nothing.
 */

#include <stdarg.h>
#include <stdbool.h>

/* The codes of gRPC, with its numbers. */
enum el_code {
    EL_OK = 0,
    EL_CANCELLED = 1,
    EL_UNKNOWN = 2,
    EL_INVALID_ARGUMENT = 3,
    EL_DEADLINE_EXCEEDED = 4,
    EL_NOT_FOUND = 5,
    EL_ALREADY_EXISTS = 6,
    EL_PERMISSION_DENIED = 7,
    EL_RESOURCE_EXHAUSTED = 8,
    EL_FAILED_PRECONDITION = 9,
    EL_ABORTED = 10,
    EL_OUT_OF_RANGE = 11,
    EL_UNIMPLEMENTED = 12,
    EL_INTERNAL = 13,
    EL_UNAVAILABLE = 14,
    EL_DATA_LOSS = 15,
    EL_UNAUTHENTICATED = 16,
    EL_CODES
};

struct el_status;

#define EL_MUST_USE __attribute__((warn_unused_result))
#ifndef EL_NEVER_NULL                                      /* tools/analyzer.h has another way to say it */
#    define EL_NEVER_NULL __attribute__((returns_nonnull)) /* what makes a status */
#endif

/* A new status. code must not be EL_OK. Never NULL. */
struct el_status *el_status_new(enum el_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3))) EL_MUST_USE EL_NEVER_NULL;
struct el_status *el_status_newv(enum el_code code, const char *format, va_list args)
    __attribute__((format(printf, 2, 0))) EL_MUST_USE EL_NEVER_NULL;

/* A status with the text of errno appended: "<text>: No such file or directory"; the code follows from errno. */
struct el_status *el_status_errno(int error, const char *format, ...)
    __attribute__((format(printf, 2, 3))) EL_MUST_USE EL_NEVER_NULL;

/* Puts "<text>: " before the message of status (taken over; the result is to be used instead). NULL stays NULL. */
struct el_status *el_status_prefix(struct el_status *status, const char *format, ...)
    __attribute__((format(printf, 2, 3))) EL_MUST_USE;

/* The constant "out of memory" status, RESOURCE_EXHAUSTED. */
struct el_status *el_status_no_memory(void) EL_MUST_USE EL_NEVER_NULL;

/* A copy with its own life. NULL for NULL. */
struct el_status *el_status_copy(const struct el_status *status) EL_MUST_USE;

/* Ends status; NULL is allowed. */
void el_status_free(struct el_status *status);

/* The code; EL_OK for NULL. */
enum el_code el_status_code(const struct el_status *status);

/* The message; "" for NULL. Lives as long as status. */
const char *el_status_text(const struct el_status *status);

/* "INVALID_ARGUMENT" and so on; "UNKNOWN" for a number that is none. */
const char *el_code_name(enum el_code code);

/* Returns from the calling function with the status of expression, if it has one. */
#define EL_TRY(expression)                              \
    do {                                                \
        struct el_status *el_try_status = (expression); \
        if (el_try_status != NULL)                      \
            return el_try_status;                       \
    } while (0)

#endif
