/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET status and metadata of a model, in the layout of TensorFlow Serving: what
 * Protocol Buffers' JSON printer makes with one blank of indentation, int64 as
 * strings and defaults printed.
 */
#include "api/internal.h"
#include "api/tensor_json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define JSON "application/json"

static bool put_json(struct el_buf *buf, const json_t *json)
{
    return json != NULL && json_dump_callback(json, el_api_append_json, buf, JSON_INDENT(1)) == 0;
}

/* Names come from models and URLs: any bytes. */
static json_t *text_json(const char *text)
{
    return json_stringn_nocheck(text, strlen(text));
}

static json_t *int64_json(int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    return json_string(text);
}

static enum el_code fail(struct el_http_request *request, struct el_status *status)
{
    const enum el_code code = el_status_code(status);
    el_buf_clear(el_http_reply_buf(request));
    el_api_rest_fail(request, status);
    el_status_free(status);
    return code;
}

/* ---- status ---- */

static json_t *status_json(const struct el_version_view *version)
{
    return json_pack("{s:o, s:s, s:{s:s, s:o}}", "version", int64_json(version->version), "state",
                     el_tfs_state_name(el_tfs_state(version->state)), "status", "error_code",
                     el_code_name(version->code), "error_message", text_json(version->error));
}

enum el_code el_api_rest_status(struct el_http_request *request, struct el_api *api,
                                const struct el_rest_target *target)
{
    json_t *list = json_array();
    const struct el_view *view = el_view_get(api->options.swap);
    const struct el_version_view *version = NULL;
    while ((version = el_view_status(view, target->model, target->model_size, version)) != NULL) {
        if (!target->has_version || version->version == target->version)
            json_array_append_new(list, status_json(version));
    }
    el_view_put(api->options.swap, view);
    if (json_array_size(list) == 0) {
        json_decref(list);
        return fail(request,
                    target->has_version
                        ? el_status_new(EL_NOT_FOUND, "Could not find version %" PRId64 " of model %s", target->version,
                                        target->model)
                        : el_status_new(EL_NOT_FOUND, "Could not find any versions of model %s", target->model));
    }
    enum el_code code = EL_OK;
    json_t *all = json_pack("{s:o}", "model_version_status", list);
    if (put_json(el_http_reply_buf(request), all)) {
        el_buf_byte(el_http_reply_buf(request), '\n');
        el_http_reply(request, 200, JSON);
    } else {
        code = fail(request, el_status_no_memory());
    }
    json_decref(all);
    return code;
}

/* ---- metadata ---- */

static json_t *shape_json(const struct el_shape *shape)
{
    json_t *dims = json_array();
    for (int32_t i = 0; i < shape->rank; i++)
        json_array_append_new(dims, json_pack("{s:o, s:s}", "size", int64_json(shape->dims[i]), "name", ""));
    return json_pack("{s:o, s:b}", "dim", dims, "unknown_rank", shape->rank < 0);
}

static json_t *tensors_json(const struct el_tensor_info *list, uint32_t count)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < count; i++)
        json_object_set_new_nocheck(object, list[i].name,
                                    json_pack("{s:s, s:o, s:o}", "dtype", el_dtype_name(list[i].dtype), "tensor_shape",
                                              shape_json(&list[i].shape), "name", text_json(list[i].tensor_name)));
    return object;
}

static json_t *defaults_json(const struct el_signature *signature)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < signature->input_count; i++) {
        const struct el_tensor_info *input = &signature->inputs[i];
        if (input->default_value != NULL)
            json_object_set_new_nocheck(object, input->name,
                                        el_tensor_proto_json(input->default_value, input->default_size));
    }
    return object;
}

static json_t *signatures_json(const struct el_signatures *signatures)
{
    json_t *object = json_object();
    for (uint32_t i = 0; signatures != NULL && i < signatures->count; i++) {
        const struct el_signature *signature = &signatures->list[i];
        json_object_set_new_nocheck(object, signature->name,
                                    json_pack("{s:o, s:o, s:o, s:o}", "inputs",
                                              tensors_json(signature->inputs, signature->input_count), "outputs",
                                              tensors_json(signature->outputs, signature->output_count), "method_name",
                                              text_json(signature->method_name), "defaults", defaults_json(signature)));
    }
    return json_pack("{s:o}", "signature_def", object);
}

enum el_code el_api_rest_metadata(struct el_http_request *request, struct el_api *api,
                                  const struct el_rest_target *target)
{
    const struct el_request spec = { .model = target->model,
                                     .model_size = target->model_size,
                                     .has_version = target->has_version,
                                     .version = target->version,
                                     .label = target->label,
                                     .label_size = target->label_size };
    const struct el_view *view = el_view_get(api->options.swap);
    const struct el_version_view *version;
    struct el_status *status = el_view_resolve(api->options.swap, view, &spec, &version);
    json_t *model_spec = NULL, *signatures = NULL;
    if (status == NULL) {
        model_spec = json_pack("{s:o, s:s, s:o}", "name", text_json(target->model), "signature_name", "", "version",
                               int64_json(version->version));
        signatures = signatures_json(version->signatures);
    }
    el_view_put(api->options.swap, view);
    if (status != NULL)
        return fail(request, status);
    struct el_buf *buf = el_http_reply_buf(request);
    el_buf_text(buf, "{\n\"model_spec\":");
    bool whole = put_json(buf, model_spec);
    el_buf_text(buf, "\n,\n\"metadata\": {\"signature_def\": ");
    whole = whole && put_json(buf, signatures);
    el_buf_text(buf, "\n}\n}\n");
    enum el_code code = EL_OK;
    if (whole)
        el_http_reply(request, 200, JSON);
    else
        code = fail(request, el_status_no_memory());
    json_decref(model_spec);
    json_decref(signatures);
    return code;
}
