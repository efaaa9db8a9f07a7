/* SPDX-License-Identifier: Apache-2.0 */
/* ModelServerConfig: what is understood, what is refused and with which words, and that a printed config reads back. */
#include "base/buf.h"
#include "config/batching.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MODEL(name, more) \
    "config { name: '" name "' base_path: '/models/" name "' model_platform: 'tensorflow' " more " } "
#define LIST(models) "model_config_list { " models " }"

static struct el_config parse(const char *text)
{
    struct el_config config;
    struct el_status *status = el_config_parse("models.config", text, strlen(text), &config);
    if (status != NULL)
        fail_msg("%s\nis refused: %s", text, el_status_text(status));
    return config;
}

/* marked is the text with an @ before the place that the error must name. */
static void assert_refused(const char *marked, enum el_code code, const char *expected)
{
    const char *mark = strchr(marked, '@');
    assert_non_null(mark);
    char text[512], message[512];
    snprintf(text, sizeof text, "%.*s%s", (int)(mark - marked), marked, mark + 1);
    snprintf(message, sizeof message, "models.config:1:%d: %s", (int)(mark - marked) + 1, expected);

    struct el_config config;
    struct el_status *status = el_config_parse("models.config", text, strlen(text), &config);
    assert_non_null(status);
    assert_string_equal(el_status_text(status), message);
    assert_int_equal(el_status_code(status), code);
    assert_int_equal(config.model_count, 0);
    assert_null(config.models);
    el_status_free(status);
}

static void a_plain_model_gets_every_default(void **unused)
{
    (void)unused;
    struct el_config config = parse(LIST(MODEL("digits", "")));
    assert_int_equal(config.model_count, 1);
    const struct el_model_config *model = &config.models[0];
    assert_string_equal(model->name, "digits");
    assert_string_equal(model->base_path, "/models/digits");
    assert_string_equal(model->platform, "tensorflow");
    assert_int_equal(model->policy.type, EL_POLICY_LATEST);
    assert_int_equal(model->policy.latest, 1);
    assert_int_equal(model->label_count, 0);
    const struct el_update_config *update = &model->update;
    assert_string_equal(update->engine, "auto");
    assert_string_equal(update->isolation, "process");
    assert_string_equal(update->precision, "f32");
    assert_string_equal(update->availability, "availability");
    assert_int_equal(update->concurrency, 0);
    assert_int_equal(update->load_timeout_ms, 60000);
    assert_int_equal(update->memory_limit_bytes, 0);
    assert_int_equal(update->keep_warm_ms, 10000);
    assert_int_equal(update->probe_timeout_ms, 10000);
    assert_int_equal((int)update->max_latency_ratio, 10);
    assert_true(update->tolerance > 0.00099 && update->tolerance < 0.00101);
    assert_int_equal(update->quiet_ms, 100);
    assert_int_equal(update->hang_timeout_ms, 10000);
    assert_int_equal(update->max_run_ms, 120000);
    assert_int_equal(update->guard_ms, 60000);
    assert_int_equal(update->guard_max_crashes, 0);
    assert_string_equal(update->group, "");
    assert_int_equal(update->group_wait_ms, 10000);
    assert_true(update->keep_local_copy);
    assert_true(update->guard_max_error_rate > 9e-4 && update->guard_max_error_rate < 2e-3);
    assert_int_equal((int)update->guard_max_latency_ratio, 5);
    assert_int_equal((int)update->guard_max_memory_ratio, 3);
    assert_int_equal(update->memory_need_bytes, 0);
    assert_int_equal(update->request_log_file_bytes, 67108864);
    assert_int_equal(update->request_log_total_bytes, 1073741824);
    assert_null(update->batching);
    assert_null(model->logging.filename_prefix);
    el_config_free(&config);
}

