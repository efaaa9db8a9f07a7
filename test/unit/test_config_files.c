/* SPDX-License-Identifier: Apache-2.0 */
/* The files beside the models' config: BatchingParameters, SSLConfig, MonitoringConfig, PlatformConfigMap, ConfigProto. What they mean, and what is refused with which words. */
#include "config/batching.h"
#include "config/monitoring.h"
#include "config/platform.h"
#include "config/ssl.h"

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

/* ---- a file that is there for one test ---- */

static char directory[] = "/tmp/everlit-test-config-XXXXXX";
static char path[128];

static void write_file(const char *name, const char *text)
{
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_directory(void **unused)
{
    (void)unused;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int remove_directory(void **unused)
{
    (void)unused;
    return rmdir(directory);
}

/* ---- batching ---- */

static struct el_batching_params batching(const char *text)
{
    struct el_batching_params params;
    struct el_status *status = el_batching_parse("b.params", text, strlen(text), &params);
    if (status != NULL)
        fail_msg("%s\nis refused: %s", text, el_status_text(status));
    return params;
}

static void what_is_not_given_is_the_default(void **unused)
{
    (void)unused;
    struct el_batching_params params = batching("# nothing\n");
    assert_int_equal(params.max_batch_size, 1000);
    assert_int_equal(params.batch_timeout_micros, 0);
    assert_int_equal(params.max_enqueued_batches, 10);
    assert_int_equal(params.num_batch_threads, sysconf(_SC_NPROCESSORS_ONLN));
    assert_string_equal(params.thread_pool_name, "batch_threads");
    assert_int_equal(params.allowed_batch_size_count, 0);
    assert_false(params.pad_variable_length_inputs);
    assert_false(params.enable_large_batch_splitting);
    assert_int_equal(params.max_execution_batch_size, 1000);
    el_batching_free(&params);

    assert_null(el_batching_defaults(&params));
    assert_string_equal(params.thread_pool_name, "model_server_batch_threads");
    assert_int_equal(params.max_execution_batch_size, 1000);
    el_batching_free(&params);
}

static void every_parameter_is_read(void **unused)
{
    (void)unused;
    struct el_batching_params params = batching("max_batch_size { value: 16 } batch_timeout_micros: { value: 500 }\n"
                                                "max_enqueued_batches < value: 0 > num_batch_threads { value: 3 }\n"
                                                "thread_pool_name { value: 'pool' } pad_variable_length_inputs: true\n"
                                                "allowed_batch_sizes: [2, 8], allowed_batch_sizes: 4\n"
                                                "allowed_batch_sizes: 8 allowed_batch_sizes: 16\n"
                                                "enable_large_batch_splitting { value: true }\n"
                                                "max_execution_batch_size { value: 8 }\n");
    assert_int_equal(params.max_batch_size, 16);
    assert_int_equal(params.batch_timeout_micros, 500);
    assert_int_equal(params.max_enqueued_batches, 0);
    assert_int_equal(params.num_batch_threads, 3);
    assert_string_equal(params.thread_pool_name, "pool");
    assert_true(params.pad_variable_length_inputs);
    assert_true(params.enable_large_batch_splitting);
    assert_int_equal(params.max_execution_batch_size, 8);
    const int64_t sizes[] = { 2, 4, 8, 16 };
    assert_int_equal(params.allowed_batch_size_count, 4);
    assert_memory_equal(params.allowed_batch_sizes, sizes, sizeof sizes);
    el_batching_free(&params);

    params = batching("max_batch_size { value: 16 } max_execution_batch_size { value: 8 }");
    assert_int_equal(params.max_execution_batch_size, 16); /* nothing is split */
    el_batching_free(&params);
}

static void a_bad_parameter_is_named_with_its_place(void **unused)
{
    (void)unused;
    static const char *const cases[][2] = {
        { "max_batch_size: 4", "1:17: Expected \"{\", found \"4\"." },
        { "max_batch_size { value: 0 }", "1:16: max_batch_size must be positive; was 0" },
        { "max_batch_size {}", "1:16: max_batch_size must be positive; was 0" },
        { "max_batch_size { value: 2147483648 }", "1:16: max_batch_size is 2147483648; expected at most 2147483647" },
        { "batch_timeout_micros { value: -1 }", "1:22: batch_timeout_micros must be non-negative; was -1" },
        { "max_enqueued_batches { value: -1 }", "1:22: max_enqueued_batches must be non-negative; was -1" },
        { "num_batch_threads { value: 0 }", "1:19: num_batch_threads must be positive; was 0" },
        { "max_batch_size { value: 8 } allowed_batch_sizes: [2, 4]",
          "1:54: Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8" },
        { "max_batch_size { value: 8 } allowed_batch_sizes: [0, 8]",
          "1:51: allowed_batch_sizes entry is 0; expected 1 to max_batch_size, 8" },
        { "max_batch_size { value: 8 } enable_large_batch_splitting { value: true }\n"
          "max_execution_batch_size { value: 9 }",
          "2:26: max_execution_batch_size is 9; expected at most max_batch_size, 8" },
        { "max_batchsize { value: 8 }",
          "1:15: Message type \"tensorflow.serving.BatchingParameters\" has no field named \"max_batchsize\". (did you "
          "mean \"max_batch_size\"?)" },
        { "[some.extension]: 1", "1:17: Extension \"some.extension\" is not defined or is not an extension of "
                                 "\"tensorflow.serving.BatchingParameters\"." },
        { "thread_pool_name { value: 'a\\0b' }", "1:27: thread_pool_name holds a zero byte, which no name can have" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct el_batching_params params;
        struct el_status *status = el_batching_parse("b.params", cases[i][0], strlen(cases[i][0]), &params);
        char expected[256];
        snprintf(expected, sizeof expected, "b.params:%s", cases[i][1]);
        assert_string_equal(el_status_text(status), expected);
        assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
        assert_null(params.thread_pool_name);
        assert_null(params.allowed_batch_sizes);
        el_status_free(status);
    }
}

static void a_version_may_bring_its_own_parameters(void **unused)
{
    (void)unused;
    bool found;
    struct el_batching_params params;
    assert_null(el_batching_read_version(directory, &found, &params));
    assert_false(found);
    assert_null(params.thread_pool_name);

    write_file("batching_params.pbtxt", "max_batch_size { value: 32 }");
    assert_null(el_batching_read_version(directory, &found, &params));
    assert_true(found);
    assert_int_equal(params.max_batch_size, 32);
    el_batching_free(&params);

    write_file("batching_params.pbtxt", "max_batch_size { valu: 32 }");
    struct el_status *status = el_batching_read_version(directory, &found, &params);
    assert_false(found);
    char expected[512];
    snprintf(expected, sizeof expected,
             "Invalid protobuf file: '%s': Error parsing text-format tensorflow.serving.BatchingParameters: 1:22: "
             "Message type \"google.protobuf.Int64Value\" has no field named \"valu\". (did you mean \"value\"?)",
             path);
    assert_string_equal(el_status_text(status), expected);
    el_status_free(status);
    unlink(path);
}

static void a_file_that_cannot_be_read_is_an_error(void **unused)
{
    (void)unused;
    struct el_batching_params params;
    struct el_status *status = el_batching_read("/nowhere/b.params", &params);
    assert_string_equal(el_status_text(status), "/nowhere/b.params; No such file or directory");
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    el_status_free(status);
    status = el_batching_read("/tmp", &params);
    assert_string_equal(el_status_text(status), "/tmp; No such device (it is a directory, not a file of text)");
    el_status_free(status);
    write_file("empty", "");
    status = el_batching_read(path, &params);
    assert_non_null(strstr(el_status_text(status), "; Invalid argument (the file is empty)"));
    el_status_free(status);
    unlink(path);
}

/* ---- TLS ---- */

#define KEY "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n"
#define CERT "-----BEGIN CERTIFICATE-----\\nMIID\\n-----END CERTIFICATE-----\\n"

static void key_and_certificates_are_pem_texts(void **unused)
{
    (void)unused;
    const char *text = "server_key: '" KEY "'\nserver_cert: \"" CERT "\"\ncustom_ca: '" CERT "' client_verify: true";
    struct el_ssl_config config;
    assert_null(el_ssl_config_parse("ssl.config", text, strlen(text), &config));
    assert_string_equal(config.server_key, "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n");
    assert_string_equal(config.server_cert, "-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n");
    assert_string_equal(config.custom_ca, config.server_cert);
    assert_true(config.client_verify);
    el_ssl_config_free(&config);

    text = "server_key: '" KEY "' server_cert: '" CERT "'";
    assert_null(el_ssl_config_parse("ssl.config", text, strlen(text), &config));
    assert_null(config.custom_ca);
    assert_false(config.client_verify);
    el_ssl_config_free(&config);
}

static void a_mistaken_key_is_told_and_not_shown(void **unused)
{
    (void)unused;
    static const char *const cases[][2] = {
        { "server_key: '" KEY "'",
          "ssl.config: server_cert is missing; expected server_key and server_cert, as PEM text" },
        { "server_key: '' server_cert: '" CERT "'",
          "ssl.config: server_key is missing; expected server_key and server_cert, as PEM text" },
        { "server_key: '/etc/tls/key.pem' server_cert: '" CERT "'",
          "ssl.config:1:13: server_key is the PEM text itself, not a path; found \"/etc/tls/key.pem\"" },
        { "server_key: '" CERT "' server_cert: '" CERT "'",
          "ssl.config:1:13: server_key holds no PEM of the kind \"PRIVATE KEY\"; expected -----BEGIN ...PRIVATE "
          "KEY-----, the lines joined by \\n" },
        { "client_verify: true server_key: '" KEY "' server_cert: '" CERT "'",
          "ssl.config:1:16: client_verify needs custom_ca: no client's certificate could be accepted without it" },
        { "server_keys: 'x'", "ssl.config:1:12: Message type \"tensorflow.serving.SSLConfig\" has no field named "
                              "\"server_keys\". (did you mean \"server_key\"?)" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct el_ssl_config config;
        struct el_status *status = el_ssl_config_parse("ssl.config", cases[i][0], strlen(cases[i][0]), &config);
        assert_string_equal(el_status_text(status), cases[i][1]);
        assert_null(strstr(el_status_text(status), "MII"));
        assert_null(config.server_key);
        assert_null(config.server_cert);
        el_status_free(status);
    }
}

/* ---- the platform and its sessions ---- */

#define PLATFORM(legacy)                                                    \
    "platform_configs { key: 'tensorflow' value { source_adapter_config { " \
    "[type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] { " legacy " } } } }"

static void a_platform_takes_the_place_of_flags(void **unused)
{
    (void)unused;
    const char *text = "platform_configs { key: 'other' } " PLATFORM(
        "legacy_config { saved_model_tags: ['serve', 'gpu'] session_config { intra_op_parallelism_threads: 3 "
        "inter_op_parallelism_threads: -1 gpu_options { allow_growth: true } } batching_parameters { max_batch_size { "
        "value: 4 } } enable_model_warmup: true model_warmup_options { num_request_iterations { value: 7 } } }");
    struct el_platform_config config;
    struct el_status *status = el_platform_config_parse("platform.config", text, strlen(text), &config);
    assert_string_equal(el_status_text(status), "");
    assert_string_equal(config.saved_model_tags, "serve,gpu");
    assert_int_equal(config.threads.intra_op, 3);
    assert_int_equal(config.threads.inter_op, 0);
    assert_true(config.has_batching);
    assert_int_equal(config.batching.max_batch_size, 4);
    assert_true(config.enable_model_warmup);
    assert_int_equal(config.warmup_iterations, 7);
    assert_false(config.prefer_tflite_model);
    el_platform_config_free(&config);
}

static void a_platform_that_serves_nothing_is_refused(void **unused)
{
    (void)unused;
    static const char *const cases[][2] = {
        { "platform_configs { key: 'tensorflov' }", "platform.config: the platform \"tensorflow\" is missing; " },
        { "platform_configs { key: 'tensorflow' }",
          "platform.config:1:18: the platform \"tensorflow\" has no source_adapter_config with its type in brackets; " },
        { PLATFORM(""), "platform.config:1:68: legacy_config is missing; " },
        { PLATFORM("legacy_config { batching_parameters { num_batch_threads { value: 0 } } }"),
          "platform.config:1:205: num_batch_threads must be positive; was 0" },
        { PLATFORM("legacy_config { session_config { nonsense: 1 } }"),
          "platform.config:1:190: Message type \"tensorflow.ConfigProto\" has no field named \"nonsense\"." },
        { PLATFORM("legacy_config { session_config { graph_options { rewrite_options { custom_optimizers { "
                   "parameter_map { value { i: 1 s: 'two' } } } } } } }"),
          "platform.config:1:266: Field \"s\" is specified along with field \"i\", another member of oneof \"value\"." },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct el_platform_config config;
        struct el_status *status = el_platform_config_parse("platform.config", cases[i][0], strlen(cases[i][0]),
                                                            &config);
        assert_non_null(status);
        if (strncmp(el_status_text(status), cases[i][1], strlen(cases[i][1])) != 0)
            assert_string_equal(el_status_text(status), cases[i][1]);
        assert_null(config.saved_model_tags);
        assert_null(config.batching.thread_pool_name);
        el_status_free(status);
    }
}

static void a_session_says_how_many_threads(void **unused)
{
    (void)unused;
    struct el_session_threads threads;
    write_file(
        "session",
        "inter_op_parallelism_threads: 2 graph_options { rewrite_options { remapping: OFF custom_optimizers { name: 'mine' "
        "parameter_map { key: 'sizes' value { list { i: [1, 2] type: DT_FLOAT } } } "
        "parameter_map { key: 'start' value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } float_val: 0.5 } } } "
        "parameter_map { key: 'how' value { func { name: 'f' attr { key: 'a' value { func { name: 'g' } } } } } } } } }");
    assert_null(el_session_config_read(path, &threads));
    assert_int_equal(threads.intra_op, 0);
    assert_int_equal(threads.inter_op, 2);
    unlink(path);
}

/* ---- monitoring ---- */

static void metrics_have_a_path(void **unused)
{
    (void)unused;
    static const char *const cases[][2] = {
        { "prometheus_config { enable: true }", "/monitoring/prometheus/metrics" },
        { "prometheus_config { enable: true path: '/m' }", "/m" },
        { "prometheus_config { path: '/m' }", NULL },
        { "# nothing", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *metrics;
        write_file("monitoring", cases[i][0]);
        assert_null(el_monitoring_read(path, &metrics));
        if (cases[i][1] == NULL)
            assert_null(metrics);
        else
            assert_string_equal(metrics, cases[i][1]);
        free(metrics);
    }
    char *metrics;
    write_file("monitoring", "prometheus_config { enable: true path: 'm' }");
    struct el_status *status = el_monitoring_read(path, &metrics);
    assert_non_null(strstr(el_status_text(status), ":1:40: the path of the metrics is expected to start with /"));
    el_status_free(status);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_given_is_the_default),
        cmocka_unit_test(every_parameter_is_read),
        cmocka_unit_test(a_bad_parameter_is_named_with_its_place),
        cmocka_unit_test(a_version_may_bring_its_own_parameters),
        cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
        cmocka_unit_test(key_and_certificates_are_pem_texts),
        cmocka_unit_test(a_mistaken_key_is_told_and_not_shown),
        cmocka_unit_test(a_platform_takes_the_place_of_flags),
        cmocka_unit_test(a_platform_that_serves_nothing_is_refused),
        cmocka_unit_test(a_session_says_how_many_threads),
        cmocka_unit_test(metrics_have_a_path),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
