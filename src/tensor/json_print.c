/* SPDX-License-Identifier: Apache-2.0 */
/* Writing JSON: strings, numbers, and the bodies of errors. */
#include "tensor/json.h"

#include <string.h>

void el_json_put_float(struct el_buf *buf, float value)
{
    char *to = (char *)el_buf_reserve(buf, EL_JSON_NUMBER_SIZE);
    if (to != NULL)
        buf->size += (size_t)(el_json_format_float(to, value) - to);
}

void el_json_put_double(struct el_buf *buf, double value)
{
    char *to = (char *)el_buf_reserve(buf, EL_JSON_NUMBER_SIZE);
    if (to != NULL)
        buf->size += (size_t)(el_json_format_double(to, value) - to);
}

void el_json_put_int(struct el_buf *buf, int64_t value)
{
    char *to = (char *)el_buf_reserve(buf, EL_JSON_NUMBER_SIZE);
    if (to != NULL)
        buf->size += (size_t)(el_json_format_int(to, value) - to);
}

void el_json_put_uint(struct el_buf *buf, uint64_t value)
{
    char *to = (char *)el_buf_reserve(buf, EL_JSON_NUMBER_SIZE);
    if (to != NULL)
        buf->size += (size_t)(el_json_format_uint(to, value) - to);
}

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

static void put_escaped(struct el_buf *buf, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";
    static const char letters[] = "btn\0fr"; /* 8 to 13 */
    char text[6] = { '\\', (char)c, '0', '0', digits[c >> 4], digits[c & 15] };
    size_t size = 2;
    if (c >= 8 && c <= 13 && letters[c - 8] != '\0') {
        text[1] = letters[c - 8];
    } else if (c < 0x20) {
        text[1] = 'u';
        size = 6;
    }
    el_buf_append(buf, text, size);
}

void el_json_put_string(struct el_buf *buf, const char *bytes, size_t size)
{
    el_buf_byte(buf, '"');
    size_t from = 0;
    for (size_t i = 0; i < size; i++) {
        if (!needs_escape((unsigned char)bytes[i]))
            continue;
        el_buf_append(buf, bytes + from, i - from);
        put_escaped(buf, (unsigned char)bytes[i]);
        from = i + 1;
    }
    if (size > from)
        el_buf_append(buf, bytes + from, size - from);
    el_buf_byte(buf, '"');
}

void el_json_put_base64(struct el_buf *buf, const char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t most;
    if (__builtin_mul_overflow(size / 3 + 1, (size_t)4, &most) || __builtin_add_overflow(most, (size_t)2, &most)) {
        buf->failed = true;
        return;
    }
    char *start = (char *)el_buf_reserve(buf, most), *to = start;
    if (start == NULL)
        return;
    *to++ = '"';
    for (; size > 0; bytes += 3) {
        uint32_t bits = (uint32_t)(unsigned char)bytes[0] << 16;
        if (size > 1)
            bits |= (uint32_t)(unsigned char)bytes[1] << 8;
        if (size > 2)
            bits |= (unsigned char)bytes[2];
        to[0] = digits[bits >> 18];
        to[1] = digits[bits >> 12 & 63];
        to[2] = size > 1 ? digits[bits >> 6 & 63] : '=';
        to[3] = size > 2 ? digits[bits & 63] : '=';
        to += 4;
        size = size > 3 ? size - 3 : 0;
    }
    *to++ = '"';
    buf->size += (size_t)(to - start);
}

void el_json_put_error(struct el_buf *buf, const char *message)
{
    el_buf_text(buf, "{\n    \"error\": ");
    el_json_put_string(buf, message, strlen(message));
    el_buf_text(buf, "\n}");
}
