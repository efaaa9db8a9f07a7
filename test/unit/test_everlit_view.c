/* SPDX-License-Identifier: Apache-2.0 */
/* What `everlit status` makes of the server's answer, and the tables, figures and wrapped texts that it is made of. */
#include "cmd/everlit_status_view.h"
#include "cmd/everlit_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char fixture[] =
    "{'server': {'version': '0.1.0', 'pid': 42, 'uptime_s': 605.2, 'ready': true, 'grpc_port': 8500, 'rest_port': 8501},"
    " 'models': ["
    "  {'name': 'digits', 'base_path': '/models/digits', 'serving': 2, 'versions': ["
    "   {'version': 3, 'state': 'quarantined', 'since_s': 65, 'engine': '', 'code': 'INVALID_ARGUMENT', 'reason': "
    "'signature serving_default: output prediction of the probe has 10 of 10 values that are not finite, where version 2, "
    "which serves, has none', 'memory_bytes': 0},"
    "   {'version': 2, 'state': 'serving', 'since_s': 600.9, 'engine': 'openvino', 'code': 'OK', 'reason': '', 'requests': "
    "1234567, 'errors': 0, 'p50_ms': 0.0163, 'p99_ms': 1.254, 'memory_bytes': 57147392}]},"
    "  {'name': 'labels', 'base_path': '/models/labels', 'serving': -1, 'versions': []}]}";

static const struct el_status_choice everything = { .model = NULL };

static char *render(const char *quoted_singly, const struct el_cli_style *style)
{
    char *text = strdup(quoted_singly);
    assert_non_null(text);
    for (char *at = text; *at != '\0'; at++)
        *at = *at == '\'' ? '"' : *at;
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (json == NULL)
        fail_msg("the fixture is no JSON: %s", error.text);
    struct el_buf out = { 0 };
    struct el_status *status = el_status_view(json, &everything, style, &out);
    if (status != NULL)
        fail_msg("%s", el_status_text(status));
    json_decref(json);
    free(text);
    char *rendered = el_buf_take_text(&out);
    assert_non_null(rendered);
    return rendered;
}

static void the_status_is_a_table_with_reasons_below(void **unused)
{
    (void)unused;
    const struct el_cli_style style = { .width = 80 };
    char *text = render(fixture, &style);
    assert_string_equal(text, "everlitd 0.1.0, pid 42, up 10m, gRPC on 8500, REST on 8501, ready\n"
                              "\n"
                              "MODEL  VERSION STATE       SINCE ENGINE   REQUESTS ERRORS  P50    P99 MEMORY\n"
                              "digits       3 quarantined    1m -               0      0    -      -      -\n"
                              "digits       2 serving       10m openvino  1234567      0 16us 1.25ms    54M\n"
                              "labels       - none                                                         \n"
                              "\n"
                              "digits version 3 was refused 1m ago: INVALID_ARGUMENT\n"
                              "  signature serving_default: output prediction of the probe has 10 of 10 values\n"
                              "  that are not finite, where version 2, which serves, has none\n"
                              "\n"
                              "labels has no version\n"
                              "  Expected directories named 1, 2, ... in /models/labels\n");
    free(text);
}

static void colours_are_only_for_those_who_can_see_them(void **unused)
{
    (void)unused;
    const struct el_cli_style plain = { .width = 80 }, coloured = { .width = 80, .terminal = true, .colour = true };
    char *text = render(fixture, &plain);
    assert_null(strchr(text, '\033'));
    char *painted = render(fixture, &coloured);
    assert_non_null(strstr(painted, "\033[32mserving"));
    assert_non_null(strstr(painted, "\033[31mquarantined"));
    free(painted);
    free(text);
}

static void no_control_character_of_the_server_reaches_the_terminal(void **unused)
{
    (void)unused;
    const struct el_cli_style style = { .width = 80 };
    char *text = render("{'server': {'version': '1\\u001b[2J'}, 'models': [{'name': 'a\\u001b]0;x\\u0007', 'versions': "
                        "[{'version': 1, 'state': '\\u009b31m', 'reason': 'b\\rad\\u001b[H'}]}]}",
                        &style);
    for (const char *at = text; *at != '\0'; at++)
        assert_true(*at == '\n' || (unsigned char)*at >= ' ');
    assert_null(strstr(text, "\xc2\x9b"));
    free(text);
}

