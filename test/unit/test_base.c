/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/histogram.h"
#include "base/log.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void a_status_tells_what_and_why(void **unused)
{
    (void)unused;
    struct el_status *status = el_status_errno(ENOENT, "%s: cannot be opened", "/models/digits");
    status = el_status_prefix(status, "model %s", "digits");
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    assert_string_equal(el_status_text(status),
                        "model digits: /models/digits: cannot be opened: No such file or directory");

    struct el_status *copy = el_status_copy(status);
    el_status_free(status);
    assert_int_equal(el_status_code(copy), EL_NOT_FOUND);
    el_status_free(copy);
}

static void no_status_is_ok_and_no_memory_is_constant(void **unused)
{
    (void)unused;
    assert_int_equal(el_status_code(NULL), EL_OK);
    assert_string_equal(el_status_text(NULL), "");
    el_status_free(NULL);
    assert_null(el_status_prefix(NULL, "nothing"));

    struct el_status *status = el_status_prefix(el_status_no_memory(), "reading");
    assert_ptr_equal(status, el_status_no_memory());
    el_status_free(status);
    el_status_free(status); /* constant: freeing it does nothing */
    assert_string_equal(el_code_name(el_status_code(status)), "RESOURCE_EXHAUSTED");
}

static void a_buffer_grows_and_becomes_a_text(void **unused)
{
    (void)unused;
    struct el_buf buf = { 0 };
    for (int i = 0; i < 1000; i++)
        el_buf_printf(&buf, "%d,", i);
    el_buf_text(&buf, "end");
    assert_null(el_buf_status(&buf));
    char *text = el_buf_take_text(&buf);
    assert_non_null(text);
    assert_int_equal(strlen(text), 10 * 2 + 90 * 3 + 900 * 4 + 3);
    assert_string_equal(text + strlen(text) - 7, "999,end");
    free(text);
}

static void a_buffer_that_cannot_grow_says_so_at_the_end(void **unused)
{
    (void)unused;
    struct el_buf buf = { 0 };
    el_buf_text(&buf, "a");
    assert_null(el_buf_reserve(&buf, SIZE_MAX));
    el_buf_text(&buf, "b");
    struct el_status *status = el_buf_status(&buf);
    assert_int_equal(el_status_code(status), EL_RESOURCE_EXHAUSTED);
    el_status_free(status);
    assert_null(el_buf_take_text(&buf));
}

static void quantiles_are_right_within_a_bucket(void **unused)
{
    (void)unused;
    struct el_histogram *histogram = calloc(1, sizeof *histogram);
    assert_non_null(histogram);
    for (uint64_t us = 1; us <= 1000; us++)
        el_histogram_record(histogram, us * EL_NS_PER_US);
    const uint64_t p50 = el_histogram_quantile(histogram, 0.5), p99 = el_histogram_quantile(histogram, 0.99);
    assert_in_range(p50, 500 * EL_NS_PER_US, 500 * EL_NS_PER_US * 107 / 100);
    assert_in_range(p99, 990 * EL_NS_PER_US, 990 * EL_NS_PER_US * 107 / 100);
    assert_int_equal(el_histogram_at_most(histogram, UINT64_MAX), 1000);
    assert_int_equal(histogram->max_ns, 1000 * EL_NS_PER_US);
    el_histogram_record(histogram, UINT64_MAX);
    assert_int_equal(el_histogram_at_most(histogram, UINT64_MAX), 1001);
    free(histogram);
}

static void an_empty_histogram_has_no_quantile(void **unused)
{
    (void)unused;
    struct el_histogram *histogram = calloc(1, sizeof *histogram);
    assert_non_null(histogram);
    assert_int_equal(el_histogram_quantile(histogram, 0.5), 0);
    free(histogram);
}

static void logged(const struct el_log *form, char *text, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    struct el_log log = *form;
    log.fd = ends[1];
    el_log(&log, EL_LOG_INFO, "switched", el_str("model", "two words\n\"x\""), el_int("version", -2),
           el_num("took_ms", 0.25));
    el_log(&log, EL_LOG_DEBUG, "not_seen", el_int("x", 1));
    close(ends[1]);
    const ssize_t n = read(ends[0], text, size - 1);
    close(ends[0]);
    assert_true(n > 0);
    text[n] = 0;
}

