/* SPDX-License-Identifier: Apache-2.0 */
/* The requests that a version's reservoir holds, with their answers, as records that golden files are made of. */
#include "bundle/prediction_log.h"
#include "bundle/tfrecord.h"
#include "swap/state.h"

#include <stdlib.h>

static void put_request(struct el_buf *buf, const char *model, int64_t version, const struct el_signature *signature,
                        const struct el_sample *sample)
{
    el_model_spec_write(buf, 1, model, version, signature->name);
    for (uint32_t i = 0; i < sample->input_count; i++) {
        struct el_buf entry = { 0 }, tensor = { 0 };
        el_tensor_proto_write(&tensor, &sample->inputs[i], EL_TENSOR_AS_VALUES);
        el_wire_put_text(&entry, 1, signature->inputs[sample->input_indexes[i]].name);
        el_wire_put_bytes(&entry, 2, tensor.data, tensor.size);
        el_wire_put_bytes(buf, 2, entry.data, entry.size);
        buf->failed = buf->failed || entry.failed || tensor.failed;
        el_buf_free(&entry);
        el_buf_free(&tensor);
    }
    for (uint32_t i = 0; i < sample->output_count; i++)
        el_wire_put_text(buf, 3, signature->outputs[sample->output_indexes[i]].name);
}

static void put_response(struct el_buf *buf, const char *model, int64_t version, const struct el_signature *signature,
                         const struct el_sample *sample)
{
    struct el_named_tensor *named = calloc((size_t)sample->output_count + 1, sizeof *named);
    if (named == NULL) {
        buf->failed = true;
        return;
    }
    for (uint32_t i = 0; i < sample->output_count; i++)
        named[i] = (struct el_named_tensor){ signature->outputs[sample->output_indexes[i]].name, &sample->outputs[i] };
    el_predict_response_write(buf, named, sample->output_count, EL_TENSOR_AS_VALUES, model, version, signature->name);
    free(named);
}

static void put_sample(struct el_buf *out, const char *model, const struct el_servable *servable,
                       const struct el_sample *sample)
{
    const struct el_signature *signature = &servable->signatures.list[sample->signature];
    struct el_buf request = { 0 }, response = { 0 }, record = { 0 };
    const struct el_buf nothing = { 0 };
    put_request(&request, model, servable->version, signature, sample);
    put_response(&response, model, servable->version, signature, sample);
    el_prediction_put(&record, EL_PREDICTION_PREDICT, &nothing,
                      (struct el_span){ (const char *)request.data, request.size },
                      (struct el_span){ (const char *)response.data, response.size });
    uint8_t header[EL_TFRECORD_HEADER], footer[EL_TFRECORD_FOOTER];
    el_tfrecord_frame(record.data, record.size, header, footer);
    el_buf_append(out, header, sizeof header);
    el_buf_append(out, record.data, record.size);
    el_buf_append(out, footer, sizeof footer);
    out->failed = out->failed || request.failed || response.failed || record.failed;
    el_buf_free(&request);
    el_buf_free(&response);
    el_buf_free(&record);
}

void el_swap_take_samples(const struct el_version_view *version, struct el_swap_samples *samples)
{
    *samples = (struct el_swap_samples){ .servable = version->servable };
    samples->list = el_reservoir_get(version->servable->reservoir, &samples->count);
    el_servable_pin(version->servable); /* its signatures name the tensors */
}

void el_swap_put_samples(struct el_swap *swap, struct el_swap_samples *samples, const char *model, uint32_t most,
                         struct el_buf *out)
{
    for (uint32_t i = 0; i < samples->count; i++) {
        if (i < most)
            put_sample(out, model, samples->servable, samples->list[i]);
        el_sample_disown(samples->list[i]);
    }
    free(samples->list);
    if (el_servable_unpin(samples->servable))
        uv_async_send(&swap->async);
    *samples = (struct el_swap_samples){ 0 };
}
