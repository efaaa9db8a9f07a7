/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation of parsing and printing a config fails once, in turn: every time there is a status and nothing leaks.
 * The linker leads malloc and its like here (--wrap).
 */
#include "base/buf.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static long until_failure = -1; /* allocations that still succeed; negative: all do */

static bool fails(void)
{
    return until_failure >= 0 && until_failure-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return fails() ? NULL : __real_strndup(text, size);
}

static const char text[] =
    "model_config_list {\n"
    "  config { name: 'a' base_path: '/a' model_platform: 'tensorflow' model_version_policy { specific { versions: [3, 1] } }\n"
    "    version_labels { key: 'stable' value: 1 } version_labels { key: 'canary' value: 3 }\n"
    "    update { engine: 'openvino' tolerance: 1e-4 max_latency_ratio: 2.5 } }\n"
    "  config { name: 'b' base_path: '/b' model_type: TENSORFLOW }\n"
    "}\n";

static struct el_status *parse_and_print(const char *source, size_t size)
{
    struct el_config config;
    EL_TRY(el_config_parse("models.config", source, size, &config));
    char *printed = NULL;
    struct el_status *status = el_config_print(&config, &printed);
    free(printed);
    el_config_free(&config);
    return status;
}

static void each_allocation_may_fail(void **unused)
{
    (void)unused;
    for (long allowed = 0;; allowed++) {
        until_failure = allowed;
        struct el_status *status = parse_and_print(text, sizeof text - 1);
        const bool all_succeeded = until_failure >= 0;
        until_failure = -1;
        if (all_succeeded) {
            assert_null(status);
            assert_true(allowed > 20);
            return;
        }
        assert_int_equal(el_status_code(status), EL_RESOURCE_EXHAUSTED);
        el_status_free(status);
    }
}

static void an_error_without_memory_is_still_an_error(void **unused)
{
    (void)unused;
    const char wrong[] = "model_config_list { config { name: 'a' base_path: '/a' model_platform: 'tensorflow' "
                         "update { isolation: 'x' } } }";
    for (long allowed = 0;; allowed++) {
        until_failure = allowed;
        struct el_status *status = parse_and_print(wrong, sizeof wrong - 1);
        const bool all_succeeded = until_failure >= 0;
        until_failure = -1;
        assert_non_null(status);
        const enum el_code code = el_status_code(status);
        el_status_free(status);
        if (all_succeeded) {
            assert_int_equal(code, EL_INVALID_ARGUMENT);
            return;
        }
        assert_true(code == EL_RESOURCE_EXHAUSTED || code == EL_INVALID_ARGUMENT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(an_error_without_memory_is_still_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
