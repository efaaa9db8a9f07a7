/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

struct values {
    bool verbose;
    int32_t port;
    int64_t bytes;
    const char *name;
};

#define FLAGS 4
static void table(struct values *values, struct el_flag flags[FLAGS])
{
    const struct el_flag all[FLAGS] = {
        {"First", "verbose", EL_FLAG_BOOL, &values->verbose, "Says more.", NULL, false},
        {"First", "port", EL_FLAG_INT32, &values->port, "Where to listen.", NULL, false},
        {"Second", "max_message_bytes", EL_FLAG_INT64, &values->bytes, "The largest message.", NULL, false},
        {"Second", "model_name", EL_FLAG_STRING, &values->name, "The model.", NULL, false},
    };
    memcpy(flags, all, sizeof all);
}

static struct el_status *parse(struct values *values, int count, const char *const *arguments)
{
    struct el_flag flags[FLAGS];
    char *copies[16] = {0};
    table(values, flags);
    for (int i = 0; i < count; i++) {
        copies[i + 1] = strdup(arguments[i]);
        assert_non_null(copies[i + 1]);
    }
    struct el_status *status = el_flags_parse(flags, FLAGS, count + 1, copies);
    if (values->name != NULL && status == NULL) {
        static char name[64];
        snprintf(name, sizeof name, "%s", values->name);
        values->name = name;
    }
    for (int i = 0; i < count; i++)
        free(copies[i + 1]);
    return status;
}

static void flags_are_set_in_both_forms_and_the_last_wins(void **unused)
{
    (void)unused;
    struct values values = {.port = 1};
    const char *const arguments[] = {"--port=7", "--verbose", "--max_message_bytes", "-5", "--model_name=a=b", "--port", "8", "--", "x"};
    assert_null(parse(&values, 9, arguments));
    assert_true(values.verbose);
    assert_int_equal(values.port, 8);
    assert_int_equal(values.bytes, -5);
    assert_string_equal(values.name, "a=b");
}

static void refused(const char *argument, const char *text)
{
    struct values values = {0};
    struct el_status *status = parse(&values, 1, &argument);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    assert_string_equal(el_status_text(status), text);
    el_status_free(status);
}

static void bad_flags_are_named_with_what_was_expected(void **unused)
{
    (void)unused;
    refused("--prot=7", "unknown flag --prot: did you mean --port?");
    refused("--completely_else", "unknown flag --completely_else: see --help");
    refused("--port=", "--port: expected a whole number, found \"\"");
    refused("--port=7x", "--port: expected a whole number, found \"7x\"");
    refused("--port=2147483648", "--port: 2147483648 does not fit 32 bits");
    refused("--verbose=1", "--verbose: expected true or false, found \"1\"");
    refused("--model_name", "--model_name: its value is missing");
    refused("digits", "unexpected argument \"digits\": flags are --name=value");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_set_in_both_forms_and_the_last_wins),
        cmocka_unit_test(bad_flags_are_named_with_what_was_expected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
