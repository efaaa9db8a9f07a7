/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who hears of what: a table from watch descriptors to those who asked for them. Two sources may look at the same
 * directory: inotify gives them the same descriptor, and the last of them removes it.
 *
 * Between inotify_add_watch() and the entry in the table another source may remove what it was just given. Removals are
 * counted, under the lock: whoever sees that there was one meanwhile asks again. A message that comes before the entry is
 * lost; the scan that made it reads the directory after that.
 */
#include "source/watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

/* No IN_MODIFY: a large copy would wake us for each write; it ends with IN_CLOSE_WRITE. */
#define INTERESTING \
    (IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF)
#define BUCKETS 1024 /* descriptors are given in ascending order: they fill the buckets evenly */
#define TRIES 8      /* then it may be as if it were not watched, until the next scan */

/* One source that asked for one descriptor. */
struct asked {
    struct asked *next;
    struct el_watch *watch;
    int wd;
};

struct el_watcher {
    int fd;
    uv_poll_t poll;
    void (*closed)(void *argument);
    void *closed_argument;

    pthread_mutex_t lock; /* guards what follows; nothing else is taken under it */
    struct asked *buckets[BUCKETS];
    uint64_t removals;
};

static struct asked **bucket_of(struct el_watcher *watcher, int wd)
{
    return &watcher->buckets[(unsigned)wd % BUCKETS];
}

/* ---- what inotify says ---- */

static void call(struct el_watch *watch, struct el_watch **called)
{
    if (watch->called)
        return;
    watch->called = true;
    watch->next_called = *called;
    *called = watch;
}

/* The kernel has dropped it, with its directory. Those who asked for it were told of that before. */
static void forget(struct el_watcher *watcher, int wd)
{
    struct asked **at = bucket_of(watcher, wd);
    while (*at != NULL) {
        struct asked *asked = *at;
        if (asked->wd == wd) {
            *at = asked->next;
            free(asked);
        } else {
            at = &asked->next;
        }
    }
}

