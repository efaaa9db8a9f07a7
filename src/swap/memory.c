/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/memory.h"

#include "base/clock.h"
#include "swap/loader.h"
#include "swap/manager.h"
#include "swap/version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE_BYTES (UINT64_C(64) << 20) /* of an engine with a small model, beyond what workers share */
#define LOOK_NS (EL_NS_PER_S / 2)
#define MIB(bytes) ((unsigned long long)((bytes) >> 20))

/* ---- what is free ---- */

/* The number after name at the start of a line, or (name "") the number that the file is; false: there is none. */
static bool read_number(const char *root, const char *path, const char *file_name, const char *name, uint64_t *number)
{
    char full[1200], line[256];
    const int size = snprintf(full, sizeof full, "%s%s%s", root, path, file_name);
    FILE *file = size > 0 && (size_t)size < sizeof full ? fopen(full, "re") : NULL;
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        const char *digits = line + strlen(name);
        char *end = NULL;
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        *number = strtoull(digits, &end, 10);
        found = end != digits; /* a cgroup without a limit says "max" */
    }
    if (file != NULL)
        fclose(file);
    return found;
}

static void narrow(struct el_memory_room *room, uint64_t limit, uint64_t used)
{
    const uint64_t left = limit > used ? limit - used : 0;
    if (limit < room->limit)
        room->limit = limit;
    if (left < room->free)
        room->free = left;
}

static const struct {
    const char *mount, *limit, *used, *cache;
} versions[] = {
    { "/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file " },
    { "/sys/fs/cgroup", "/memory.max", "/memory.current", "inactive_file " },
};

/* One group; pages of files that nobody uses are as good as free. */
static void read_group(const char *root, size_t version, const char *path, struct el_memory_room *room)
{
    char group[1000];
    uint64_t limit, used, cache = 0;
    const int size = snprintf(group, sizeof group, "%s%s", versions[version].mount, path);
    if (size < 0 || (size_t)size >= sizeof group || !read_number(root, group, versions[version].limit, "", &limit) ||
        !read_number(root, group, versions[version].used, "", &used))
        return;
    read_number(root, group, "/memory.stat", versions[version].cache, &cache);
    narrow(room, limit, used > cache ? used - cache : 0);
}

/* The group and all above it. */
static void read_groups(const char *root, size_t version, char *path, struct el_memory_room *room)
{
    path[strcspn(path, "\n")] = '\0';
    for (;;) {
        read_group(root, version, strcmp(path, "/") == 0 ? "" : path, room);
        char *slash = strrchr(path, '/');
        if (slash == NULL || slash[1] == '\0')
            return;
        slash[slash == path ? 1 : 0] = '\0';
    }
}

void el_memory_read(const char *root, struct el_memory_room *room)
{
    uint64_t total, available;
    char path[600], line[800];
    *room = (struct el_memory_room){ .limit = UINT64_MAX, .free = UINT64_MAX };
    if (read_number(root, "/proc/meminfo", "", "MemTotal:", &total) &&
        read_number(root, "/proc/meminfo", "", "MemAvailable:", &available) && total < UINT64_MAX / 1024)
        narrow(room, total * 1024, (total > available ? total - available : 0) * 1024);
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        /* "0::/path" is version 2, "9:memory:/path" version 1. */
        char *controllers = strchr(line, ':'), *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        *group++ = '\0';
        if (controllers[1] == '\0')
            read_groups(root, 1, group, room);
        else if (strstr(controllers, "memory") != NULL)
            read_groups(root, 0, group, room);
    }
    if (file != NULL)
        fclose(file);
}

/* ---- what is needed ---- */

uint64_t el_memory_estimate(uint64_t file_bytes, uint64_t last_file_bytes, uint64_t last_taken)
{
    if (last_taken == 0)
        return file_bytes > UINT64_MAX / 4 ? UINT64_MAX / 2 : BASE_BYTES + 2 * file_bytes;
    if (last_file_bytes == 0 || file_bytes <= last_file_bytes)
        return last_taken;
    const double grown = (double)last_taken * ((double)file_bytes / (double)last_file_bytes);
    return grown < 9e18 ? (uint64_t)grown : UINT64_MAX / 2;
}

static uint64_t need_of(const struct el_version *version)
{
    const struct el_model *model = version->model;
    if (model->settings.update.memory_need_bytes != 0)
        return model->settings.update.memory_need_bytes;
    return el_memory_estimate(version->bytes, model->last_file_bytes, model->last_taken_bytes);
}

/* What all workers have taken. */
static uint64_t taken(const struct el_swap *swap)
{
    uint64_t sum = 0;
    const struct el_hosted *hosted;
    el_list_each (hosted, &swap->hosted, in_swap) {
        sum += el_worker_taken_bytes(hosted->worker);
    }
    return sum;
}

