/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/starved.h"

#include "base/clock.h"
#include "worker/priority.h"

#include <stdio.h>
#include <stdlib.h>

#define SPAN_NS EL_NS_PER_S
#define LEAST_WAIT_NS (SPAN_NS / 2) /* less than that a second is no hardship */
#define TIMES 9                     /* waited so many times as long as it ran */

static void count_threads(pid_t pid, uint64_t *ran_ns, uint64_t *waited_ns)
{
    size_t count;
    pid_t *threads = el_priority_threads(pid, &count);
    *ran_ns = *waited_ns = 0;
    for (size_t i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task/%d/schedstat", (int)pid, (int)threads[i]);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue; /* the thread has ended */
        char line[96];
        if (fgets(line, sizeof line, file) != NULL) {
            char *behind;
            *ran_ns += strtoull(line, &behind, 10);
            *waited_ns += strtoull(behind, NULL, 10);
        }
        fclose(file);
    }
    free(threads);
}

bool el_starved_look(struct el_starved *starved, pid_t pid)
{
    const uint64_t now = el_now_ns();
    if (starved->since_ns != 0 && now - starved->since_ns < SPAN_NS)
        return false;
    uint64_t ran, waited;
    count_threads(pid, &ran, &waited);
    /* A thread that ended took its figures along: then a sum may have shrunk, and this span tells nothing. */
    const bool known = starved->since_ns != 0 && ran >= starved->ran_ns && waited >= starved->waited_ns;
    const uint64_t ran_now = ran - starved->ran_ns, waited_now = waited - starved->waited_ns;
    *starved = (struct el_starved){ .since_ns = now, .ran_ns = ran, .waited_ns = waited };
    return known && waited_now >= LEAST_WAIT_NS && waited_now / TIMES >= ran_now;
}
