/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/names.h"

#include <string.h>

const char *el_names_at(const struct el_names *names, uint32_t i)
{
    const char *name;
    memcpy(&name, (const uint8_t *)names->first + i * names->stride, sizeof name);
    return name;
}

int64_t el_names_find(const struct el_names *names, const char *name, size_t name_size)
{
    uint32_t low = 0, high = names->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const char *other = el_names_at(names, middle);
        size_t other_size = strlen(other);
        size_t common = other_size < name_size ? other_size : name_size;
        int order = common == 0 ? 0 : memcmp(name, other, common);
        if (order == 0)
            order = name_size < other_size ? -1 : name_size > other_size;
        if (order == 0)
            return middle;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

void el_names_join(const struct el_names *names, struct el_buf *buf)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (i > 0)
            el_buf_byte(buf, ',');
        el_buf_text(buf, el_names_at(names, i));
    }
}