static bool is_resource(const struct el_model *model)
{
    return strcmp(model->settings.update.availability, "resource") == 0;
}

/* The worker of a version that is probed holds its memory already, but for one that is loaded once more. */
static uint64_t still_to_take(const struct el_version *version)
{
    const struct el_hosted *hosted = el_load_hosted(version->load);
    const uint64_t need = need_of(version), has = hosted != NULL ? el_worker_taken_bytes(hosted->worker) : 0;
    return need > has ? need - has : 0;
}

/* Its worker died, and nobody may have heard of it yet. */
static bool is_started_again(const struct el_version *version)
{
    return version->state == EL_LIFE_SERVING &&
           (version->hosted == NULL ||
            (strcmp(version->isolation, "process") == 0 && el_worker_taken_bytes(version->hosted->worker) == 0));
}

/* What loads under way are still to take, and workers that are started anew in place of one that died. */
static uint64_t promised(const struct el_model *but)
{
    uint64_t sum = 0;
    const struct el_model *model;
    el_list_each (model, &but->swap->models, in_swap) {
        const bool waits = model->hold && model != but &&
                           is_resource(model); /* its old version has left for a new one */
        const struct el_version *version;
        el_list_each (version, &model->versions, in_model) {
            const bool next = waits && version->state == EL_LIFE_VERIFYING && version->whole &&
                              el_model_aspires(model, version->number);
            if (version->state == EL_LIFE_LOADING || is_started_again(version) || next)
                sum += need_of(version);
            else if (version->state == EL_LIFE_PROBING)
                sum += still_to_take(version);
        }
    }
    return sum;
}

static void wait_for_memory(struct el_version *version, uint64_t need, uint64_t left)
{
    char text[200];
    snprintf(text, sizeof text, "waiting for memory: it needs some %llu MiB, %llu MiB are free", MIB(need), MIB(left));
    if (!version->short_of_memory)
        el_tell(version->model->swap, EL_LOG_WARNING, "waiting", version->model, version, "%s", text);
    version->short_of_memory = true;
    el_version_set_reason(version, text);
}

static bool is_wanted(const struct el_model *model, const struct el_hosted *hosted)
{
    const struct el_version *version;
    el_list_each (version, &model->versions, in_model) {
        if ((version->hosted == hosted || el_load_hosted(version->load) == hosted) &&
            el_model_aspires(model, version->number))
            return true;
    }
    return false;
}

/* What leaves before it is loaded: with availability "resource", unless the old version could not be loaded again. */
static uint64_t freed_by(const struct el_model *model)
{
    if (!is_resource(model) || el_model_keeps_old(model))
        return 0;
    uint64_t sum = 0;
    const struct el_hosted *hosted;
    el_list_each (hosted, &model->swap->hosted, in_swap) {
        if (hosted->model == model && !is_wanted(model, hosted))
            sum += el_worker_taken_bytes(hosted->worker);
    }
    return sum;
}

bool el_memory_admits(struct el_version *version, uint64_t now_ns)
{
    struct el_model *model = version->model;
    struct el_swap *swap = model->swap;
    const int64_t budget = swap->options.memory_budget_bytes;
    if (budget < 0)
        return true;
    if (version->short_of_memory && now_ns < version->memory_ns) {
        el_model_alarm(version->model, version->memory_ns);
        return false;
    }
    struct el_memory_room room;
    el_memory_read("", &room);
    if (budget > 0)
        narrow(&room, (uint64_t)budget, taken(swap));
    const uint64_t need = need_of(version);
    if (need > room.limit) {
        version->short_of_memory = false;
        el_version_quarantine(
            version, el_status_new(EL_RESOURCE_EXHAUSTED,
                                   "it needs some %llu MiB of memory, and there are %llu MiB at most (update { "
                                   "memory_need_bytes } can say what it needs)",
                                   MIB(need), MIB(room.limit)));
        return false;
    }
    const uint64_t freed = freed_by(model), first = promised(model);
    uint64_t left = room.free > first ? room.free - first : 0;
    left = left > UINT64_MAX - freed ? UINT64_MAX : left + freed;
    if (need <= left) {
        version->short_of_memory = false;
        return true;
    }
    wait_for_memory(version, need, left);
    version->memory_ns = el_after_ns(now_ns, LOOK_NS);
    el_model_alarm(version->model, version->memory_ns);
    return false;
}

void el_memory_learn(struct el_version *version, const struct el_worker *worker)
{
    version->model->last_taken_bytes = el_worker_taken_bytes(worker);
    version->model->last_file_bytes = version->bytes;
}
