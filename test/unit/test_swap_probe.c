/* SPDX-License-Identifier: Apache-2.0 */
/* What a version is checked for before it answers: each finding drops out, is told, or keeps the version from serving. */
#include "test_swap_support.h"

#include "bundle/prediction_log.h"
#include "bundle/tfrecord.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void begin(struct stage *stage, enum el_check check, enum el_check_mode mode)
{
    stage_open(stage);
    stage->update.probe.modes[check] = mode;
    stage_put(stage, 1, "");
    stage_start(stage);
    stage_wait_serving(stage, 1);
}

static void a_finding_refuses_or_is_told_or_is_not_looked_for(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, EL_CHECK_SANE, EL_CHECK_REFUSE);
    stage_put(&stage, 2, "run=nan");
    stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
    assert_non_null(strstr(stage_see(&stage, 2).reason, "not finite"));
    assert_int_equal(stage_see(&stage, 2).serving, 1);
    stage_close(&stage);

    begin(&stage, EL_CHECK_SANE, EL_CHECK_WARN);
    stage_put(&stage, 2, "run=nan");
    stage_wait_serving(&stage, 2);
    stage_wait_event(&stage, "probe_warning", 2, "sane: probe of signature");
    stage_wait_event(&stage, "probed", 2, "not finite");
    assert_non_null(strstr(stage_see(&stage, 2).probe, "not finite"));
    stage_close(&stage);

    begin(&stage, EL_CHECK_SANE, EL_CHECK_OFF);
    stage_put(&stage, 2, "run=nan");
    stage_wait_serving(&stage, 2);
    assert_int_equal(stage_count_events(&stage, "probe_warning", 2), 0);
    stage_close(&stage);
}

/* A golden record for the test engine: the row 1, 2, 3, 4 is answered with its sum and `value`. */
static void put_record(FILE *file, float value, const struct el_prediction_golden *golden)
{
    static const float row[] = { 1, 2, 3, 4 };
    const float answer[] = { 10, value };
    const struct el_tensor input = { EL_FLOAT, { .rank = 2, .dims = { 1, 4 } }, row, sizeof row };
    const struct el_tensor output = { EL_FLOAT, { .rank = 2, .dims = { 1, 2 } }, answer, sizeof answer };
    const struct el_named_tensor named = { "prediction", &output };
    struct el_buf tensor = { 0 }, entry = { 0 }, request = { 0 }, response = { 0 }, record = { 0 };
    const struct el_buf nothing = { 0 };
    el_tensor_proto_write(&tensor, &input, EL_TENSOR_AS_VALUES);
    el_wire_put_text(&entry, 1, "input");
    el_wire_put_bytes(&entry, 2, tensor.data, tensor.size);
    el_wire_put_bytes(&request, 2, entry.data, entry.size);
    el_predict_response_write(&response, &named, 1, EL_TENSOR_AS_VALUES, "m", 1, "");
    el_prediction_put(&record, EL_PREDICTION_PREDICT, &nothing,
                      (struct el_span){ (const char *)request.data, request.size },
                      (struct el_span){ (const char *)response.data, response.size });
    if (golden != NULL)
        el_prediction_put_golden(&record, golden);
    uint8_t header[EL_TFRECORD_HEADER], footer[EL_TFRECORD_FOOTER];
    el_tfrecord_frame(record.data, record.size, header, footer);
    fwrite(header, sizeof header, 1, file);
    fwrite(record.data, record.size, 1, file);
    fwrite(footer, sizeof footer, 1, file);
    el_buf_free(&tensor);
    el_buf_free(&entry);
    el_buf_free(&request);
    el_buf_free(&response);
    el_buf_free(&record);
}

static void write_golden(struct stage *stage, float value, const struct el_prediction_golden *golden)
{
    char path[128];
    stage_shell(stage, "mkdir -p extra");
    snprintf(path, sizeof path, "%s/extra/everlit_golden.tfrecord", stage->dir);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    for (int i = 0; i < 3; i++)
        put_record(file, i == 1 ? value : 1, golden);
    fclose(file);
}

static void golden_records_must_be_answered_as_they_say(void **unused)
{
    (void)unused;
    static struct stage stage;
    stage_open(&stage);
    write_golden(&stage, 1, NULL);
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_event(&stage, "probed", 1, "3 of 3 golden records answered as they say, largest difference 0");
    stage_wait_serving(&stage, 1);

    write_golden(&stage, 7, NULL);
    stage_shell(&stage, "cp -r m/1 .put && cp extra/* .put/assets.extra/ && mv .put m/2"); /* it answers with 1 */
    stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
    const struct seen seen = stage_see(&stage, 2);
    if (strstr(seen.reason, "1 of 3 golden records") == NULL ||
        strstr(seen.reason,
               "record 2, signature \"serving_default\", output \"prediction\": element 1: expected 7, found 1 "
               "(tolerance 0.001 absolute, 0.001 relative)") == NULL)
        fail_msg("%s", seen.reason);
    assert_int_equal(stage_see(&stage, 2).serving, 1);

    /* By the place of the highest score alone it is right; and within a wide tolerance, too. */
    write_golden(&stage, 7, &(struct el_prediction_golden){ .top1 = 1 });
    stage_put(&stage, 3, "");
    stage_wait_serving(&stage, 3);
    write_golden(&stage, 7, &(struct el_prediction_golden){ .absolute = 6 });
    stage_put(&stage, 4, "");
    stage_wait_serving(&stage, 4);
    write_golden(&stage, 11, &(struct el_prediction_golden){ .top1 = 0.9 });
    stage_put(&stage, 5, "");
    stage_wait_state(&stage, 5, EL_LIFE_QUARANTINED);
    assert_non_null(strstr(stage_see(&stage, 5).reason, "agree in the top-1 of 2 of 3 rows, 66.7 %; expected 90 %"));

    stage_shell(&stage, "truncate -s 100 extra/everlit_golden.tfrecord");
    stage_put(&stage, 6, "");
    stage_wait_state(&stage, 6, EL_LIFE_QUARANTINED);
    assert_non_null(strstr(stage_see(&stage, 6).reason, "truncated record"));
    stage_close(&stage);

    begin(&stage, EL_CHECK_GOLDEN, EL_CHECK_WARN);
    write_golden(&stage, 9, NULL);
    stage_put(&stage, 2, "");
    stage_wait_serving(&stage, 2);
    stage_wait_event(&stage, "probe_warning", 2, "golden: 3 of 3 golden records");
    stage_close(&stage);
}

