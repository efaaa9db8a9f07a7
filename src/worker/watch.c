/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The memory of workers: what they hold, read from /proc, and the end of those that hold more than they may.
 *
 * The limit is on anonymous memory of the process beyond what it had when it was forked (the zygote's pages, which it
 * shares): RssAnon in /proc/PID/status costs some 20 µs whatever the size of the process. It is looked at every 100
 * ms until the version is promoted and every second afterwards, and only where there is a limit (or, while it loads,
 * a priority that may starve it: starved.h). What a model takes between two looks is stopped by RLIMIT_DATA, far
 * above: see host.c.
 */

#include "worker/internal.h"

#include "worker/priority.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_LOADING_MS 100
#define LOOK_LATER_MS 1000

/* Reads the lines of a /proc file of pid that start with one of the names, which count in kB, into bytes; 0 where there is none. */
static void read_lines(pid_t pid, const char *file_name, const char *const *names, size_t count, uint64_t *bytes)
{
    char path[64];
    memset(bytes, 0, count * sizeof *bytes);
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file_name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        for (size_t i = 0; i < count; i++) {
            const size_t length = strlen(names[i]);
            if (strncmp(line, names[i], length) == 0)
                bytes[i] = strtoull(line + length, NULL, 10) * 1024;
        }
    }
    fclose(file);
}

uint64_t el_watch_private_bytes(pid_t pid)
{
    static const char *const names[] = { "RssAnon:", "VmSwap:" };
    uint64_t bytes[2];
    read_lines(pid, "status", names, 2, bytes);
    return bytes[0] + bytes[1];
}

uint64_t el_watch_oom_kills(void)
{
    static const char name[] = "oom_kill ";
    uint64_t kills = 0;
    FILE *file = fopen("/proc/vmstat", "re");
    if (file == NULL)
        return 0;
    char line[256];
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, sizeof name - 1) == 0)
            kills = strtoull(line + sizeof name - 1, NULL, 10);
    fclose(file);
    return kills;
}

uint64_t el_worker_taken_bytes(const struct el_worker *worker)
{
    const pid_t pid = el_worker_pid(worker);
    const uint64_t now = pid != 0 ? el_watch_private_bytes(pid) : 0;
    return now > worker->memory_at_fork ? now - worker->memory_at_fork : 0;
}

static uint64_t read_line(const struct el_worker *worker, const char *name)
{
    const pid_t pid = el_worker_pid(worker);
    uint64_t bytes[1] = { 0 };
    if (pid != 0)
        read_lines(pid, "status", &name, 1, bytes);
    return bytes[0];
}

uint64_t el_worker_resident_bytes(const struct el_worker *worker)
{
    return read_line(worker, "VmRSS:");
}

uint64_t el_worker_peak_bytes(const struct el_worker *worker)
{
    return read_line(worker, "VmHWM:");
}

void el_worker_memory(const struct el_worker *worker, struct el_worker_memory *memory)
{
    memset(memory, 0, sizeof *memory);
    const pid_t pid = el_worker_pid(worker);
    if (pid == 0)
        return;
    static const char *const names[] = { "Rss:", "Private_Clean:", "Private_Dirty:", "Swap:" };
    uint64_t bytes[4];
    read_lines(pid, "smaps_rollup", names, 4, bytes);
    memory->resident_bytes = bytes[0];
    memory->private_bytes = bytes[1] + bytes[2] + bytes[3];
}

static void look_at_priority(struct el_worker *worker, pid_t pid)
{
    if (!worker->options.idle_priority || worker->lifts == 2 || !el_starved_look(&worker->starved, pid))
        return;
    const bool first = worker->lifts++ == 0;
    const size_t threads = first ? el_priority_modest(pid) : el_priority_normal(pid, NULL, 0);
    el_log(worker->workers->log, EL_LOG_INFO, "starved", el_str("model", worker->model),
           el_int("version", worker->options.version),
           el_str("text", first ? "the machine has no idle time: the version loads at nice 10 from now on"
                                : "the version loads at normal priority from now on"),
           el_int("threads", (int64_t)threads));
}

static void on_look(uv_timer_t *timer)
{
    struct el_worker *worker = timer->data;
    const pid_t pid = el_worker_pid(worker);
    const uint64_t limit = worker->options.memory_limit_bytes;
    if (pid == 0)
        return;
    look_at_priority(worker, pid);
    if (limit == 0)
        return;
    const uint64_t now = el_watch_private_bytes(pid);
    const uint64_t grown = now > worker->memory_at_fork ? now - worker->memory_at_fork : 0;
    if (grown <= limit)
        return;
    uv_timer_stop(timer);
    el_worker_kill(worker,
                   el_status_new(EL_RESOURCE_EXHAUSTED, "it took %llu MiB of memory, " EL_WORKER_OVER_LIMIT " %llu MiB",
                                 (unsigned long long)(grown >> 20), (unsigned long long)(limit >> 20)));
}

void el_watch_start(struct el_worker *worker)
{
    const bool idle = worker->options.idle_priority;
    if ((worker->options.memory_limit_bytes == 0 && !idle) || worker->options.isolation == EL_ISOLATION_NONE) {
        uv_timer_stop(&worker->watch_timer);
        return;
    }
    const uint64_t each = worker->options.idle_priority || !worker->loaded ? LOOK_LOADING_MS : LOOK_LATER_MS;
    uv_timer_start(&worker->watch_timer, on_look, each, each);
}
