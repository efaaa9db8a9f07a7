/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/retry.h"

#include "base/clock.h"
#include "worker/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_MS UINT64_C(5000)
#define LEAST_MS UINT64_C(100)
#define BUSY 1.5 /* runnable threads per CPU */

/* What cause_of_death() in worker.c says of a process that ended by what it did itself. */
static bool ended_itself(const char *text)
{
    const char *signal = strstr(text, "was killed by signal ");
    if (signal != NULL)
        return strncmp(signal, "was killed by signal 9 ", 23) != 0;
    return strstr(text, "ended by itself with exit status") != NULL;
}

bool el_retry_files_are_gone(const struct el_status *why)
{
    return el_status_code(why) == EL_NOT_FOUND && strstr(el_status_text(why), strerror(ENOENT)) != NULL;
}

bool el_retry_may_help(const struct el_status *why, bool busy)
{
    switch (el_status_code(why)) {
    case EL_RESOURCE_EXHAUSTED:
        return strstr(el_status_text(why), EL_WORKER_OVER_LIMIT) == NULL;
    case EL_PERMISSION_DENIED:
        return true;
    case EL_DEADLINE_EXCEEDED:
        return busy;
    case EL_UNAVAILABLE:
        return !ended_itself(el_status_text(why));
    default:
        return false;
    }
}

bool el_retry_machine_is_busy(void)
{
    double load;
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return getloadavg(&load, 1) == 1 && load > BUSY * (double)(cpus > 0 ? cpus : 1);
}

uint64_t el_retry_delay_ns(unsigned n, uint64_t interval_ms, uint32_t jitter)
{
    uint64_t delay_ms = FIRST_MS << (n > 16 ? 16 : n > 0 ? n - 1 : 0);
    if (delay_ms > interval_ms)
        delay_ms = interval_ms;
    delay_ms = delay_ms / 10 * 9 + delay_ms / 5 * (jitter % 1024) / 1024; /* 90 to 110 % */
    return (delay_ms < LEAST_MS ? LEAST_MS : delay_ms) * EL_NS_PER_MS;
}
