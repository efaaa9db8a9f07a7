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
        { "First", "verbose", EL_FLAG_BOOL, &values->verbose, "Says more.", NULL, false },
        { "First", "port", EL_FLAG_INT32, &values->port, "Where to listen.", NULL, false },
        { "Second", "max_message_bytes", EL_FLAG_INT64, &values->bytes, "The largest message.", NULL, false },
        { "Second", "model_name", EL_FLAG_STRING, &values->name, "The model.", NULL, false },
    };
    memcpy(flags, all, sizeof all);
}

static struct el_unknown unknown;

static struct el_status *parse(struct values *values, int count, const char *const *arguments)
{
    struct el_flag flags[FLAGS];
    char *copies[16] = { 0 };
    table(values, flags);
    unknown = (struct el_unknown){ 0 };
    for (int i = 0; i < count; i++) {
        copies[i + 1] = strdup(arguments[i]);
        assert_non_null(copies[i + 1]);
    }
    struct el_status *status = el_flags_parse(flags, FLAGS, count + 1, copies, &unknown);
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
    struct values values = { .port = 1 };
    const char *const arguments[] = {
        "--port=7", "--verbose", "--max_message_bytes", "-5", "--model_name=a=b", "--port", "8", "--", "x"
    };
    assert_null(parse(&values, 9, arguments));
    assert_true(values.verbose);
    assert_int_equal(values.port, 8);
    assert_int_equal(values.bytes, -5);
    assert_string_equal(values.name, "a=b");
}

static void refused(const char *argument, const char *text)
{
    struct values values = { 0 };
    struct el_status *status = parse(&values, 1, &argument);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    assert_string_equal(el_status_text(status), text);
    el_status_free(status);
}

static void bad_flags_are_named_with_what_was_expected(void **unused)
{
    (void)unused;
    refused("--port=", "Couldn't interpret value  for flag port. (expected a whole number)");
    refused("--port=7x", "Couldn't interpret value 7x for flag port. (expected a whole number)");
    refused("--port=2147483648", "Couldn't interpret value 2147483648 for flag port. (it does not fit 32 bits)");
    refused("--verbose=1", "Couldn't interpret value 1 for flag verbose. (expected true or false)");
    refused("--model_name", "--model_name: its value is missing");
}

/* As theirs: a start-up script for another release still starts. */
static void what_is_no_flag_is_passed_over_and_told(void **unused)
{
    (void)unused;
    static const struct {
        const char *argument, *nearest;
    } cases[] = {
        { "--prot=7", "port" }, { "--completely_else", NULL }, { "-verbose", "verbose" }, { "digits", NULL }
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct values values = { .port = 1 };
        const char *const arguments[] = { cases[i].argument, "--port=5" };
        assert_null(parse(&values, 2, arguments));
        assert_int_equal(values.port, 5);
        assert_false(values.verbose);
        assert_int_equal(unknown.count, 1);
        if (cases[i].nearest == NULL)
            assert_null(unknown.arguments[0].nearest);
        else
            assert_string_equal(unknown.arguments[0].nearest, cases[i].nearest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_are_set_in_both_forms_and_the_last_wins),
        cmocka_unit_test(bad_flags_are_named_with_what_was_expected),
        cmocka_unit_test(what_is_no_flag_is_passed_over_and_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