static void policies_are_read_as_tensorflow_serving_reads_them(void **unused)
{
    (void)unused;
    struct el_config config = parse(LIST(MODEL("zero", "model_version_policy { latest { num_versions: 0 } }") MODEL(
        "two", "model_version_policy { latest { num_versions: 2 } }") MODEL("all", "model_version_policy: { all: {} }")
                                             MODEL("some", "model_version_policy { specific { versions: [3, 1] "
                                                           "versions: 3 } }")
                                                 MODEL("none", "model_version_policy {}")));
    assert_int_equal(config.models[0].policy.latest, 1);
    assert_int_equal(config.models[1].policy.latest, 2);
    assert_int_equal(config.models[2].policy.type, EL_POLICY_ALL);
    assert_int_equal(config.models[3].policy.type, EL_POLICY_SPECIFIC);
    assert_int_equal(config.models[3].policy.version_count, 2);
    assert_int_equal(config.models[3].policy.versions[0], 1);
    assert_int_equal(config.models[3].policy.versions[1], 3);
    assert_int_equal(config.models[4].policy.type, EL_POLICY_LATEST);
    el_config_free(&config);
    assert_refused(LIST(MODEL("m", "model_version_policy { latest {} all @{} }")), EL_INVALID_ARGUMENT,
                   "Field \"all\" is specified along with field \"latest\", another member of oneof "
                   "\"policy_choice\".");
    assert_refused(LIST(MODEL("m", "model_version_policy { specific @{} }")), EL_INVALID_ARGUMENT,
                   "No specific versions requested for servable m.; expected specific { versions: N }");
}

static void the_last_label_of_a_name_counts(void **unused)
{
    (void)unused;
    struct el_config config = parse(
        LIST(MODEL("m", "version_labels { key: 'stable' value: 1 } "
                        "version_labels [{ key: 'canary' value: 2 }, { value: 5 key: 'stable' }]")));
    assert_int_equal(config.models[0].label_count, 2);
    assert_string_equal(config.models[0].labels[0].label, "canary");
    assert_int_equal(config.models[0].labels[0].version, 2);
    assert_string_equal(config.models[0].labels[1].label, "stable");
    assert_int_equal(config.models[0].labels[1].version, 5);
    el_config_free(&config);
}

static void a_config_without_models_is_a_server_without_models(void **unused)
{
    (void)unused;
    const char *const texts[] = { "", "# nothing yet\n", "model_config_list {}", "model_config_list { config: [] }" };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct el_config config = parse(texts[i]);
        assert_int_equal(config.model_count, 0);
        el_config_free(&config);
    }
}

static void what_tensorflow_serving_refuses_is_refused_in_its_words(void **unused)
{
    (void)unused;
    assert_refused(LIST(MODEL("a", "") MODEL("b", "") "config { name: @'a' }"), EL_INVALID_ARGUMENT,
                   "Illegal to list model a multiple times in config list");
    assert_refused(LIST("config { name: 'a' base_path: @'models/a' model_platform: 'tensorflow' }"),
                   EL_INVALID_ARGUMENT, "Expected model a to have an absolute path or URI; got base_path()=models/a");
    assert_refused(LIST("config @{ name: 'a' }"), EL_INVALID_ARGUMENT,
                   "Expected model a to have an absolute path or URI; got base_path()=");
    assert_refused(LIST("config @{ name: 'a' base_path: '/a' }"), EL_INVALID_ARGUMENT,
                   "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
                   "ModelServerConfig::model_platform, model name is a");
    assert_refused(LIST(MODEL("a", "model_type: @TENSORFLOW")), EL_INVALID_ARGUMENT,
                   "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                   "ModelServerConfig::model_platform, model name is a");
    assert_refused(LIST("config { name: 'a' base_path: '/a' model_type: @OTHER }"), EL_INVALID_ARGUMENT,
                   "ModelServerConfig::model_type choice 2 not supported.");
    assert_refused(LIST("config { name: 'a' base_path: '/a' model_platform: @'onnx' }"), EL_INVALID_ARGUMENT,
                   "Model a requests unsupported platform onnx");
    assert_refused("custom_model_config @{ type_url: 'a' }", EL_UNIMPLEMENTED,
                   "ModelServer does not yet support custom model config.");
}

static void a_request_log_needs_a_place_and_a_rate(void **unused)
{
    (void)unused;
    struct el_config config = parse(
        LIST(MODEL("a", "logging_config { log_collector_config { filename_prefix: '/l/a' } "
                        "sampling_config { sampling_rate: 0.25 } } update { request_log_file_bytes: 1048576 }")
                 MODEL("b", "logging_config { log_collector_config { type: 'tfrecord' filename_prefix: '/l/b' } }")
                     MODEL("c", "")));
    assert_string_equal(config.models[0].logging.filename_prefix, "/l/a");
    assert_true(config.models[0].logging.sampling_rate > 0.2499 && config.models[0].logging.sampling_rate < 0.2501);
    assert_int_equal(config.models[0].update.request_log_file_bytes, 1048576);
    assert_int_equal(config.models[0].update.request_log_total_bytes, 1073741824);
    assert_string_equal(config.models[1].logging.filename_prefix, "/l/b");
    assert_false(config.models[1].logging.sampling_rate > 0);
    assert_null(config.models[2].logging.filename_prefix);
    el_config_free(&config);

#define NO_PREFIX                                                                                                        \
    "model a: logging_config: expected log_collector_config { filename_prefix: \"/DIRECTORY/NAME\" }, an absolute path " \
    "to which each file's date and number are added"
#define TO "log_collector_config { filename_prefix: '/l/a' } "
    assert_refused(LIST(MODEL("a", "logging_config @{}")), EL_INVALID_ARGUMENT, NO_PREFIX);
    assert_refused(LIST(MODEL("a", "logging_config { log_collector_config { filename_prefix: @'l/a' } }")),
                   EL_INVALID_ARGUMENT, NO_PREFIX);
    assert_refused(LIST(MODEL("a", "logging_config { log_collector_config { filename_prefix: @'/l/' } }")),
                   EL_INVALID_ARGUMENT, NO_PREFIX);
    assert_refused(LIST(MODEL("a", "logging_config { log_collector_config { type: @'mine' } }")), EL_INVALID_ARGUMENT,
                   "model a: Cannot find LogCollector::Factory for type: mine (expected \"tfrecord\", or none)");
    const char *const rates[] = { "-0.1", "1.1", "nan" };
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        char text[400];
        snprintf(text, sizeof text, LIST(MODEL("a", "logging_config { " TO "sampling_config { sampling_rate: @%s } }")),
                 rates[i]);
        assert_refused(text, EL_INVALID_ARGUMENT,
                       "model a: sampling_config.sampling_rate: expected 0 (no request) to 1 (every request)");
    }
    assert_refused(LIST(MODEL("a", "logging_config { " TO "sampling_config { attributes: @1 } }")), EL_INVALID_ARGUMENT,
                   "model a: sampling_config: attributes and per_task_sampling_configs mean nothing here; expected "
                   "sampling_rate alone");
    assert_refused(LIST(MODEL("a", "logging_config { custom_logging_config @{} }")), EL_INVALID_ARGUMENT,
                   "model a: custom_logging_config is for loggers that are built in; expected log_collector_config");
    assert_refused(LIST(MODEL("a", "update { request_log_total_bytes: 1048576 } logging_config @{ " TO "}")),
                   EL_INVALID_ARGUMENT,
                   "model a: update.request_log_total_bytes is less than update.request_log_file_bytes, the size of "
                   "one file; expected at least as much");
    assert_refused(LIST(MODEL("a", "update { request_log_file_bytes: @0 }")), EL_INVALID_ARGUMENT,
                   "model a: update.request_log_file_bytes is 0; expected at least 1048576 (it counts bytes)");
}

