/* SPDX-License-Identifier: Apache-2.0 */
/* The swapper's pure rules: what is made up for a probe, what its answers mean, which engine serves, what is compatible. */
#include "swap/events.h"
#include "swap/latency.h"
#include "swap/memory.h"
#include "swap/respawn.h"
#include "swap/retry.h"
#include "swap/servable.h"
#include "swap/settings.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(list) ((uint32_t)(sizeof(list) / sizeof(list)[0]))

/* ---- latency, respawns ---- */

static void slower_is_relative_and_has_a_floor(void **unused)
{
    (void)unused;
    struct el_latency_result result = {
        .runs = 20, .new_ns = 50 * EL_NS_PER_MS, .fastest_ns = 48 * EL_NS_PER_MS, .old_ns = 2 * EL_NS_PER_MS
    };
    struct el_status *slow = el_latency_judge(&result, 10);
    assert_non_null(strstr(el_status_text(slow), "too slow"));
    el_status_free(slow);
    assert_null(el_latency_judge(&result, 30));
    assert_null(el_latency_judge(&result, -1));
    result.fastest_ns = 3 * EL_NS_PER_MS; /* it only waited for a processor most of the time */
    assert_null(el_latency_judge(&result, 10));
    result = (struct el_latency_result){ .runs = 20, .new_ns = 900000, .fastest_ns = 900000, .old_ns = 10000 };
    assert_null(el_latency_judge(&result, 10)); /* 90 times, but less than two milliseconds */
    result = (struct el_latency_result){ 0 };
    assert_null(el_latency_judge(&result, 10));
}

static void respawns_back_off_to_ten_seconds(void **unused)
{
    (void)unused;
    assert_int_equal(el_respawn_delay_ns(0), 0);
    assert_int_equal(el_respawn_delay_ns(1), 100 * EL_NS_PER_MS);
    assert_int_equal(el_respawn_delay_ns(2), 200 * EL_NS_PER_MS);
    assert_int_equal(el_respawn_delay_ns(7), 6400 * EL_NS_PER_MS);
    assert_int_equal(el_respawn_delay_ns(8), 10 * EL_NS_PER_S);
    assert_int_equal(el_respawn_delay_ns(1000000), 10 * EL_NS_PER_S);
}

static void put_file(const char *root, const char *path, const char *text)
{
    char command[400];
    snprintf(command, sizeof command, "mkdir -p $(dirname %s%s) && printf '%s' > %s%s", root, path, text, root, path);
    assert_int_equal(system(command), 0); /* NOLINT: a shell is what tests use for files */
}

