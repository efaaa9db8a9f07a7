/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a link leads is asked of the kernel: it is opened with O_PATH and its
 * real path read from /proc/self/fd. Reading the link's text would not do,
 * because a directory in it may be a link again.
 */
#include "bundle/tree.h"

#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENTRIES ((size_t)200000)
#define MAX_DEPTH 16 /* of directories; a SavedModel has one */
#define LEADS_OUT "is a link that leads out of the version's directory"

struct walk {
    struct el_tree *tree;
    size_t capacity;
    const char *root; /* real path of the top */
};

void el_tree_free(struct el_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        free(tree->list[i].name);
        free(tree->list[i].target);
    }
    free(tree->list);
    free(tree->bad);
    *tree = (struct el_tree){ 0 };
}

/* Notes the first thing that is bad; the walk goes on, for the fingerprint. */
static struct el_status *note_bad(struct el_tree *tree, const char *name, const char *why)
{
    if (tree->bad != NULL)
        return NULL;
    struct el_buf buf = { 0 };
    el_buf_printf(&buf, "%s %s", name, why);
    tree->bad = el_buf_take_text(&buf);
    return tree->bad == NULL ? el_status_no_memory() : NULL;
}

/* The path that the kernel knows fd by, terminated; false if it does not fit or is none. */
static bool real_path(int fd, char path[PATH_MAX])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, PATH_MAX);
    if (n <= 0 || n >= PATH_MAX || path[0] != '/')
        return false;
    path[n] = '\0';
    return true;
}

static bool is_inside(const char *root, const char *path)
{
    const size_t length = strlen(root);
    return strcmp(root, "/") == 0 ||
           (strncmp(root, path, length) == 0 && (path[length] == '/' || path[length] == '\0'));
}

static void set_numbers(struct el_tree_entry *entry, const struct stat *info)
{
    entry->size = S_ISREG(info->st_mode) ? (uint64_t)info->st_size : 0;
    entry->mtime_ns = (uint64_t)info->st_mtim.tv_sec * UINT64_C(1000000000) + (uint64_t)info->st_mtim.tv_nsec;
    entry->inode = (uint64_t)info->st_ino;
}

/* True if the text alone, of a link called name, leads out of the top: for links to what does not exist (yet). */
static bool reads_outward(const char *name, const char *target)
{
    int depth = 0;
    if (target[0] == '/')
        return true;
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
        depth++;
    while (*target != '\0') {
        const size_t length = strcspn(target, "/");
        if (length == 2 && target[0] == '.' && target[1] == '.')
            depth--;
        else if (length > 0 && !(length == 1 && target[0] == '.'))
            depth++;
        if (depth < 0)
            return true;
        target += length + (target[length] == '/');
    }
    return false;
}

static struct el_status *look_at_link(const struct walk *walk, int dir_fd, const char *base,
                                      struct el_tree_entry *entry)
{
    char path[PATH_MAX];
    const ssize_t n = readlinkat(dir_fd, base, path, sizeof path);
    entry->target = n < 0 ? strdup("") : strndup(path, (size_t)n);
    if (entry->target == NULL)
        return el_status_no_memory();
    const int fd = openat(dir_fd, base, O_PATH | O_CLOEXEC);
    if (fd < 0 && reads_outward(entry->name, entry->target))
        return note_bad(walk->tree, entry->name, LEADS_OUT);
    if (fd < 0) {
        entry->dangling = true;
        return NULL;
    }
    struct stat info;
    const bool known = real_path(fd, path) && fstat(fd, &info) == 0;
    close(fd);
    if (!known || !is_inside(walk->root, path))
        return note_bad(walk->tree, entry->name, LEADS_OUT);
    if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return note_bad(walk->tree, entry->name, "is a link to what is no file and no directory");
    set_numbers(entry, &info);
    return NULL;
}

/* A new entry at the end of the tree, which owns it. NULL: no memory. */
static struct el_tree_entry *add_entry(struct walk *walk, const char *name)
{
    struct el_tree *tree = walk->tree;
    if (tree->count == walk->capacity) {
        const size_t capacity = walk->capacity == 0 ? 32 : 2 * walk->capacity;
        struct el_tree_entry *grown = reallocarray(tree->list, capacity, sizeof *grown);
        if (grown == NULL)
            return NULL;
        tree->list = grown;
        walk->capacity = capacity;
    }
    struct el_tree_entry *entry = &tree->list[tree->count];
    *entry = (struct el_tree_entry){ .name = strdup(name) };
    if (entry->name == NULL)
        return NULL;
    tree->count++;
    return entry;
}