static void what_could_never_be_served_is_refused(void **unused)
{
    (void)unused;
    assert_refused(LIST("config @{ base_path: '/a' model_platform: 'tensorflow' }"), EL_INVALID_ARGUMENT,
                   "Model config has no name; expected name: \"...\", by which clients ask for it");
    assert_refused(LIST("config { name: @'a\\0b' base_path: '/a' model_platform: 'tensorflow' }"), EL_INVALID_ARGUMENT,
                   "field \"name\" holds a zero byte, which no name can have");
    assert_refused(LIST("config { name: 'a' base_path: @'s3://bucket/a' model_platform: 'tensorflow' }"),
                   EL_UNIMPLEMENTED,
                   "Model a has base_path s3://bucket/a; Everlit reads models from directories: "
                   "expected an absolute path");
}

static void a_file_uri_is_its_path(void **unused)
{
    (void)unused;
    struct el_config config = parse(LIST("config { name: 'a' base_path: 'file:///m/a' model_type: TENSORFLOW }"));
    assert_string_equal(config.models[0].base_path, "/m/a");
    assert_string_equal(config.models[0].platform, "tensorflow");
    el_config_free(&config);
}

static void update_settings_are_taken_and_a_written_zero_counts(void **unused)
{
    (void)unused;
    struct el_config config = parse(LIST(MODEL(
        "m", "update { engine: 'openvino' isolation: 'none' precision: 'bf16' availability: 'resource' "
             "concurrency: 4 load_timeout_ms: 5000 memory_limit_bytes: 0x20000000 keep_warm_ms: 0 "
             "probe_timeout_ms: 1 max_latency_ratio: -1 tolerance: 0 quiet_ms: 0 hang_timeout_ms: 0 max_run_ms: 0 "
             "memory_need_bytes: 1048576 batching { max_batch_size { value: 8 } allowed_batch_sizes: [2, 8] } }")));
    const struct el_update_config *update = &config.models[0].update;
    assert_string_equal(update->engine, "openvino");
    assert_string_equal(update->isolation, "none");
    assert_string_equal(update->precision, "bf16");
    assert_string_equal(update->availability, "resource");
    assert_int_equal(update->concurrency, 4);
    assert_int_equal(update->load_timeout_ms, 5000);
    assert_int_equal(update->memory_limit_bytes, 536870912);
    assert_int_equal(update->keep_warm_ms, 0);
    assert_int_equal(update->probe_timeout_ms, 1);
    assert_true(update->max_latency_ratio < 0);
    assert_true(update->tolerance <= 0 && update->tolerance >= 0);
    assert_int_equal(update->quiet_ms, 0);
    assert_int_equal(update->hang_timeout_ms, 0);
    assert_int_equal(update->max_run_ms, 0);
    assert_int_equal(update->memory_need_bytes, 1048576);
    assert_non_null(update->batching);
    assert_int_equal(update->batching->max_batch_size, 8);
    assert_int_equal(update->batching->allowed_batch_size_count, 2);
    assert_int_equal(update->batching->allowed_batch_sizes[1], 8);
    assert_int_equal(update->batching->max_enqueued_batches, 10);
    el_config_free(&config);
}

