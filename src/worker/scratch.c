/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Directories for the temporary files of workers. The front makes and removes them, because a worker may end at any
 * moment. What lies in one was written by a process that is gone and is not trusted: nothing is followed out of it.
 *
 * All of a front's lie in one, everlit-scratch-XXXXXX, on which it holds a lock (flock) while it lives. A front that was
 * killed leaves it behind, without the lock: the next one with the same user removes it. The directory gets its name when
 * it has its lock, so that it is never taken for one that was left behind.
 */

#include "base/file.h"
#include "worker/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "everlit-scratch-"

static const char *temporary(void)
{
    const char *where = getenv("TMPDIR");
    return where == NULL || *where != '/' ? "/tmp" : where;
}

/* On failure *path is NULL. */
static struct el_status *make(char **path, const char *where, const char *name)
{
    if (asprintf(path, "%s/%s", where, name) < 0) {
        *path = NULL;
        return el_status_no_memory();
    }
    if (mkdtemp(*path) != NULL)
        return NULL;
    struct el_status *status = el_status_errno(errno, "a directory for temporary files cannot be made in %s", where);
    free(*path);
    *path = NULL;
    return status;
}

/* The front's own directory, with its lock. */
static struct el_status *make_root(struct el_workers *workers)
{
    char *fresh = NULL, *path = NULL;
    EL_TRY(make(&fresh, temporary(), ".everlit-XXXXXX"));
    const int lock = open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct el_status *status = NULL;
    /* A file system without locks: then nobody can take it for one that was left behind either. */
    if (lock >= 0)
        (void)flock(lock, LOCK_EX | LOCK_NB);
    if (lock < 0 || asprintf(&path, "%s/" PREFIX "%s", temporary(), fresh + strlen(fresh) - 6) < 0 ||
        rename(fresh, path) != 0) {
        status = el_status_errno(errno, "a directory for temporary files cannot be made in %s", temporary());
        rmdir(fresh);
        if (lock >= 0)
            close(lock);
        free(path);
    } else {
        workers->scratch_lock = lock;
        workers->scratch_path = path;
    }
    free(fresh);
    return status;
}

struct el_status *el_scratch_new(struct el_workers *workers, char **path)
{
    if (workers->scratch_path == NULL)
        EL_TRY(make_root(workers));
    return make(path, workers->scratch_path, "worker-XXXXXX");
}

void el_scratch_remove(const char *path)
{
    if (path == NULL || rmdir(path) == 0)
        return;
    el_file_remove_tree(path);
}

void el_scratch_end(struct el_workers *workers)
{
    if (workers->scratch_path == NULL)
        return;
    el_scratch_remove(workers->scratch_path);
    close(workers->scratch_lock);
    free(workers->scratch_path);
    workers->scratch_path = NULL;
}

/* True if it is ours and nobody has it; *lock is then ours, to close. */
static bool is_left_behind(int where, const char *name, int *lock)
{
    *lock = openat(where, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat info;
    if (*lock >= 0 && fstat(*lock, &info) == 0 && info.st_uid == geteuid() && flock(*lock, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (*lock >= 0)
        close(*lock);
    return false;
}

unsigned el_scratch_sweep(void)
{
    DIR *dir = opendir(temporary());
    if (dir == NULL)
        return 0;
    unsigned count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char *path = NULL;
        int lock;
        if (strncmp(entry->d_name, PREFIX, sizeof PREFIX - 1) != 0 || !is_left_behind(dirfd(dir), entry->d_name, &lock))
            continue;
        if (asprintf(&path, "%s/%s", temporary(), entry->d_name) >= 0) {
            el_scratch_remove(path);
            free(path);
            count++;
        }
        close(lock);
    }
    closedir(dir);
    return count;
}
