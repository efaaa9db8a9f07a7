/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/version_copy.h"

#include "bundle/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHUNK_BYTES ((size_t)256 * 1024)
#define MOST_SPARED (UINT64_C(64) << 20)

struct copy {
    struct el_version_copying *asked;
    int from_fd, to_fd;
    uint8_t *chunk;
};

/* The journal writes to the same disk: a copy does not fill it. */
static struct el_status *check_room(int to_fd, const struct el_tree_entry *entry)
{
    struct statvfs info;
    if (fstatvfs(to_fd, &info) != 0)
        return el_status_errno(errno, "the room that is left cannot be asked for");
    const uint64_t block = info.f_frsize, free_bytes = info.f_bavail * block, all_bytes = info.f_blocks * block;
    const uint64_t spared = all_bytes / 10 < MOST_SPARED ? all_bytes / 10 : MOST_SPARED;
    if (free_bytes >= spared && free_bytes - spared >= entry->size)
        return NULL;
    return el_status_new(EL_RESOURCE_EXHAUSTED,
                         "%s: no room on the disk: it takes %llu bytes, %llu are free, and %llu are left to others",
                         entry->name, (unsigned long long)entry->size, (unsigned long long)free_bytes,
                         (unsigned long long)spared);
}

static struct el_status *write_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return el_status_errno(errno, "its copy cannot be written");
        bytes += n;
        size -= (size_t)n;
    }
    return NULL;
}

static struct el_status *copy_bytes(const struct copy *copy, int from, int to)
{
    for (;;) {
        if (copy->asked->proceed != NULL && !copy->asked->proceed(copy->asked->argument))
            return el_status_new(EL_CANCELLED, "copying it was cancelled");
        const ssize_t n = read(from, copy->chunk, CHUNK_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return el_status_errno(errno, "it cannot be read");
        if (n == 0)
            return NULL;
        EL_TRY(write_all(to, copy->chunk, (size_t)n));
    }
}

static bool nobody_writes(const struct stat *info)
{
    return (info->st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) == 0 && (info->st_uid == 0 || info->st_uid == geteuid());
}

/* A second name for it; false: it has to be copied. */
static bool link_file(const struct copy *copy, int from, const char *name)
{
    struct stat info;
    char path[64];
    if (fstat(from, &info) != 0 || !nobody_writes(&info))
        return false;
    snprintf(path, sizeof path, "/proc/self/fd/%d", from);
    return linkat(AT_FDCWD, path, copy->to_fd, name, AT_SYMLINK_FOLLOW) == 0;
}

static struct el_status *finish(int to, struct el_status *status)
{
    if (status == NULL && (fchmod(to, 0444) != 0 || fsync(to) != 0))
        status = el_status_errno(errno, "its copy cannot be written");
    if (close(to) != 0 && status == NULL)
        status = el_status_errno(errno, "its copy cannot be written");
    return status;
}

static int make_file(const struct copy *copy, const char *name)
{
    return openat(copy->to_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static struct el_status *take_over(const struct copy *copy, int from, const struct el_tree_entry *entry)
{
    int to = make_file(copy, entry->name);
    if (to < 0)
        return el_status_errno(errno, "its copy cannot be made");
    if (ioctl(to, FICLONE, from) == 0) {
        copy->asked->cloned++;
        return finish(to, NULL);
    }
    if (unlinkat(copy->to_fd, entry->name, 0) == 0 && link_file(copy, from, entry->name)) {
        copy->asked->linked++;
        return finish(to, NULL);
    }
    close(to);
    to = make_file(copy, entry->name);
    if (to < 0)
        return el_status_errno(errno, "its copy cannot be made");
    copy->asked->copied++;
    struct el_status *status = check_room(copy->to_fd, entry);
    if (status == NULL)
        status = copy_bytes(copy, from, to);
    return finish(to, status);
}

static struct el_status *copy_file(const struct copy *copy, const struct el_tree_entry *entry)
{
    const int from = el_tree_open(copy->from_fd, entry->name);
    if (from < 0)
        return el_status_errno(errno, "%s: cannot be opened", entry->name);
    struct stat info;
    struct el_status *status = NULL;
    if (fstat(from, &info) != 0 || !S_ISREG(info.st_mode))
        status = el_status_new(EL_FAILED_PRECONDITION, "it is no regular file");
    else
        status = take_over(copy, from, entry);
    close(from);
    copy->asked->bytes += entry->size;
    return el_status_prefix(status, "%s", entry->name);
}

static struct el_status *copy_entry(const struct copy *copy, const struct el_tree_entry *entry)
{
    switch (entry->kind) {
    case EL_TREE_DIRECTORY:
        if (mkdirat(copy->to_fd, entry->name, 0700) != 0)
            return el_status_errno(errno, "%s: its copy cannot be made", entry->name);
        return NULL;
    case EL_TREE_LINK:
        if (symlinkat(entry->target, copy->to_fd, entry->name) != 0)
            return el_status_errno(errno, "%s: its copy cannot be made", entry->name);
        return NULL;
    case EL_TREE_FILE:
    default:
        return copy_file(copy, entry);
    }
}

static struct el_status *sync_directory(int dir_fd, const char *name)
{
    const int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return el_status_errno(errno, "%s: its copy cannot be opened", name);
    struct el_status *status = fsync(fd) != 0 ? el_status_errno(errno, "%s: its copy cannot be written", name) : NULL;
    close(fd);
    return status;
}

static struct el_status *copy_tree(const struct copy *copy, const struct el_tree *tree)
{
    if (tree->bad != NULL)
        return el_status_new(EL_FAILED_PRECONDITION, "%s", tree->bad);
    for (size_t i = 0; i < tree->count; i++) /* by name: a directory comes before what is in it */
        EL_TRY(copy_entry(copy, &tree->list[i]));
    for (size_t i = tree->count; i-- > 0;)
        if (tree->list[i].kind == EL_TREE_DIRECTORY)
            EL_TRY(sync_directory(copy->to_fd, tree->list[i].name));
    return sync_directory(copy->to_fd, ".");
}

struct el_status *el_version_copy(struct el_version_copying *copying)
{
    struct copy copy = { .asked = copying, .from_fd = -1, .to_fd = -1, .chunk = malloc(CHUNK_BYTES) };
    struct el_tree tree = { 0 };
    struct el_status *status = NULL;
    copying->cloned = copying->linked = copying->copied = 0;
    copying->bytes = 0;
    if (copy.chunk == NULL) {
        status = el_status_no_memory();
        goto out;
    }
    copy.from_fd = open(copying->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy.from_fd < 0) {
        status = el_status_errno(errno, "%s: cannot be opened as a directory", copying->from);
        goto out;
    }
    if (mkdir(copying->to, 0700) != 0 ||
        (copy.to_fd = open(copying->to, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0) {
        status = el_status_errno(errno, "%s: cannot be made", copying->to);
        goto out;
    }
    status = el_tree_read(copy.from_fd, copying->from, &tree);
    if (status == NULL)
        status = el_status_prefix(copy_tree(&copy, &tree), "%s", copying->from);
out:
    el_tree_free(&tree);
    if (copy.from_fd >= 0)
        close(copy.from_fd);
    if (copy.to_fd >= 0)
        close(copy.to_fd);
    free(copy.chunk);
    return status;
}