static void a_server_without_models_says_so(void **unused)
{
    (void)unused;
    const struct el_cli_style style = { .width = 80 };
    char *text = render("{'server': {'version': '0.1.0', 'ready': false}, 'models': []}", &style);
    assert_string_equal(text, "everlitd 0.1.0, pid 0, up 0s, not ready\n\nNo model is configured.\n");
    free(text);
}

/* A hundred models, of which one has nothing that answers and one a version that was refused. */
static json_t *a_hundred_models(void)
{
    json_t *models = json_array();
    for (int i = 99; i >= 0; i--) {
        char name[8];
        snprintf(name, sizeof name, "m%02d", i);
        json_t *versions = json_pack("[{s:i,s:s}]", "version", 1, "state", i == 70 ? "loading" : "serving");
        if (i == 50)
            json_array_append_new(versions,
                                  json_pack("{s:i,s:s,s:s}", "version", 2, "state", "quarantined", "reason", "bad"));
        json_array_append_new(
            models, json_pack("{s:s,s:i,s:o}", "name", name, "serving", i == 70 ? -1 : 1, "versions", versions));
    }
    return json_pack("{s:{},s:o}", "server", "models", models);
}

static struct el_status *view_hundred(const struct el_status_choice *choice, char **text)
{
    const struct el_cli_style style = { .width = 80 };
    struct el_buf out = { 0 };
    json_t *json = a_hundred_models();
    struct el_status *status = el_status_view(json, choice, &style, &out);
    json_decref(json);
    *text = el_buf_take_text(&out);
    assert_non_null(*text);
    return status;
}

static void of_many_models_those_with_trouble_come_first_and_the_rest_is_counted(void **unused)
{
    (void)unused;
    char *text;
    assert_null(view_hundred(&everything, &text));
    const char *refused = strstr(text, "\nm50"), *loading = strstr(text, "\nm70"), *first = strstr(text, "\nm00"),
               *last = strstr(text, "\nm37");
    assert_true(refused != NULL && loading > refused && first > loading && last > first);
    assert_null(strstr(text, "\nm38"));
    assert_non_null(strstr(text, "\n40 of 100 models, of which 99 answer; --model NAME shows one, --all shows all\n"));
    free(text);

    const struct el_status_choice all = { .all = true };
    assert_null(view_hundred(&all, &text));
    assert_true(strstr(text, "\nm99") > strstr(text, "\nm00"));
    assert_null(strstr(text, "of 100 models"));
    free(text);

    const struct el_status_choice one = { .model = "m50" }, none = { .model = "m100" };
    assert_null(view_hundred(&one, &text));
    assert_non_null(strstr(text, "m50 version 2 was refused"));
    assert_null(strstr(text, "m49"));
    free(text);
    struct el_status *status = view_hundred(&none, &text);
    assert_string_equal(el_status_text(status), "the server has no model \"m100\"");
    el_status_free(status);
    free(text);
}

static void an_answer_of_something_else_is_an_error(void **unused)
{
    (void)unused;
    const struct el_cli_style style = { .width = 80 };
    struct el_buf out = { 0 };
    json_t *json = json_pack("{s:s}", "hello", "world");
    struct el_status *status = el_status_view(json, &everything, &style, &out);
    assert_string_equal(el_status_text(status),
                        "the server's answer has no \"server\" and \"models\": is it an everlitd?");
    el_status_free(status);
    json_decref(json);
    el_buf_free(&out);
}

static void a_table_that_is_too_wide_for_the_terminal_cuts_its_first_column(void **unused)
{
    (void)unused;
    static const struct el_table_column columns[] = { { "NAME", false }, { "VALUE", true } };
    struct el_table table = { .columns = columns, .column_count = 2 };
    struct el_table_row *row = el_table_add(&table);
    assert_non_null(row);
    el_table_set(row, 0, EL_CLI_PLAIN, "%s", "a_very_long_name_of_a_model_that_nobody_would_choose");
    el_table_set(row, 1, EL_CLI_PLAIN, "%d", 7);
    const struct el_cli_style narrow = { .width = 40, .terminal = true }, pipe = { .width = 40 };
    struct el_buf out = { 0 };
    el_table_print(&table, &narrow, &out);
    char *text = el_buf_take_text(&out);
    assert_string_equal(text, "NAME                               VALUE\n"
                              "a_very_long_name_of_a_model_that_~     7\n");
    free(text);
    el_table_print(&table, &pipe, &out); /* a program that reads it wants the whole name */
    text = el_buf_take_text(&out);
    assert_non_null(strstr(text, "a_very_long_name_of_a_model_that_nobody_would_choose"));
    free(text);
    el_table_free(&table);
}

