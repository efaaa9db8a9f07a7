/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories of models, as tables: what stands in for scan.c and watch.c of the source room, and for the reading of a version's
 * bytes. source.c, which decides from scans what is whole and quiet, is the real one.
 */
#include "sim.h"

#include "base/clock.h"
#include "source/scan.h"

#include <stdlib.h>
#include <string.h>

static struct {
    struct sim_content **contents;
    size_t count, room;
    uint64_t last_fingerprint;
    struct el_watch *watches[4 * SIM_MODELS];
} files;

struct el_watcher {
    void (*closed)(void *argument);
    void *argument;
};

/* ---- contents ---- */

static const struct {
    const char *name;
    bool is_late; /* it begins after some runs */
} traits[SIM_TRAITS] = {
    [SIM_GOOD] = { "good", false },
    [SIM_LOAD_FAILS] = { "cannot be loaded", false },
    [SIM_LOAD_PASSING] = { "cannot be loaded at first", false },
    [SIM_LOAD_HANGS] = { "is never loaded", false },
    [SIM_LOAD_CRASHES] = { "crashes when it is loaded", false },
    [SIM_LOAD_KILLS] = { "takes the server down when it is loaded", false },
    [SIM_RUN_FAILS] = { "fails", false },
    [SIM_RUN_NAN] = { "answers NaN", false },
    [SIM_RUN_HANGS] = { "hangs", false },
    [SIM_RUN_CRASHES] = { "crashes", false },
    [SIM_RUN_SLOW] = { "is slow", false },
    [SIM_OTHER_INPUTS] = { "has other inputs", false },
    [SIM_LATE_FAILS] = { "fails after a while", true },
    [SIM_LATE_NAN] = { "answers NaN after a while", true },
    [SIM_LATE_CRASHES] = { "crashes after a while", true },
    [SIM_LATE_HANGS] = { "hangs after a while", true },
    [SIM_LATE_SLOW] = { "is slow after a while", true },
    [SIM_POISON] = { "dies of certain requests", false },
    [SIM_LEAKS] = { "leaks", false },
};

const char *sim_trait_name(enum sim_trait trait)
{
    return traits[trait].name;
}

struct sim_content *sim_content_new(enum sim_trait trait)
{
    struct sim_content *content = calloc(1, sizeof *content);
    if (files.count == files.room) {
        files.room = files.room == 0 ? 64 : files.room * 2;
        files.contents = realloc(files.contents, files.room * sizeof *files.contents);
    }
    if (content == NULL || files.contents == NULL)
        abort();
    files.contents[files.count++] = content;
    content->id = ++sim->last_content;
    content->trait = trait;
    content->after = traits[trait].is_late ? (uint32_t)sim_between(&sim->random, 20, 300)
                                           : (uint32_t)sim_between(&sim->random, 1, 4);
    content->percent = sim_chance(&sim->random, 50) ? 100 : (uint32_t)sim_between(&sim->random, 3, 60);
    content->taken = sim_between(&sim->random, 50, 100) * SIM_MIB;
    content->load_ns = sim_between(&sim->random, 20, 1000) * SIM_MS;
    content->run_ns = sim_between(&sim->random, 500, 2000) * UINT64_C(1000);
    content->keeps_state = sim_chance(&sim->random, 8);
    uint8_t digest[EL_DIGEST_SIZE];
    for (size_t i = 0; i < sizeof digest; i++)
        digest[i] = (uint8_t)(content->id >> (8 * (i % 4)));
    el_digest_print(digest, content->digest);
    return content;
}

struct sim_content *sim_content_at(size_t i)
{
    return i < files.count ? files.contents[i] : NULL;
}

struct sim_content *sim_content_find(const char *digest)
{
    for (size_t i = 0; i < files.count; i++)
        if (strcmp(files.contents[i]->digest, digest) == 0)
            return files.contents[i];
    return NULL;
}

/* ---- directories ---- */

struct sim_dir *sim_dir_find(const char *path)
{
    for (uint32_t i = 0; i < sim->model_count; i++) {
        struct sim_dir *dir = &sim->models[i].dir;
        const size_t size = strlen(dir->path);
        if (strncmp(path, dir->path, size) == 0 && (path[size] == '\0' || path[size] == '/'))
            return dir;
    }
    return NULL;
}

static struct sim_version_dir *find(struct sim_dir *dir, int64_t version)
{
    for (size_t i = 0; i < dir->count; i++)
        if (dir->list[i].version == version)
            return &dir->list[i];
    return NULL;
}

struct sim_version_dir *sim_version_dir_find(const char *path)
{
    struct sim_dir *dir = sim_dir_find(path);
    if (dir == NULL || dir->unreadable)
        return NULL;
    return find(dir, strtoll(strrchr(path, '/') + 1, NULL, 10));
}

void sim_dir_remove(struct sim_dir *dir, int64_t version)
{
    struct sim_version_dir *found = find(dir, version);
    if (found == NULL)
        return;
    const size_t at = (size_t)(found - dir->list);
    memmove(found, found + 1, (dir->count - at - 1) * sizeof *found);
    dir->count--;
}

