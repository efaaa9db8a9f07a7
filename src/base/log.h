/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_LOG_H
#define EL_BASE_LOG_H

/*
 * The log: one line per thing that happened, with fields.
 *
 *     el_log(log, EL_LOG_INFO, "switched", el_str("model", name), el_int("version", 2), el_num("took_ms", 0.4));
 *
 * prints as text
 *
 *     2026-11-24T06:00:00.123Z I switched model=digits version=2 took_ms=0.4
 *
 * or, asked for, as one JSON object a line. Any thread; each line is one
 * write(2), so that lines of several threads and processes never mix. A log
 * that cannot be written is dropped: logging never fails and never waits for
 * memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum el_log_level { EL_LOG_DEBUG, EL_LOG_INFO, EL_LOG_WARNING, EL_LOG_ERROR };
enum el_log_format { EL_LOG_TEXT, EL_LOG_JSON };

struct el_log {
    int fd;                  /* where lines go; not owned */
    enum el_log_level least; /* lines below it are dropped */
    enum el_log_format format;
};

struct el_field {
    const char *name;
    enum { EL_FIELD_STR, EL_FIELD_INT, EL_FIELD_NUM } type;
    union {
        const char *str; /* any bytes; quoted and escaped as needed; NULL prints as "" */
        int64_t integer;
        double number;
    } as;
};

static inline struct el_field el_str(const char *name, const char *value)
{
    return (struct el_field){ .name = name, .type = EL_FIELD_STR, .as.str = value };
}

static inline struct el_field el_int(const char *name, int64_t value)
{
    return (struct el_field){ .name = name, .type = EL_FIELD_INT, .as.integer = value };
}

static inline struct el_field el_num(const char *name, double value)
{
    return (struct el_field){ .name = name, .type = EL_FIELD_NUM, .as.number = value };
}

/* Writes one line. log may be NULL: then nothing is written (the library's default). */
void el_log_fields(const struct el_log *log, enum el_log_level level, const char *event, const struct el_field *fields,
                   size_t count);

#define el_log(log, level, event, ...)                                         \
    el_log_fields(log, level, event, (const struct el_field[]){ __VA_ARGS__ }, \
                  sizeof((const struct el_field[]){ __VA_ARGS__ }) / sizeof(struct el_field))

#endif