static void a_cell_is_cut_between_characters(void **unused)
{
    (void)unused;
    static const struct el_table_column columns[] = { { "N", false } };
    struct el_table table = { .columns = columns, .column_count = 1 };
    struct el_table_row *row = el_table_add(&table);
    assert_non_null(row);
    struct el_buf buf = { 0 };
    for (int i = 0; i < 100; i++)
        el_buf_text(&buf, "\xc3\xa9");
    char *text = el_buf_take_text(&buf);
    el_table_set(row, 0, EL_CLI_PLAIN, "%s", text);
    free(text);
    const size_t length = strlen(row->cells[0]);
    assert_true(length < EL_TABLE_CELL);
    assert_int_equal(row->cells[0][length - 1], '~');
    assert_int_equal((length - 1) % 2, 0);
    el_table_free(&table);
}

static void assert_wrapped(const char *text, size_t width, const char *expected)
{
    const struct el_cli_style style = { .width = width };
    struct el_buf out = { 0 };
    el_cli_wrap(text, 2, &style, &out);
    char *wrapped = el_buf_take_text(&out);
    assert_string_equal(wrapped, expected);
    free(wrapped);
}

static void text_is_wrapped_between_words(void **unused)
{
    (void)unused;
    assert_wrapped("", 40, "");
    assert_wrapped("short", 40, "  short\n");
    assert_wrapped("one two three four five six seven eight nine", 30,
                   "  one two three four five six\n  seven eight nine\n");
    assert_wrapped("/a/path/that/is/much/longer/than/a/line/is", 32,
                   "  /a/path/that/is/much/longer/th\n  an/a/line/is\n");
    assert_wrapped("lines\nare\tone", 40, "  lines are one\n");
}

static void figures_are_short(void **unused)
{
    (void)unused;
    char text[16];
    assert_string_equal(el_cli_ms(0, text), "-");
    assert_string_equal(el_cli_ms(0.0163, text), "16us");
    assert_string_equal(el_cli_ms(0.9996, text), "1.00ms");
    assert_string_equal(el_cli_ms(12.6, text), "13ms");
    assert_string_equal(el_cli_ms(1500, text), "1.5s");
    assert_string_equal(el_cli_age(-5, text), "0s");
    assert_string_equal(el_cli_age(59.9, text), "59s");
    assert_string_equal(el_cli_age(3599, text), "59m");
    assert_string_equal(el_cli_age(47 * 3600, text), "47h");
    assert_string_equal(el_cli_age(30 * 86400, text), "30d");
    assert_string_equal(el_cli_bytes(0, text), "-");
    assert_string_equal(el_cli_bytes(512, text), "512");
    assert_string_equal(el_cli_bytes(1536, text), "1.5k");
    assert_string_equal(el_cli_bytes(360710144, text), "344M");
    assert_string_equal(el_cli_bytes(1.5e300, text), "1000000T");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_status_is_a_table_with_reasons_below),
        cmocka_unit_test(colours_are_only_for_those_who_can_see_them),
        cmocka_unit_test(no_control_character_of_the_server_reaches_the_terminal),
        cmocka_unit_test(a_server_without_models_says_so),
        cmocka_unit_test(of_many_models_those_with_trouble_come_first_and_the_rest_is_counted),
        cmocka_unit_test(an_answer_of_something_else_is_an_error),
        cmocka_unit_test(a_table_that_is_too_wide_for_the_terminal_cuts_its_first_column),
        cmocka_unit_test(a_cell_is_cut_between_characters),
        cmocka_unit_test(text_is_wrapped_between_words),
        cmocka_unit_test(figures_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
