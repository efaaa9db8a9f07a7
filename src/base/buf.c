/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct el_buf *buf, size_t need)
{
    size_t capacity = buf->capacity < 256 ? 256 : buf->capacity;
    while (capacity < need) {
        if (__builtin_mul_overflow(capacity, (size_t)2, &capacity))
            return false;
    }
    uint8_t *data = realloc(buf->data, capacity);
    if (data == NULL)
        return false;
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

uint8_t *el_buf_reserve(struct el_buf *buf, size_t more)
{
    size_t need;
    if (buf->failed)
        return NULL;
    if (__builtin_add_overflow(buf->size, more, &need) ||
        ((need > buf->capacity || buf->data == NULL) && !grow(buf, need))) {
        buf->failed = true;
        return NULL;
    }
    return buf->data + buf->size;
}

void el_buf_append(struct el_buf *buf, const void *bytes, size_t size)
{
    uint8_t *to = el_buf_reserve(buf, size);
    if (to == NULL || size == 0)
        return;
    memcpy(to, bytes, size);
    buf->size += size;
}

void el_buf_text(struct el_buf *buf, const char *text)
{
    el_buf_append(buf, text, strlen(text));
}

void el_buf_byte(struct el_buf *buf, uint8_t byte)
{
    el_buf_append(buf, &byte, 1);
}

void el_buf_vprintf(struct el_buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        buf->failed = true;
        return;
    }
    uint8_t *to = el_buf_reserve(buf, (size_t)length + 1);
    if (to == NULL)
        return;
    vsnprintf((char *)to, (size_t)length + 1, format, args);
    buf->size += (size_t)length;
}

void el_buf_printf(struct el_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    el_buf_vprintf(buf, format, args);
    va_end(args);
}

struct el_status *el_buf_status(const struct el_buf *buf)
{
    return buf->failed ? el_status_no_memory() : NULL;
}

char *el_buf_take_text(struct el_buf *buf)
{
    el_buf_byte(buf, 0);
    if (buf->failed) {
        el_buf_free(buf);
        return NULL;
    }
    char *text = (char *)buf->data;
    *buf = (struct el_buf){ 0 };
    return text;
}

void el_buf_clear(struct el_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
}

void el_buf_free(struct el_buf *buf)
{
    free(buf->data);
    *buf = (struct el_buf){ 0 };
}