static void update_settings_have_ranges(void **unused)
{
    (void)unused;
    static const struct {
        const char *setting, *expected;
    } cases[] = {
        { "engine: '../evil'",
          "model m: update.engine is \"../evil\"; expected \"auto\", \"tensorflow\", \"openvino\" or "
          "the name of a plug-in (a-z, 0-9 and _, at most 32)" },
        { "engine: ''",
          "model m: update.engine is \"\"; expected \"auto\", \"tensorflow\", \"openvino\" or the name of a "
          "plug-in (a-z, 0-9 and _, at most 32)" },
        { "isolation: 'thread'", "model m: update.isolation is \"thread\"; expected \"process\" or \"none\"" },
        { "precision: 'int8'", "model m: update.precision is \"int8\"; expected \"f32\", \"bf16\" or \"f16\"" },
        { "group: 'a/b'",
          "model m: update.group is \"a/b\"; expected \"\" or a name (a-z, A-Z, 0-9, _, - and ., at most 64)" },
        { "group: 'a' availability: 'resource'",
          "model m: update.group is \"a\" and update.availability \"resource\"; expected \"availability\": "
          "models of a group are loaded beside what answers" },
        { "availability: ''", "model m: update.availability is \"\"; expected \"availability\" or \"resource\"" },
        { "concurrency: 1025", "model m: update.concurrency is 1025; expected 0 to 1024" },
        { "load_timeout_ms: 0", "model m: update.load_timeout_ms is 0; expected 1 to 86400000" },
        { "keep_warm_ms: 86400001", "model m: update.keep_warm_ms is 86400001; expected 0 to 86400000" },
        { "probe_timeout_ms: 0", "model m: update.probe_timeout_ms is 0; expected 1 to 86400000" },
        { "quiet_ms: 86400001", "model m: update.quiet_ms is 86400001; expected 0 to 86400000" },
        { "max_latency_ratio: 0.5",
          "model m: update.max_latency_ratio is 0.5; expected 1 to 1e+06, or -1 for no check" },
        { "max_latency_ratio: nan",
          "model m: update.max_latency_ratio is nan; expected 1 to 1e+06, or -1 for no check" },
        { "max_latency_ratio: -inf",
          "model m: update.max_latency_ratio is -inf; expected 1 to 1e+06, or -1 for no check" },
        { "probe{golden: 'maybe' }",
          "model m: update.probe.golden is \"maybe\"; expected \"off\", \"warn\" or \"refuse\"" },
        { "probe{max_memory_ratio: 0.5 }", "model m: update.probe.max_memory_ratio is 0.5; expected 1 to 1e+06" },
        { "probe{replay_records: 5000 }", "model m: update.probe.replay_records is 5000; expected 0 to 4096" },
        { "rollout{mode: 'blue' }",
          "model m: update.rollout.mode is \"blue\"; expected \"all_at_once\", \"shadow\" or \"canary\"" },
        { "rollout{percent:[5, 5] }",
          "model m: update.rollout.percent is 5; expected percents from 1 to 100, each larger than the one before" },
        { "rollout{percent: 100 }",
          "model m: update.rollout.percent is 100 from the start; expected a smaller one before it, or mode: \"all_at_once\"" },
        { "rollout{step_requests: 0 }", "model m: update.rollout.step_requests is 0; expected 1 to 1000000000" },
        { "rollout{sticky: 'header' }",
          "model m: update.rollout.sticky is \"header\"; expected sticky: \"header\" and sticky_header: \"NAME\" "
          "together" },
        { "rollout{sticky:'header'sticky_header: 'a b' }",
          "model m: update.rollout.sticky_header is \"a b\"; expected the name of a header, at most 63 bytes" },
        { "rollout{min_agreement: 1 }",
          "model m: update.rollout.min_agreement is 1; expected 0 to 0.999999, or -1 for no check" },
        { "guard_ms: 86400001", "model m: update.guard_ms is 86400001; expected 0 to 86400000" },
        { "guard_max_error_rate: 0",
          "model m: update.guard_max_error_rate is 0; expected 1e-06 to 0.5, or -1 for no check" },
        { "guard_max_memory_ratio: 0.5",
          "model m: update.guard_max_memory_ratio is 0.5; expected 1 to 1e+06, or -1 for no check" },
        { "tolerance: 1.5", "model m: update.tolerance is 1.5; expected 0 to 1" },
        { "tolerance: -1", "model m: update.tolerance is -1; expected 0 to 1" },
        { "memory_limit_bytes: 512", "model m: update.memory_limit_bytes is 512; expected 0 for none, or at least "
                                     "1048576 (it counts bytes)" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        const int name = (int)strcspn(cases[i].setting, " ") + 1;
        snprintf(text, sizeof text, LIST(MODEL("m", "update { %.*s@%s }")), name, cases[i].setting,
                 cases[i].setting + name);
        assert_refused(text, EL_INVALID_ARGUMENT, cases[i].expected);
    }
}

static void a_rollout_needs_the_old_version(void **unused)
{
    (void)unused;
    static const char text[] = LIST(MODEL("m", "update { availability: 'resource' rollout { mode: 'canary' } }"));
    struct el_config config;
    struct el_status *status = el_config_parse("models.config", text, sizeof text - 1, &config);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    assert_non_null(strstr(el_status_text(status), "update.rollout needs the old version beside the new one"));
    el_status_free(status);
}

static void batching_of_a_model_is_checked_like_the_file_of_the_server(void **unused)
{
    (void)unused;
    static const char text[] = LIST(MODEL("m", "update { batching {\n max_batch_size { value: 0 } } }"));
    struct el_config config;
    struct el_status *status = el_config_parse("models.config", text, sizeof text - 1, &config);
    assert_non_null(status);
    assert_int_equal(el_status_code(status), EL_INVALID_ARGUMENT);
    assert_string_equal(el_status_text(status), "model m: update.batching: models.config:2:17: max_batch_size must be "
                                                "positive; was 0");
    el_status_free(status);
}

static void files_that_are_no_config_say_so(void **unused)
{
    (void)unused;
    char path[] = "/tmp/everlit-config-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct el_config config;
    char expected[256];

    struct el_status *status = el_config_read(path, &config);
    snprintf(expected, sizeof expected, "%s; Invalid argument (the file is empty)", path);
    assert_string_equal(el_status_text(status), expected);
    el_status_free(status);

    assert_int_equal(write(fd, "this is bad", 11), 11);
    status = el_config_read(path, &config);
    snprintf(
        expected, sizeof expected,
        "Invalid protobuf file: '%s': Error parsing text-format tensorflow.serving.ModelServerConfig: 1:6: Message "
        "type \"tensorflow.serving.ModelServerConfig\" has no field named \"this\".",
        path);
    assert_string_equal(el_status_text(status), expected);
    el_status_free(status);

    close(fd);
    unlink(path);
    status = el_config_read(path, &config);
    snprintf(expected, sizeof expected, "%s; No such file or directory", path);
    assert_string_equal(el_status_text(status), expected);
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    el_status_free(status);

    status = el_config_read("/tmp", &config);
    assert_int_equal(el_status_code(status), EL_NOT_FOUND);
    el_status_free(status);
}

static void a_single_model_comes_from_flags(void **unused)
{
    (void)unused;
    struct el_config config;
    assert_null(el_config_single("default", "/models/a", &config));
    assert_int_equal(config.model_count, 1);
    assert_string_equal(config.models[0].name, "default");
    assert_string_equal(config.models[0].update.engine, "auto");
    assert_int_equal(config.models[0].policy.latest, 1);
    el_config_free(&config);
    struct el_status *status = el_config_single("a", "half", &config);
    assert_string_equal(el_status_text(status),
                        "Expected model a to have an absolute path or URI; got base_path()=half");
    el_status_free(status);
}

/* ---- printing: random configs read back as they were ---- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static char *random_text(uint64_t *state, const char *start)
{
    const size_t size = next_random(state) % 12;
    struct el_buf text = { 0 };
    el_buf_text(&text, start);
    for (size_t i = 0; i < size; i++)
        el_buf_byte(&text, (uint8_t)(next_random(state) % 255 + 1));
    char *taken = el_buf_take_text(&text);
    assert_non_null(taken);
    return taken;
}

static struct el_batching_params *random_batching(uint64_t *state)
{
    if (next_random(state) % 2 == 0)
        return NULL;
    struct el_batching_params *params = calloc(1, sizeof *params);
    assert_non_null(params);
    char text[512];
    const unsigned largest = (unsigned)(next_random(state) % 1000 + 3);
    snprintf(text, sizeof text,
             "max_batch_size { value: %u } batch_timeout_micros { value: %u } thread_pool_name { value: '%s' } "
             "max_enqueued_batches { value: %u } num_batch_threads { value: %u } pad_variable_length_inputs: %s "
             "enable_large_batch_splitting { value: %s } max_execution_batch_size { value: 2 } %s",
             largest, (unsigned)(next_random(state) % 1000), next_random(state) % 2 ? "batch_threads" : "a\\n\\\"b",
             (unsigned)(next_random(state) % 20), (unsigned)(next_random(state) % 9 + 1),
             next_random(state) % 2 ? "true" : "false", next_random(state) % 2 ? "true" : "false",
             next_random(state) % 2 ? "" : "allowed_batch_sizes: 2");
    const size_t size = strlen(text);
    if (strstr(text, "allowed") != NULL)
        snprintf(text + size, sizeof text - size, " allowed_batch_sizes: %u", largest);
    struct el_status *status = el_batching_parse("batching", text, strlen(text), params);
    if (status != NULL)
        fail_msg("%s\nis refused: %s", text, el_status_text(status));
    return params;
}

static void fill_rollout(uint64_t *state, struct el_rollout_config *rollout)
{
    rollout->mode = (uint32_t)(next_random(state) % EL_ROLLOUT_MODES);
    memset(rollout->percents, 0, sizeof rollout->percents);
    rollout->step_count = (uint32_t)(next_random(state) % EL_ROLLOUT_STEPS + 1);
    for (uint32_t i = 0; i < rollout->step_count; i++)
        rollout->percents[i] = i * 6 + (uint32_t)(next_random(state) % 6) + 1;
    rollout->shadow_percent = (uint32_t)(next_random(state) % 100 + 1);
    rollout->step_requests = (uint32_t)(next_random(state) % 1000000000 + 1);
    rollout->step_ms = (uint32_t)(next_random(state) % 86400001);
    rollout->manual = (uint32_t)(next_random(state) % 2);
    rollout->min_agreement = (double)(next_random(state) >> 11) / 9007199254740992.0 * 0.9;
    rollout->sticky = (uint32_t)(next_random(state) % EL_ROLLOUT_STICKIES);
    if (rollout->sticky == EL_ROLLOUT_BY_HEADER)
        memcpy(rollout->header, "x-user", sizeof "x-user");
}

static void fill_random(uint64_t *state, size_t index, struct el_model_config *model)
{
    char name[32];
    snprintf(name, sizeof name, "m%zu", index);
    struct el_config single;
    assert_null(el_config_single("x", "/x", &single));
    *model = single.models[0];
    free(single.models);
    free(model->name);
    free(model->base_path);
    model->name = random_text(state, name);
    model->base_path = random_text(state, "/");
    model->policy.type = (enum el_policy_type)(next_random(state) % 3);
    model->policy.latest = model->policy.type == EL_POLICY_LATEST ? (uint32_t)(next_random(state) % 1000 + 1) : 1;
    if (model->policy.type == EL_POLICY_SPECIFIC) {
        model->policy.version_count = next_random(state) % 4 + 1;
        model->policy.versions = calloc(model->policy.version_count, sizeof *model->policy.versions);
        assert_non_null(model->policy.versions);
        for (size_t i = 0; i < model->policy.version_count; i++)
            model->policy.versions[i] = (int64_t)(next_random(state) >> 3 << 2) / 8 * 8 + (int64_t)i;
        const int64_t base = model->policy.versions[0];
        for (size_t i = 0; i < model->policy.version_count; i++)
            model->policy.versions[i] = base + (int64_t)i;
    }
    if (next_random(state) % 2 == 0) {
        char *text = random_text(state, "/"), path[64];
        snprintf(path, sizeof path, "%s.", text);
        free(text);
        model->logging.filename_prefix = strdup(path);
        assert_non_null(model->logging.filename_prefix);
        model->logging.sampling_rate = (double)(next_random(state) >> 11) / 9007199254740992.0;
    }
    model->label_count = next_random(state) % 3;
    if (model->label_count > 0) {
        model->labels = calloc(model->label_count, sizeof *model->labels);
        assert_non_null(model->labels);
    }
    for (size_t i = 0; i < model->label_count; i++) {
        model->labels[i].label = random_text(state, i == 0 ? "a" : "b");
        model->labels[i].version = (int64_t)next_random(state);
    }
    struct el_update_config *update = &model->update;
    if (next_random(state) % 3 == 0)
        return;
    free(update->engine);
    update->engine = strdup(next_random(state) % 2 ? "openvino" : "plug_in_7");
    free(update->group);
    update->group = strdup(next_random(state) % 2 ? "" : "Ranking-2.b");
    update->concurrency = (uint32_t)(next_random(state) % 1025);
    update->load_timeout_ms = (uint32_t)(next_random(state) % 86400000 + 1);
    update->memory_limit_bytes = next_random(state) | 1048576;
    update->keep_warm_ms = (uint32_t)(next_random(state) % 86400001);
    update->probe_timeout_ms = (uint32_t)(next_random(state) % 86400000 + 1);
    update->quiet_ms = (uint32_t)(next_random(state) % 86400001);
    update->hang_timeout_ms = (uint32_t)(next_random(state) % 86400001);
    update->max_run_ms = (uint32_t)(next_random(state) % 86400001);
    update->guard_ms = (uint32_t)(next_random(state) % 86400001);
    update->keep_local_copy = next_random(state) % 2;
    update->guard_max_crashes = (uint32_t)(next_random(state) % 1000001);
    update->group_wait_ms = (uint32_t)(next_random(state) % 86400001);
    update->guard_max_error_rate = 1e-6 + (double)(next_random(state) >> 11) / 9007199254740992.0 * 0.4;
    update->guard_max_latency_ratio = 1 + (double)(next_random(state) >> 11) / 9007199254740992.0 * 999;
    update->memory_need_bytes = next_random(state) | 1048576;
    update->request_log_file_bytes = (next_random(state) >> 1) | 1048576;
    update->request_log_total_bytes = update->request_log_file_bytes + (next_random(state) >> 1);
    for (size_t i = 0; i < EL_CHECKS; i++)
        update->probe.modes[i] = (enum el_check_mode)(next_random(state) % 3);
    update->probe.replay_records = (uint32_t)(next_random(state) % 4097);
    update->probe.replay_bytes = next_random(state) >> 30;
    update->probe.min_agreement = (double)(next_random(state) >> 11) / 9007199254740992.0;
    fill_rollout(state, &update->rollout);
    if (update->group[0] != '\0')
        update->rollout.mode = EL_ROLLOUT_ALL_AT_ONCE; /* they switch in one instant */
    update->batching = random_batching(state);
    update->max_latency_ratio = 1 + (double)(next_random(state) >> 11) / 9007199254740992.0 * 999;
    update->tolerance = (double)(next_random(state) >> 11) / 9007199254740992.0;
}

