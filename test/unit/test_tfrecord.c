/* SPDX-License-Identifier: Apache-2.0 */
/* TFRecord files: what is written is read again, and damage is told in TensorFlow's words. */
#include "base/crc32c.h"
#include "bundle/tfrecord.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct file {
    char path[32];
    struct el_buf bytes;
};

static void add(struct file *file, const char *data)
{
    uint8_t header[EL_TFRECORD_HEADER], footer[EL_TFRECORD_FOOTER];
    el_tfrecord_frame(data, strlen(data), header, footer);
    el_buf_append(&file->bytes, header, sizeof header);
    el_buf_append(&file->bytes, data, strlen(data));
    el_buf_append(&file->bytes, footer, sizeof footer);
}

/* "hello" and "world!", as TensorFlow's own writer made them. */
static int make(void **state)
{
    struct file *file = calloc(1, sizeof *file);
    assert_non_null(file);
    snprintf(file->path, sizeof file->path, "/tmp/everlit-tfrec-XXXXXX");
    const int fd = mkstemp(file->path);
    assert_true(fd >= 0);
    close(fd);
    add(file, "hello");
    add(file, "world!");
    *state = file;
    return 0;
}

static int clean(void **state)
{
    struct file *file = *state;
    unlink(file->path);
    el_buf_free(&file->bytes);
    free(file);
    return 0;
}

/* Reads all that there is; returns the number of records, and in text the end: "" or the code and text of the error. */
static int read_all(const struct file *file, size_t size, char text[256])
{
    FILE *out = fopen(file->path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(file->bytes.data, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
    struct el_tfrecord_reader reader;
    assert_null(el_tfrecord_open(file->path, &reader));
    struct el_buf record = { 0 };
    struct el_status *status = NULL;
    bool end = false;
    int count = 0;
    for (;;) {
        el_buf_clear(&record);
        status = el_tfrecord_read(&reader, &record, &end);
        if (status != NULL || end)
            break;
        const char *expected = count == 0 ? "hello" : "world!";
        assert_int_equal(record.size, strlen(expected));
        assert_memory_equal(record.data, expected, record.size);
        count++;
    }
    snprintf(text, 256, "%s%s%s", status == NULL ? "" : el_code_name(el_status_code(status)),
             status == NULL ? "" : ": ", el_status_text(status));
    el_status_free(status);
    el_buf_free(&record);
    el_tfrecord_close(&reader);
    return count;
}

static void checksums_are_castagnolis(void **state)
{
    (void)state;
    assert_int_equal(el_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(el_crc32c("", 0), 0);
}

static void what_is_written_is_read(void **state)
{
    const struct file *file = *state;
    char text[256];
    /* TensorFlow's TFRecordWriter, byte by byte. */
    static const uint8_t first[12] = { 5, 0, 0, 0, 0, 0, 0, 0, 0xea, 0xb2, 0x04, 0x3e };
    assert_memory_equal(file->bytes.data, first, sizeof first);
    assert_int_equal(read_all(file, file->bytes.size, text), 2);
    assert_string_equal(text, "");
    assert_int_equal(read_all(file, 0, text), 0);
    assert_string_equal(text, "");
}

static void a_file_that_is_cut_off_says_where(void **state)
{
    const struct file *file = *state;
    char text[256];
    for (size_t cut = 1; cut <= 10; cut++) {
        assert_int_equal(read_all(file, file->bytes.size - cut, text), 1);
        assert_string_equal(text, "DATA_LOSS: truncated record at 21' failed with Read less bytes than requested");
    }
    assert_int_equal(read_all(file, 21 + 5, text), 1); /* a header that is cut off is the end, as for TensorFlow */
    assert_string_equal(text, "");
}

static void damage_is_noticed_wherever_it_is(void **state)
{
    struct file *file = *state;
    char text[256];
    for (size_t i = 0; i < 21; i++) {
        file->bytes.data[i] ^= 0x10;
        assert_int_equal(read_all(file, file->bytes.size, text), 0);
        assert_string_equal(text, i < 12 ? "DATA_LOSS: corrupted record at 0 (Is this even a TFRecord file?)"
                                         : "DATA_LOSS: corrupted record at 12");
        file->bytes.data[i] ^= 0x10;
    }
}

static void a_length_is_believed_as_far_as_the_file_reaches(void **state)
{
    struct file *file = *state;
    char text[256];
    static const uint64_t lengths[] = { 28 /* one byte too far */, 1 << 20, UINT64_MAX, UINT64_MAX - 11,
                                        (uint64_t)1 << 63 };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        memcpy(file->bytes.data, &lengths[i], sizeof lengths[i]); /* little-endian, as every machine this runs on */
        const uint32_t crc = el_crc32c_masked(file->bytes.data, 8);
        memcpy(file->bytes.data + 8, &crc, sizeof crc);
        assert_int_equal(read_all(file, file->bytes.size, text), 0);
        assert_string_equal(text, "DATA_LOSS: truncated record at 0' failed with Read less bytes than requested");
    }
}

static void a_file_that_is_missing_is_not_found(void **state)
{
    (void)state;
    struct el_tfrecord_reader reader;
    struct el_status *status = el_tfrecord_open("/nowhere/at/all", &reader);
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    el_status_free(status);
    status = el_tfrecord_open("/tmp", &reader);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    el_status_free(status);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_castagnolis),
        cmocka_unit_test_setup_teardown(what_is_written_is_read, make, clean),
        cmocka_unit_test_setup_teardown(a_file_that_is_cut_off_says_where, make, clean),
        cmocka_unit_test_setup_teardown(damage_is_noticed_wherever_it_is, make, clean),
        cmocka_unit_test_setup_teardown(a_length_is_believed_as_far_as_the_file_reaches, make, clean),
        cmocka_unit_test(a_file_that_is_missing_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
