/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A PredictRequest against a signature, in the order and with the texts of
 * tensorflow_serving/servables/tensorflow/predict_util.cc (VerifyRequestInputsSize,
 * PreProcessPrediction) and tensorflow/cc/saved_model/util.cc (GetInputValues).
 */
#include "tensor/predict_proto.h"

#include <string.h>

/* Lists of names sent or known, as messages show them: "a,b", sorted, each once. */
struct sent {
    const struct el_span *names; /* NULL: those of the request */
    const struct el_predict_request *request;
    uint32_t count;
};

static struct el_span sent_at(const struct sent *sent, uint32_t i)
{
    return sent->names != NULL ? sent->names[i] : sent->request->inputs[i].name;
}

static bool is_sent(const struct sent *sent, const char *name)
{
    struct el_span wanted = el_span_text(name);
    for (uint32_t i = 0; i < sent->count; i++) {
        if (el_span_equal(sent_at(sent, i), wanted))
            return true;
    }
    return false;
}

static void put_comma(struct el_buf *buf, size_t start)
{
    if (buf->size > start)
        el_buf_byte(buf, ',');
}

/* All names sent, or only those that `known` does not have. */
static void join_sent(const struct sent *sent, const struct el_names *known, struct el_buf *buf)
{
    size_t start = buf->size;
    for (uint32_t i = 0; i < sent->count; i++) {
        struct el_span name = sent_at(sent, i);
        if (known != NULL && el_names_find(known, name.data, name.size) >= 0)
            continue;
        put_comma(buf, start);
        el_buf_append(buf, name.data, name.size);
    }
}

static void join_missing(const struct sent *sent, const struct el_names *known, struct el_buf *buf)
{
    size_t start = buf->size;
    for (uint32_t i = 0; i < known->count; i++) {
        const char *name = el_names_at(known, i);
        if (is_sent(sent, name))
            continue;
        put_comma(buf, start);
        el_buf_text(buf, name);
    }
}

/* INVALID_ARGUMENT with the text in buf, which is freed. */
static struct el_status *invalid(struct el_buf *buf)
{
    el_buf_byte(buf, 0);
    struct el_status *status = buf->failed ? el_status_no_memory()
                                           : el_status_new(EL_INVALID_ARGUMENT, "%s", (const char *)buf->data);
    el_buf_free(buf);
    return status;
}

static struct el_status *match_count(const struct sent *sent, const struct el_predict_signature *signature)
{
    uint32_t wanted = signature->inputs.count;
    if (sent->count == wanted || (sent->count < wanted && signature->defaults.count > 0))
        return NULL;
    struct el_buf text = { 0 };
    el_buf_printf(&text, "input size does not match signature: %u!=%u len({", sent->count, wanted);
    join_sent(sent, NULL, &text);
    el_buf_text(&text, "}) != len({");
    el_names_join(&signature->inputs, &text);
    el_buf_text(&text, "}). Sent extra: {");
    join_sent(sent, &signature->inputs, &text);
    el_buf_text(&text, "}. Missing but required: {");
    join_missing(sent, &signature->inputs, &text);
    el_buf_text(&text, "}.");
    return invalid(&text);
}

struct el_status *el_predict_match_count(const struct el_span *sent, uint32_t sent_count,
                                         const struct el_predict_signature *signature)
{
    struct sent list = { .names = sent, .count = sent_count };
    static const struct el_span none[1];
    if (list.names == NULL)
        list.names = none;
    return match_count(&list, signature);
}

static struct el_status *not_found(const struct sent *sent, const struct el_predict_signature *signature, uint32_t i)
{
    struct el_buf text = { 0 };
    el_buf_printf(&text,
                  "Signature input alias: %s(feed name: %s) not found in request and no default value provided. "
                  "Inputs expected to be in the request {",
                  el_names_at(&signature->inputs, i), el_names_at(&signature->input_tensors, i));
    join_sent(sent, NULL, &text);
    el_buf_text(&text, "}, or default input alias set: ");
    el_names_join(&signature->defaults, &text);
    return invalid(&text);
}