static void assert_same_number(double a, double b)
{
    assert_true(a <= b && a >= b);
}

static void assert_same_model(const struct el_model_config *a, const struct el_model_config *b)
{
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->base_path, b->base_path);
    assert_string_equal(a->platform, b->platform);
    assert_int_equal(a->policy.type, b->policy.type);
    assert_int_equal(a->policy.latest, b->policy.latest);
    assert_int_equal(a->policy.version_count, b->policy.version_count);
    for (size_t i = 0; i < a->policy.version_count; i++)
        assert_int_equal(a->policy.versions[i], b->policy.versions[i]);
    assert_int_equal(a->update.request_log_file_bytes, b->update.request_log_file_bytes);
    assert_int_equal(a->update.request_log_total_bytes, b->update.request_log_total_bytes);
    assert_int_equal(a->logging.filename_prefix == NULL, b->logging.filename_prefix == NULL);
    if (a->logging.filename_prefix != NULL)
        assert_string_equal(a->logging.filename_prefix, b->logging.filename_prefix);
    assert_false(a->logging.sampling_rate < b->logging.sampling_rate ||
                 a->logging.sampling_rate > b->logging.sampling_rate);
    assert_int_equal(a->label_count, b->label_count);
    for (size_t i = 0; i < a->label_count; i++) {
        assert_string_equal(a->labels[i].label, b->labels[i].label);
        assert_int_equal(a->labels[i].version, b->labels[i].version);
    }
    assert_string_equal(a->update.engine, b->update.engine);
    assert_string_equal(a->update.isolation, b->update.isolation);
    assert_int_equal(a->update.concurrency, b->update.concurrency);
    assert_int_equal(a->update.load_timeout_ms, b->update.load_timeout_ms);
    assert_int_equal(a->update.memory_limit_bytes, b->update.memory_limit_bytes);
    assert_int_equal(a->update.keep_warm_ms, b->update.keep_warm_ms);
    assert_int_equal(a->update.probe_timeout_ms, b->update.probe_timeout_ms);
    assert_int_equal(a->update.quiet_ms, b->update.quiet_ms);
    assert_int_equal(a->update.hang_timeout_ms, b->update.hang_timeout_ms);
    assert_int_equal(a->update.max_run_ms, b->update.max_run_ms);
    assert_int_equal(a->update.guard_ms, b->update.guard_ms);
    assert_int_equal(a->update.guard_max_crashes, b->update.guard_max_crashes);
    assert_string_equal(a->update.group, b->update.group);
    assert_int_equal(a->update.group_wait_ms, b->update.group_wait_ms);
    assert_int_equal(a->update.keep_local_copy, b->update.keep_local_copy);
    assert_same_number(a->update.guard_max_error_rate, b->update.guard_max_error_rate);
    assert_same_number(a->update.guard_max_latency_ratio, b->update.guard_max_latency_ratio);
    assert_int_equal(a->update.memory_need_bytes, b->update.memory_need_bytes);
    assert_same_number(a->update.max_latency_ratio, b->update.max_latency_ratio);
    assert_same_number(a->update.tolerance, b->update.tolerance);
    for (size_t i = 0; i < EL_CHECKS; i++)
        assert_int_equal(a->update.probe.modes[i], b->update.probe.modes[i]);
    assert_int_equal(a->update.probe.replay_records, b->update.probe.replay_records);
    assert_int_equal(a->update.probe.replay_bytes, b->update.probe.replay_bytes);
    assert_same_number(a->update.probe.min_agreement, b->update.probe.min_agreement);
    assert_true(el_rollout_same(&a->update.rollout, &b->update.rollout));
    assert_true(el_batching_same(a->update.batching, b->update.batching));
}

