/* SPDX-License-Identifier: Apache-2.0 */
/* The journal over restarts, kills, broken files, full and forbidden disks. Each test has a directory of its own. */
#include "journal/journal.h"

#include "base/clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DIGEST_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

struct fixture {
    char directory[64];
    uv_loop_t loop;
    struct el_journal *journal;
    int told; /* how often a change was told as done */
    char failure[512];
};

static void must(struct el_status *status)
{
    if (status != NULL)
        fail_msg("%s", el_status_text(status));
}

static struct el_status *try_open(struct fixture *fixture)
{
    const struct el_journal_options options = { .uv_loop = &fixture->loop, .directory = fixture->directory };
    return el_journal_open(&options, &fixture->journal);
}

static void close_journal(struct fixture *fixture)
{
    el_journal_close(fixture->journal);
    fixture->journal = NULL;
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    strcpy(fixture->directory, "/tmp/everlit-journal-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    must(try_open(fixture));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close_journal(fixture);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", fixture->directory);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): our own directory's name */
    free(fixture);
    return 0;
}

static void on_told(void *argument, const struct el_status *status)
{
    struct fixture *fixture = argument;
    fixture->told++;
    snprintf(fixture->failure, sizeof fixture->failure, "%s", el_status_text(status));
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static void wait_told(struct fixture *fixture, int times)
{
    /* The handle that tells is no reason for the loop to go on: a timer is. */
    uv_timer_t timer;
    uv_timer_init(&fixture->loop, &timer);
    const uint64_t end_ns = el_now_ns() + 20 * EL_NS_PER_S;
    while (fixture->told < times && el_now_ns() < end_ns) {
        uv_timer_start(&timer, on_timer, 20, 0);
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    assert_int_equal(fixture->told, times);
}

static struct el_journal_bad bad_of(const char *digest, int64_t version)
{
    return (struct el_journal_bad){ .digest = digest,
                                    .version = version,
                                    .code = EL_DATA_LOSS,
                                    .reason = "its outputs are NaN",
                                    .by = "everlit",
                                    .since_us = 17 + version };
}

static void everything_is_there_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    const struct el_journal_bad two = bad_of(DIGEST_A, 2), three = bad_of(DIGEST_B, 3);
    must(el_journal_good(fixture->journal, "digits", 1, DIGEST_B));
    must(el_journal_good(fixture->journal, "digits", 4, DIGEST_A));
    must(el_journal_pin(fixture->journal, "digits", 4, "anna", "the fair", NULL, NULL));
    must(el_journal_pin(fixture->journal, "labels", 1, "anna", "", NULL, NULL));
    must(el_journal_unpin(fixture->journal, "labels", NULL, NULL));
    must(el_journal_quarantine(fixture->journal, "digits", &two, NULL, NULL));
    must(el_journal_quarantine(fixture->journal, "digits", &three, NULL, NULL));
    must(el_journal_quarantine(fixture->journal, "digits", &two, NULL, NULL));
    must(el_journal_note(fixture->journal, "config", "model_config_list {}", NULL, NULL));
    must(el_journal_note(fixture->journal, "other", "x", NULL, NULL));
    must(el_journal_note(fixture->journal, "other", "", on_told, fixture));
    wait_told(fixture, 1);
    assert_string_equal(fixture->failure, "");
    for (int round = 0; round < 2; round++) { /* what memory says, and what the file says */
        const struct el_journal_model *digits = el_journal_model(fixture->journal, "digits");
        assert_non_null(digits);
        assert_true(digits->has_good && digits->pinned);
        assert_int_equal(digits->good_version, 4);
        assert_string_equal(digits->good_digest, DIGEST_A);
        assert_int_equal(digits->pin_version, 4);
        assert_string_equal(digits->pin_by, "anna");
        assert_string_equal(digits->pin_reason, "the fair");
        assert_int_equal(digits->bad_count, 2);
        const struct el_journal_bad *bad = el_journal_find_bad(fixture->journal, "digits", DIGEST_A);
        assert_non_null(bad);
        assert_int_equal(bad->version, 2);
        assert_int_equal(bad->code, EL_DATA_LOSS);
        assert_int_equal(bad->since_us, 19);
        assert_string_equal(bad->reason, "its outputs are NaN");
        assert_null(el_journal_find_bad(fixture->journal, "labels", DIGEST_A));
        const struct el_journal_model *labels = el_journal_model(fixture->journal, "labels");
        assert_true(labels == NULL || !labels->pinned);
        assert_string_equal(el_journal_noted(fixture->journal, "config"), "model_config_list {}");
        assert_null(el_journal_noted(fixture->journal, "other"));
        close_journal(fixture);
        must(try_open(fixture));
    }
}

static void what_is_forgiven_is_forgotten(void **state)
{
    struct fixture *fixture = *state;
    const struct el_journal_bad two = bad_of(DIGEST_A, 2);
    must(el_journal_quarantine(fixture->journal, "digits", &two, NULL, NULL));
    const struct el_journal_bad *bad = el_journal_find_bad(fixture->journal, "digits", DIGEST_A);
    must(el_journal_forgive(fixture->journal, "digits", bad->digest, NULL, NULL)); /* with what memory itself holds */
    assert_null(el_journal_find_bad(fixture->journal, "digits", DIGEST_A));
    close_journal(fixture);
    must(try_open(fixture));
    assert_null(el_journal_find_bad(fixture->journal, "digits", DIGEST_A));
}

/* A process of its own opens the directory, begins to load and is killed when that is on the disk. */
static void die_while_loading(const char *directory, uint64_t fingerprint)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct fixture fixture = { 0 };
        snprintf(fixture.directory, sizeof fixture.directory, "%s", directory);
        uv_loop_init(&fixture.loop);
        if (try_open(&fixture) != NULL ||
            el_journal_load_begins(fixture.journal, "digits", 7, fingerprint, on_told, &fixture) != NULL)
            _exit(1);
        wait_told(&fixture, 1);
        kill(getpid(), SIGKILL);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL);
}