static struct el_status *invalid_name(const struct sent *sent, const struct el_predict_signature *signature)
{
    struct el_buf text = { 0 };
    el_buf_text(&text, "Inputs contains invalid name. Used request inputs: ");
    size_t start = text.size;
    for (uint32_t i = 0; i < signature->inputs.count; i++) {
        const char *name = el_names_at(&signature->inputs, i);
        if (!is_sent(sent, name))
            continue;
        put_comma(&text, start);
        el_buf_text(&text, name);
    }
    el_buf_text(&text, ", request input: ");
    join_sent(sent, NULL, &text);
    return invalid(&text);
}

static int compare(struct el_span name, const char *known)
{
    size_t size = strlen(known), common = size < name.size ? size : name.size;
    int order = common == 0 ? 0 : memcmp(name.data, known, common);
    return order != 0 ? order : (name.size > size) - (name.size < size);
}

/* Both lists are sorted: one walk finds the inputs of the signature, what is missing, and what is too much. */
static struct el_status *match_inputs(struct el_predict_request *request, const struct el_predict_signature *signature,
                                      size_t max_bytes)
{
    struct sent sent = { .request = request, .count = request->input_count };
    uint32_t next = 0, unknown = 0;
    for (uint32_t i = 0; i < signature->inputs.count; i++) {
        const char *name = el_names_at(&signature->inputs, i);
        int order = -1;
        while (next < request->input_count && (order = compare(request->inputs[next].name, name)) < 0) {
            next++;
            unknown++;
        }
        if (next == request->input_count || order != 0) {
            if (el_names_find(&signature->defaults, name, strlen(name)) < 0)
                return not_found(&sent, signature, i);
            continue;
        }
        struct el_predict_input *input = &request->inputs[next++];
        input->index = i;
        EL_TRY(el_tensor_proto_head(&input->tensor, input->name.data, input->name.size, max_bytes));
    }
    return next < request->input_count || unknown > 0 ? invalid_name(&sent, signature) : NULL;
}

static struct el_status *unknown_output(struct el_span alias, const struct el_names *outputs)
{
    struct el_buf text = { 0 };
    el_buf_text(&text, "output tensor alias not found in signature: ");
    el_buf_append(&text, alias.data, alias.size);
    el_buf_text(&text, " Outputs expected to be in the set {");
    el_names_join(outputs, &text);
    el_buf_text(&text, "}.");
    return invalid(&text);
}

/* outputs is kept ascending while the filter names them in any order. */
static struct el_status *add_output(struct el_span alias, const struct el_names *known, uint32_t *outputs,
                                    uint32_t *output_count)
{
    int64_t found = el_names_find(known, alias.data, alias.size);
    if (found < 0)
        return unknown_output(alias, known);
    uint32_t place = *output_count;
    while (place > 0 && outputs[place - 1] > (uint32_t)found)
        place--;
    if (place > 0 && outputs[place - 1] == (uint32_t)found)
        return el_status_new(EL_INVALID_ARGUMENT, "duplicate output tensor alias: %s",
                             el_names_at(known, (uint32_t)found));
    memmove(outputs + place + 1, outputs + place, (*output_count - place) * sizeof *outputs);
    outputs[place] = (uint32_t)found;
    ++*output_count;
    return NULL;
}

static struct el_status *match_outputs(const struct el_predict_request *request, const struct el_names *known,
                                       uint32_t *outputs, uint32_t *output_count)
{
    *output_count = 0;
    for (uint32_t i = 0; i < request->filter_count; i++)
        EL_TRY(add_output(request->filter[i], known, outputs, output_count));
    for (uint32_t i = 0; request->filter_count == 0 && i < known->count; i++)
        outputs[(*output_count)++] = i;
    return NULL;
}

struct el_status *el_predict_request_match(struct el_predict_request *request,
                                           const struct el_predict_signature *signature, size_t max_bytes,
                                           uint32_t *outputs, uint32_t *output_count)
{
    struct sent sent = { .request = request, .count = request->input_count };
    EL_TRY(match_count(&sent, signature));
    EL_TRY(match_inputs(request, signature, max_bytes));
    return match_outputs(request, &signature->outputs, outputs, output_count);
}
