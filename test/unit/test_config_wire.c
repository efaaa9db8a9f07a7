/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"
#include "config/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct el_config none = { 0 };

static struct el_status *decode(const char *bytes, size_t size, const struct el_config *current,
                                struct el_config *config)
{
    return el_config_decode((const uint8_t *)bytes, size, current, config);
}
#define DECODE(bytes, current, config) decode(bytes, sizeof(bytes) - 1, current, config)

static void assert_refused(struct el_status *status, enum el_code code, const char *text)
{
    assert_non_null(status);
    assert_string_equal(el_status_text(status), text);
    assert_int_equal(el_status_code(status), code);
    el_status_free(status);
}

/* config { name: "m" base_path: "/b" model_platform: "tensorflow" ... }, of 19 bytes and what follows */
#define MODEL "\x0a\x01m\x12\x02/b\x22\x0atensorflow"

static void a_whole_config_is_read(void **state)
{
    (void)state;
    struct el_config config;
    /* model_version_policy { specific { versions: [2, 1] } }, packed; version_labels { key: "a" value: 2 } */
    assert_null(DECODE("\x0a\x25\x0a\x23" MODEL "\x3a\x07\xb2\x06\x04\x0a\x02\x02\x01"
                       "\x42\x05\x0a\x01"
                       "a\x10\x02",
                       &none, &config));
    assert_int_equal(config.model_count, 1);
    const struct el_model_config *model = &config.models[0];
    assert_string_equal(model->name, "m");
    assert_string_equal(model->base_path, "/b");
    assert_int_equal(model->policy.type, EL_POLICY_SPECIFIC);
    assert_int_equal(model->policy.version_count, 2);
    assert_int_equal(model->policy.versions[0], 1);
    assert_int_equal(model->policy.versions[1], 2);
    assert_int_equal(model->label_count, 1);
    assert_string_equal(model->labels[0].label, "a");
    assert_int_equal(model->labels[0].version, 2);
    el_config_free(&config);
}

static void what_comes_twice_is_merged(void **state)
{
    (void)state;
    struct el_config config;
    /* Two model_config_list with a model each, the first with a field that nobody knows. */
    assert_null(DECODE("\x0a\x18\x0a\x16" MODEL "\xfa\x01\x00"
                       "\x0a\x15\x0a\x13\x0a\x01n\x12\x02/b\x22\x0atensorflow",
                       &none, &config));
    assert_int_equal(config.model_count, 2);
    assert_string_equal(config.models[1].name, "n");
    el_config_free(&config);
}

static void an_empty_list_has_no_models_and_no_list_is_refused(void **state)
{
    (void)state;
    static const char only[] =
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList "
        "is currently supported";
    struct el_config config;
    assert_null(DECODE("\x0a\x00", &none, &config));
    assert_int_equal(config.model_count, 0);
    el_config_free(&config);
    assert_refused(DECODE("", &none, &config), EL_INVALID_ARGUMENT, only);
    assert_refused(DECODE("\x0a\x00\x12\x00", &none, &config), EL_INVALID_ARGUMENT, only); /* the last of the oneof */
}

static void a_model_keeps_its_platform(void **state)
{
    (void)state;
    struct el_config current, config;
    assert_null(el_config_single("m", "/b", &current));
    static const char other[] = "\x0a\x0f\x0a\x0d\x0a\x01m\x12\x02/b\x22\x04onnx";
    assert_refused(
        DECODE(other, &current, &config), EL_INVALID_ARGUMENT,
        "Illegal to change a model's platform. For model m platform was tensorflow and new platform requested "
        "is onnx");
    assert_refused(DECODE(other, &none, &config), EL_INVALID_ARGUMENT, "Model m requests unsupported platform onnx");
    el_config_free(&current);
}

static void what_is_no_message_is_refused_without_a_text(void **state)
{
    (void)state;
    struct el_config config;
    assert_refused(DECODE("\x0a\x05", &none, &config), EL_INTERNAL, "");
    assert_refused(DECODE("\x07", &none, &config), EL_INTERNAL, "");
    assert_refused(DECODE("\x0a\x05\x0a\x03\x0a\x01\xff", &none, &config), EL_INTERNAL,
                   "");                                                      /* a name that is no UTF-8 */
    assert_refused(DECODE("\x1b\x1c\x1b", &none, &config), EL_INTERNAL, ""); /* a group without its end */
    assert_null(DECODE("\x1b\x1c\x0a\x00", &none, &config));                 /* and one that nobody knows */
    el_config_free(&config);
}

static void a_copy_is_the_same(void **state)
{
    (void)state;
    struct el_config config, copy;
    char *a, *b;
    assert_null(DECODE("\x0a\x25\x0a\x23" MODEL "\x3a\x07\xb2\x06\x04\x0a\x02\x02\x01"
                       "\x42\x05\x0a\x01"
                       "a\x10\x02",
                       &none, &config));
    assert_null(el_config_copy(&config, &copy));
    assert_null(el_config_print(&config, &a));
    assert_null(el_config_print(&copy, &b));
    assert_string_equal(a, b);
    free(a);
    free(b);
    el_config_free(&config);
    el_config_free(&copy);
    assert_null(el_config_copy(&none, &copy));
    assert_int_equal(copy.model_count, 0);
    el_config_free(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_config_is_read),
        cmocka_unit_test(what_comes_twice_is_merged),
        cmocka_unit_test(an_empty_list_has_no_models_and_no_list_is_refused),
        cmocka_unit_test(a_model_keeps_its_platform),
        cmocka_unit_test(what_is_no_message_is_refused_without_a_text),
        cmocka_unit_test(a_copy_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
