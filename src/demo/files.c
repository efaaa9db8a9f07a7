/* SPDX-License-Identifier: Apache-2.0 */
/* Folders as a whole: copied, removed. Symbolic links are never followed. */
#include "demo/places.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct el_status *copy_bytes(int in, int out, const char *path)
{
    char bytes[65536];
    ssize_t size;
    while ((size = read(in, bytes, sizeof bytes)) > 0) {
        for (ssize_t done = 0; done < size;) {
            const ssize_t wrote = write(out, bytes + done, (size_t)(size - done));
            if (wrote < 0)
                return el_status_errno(errno, "write %s", path);
            done += wrote;
        }
    }
    return size < 0 ? el_status_errno(errno, "read what becomes %s", path) : NULL;
}

static struct el_status *copy_file(const char *from, const char *to)
{
    const int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (in < 0)
        return el_status_errno(errno, "open %s", from);
    const int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    struct el_status *status = out < 0 ? el_status_errno(errno, "make %s", to) : copy_bytes(in, out, to);
    close(in);
    if (out >= 0)
        close(out);
    return status;
}

static struct el_status *copy_entry(const FTSENT *entry, size_t prefix, const char *to)
{
    char path[PATH_MAX];
    EL_TRY(files_path(path, "%s%s", to, entry->fts_path + prefix));
    switch (entry->fts_info) {
    case FTS_D:
        return mkdir(path, 0755) == 0 ? NULL : el_status_errno(errno, "make %s", path);
    case FTS_F:
        return copy_file(entry->fts_accpath, path);
    case FTS_DP:
        return NULL;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return el_status_errno(entry->fts_errno, "read %s", entry->fts_path);
    default:
        return el_status_new(EL_INVALID_ARGUMENT, "copy %s: it is neither a file nor a folder", entry->fts_path);
    }
}

static struct el_status *walk(const char *path, struct el_status *(*each)(const FTSENT *, size_t, const char *),
                              const char *to)
{
    char start[PATH_MAX];
    EL_TRY(files_path(start, "%s", path));
    char *const starts[] = { start, NULL };
    FTS *tree = fts_open(starts, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (tree == NULL)
        return el_status_errno(errno, "read %s", path);
    struct el_status *status = NULL;
    const FTSENT *entry;
    while (status == NULL && (errno = 0, entry = fts_read(tree)) != NULL)
        status = each(entry, strlen(start), to);
    if (status == NULL && errno != 0)
        status = el_status_errno(errno, "read %s", path);
    fts_close(tree);
    return status;
}

struct el_status *files_copy_tree(const char *from, const char *to)
{
    return walk(from, copy_entry, to);
}

static struct el_status *remove_entry(const FTSENT *entry, size_t prefix, const char *to)
{
    (void)prefix;
    (void)to;
    if (entry->fts_info == FTS_D)
        return NULL; /* comes again as FTS_DP, empty */
    if (entry->fts_info == FTS_NS && entry->fts_errno == ENOENT)
        return NULL;
    return remove(entry->fts_accpath) == 0 || errno == ENOENT ? NULL
                                                              : el_status_errno(errno, "remove %s", entry->fts_path);
}

struct el_status *files_remove_tree(const char *path)
{
    return walk(path, remove_entry, NULL);
}
