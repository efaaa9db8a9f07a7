/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_METRIC_TEXT_H
#define EL_API_METRIC_TEXT_H

/* Pieces of the Prometheus text format, as TensorFlow Serving's exporter writes them. Any thread; the room's own. */

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* HELP and TYPE of a metric of our own; theirs have no HELP. */
void el_metric_head(struct el_buf *out, const char *name, const char *type, const char *help);

/* name="value", escaped as the format wants it. */
void el_metric_label(struct el_buf *out, const char *name, const char *value, size_t size);

/*
 * A histogram's lines, cumulated. labels: what stands in the braces before le, or "". Bucket i is what lies between edges i - 1
 * and i, the last of count buckets all the rest; edges: edge and growth times the one before.
 */
void el_metric_histogram(struct el_buf *out, const char *name, const char *labels, const uint64_t *buckets,
                         size_t count, double edge, double growth, uint64_t sum);

#endif