static void hear(struct el_watcher *watcher, const struct inotify_event *event, struct el_watch **called)
{
    if ((event->mask & IN_IGNORED) != 0) {
        forget(watcher, event->wd);
        return;
    }
    const bool all = (event->mask & IN_Q_OVERFLOW) != 0; /* messages were lost, nobody knows whose */
    for (size_t i = 0; i < BUCKETS; i++) {
        struct asked **bucket = all ? &watcher->buckets[i] : bucket_of(watcher, event->wd);
        for (struct asked *asked = *bucket; asked != NULL; asked = asked->next)
            if (all || asked->wd == event->wd)
                call(asked->watch, called);
        if (!all)
            return;
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct el_watcher *watcher = poll->data;
    alignas(struct inotify_event) char bytes[4096];
    struct el_watch *called = NULL;
    ssize_t size;
    while ((size = read(watcher->fd, bytes, sizeof bytes)) > 0) {
        pthread_mutex_lock(&watcher->lock);
        for (const char *at = bytes; at < bytes + size;) {
            const struct inotify_event *event = (const void *)at;
            hear(watcher, event, &called);
            at += sizeof *event + event->len;
        }
        pthread_mutex_unlock(&watcher->lock);
    }
    while (called != NULL) {
        struct el_watch *first = called;
        called = first->next_called;
        first->called = false;
        first->heard(first->argument);
    }
}

/* ---- the instance ---- */

struct el_status *el_watcher_open(uv_loop_t *loop, struct el_watcher **made)
{
    struct el_watcher *watcher = calloc(1, sizeof *watcher);
    if (watcher == NULL)
        return el_status_no_memory();
    watcher->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    int error = watcher->fd < 0 ? -errno : uv_poll_init(loop, &watcher->poll, watcher->fd);
    if (error != 0) {
        if (watcher->fd >= 0)
            close(watcher->fd);
        free(watcher);
        return el_status_new(
            EL_UNAVAILABLE,
            "the kernel gives no inotify instance (%s; fs.inotify.max_user_instances, or too few open files)",
            uv_strerror(error));
    }
    pthread_mutex_init(&watcher->lock, NULL);
    watcher->poll.data = watcher;
    uv_poll_start(&watcher->poll, UV_READABLE, on_readable);
    *made = watcher;
    return NULL;
}

static void on_closed(uv_handle_t *handle)
{
    struct el_watcher *watcher = handle->data;
    close(watcher->fd);
    pthread_mutex_destroy(&watcher->lock);
    void (*closed)(void *) = watcher->closed;
    void *argument = watcher->closed_argument;
    free(watcher);
    if (closed != NULL)
        closed(argument);
}

void el_watcher_close(struct el_watcher *watcher, void (*closed)(void *argument), void *argument)
{
    watcher->closed = closed;
    watcher->closed_argument = argument;
    uv_poll_stop(&watcher->poll);
    uv_close((uv_handle_t *)&watcher->poll, on_closed);
}

/* ---- one source ---- */

/* It does not want to hear of wd any more; under the lock. */
static void drop(struct el_watch *watch, int wd)
{
    struct el_watcher *watcher = watch->watcher;
    struct asked *mine = NULL;
    bool others = false;
    for (struct asked **at = bucket_of(watcher, wd); *at != NULL;) {
        struct asked *asked = *at;
        if (asked->wd == wd && asked->watch == watch) {
            *at = asked->next;
            mine = asked;
            continue;
        }
        others = others || asked->wd == wd;
        at = &asked->next;
    }
    if (mine == NULL)
        return; /* the kernel has dropped it with its directory */
    free(mine);
    if (others)
        return;
    watcher->removals++;
    inotify_rm_watch(watcher->fd, wd);
}

void el_watch_open(struct el_watch *watch, struct el_watcher *watcher, void (*heard)(void *argument), void *argument)
{
    *watch = (struct el_watch){ .watcher = watcher, .heard = heard, .argument = argument };
}

void el_watch_close(struct el_watch *watch)
{
    if (watch->watcher == NULL)
        return;
    pthread_mutex_lock(&watch->watcher->lock);
    for (size_t i = 0; i < watch->count; i++)
        drop(watch, watch->list[i].wd);
    pthread_mutex_unlock(&watch->watcher->lock);
    free(watch->list);
    watch->list = NULL;
    watch->count = watch->room = 0;
    watch->watcher = NULL;
}

void el_watch_begin(struct el_watch *watch)
{
    for (size_t i = 0; i < watch->count; i++)
        watch->list[i].seen = false;
    atomic_store_explicit(&watch->refused, false, memory_order_relaxed);
}

/* Its place in the list; NULL: there is none. */
static struct el_watched *place_for(struct el_watch *watch, int wd)
{
    for (size_t i = 0; i < watch->count; i++)
        if (watch->list[i].wd == wd)
            return &watch->list[i];
    if (watch->count == EL_MAX_WATCHES)
        return NULL;
    if (watch->count == watch->room) {
        const size_t room = watch->room == 0 ? 4 : watch->room * 2;
        struct el_watched *more = realloc(watch->list, room * sizeof *more);
        if (more == NULL)
            return NULL;
        watch->list = more;
        watch->room = room;
    }
    watch->list[watch->count] = (struct el_watched){ .wd = wd };
    return &watch->list[watch->count++];
}

/* Whether it hears of wd, which inotify gave, under the lock. */
static bool ask(struct el_watch *watch, int wd)
{
    struct asked **bucket = bucket_of(watch->watcher, wd);
    bool others = false;
    for (const struct asked *asked = *bucket; asked != NULL; asked = asked->next) {
        if (asked->wd == wd && asked->watch == watch)
            return true;
        others = others || asked->wd == wd;
    }
    struct asked *asked = malloc(sizeof *asked);
    if (asked != NULL) {
        *asked = (struct asked){ .next = *bucket, .watch = watch, .wd = wd };
        *bucket = asked;
    } else if (!others) {
        watch->watcher->removals++;
        inotify_rm_watch(watch->watcher->fd, wd);
    }
    return asked != NULL;
}

void el_watch_add(struct el_watch *watch, const char *path)
{
    struct el_watcher *watcher = watch->watcher;
    for (int i = 0; watcher != NULL && i < TRIES; i++) {
        pthread_mutex_lock(&watcher->lock);
        const uint64_t removals = watcher->removals;
        pthread_mutex_unlock(&watcher->lock);
        const int wd = inotify_add_watch(watcher->fd, path, INTERESTING | IN_ONLYDIR);
        if (wd < 0) {
            if (errno == ENOSPC)
                atomic_store_explicit(&watch->refused, true, memory_order_relaxed);
            return;
        }
        pthread_mutex_lock(&watcher->lock);
        const bool again = watcher->removals != removals && i + 1 < TRIES;
        const bool hears = !again && ask(watch, wd);
        struct el_watched *place = hears ? place_for(watch, wd) : NULL;
        if (place != NULL)
            place->seen = true;
        else if (hears)
            drop(watch, wd);
        pthread_mutex_unlock(&watcher->lock);
        if (!again)
            return;
    }
}

void el_watch_end(struct el_watch *watch)
{
    size_t kept = 0;
    if (watch->watcher == NULL)
        return;
    pthread_mutex_lock(&watch->watcher->lock);
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->list[i].seen)
            watch->list[kept++] = watch->list[i];
        else
            drop(watch, watch->list[i].wd);
    }
    watch->count = kept;
    pthread_mutex_unlock(&watch->watcher->lock);
}