static void a_load_that_ends_the_server_is_counted(void **state)
{
    struct fixture *fixture = *state;
    close_journal(fixture);
    die_while_loading(fixture->directory, 11);
    die_while_loading(fixture->directory, 11);
    must(try_open(fixture));
    assert_int_equal(el_journal_broken_loads(fixture->journal, "digits", 7, 11), 2);
    assert_int_equal(el_journal_broken_loads(fixture->journal, "digits", 7, 12), 0);
    close_journal(fixture);
    die_while_loading(fixture->directory, 12); /* other files: a new count */
    must(try_open(fixture));
    assert_int_equal(el_journal_broken_loads(fixture->journal, "digits", 7, 12), 1);
    must(el_journal_load_begins(fixture->journal, "digits", 7, 12, NULL, NULL));
    must(el_journal_load_ended(fixture->journal, "digits", 7));
    assert_int_equal(el_journal_broken_loads(fixture->journal, "digits", 7, 12), 0);
    close_journal(fixture);
    must(try_open(fixture));
    assert_int_equal(el_journal_broken_loads(fixture->journal, "digits", 7, 12), 0);
}

static void a_second_server_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct el_journal *first = fixture->journal;
    struct el_status *status = try_open(fixture);
    assert_int_equal(el_status_code(status), EL_FAILED_PRECONDITION);
    char owner[64];
    snprintf(owner, sizeof owner, "process %lld", (long long)getpid());
    assert_non_null(strstr(el_status_text(status), owner));
    assert_non_null(strstr(el_status_text(status), fixture->directory));
    el_status_free(status);
    fixture->journal = first;
}

static void spoil(const struct fixture *fixture, long at, const void *bytes, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/journal.db", fixture->directory);
    const int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, at), (ssize_t)size);
    close(fd);
}

static unsigned count_aside(const struct fixture *fixture)
{
    char command[128], line[16] = "";
    snprintf(command, sizeof command, "ls %s | grep -c 'journal.db.aside-[^-]*$'", fixture->directory);
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c): our own directory's name */
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof line, pipe));
    pclose(pipe);
    return (unsigned)strtoul(line, NULL, 10);
}

static void a_broken_file_is_set_aside(void **state)
{
    struct fixture *fixture = *state;
    static const char nonsense[4096] = "this is no database";
    for (unsigned round = 1; round <= 3; round++) {
        must(el_journal_pin(fixture->journal, "digits", 4, "anna", "", NULL, NULL));
        close_journal(fixture);
        if (round == 1)
            spoil(fixture, 0, nonsense, sizeof nonsense); /* not SQLite's at all */
        else if (round == 2)
            spoil(fixture, 4096, nonsense, sizeof nonsense); /* a page in the middle */
        else
            spoil(fixture, 60, "\0\0\0\t", 4); /* user_version: a newer server's */
        must(try_open(fixture));
        assert_int_equal(count_aside(fixture), round);
        assert_null(el_journal_model(fixture->journal, "digits"));
        assert_string_equal(el_journal_trouble(fixture->journal), "");
    }
}

