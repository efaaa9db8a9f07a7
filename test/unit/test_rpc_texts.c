/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/texts.h"

#include "base/clock.h"
#include "rpc/deadline.h"
#include "rpc/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void timeouts_are_read_in_every_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        uint64_t ns;
    } cases[] = {
        { "1H", true, 3600 * EL_NS_PER_S },
        { "2M", true, 120 * EL_NS_PER_S },
        { "3S", true, 3 * EL_NS_PER_S },
        { "4m", true, 4 * EL_NS_PER_MS },
        { "5u", true, 5 * EL_NS_PER_US },
        { "6n", true, 6 },
        { "99999999n", true, 99999999 },
        { "99999999H", true, EL_NEVER_NS },
        { "0m", true, 0 },
        { "", false, 0 },
        { "m", false, 0 },
        { "1", false, 0 },
        { "1s", false, 0 },
        { "-1m", false, 0 },
        { "123456789m", false, 0 },
        { "1.5S", false, 0 },
        { " 1S", false, 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ns = 0;
        assert_int_equal(el_rpc_text_timeout(cases[i].text, strlen(cases[i].text), &ns), cases[i].ok);
        if (cases[i].ok)
            assert_true(ns == cases[i].ns);
    }
}

static void encodes(const char *message, const char *expected)
{
    struct el_buf buf = { 0 };
    el_rpc_text_message(&buf, message);
    assert_int_equal(buf.size, strlen(expected));
    assert_memory_equal(buf.data, expected, buf.size);
    el_buf_free(&buf);
}

static void messages_are_percent_encoded_and_cut(void **state)
{
    (void)state;
    encodes("plain ~", "plain ~");
    encodes("50%\n\xc3\xa9\x7f", "50%25%0A%C3%A9%7F");
    char text[1026], cut[1025];
    memset(text, 'x', sizeof(text));
    text[1024] = 0;
    encodes(text, text);
    text[1024] = 'x';
    text[1025] = 0;
    memset(cut, 'x', 1012);
    memcpy(cut + 1012, "...TRUNCATED", 13);
    encodes(text, cut);
}

static void grpc_content_types(void **state)
{
    (void)state;
    static const char *const good[] = { "application/grpc", "application/grpc+proto", "Application/GRPC",
                                        "application/grpc;charset=utf-8", "application/grpc+proto; a=b" };
    static const char *const bad[] = { "",
                                       "application/json",
                                       "application/grpc-web",
                                       "application/grpcx",
                                       "application/grpc+json",
                                       "application/grpc+protox",
                                       "application/grp" };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(el_rpc_text_is_grpc(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(el_rpc_text_is_grpc(bad[i], strlen(bad[i])));
}

static void lists_name_tokens_and_refuse_them(void **state)
{
    (void)state;
    assert_true(el_rpc_text_lists("gzip", "gzip"));
    assert_true(el_rpc_text_lists("br, GZip;q=0.5 , x", "gzip"));
    assert_true(el_rpc_text_lists("gzip;q=1.000", "gzip"));
    assert_false(el_rpc_text_lists("gzip;q=0", "gzip"));
    assert_false(el_rpc_text_lists("gzip ; q=0.000, br", "gzip"));
    assert_false(el_rpc_text_lists("xgzip, gzipx", "gzip"));
    assert_false(el_rpc_text_lists("", "gzip"));
    assert_false(el_rpc_text_lists(" , ,", "gzip"));
}

static void headers_are_found_whatever_their_case(void **state)
{
    (void)state;
    static const uint8_t headers[] = "A\0one\0Content-Type\0two\0a\0three\0empty\0";
    size_t size = sizeof(headers); /* with the last value's end */
    assert_string_equal(el_rpc_text_header(headers, size, "a"), "one");
    assert_string_equal(el_rpc_text_header(headers, size, "content-type"), "two");
    assert_string_equal(el_rpc_text_header(headers, size, "empty"), "");
    assert_null(el_rpc_text_header(headers, size, "one"));
    assert_null(el_rpc_text_header(NULL, 0, "a"));
}

static void what_was_packed_comes_back_up_to_the_limit(void **state)
{
    (void)state;
    size_t size = 300000;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * i >> 7);
    struct el_buf packed = { 0 }, back = { 0 };
    assert_int_equal(el_zip_whole(EL_ZIP_GZIP, bytes, size, SIZE_MAX, &packed), EL_ZIPPED);
    assert_int_equal(el_zip_whole(EL_ZIP_INFLATE, packed.data, packed.size, size, &back), EL_ZIPPED);
    assert_int_equal(back.size, size);
    assert_memory_equal(back.data, bytes, size);
    el_buf_free(&back);
    assert_int_equal(el_zip_whole(EL_ZIP_INFLATE, packed.data, packed.size, size - 1, &back), EL_ZIP_TOO_BIG);
    for (size_t cut = 0; cut < packed.size; cut += 1 + packed.size / 50) {
        el_buf_free(&back);
        assert_int_equal(el_zip_whole(EL_ZIP_INFLATE, packed.data, cut, size, &back), EL_ZIP_CORRUPT);
    }
    packed.data[packed.size / 2] ^= 0x55;
    el_buf_free(&back);
    assert_int_not_equal(el_zip_whole(EL_ZIP_INFLATE, packed.data, packed.size, size, &back), EL_ZIPPED);
    el_buf_free(&packed);
    el_buf_free(&back);
    free(bytes);
}

static void deadlines_come_in_order_whoever_leaves(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    struct el_deadlines deadlines = { 0 };
    struct el_deadline *entries = calloc(COUNT, sizeof(*entries));
    assert_non_null(entries);
    uint32_t random = 1;
    for (size_t i = 0; i < COUNT; i++) {
        random = random * 1664525 + 1013904223;
        entries[i].at_ns = random >> 12;
        assert_true(el_deadline_add(&deadlines, &entries[i]));
    }
    for (size_t i = 0; i < COUNT; i += 3) { /* answered in time */
        el_deadline_remove(&deadlines, &entries[i]);
        el_deadline_remove(&deadlines, &entries[i]);
        assert_int_equal(entries[i].slot, 0);
    }
    uint64_t last_ns = 0;
    size_t left = 0;
    struct el_deadline *first;
    while ((first = el_deadline_first(&deadlines)) != NULL) {
        assert_true(first->at_ns >= last_ns);
        assert_int_not_equal((first - entries) % 3, 0);
        last_ns = first->at_ns;
        el_deadline_remove(&deadlines, first);
        left++;
    }
    assert_int_equal(left, COUNT - (COUNT + 2) / 3);
    el_deadlines_free(&deadlines);
    free(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timeouts_are_read_in_every_unit),
        cmocka_unit_test(messages_are_percent_encoded_and_cut),
        cmocka_unit_test(grpc_content_types),
        cmocka_unit_test(lists_name_tokens_and_refuse_them),
        cmocka_unit_test(headers_are_found_whatever_their_case),
        cmocka_unit_test(what_was_packed_comes_back_up_to_the_limit),
        cmocka_unit_test(deadlines_come_in_order_whoever_leaves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