static void the_narrowest_limit_of_memory_counts(void **unused)
{
    (void)unused;
    char root[] = "/tmp/everlit-memory-XXXXXX", command[64];
    struct el_memory_room room;
    assert_non_null(mkdtemp(root));
    el_memory_read(root, &room);
    assert_true(room.limit == UINT64_MAX && room.free == UINT64_MAX);
    put_file(root, "/proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\n");
    el_memory_read(root, &room);
    assert_int_equal(room.limit, 1000 * 1024);
    assert_int_equal(room.free, 600 * 1024);
    put_file(root, "/proc/self/cgroup", "0::/a/b\n");
    put_file(root, "/sys/fs/cgroup/a/b/memory.max", "max\n");
    put_file(root, "/sys/fs/cgroup/a/b/memory.current", "300000\n");
    put_file(root, "/sys/fs/cgroup/a/memory.max", "500000\n"); /* of the group above */
    put_file(root, "/sys/fs/cgroup/a/memory.current", "450000\n");
    put_file(root, "/sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 50000\n");
    el_memory_read(root, &room);
    assert_int_equal(room.limit, 500000);
    assert_int_equal(room.free, 100000);
    put_file(root, "/proc/self/cgroup", "3:cpu:/x\n9:memory:/x\n"); /* version 1 */
    put_file(root, "/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "400000\n");
    put_file(root, "/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "390000\n");
    put_file(root, "/sys/fs/cgroup/memory/x/memory.stat", "total_inactive_file 40000\n");
    el_memory_read(root, &room);
    assert_int_equal(room.limit, 400000);
    assert_int_equal(room.free, 50000);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0); /* NOLINT */

    assert_int_equal(el_memory_estimate(10, 0, 0), (64 << 20) + 20);
    assert_int_equal(el_memory_estimate(10, 10, 500), 500);
    assert_int_equal(el_memory_estimate(5, 10, 500), 500);
    assert_int_equal(el_memory_estimate(30, 10, 500), 1500);
}

static void only_what_may_pass_is_tried_again(void **unused)
{
    (void)unused;
    static const struct {
        enum el_code code;
        const char *text;
        bool idle, busy;
    } rows[] = {
        { EL_RESOURCE_EXHAUSTED, "a socket to the worker cannot be made: Too many open files", true, true },
        { EL_RESOURCE_EXHAUSTED,
          "worker of m version 1 was killed while loading: it took 9 MiB of memory, its limit is 8 MiB", false, false },
        { EL_PERMISSION_DENIED, "x: Permission denied", true, true },
        { EL_DEADLINE_EXCEEDED, "signature \"s\" did not answer within 10 ms (probe_timeout_ms)", false, true },
        { EL_UNAVAILABLE, "worker of m version 1 was killed by signal 9 (Killed) while loading", true, true },
        { EL_UNAVAILABLE, "worker of m version 1 was killed by signal 6 (Aborted) while loading", false, false },
        { EL_UNAVAILABLE, "worker of m version 1 ended by itself with exit status 7 while loading", false, false },
        { EL_FAILED_PRECONDITION, "probe of signature \"s\": output \"y\" is not finite", false, false },
        { EL_DATA_LOSS, "Can't parse", false, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct el_status *status = el_status_new(rows[i].code, "%s", rows[i].text);
        assert_int_equal(el_retry_may_help(status, false), rows[i].idle);
        assert_int_equal(el_retry_may_help(status, true), rows[i].busy);
        el_status_free(status);
    }
    for (uint32_t jitter = 0; jitter < 3000; jitter += 7) {
        assert_in_range(el_retry_delay_ns(1, 60000, jitter), 4500 * EL_NS_PER_MS, 5500 * EL_NS_PER_MS);
        assert_in_range(el_retry_delay_ns(3, 60000, jitter), 18000 * EL_NS_PER_MS, 22000 * EL_NS_PER_MS);
        assert_in_range(el_retry_delay_ns(40, 60000, jitter), 54000 * EL_NS_PER_MS, 66000 * EL_NS_PER_MS);
        assert_int_equal(el_retry_delay_ns(1, 0, jitter), 100 * EL_NS_PER_MS);
    }
}

/* ---- lobby, servable, events, settings ---- */

static void a_lobby_has_so_many_seats(void **unused)
{
    (void)unused;
    struct el_lobby *lobby = el_lobby_new();
    assert_non_null(lobby);
    for (int i = 0; i < EL_LOBBY_SEATS; i++)
        assert_true(el_lobby_enter(lobby));
    assert_false(el_lobby_enter(lobby));
    el_lobby_leave(lobby);
    assert_true(el_lobby_enter(lobby));
    el_lobby_close(lobby); /* its model is gone; those who wait still leave it in order, the last one frees it */
    for (int i = 0; i < EL_LOBBY_SEATS; i++)
        el_lobby_leave(lobby);
}

static void a_servable_goes_with_its_last_request(void **unused)
{
    (void)unused;
    struct el_list lingering;
    el_list_init(&lingering);
    struct el_servable *servable = el_servable_new(7);
    assert_non_null(servable);
    el_servable_pin(servable);
    el_servable_pin(servable);
    assert_false(el_servable_unpin(servable)); /* nobody waits for it yet */
    el_servable_disown(servable, &lingering);
    assert_false(el_list_empty(&lingering));
    el_servable_sweep(&lingering);
    assert_false(el_list_empty(&lingering));
    assert_true(el_servable_unpin(servable));
    el_servable_sweep(&lingering);
    assert_true(el_list_empty(&lingering));
}

static void keep_ids(const struct el_event *event, void *argument)
{
    uint64_t *ids = argument;
    if (ids[0] == 0)
        ids[0] = event->id;
    else
        assert_int_equal(event->id, ids[1] + 1);
    ids[1] = event->id;
}

static void the_last_4096_events_are_kept_without_holes(void **unused)
{
    (void)unused;
    struct el_events events;
    assert_null(el_events_init(&events));
    for (int i = 0; i < EL_EVENTS_KEPT + 100; i++)
        el_events_add(&events, EL_LOG_INFO, "test", "m", i, "text");
    uint64_t ids[2] = { 0 };
    el_events_each(&events, 0, keep_ids, ids);
    assert_int_equal(ids[0], 101);
    assert_int_equal(ids[1], EL_EVENTS_KEPT + 100);
    uint64_t later[2] = { 0 };
    el_events_each(&events, EL_EVENTS_KEPT + 98, keep_ids, later);
    assert_int_equal(later[0], EL_EVENTS_KEPT + 99);
    el_events_free(&events);
}

static void settings_are_copied_with_their_defaults(void **unused)
{
    (void)unused;
    static char name[] = "m", path[] = "/models/m", label[] = "stable";
    int64_t versions[] = { 3, 5 };
    struct el_version_label labels[] = { { .label = label, .version = 3 } };
    const struct el_model_config from = {
        .name = name,
        .base_path = path,
        .policy = { .type = EL_POLICY_SPECIFIC, .versions = versions, .version_count = 2 },
        .labels = labels,
        .label_count = 1
    };
    struct el_model_config a, b;
    assert_null(el_settings_copy(&from, &a));
    assert_null(el_settings_copy(&from, &b));
    assert_string_equal(a.update.engine, "auto");
    assert_int_equal(a.update.keep_warm_ms, 0); /* a zero means what it says */
    assert_int_equal(a.policy.versions[1], 5);
    assert_string_equal(a.labels[0].label, "stable");
    assert_true(el_settings_same_source(&a, &b));
    assert_true(el_settings_same_worker(&a, &b));
    b.update.engine[0] = 'x';
    assert_false(el_settings_same_worker(&a, &b));
    b.base_path[1] = 'x';
    assert_false(el_settings_same_source(&a, &b));
    el_settings_free(&a);
    el_settings_free(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(slower_is_relative_and_has_a_floor),
        cmocka_unit_test(respawns_back_off_to_ten_seconds),
        cmocka_unit_test(only_what_may_pass_is_tried_again),
        cmocka_unit_test(the_narrowest_limit_of_memory_counts),
        cmocka_unit_test(a_lobby_has_so_many_seats),
        cmocka_unit_test(a_servable_goes_with_its_last_request),
        cmocka_unit_test(the_last_4096_events_are_kept_without_holes),
        cmocka_unit_test(settings_are_copied_with_their_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
