/* SPDX-License-Identifier: Apache-2.0 */
/* What counts as a version, and when it may be taken: the rules on a directory of the test's own. */
#include "source/listing.h"
#include "source/source.h"
#include "source/watch.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void names_are_read_as_tensorflow_serving_reads_them(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        bool is;
        int64_t number;
    } names[] = {
        { "1", true, 1 },
        { "00000123", true, 123 },
        { "+7", true, 7 },
        { " 8 ", true, 8 },
        { "0", true, 0 },
        { "-3", true, -3 },
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },
        { "v2", false, 0 },
        { "2.0", false, 0 },
        { "1e3", false, 0 },
        { "", false, 0 },
        { " ", false, 0 },
        { "+", false, 0 },
        { "--1", false, 0 },
        { "1 2", false, 0 },
        { ".1", false, 0 },
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t number = 0;
        assert_int_equal(el_listing_number(names[i].name, &number), names[i].is);
        if (names[i].is)
            assert_true(number == names[i].number);
    }
}

/* ---- a directory ---- */

struct place {
    char dir[64];
    uv_loop_t loop;
    uv_timer_t timer;
    struct el_watcher *watcher;
    struct el_source *source;
    unsigned changes;
    bool closed;
};

static void shell(const struct place *place, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void shell(const struct place *place, const char *format, ...)
{
    char command[1024];
    int at = snprintf(command, sizeof command, "cd %s && ", place->dir);
    va_list args;
    va_start(args, format);
    vsnprintf(command + at, sizeof command - (size_t)at, format, args);
    va_end(args);
    assert_int_equal(system(command), 0); /* NOLINT: a shell is what tests use for files */
}

static void open_place(struct place *place)
{
    memset(place, 0, sizeof *place);
    snprintf(place->dir, sizeof place->dir, "/tmp/everlit-source-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    shell(place, "mkdir base");
    assert_int_equal(uv_loop_init(&place->loop), 0);
    uv_timer_init(&place->loop, &place->timer);
}

static void on_change(void *argument)
{
    ((struct place *)argument)->changes++;
}

static void watch(struct place *place, int64_t poll_wait_ms, bool no_inotify)
{
    char base[96];
    snprintf(base, sizeof base, "%s/base", place->dir);
    if (!no_inotify)
        assert_null(el_watcher_open(&place->loop, &place->watcher));
    const struct el_source_options options = { .uv_loop = &place->loop,
                                               .model = "m",
                                               .base_path = base,
                                               .poll_wait_ms = poll_wait_ms,
                                               .quiet_ms = 20,
                                               .incomplete_ms = 200,
                                               .watcher = place->watcher,
                                               .on_change = on_change,
                                               .argument = place };
    assert_null(el_source_open(&options, &place->source));
}

static void on_closed(void *argument)
{
    ((struct place *)argument)->closed = true;
}

static void close_place(struct place *place)
{
    if (place->source != NULL) {
        el_source_close(place->source, on_closed, place);
        while (!place->closed)
            uv_run(&place->loop, UV_RUN_ONCE);
    }
    if (place->watcher != NULL)
        el_watcher_close(place->watcher, NULL, NULL);
    uv_close((uv_handle_t *)&place->timer, NULL);
    uv_run(&place->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&place->loop), 0);
    shell(place, "rm -rf %s", place->dir);
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static const struct el_source_version *find(const struct place *place, int64_t version)
{
    size_t count;
    const struct el_source_version *list = el_source_versions(place->source, &count);
    for (size_t i = 0; i < count; i++)
        if (list[i].version == version)
            return &list[i];
    return NULL;
}

/* Runs the loop until the version is in that state; 10 s at most. */
static const struct el_source_version *wait_state(struct place *place, int64_t version, enum el_source_state state)
{
    uint64_t end = el_now_ns() + 10 * EL_NS_PER_S;
    uv_timer_start(&place->timer, on_timer, 1, 5);
    const struct el_source_version *found;
    while ((found = find(place, version)) == NULL || found->state != state) {
        if (el_now_ns() > end)
            fail_msg("version %lld did not come to state %d; it is %d: %s", (long long)version, state,
                     found != NULL ? (int)found->state : -1, found != NULL && found->text ? found->text : "");
        uv_run(&place->loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&place->timer);
    return found;
}

static void wait_gone(struct place *place, int64_t version)
{
    uint64_t end = el_now_ns() + 10 * EL_NS_PER_S;
    uv_timer_start(&place->timer, on_timer, 1, 5);
    while (find(place, version) != NULL && el_now_ns() < end)
        uv_run(&place->loop, UV_RUN_ONCE);
    uv_timer_stop(&place->timer);
    assert_null(find(place, version));
}

static void wait_error(struct place *place, const char *part)
{
    uint64_t end = el_now_ns() + 10 * EL_NS_PER_S;
    uv_timer_start(&place->timer, on_timer, 1, 5);
    while (strstr(el_source_error(place->source), part) == NULL && el_now_ns() < end)
        uv_run(&place->loop, UV_RUN_ONCE);
    uv_timer_stop(&place->timer);
    assert_non_null(strstr(el_source_error(place->source), part));
}

#define GOOD TEST_MODELS "/half_plus_two/1"

static void whole_names_that_are_numbers_are_versions(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place);
    shell(&place,
          "mkdir base/3 base/007 base/7 base/latest base/-4 && touch base/5 && ln -s 3 base/6 && ln -s no base/8");
    char base[96];
    snprintf(base, sizeof base, "%s/base", place.dir);
    struct el_listing listing;
    assert_null(el_listing_read("m", base, &listing));
    assert_int_equal(listing.count, 5);
    assert_int_equal(listing.list[0].version, 7);
    assert_string_equal(listing.list[0].name, "7"); /* the bytewise last */
    assert_int_equal(listing.list[1].version, 6);   /* a link to a directory is one */
    assert_true(listing.list[1].directory);
    assert_int_equal(listing.list[2].version, 5); /* a file cannot be served, but is told of */
    assert_false(listing.list[2].directory);
    assert_int_equal(listing.list[3].version, 3);
    assert_int_equal(listing.list[4].version, -4);
    assert_string_equal(listing.warning, "Duplicate version directories detected. Version 7 will be loaded from 7, 007 "
                                         "will be ignored.");
    el_listing_free(&listing);
    close_place(&place);
}

static void a_base_path_that_is_not_there_says_so(void **unused)
{
    (void)unused;
    struct el_listing listing;
    struct el_status *status = el_listing_read("m", "/nonexistent/base", &listing);
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    assert_non_null(
        strstr(el_status_text(status), "Could not find base path /nonexistent/base for servable m with error"));
    el_status_free(status);
}

static void a_whole_version_is_taken_once_it_is_quiet(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place);
    watch(&place, 60000, false); /* only inotify can be so fast */
    wait_gone(&place, 1);
    uint64_t start = el_now_ns();
    shell(&place, "cp -r %s next && mv next base/1", GOOD);
    const struct el_source_version *version = wait_state(&place, 1, EL_SOURCE_WHOLE);
    assert_null(version->text);
    assert_true(el_now_ns() - start >= 20 * EL_NS_PER_MS);
    close_place(&place);
}

static void without_inotify_two_scans_see_the_same(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place);
    watch(&place, 30, true);
    shell(&place, "cp -r %s base/1", GOOD);
    uint64_t fingerprint = wait_state(&place, 1, EL_SOURCE_WHOLE)->fingerprint;
    shell(&place, "touch base/1/more");
    wait_state(&place, 1, EL_SOURCE_ARRIVING);
    assert_true(wait_state(&place, 1, EL_SOURCE_WHOLE)->fingerprint != fingerprint);
    shell(&place, "rm -r base/1");
    wait_gone(&place, 1);
    close_place(&place);
}

