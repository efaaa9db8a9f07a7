/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/texts.h"
#include "base/clock.h"

#include <string.h>
#include <strings.h>

static const char truncated[] = "...TRUNCATED";

bool el_rpc_text_timeout(const char *text, size_t size, uint64_t *timeout_ns)
{
    if (size < 2 || size > 9)
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < size - 1; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    uint64_t unit;
    switch (text[size - 1]) {
    case 'H':
        unit = 3600 * EL_NS_PER_S;
        break;
    case 'M':
        unit = 60 * EL_NS_PER_S;
        break;
    case 'S':
        unit = EL_NS_PER_S;
        break;
    case 'm':
        unit = EL_NS_PER_MS;
        break;
    case 'u':
        unit = EL_NS_PER_US;
        break;
    case 'n':
        unit = 1;
        break;
    default:
        return false;
    }
    if (__builtin_mul_overflow(value, unit, timeout_ns)) /* 99,999,999 hours do not fit: as good as never */
        *timeout_ns = EL_NEVER_NS;
    return true;
}

static void encode(struct el_buf *to, const char *text, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte >= 0x20 && byte <= 0x7e && byte != '%') {
            el_buf_byte(to, byte);
        } else {
            el_buf_byte(to, '%');
            el_buf_byte(to, (uint8_t)digits[byte >> 4]);
            el_buf_byte(to, (uint8_t)digits[byte & 15]);
        }
    }
}

void el_rpc_text_message(struct el_buf *to, const char *message)
{
    size_t size = strlen(message);
    if (size <= EL_STATUS_TEXT_MAX) {
        encode(to, message, size);
        return;
    }
    encode(to, message, EL_STATUS_TEXT_MAX - (sizeof(truncated) - 1));
    el_buf_text(to, truncated);
}

bool el_rpc_text_is_grpc(const char *content_type, size_t size)
{
    static const char name[] = "application/grpc";
    size_t length = sizeof(name) - 1;
    if (size < length || strncasecmp(content_type, name, length) != 0)
        return false;
    if (size == length || content_type[length] == ';')
        return true;
    static const char proto[] = "+proto";
    size_t more = sizeof(proto) - 1;
    return size >= length + more && strncasecmp(content_type + length, proto, more) == 0 &&
           (size == length + more || content_type[length + more] == ';');
}

static bool refused(const char *parameters, size_t size)
{
    /* ";q=0", ";q=0.0" and so on, with blanks anywhere: a zero and no other digit. */
    const char *q = memchr(parameters, '=', size);
    if (q == NULL)
        return false;
    bool zero = false;
    for (const char *at = q + 1; at < parameters + size; at++) {
        if (*at >= '1' && *at <= '9')
            return false;
        zero |= *at == '0';
    }
    return zero;
}

bool el_rpc_text_lists(const char *list, const char *token)
{
    size_t length = strlen(token);
    while (*list != 0) {
        list += strspn(list, " \t,");
        size_t size = strcspn(list, ",");
        size_t word = strcspn(list, " \t;,");
        if (word == length && strncasecmp(list, token, length) == 0)
            return !refused(list + word, size - word);
        list += size;
    }
    return false;
}

const char *el_rpc_text_header(const uint8_t *headers, size_t size, const char *name)
{
    if (size == 0) /* then there may be no memory at all */
        return NULL;
    const char *at = (const char *)headers, *end = at + size;
    while (at < end) {
        const char *name_end = memchr(at, 0, (size_t)(end - at));
        if (name_end == NULL)
            break;
        const char *value = name_end + 1;
        const char *value_end = memchr(value, 0, (size_t)(end - value));
        if (value_end == NULL)
            break;
        if (strcasecmp(at, name) == 0)
            return value;
        at = value_end + 1;
    }
    return NULL;
}

bool el_rpc_text_next(const struct el_buf *headers, size_t *at, const char **name, const char **value)
{
    if (*at >= headers->size)
        return false;
    *name = (const char *)headers->data + *at;
    *value = *name + strlen(*name) + 1;
    *at += strlen(*name) + strlen(*value) + 2;
    return true;
}
