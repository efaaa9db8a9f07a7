/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is asked about models rather than of them:
 * PredictionService.GetModelMetadata and ModelService.GetModelStatus.
 */
#include "api/internal.h"

#include "tensor/predict_proto.h"

#include <inttypes.h>
#include <string.h>

#define SIGNATURE_DEF "signature_def"
#define SIGNATURE_DEF_MAP_URL "type.googleapis.com/tensorflow.serving.SignatureDefMap"

/* A request whose first field is the ModelSpec and whose second, where there is one, repeats a text. */
struct model_request {
    struct el_model_spec spec;
    uint32_t field_count;
    struct el_span first_unknown_field; /* a metadata_field that is not signature_def */
    bool has_unknown_field;
};

static bool read_field(struct el_wire *wire, uint32_t number, enum el_wire_type type, struct model_request *request)
{
    if (number == 1 && type == EL_WIRE_BYTES) {
        struct el_wire inside;
        return el_wire_bytes(wire, &inside) && el_model_spec_merge(inside, &request->spec);
    }
    if (number == 2 && type == EL_WIRE_BYTES) {
        struct el_span text;
        if (!el_wire_text(wire, &text))
            return false;
        request->field_count++;
        if (!request->has_unknown_field && !el_span_equal(text, el_span_text(SIGNATURE_DEF))) {
            request->first_unknown_field = text;
            request->has_unknown_field = true;
        }
        return true;
    }
    return el_wire_skip(wire, number, type);
}

static struct el_status *parse(struct el_grpc_call *call, struct model_request *request)
{
    size_t size;
    const uint8_t *bytes = el_grpc_message(call, &size);
    struct el_wire wire = el_wire_of(bytes, size);
    memset(request, 0, sizeof *request);
    while (!el_wire_done(&wire)) {
        uint32_t number;
        enum el_wire_type type;
        if (!el_wire_tag(&wire, &number, &type) || !read_field(&wire, number, type, request))
            return el_status_new(EL_INTERNAL, "%s", ""); /* what gRPC's own parser answers */
    }
    if (!request->spec.present)
        return el_status_new(EL_INVALID_ARGUMENT, "Missing ModelSpec");
    return NULL;
}

static void fail(struct el_grpc_call *call, struct el_status *status)
{
    el_grpc_fail(call, status);
    el_status_free(status);
}

/* ---- GetModelMetadata ---- */

static struct el_status *put_metadata(struct el_buf *out, struct el_span name, const struct el_version_view *version)
{
    struct el_buf map = { 0 }, entry = { 0 }, any = { 0 }, spec = { 0 };
    static const struct el_signatures none = { 0 };
    struct el_status *status = el_signatures_encode(version->signatures != NULL ? version->signatures : &none, &map);
    if (status == NULL) {
        el_wire_put_bytes(&spec, 1, name.data, name.size);
        struct el_buf number = { 0 };
        el_wire_put_uint(&number, 1, (uint64_t)version->version);
        el_wire_put_bytes(&spec, 2, number.data, number.size);
        el_wire_put_text(&any, 1, SIGNATURE_DEF_MAP_URL);
        el_wire_put_bytes(&any, 2, map.data, map.size);
        el_wire_put_text(&entry, 1, SIGNATURE_DEF);
        el_wire_put_bytes(&entry, 2, any.data, any.size);
        el_wire_put_bytes(out, 1, spec.data, spec.size);
        el_wire_put_bytes(out, 2, entry.data, entry.size);
        if (map.failed || entry.failed || any.failed || spec.failed || number.failed || out->failed)
            status = el_status_no_memory();
        el_buf_free(&number);
    }
    el_buf_free(&map);
    el_buf_free(&entry);
    el_buf_free(&any);
    el_buf_free(&spec);
    return status;
}

void el_api_grpc_get_model_metadata(struct el_grpc_call *call, void *argument)
{
    struct el_api *api = argument;
    struct model_request request;
    struct el_status *status = parse(call, &request);
    if (status == NULL && request.field_count == 0)
        status = el_status_new(EL_INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field");
    if (status == NULL && request.has_unknown_field)
        status = el_status_new(EL_INVALID_ARGUMENT, "Metadata field %.*s is not supported",
                               (int)request.first_unknown_field.size, request.first_unknown_field.data);
    if (status != NULL) {
        fail(call, status);
        return;
    }
    const struct el_model_spec *spec = &request.spec;
    const struct el_request wanted = el_api_request_of(spec);
    const struct el_view *view = el_view_get(api->options.swap);
    const struct el_version_view *version;
    status = el_view_resolve(api->options.swap, view, &wanted, &version);
    if (status == NULL)
        status = put_metadata(el_grpc_reply_buf(call), spec->name, version);
    el_view_put(api->options.swap, view);
    if (status == NULL)
        el_grpc_reply(call);
    else
        fail(call, status);
}

/* ---- GetModelStatus ---- */

static void put_version(struct el_buf *out, const struct el_version_view *version)
{
    struct el_buf whole = { 0 }, status = { 0 };
    if (version->code != EL_OK)
        el_wire_put_uint(&status, 1, (uint64_t)version->code);
    if (*version->error != 0)
        el_wire_put_text(&status, 2, version->error);
    if (version->version != 0)
        el_wire_put_uint(&whole, 1, (uint64_t)version->version);
    el_wire_put_uint(&whole, 2, (uint64_t)el_tfs_state(version->state));
    el_wire_put_bytes(&whole, 3, status.data, status.size);
    el_wire_put_bytes(out, 1, whole.data, whole.size);
    out->failed = out->failed || whole.failed || status.failed;
    el_buf_free(&whole);
    el_buf_free(&status);
}

static struct el_status *put_status(struct el_buf *out, const struct el_view *view, const struct el_model_spec *spec)
{
    const struct el_version_view *version = NULL;
    size_t found = 0;
    while ((version = el_view_status(view, spec->name.data, spec->name.size, version)) != NULL) {
        if (spec->has_version && version->version != spec->version)
            continue;
        put_version(out, version);
        found++;
    }
    if (found == 0 && spec->has_version)
        return el_status_new(EL_NOT_FOUND, "Could not find version %" PRId64 " of model %.*s", spec->version,
                             (int)spec->name.size, spec->name.data);
    if (found == 0)
        return el_status_new(EL_NOT_FOUND, "Could not find any versions of model %.*s", (int)spec->name.size,
                             spec->name.data);
    return el_buf_status(out);
}

void el_api_grpc_get_model_status(struct el_grpc_call *call, void *argument)
{
    struct el_api *api = argument;
    struct model_request request;
    struct el_status *status = parse(call, &request);
    if (status == NULL) {
        const struct el_view *view = el_view_get(api->options.swap);
        status = put_status(el_grpc_reply_buf(call), view, &request.spec);
        el_view_put(api->options.swap, view);
    }
    if (status == NULL)
        el_grpc_reply(call);
    else
        fail(call, status);
}
