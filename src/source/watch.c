/* SPDX-License-Identifier: Apache-2.0 */
#include "source/watch.h"

#include <stdalign.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* No IN_MODIFY: a large copy would wake us for each write; it ends with IN_CLOSE_WRITE. */
#define INTERESTING \
    (IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)

void el_watch_open(struct el_watch *watch, bool no_inotify)
{
    *watch = (struct el_watch){ .fd = -1 };
    if (!no_inotify)
        watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
}

void el_watch_close(struct el_watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
}

void el_watch_begin(struct el_watch *watch)
{
    memset(watch->seen, 0, sizeof watch->seen);
}

void el_watch_add(struct el_watch *watch, const char *path)
{
    if (watch->fd < 0)
        return;
    int wd = inotify_add_watch(watch->fd, path, INTERESTING | IN_ONLYDIR);
    if (wd < 0)
        return;
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->wds[i] == wd) {
            watch->seen[i] = true;
            return;
        }
    }
    if (watch->count == EL_MAX_WATCHES) {
        inotify_rm_watch(watch->fd, wd);
        return;
    }
    watch->wds[watch->count] = wd;
    watch->seen[watch->count++] = true;
}

void el_watch_end(struct el_watch *watch)
{
    size_t kept = 0;
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->seen[i])
            watch->wds[kept++] = watch->wds[i];
        else
            inotify_rm_watch(watch->fd, watch->wds[i]); /* fails where the kernel has dropped it with its directory */
    }
    watch->count = kept;
}

bool el_watch_drain(struct el_watch *watch)
{
    alignas(struct inotify_event) char bytes[4096];
    bool heard = false;
    ssize_t size;
    while ((size = read(watch->fd, bytes, sizeof bytes)) > 0) {
        for (const char *at = bytes; at < bytes + size;) {
            const struct inotify_event *event = (const void *)at;
            heard = heard || (event->mask & IN_IGNORED) == 0; /* IN_IGNORED answers our own inotify_rm_watch */
            at += sizeof *event + event->len;
        }
    }
    return heard;
}
