/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_BUF_H
#define EL_BASE_BUF_H

/*
 * A growing run of bytes, for answers and texts under construction.
 *
 * Zero-initialise to start; el_buf_free() at the end. One owner, one thread.
 * A failed allocation sets `failed`, after which appends do nothing: a writer
 * appends without checking and looks at el_buf_status() once, at the end.
 */

#include "base/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct el_buf {
    uint8_t *data;   /* owned; not terminated */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
    bool failed;     /* an append was lost */
};

/* Makes room for more bytes and returns where they go (not yet counted in size), or NULL after failure. */
uint8_t *el_buf_reserve(struct el_buf *buf, size_t more);

void el_buf_append(struct el_buf *buf, const void *bytes, size_t size);
void el_buf_text(struct el_buf *buf, const char *text);
void el_buf_byte(struct el_buf *buf, uint8_t byte);
void el_buf_printf(struct el_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void el_buf_vprintf(struct el_buf *buf, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* NULL, or the status of the first append that was lost. */
struct el_status *el_buf_status(const struct el_buf *buf) EL_MUST_USE;

/* Terminates the bytes and hands them over as a string to free(); NULL after failure. buf is empty afterwards. */
char *el_buf_take_text(struct el_buf *buf);

/* Forgets the content and keeps the memory. */
void el_buf_clear(struct el_buf *buf);

/* Gives the memory back; buf is as new. */
void el_buf_free(struct el_buf *buf);

#endif