static char *join(const char *prefix, const char *base)
{
    struct el_buf buf = { 0 };
    el_buf_printf(&buf, "%s%s%s", prefix, prefix[0] == '\0' ? "" : "/", base);
    return el_buf_take_text(&buf);
}

/* Fills and adds what is called base in dir_fd. *is_directory tells whether to go on into it. */
static struct el_status *look_at(struct walk *walk, int dir_fd, const char *base, const char *name, bool *is_directory)
{
    struct stat info;
    *is_directory = false;
    if (fstatat(dir_fd, base, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? NULL : el_status_errno(errno, "%s: cannot be examined", name);
    struct el_tree_entry *entry = add_entry(walk, name);
    if (entry == NULL)
        return el_status_no_memory();
    if (S_ISDIR(info.st_mode)) {
        entry->kind = EL_TREE_DIRECTORY; /* its times are those of its entries, its size says nothing */
        *is_directory = true;
        return NULL;
    }
    if (S_ISLNK(info.st_mode)) {
        entry->kind = EL_TREE_LINK;
        return look_at_link(walk, dir_fd, base, entry);
    }
    entry->kind = EL_TREE_FILE;
    set_numbers(entry, &info);
    return S_ISREG(info.st_mode) ? NULL : note_bad(walk->tree, name, "is no regular file, directory or link");
}

static struct el_status *walk_directory(struct walk *walk, int fd, const char *prefix, unsigned depth);

static struct el_status *walk_into(struct walk *walk, int dir_fd, const char *base, const char *name, unsigned depth)
{
    if (depth >= MAX_DEPTH)
        return note_bad(walk->tree, name, "is nested too deeply");
    const int fd = openat(dir_fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                   ? NULL
                   : el_status_errno(errno, "%s: cannot be opened", name);
    return walk_directory(walk, fd, name, depth + 1);
}

/* Takes fd over. Recursion ends at MAX_DEPTH. */
static struct el_status *walk_directory(struct walk *walk, int fd, const char *prefix, unsigned depth)
{
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        struct el_status *status = el_status_errno(errno, "%s: cannot be read", prefix);
        close(fd);
        return status;
    }
    struct el_status *status = NULL;
    const struct dirent *found;
    while (status == NULL && walk->tree->count < MAX_ENTRIES && (errno = 0, found = readdir(directory)) != NULL) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        char *name = join(prefix, found->d_name);
        bool is_directory = false;
        status = name == NULL ? el_status_no_memory()
                              : look_at(walk, dirfd(directory), found->d_name, name, &is_directory);
        if (status == NULL && is_directory)
            status = walk_into(walk, dirfd(directory), found->d_name, name, depth);
        free(name);
    }
    if (status == NULL && walk->tree->count >= MAX_ENTRIES)
        status = note_bad(walk->tree, "the directory", "has more than 200000 files");
    else if (status == NULL && errno != 0)
        status = el_status_errno(errno, "%s: cannot be read", prefix);
    closedir(directory);
    return status;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct el_tree_entry *)a)->name, ((const struct el_tree_entry *)b)->name);
}

struct el_status *el_tree_read(int dir_fd, const char *path, struct el_tree *tree)
{
    char root[PATH_MAX];
    *tree = (struct el_tree){ 0 };
    if (!real_path(dir_fd, root))
        return el_status_new(EL_INTERNAL, "%s: its place is not known; /proc must be mounted", path);
    const int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return el_status_errno(errno, "%s: cannot be opened", path);
    struct walk walk = { .tree = tree, .root = root };
    struct el_status *status = walk_directory(&walk, fd, "", 0);
    if (status != NULL) {
        el_tree_free(tree);
        return el_status_prefix(status, "%s", path);
    }
    if (tree->count > 1)
        qsort(tree->list, tree->count, sizeof *tree->list, compare);
    return NULL;
}

int el_tree_open(int dir_fd, const char *name)
{
    int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
    while (fd >= 0) {
        const size_t length = strcspn(name, "/");
        const bool last = name[length] == '\0';
        char *part = strndup(name, length);
        const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
        const int next = part == NULL ? -1 : openat(fd, part, flags);
        const int error = errno;
        free(part);
        close(fd);
        errno = error;
        if (last)
            return next;
        fd = next;
        name += length + 1;
    }
    return fd;
}
