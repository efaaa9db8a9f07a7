/* SPDX-License-Identifier: Apache-2.0 */
#include "api/metric_text.h"

#include <inttypes.h>

void el_metric_head(struct el_buf *out, const char *name, const char *type, const char *help)
{
    el_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void el_metric_label(struct el_buf *out, const char *name, const char *value, size_t size)
{
    el_buf_printf(out, "%s=\"", name);
    for (size_t i = 0; i < size; i++) {
        if (value[i] == '\n') {
            el_buf_text(out, "\\n");
            continue;
        }
        if (value[i] == '\\' || value[i] == '"')
            el_buf_byte(out, '\\');
        el_buf_byte(out, (uint8_t)value[i]);
    }
    el_buf_byte(out, '"');
}

void el_metric_histogram(struct el_buf *out, const char *name, const char *labels, const uint64_t *buckets,
                         size_t count, double edge, double growth, uint64_t sum)
{
    const char *comma = labels[0] != '\0' ? "," : "";
    uint64_t seen = 0;
    for (size_t i = 0; i + 1 < count; i++) {
        seen += buckets[i];
        el_buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels, comma, edge, seen);
        edge *= growth;
    }
    seen += buckets[count - 1];
    el_buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, seen);
    el_buf_printf(out, "%s_sum{%s} %g\n", name, labels, (double)sum);
    el_buf_printf(out, "%s_count{%s} %" PRIu64 "\n", name, labels, seen);
}