static void a_full_disk_hinders_nothing_and_is_caught_up_with(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    none = before;
    none.rlim_cur = 0; /* no file can grow: what a full disk says, the kernel says with another word */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    must(el_journal_pin(fixture->journal, "digits", 4, "anna", "", on_told, fixture));
    wait_told(fixture, 1);
    assert_string_not_equal(fixture->failure, "");
    assert_non_null(strstr(el_journal_trouble(fixture->journal), fixture->directory));
    assert_true(el_journal_model(fixture->journal, "digits")->pinned);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    must(el_journal_pin(fixture->journal, "labels", 1, "anna", "", on_told, fixture));
    wait_told(fixture, 2);
    assert_string_equal(fixture->failure, "");
    assert_string_equal(el_journal_trouble(fixture->journal), "");
    close_journal(fixture);
    must(try_open(fixture));
    assert_true(el_journal_model(fixture->journal, "digits")->pinned);
    assert_true(el_journal_model(fixture->journal, "labels")->pinned);
}

static void without_a_directory_it_remembers_until_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = { 0 };
    const struct el_journal_options options = { .uv_loop = &fixture->loop };
    must(el_journal_open(&options, &other.journal));
    other.loop = fixture->loop;
    must(el_journal_pin(other.journal, "digits", 4, "anna", "", on_told, fixture));
    wait_told(fixture, 1);
    assert_string_equal(fixture->failure, "");
    assert_true(el_journal_model(other.journal, "digits")->pinned);
    const struct el_journal_event event = { .model = "digits", .event = "x", .by = "", .text = "", .details = "" };
    el_journal_event(other.journal, &event);
    assert_int_equal(el_journal_lost(other.journal), 0);
    el_journal_close(other.journal);
}

struct seen {
    int count;
    int64_t last_id;
    char text[64], details[64];
};

static void on_event(const struct el_journal_event *event, void *argument)
{
    struct seen *seen = argument;
    assert_true(seen->count == 0 || event->id < seen->last_id); /* the newest first */
    seen->last_id = event->id;
    if (seen->count++ > 0)
        return;
    snprintf(seen->text, sizeof seen->text, "%s", event->text);
    snprintf(seen->details, sizeof seen->details, "%s", event->details);
}

static void the_history_is_told_newest_first(void **state)
{
    struct fixture *fixture = *state;
    char text[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "number %d", i);
        const struct el_journal_event event = { .time_us = i,
                                                .model = i % 2 == 0 ? "digits" : "labels",
                                                .version = i % 5,
                                                .event = i % 10 == 0 ? "switched" : "probed",
                                                .by = "everlit",
                                                .text = text,
                                                .details = "{}" };
        el_journal_event(fixture->journal, &event);
    }
    must(el_journal_note(fixture->journal, "x", "y", on_told, fixture)); /* it comes after them */
    wait_told(fixture, 1);
    struct seen seen = { 0 };
    struct el_journal_query query = { .directory = fixture->directory, .version = -1, .limit = 10 };
    must(el_journal_history(&query, on_event, &seen));
    assert_int_equal(seen.count, 10);
    assert_string_equal(seen.text, "number 999");
    assert_string_equal(seen.details, "{}");
    query = (struct el_journal_query){ .directory = fixture->directory,
                                       .model = "digits",
                                       .event = "switched",
                                       .version = 0,
                                       .limit = 1000,
                                       .without_details = true,
                                       .before = seen.last_id };
    seen = (struct seen){ 0 };
    must(el_journal_history(&query, on_event, &seen));
    assert_int_equal(seen.count, 99); /* each tenth of those below the last of the ten: up to 980 */
    assert_string_equal(seen.text, "number 980");
    assert_string_equal(seen.details, "");
    query.directory = "/nonexistent";
    struct el_status *status = el_journal_history(&query, on_event, &seen);
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    el_status_free(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_is_there_after_a_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_forgiven_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_load_that_ends_the_server_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_server_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_broken_file_is_set_aside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_hinders_nothing_and_is_caught_up_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_directory_it_remembers_until_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_history_is_told_newest_first, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
