/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_HISTOGRAM_H
#define EL_BASE_HISTOGRAM_H

/*
 * A histogram of durations with a relative error below 7 %: 16 buckets for
 * each doubling, from 1 µs to 1.2 hours.
 *
 * Zero-initialise to start; fixed size, no allocation. Any number of threads
 * may record while others read: counters are relaxed atomics, because a reader
 * wants recent figures, not an instant's.
 */

#include <stdatomic.h>
#include <stdint.h>

#define EL_HISTOGRAM_BUCKETS 512

struct el_histogram {
    _Atomic uint64_t buckets[EL_HISTOGRAM_BUCKETS];
    _Atomic uint64_t count;
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t max_ns;
};

void el_histogram_record(struct el_histogram *histogram, uint64_t ns);

/* The upper edge, in ns, of the bucket that holds the given quantile (0 to 1); 0 when nothing was recorded. */
uint64_t el_histogram_quantile(const struct el_histogram *histogram, double quantile);

/* How many durations were at most ns, to the precision of the buckets. */
uint64_t el_histogram_at_most(const struct el_histogram *histogram, uint64_t ns);

#endif