static void a_log_line_is_one_event_in_text_or_json(void **unused)
{
    (void)unused;
    char text[512];
    logged(&(struct el_log){ .least = EL_LOG_INFO, .format = EL_LOG_TEXT }, text, sizeof text);
    assert_non_null(strstr(text, "Z I switched model=\"two words\\n\\\"x\\\"\" version=-2 took_ms=0.25\n"));
    logged(&(struct el_log){ .least = EL_LOG_INFO, .format = EL_LOG_JSON }, text, sizeof text);
    assert_non_null(
        strstr(text, "\"event\":\"switched\",\"model\":\"two words\\n\\\"x\\\"\",\"version\":-2,\"took_ms\":0.25}\n"));
    assert_null(strstr(text, "not_seen"));
}

static void a_line_that_is_too_long_is_cut_and_still_one_line(void **unused)
{
    (void)unused;
    char *words = malloc(20000), *text = malloc(20000);
    assert_non_null(words);
    assert_non_null(text);
    memset(words, 'x', 19999);
    words[19999] = 0;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const struct el_log log = { .fd = ends[1] };
    el_log(&log, EL_LOG_ERROR, "long", el_str("text", words));
    close(ends[1]);
    const ssize_t n = read(ends[0], text, 20000);
    close(ends[0]);
    assert_int_equal(n, 4096);
    assert_int_equal(text[n - 1], '\n');
    free(words);
    free(text);
}

static void a_json_line_that_is_too_long_is_json_and_keeps_its_other_fields(void **unused)
{
    (void)unused;
    char words[9001], text[5000];
    for (size_t i = 0; i < 9000; i += 2)
        memcpy(words + i, "\xc3\xa9", 2);
    words[9000] = 0;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const struct el_log log = { .fd = ends[1], .format = EL_LOG_JSON };
    el_log(&log, EL_LOG_ERROR, "long", el_str("reason", words), el_int("version", 3), el_str("message", "kept"));
    el_log(&log, EL_LOG_ERROR, "odd", el_str("reason", "a\xff\xc3"));
    close(ends[1]);
    const ssize_t n = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    assert_true(n > 4000);
    text[n] = 0;
    assert_non_null(
        strstr(text, "\xc3\xa9\",\"version\":3,\"message\":\"kept\"}\n")); /* cut behind a whole character */
    assert_non_null(strstr(text, "\"reason\":\"a\\ufffd\\ufffd\"}\n"));
}

static void files_are_read_whole_within_the_limit(void **unused)
{
    (void)unused;
    char folder[] = "/tmp/everlit-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    const int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    close(fd);

    struct el_buf buf = { 0 };
    assert_null(el_file_read(path, 10, &buf));
    assert_int_equal(buf.size, 10);
    struct el_status *status = el_file_read(path, 9, &buf);
    assert_int_equal(el_status_code(status), EL_RESOURCE_EXHAUSTED);
    assert_int_equal(buf.size, 10);
    el_status_free(status);
    status = el_file_read(folder, 9, &buf);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    el_status_free(status);

    const int folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(symlinkat("file", folder_fd, "link"), 0);
    status = el_file_read_at(folder_fd, "link", 100, &buf);
    assert_non_null(status);
    el_status_free(status);
    assert_null(el_file_read_at(folder_fd, "file", 100, &buf));
    unlinkat(folder_fd, "link", 0);
    unlinkat(folder_fd, "file", 0);
    close(folder_fd);
    rmdir(folder);
    el_buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_tells_what_and_why),
        cmocka_unit_test(no_status_is_ok_and_no_memory_is_constant),
        cmocka_unit_test(a_buffer_grows_and_becomes_a_text),
        cmocka_unit_test(a_buffer_that_cannot_grow_says_so_at_the_end),
        cmocka_unit_test(quantiles_are_right_within_a_bucket),
        cmocka_unit_test(an_empty_histogram_has_no_quantile),
        cmocka_unit_test(a_log_line_is_one_event_in_text_or_json),
        cmocka_unit_test(a_json_line_that_is_too_long_is_json_and_keeps_its_other_fields),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_and_still_one_line),
        cmocka_unit_test(files_are_read_whole_within_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