static void what_is_missing_is_said_and_given_up_after_a_while(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place);
    watch(&place, 60000, false);
    shell(&place, "cp -r %s next && truncate -s 3 next/variables/variables.data-00000-of-00001 && mv next base/1",
          GOOD);
    const struct el_source_version *version = wait_state(&place, 1, EL_SOURCE_ARRIVING);
    assert_non_null(strstr(version->text, "waiting: variables/variables.data-00000-of-00001 has 3 bytes"));
    version = wait_state(&place, 1, EL_SOURCE_BAD);
    assert_non_null(strstr(version->text, "nothing has changed for 200 ms"));
    shell(&place, "cp %s/variables/* base/1/variables/", GOOD); /* it goes on after all */
    wait_state(&place, 1, EL_SOURCE_WHOLE);
    close_place(&place);
}

static void what_can_never_be_a_model_is_bad_at_once(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place);
    watch(&place, 60000, false);
    shell(&place, "cp -r %s/broken/random_bytes base/1", TEST_MODELS);
    const struct el_source_version *version = wait_state(&place, 1, EL_SOURCE_BAD);
    assert_null(strstr(version->text, "nothing has changed"));
    close_place(&place);
}

static void a_base_path_that_vanishes_takes_no_version_away(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place);
    shell(&place, "cp -r %s base/1", GOOD);
    watch(&place, 30, false);
    wait_state(&place, 1, EL_SOURCE_WHOLE);
    shell(&place, "mv base away");
    wait_error(&place, "Could not find base path");
    assert_non_null(find(&place, 1));
    shell(&place, "mkdir base"); /* an empty one is news, though */
    wait_gone(&place, 1);
    assert_string_equal(el_source_error(place.source), "");
    close_place(&place);
}

static void polling_once_decides_and_rests(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place);
    shell(&place, "cp -r %s base/1", GOOD);
    watch(&place, 0, false);
    wait_state(&place, 1, EL_SOURCE_WHOLE);
    shell(&place, "cp -r %s base/2", GOOD);
    uv_timer_start(&place.timer, on_timer, 300, 0);
    while (uv_is_active((uv_handle_t *)&place.timer))
        uv_run(&place.loop, UV_RUN_ONCE);
    assert_null(find(&place, 2));
    close_place(&place);
}

static void it_can_be_closed_while_it_scans(void **unused)
{
    (void)unused;
    struct place place;
    open_place(&place);
    shell(&place, "cp -r %s base/1", GOOD);
    watch(&place, 1000, false);
    close_place(&place);
    assert_int_equal(place.changes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_as_tensorflow_serving_reads_them),
        cmocka_unit_test(whole_names_that_are_numbers_are_versions),
        cmocka_unit_test(a_base_path_that_is_not_there_says_so),
        cmocka_unit_test(a_whole_version_is_taken_once_it_is_quiet),
        cmocka_unit_test(without_inotify_two_scans_see_the_same),
        cmocka_unit_test(what_is_missing_is_said_and_given_up_after_a_while),
        cmocka_unit_test(what_can_never_be_a_model_is_bad_at_once),
        cmocka_unit_test(a_base_path_that_vanishes_takes_no_version_away),
        cmocka_unit_test(polling_once_decides_and_rests),
        cmocka_unit_test(it_can_be_closed_while_it_scans),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
