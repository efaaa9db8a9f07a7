/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static struct el_status *read_fd(int fd, const char *name, size_t limit, struct el_buf *buf)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return el_status_errno(errno, "%s: cannot be examined", name);
    if (!S_ISREG(info.st_mode))
        return el_status_new(EL_INVALID_ARGUMENT, "%s: is not a regular file", name);
    const size_t before = buf->size;
    for (;;) {
        size_t room = 64 * 1024;
        const size_t got = buf->size - before;
        if (info.st_size > 0 && (size_t)info.st_size > got && (size_t)info.st_size <= limit)
            room = (size_t)info.st_size - got + 1; /* one more byte, so that the end is seen without another round */
        uint8_t *to = el_buf_reserve(buf, room);
        if (to == NULL)
            return el_status_no_memory();
        ssize_t n = read(fd, to, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            struct el_status *status = el_status_errno(errno, "%s: cannot be read", name);
            buf->size = before;
            return status;
        }
        if (n == 0)
            return NULL;
        buf->size += (size_t)n;
        if (buf->size - before > limit) {
            buf->size = before;
            return el_status_new(EL_RESOURCE_EXHAUSTED, "%s: is larger than the limit of %zu bytes", name, limit);
        }
    }
}

static struct el_status *read_at(int dir_fd, const char *name, int flags, size_t limit, struct el_buf *buf)
{
    /* O_NONBLOCK: opening a FIFO that somebody left in a model directory must not hang. */
    int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
    if (fd < 0)
        return el_status_errno(errno, "%s: cannot be opened", name);
    struct el_status *status = read_fd(fd, name, limit, buf);
    close(fd);
    return status;
}

struct el_status *el_file_read(const char *path, size_t limit, struct el_buf *buf)
{
    return read_at(AT_FDCWD, path, 0, limit, buf);
}

struct el_status *el_file_read_at(int dir_fd, const char *name, size_t limit, struct el_buf *buf)
{
    return read_at(dir_fd, name, O_NOFOLLOW, limit, buf);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)place;
    if (type == FTW_DP || type == FTW_DNR)
        rmdir(path);
    else
        unlink(path);
    return 0; /* on with the rest */
}

void el_file_remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}
