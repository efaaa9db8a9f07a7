/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/priority.h"

#include <dirent.h>
#include <linux/ioprio.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
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
    const struct sched_param none = { .sched_priority = 0 };
    return sched_setscheduler(thread, policy, &none) == 0;
}

/* A thread that sleeps while it is made idle and normal again, so that it need not run at idle priority, which may be never. */
struct trial {
    sem_t there, go;
    pid_t thread;
    bool stays_idle; /* it could not be lifted: it frees this whenever it gets to run */
};

static void end_trial(struct trial *trial)
{
    sem_destroy(&trial->there);
    sem_destroy(&trial->go);
    free(trial);
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        continue; /* a signal */
}

static void *sleeper(void *argument)
{
    struct trial *trial = argument;
    trial->thread = (pid_t)syscall(SYS_gettid);
    sem_post(&trial->there);
    wait_for(&trial->go);
    if (trial->stays_idle)
        end_trial(trial);
    return NULL;
}

bool el_priority_can_return(void)
{
    struct trial *trial = calloc(1, sizeof *trial);
    if (trial == NULL)
        return false;
    sem_init(&trial->there, 0, 0);
    sem_init(&trial->go, 0, 0);
    pthread_t thread;
    if (pthread_create(&thread, NULL, sleeper, trial) != 0) {
        end_trial(trial);
        return false;
    }
    wait_for(&trial->there);
    const bool idle = set_cpu(trial->thread, SCHED_IDLE);
    const bool can = idle && set_cpu(trial->thread, SCHED_OTHER);
    if (idle && !can) {
        trial->stays_idle = true;
        pthread_detach(thread);
        sem_post(&trial->go);
        return false;
    }
    sem_post(&trial->go);
    pthread_join(thread, NULL);
    end_trial(trial);
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
