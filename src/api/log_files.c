/* SPDX-License-Identifier: Apache-2.0 */
#include "api/log_files.h"

#include "base/buf.h"
#include "bundle/tfrecord.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SUFFIX_SIZE sizeof "-20261124T112000Z-000001.tfrecord"
#define MAX_NUMBER 1000000u
#define NAMES_TRIED 1000

struct el_log_file {
    struct el_log_file *next;
    char *path; /* owned, with room for the suffix; of the file that is written */
    size_t prefix_size;
    int fd;        /* -1: closed */
    bool begun;    /* path is the name of a file */
    uint64_t size; /* of its whole records */
    unsigned number;
};

/* ---- names ---- */

/* '0' stands for a digit. */
static bool is_suffix(const char *text)
{
    static const char form[] = "-00000000T000000Z-000000.tfrecord";
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    return true;
}

static void name_next(struct el_log_file *file)
{
    const time_t now = time(NULL);
    struct tm utc = { 0 };
    gmtime_r(&now, &utc);
    file->number = (file->number + 1) % MAX_NUMBER;
    snprintf(file->path + file->prefix_size, SUFFIX_SIZE, "-%04u%02u%02uT%02u%02u%02uZ-%06u.tfrecord",
             (unsigned)(utc.tm_year + 1900) % 10000, (unsigned)utc.tm_mon % 12 + 1, (unsigned)utc.tm_mday % 100,
             (unsigned)utc.tm_hour % 100, (unsigned)utc.tm_min % 100, (unsigned)utc.tm_sec % 100, file->number);
}

/* ---- the size of all ---- */

struct old {
    uint64_t size;
    char suffix[SUFFIX_SIZE];
};

static int by_suffix(const void *a_, const void *b_)
{
    const struct old *a = a_, *b = b_;
    return strcmp(a->suffix, b->suffix);
}

/* The files of the prefix, oldest first, in list. */
static struct el_status *list_old(DIR *directory, const char *base, size_t base_size, struct el_buf *list)
{
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        struct stat info;
        if (strncmp(entry->d_name, base, base_size) != 0 || !is_suffix(entry->d_name + base_size) ||
            fstatat(dirfd(directory), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode))
            continue;
        struct old old = { .size = (uint64_t)info.st_size };
        memcpy(old.suffix, entry->d_name + base_size, SUFFIX_SIZE);
        el_buf_append(list, &old, sizeof old);
    }
    if (list->size > sizeof(struct old))
        qsort(list->data, list->size / sizeof(struct old), sizeof(struct old), by_suffix);
    return el_buf_status(list);
}

/* Removes the oldest files until there is room for one more of that size. One that cannot be removed stays. */
static struct el_status *make_room(struct el_log_file *file, uint64_t total_bytes, uint64_t room)
{
    char *base = file->path + file->prefix_size;
    while (base[-1] != '/')
        base--; /* the prefix is an absolute path */
    const size_t base_size = (size_t)(file->path + file->prefix_size - base);
    char *folder = strndup(file->path, (size_t)(base - file->path));
    if (folder == NULL)
        return el_status_no_memory();
    DIR *directory = opendir(folder);
    const int error = errno;
    free(folder);
    if (directory == NULL)
        return el_status_errno(error, "the directory of %.*s", (int)file->prefix_size, file->path);
    struct el_buf list = { 0 };
    struct el_status *status = list_old(directory, base, base_size, &list);
    uint64_t total = room;
    struct old old;
    const size_t count = list.size / sizeof old;
    for (size_t i = 0; i < count; i++) {
        memcpy(&old, list.data + i * sizeof old, sizeof old);
        total += old.size;
    }
    for (size_t i = 0; status == NULL && i < count && total > total_bytes; i++) {
        memcpy(&old, list.data + i * sizeof old, sizeof old);
        memcpy(file->path + file->prefix_size, old.suffix, SUFFIX_SIZE);
        if (unlinkat(dirfd(directory), base, 0) == 0)
            total -= old.size;
    }
    el_buf_free(&list);
    closedir(directory);
    return status;
}

/* ---- one file ---- */

static void end_file(struct el_log_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
    file->begun = false;
}