void sim_dir_put(struct sim_dir *dir, int64_t version, struct sim_content *content, bool whole)
{
    sim_dir_remove(dir, version);
    if (dir->count == SIM_ON_DISK)
        dir->count--; /* the lowest makes room */
    size_t at = dir->count++;
    for (; at > 0 && dir->list[at - 1].version < version; at--)
        dir->list[at] = dir->list[at - 1];
    content->kills = 0; /* other files, as far as the server knows */
    dir->list[at] = (struct sim_version_dir){
        .version = version, .content = content, .fingerprint = ++files.last_fingerprint, .whole = whole
    };
    if (version > dir->last)
        dir->last = version;
}

void sim_dir_changed(struct sim_dir *dir)
{
    (void)dir;
    for (size_t i = 0; i < sizeof files.watches / sizeof files.watches[0]; i++)
        if (files.watches[i] != NULL &&
            !sim_chance(&sim->random, 10)) /* inotify forgets, and network mounts say nothing */
            files.watches[i]->heard(files.watches[i]->argument);
}

void sim_files_close(void)
{
    for (size_t i = 0; i < files.count; i++)
        free(files.contents[i]);
    free(files.contents);
    files.contents = NULL;
    files.count = files.room = 0;
    files.last_fingerprint = 0;
}

/* ---- scan.h ---- */

void el_source_versions_free(struct el_source_version *versions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(versions[i].path);
        free(versions[i].text);
        free(versions[i].said);
        free(versions[i].seen_text);
        free(versions[i].state_op);
    }
    free(versions);
}

void el_scan_run(struct el_scan *scan)
{
    const struct sim_dir *dir = sim_dir_find(scan->base_path);
    scan->started_ns = el_now_ns();
    if (dir == NULL || dir->unreadable) {
        scan->error = el_status_new(EL_UNAVAILABLE, "reading base path %s: Input/output error", scan->base_path);
        return;
    }
    scan->found = calloc(dir->count + 1, sizeof *scan->found);
    if (scan->found == NULL)
        abort();
    for (size_t i = 0; i < dir->count; i++) {
        const struct sim_version_dir *on_disk = &dir->list[i];
        struct el_source_version *found = &scan->found[scan->found_count++];
        found->version = on_disk->version;
        if (asprintf(&found->path, "%s/%lld", dir->path, (long long)on_disk->version) < 0)
            abort();
        found->fingerprint = on_disk->fingerprint;
        found->bytes = on_disk->content->taken / 2;
        found->seen = on_disk->whole ? EL_SEEN_WHOLE : EL_SEEN_NOT_YET;
        found->seen_text = on_disk->whole ? NULL : strdup("variables/variables.index is missing");
        found->state_op = on_disk->whole && on_disk->content->keeps_state ? strdup("AssignAddVariableOp") : NULL;
    }
}

/* ---- watch.h ---- */

struct el_status *el_watcher_open(uv_loop_t *uv_loop, struct el_watcher **watcher)
{
    (void)uv_loop;
    *watcher = calloc(1, sizeof **watcher);
    return *watcher != NULL ? NULL : el_status_no_memory();
}

static void on_watcher_closed(void *argument)
{
    struct el_watcher *watcher = argument;
    if (watcher->closed != NULL)
        watcher->closed(watcher->argument);
    free(watcher);
}

void el_watcher_close(struct el_watcher *watcher, void (*closed)(void *argument), void *argument)
{
    watcher->closed = closed;
    watcher->argument = argument;
    sim_after(SIM_SWAP, 0, on_watcher_closed, watcher);
}

void el_watch_open(struct el_watch *watch, struct el_watcher *watcher, void (*heard)(void *argument), void *argument)
{
    *watch = (struct el_watch){ .watcher = watcher, .heard = heard, .argument = argument };
    for (size_t i = 0; watcher != NULL && i < sizeof files.watches / sizeof files.watches[0]; i++) {
        if (files.watches[i] != NULL)
            continue;
        files.watches[i] = watch;
        return;
    }
}

void el_watch_close(struct el_watch *watch)
{
    for (size_t i = 0; i < sizeof files.watches / sizeof files.watches[0]; i++)
        if (files.watches[i] == watch)
            files.watches[i] = NULL;
}

/* ---- completeness.h ---- */

struct el_status *__wrap_el_version_digest(const char *path, bool (*proceed)(void *argument), void *argument,
                                           uint8_t digest[EL_DIGEST_SIZE]);

struct el_status *__wrap_el_version_digest(const char *path, bool (*proceed)(void *argument), void *argument,
                                           uint8_t digest[EL_DIGEST_SIZE])
{
    (void)proceed;
    (void)argument;
    const struct sim_version_dir *found = sim_version_dir_find(path);
    if (found == NULL)
        return el_status_new(EL_NOT_FOUND, "%s: No such file or directory", path);
    for (size_t i = 0; i < EL_DIGEST_SIZE; i++)
        digest[i] = (uint8_t)(found->content->id >> (8 * (i % 4)));
    return NULL;
}