static void a_printed_config_reads_back_as_it_was(void **unused)
{
    (void)unused;
    uint64_t state = 88172645463325252u;
    for (int round = 0; round < 500; round++) {
        struct el_config config = { .model_count = next_random(&state) % 5 };
        config.models = calloc(config.model_count + 1, sizeof *config.models);
        assert_non_null(config.models);
        for (size_t i = 0; i < config.model_count; i++)
            fill_random(&state, i, &config.models[i]);
        char *text = NULL;
        assert_null(el_config_print(&config, &text));
        struct el_config again = parse(text);
        assert_int_equal(again.model_count, config.model_count);
        for (size_t i = 0; i < config.model_count; i++)
            assert_same_model(&config.models[i], &again.models[i]);
        char *text_again = NULL;
        assert_null(el_config_print(&again, &text_again));
        assert_string_equal(text_again, text);
        free(text_again);
        free(text);
        el_config_free(&again);
        el_config_free(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_model_gets_every_default),
        cmocka_unit_test(policies_are_read_as_tensorflow_serving_reads_them),
        cmocka_unit_test(the_last_label_of_a_name_counts),
        cmocka_unit_test(a_config_without_models_is_a_server_without_models),
        cmocka_unit_test(what_tensorflow_serving_refuses_is_refused_in_its_words),
        cmocka_unit_test(a_request_log_needs_a_place_and_a_rate),
        cmocka_unit_test(what_could_never_be_served_is_refused),
        cmocka_unit_test(a_file_uri_is_its_path),
        cmocka_unit_test(update_settings_are_taken_and_a_written_zero_counts),
        cmocka_unit_test(update_settings_have_ranges),
        cmocka_unit_test(a_rollout_needs_the_old_version),
        cmocka_unit_test(batching_of_a_model_is_checked_like_the_file_of_the_server),
        cmocka_unit_test(files_that_are_no_config_say_so),
        cmocka_unit_test(a_single_model_comes_from_flags),
        cmocka_unit_test(a_printed_config_reads_back_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
