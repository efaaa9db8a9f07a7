/* SPDX-License-Identifier: Apache-2.0 */
/* What the swap core asks the machine itself, wrapped by the linker: clocks, /proc, the load. */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
FILE *__wrap_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
int __wrap_getloadavg(double *averages, int count);

int __wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
    const uint64_t now_ns = sim->now_ns;
    if (clock == CLOCK_REALTIME) {
        const int64_t us = sim->calendar_us + (int64_t)(now_ns / 1000);
        *time = (struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
    } else {
        *time = (struct timespec){ .tv_sec = (time_t)(now_ns / SIM_S), .tv_nsec = (long)(now_ns % SIM_S) };
    }
    return 0;
}

/* No file of the machine is there: its memory is unknown, and the budget alone counts. */
FILE *__wrap_fopen64(const char *path, const char *mode)
{
    (void)path;
    (void)mode;
    errno = ENOENT;
    return NULL;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    return __wrap_fopen64(path, mode);
}

int __wrap_getloadavg(double *averages, int count)
{
    (void)count;
    averages[0] = sim_chance(&sim->random, 10) ? 1000 : 0.1;
    return 1;
}