static struct el_status *begin_file(struct el_log_file *file, const struct el_log_target *target, uint64_t record)
{
    end_file(file);
    EL_TRY(make_room(file, target->total_bytes, record > target->file_bytes ? record : target->file_bytes));
    int error = EEXIST;
    for (int i = 0; i < NAMES_TRIED && file->fd < 0 && error == EEXIST; i++) {
        name_next(file);
        file->fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
        error = errno;
    }
    if (file->fd < 0)
        return el_status_errno(error, "%s", file->path);
    file->begun = true;
    file->size = 0;
    return NULL;
}

/* Opens again what el_log_files_rest() closed; nothing, if it is not there any more or is not as it was left. */
static void reopen(struct el_log_file *file)
{
    struct stat info;
    file->fd = open(file->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (file->fd < 0 || fstat(file->fd, &info) != 0 || !S_ISREG(info.st_mode) || (uint64_t)info.st_size != file->size)
        end_file(file);
}

/* A shipper of logs may have taken it away. */
static bool is_gone(const struct el_log_file *file)
{
    struct stat info;
    return fstat(file->fd, &info) != 0 || info.st_nlink == 0;
}

/* All of it, or the file is as it was. */
static struct el_status *append(struct el_log_file *file, struct el_span record)
{
    uint8_t header[EL_TFRECORD_HEADER], footer[EL_TFRECORD_FOOTER];
    el_tfrecord_frame(record.data, record.size, header, footer);
    const struct iovec parts[] = { { header, sizeof header },
                                   { (void *)(uintptr_t)record.data, record.size },
                                   { footer, sizeof footer } };
    const size_t whole = sizeof header + record.size + sizeof footer;
    ssize_t done;
    do
        done = writev(file->fd, parts, 3);
    while (done < 0 && errno == EINTR);
    if (done >= 0 && (size_t)done == whole) {
        file->size += whole;
        return NULL;
    }
    const int error = done < 0 ? errno : EFBIG; /* a part of it: something is full now */
    if (done > 0 && ftruncate(file->fd, (off_t)file->size) != 0)
        end_file(file); /* its end is not a record: nothing may come behind it */
    if (error == EFBIG)
        return el_status_new(EL_RESOURCE_EXHAUSTED,
                             "%s: no room for %zu bytes more: the disk, a quota or the limit of file sizes is full",
                             file->path, whole);
    return el_status_errno(error, "%s", file->path);
}

/* ---- all files ---- */

static struct el_log_file *file_for(struct el_log_files *files, const char *prefix)
{
    const size_t size = strlen(prefix);
    for (struct el_log_file *file = files->first; file != NULL; file = file->next)
        if (file->prefix_size == size && memcmp(file->path, prefix, size) == 0)
            return file;
    struct el_log_file *file = calloc(1, sizeof *file);
    char *path = malloc(size + SUFFIX_SIZE);
    if (file == NULL || path == NULL) {
        free(file);
        free(path);
        return NULL;
    }
    memcpy(path, prefix, size);
    path[size] = '\0';
    *file = (struct el_log_file){ .next = files->first, .path = path, .prefix_size = size, .fd = -1 };
    files->first = file;
    return file;
}

struct el_status *el_log_files_write(struct el_log_files *files, const struct el_log_target *target,
                                     struct el_span record)
{
    const uint64_t whole = EL_TFRECORD_HEADER + (uint64_t)record.size + EL_TFRECORD_FOOTER;
    if (whole > target->total_bytes)
        return el_status_new(EL_RESOURCE_EXHAUSTED,
                             "a record of %" PRIu64 " bytes is more than all files of the log may have, %" PRIu64,
                             whole, target->total_bytes);
    struct el_log_file *file = file_for(files, target->prefix);
    if (file == NULL)
        return el_status_no_memory();
    if (file->begun && file->fd < 0)
        reopen(file);
    if (file->fd < 0 || is_gone(file) || (file->size > 0 && file->size + whole > target->file_bytes))
        EL_TRY(begin_file(file, target, whole));
    return append(file, record);
}

bool el_log_files_rest(struct el_log_files *files)
{
    bool any = false;
    for (struct el_log_file *file = files->first; file != NULL; file = file->next) {
        any = any || file->fd >= 0;
        if (file->fd >= 0)
            close(file->fd);
        file->fd = -1;
    }
    return any;
}

void el_log_files_free(struct el_log_files *files)
{
    el_log_files_rest(files);
    while (files->first != NULL) {
        struct el_log_file *file = files->first;
        files->first = file->next;
        free(file->path);
        free(file);
    }
}