/* Version 1 answers some requests, then version 2 comes, which says 2 where version 1 says 1. */
static void begin_drift(struct stage *stage, enum el_check_mode mode, double max_drift, uint32_t records)
{
    stage_open(stage);
    stage->update.probe.modes[EL_CHECK_REPLAY] = mode;
    stage->update.probe.max_drift = max_drift;
    stage->update.probe.replay_records = records;
    stage_put(stage, 1, "");
    stage_start(stage);
    stage_wait_serving(stage, 1);
    client_start(stage, 4);
    client_wait_answers(stage, 300);
    stage_put(stage, 2, "");
}

static void recent_requests_show_drift(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin_drift(&stage, EL_CHECK_WARN, 0.1, 64);
    stage_wait_serving(&stage, 2);
    stage_wait_event(&stage, "probed", 2, "; 64 of 64 recent requests answered, top-1 as the serving version's in ");
    stage_wait_event(&stage, "probed", 2, " of 64 rows, mean difference 0.5, largest 1 (output \"prediction\")");
    stage_wait_event(&stage, "probe_warning", 2,
                     "replay: answers to recent requests drifted: output \"prediction\" differs from the serving "
                     "version's by 0.5 on average, 1 at most; 0.1 on average is allowed (max_drift)");
    client_wait_version(&stage, 2);
    client_end_without_failure(&stage);
    stage_close(&stage);

    begin_drift(&stage, EL_CHECK_REFUSE, 0.1, 8);
    stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
    assert_non_null(strstr(stage_see(&stage, 2).reason, "by 0.5 on average"));
    assert_int_equal(stage_see(&stage, 2).serving, 1);
    client_end_without_failure(&stage);
    stage_close(&stage);

    begin_drift(&stage, EL_CHECK_REFUSE, 0.1, 0); /* nothing is kept, so nothing is known */
    stage_wait_serving(&stage, 2);
    assert_null(strstr(stage_see(&stage, 2).probe, "recent requests"));
    client_end_without_failure(&stage);
    stage_close(&stage);
}

static void a_version_that_answers_everything_alike_is_seen(void **unused)
{
    (void)unused;
    static struct stage stage;
    begin(&stage, EL_CHECK_VARIES, EL_CHECK_REFUSE);
    stage_put(&stage, 2, "run=same");
    stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
    assert_non_null(strstr(stage_see(&stage, 2).reason, "is the same in all 3 rows of different inputs; the serving"));
    stage_close(&stage);

    stage_open(&stage);
    stage.update.max_latency_ratio = -1;
    stage_put(&stage, 1, "");
    stage_start(&stage);
    stage_wait_serving(&stage, 1);
    client_start(&stage, 4);
    client_wait_answers(&stage, 100);
    client_end(&stage); /* a busy machine leaves a probe at idle priority no time to ask what was asked */
    stage_put(&stage, 2, "run=same\nabove=4"); /* what the probe makes up does not show it */
    stage_wait_event(&stage, "probe_warning", 2, "varies: output \"prediction\" is the same in all ");
    stage_wait_event(&stage, "probed", 2, ", scores spread ");
    stage_close(&stage);
}

static void memory_is_weighed_against_the_serving_version(void **unused)
{
    (void)unused;
#if defined(__SANITIZE_THREAD__)
    skip(); /* its shadow of all memory counts, too: nothing is twice as large as anything */
#endif
    static struct stage stage;
    begin(&stage, EL_CHECK_MEMORY, EL_CHECK_WARN);
    stage_put(&stage, 2, "memory=200");
    stage_wait_serving(&stage, 2);
    stage_wait_event(&stage, "probe_warning", 2, "memory: it takes 2");
    stage_close(&stage);

    begin(&stage, EL_CHECK_MEMORY, EL_CHECK_REFUSE);
    stage_put(&stage, 2, "memory=200");
    stage_wait_state(&stage, 2, EL_LIFE_QUARANTINED);
    assert_non_null(strstr(stage_see(&stage, 2).reason, "2 times is allowed (max_memory_ratio)"));
    stage_put(&stage, 3, "memory=20"); /* a small one may be twice as large */
    stage_wait_serving(&stage, 3);
    assert_non_null(strstr(stage_see(&stage, 3).probe, "; resident "));
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_finding_refuses_or_is_told_or_is_not_looked_for),
        cmocka_unit_test(golden_records_must_be_answered_as_they_say),
        cmocka_unit_test(recent_requests_show_drift),
        cmocka_unit_test(a_version_that_answers_everything_alike_is_seen),
        cmocka_unit_test(memory_is_weighed_against_the_serving_version),
    };
    if (getenv("TEST_FILTER") != NULL)
        cmocka_set_test_filter(getenv("TEST_FILTER"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    uv_library_shutdown(); /* the pool's threads end before the libraries that they have used */
    return failed;
}
