/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/priority.h"

#include <dirent.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODEST_NICE 10
#define ROUNDS 16 /* threads that are being started while we look: each round finds those of the last */

static void set_io(pid_t thread, int class)
{
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, thread, IOPRIO_PRIO_VALUE(class, 0));
}

static bool set_cpu(pid_t thread, int policy)
{
    const struct sched_param none = {.sched_priority = 0};
    return sched_setscheduler(thread, policy, &none) == 0;
}

static void *there_and_back(void *result)
{
    *(bool *)result = set_cpu(0, SCHED_IDLE) && set_cpu(0, SCHED_OTHER);
    return NULL;
}

bool el_priority_can_return(void)
{
    bool can = false;
    pthread_t thread;
    if (pthread_create(&thread, NULL, there_and_back, &can) != 0)
        return false;
    pthread_join(thread, NULL);
    return can;
}

void el_priority_idle(bool cpu)
{
    set_io(0, IOPRIO_CLASS_IDLE);
    if (cpu)
        set_cpu(0, SCHED_IDLE);
}

pid_t *el_priority_threads(pid_t pid, size_t *count)
{
    char path[64];
    *count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid == 0 ? (int)getpid() : (int)pid);
    DIR *dir = opendir(path);
    if (dir == NULL)
        return NULL;
    pid_t *list = NULL;
    size_t room = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        const long id = strtol(entry->d_name, NULL, 10);
        if (id <= 0)
            continue;
        if (*count == room) {
            room = room == 0 ? 64 : room * 2;
            pid_t *more = realloc(list, room * sizeof *list);
            if (more == NULL)
                break;
            list = more;
        }
        list[(*count)++] = (pid_t)id;
    }
    closedir(dir);
    return list;
}

static bool listed(const pid_t *list, size_t count, pid_t thread)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == thread)
            return true;
    return false;
}

size_t el_priority_modest(pid_t pid)
{
    size_t count, lifted = 0;
    pid_t *threads = el_priority_threads(pid, &count);
    for (size_t i = 0; i < count; i++) {
        /* Nice first, so that no thread is normal in between. */
        if (sched_getscheduler(threads[i]) == SCHED_IDLE &&
            setpriority(PRIO_PROCESS, (id_t)threads[i], MODEST_NICE) == 0 && set_cpu(threads[i], SCHED_OTHER))
            lifted++;
    }
    free(threads);
    return lifted;
}

/* True if the thread was idle or modest, and is not now. */
static bool make_normal(pid_t thread)
{
    bool lifted = sched_getscheduler(thread) == SCHED_IDLE && set_cpu(thread, SCHED_OTHER);
    if (getpriority(PRIO_PROCESS, (id_t)thread) == MODEST_NICE)
        lifted = setpriority(PRIO_PROCESS, (id_t)thread, 0) == 0 || lifted;
    return lifted;
}

size_t el_priority_normal(pid_t pid, const pid_t *except, size_t except_count)
{
    size_t lifted = 0;
    for (int round = 0; round < ROUNDS; round++) {
        size_t count;
        size_t now = 0;
        pid_t *threads = el_priority_threads(pid, &count);
        for (size_t i = 0; i < count; i++) {
            if (listed(except, except_count, threads[i]))
                continue;
            const long io = syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, threads[i]);
            if (io >= 0 && IOPRIO_PRIO_CLASS(io) == IOPRIO_CLASS_IDLE)
                set_io(threads[i], IOPRIO_CLASS_NONE);
            if (make_normal(threads[i]))
                now++;
        }
        free(threads);
        lifted += now;
        if (now == 0)
            break;
    }
    return lifted;
}
