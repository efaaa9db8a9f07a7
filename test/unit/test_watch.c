/* SPDX-License-Identifier: Apache-2.0 */
/* One inotify instance for many: each hears of its own directories, and of no other's. */
#include "source/watch.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 200 /* more than a user may have instances */

struct place {
    char dir[64];
    uv_loop_t loop;
    uv_timer_t timer;
    struct el_watcher *watcher;
    struct el_watch watches[MANY];
    unsigned heard[MANY];
};

static void on_heard(void *argument)
{
    ++*(unsigned *)argument;
}

static const char *path_of(const struct place *place, unsigned number)
{
    static char path[96];
    snprintf(path, sizeof path, "%s/%u", place->dir, number);
    return path;
}

/* One scan of a source that has this one directory. */
static void scan(struct place *place, unsigned number, const char *path)
{
    el_watch_begin(&place->watches[number]);
    el_watch_add(&place->watches[number], path);
    el_watch_end(&place->watches[number]);
}

static void open_place(struct place *place, unsigned count)
{
    memset(place, 0, sizeof *place);
    snprintf(place->dir, sizeof place->dir, "/tmp/everlit-watch-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    assert_int_equal(uv_loop_init(&place->loop), 0);
    uv_timer_init(&place->loop, &place->timer);
    assert_null(el_watcher_open(&place->loop, &place->watcher));
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(mkdir(path_of(place, i), 0700), 0);
        el_watch_open(&place->watches[i], place->watcher, on_heard, &place->heard[i]);
        scan(place, i, path_of(place, i));
    }
}

static void close_place(struct place *place, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        el_watch_close(&place->watches[i]);
        rmdir(path_of(place, i));
    }
    rmdir(place->dir);
    el_watcher_close(place->watcher, NULL, NULL);
    uv_close((uv_handle_t *)&place->timer, NULL);
    uv_run(&place->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&place->loop), 0);
}

/* A new directory and its end: two messages. */
static void change(const char *path)
{
    char inner[128];
    snprintf(inner, sizeof inner, "%s/new", path);
    assert_int_equal(mkdir(inner, 0700), 0);
    assert_int_equal(rmdir(inner), 0);
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

/* Runs the loop until that one has heard something, 10 s at most: everything that was said before it is heard by then. */
static void wait_heard(struct place *place, unsigned number)
{
    const uint64_t end = el_now_ns() + 10 * EL_NS_PER_S;
    uv_timer_start(&place->timer, on_timer, 1, 5);
    while (place->heard[number] == 0 && el_now_ns() < end)
        uv_run(&place->loop, UV_RUN_ONCE);
    uv_timer_stop(&place->timer);
    if (place->heard[number] == 0)
        fail_msg("the owner of %s heard nothing", path_of(place, number));
}

static void of_many_only_the_owner_hears(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place, MANY);
    change(path_of(&place, 0));
    change(path_of(&place, MANY - 1));
    wait_heard(&place, MANY - 1);
    for (unsigned i = 1; i < MANY - 1; i++)
        assert_int_equal(place.heard[i], 0);
    assert_int_not_equal(place.heard[0], 0);
    close_place(&place, MANY);
}

static void a_directory_of_two_is_watched_until_both_have_left(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place, 3);
    char both[96];
    snprintf(both, sizeof both, "%s", path_of(&place, 0));
    scan(&place, 1, both);
    change(both);
    wait_heard(&place, 0);
    assert_int_equal(place.heard[1], 1);

    place.heard[0] = 0;
    scan(&place, 1, path_of(&place, 1)); /* back to its own */
    change(both);
    wait_heard(&place, 0);
    assert_int_equal(place.heard[1], 1);

    place.heard[0] = 0;
    scan(&place, 0, path_of(&place, 2));
    change(both); /* nobody's now */
    change(path_of(&place, 2));
    wait_heard(&place, 2);
    assert_int_equal(place.heard[0], 1);
    assert_int_equal(place.heard[1], 1);
    close_place(&place, 3);
}

static void a_directory_that_comes_again_is_another_one(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place, 2);
    rmdir(path_of(&place, 0));
    wait_heard(&place, 0);
    scan(&place, 0, path_of(&place, 0)); /* it is not there */
    assert_int_equal(mkdir(path_of(&place, 0), 0700), 0);
    scan(&place, 0, path_of(&place, 0));
    place.heard[0] = 0;
    change(path_of(&place, 0));
    wait_heard(&place, 0);
    assert_int_equal(place.heard[1], 0);
    close_place(&place, 2);
}

#define UNAVAILABLE_HERE 77

/* In a process of its own, where a user may watch two directories. 0: it is as it should be. */
static int with_a_limit_of_two(void)
{
    if (unshare(CLONE_NEWUSER) != 0)
        return UNAVAILABLE_HERE;
    const int limit = open("/proc/sys/user/max_inotify_watches", O_WRONLY | O_CLOEXEC);
    if (limit < 0 || write(limit, "2", 1) != 1)
        return UNAVAILABLE_HERE;
    close(limit);
    char dir[] = "/tmp/everlit-watch-XXXXXX", paths[3][64];
    uv_loop_t loop;
    struct el_watcher *watcher;
    struct el_watch watches[3];
    unsigned heard[3] = { 0 };
    if (mkdtemp(dir) == NULL || uv_loop_init(&loop) != 0)
        return UNAVAILABLE_HERE;
    if (el_watcher_open(&loop, &watcher) != NULL)
        return 1;
    for (unsigned i = 0; i < 3; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%u", dir, i);
        mkdir(paths[i], 0700);
        el_watch_open(&watches[i], watcher, on_heard, &heard[i]);
        el_watch_begin(&watches[i]);
        el_watch_add(&watches[i], paths[i]);
        el_watch_end(&watches[i]);
    }
    const bool refused_at_last = !watches[0].refused && !watches[1].refused && watches[2].refused;
    el_watch_close(&watches[0]); /* makes room */
    el_watch_begin(&watches[2]);
    el_watch_add(&watches[2], paths[2]);
    el_watch_end(&watches[2]);
    const bool taken_then = !watches[2].refused;
    for (unsigned i = 0; i < 3; i++)
        rmdir(paths[i]);
    rmdir(dir);
    return !refused_at_last ? 2 : !taken_then ? 3 : 0;
}

static void what_the_kernel_does_not_watch_is_known(void **unused)
{
    (void)unused;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(with_a_limit_of_two());
    int status;
    assert_true(waitpid(child, &status, 0) == child && WIFEXITED(status));
    if (WEXITSTATUS(status) == UNAVAILABLE_HERE)
        skip(); /* user namespaces are not allowed */
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_many_only_the_owner_hears),
        cmocka_unit_test(a_directory_of_two_is_watched_until_both_have_left),
        cmocka_unit_test(a_directory_that_comes_again_is_another_one),
        cmocka_unit_test(what_the_kernel_does_not_watch_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
