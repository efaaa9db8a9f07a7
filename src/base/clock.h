/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_CLOCK_H
#define EL_BASE_CLOCK_H

/*
 * Time. Every duration, deadline and timeout counts on the monotonic clock,
 * whose nanoseconds mean the same in all processes of a machine; the calendar
 * is for people to read, never for decisions.
 */

#include <stdint.h>
#include <time.h>

#define EL_NS_PER_US UINT64_C(1000)
#define EL_NS_PER_MS UINT64_C(1000000)
#define EL_NS_PER_S UINT64_C(1000000000)
#define EL_NEVER_NS UINT64_MAX /* a deadline that never comes */

/* CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t el_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * EL_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Microseconds since 1970 UTC, for people. */
static inline int64_t el_calendar_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* at + span, or EL_NEVER_NS where the sum does not fit. */
static inline uint64_t el_after_ns(uint64_t at, uint64_t span)
{
    uint64_t sum;
    return __builtin_add_overflow(at, span, &sum) ? EL_NEVER_NS : sum;
}

#endif
