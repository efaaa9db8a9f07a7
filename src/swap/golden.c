/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/golden.h"

#include <stdlib.h>

#define MAX_OUTPUT_BYTES ((size_t)1 << 28)

struct comparing {
    struct el_golden *golden;
    uint32_t record;
    const struct el_signature *signature;
    struct el_prediction_golden asked;
    bool bad;
};

static void __attribute__((format(printf, 3, 4)))
wrong(struct comparing *at, const char *output, const char *format, ...)
{
    at->bad = true;
    if (at->golden->first.size > 0)
        return;
    el_buf_printf(&at->golden->first, "record %u, signature \"%s\"", at->record, at->signature->name);
    if (output != NULL)
        el_buf_printf(&at->golden->first, ", output \"%s\"", output);
    el_buf_text(&at->golden->first, ": ");
    va_list args;
    va_start(args, format);
    el_buf_vprintf(&at->golden->first, format, args);
    va_end(args);
}

static void compare_found(struct comparing *at, const char *name, const struct el_tensor *found,
                          const struct el_tensor *expected)
{
    const bool by_share = at->asked.top1 > 0;
    const struct el_tolerance tolerance = { at->asked.absolute, at->asked.relative };
    struct el_agreement one = { 0 };
    const int64_t index = el_agreement_add(&one, found, expected, &tolerance);
    if (index != EL_AGREES_NOT_IN_KIND)
        (void)el_agreement_add(&at->golden->all, found, expected, &tolerance);
    char is[400], was[400];
    if (index == EL_AGREES_NOT_IN_KIND) {
        wrong(at, name, "expected %s %s, found %s %s", el_dtype_short_name(expected->dtype),
              el_shape_print(&expected->shape, was, sizeof was), el_dtype_short_name(found->dtype),
              el_shape_print(&found->shape, is, sizeof is));
    } else if (by_share && one.rows > 0) {
        at->golden->shared.rows += one.rows;
        at->golden->shared.same += one.same;
        if (at->asked.top1 > at->golden->least_share)
            at->golden->least_share = at->asked.top1;
    } else if (index >= 0) {
        wrong(at, name, "element %lld: expected %s, found %s (tolerance %g absolute, %g relative)", (long long)index,
              el_element_print(expected, (size_t)index, was, sizeof was),
              el_element_print(found, (size_t)index, is, sizeof is), tolerance.absolute, tolerance.relative);
    }
}

/* One output of the answer that was recorded. */
static void compare_output(struct comparing *at, struct el_span name, struct el_tensor_proto *proto,
                           const struct el_prediction_run *run, const struct el_tensor *outputs, uint32_t count)
{
    const struct el_signature *signature = run->signature;
    const int index = el_tensor_info_find(signature->outputs, signature->output_count, name.data, name.size);
    uint32_t place = 0;
    while (place < count && (index < 0 || run->outputs[place] != (uint32_t)index))
        place++;
    if (place == count) {
        wrong(at, NULL, "output \"%.*s\" is expected and does not come", (int)(name.size < 200 ? name.size : 200),
              name.data);
        return;
    }
    const char *output = signature->outputs[index].name;
    struct el_status *status = el_tensor_proto_head(proto, name.data, name.size, MAX_OUTPUT_BYTES);
    void *data = status == NULL ? malloc(proto->size > 0 ? proto->size : 1) : NULL;
    if (data == NULL) {
        wrong(at, output, "its expected answer cannot be read: %s",
              status != NULL ? el_status_text(status) : "no memory");
        el_status_free(status);
        return;
    }
    el_tensor_proto_decode(proto, data);
    const struct el_tensor expected = { proto->dtype, proto->shape, data, proto->size };
    compare_found(at, output, &outputs[place], &expected);
    free(data);
}

void el_golden_add(struct el_golden *golden, uint32_t record, const struct el_prediction *prediction,
                   const struct el_prediction_run *run, const struct el_tensor *outputs, uint32_t count)
{
    struct comparing at = { .golden = golden, .record = record, .signature = run->signature };
    golden->records++;
    uint32_t compared = 0;
    struct el_wire answer = prediction->response;
    struct el_span name;
    struct el_tensor_proto proto;
    if (prediction->kind != EL_PREDICTION_PREDICT) {
        wrong(&at, NULL, "it is no predict_log");
    } else if (!el_prediction_golden(prediction, &at.asked)) {
        wrong(&at, NULL, "its everlit_golden cannot be read: expected absolute and relative from 0, top1 from 0 to 1");
    } else {
        while (el_prediction_next_output(&answer, &name, &proto)) {
            compare_output(&at, name, &proto, run, outputs, count);
            compared++;
        }
        if (!el_wire_done(&answer))
            wrong(&at, NULL, "its response is no PredictResponse");
        else if (compared == 0)
            wrong(&at, NULL, "it has no answer to compare with (predict_log.response.outputs)");
    }
    golden->bad += at.bad;
}

struct el_status *el_golden_judge(const struct el_golden *golden)
{
    if (golden->bad > 0)
        return el_status_new(EL_FAILED_PRECONDITION, "%u of %u golden records (%s) are not answered as they say; %.*s",
                             golden->bad, golden->records, EL_GOLDEN_FILE, (int)golden->first.size,
                             golden->first.data != NULL ? (const char *)golden->first.data : "");
    const double share = el_agreement_share(&golden->shared);
    if (share < golden->least_share)
        return el_status_new(
            EL_FAILED_PRECONDITION,
            "the golden records (%s) agree in the top-1 of %llu of %llu rows, %.3g %%; expected %.3g %%",
            EL_GOLDEN_FILE, (unsigned long long)golden->shared.same, (unsigned long long)golden->shared.rows,
            100 * share, 100 * golden->least_share);
    return NULL;
}

void el_golden_report(const struct el_golden *golden, struct el_buf *out)
{
    if (golden->records == 0)
        return;
    el_buf_printf(out, "; %u of %u golden records answered as they say, largest difference %.2g",
                  golden->records - golden->bad, golden->records, golden->all.largest);
    if (golden->all.rows > 0)
        el_buf_printf(out, ", top-1 equal in %llu of %llu rows", (unsigned long long)golden->all.same,
                      (unsigned long long)golden->all.rows);
}

void el_golden_free(struct el_golden *golden)
{
    el_buf_free(&golden->first);
}
